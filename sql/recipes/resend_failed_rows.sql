-- Load, look at what was not accepted, mend it, and send those rows again.
-- users.csv: user_id, email
-- In a later session, read the folder of --failed-rows in the place of clevertap.failed_rows.
SET clevertap.on_reject = 'skip';

INSERT INTO clevertap.profiles
SELECT user_id AS identity, email FROM 'users.csv';

SELECT fate, code, column_name, reason, count(*) AS rows
FROM clevertap.failed_rows GROUP BY fate, code, column_name, reason ORDER BY rows DESC;

-- Rows that are in doubt are left out here: profiles are sent again by themselves, events are for you to decide.
INSERT INTO clevertap.profiles
SELECT u.user_id AS identity, replace(u.email, ' at ', '@') AS email
FROM 'users.csv' u
WHERE u.user_id IN (SELECT identifier FROM clevertap.failed_rows WHERE fate IN ('rejected', 'unsent'));
