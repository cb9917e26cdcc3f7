-- What became of the campaigns of a month. A campaign that has no result yet has NULL here.
SELECT c.campaign_id, c.name, c.scheduled_on, r.sent, r.clicked
FROM clevertap.campaigns c
LEFT JOIN clevertap.campaign_reports r ON r.campaign_id = c.campaign_id
WHERE c.scheduled_on BETWEEN '2026-01-01' AND '2026-01-31'
ORDER BY c.scheduled_on, c.campaign_id;
