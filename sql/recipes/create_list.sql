-- Make a custom list, to be used as a segment. People who are not in CleverTap are left out by it.
-- spenders.csv: user_id, total
-- What became of it is mailed to the admin named here: a row that was accepted is one that was submitted.
SET clevertap.list_email = 'admin@example.org';

INSERT INTO clevertap.custom_lists
SELECT 'Big spenders' AS list_name, user_id AS identity FROM 'spenders.csv' WHERE total > 1000;

SELECT message FROM clevertap.warnings;
