-- Give people one more identity, such as the id of a new system. Events and profiles may name them by either from then on.
-- renamed.csv: old_id, new_id
-- It cannot be undone: see demerge.sql for what splitting people costs.
INSERT INTO clevertap.profiles
SELECT old_id AS identity, new_id AS link_identity FROM 'renamed.csv';
