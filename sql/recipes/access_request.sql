-- All events of one person, of names that the summary in their profile shows. CleverTap exports everybody's; this person's are kept.
-- clevertap-sql person does it for every name in one document, and holds what it finds against CleverTap's counts.
SELECT event_name, event_time, properties ->> 'Amount' AS amount
FROM clevertap.events
WHERE event_name IN ('Charged', 'Viewed') AND event_date BETWEEN '2026-01-01' AND '2026-01-31' AND identity = 'ada'
ORDER BY event_time;
