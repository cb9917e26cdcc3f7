-- Export an event to Parquet: every "Charged" of January, with its properties as columns.
-- The days are days of the project's time zone. The file is there only if the export was complete.
COPY (
    SELECT event_time, identity, object_id, "Amount", "Currency", properties
    FROM clevertap_events."Charged"
    WHERE event_date BETWEEN '2026-01-01' AND '2026-01-31'
) TO 'charged.parquet' STORED AS PARQUET;
