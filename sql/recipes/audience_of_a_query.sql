-- Make a custom list of the people whom a query of your own database finds, written in that database's own SQL: buyers who stayed away for 90 days.
-- shop.db: orders (user_id, ordered_on, amount). A PostgreSQL or MySQL is attached by its URL, as in users_of_a_database.sql.
-- What became of the list is mailed to the admin named here. SET clevertap.list_mode = 'replace' gives a list that is there new members.
ATTACH 'shop.db' AS shop (TYPE sqlite, READ_ONLY);
SET clevertap.list_email = 'admin@example.org';

INSERT INTO clevertap.custom_lists
SELECT 'Lapsed buyers' AS list_name, user_id AS identity
FROM database_query('shop', '
    SELECT user_id FROM orders
    GROUP BY user_id
    HAVING max(ordered_on) < date(''2026-01-01'', ''-90 days'') AND sum(amount) > 1000
');

DETACH shop;
