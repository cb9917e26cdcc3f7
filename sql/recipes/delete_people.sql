-- Delete the people of a list, with their events, for ever. CleverTap carries it out within a day.
-- leavers.csv: user_id
-- Needs --allow-erase. EXPLAIN sends nothing; more people than delete_rows_max are counted, and none is deleted.
SET clevertap.delete_rows_max = 5000;

EXPLAIN DELETE FROM clevertap.profiles WHERE identity IN (SELECT user_id FROM 'leavers.csv');

DELETE FROM clevertap.profiles WHERE identity IN (SELECT user_id FROM 'leavers.csv');
