-- Give a custom list new members, as a nightly job does. A list that is not there, or that a campaign uses, is an error.
-- spenders.csv: user_id, total
-- Whether the list is there is asked first, through a call that CleverTap does not document; where that does not answer,
-- SET clevertap.list_assume_exists = true goes on without asking.
SET clevertap.list_email = 'admin@example.org';
SET clevertap.list_mode = 'replace';

INSERT INTO clevertap.custom_lists
SELECT 'Big spenders' AS list_name, user_id AS identity FROM 'spenders.csv' WHERE total > 1000;
