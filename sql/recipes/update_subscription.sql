-- Stop writing to addresses that bounced. It holds for the address, in every profile that has it.
-- bounced.csv: email
-- 'Resubscribe' takes it back; type is 'email', 'phone' or 'whatsapp'. For one profile alone, write "MSG-email" = false to it instead.
INSERT INTO clevertap.subscriptions
SELECT 'email' AS type, email AS value, 'Unsubscribe' AS status FROM 'bounced.csv';
