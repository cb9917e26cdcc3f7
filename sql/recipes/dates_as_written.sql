-- Load birthdays and times as people write them: 31/12/1990, 05/01/2026 15:30 of a shop in Kolkata.
-- visits.csv: user_id, dob, visited
-- What cannot be read is NULL, so look first how much that is.
SELECT count(*) AS rows,
       count(*) FILTER (WHERE dob IS NOT NULL AND ct_date(dob, 'dd/mm/yyyy') IS NULL) AS births_lost,
       count(*) FILTER (WHERE ct_event_time(visited, 'dd/mm/yyyy hh:mi', 'Asia/Kolkata') IS NULL) AS visits_lost
FROM 'visits.csv';

INSERT INTO clevertap.profiles
SELECT DISTINCT user_id AS identity, ct_date(dob, 'dd/mm/yyyy') AS dob FROM 'visits.csv';

INSERT INTO clevertap.events
SELECT user_id AS identity, 'Visited' AS event_name, ct_event_time(visited, 'dd/mm/yyyy hh:mi', 'Asia/Kolkata') AS event_time
FROM 'visits.csv' WHERE ct_event_time(visited, 'dd/mm/yyyy hh:mi', 'Asia/Kolkata') IS NOT NULL;
