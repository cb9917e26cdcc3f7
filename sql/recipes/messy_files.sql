-- Load CSV files as other systems leave them. What a file does not say by itself is said once; its separator, header and types are found.
-- semicolons.csv: as Excel writes it in Europe, with 12,50 for twelve and a half
INSERT INTO clevertap.profiles
SELECT user_id AS identity, CAST(replace(spent, ',', '.') AS DECIMAL(12, 2)) AS "Spent" FROM 'semicolons.csv';

-- marks.tsv: as MySQL writes it, with \N where there is no value
CREATE EXTERNAL TABLE marks STORED AS CSV LOCATION 'marks.tsv' OPTIONS (delimiter '\t', null '\N');
INSERT INTO clevertap.profiles SELECT user_id AS identity, visits AS "Visits" FROM marks;

-- windows.csv: in the encoding of Windows, whose accents would be broken
CREATE EXTERNAL TABLE windows STORED AS CSV LOCATION 'windows.csv' OPTIONS (encoding 'windows-1252');
INSERT INTO clevertap.profiles SELECT user_id AS identity, name FROM windows;

-- headless.csv: without a line of names
CREATE EXTERNAL TABLE headless (user_id VARCHAR, plan VARCHAR) STORED AS CSV LOCATION 'headless.csv' OPTIONS (has_header 'false');
INSERT INTO clevertap.profiles SELECT user_id AS identity, plan AS "Plan" FROM headless;

-- escaped.csv: as Spark writes it, with \" for a quote
CREATE EXTERNAL TABLE escaped STORED AS CSV LOCATION 'escaped.csv' OPTIONS (escape '\');
INSERT INTO clevertap.profiles SELECT user_id AS identity, note AS "Note" FROM escaped;
