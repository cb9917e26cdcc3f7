-- Remove a property that a load should not have written, from the people whom that load wrote to.
-- loaded.csv: user_id
-- The property is gone from their profiles; its name stays in the project's schema.
INSERT INTO clevertap.profiles
SELECT user_id AS identity, ct_delete() AS "Plann" FROM 'loaded.csv';
