-- Split people who were merged by mistake: each device gets a profile of its own, and history of events may be lost.
-- merged.csv: user_id
-- It cannot be undone, needs --allow-erase, and is never sent again by itself: read what is in doubt before you run it twice.
SET clevertap.delete_rows_max = 100;

INSERT INTO clevertap.demerges
SELECT user_id AS identity FROM 'merged.csv';

SELECT identifier, fate, reason FROM clevertap.failed_rows;
