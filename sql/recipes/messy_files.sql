-- Load CSV files as other systems leave them. What a file does not say by itself is said once; its separator, header and types are found.
-- semicolons.csv: as Excel writes it in Europe, with 12,50 for twelve and a half
INSERT INTO clevertap.profiles
SELECT user_id AS identity, CAST(replace(spent, ',', '.') AS DECIMAL(12, 2)) AS "Spent" FROM 'semicolons.csv';

-- marks.tsv: as others write it, with \N where there is no value
CREATE EXTERNAL TABLE marks STORED AS CSV LOCATION 'marks.tsv' OPTIONS (delimiter '\t', null '\N');
INSERT INTO clevertap.profiles SELECT user_id AS identity, visits AS "Visits" FROM marks;

-- dump.tsv: as MySQL (SELECT … INTO OUTFILE) and PostgreSQL (COPY) write it: \N, and a backslash in the place of quotes, as in \n for a line
-- end. Of mysql --batch, which writes NULL, add null 'NULL'. Without a line of names, declare the columns, and has_header 'false'.
CREATE EXTERNAL TABLE dump STORED AS CSV LOCATION 'dump.tsv' OPTIONS (delimiter '\t', quote '', escape '\');
INSERT INTO clevertap.profiles SELECT user_id AS identity, note AS "Note", visits AS "Visits" FROM dump;

-- Tables that psql and mysql draw are for reading. psql's \copy (SELECT …) TO 'people.csv' CSV HEADER is read as it is.

-- commented.csv: with lines that begin with #, and 'cells, in apostrophes'
CREATE EXTERNAL TABLE commented STORED AS CSV LOCATION 'commented.csv' OPTIONS (comment '#', quote '''');
INSERT INTO clevertap.profiles SELECT user_id AS identity, city AS "City" FROM commented;

-- windows.csv: in the encoding of Windows, whose accents would be broken
CREATE EXTERNAL TABLE windows STORED AS CSV LOCATION 'windows.csv' OPTIONS (encoding 'windows-1252');
INSERT INTO clevertap.profiles SELECT user_id AS identity, name FROM windows;

-- headless.csv: without a line of names
CREATE EXTERNAL TABLE headless (user_id VARCHAR, plan VARCHAR) STORED AS CSV LOCATION 'headless.csv' OPTIONS (has_header 'false');
INSERT INTO clevertap.profiles SELECT user_id AS identity, plan AS "Plan" FROM headless;

-- escaped.csv: as Spark writes it, with \" for a quote
CREATE EXTERNAL TABLE escaped STORED AS CSV LOCATION 'escaped.csv' OPTIONS (escape '\');
INSERT INTO clevertap.profiles SELECT user_id AS identity, note AS "Note" FROM escaped;
