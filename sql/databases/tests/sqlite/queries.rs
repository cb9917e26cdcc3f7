//! `database_query`, tables that an INSERT makes, and what `check` finds.

use clevertap_databases::{Access, Database, DatabasesSql, Verdict};
use datafusion::prelude::SessionContext;

use crate::{File, refusal, rows, session, shown};

const TABLES: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, paid DECIMAL(10, 2), r REAL, day DATE);
     INSERT INTO t VALUES (1, 'ann', 1.5, 0.5, '2026-01-31'), (2, 'bob', 2, NULL, NULL), (3, NULL, NULL, 1e9, 'soon')";

#[tokio::test(flavor = "multi_thread")]
async fn a_query_in_the_databases_own_sql_is_a_table_with_the_types_that_it_declares() {
    let file = File::new(TABLES);
    let ctx = session(file.settings().with_access(Access::Read));
    let query = "database_query('shop', 'SELECT id, name, paid, r, day, CAST(count(*) OVER () AS INTEGER) AS n, id + 1 AS more FROM t ORDER BY id; -- all')";
    let types = shown(
        &ctx,
        &format!("SELECT arrow_typeof(id) i, arrow_typeof(paid) p, arrow_typeof(r) r, arrow_typeof(n) n, arrow_typeof(more) m FROM {query} LIMIT 1"),
    )
    .await;
    assert!(types.contains("| Int64 | Decimal128(10, 2) | Float64 | Int64 | Utf8 |"), "{types}");
    let answer = shown(&ctx, &format!("SELECT * FROM {query} q JOIN shop.main.t t ON t.id = q.id WHERE q.name = 'ann'")).await;
    assert!(answer.contains("| 1  | ann  | 1.50 | 0.5 | 2026-01-31 | 3 | 2    | 1  | ann  |"), "{answer}");
    assert!(shown(&ctx, &format!("SELECT count(*) AS n FROM {query}")).await.contains("| 3 |"));
    let plan = shown(&ctx, "EXPLAIN SELECT name FROM database_query('shop', 'SELECT * FROM t WHERE name = ''ann'' AND id < 41')").await;
    assert!(plan.contains("DatabaseScanExec: table=shop.database_query, sql=SELECT * FROM t WHERE name = … AND id < …"), "{plan}");
    assert!(!plan.contains("ann") && !plan.contains("41"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_is_refused_and_changes_nothing() {
    let file = File::new(TABLES);
    let ctx = file.session();
    for text in [
        "DELETE FROM t",
        "DELETE FROM t RETURNING id",
        "SELECT 1; DELETE FROM t",
        "SELECT 1) ; DELETE FROM t; SELECT (1",
        "DROP TABLE t",
        "PRAGMA journal_mode = WAL",
        "ATTACH 'other.db' AS other",
        "VACUUM",
        "BEGIN",
        "SELEC hush",
        "",
    ] {
        let error = refusal(&ctx, &format!("SELECT * FROM database_query('shop', '{}')", text.replace('\'', "''"))).await;
        assert!(error.contains("shop.database_query") && error.contains("[DB-201]") && !error.contains("hush"), "{text}: {error}");
    }
    assert_eq!(file.rows("id", "t"), "(1) (2) (3)");
    for (sql, why) in [
        ("SELECT * FROM database_query('shop', 'SELECT id, id FROM t')", "two columns \"id\"; AS in it gives one another name"),
        ("SELECT * FROM database_query('shop', 'SELECT ?')", "has parameters"),
        (
            "SELECT * FROM database_query('shop', 'SELECT moon FROM t')",
            "a column of the query is not there; a text stands in single quotes",
        ),
        ("SELECT * FROM database_query('shp', 'SELECT 1')", "no database \"shp\" is attached; these are: shop"),
        ("SELECT * FROM database_query('shop')", "takes a database and a query, both in quotes"),
        ("SELECT * FROM database_query('shop', 1)", "takes a database and a query, both in quotes"),
    ] {
        let error = refusal(&ctx, sql).await;
        assert!(error.contains(why), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_detached_is_gone_for_new_statements_and_there_for_planned_ones() {
    let file = File::new(TABLES);
    let ctx = file.session();
    let planned = ctx.sql("SELECT count(*) AS n FROM shop.main.t").await.unwrap();
    assert!(Database::detach(&ctx, "shop").is_some());
    assert!(Database::attached(&ctx, "shop").is_none() && Database::detach(&ctx, "shop").is_none());
    assert_eq!(planned.count().await.unwrap(), 1);
    refusal(&ctx, "SELECT * FROM shop.main.t").await;
    let error = refusal(&ctx, "SELECT * FROM database_query('shop', 'SELECT 1')").await;
    assert!(error.contains("no database \"shop\" is attached"), "{error}");
    let listed = shown(&ctx, "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'shop'").await;
    assert!(!listed.contains("| t "), "{listed}");
    Database::open(file.settings()).unwrap().register(&ctx);
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.main.t").await.contains("| 3 |"));
}

async fn refused(ctx: &SessionContext, sql: &str) -> String {
    match ctx.databases_sql(sql).await {
        Ok(frame) => frame.collect().await.expect_err(sql).to_string(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_makes_a_table_that_is_not_there_and_names_it_as_the_source_does() {
    let file = File::new("");
    let ctx = session(file.settings().with_create(true));
    let run = async |sql: &str| ctx.databases_sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).collect().await.unwrap();
    let plan = run("EXPLAIN INSERT INTO shop.main.made SELECT 1 AS id, 'ann' AS \"Name\"").await;
    let plan = arrow::util::pretty::pretty_format_batches(&plan).unwrap().to_string();
    assert!(plan.contains("CREATE TABLE \"main\".\"made\" (\"id\" INTEGER, \"Name\" TEXT)"), "{plan}");
    assert!(refusal(&ctx, "SELECT * FROM shop.main.made").await.contains("not there yet"));
    run("INSERT INTO shop.main.made SELECT 1 AS id, 'ann' AS \"Name\"").await;
    run("INSERT INTO shop.main.made VALUES (2, 'bob')").await;
    assert_eq!(file.rows("id, \"Name\"", "made"), "(1,ann) (2,bob)");
    run("INSERT INTO shop.main.listed (id, day) VALUES (1, DATE '2026-01-31')").await;
    assert_eq!(file.rows("id, day", "listed"), "(1,2026-01-31)");
    run("INSERT OVERWRITE shop.main.counted SELECT \"Name\" AS name, count(*) AS n FROM shop.main.made GROUP BY 1").await;
    assert_eq!(file.rows("name, n", "counted"), "(ann,1) (bob,1)");

    for (sql, why) in [
        ("INSERT INTO shop.main.x VALUES (1)", "the source's column 1 has no name of its own"),
        ("INSERT INTO shop.main.x SELECT id, count(*) FROM shop.main.made GROUP BY id", "the source's column 2 has no name of its own"),
        ("INSERT INTO shop.main.x SELECT a.id, b.id FROM shop.main.made a, shop.main.made b", "two columns \"id\""),
        ("INSERT INTO shop.main.x (a) SELECT 1 AS a, 2 AS b", "lists 1 columns, and its source has 2"),
        ("REPLACE INTO shop.main.x SELECT 1 AS id", "SET database.upsert_key = 'id' names its columns"),
        ("INSERT INTO shop.main.x SELECT 1 / 0 AS id", "ivide by zero"),
    ] {
        let error = refused(&ctx, sql).await;
        assert!(error.contains(why), "{sql}: {error}");
        assert!(refusal(&ctx, "SELECT * FROM shop.main.x").await.contains("not there yet"), "{sql}");
    }
    // The remedies.
    run("INSERT INTO shop.main.x SELECT id, count(*) AS \"name\" FROM shop.main.made GROUP BY id").await;
    run("SET database.upsert_key = 'id'").await;
    run("REPLACE INTO shop.main.y SELECT 1 AS id, 'a' AS name UNION ALL SELECT 1, 'b' UNION ALL SELECT 2, 'c' ORDER BY name").await;
    assert_eq!(file.rows("id, name", "y"), "(1,b) (2,c)");
    run("REPLACE INTO shop.main.y SELECT 2 AS id, 'd' AS name").await;
    assert_eq!(file.rows("id, name", "y"), "(1,b) (2,d)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_not_made_unless_that_was_asked_for() {
    let file = File::new("CREATE TABLE t (id INTEGER)");
    let insert = "INSERT INTO shop.main.typo SELECT 1 AS id";
    let error = refused(&file.session(), insert).await;
    assert!(error.contains("shop.main.typo is not there; create = true lets an INSERT make it"), "{error}");
    let reader = session(file.settings().with_access(Access::Read));
    let error = refused(&reader, insert).await;
    assert!(error.contains("with access = \"write\" and create = true an INSERT makes it"), "{error}");
    // Everything else is as `sql` has it.
    file.session().databases_sql("INSERT INTO shop.main.t VALUES (1)").await.unwrap().collect().await.unwrap();
    assert!(rows(&file.session(), "SELECT * FROM shop.main.t").await.unwrap()[0].num_rows() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_is_there_and_what_may_be_done() {
    let file =
        File::new("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE u (a TEXT); CREATE TABLE clevertap_stage_old (a TEXT)");
    let check = async |settings, table| Database::open(settings).unwrap().check(table).await.unwrap();
    let found = check(file.settings(), Some("main.t")).await;
    let lines: Vec<_> = found.iter().map(|finding| format!("{:?} {}: {}", finding.verdict, finding.what, finding.says)).collect();
    assert!(lines[0].starts_with("Good reached: SQLite file ") && lines[0].ends_with(" ms"), "{lines:?}");
    assert!(lines[1].starts_with("Good server: SQLite 3."), "{lines:?}");
    assert_eq!(
        lines[2..],
        [
            "Good rights: 3 tables and views are seen; the file can be written",
            "Open staging: 1 are left of earlier writes: clevertap_stage_old; DROP TABLE in the database takes them away",
            "Good access: read and write; tables that are missing are not made",
            "Good table: shop.main.t is a table of 2 columns",
            "Good key: id",
        ]
    );
    let found = check(file.settings(), Some("main.u")).await;
    assert!(found.iter().any(|finding| finding.what == "key" && finding.verdict == Verdict::Open));
    let found = check(file.settings(), Some("main.nowhere")).await;
    assert_eq!(found.last().map(|finding| finding.verdict), Some(Verdict::Refused));
    let gone = clevertap_databases::DatabaseSettings::new("shop", "sqlite:/nowhere/shop.db").unwrap();
    let found = check(gone, None).await;
    assert!(matches!(found.as_slice(), [only] if only.what == "reached" && only.verdict == Verdict::Refused), "{found:?}");
    let database = Database::open(file.settings()).unwrap();
    assert!(database.check(Some("t")).await.unwrap_err().to_string().contains("for example public.orders"));
    // Nothing was changed.
    assert_eq!(file.rows("name", "sqlite_schema WHERE type <> 'index'"), "(clevertap_stage_old) (t) (u)");
}
