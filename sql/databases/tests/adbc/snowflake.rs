//! Snowflake by its ADBC driver, against fakesnow: names, reads, the three kinds of writes, and no staging table left. A real Snowflake was
//! never reached.

use clevertap_databases::Access;
use datafusion::dataframe::DataFrameWriteOptions;

use crate::server::{Peer, Snowflake, refusal, rows, session_of, shown, snowflake};

fn staging(peer: &mut Peer, schema: &str) -> String {
    peer.rows(&format!(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = '{schema}' AND table_name ILIKE 'clevertap_stage%'"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_small_letters_is_the_exact_one_or_the_one_in_capitals() {
    let Some(server) = snowflake() else { return };
    server.schema(
        "NAMES",
        &[
            "CREATE TABLE USERS (ID NUMBER(38,0) PRIMARY KEY, \"Name\" VARCHAR(10), \"low\" VARCHAR, \"both\" INT, BOTH_ INT)",
            "INSERT INTO USERS VALUES (1, 'ann', 'x', 2, 3)",
        ],
    );
    let ctx = server.session();
    let read = shown(&ctx, "SELECT id, \"Name\", low, both, both_ FROM wh.names.users").await;
    assert!(read.contains("| 1  | ann  | x   | 2    | 3     |"), "{read}");
    assert_eq!(read, shown(&ctx, "SELECT id, \"Name\", low, both, both_ FROM wh.\"NAMES\".\"USERS\"").await);
    let error = refusal(&ctx, "SELECT * FROM wh.names.\"Users\"").await;
    assert!(error.contains("not found"), "{error}");
    let plan = shown(&ctx, "EXPLAIN SELECT low FROM wh.names.users WHERE id = 1 AND \"Name\" = 'x' AND low IS NOT NULL").await;
    assert!(plan.contains(r#"FROM "NAMES"."USERS" WHERE "ID" = … AND "Name" = … AND "low" IS NOT NULL"#), "{plan}");
    let listed = shown(&ctx, "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = 'NAMES'").await;
    assert!(listed.contains("| NAMES        | USERS      |"), "{listed}");
}

const TABLE: &str = "CREATE TABLE T (ID NUMBER(38,0) PRIMARY KEY, NAME VARCHAR(20) NOT NULL, PLAN VARCHAR DEFAULT 'free', PAID NUMBER(12,2), \
     SEEN TIMESTAMP_NTZ, V VARIANT)";

#[tokio::test(flavor = "multi_thread")]
async fn a_write_appends_replaces_or_upserts_in_one_statement_and_leaves_no_staging_table() {
    let Some(server) = snowflake() else { return };
    let mut peer = server.schema("WRITES", &[TABLE]);
    let ctx = server.session();
    let written =
        shown(&ctx, "INSERT INTO wh.writes.t (id, name, paid, v) VALUES (1, 'ann', 1.50, '{\"a\":1}'), (2, 'bob', NULL, NULL)").await;
    assert!(written.contains("| 2     |"), "{written}");
    assert_eq!(peer.rows("SELECT * FROM T ORDER BY ID"), "(1,ann,free,1.50,,{\"a\":1}) (2,bob,free,,,)");
    rows(&ctx, "REPLACE INTO wh.writes.t (id, name) VALUES (2, 'x'), (3, 'cid'), (2, 'Bob')").await.unwrap();
    assert_eq!(peer.rows("SELECT ID, NAME, PLAN FROM T ORDER BY ID"), "(1,ann,free) (2,Bob,free) (3,cid,free)");
    rows(&ctx, "INSERT OVERWRITE wh.writes.t (id, name, seen) SELECT id, upper(name), TIMESTAMP '1969-12-31T23:59:59.5' FROM wh.writes.t WHERE id < 3").await.unwrap();
    let seen = "1969-12-31T23:59:59.500";
    assert_eq!(peer.rows("SELECT ID, NAME, SEEN FROM T ORDER BY ID"), format!("(1,ANN,{seen}) (2,BOB,{seen})"));
    assert!(shown(&ctx, "INSERT INTO wh.writes.t (id, name) SELECT 9, 'x' WHERE false").await.contains("| 0     |"));
    assert_eq!(staging(&mut peer, "WRITES"), "(0)");
    let plan = shown(&ctx, "EXPLAIN REPLACE INTO wh.writes.t (id, name) SELECT 1, 'x'").await;
    for step in [
        r#"CREATE TRANSIENT TABLE "WRITES"."CLEVERTAP_STAGE_ROWS" AS SELECT"#,
        r#"MERGE INTO "WRITES"."T" AS t USING (SELECT"#,
        r#"QUALIFY ROW_NUMBER() OVER (PARTITION BY "C0" ORDER BY "CLEVERTAP_ROW" DESC) = 1"#,
    ] {
        assert!(plan.contains(step), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_or_fails_leaves_the_table_as_it_was() {
    let Some(server) = snowflake() else { return };
    let mut peer = server.schema("FAILS", &[TABLE, "INSERT INTO T (ID, NAME) VALUES (1, 'old')"]);
    let ctx = server.session();
    for (source, problem) in [
        ("SELECT 2, 'a name of more than twenty characters'", "row 1 of the source: \"name\" has more than 20 characters"),
        ("SELECT 2, NULL::varchar", "row 1 of the source: \"name\" is NULL, and the column is NOT NULL"),
        ("SELECT value, CAST(1 / (2000 - value) AS varchar) FROM range(2, 3000)", "Divide by zero"),
    ] {
        for write in ["INSERT INTO", "INSERT OVERWRITE", "REPLACE INTO"] {
            let error = refusal(&ctx, &format!("{write} wh.fails.t (id, name) {source}")).await;
            assert!(error.contains(problem), "{write}: {error}");
        }
    }
    let far = "arrow_cast('9999-12-31T00:00:00', 'Timestamp(Microsecond, None)')";
    let error = refusal(&ctx, &format!("INSERT INTO wh.fails.t (id, name, seen) SELECT 2, 'x', {far}")).await;
    assert!(error.contains("row 1 of the source: \"seen\" is a date that TIMESTAMP_NTZ"), "{error}");
    assert_eq!(peer.rows("SELECT ID, NAME FROM T"), "(1,old)");
    assert_eq!(staging(&mut peer, "FAILS"), "(0)");
    let read = session_of(server.settings().with_access(Access::Read));
    assert!(refusal(&read, "INSERT INTO wh.fails.t (id, name) VALUES (2, 'x')").await.contains("has access \"read\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_that_nanoseconds_do_not_reach_is_an_error_and_not_another() {
    let Some(server) = snowflake() else { return };
    let settings =
        |server: &Snowflake| server.settings().with_option("adbc.snowflake.sql.client_option.max_timestamp_precision", "microseconds");
    server.schema(
        "FAR",
        &[
            "CREATE TABLE T (ID INT, AT_ TIMESTAMP_NTZ)",
            "INSERT INTO T VALUES (1, '9999-12-31 00:00:00'), (2, NULL), (3, '0001-01-01 00:00:00')",
        ],
    );
    let error = refusal(&server.session(), "SELECT at_ FROM wh.far.t").await;
    assert!(error.contains("wh.FAR.T: an instant is before 1677 or after 2262; the option") && error.ends_with("[DB-203]"), "{error}");
    let read = shown(&session_of(settings(server)), "SELECT id, at_ FROM wh.far.t ORDER BY id").await;
    assert!(
        read.contains("| 1  | 9999-12-31T00:00:00 |")
            && read.contains("| 2  |                     |")
            && read.contains("| 3  | 0001-01-01T00:00:00 |"),
        "{read}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_made_with_names_that_need_no_quotes() {
    let Some(server) = snowflake() else { return };
    let mut peer = server.schema("MADE", &["CREATE TABLE OTHER (ID INT)"]);
    let ctx = session_of(server.settings().with_create(true));
    let source = ctx.sql("SELECT 1 AS id, 'ann' AS \"Full name\", 1.50::decimal(20, 2) AS paid, true AS yes").await.unwrap();
    source.write_table("wh.made.t", DataFrameWriteOptions::new()).await.unwrap();
    assert_eq!(peer.rows("SELECT ID, \"Full name\", PAID, YES FROM MADE.T"), "(1,ann,1.50,true)");
    assert!(shown(&ctx, "SELECT id, paid FROM wh.made.t").await.contains("| 1  | 1.50 |"));
    assert_eq!(staging(&mut peer, "MADE"), "(0)");
}
