-- Load the users of a database that have changed since yesterday into profiles. Without the WHERE it is everybody, for the first time.
-- EXPLAIN in front of the INSERT shows the columns' fields and the database's query, and reads nothing.
ATTACH 'postgres://reader@db.acme.example/shop' AS shop (TYPE postgres, READ_ONLY, PASSWORD_ENV 'SHOP_PASSWORD');

INSERT INTO clevertap.profiles
SELECT id AS identity, email, plan AS "Plan", signed_up_at AS "Signed Up"
FROM shop.public.users
WHERE updated_at >= now() - INTERVAL '1 day';

DETACH shop;
