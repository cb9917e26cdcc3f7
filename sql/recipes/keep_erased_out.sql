-- Keep people who were erased out of the next load: an upload would make them anew.
-- users.csv: user_id, plan; erased.csv: user_id
INSERT INTO clevertap.profiles
SELECT u.user_id AS identity, u.plan AS "Plan"
FROM 'users.csv' u
WHERE NOT EXISTS (SELECT 1 FROM 'erased.csv' e WHERE e.user_id = u.user_id);
