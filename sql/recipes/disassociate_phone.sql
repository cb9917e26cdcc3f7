-- Take phone numbers that now belong to somebody else from the profiles that have them.
-- reassigned.csv: phone, such as +14155550100
-- For accounts whose identity is a phone number.
INSERT INTO clevertap.phone_disassociations
SELECT phone FROM 'reassigned.csv';
