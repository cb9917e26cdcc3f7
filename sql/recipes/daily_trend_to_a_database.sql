-- Keep a table of a database up to date with how often something happens: the last 7 days are read again, since events come late.
-- Run it every night (cron). The first run makes the table, with its key; a day that has not changed is not written again.
ATTACH 'postgres://loader@db.acme.example/analytics' AS warehouse (TYPE postgres, READ_WRITE, CREATE, PASSWORD_ENV 'WAREHOUSE_PASSWORD');
SET database.upsert_key = 'event_name, event_date';

REPLACE INTO warehouse.public.daily_trend
SELECT event_name, event_date, events, people, property_sum AS amount
FROM clevertap.trend_analysis_daily
WHERE event_name = 'Charged' AND property = 'Amount'
  AND event_date BETWEEN current_date - INTERVAL '7 days' AND current_date - INTERVAL '1 day';

DETACH warehouse;
