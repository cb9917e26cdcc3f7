//! Reads: versions, filters, one snapshot a statement, what is refused.

use std::fs;
use std::path::Path;

use crate::{Folder, external, refusal, rows, session, shown, statement};

#[tokio::test(flavor = "multi_thread")]
async fn a_version_or_an_instant_is_read_for_ever_and_the_latest_anew() {
    let folder = Folder::new();
    let ctx = folder.table("(id BIGINT NOT NULL, name VARCHAR)").await;
    rows(&ctx, "INSERT INTO t VALUES (1, 'a')").await.unwrap();
    let between = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    rows(&ctx, "INSERT INTO t VALUES (2, 'b')").await.unwrap();
    rows(&ctx, "INSERT OVERWRITE t VALUES (3, 'c')").await.unwrap();
    assert!(shown(&ctx, "SELECT * FROM t").await.contains("| 3  | c    |"));
    let place = folder.place();
    for (name, options, expected) in [
        ("v0", "OPTIONS (version '0')", 0),
        ("v1", "OPTIONS (version '1')", 1),
        ("v2", "OPTIONS ('version' '2')", 2),
        ("then", &format!("OPTIONS (timestamp '{between}')"), 1),
        ("later", "OPTIONS (timestamp '2100-01-01')", 1),
    ] {
        external(&ctx, name, "", &place, options).await;
        rows(&ctx, "INSERT INTO t VALUES (9, 'z')").await.unwrap();
        let expected = if name == "later" { 5 } else { expected };
        assert_eq!(ctx.sql(&format!("SELECT * FROM {name}")).await.unwrap().count().await.unwrap(), expected, "{name}");
    }
    let explained = shown(&ctx, "EXPLAIN SELECT name FROM v1 WHERE id = 1").await;
    assert!(explained.contains("DeltaSnapshotExec: table=") && explained.contains("version=1"), "{explained}");
    let error = refusal(&ctx, "INSERT INTO v1 VALUES (1, 'x')").await;
    assert!(error.contains("is read at version 1, and only the latest is written"), "{error}");
    for (options, problem) in [
        ("OPTIONS (version '99')", "has no version 99: its latest is"),
        ("OPTIONS (version 'x')", "is a whole number: OPTIONS (version '3')"),
        ("OPTIONS (timestamp '2001-01-01T00:00:00Z')", "had no version at 2001-01-01T00:00:00Z"),
        ("OPTIONS (timestamp 'yesterday')", "a day or an instant with its zone"),
        ("OPTIONS (version '1', timestamp '2100-01-01')", "takes one of version and timestamp"),
        ("OPTIONS (verzion '1')", "is not known; there are version and timestamp"),
    ] {
        let error = refusal(&ctx, &statement("x", "", &place, options)).await;
        assert!(error.contains(problem), "{options}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_limits_and_partitions_give_the_same_rows_as_a_table_in_memory() {
    let folder = Folder::new();
    let ctx = folder.table("(id BIGINT, name VARCHAR, x DOUBLE, day DATE, p VARCHAR) PARTITIONED BY (day, p)").await;
    rows(
        &ctx,
        "CREATE TABLE m AS SELECT value AS id, CASE WHEN value % 7 = 0 THEN NULL ELSE concat('n', value % 13) END AS name, value / 3.0 AS x, \
         DATE '2026-01-01' + (value % 4)::int AS day, CASE WHEN value % 5 = 0 THEN NULL ELSE concat('a/b=%', value % 3) END AS p \
         FROM range(0, 1000)",
    )
    .await
    .unwrap();
    for part in 0..4 {
        rows(&ctx, &format!("INSERT INTO t SELECT id, name, x, day, p FROM m WHERE id % 4 = {part}")).await.unwrap();
    }
    for condition in [
        "true",
        "id < 10",
        "p = 'a/b=%1'",
        "p IS NULL",
        "p <> 'a/b=%1' AND name IS NULL",
        "day = DATE '2026-01-02'",
        "day > DATE '2026-01-02' OR p = 'a/b=%2'",
        "name = 'n3' AND x > 100.0",
        "name LIKE 'n1%' AND p IN ('a/b=%0', 'a/b=%2')",
        "id BETWEEN 100 AND 200 AND day IN (DATE '2026-01-01', DATE '2026-01-04')",
        "id = -1",
        "coalesce(p, 'none') = 'none'",
    ] {
        let query = |table: &str| format!("SELECT id, name, x, day, p FROM {table} WHERE {condition} ORDER BY id");
        assert_eq!(shown(&ctx, &query("t")).await, shown(&ctx, &query("m")).await, "{condition}");
        let count = |table: &str| {
            format!("SELECT count(*) AS n, count(name) AS names, min(id) AS id, max(day) AS day FROM {table} WHERE {condition}")
        };
        assert_eq!(shown(&ctx, &count("t")).await, shown(&ctx, &count("m")).await, "{condition}");
    }
    for limit in [0, 1, 7, 1000, 2000] {
        let found = ctx.sql(&format!("SELECT id FROM t LIMIT {limit}")).await.unwrap().count().await.unwrap();
        assert_eq!(found, limit.min(1000));
    }
    let join = "SELECT count(*) FROM t JOIN m ON t.id = m.id WHERE m.name = 'n3'";
    assert_eq!(shown(&ctx, join).await, shown(&ctx, &join.replace("FROM t", "FROM m AS t")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_table_says_so() {
    let (ctx, folder) = (session(), Folder::new());
    let place = folder.path("none").display().to_string();
    let error = refusal(&ctx, &statement("x", "", &place, "")).await;
    assert!(error.contains("is no Delta table: there is no _delta_log/ in it"), "{error}");
    let error = refusal(&ctx, &statement("x", "", &format!("{place}/*.parquet"), "")).await;
    assert!(error.contains("a Delta table is a folder, and this is a pattern"), "{error}");
    let error = refusal(&ctx, &statement("x", "", "https://ada:secret@files.example.org/t/", "")).await;
    assert!(error.contains("is on a disk or in a bucket") && !error.contains("secret"), "{error}");
    let error = refusal(&ctx, &statement("x", "(id BIGINT)", &format!("{place}%20"), "")).await;
    assert!(error.contains("a Delta table's path has no %; rename its folder"), "{error}");
    fs::create_dir_all(&place).unwrap();
    fs::write(Path::new(&place).join("x.parquet"), "x").unwrap();
    let error = refusal(&ctx, &statement("x", "(id BIGINT)", &place, "")).await;
    assert!(error.contains("files are there, and no _delta_log/"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_changed_meanwhile_are_told() {
    let folder = Folder::new();
    let ctx = folder.table("(id BIGINT)").await;
    rows(&ctx, "INSERT INTO t VALUES (1)").await.unwrap();
    let log = Path::new(&folder.place()).join("_delta_log");
    let first = fs::read_to_string(log.join(format!("{:020}.json", 0))).unwrap();
    let metadata = first.lines().find(|line| line.contains("\"metaData\"")).unwrap();
    fs::write(log.join(format!("{:020}.json", 2)), metadata.replace(r#"\"name\":\"id\""#, r#"\"name\":\"key\""#)).unwrap();
    let error = refusal(&ctx, "SELECT * FROM t").await;
    assert!(error.contains("its columns are others since version 2"), "{error}");
    rows(&ctx, "DROP TABLE t").await.unwrap();
    external(&ctx, "t", "", &folder.place(), "").await;
    assert!(shown(&ctx, "SELECT * FROM t").await.contains("key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_the_library_cannot_read_or_write_are_refused_in_words() {
    for (features, read, write) in [
        (r#""minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["typeWidening"],"writerFeatures":["typeWidening"]"#, false, false),
        (r#""minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking","domainMetadata"]"#, true, false),
        (r#""minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["identityColumns"]"#, true, false),
        (r#""minReaderVersion":1,"minWriterVersion":2"#, true, true),
    ] {
        let folder = Folder::new();
        let ctx = folder.table("(id BIGINT)").await;
        let log = Path::new(&folder.place()).join("_delta_log");
        fs::write(log.join(format!("{:020}.json", 1)), format!("{{\"protocol\":{{{features}}}}}\n")).unwrap();
        let told = |error: String| {
            assert!(error.contains("not supported") || error.contains("nsupported"), "{features}: {error}");
            assert!(!error.contains("{:?}"), "{error}");
        };
        match read {
            true => drop(rows(&ctx, "SELECT * FROM t").await.unwrap()),
            false => told(refusal(&ctx, "SELECT * FROM t").await),
        }
        match write {
            true => drop(rows(&ctx, "INSERT INTO t VALUES (1)").await.unwrap()),
            false => told(refusal(&ctx, "INSERT INTO t VALUES (1)").await),
        }
    }
}
