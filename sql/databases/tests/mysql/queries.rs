//! `database_query`, tables that an INSERT makes, and what `check` finds.

use clevertap_databases::{Access, Database, DatabaseSettings, DatabasesSql, Finding, Password, Verdict};

use crate::server::{refusal, rows, server, session, session_of, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_query_in_the_databases_own_sql_is_a_table_with_the_types_that_it_says() {
    let Some(server) = server() else { return };
    server.schema(
        "asked",
        "CREATE TABLE t (id bigint unsigned PRIMARY KEY, plan enum('free', 'gold'), paid decimal(10, 2), f float, d date, at timestamp(6), dt datetime, took time,
             doc json, raw varbinary(5), y year, b tinyint(1));
         INSERT INTO t SELECT seq, 'gold', seq / 3, 0.5, '2026-01-31', '2026-01-31 09:00:00', '2026-01-31 10:00:00', '26:00:01', '{\"a\": 1}', 'xy', 2026, 1
         FROM seq_1_to_3000",
    );
    let ctx = session(&server.url(), Access::Read);
    let query = "database_query('shop', 'SELECT t.*, COUNT(*) OVER () AS n, SUM(paid) OVER () AS total, NULL AS nothing FROM asked.t ORDER BY id # all')";
    let types = shown(
        &ctx,
        &format!(
            "SELECT arrow_typeof(id) a, arrow_typeof(plan) b, arrow_typeof(paid) c, arrow_typeof(f) d, arrow_typeof(at) e, arrow_typeof(dt) f,
                 arrow_typeof(took) g, arrow_typeof(raw) h, arrow_typeof(n) i, arrow_typeof(total) j FROM {query} LIMIT 1"
        ),
    )
    .await;
    assert!(
        types.contains("| UInt64 | Utf8 | Decimal128(10, 2) | Float32 | Timestamp(µs, \"UTC\") | Timestamp(µs) | Utf8 | Binary | Int64 | Decimal128(32, 2) |"),
        "{types}"
    );
    let first = shown(&ctx, &format!("SELECT * FROM {query} WHERE id = 1")).await;
    assert!(
        first.contains(
            "| 1  | gold | 0.33 | 0.5 | 2026-01-31 | 2026-01-31T09:00:00Z | 2026-01-31T10:00:00 | 26:00:01 | {\"a\": 1} | 7879 | 2026 | 1 |"
        ),
        "{first}"
    );
    assert!(shown(&ctx, &format!("SELECT count(*) AS n, count(DISTINCT id) AS d FROM {query}")).await.contains("| 3000 | 3000 |"));
    // The order of a query without a TIME is its own.
    let ordered = shown(&ctx, "SELECT id FROM database_query('shop', 'SELECT id FROM asked.t ORDER BY id DESC') LIMIT 1").await;
    assert!(ordered.contains("| 3000 |"), "{ordered}");
    let plan =
        shown(&ctx, "EXPLAIN SELECT id FROM database_query('shop', 'SELECT id FROM asked.t WHERE plan = \"hush\" AND id > 41')").await;
    assert!(plan.contains("sql=SELECT id FROM asked.t WHERE plan = … AND id > …") && !plan.contains("hush"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_is_refused_and_changes_nothing() {
    let Some(server) = server() else { return };
    server.schema("noquery", "CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    let ctx = server.session();
    for text in [
        "DELETE FROM noquery.t",
        "DELETE FROM noquery.t RETURNING id",
        "SELECT 1; DELETE FROM noquery.t",
        "SELECT 1) AS q; DELETE FROM noquery.t; SELECT (1",
        "DROP TABLE noquery.t",
        "CREATE TABLE noquery.u (id int)",
        "TRUNCATE noquery.t",
        "SELECT id FROM noquery.t INTO OUTFILE 'x'",
        "SHOW TABLES",
        "SELEC 'hush'",
        "",
    ] {
        let error = refusal(&ctx, &format!("SELECT * FROM database_query('shop', '{}')", text.replace('\'', "''"))).await;
        assert!(error.contains("shop.database_query") && !error.contains("hush"), "{text}: {error}");
    }
    assert_eq!(
        server.run("SELECT count(*) FROM noquery.t; SELECT count(*) FROM information_schema.tables WHERE table_schema = 'noquery'"),
        "1 1"
    );
    for (text, why) in [
        ("SELECT nothing FROM noquery.t", "Unknown column 'nothing'"),
        ("SELECT * FROM noquery.moon", "'noquery.moon' doesn't exist"),
        ("SELECT ?", "has parameters"),
        ("SELECT id, id FROM noquery.t", "two columns \"id\""),
    ] {
        let error = refusal(&ctx, &format!("SELECT * FROM database_query('shop', '{text}')")).await;
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_makes_a_table_that_is_not_there() {
    let Some(server) = server() else { return };
    server.schema("made", "");
    let settings = DatabaseSettings::new("shop", &server.url()).unwrap().with_access(Access::Write).with_create(true);
    let ctx = session_of(settings);
    let run = async |sql: &str| ctx.databases_sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).collect().await;
    run("INSERT INTO shop.made.t SELECT 1 AS id, 1.50::decimal(10, 2) AS paid, 'ann' AS \"Name\"").await.unwrap();
    assert_eq!(server.run("SELECT * FROM made.t"), "1,1.50,ann");
    rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
    // Texts that differ are two keys, whatever the collation of the server is.
    run("REPLACE INTO shop.made.u SELECT 'a' AS id, 1 AS n UNION ALL SELECT 'A', 2").await.unwrap();
    run("REPLACE INTO shop.made.u SELECT 'a' AS id, 3 AS n").await.unwrap();
    assert_eq!(server.run("SELECT * FROM made.u ORDER BY n"), "A,2 a,3");
    run("INSERT INTO shop.made.half SELECT 10 / (3000 - value) AS id FROM range(1, 4000)").await.unwrap_err();
    assert_eq!(server.run("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'made'"), "2");
}

fn said(found: &[Finding], what: &str) -> String {
    let line = |finding: &Finding| format!("{:?}: {}", finding.verdict, finding.says);
    found.iter().find(|finding| finding.what == what).map(line).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_is_there_and_what_may_be_done() {
    let Some(server) = server() else { return };
    server.schema(
        "tried",
        "CREATE TABLE t (id int PRIMARY KEY, name text); CREATE TABLE u (a text); CREATE TABLE clevertap_stage_old (a text)",
    );
    let check = async |user: &str, access, table| {
        let url = server.url().replace("test@", &format!("{user}@")).replace("/mysql", "/tried");
        let password = (user == "locked").then(|| Password::new("right horse"));
        let settings = DatabaseSettings::new("shop", &url).unwrap().with_access(access).with_password(password);
        Database::open(settings).unwrap().check(table).await.unwrap()
    };
    let found = check("test", Access::Write, Some("tried.t")).await;
    assert!(said(&found, "reached").starts_with(&format!("Good: 127.0.0.1:{} in ", server.port)), "{found:?}");
    assert!(said(&found, "login").starts_with("Good: as test@"), "{found:?}");
    assert_eq!(said(&found, "TLS"), "Good: off, on this machine");
    assert!(said(&found, "server").starts_with("Good: MariaDB "), "{found:?}");
    assert!(said(&found, "rights").contains("temporary tables may be made"), "{found:?}");
    assert!(said(&found, "local_infile").contains("on; rows go by LOAD DATA LOCAL"), "{found:?}");
    assert!(said(&found, "clock").starts_with("Good: "), "{found:?}");
    assert!(said(&found, "staging").contains("tried.clevertap_stage_old; DROP TABLE"), "{found:?}");
    assert_eq!(said(&found, "key"), "Good: id");
    assert_eq!(found.last().map(|finding| finding.says.as_str()), Some("SELECT, INSERT, UPDATE, DELETE"));
    assert_eq!(server.run("SELECT count(*) FROM tried.t"), "0");

    let rights = check("locked", Access::Read, Some("tried.t")).await.pop();
    assert_eq!(rights.map(|finding| (finding.verdict, finding.says)), Some((Verdict::Good, "SELECT".into())));
    let found = check("locked", Access::Write, Some("tried.t")).await;
    assert!(said(&found, "rights").starts_with("Open: ") && said(&found, "rights").contains("GRANT CREATE TEMPORARY TABLES"), "{found:?}");
    let last = found.last().unwrap();
    assert_eq!(
        (last.verdict, last.says.as_str()),
        (Verdict::Refused, "SELECT; INSERT, UPDATE, DELETE is missing: GRANT it in the database")
    );
    let found = check("nobody_of_this_name", Access::Read, None).await;
    assert_eq!(
        found.iter().map(|finding| (finding.what, finding.verdict)).collect::<Vec<_>>(),
        [("reached", Verdict::Good), ("login", Verdict::Refused)]
    );
}
