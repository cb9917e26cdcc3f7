//! PostgreSQL by its ADBC driver: reads, filters, the three kinds of writes.

use std::time::Duration;

use clevertap_databases::Access;
use datafusion::dataframe::DataFrameWriteOptions;
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::conditions::give_the_same_rows;
use crate::server::{postgres, refusal, rows, session_of, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_asks_for_what_it_needs_and_shows_no_value() {
    let Some((server, driver)) = postgres() else { return };
    server.schema(
        "reads",
        "CREATE TABLE t (id int PRIMARY KEY, email text, n numeric(6,2), u uuid, \"A b\" int[]); CREATE VIEW v AS SELECT id FROM t;
        INSERT INTO t SELECT g, 'x' || g, g / 4.0, gen_random_uuid(), ARRAY[g] FROM generate_series(1, 1000) g",
    );
    let ctx = session_of(server.settings(&driver));
    let plan = shown(&ctx, "EXPLAIN SELECT n FROM shop.reads.t WHERE email = 'ann@acme.example' AND id < 7 AND n > 1.25").await;
    assert!(plan.contains(r#"sql=SELECT "id", "email", "n"::text FROM "reads"."t" WHERE "email" = … AND "id" < … AND "n" > …"#), "{plan}");
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM shop.reads.t LIMIT 3").await;
    assert!(plan.contains(r#"sql=SELECT "id" FROM "reads"."t" LIMIT 3"#), "{plan}");
    let read =
        shown(&ctx, "SELECT count(*) AS n, sum(n) AS s, count(DISTINCT u) AS u, max(\"A b\") AS a FROM shop.reads.t WHERE id <= 10").await;
    assert!(read.contains("| 10 | 13.75 | 10 | {9} |"), "{read}");
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.reads.v").await.contains("| 1000 |"));
    let listed = shown(&ctx, "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'reads' ORDER BY 1").await;
    assert!(listed.contains("| t          | BASE TABLE |") && listed.contains("| v          | VIEW       |"), "{listed}");
    assert!(refusal(&ctx, "SELECT * FROM shop.reads.nope").await.contains("table 'shop.reads.nope' not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_driver_makes_of_infinity_is_an_error_with_its_row() {
    let Some((server, driver)) = postgres() else { return };
    server.schema("infinite", "CREATE TABLE t (id int, d date, ts timestamp, tz timestamptz);
        INSERT INTO t VALUES (1, '2026-01-31', '4713-01-01 BC', '0001-01-01Z'), (2, 'infinity', 'infinity', '-infinity'), (3, '-infinity', '294276-12-31', 'infinity');
        CREATE VIEW v AS SELECT id, d::text, ts::text, tz::text FROM t");
    let ctx = session_of(server.settings(&driver));
    for column in ["d", "ts", "tz"] {
        for (filter, row) in [("true", 2), ("id = 2", 1), ("id = 3", 1)] {
            let error = refusal(&ctx, &format!("SELECT {column} FROM shop.infinite.t WHERE {filter}")).await;
            let expected = format!("shop.infinite.t, row {row} of the answer: \"{column}\" is infinite or after the year 294246");
            assert!(error.contains(&expected) && error.ends_with("[DB-203]"), "{error}");
        }
        rows(&ctx, &format!("SELECT {column} FROM shop.infinite.t WHERE id = 1")).await.unwrap();
        rows(&ctx, &format!("SELECT {column} FROM shop.infinite.v")).await.unwrap();
    }
    // And on the way back.
    let wrap = i64::MIN;
    let error =
        refusal(&ctx, &format!("INSERT INTO shop.infinite.t (id, ts) SELECT 9, arrow_cast({wrap}, 'Timestamp(Microsecond, None)')")).await;
    assert!(error.contains("row 1 of the source: \"ts\" is before 4714 BC") && error.ends_with("[DB-202]"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_appends_and_leaves_what_it_does_not_list_to_the_database() {
    let Some((server, driver)) = postgres() else { return };
    server.schema(
        "appends",
        "CREATE TABLE t (id serial PRIMARY KEY, name varchar(5) NOT NULL, plan text DEFAULT 'free', big text GENERATED ALWAYS AS (upper(name)) STORED,
            n numeric(6, 2), u uuid, j jsonb, c char(3));
         CREATE TABLE \"Tä \"\"b\"\" 😀\" (\"select\" text, \"a\"\"b\" int)",
    );
    let ctx = session_of(server.settings(&driver));
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let sql = format!(
        "INSERT INTO shop.appends.t (name, n, u, j, c) VALUES ('ann', 1.5, '{uuid}', '{{\"a\": 1}}', 'x'), ('bob', NULL, NULL, NULL, NULL)"
    );
    assert!(shown(&ctx, &sql).await.contains("| 2     |"));
    assert_eq!(server.rows("appends.t"), format!(r#"(1,ann,free,ANN,1.50,{uuid},"{{""a"": 1}}","x  ") (2,bob,free,BOB,,,,)"#));
    for (sql, problem) in [
        ("(name) VALUES ('x'), ('secret')", "row 2 of the source: \"name\" has more than 5 characters"),
        (
            "(name, n) SELECT 'x', arrow_cast('1.005', 'Decimal128(9, 3)')",
            "row 1 of the source: \"n\" has more than 2 digits behind the point",
        ),
        ("(name, u) VALUES ('x', 'secret')", "a value has a form that its column does not take (PostgreSQL 22P02). Nothing was changed"),
        (
            "(id, name) VALUES (10, 'x'), (1, 'y')",
            "a row has a key that is there already; REPLACE INTO changes such rows (PostgreSQL 23505)",
        ),
        ("(big) VALUES ('x')", "column \"big\" is generated"),
    ] {
        let error = refusal(&ctx, &format!("INSERT INTO shop.appends.t {sql}")).await;
        assert!(error.contains(problem) && !error.contains("secret"), "{error}");
    }
    assert_eq!(server.run("SELECT count(*) FROM appends.t"), "2");
    let odd = "shop.appends.\"Tä \"\"b\"\" 😀\"";
    rows(&ctx, &format!("INSERT INTO {odd} VALUES ('x', 1)")).await.unwrap();
    assert!(shown(&ctx, &format!("SELECT \"a\"\"b\" FROM {odd} WHERE \"select\" = 'x'")).await.contains("| 1   |"));
    // Without a row there is nothing to be staged.
    assert!(shown(&ctx, "INSERT INTO shop.appends.t (name) SELECT 'x' WHERE false").await.contains("| 0     |"));
    let read = session_of(server.settings(&driver).with_access(Access::Read));
    assert!(refusal(&read, "INSERT INTO shop.appends.t (name) VALUES ('x')").await.contains("has access \"read\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_takes_the_last_of_each_key_and_writes_no_row_that_is_the_same() {
    let Some((server, driver)) = postgres() else { return };
    server.schema(
        "upserts",
        "CREATE TABLE t (id int PRIMARY KEY, name text, f float8, plan text DEFAULT 'free'); INSERT INTO t VALUES (1, 'ann', 0, 'gold'), (2, 'bob', 1, 'gold');
         CREATE TABLE log (id int);
         CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO upserts.log VALUES (NEW.id); RETURN NEW; END';
         CREATE TRIGGER seen BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION seen();
         CREATE TABLE u (email text, name text)",
    );
    let ctx = session_of(server.settings(&driver));
    rows(&ctx, "REPLACE INTO shop.upserts.t (id, name, f) VALUES (1, 'x', 0.0), (2, 'bob', 1), (1, 'ann', -0.0), (3, 'cid', 'NaN')")
        .await
        .unwrap();
    assert_eq!(server.rows("upserts.t"), "(1,ann,-0,gold) (2,bob,1,gold) (3,cid,NaN,free)");
    assert_eq!(server.rows("upserts.log"), "(1)");
    let error = refusal(&ctx, "REPLACE INTO shop.upserts.t (id, name) VALUES (NULL, 'x')").await;
    assert!(error.contains("\"id\" which is of the key, is NULL"), "{error}");
    ctx.sql("SET database.upsert_key = 'email'").await.unwrap();
    let error = refusal(&ctx, "REPLACE INTO shop.upserts.u VALUES ('a@x', 'ann')").await;
    assert!(error.contains("no unique index has the columns of the key; CREATE UNIQUE INDEX"), "{error}");
    server.run("CREATE UNIQUE INDEX ON upserts.u (email)");
    rows(&ctx, "REPLACE INTO shop.upserts.u VALUES ('a@x', 'ann'), ('a@x', 'eve')").await.unwrap();
    assert_eq!(server.rows("upserts.u"), "(a@x,eve)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_is_all_rows_of_its_source_also_of_one_that_reads_the_target() {
    let Some((server, driver)) = postgres() else { return };
    server.schema("replaces", "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t SELECT g, 'n' FROM generate_series(1, 3000) g; CREATE TABLE u AS SELECT * FROM t");
    let ctx = session_of(server.settings(&driver));
    for table in ["t", "u"] {
        let sql = format!("INSERT OVERWRITE shop.replaces.{table} SELECT id, upper(name) FROM shop.replaces.{table} WHERE id < 3");
        rows(&ctx, &sql).await.unwrap();
        assert_eq!(server.rows(&format!("replaces.{table}")), "(1,N) (2,N)");
    }
    rows(&ctx, "INSERT OVERWRITE shop.replaces.t VALUES (7, 'a'), (7, 'b')").await.unwrap();
    assert_eq!(server.rows("replaces.t"), "(7,b)");
    let plan = shown(&ctx, "EXPLAIN INSERT OVERWRITE shop.replaces.t SELECT 1, 'x'").await;
    assert!(plan.contains("INGEST INTO \"clevertap_stage_rows\" (CLEVERTAP_ROW, C0, C1); LOCK TABLE \"replaces\".\"t\""), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_leaves_the_table_as_it_was() {
    let Some((server, driver)) = postgres() else { return };
    server.schema("fails", "CREATE TABLE t (id bigint PRIMARY KEY, name text CHECK (name <> 'bad')); INSERT INTO t VALUES (-1, 'old')");
    let ctx = session_of(server.settings(&driver));
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..12 {
        let write = ["INSERT INTO", "INSERT OVERWRITE", "REPLACE INTO"][rng.random_range(0..3)];
        let at = rng.random_range(1..3_000);
        let failing = [
            format!("SELECT value, CAST(10 / ({at} - value) AS varchar) FROM range(1, 3000)"),
            format!("SELECT value, CASE WHEN value = {at} THEN 'bad' ELSE 'good' END FROM range(1, 3000)"),
        ];
        let error = refusal(&ctx, &format!("{write} shop.fails.t {}", failing[rng.random_range(0..2)])).await;
        assert!(error.contains("Divide by zero") || error.contains("a row breaks a CHECK constraint (PostgreSQL 23514)"), "{error}");
        assert_eq!(server.rows("fails.t"), "(-1,old)");
    }
    // One that is given up in its middle.
    let mut stream =
        ctx.sql("INSERT INTO shop.fails.t SELECT value, 'x' FROM range(1, 100000000)").await.unwrap().execute_stream().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), stream.next()).await.is_err());
    drop(stream);
    server.waits_for("SELECT count(*) FROM pg_stat_activity WHERE application_name = '' AND backend_type = 'client backend' AND query LIKE '%clevertap_stage%'", "0").await;
    assert_eq!(server.rows("fails.t"), "(-1,old)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_dropped_ends_on_the_server() {
    let Some((server, driver)) = postgres() else { return };
    server.schema("dropped", "CREATE VIEW v AS SELECT g AS id FROM generate_series(1, 2000000000) g; CREATE VIEW slow AS SELECT 1 AS id, pg_sleep(600)::text AS s");
    let ctx = session_of(server.settings(&driver));
    for view in ["v", "slow"] {
        let mut stream = ctx.sql(&format!("SELECT * FROM shop.dropped.{view}")).await.unwrap().execute_stream().await.unwrap();
        let first = tokio::time::timeout(Duration::from_secs(2), stream.next()).await;
        assert!(first.is_err() || first.unwrap().unwrap().is_ok());
        drop(stream);
        let running = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%\"dropped\".\"{view}\"%' AND state = 'active' AND pid <> pg_backend_pid()"
        );
        server.waits_for(&running, "0").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_made_if_that_was_asked_for() {
    let Some((server, driver)) = postgres() else { return };
    server.schema("made", "");
    let ctx = session_of(server.settings(&driver).with_create(true));
    let source =
        ctx.sql("SELECT 1 AS id, 'ann' AS name, 1.50::decimal(20, 2) AS paid, DATE '2026-01-31' AS day, true AS yes").await.unwrap();
    source.write_table("shop.made.t", DataFrameWriteOptions::new()).await.unwrap();
    assert_eq!(server.rows("made.t"), "(1,ann,1.50,2026-01-31,t)");
    let types = server.run("SELECT string_agg(format_type(atttypid, atttypmod), ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'made.t'::regclass AND attnum > 0");
    assert_eq!(types, "bigint text numeric(20,2) date boolean");
}

const COLUMNS: [(&str, &[&str]); 7] = [
    ("i", &["0", "1", "-1", "2147483647"]),
    ("d", &["0", "1.50", "1.5", "-2.25"]),
    ("f", &["0.0", "-0.0", "1.5", "CAST('NaN' AS double)", "1e300"]),
    ("t", &["'gold'", "'Gold'", "'gold '", "''", "'a\\b'", "'o''x'"]),
    ("da", &["DATE '2026-01-31'", "DATE '1969-12-31'"]),
    ("tz", &["TIMESTAMP '2026-01-31T10:00:00Z'", "TIMESTAMP '1969-12-31T23:59:59.999999Z'"]),
    ("bo", &[]),
];

/// `CLEVERTAP_FILTERS=1000 CLEVERTAP_SEED=7` runs more of them, or others.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_the_database_looks_at_too_gives_the_same_rows() {
    let Some((server, driver)) = postgres() else { return };
    server.schema(
        "filters",
        "CREATE TABLE t (id int, i int, d numeric(10, 2), f float8, t text, da date, tz timestamptz, bo bool);
         INSERT INTO t SELECT g, (ARRAY[0, 1, -1, 2147483647, NULL])[1 + g % 5], (ARRAY[0, 1.5, -2.25, NULL])[1 + g % 4],
             (ARRAY[0.0, '-0', 1.5, 'NaN', 'inf', '-inf', NULL]::float8[])[1 + g % 7],
             (ARRAY['gold', 'Gold', 'gold ', '', E'a\\\\b', 'o''x', NULL])[1 + g % 7], (ARRAY['2026-01-31', '1969-12-31', NULL]::date[])[1 + g % 3],
             (ARRAY['2026-01-31 10:00Z', '1969-12-31 23:59:59.999999Z', NULL]::timestamptz[])[1 + g % 3], (ARRAY[true, false, NULL])[1 + g % 3]
         FROM generate_series(1, 210) g",
    );
    let ctx = session_of(server.settings(&driver));
    give_the_same_rows(&ctx, "shop.filters.t", &COLUMNS, 60).await;
}
