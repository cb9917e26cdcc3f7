-- How often something happened, day by day, and how many people did it. Days without events are there, as 0.
SELECT event_date, events, people, property_sum AS amount
FROM clevertap.trend_analysis_daily
WHERE event_name = 'Charged' AND property = 'Amount' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'
ORDER BY event_date;
