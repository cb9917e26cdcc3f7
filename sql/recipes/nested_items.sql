-- Send orders with what was in them: one event Charged for each order, its lines as items.
-- lines.csv: order_id, user_id, ordered_at, product, price, quantity
INSERT INTO clevertap_events."Charged"
SELECT user_id AS identity, min(ordered_at) AS event_time, order_id AS "Charged ID", sum(price * quantity) AS "Amount",
       array_agg(named_struct('Product', product, 'Price', price, 'Quantity', quantity) ORDER BY product) AS items
FROM 'lines.csv' GROUP BY order_id, user_id;
