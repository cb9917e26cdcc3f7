-- People who did something and are not in a table of mine. Anonymous people have no identity and are left out.
SELECT DISTINCT p.identity, p.email
FROM clevertap.profiles p
LEFT ANTI JOIN 'users.parquet' u ON u.user_id = p.identity
WHERE p.event_name = 'Charged' AND p.event_date BETWEEN '2026-01-01' AND '2026-01-31' AND p.identity IS NOT NULL
ORDER BY p.identity;
