//! Writes: append, replace, upsert, and what is left of those that fail.

use clevertap_databases::Access;
use datafusion::dataframe::DataFrameWriteOptions;
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{File, refusal, rows, session, shown};

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_appends_and_leaves_what_it_does_not_list_to_the_database() {
    let file = File::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, plan TEXT DEFAULT 'free', big TEXT AS (upper(name)));
         CREATE TABLE \"Tä \"\"b\"\" 😀\" (\"select\" TEXT, \"a\"\"b\" INTEGER)",
    );
    let ctx = file.session();
    assert!(shown(&ctx, "INSERT INTO shop.main.t (name) VALUES ('ann'), ('bob')").await.contains("| 2     |"));
    rows(&ctx, "INSERT INTO shop.main.t (name, plan) SELECT name, NULL FROM shop.main.t WHERE name = 'ann'").await.unwrap();
    assert_eq!(file.rows("id, name, plan, big", "t"), "(1,ann,free,ANN) (2,bob,free,BOB) (3,ann,ANN)");
    let error = refusal(&ctx, "INSERT INTO shop.main.t (id, name) VALUES (10, 'x'), (1, 'secret')").await;
    assert!(
        error.contains("a key that is there already, of t.id; REPLACE INTO changes such rows (SQLite 1555). Nothing was changed"),
        "{error}"
    );
    let error = refusal(&ctx, "INSERT INTO shop.main.t (plan) VALUES ('x')").await;
    assert!(error.contains("column \"name\" is NOT NULL and has no default"), "{error}");
    assert_eq!(file.rows("id", "t"), "(1) (2) (3)");
    let odd = "shop.main.\"Tä \"\"b\"\" 😀\"";
    rows(&ctx, &format!("INSERT INTO {odd} VALUES ('x', 1)")).await.unwrap();
    assert!(shown(&ctx, &format!("SELECT \"a\"\"b\" FROM {odd} WHERE \"select\" = 'x'")).await.contains("| 1   |"));
    let listed =
        shown(&ctx, "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'shop' AND table_schema = 'main'").await;
    assert!(listed.contains("| t ") && listed.contains("😀"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_takes_the_last_of_each_key_by_the_keys_own_collation() {
    let file = File::new(
        "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, name TEXT COLLATE NOCASE, n INTEGER DEFAULT 5);
         INSERT INTO t VALUES ('a', 'ann', 1), ('b', 'bob', 2);
         CREATE TABLE log (k TEXT); CREATE TRIGGER seen AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (new.k); END;
         CREATE TABLE u (email TEXT, name TEXT)",
    );
    let ctx = file.session();
    rows(&ctx, "REPLACE INTO shop.main.t (k, name) VALUES ('A', 'x'), ('a', 'Ann'), ('b', 'bob'), ('c', 'cid')").await.unwrap();
    assert_eq!(file.rows("k, name, n", "t"), "(a,Ann,1) (b,bob,2) (c,cid,5)");
    // A row that is the same is not written again.
    assert_eq!(file.rows("k", "log"), "(a) (a)");
    let error = refusal(&ctx, "REPLACE INTO shop.main.t (k, name) VALUES ('d', 'x'), (NULL, 'y')").await;
    assert!(error.contains("row 2 of the source: \"k\" which is of the key, is NULL"), "{error}");

    ctx.sql("SET database.upsert_key = 'email'").await.unwrap();
    let error = refusal(&ctx, "REPLACE INTO shop.main.u VALUES ('a@x', 'ann')").await;
    assert!(error.contains("no unique index has the columns of the key; CREATE UNIQUE INDEX in the database makes one"), "{error}");
    file.peer().execute_batch("CREATE UNIQUE INDEX u_email ON u (email)").unwrap();
    rows(&ctx, "REPLACE INTO shop.main.u VALUES ('a@x', 'ann'), ('a@x', 'eve')").await.unwrap();
    assert_eq!(file.rows("email, name", "u"), "(a@x,eve)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_keeps_rows_that_are_the_same_and_takes_the_others_away() {
    let file = File::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
         CREATE TABLE u AS SELECT * FROM t; CREATE TABLE log (id INTEGER, what TEXT);
         CREATE TRIGGER up AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (new.id, 'changed'); END;
         CREATE TRIGGER del AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.id, 'gone'); END",
    );
    let ctx = file.session();
    for table in ["t", "u"] {
        rows(
            &ctx,
            &format!(
                "INSERT OVERWRITE shop.main.{table} SELECT id, CASE id WHEN 2 THEN 'B' ELSE name END FROM shop.main.{table} WHERE id < 3"
            ),
        )
        .await
        .unwrap();
        assert_eq!(file.rows("id, name", table), "(1,a) (2,B)");
    }
    assert_eq!(file.rows("id, what", "log"), "(2,changed) (3,gone)");
    let plan = shown(&ctx, "EXPLAIN INSERT OVERWRITE shop.main.t SELECT 1, 'x'").await;
    assert!(plan.contains("mode=replace, key=[id]") && plan.contains("clevertap_stage_rows") && plan.contains("ON CONFLICT"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_anywhere_leaves_the_table_as_it_was() {
    let file = File::new("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'bad')); INSERT INTO t VALUES (-1, 'old')");
    let ctx = file.session();
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..20 {
        let write = ["INSERT INTO", "INSERT OVERWRITE", "REPLACE INTO"][rng.random_range(0..3)];
        let at = rng.random_range(1..3_000);
        let failing = [
            format!("SELECT value, CAST(10 / ({at} - value) AS varchar) FROM range(1, 3000)"),
            format!("SELECT value, CASE WHEN value = {at} THEN 'bad' ELSE 'good' END FROM range(1, 3000)"),
        ];
        refusal(&ctx, &format!("{write} shop.main.t {}", failing[rng.random_range(0..2)])).await;
        assert_eq!(file.rows("id, name", "t"), "(-1,old)");
    }
    let left: i64 = file.peer().query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'clevertap%'", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    let error = refusal(&ctx, "INSERT INTO shop.main.t VALUES (1, 'bad')").await;
    assert!(error.contains("a row breaks a constraint: name <> 'bad'"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_or_written_says_why() {
    let file = File::new("CREATE TABLE t (id INTEGER); PRAGMA journal_mode = WAL");
    let ctx = session(file.settings().with_access(Access::Read));
    let error = refusal(&ctx, "INSERT INTO shop.main.t VALUES (1)").await;
    assert!(error.contains("database \"shop\" has access \"read\"; set access = \"write\""), "{error}");
    let open = |path: &str| session(clevertap_databases::DatabaseSettings::new("shop", &format!("sqlite:{path}")).unwrap());
    let error = refusal(&open("/nowhere/shop.db"), "SELECT * FROM shop.main.t").await;
    assert!(error.contains("SQLite file /nowhere/shop.db: the file cannot be opened; look at its path and its rights"), "{error}");
    let text = file.folder.path().join("text.db");
    std::fs::write(&text, "no database at all, and long enough to be looked at as one".repeat(20)).unwrap();
    let error = refusal(&open(&text.display().to_string()), "SELECT * FROM shop.main.t").await;
    assert!(error.contains("the file is no SQLite database"), "{error}");
    // Readers of a WAL see whole states while another writes.
    let ctx = file.session();
    let peer = file.peer();
    peer.execute_batch("BEGIN; INSERT INTO t VALUES (1), (2)").unwrap();
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.main.t").await.contains("| 0 |"));
    peer.execute_batch("COMMIT").unwrap();
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.main.t").await.contains("| 2 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_dropped_ends() {
    let file = File::new(
        "CREATE VIEW v AS WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g) SELECT n FROM g WHERE n < 3 OR n > 1000000000000",
    );
    let ctx = file.session();
    let mut stream = ctx.sql("SELECT * FROM shop.main.v").await.unwrap().execute_stream().await.unwrap();
    let first = tokio::time::timeout(std::time::Duration::from_millis(300), stream.next()).await;
    assert!(first.is_err());
    // The runtime waits for its threads: without an end, so would this test.
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_made_if_that_was_asked_for() {
    let file = File::new("");
    let ctx = session(file.settings().with_create(true));
    let source = ctx
        .sql("SELECT 1 AS id, 'ann' AS name, 1.50::decimal(20, 2) AS paid, DATE '2026-01-31' AS day, true AS yes, 2.5::double AS r")
        .await
        .unwrap();
    source.write_table("shop.main.made", DataFrameWriteOptions::new()).await.unwrap();
    assert_eq!(file.rows("id, name, paid, day, yes, r", "made"), "(1,ann,1.50,2026-01-31,1,2.5)");
    let sql: String = file.peer().query_row("SELECT sql FROM sqlite_schema WHERE name = 'made'", [], |row| row.get(0)).unwrap();
    assert!(sql.contains("\"id\" INTEGER, \"name\" TEXT, \"paid\" TEXT, \"day\" TEXT, \"yes\" BOOLEAN, \"r\" REAL"), "{sql}");
}
