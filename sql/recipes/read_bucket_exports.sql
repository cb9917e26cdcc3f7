-- CleverTap's own exports to a bucket (Settings > Exports), which alone hold notification events.
-- A JSON file has the name of its event in the first line and one event in each line after it, with "ts" on the project's clock. A line is
-- read as one column: a tab cannot stand in JSON, so that nothing is cut.
CREATE EXTERNAL TABLE exported (line VARCHAR)
STORED AS CSV LOCATION 'exports/'
OPTIONS ('format.has_header' 'true', 'format.delimiter' '	');

SELECT
    line -> 'profile' ->> 'identity' AS identity,
    regexp_replace(line ->> 'ts', '^(....)(..)(..)(..)(..)(..)$', '\1-\2-\3 \4:\5:\6')::timestamp AS shown_at,
    line -> 'eventProps' ->> 'Campaign id' AS campaign_id
FROM exported
ORDER BY shown_at;
