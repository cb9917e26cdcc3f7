-- One person, by identity, e-mail or device. One request.
SELECT identity, name, email, properties ->> 'Plan' AS plan, events
FROM clevertap.profiles
WHERE email = 'ada+news@example.org';
