//! Writes: append, replace, upsert, of partitions; what does not fit; two writers.

use std::fs;
use std::path::Path;

use datafusion::common::runtime::SpawnedTask;

use crate::{Folder, external, refusal, rows, session, shown, statement};

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_takes_the_last_of_each_key_and_writes_no_row_that_is_the_same() {
    let folder = Folder::new();
    let ctx = folder.table("(id BIGINT, \"Name\" VARCHAR, n INT)").await;
    rows(&ctx, "INSERT INTO t VALUES (1, 'a', 1), (2, NULL, 2), (3, 'c', 3)").await.unwrap();
    rows(&ctx, "INSERT INTO t VALUES (4, 'd', 4)").await.unwrap();
    let error = refusal(&ctx, "REPLACE INTO t VALUES (1, 'x', 9)").await;
    assert!(error.contains("it has no primary key") && error.contains("SET database.upsert_key = 'id'"), "{error}");
    rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
    let counted = shown(&ctx, "REPLACE INTO t VALUES (1, 'x', 9), (5, 'e', 5), (1, 'y', 8), (2, NULL, 2), (5, NULL, 6)").await;
    assert!(counted.contains("| 5     |"), "{counted}");
    let expected = "+----+------+---+\n| id | Name | n |\n+----+------+---+\n| 1  | y    | 8 |\n| 2  |      | 2 |\n| 3  | c    | 3 |\n\
                    | 4  | d    | 4 |\n| 5  |      | 6 |\n+----+------+---+";
    assert_eq!(shown(&ctx, "SELECT * FROM t ORDER BY id").await, expected);
    // Of the rows that are there nothing is written again, and there is no commit.
    let (files, commits) = (folder.files(), folder.commits());
    rows(&ctx, "REPLACE INTO t SELECT * FROM t").await.unwrap();
    assert_eq!((folder.files(), folder.commits()), (files, commits));
    // Columns that are not listed stay.
    rows(&ctx, "REPLACE INTO t (id, n) VALUES (3, 33), (6, 66)").await.unwrap();
    let listed = shown(&ctx, "SELECT * FROM t WHERE id IN (3, 6) ORDER BY id").await;
    assert!(listed.contains("| 3  | c    | 33 |") && listed.contains("| 6  |      | 66 |"), "{listed}");
    let error = refusal(&ctx, "REPLACE INTO t VALUES (7, 'x', 7), (NULL, 'x', 7)").await;
    assert!(error.contains("row 2 of the source: \"id\" which is of the key, is NULL"), "{error}");
    rows(&ctx, "SET database.upsert_key = 'id, Name'").await.unwrap();
    rows(&ctx, "REPLACE INTO t VALUES (1, 'y', 80), (1, 'z', 81)").await.unwrap();
    assert!(shown(&ctx, "SELECT count(*), sum(n) FROM t WHERE id = 1").await.contains("| 2        | 161      |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_a_key_is_the_last_of_the_source_over_many_batches() {
    let folder = Folder::new();
    let ctx = folder.table("(id BIGINT, n BIGINT) PARTITIONED BY (id)").await;
    rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
    for round in 0..3_i64 {
        let source = format!("SELECT value % 7 AS id, value + {round} AS n FROM range(0, 5000) ORDER BY value");
        rows(&ctx, &format!("REPLACE INTO t {source}")).await.unwrap();
        let last = format!("SELECT value % 7 AS id, max(value) + {round} AS n FROM range(0, 5000) GROUP BY 1 ORDER BY 1");
        assert_eq!(shown(&ctx, "SELECT id, n FROM t ORDER BY id").await, shown(&ctx, &last).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_is_of_all_or_of_the_partitions_that_the_source_has() {
    let folder = Folder::new();
    let ctx = folder.table("(id BIGINT, day DATE, plan VARCHAR) PARTITIONED BY (day, plan)").await;
    let all = "VALUES (1, DATE '2026-01-01', 'a'), (2, DATE '2026-01-01', 'b'), (3, DATE '2026-01-02', 'a'), (4, DATE '2026-01-02', NULL)";
    rows(&ctx, &format!("INSERT INTO t {all}")).await.unwrap();
    rows(&ctx, "SET database.overwrite = 'partitions'").await.unwrap();
    rows(&ctx, "INSERT OVERWRITE t VALUES (20, DATE '2026-01-01', 'b'), (40, DATE '2026-01-02', NULL), (50, DATE '2026-01-03', 'c')")
        .await
        .unwrap();
    let ids = async |ctx| shown(ctx, "SELECT string_agg(id::varchar, ',' ORDER BY id) AS ids FROM t").await;
    assert!(ids(&ctx).await.contains("| 1,3,20,40,50 |"), "{}", ids(&ctx).await);
    let commits = folder.commits();
    rows(&ctx, "INSERT OVERWRITE t SELECT * FROM t WHERE false").await.unwrap();
    assert_eq!(folder.commits(), commits);
    rows(&ctx, "SET database.overwrite = 'table'").await.unwrap();
    rows(&ctx, "INSERT OVERWRITE t SELECT id + 100, day, plan FROM t WHERE id < 30").await.unwrap();
    assert!(ids(&ctx).await.contains("| 101,103,120 |"), "{}", ids(&ctx).await);
    rows(&ctx, "INSERT OVERWRITE t SELECT * FROM t WHERE false").await.unwrap();
    assert_eq!(ctx.sql("SELECT * FROM t").await.unwrap().count().await.unwrap(), 0);
    let error = refusal(&ctx, "SET database.overwrite = 'some'").await;
    assert!(error.contains("is 'table' or 'partitions'"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_told_by_column_and_row_and_nothing_is_left() {
    let folder = Folder::new();
    let ctx = folder.table("(id BIGINT NOT NULL, i INT, d DECIMAL(5, 2), at TIMESTAMP, f REAL, p VARCHAR) PARTITIONED BY (p)").await;
    rows(&ctx, "INSERT INTO t (id) VALUES (0)").await.unwrap();
    let (files, commits) = (folder.files(), folder.commits());
    for (column, wrong, problem) in [
        ("id", "NULL::bigint", "is NULL, and the column is NOT NULL"),
        ("i", "3000000000", "is a number that integer cannot hold"),
        ("d", "1.23456::decimal(10, 5)", "has more than 2 digits behind the point"),
        ("d", "12345.6::decimal(10, 5)", "is a number that decimal(5,2) cannot hold"),
        ("at", "arrow_cast(1, 'Timestamp(Nanosecond, None)')", "has parts of a microsecond"),
        ("p", "''", "is an empty text, which Delta Lake reads as NULL"),
    ] {
        for write in ["INSERT INTO", "INSERT OVERWRITE"] {
            let columns = if column == "id" { "id".into() } else { format!("id, {column}") };
            let cell = format!("CASE WHEN value = 350 THEN {wrong} END");
            let cells = if column == "id" { "CASE WHEN value <> 350 THEN 1 END".into() } else { format!("1, {cell}") };
            let sql = format!("{write} t ({columns}) SELECT {cells} FROM range(0, 351) ORDER BY value");
            let error = refusal(&ctx, &sql).await;
            assert!(error.contains(&format!("row 351 of the source: \"{column}\" ")) && error.contains(problem), "{sql}: {error}");
        }
    }
    assert_eq!((folder.files(), folder.commits()), (files, commits));
    // A source that fails has written files before, which are removed.
    let error = refusal(&ctx, "INSERT INTO t (id) SELECT 10 / (4000 - value) FROM range(0, 5000)").await;
    assert!(error.to_lowercase().contains("divide by zero"), "{error}");
    assert_eq!((folder.files(), folder.commits()), (files, commits));
    let error = refusal(&ctx, "INSERT INTO t (id, nosuch) VALUES (1, 2)").await;
    assert!(error.contains("nosuch"), "{error}");
    let error = refusal(&ctx, "INSERT INTO t (i) VALUES (1)").await;
    assert!(error.contains("column \"id\" is NOT NULL and has no default; list it in the INSERT"), "{error}");
    for statement in ["DELETE FROM t", "UPDATE t SET i = 1", "TRUNCATE TABLE t"] {
        let error = refusal(&ctx, statement).await;
        assert!(error.contains("takes INSERT INTO, INSERT OVERWRITE and REPLACE INTO"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_of_the_table_hold_and_show_no_row() {
    let folder = Folder::new();
    let ctx = folder.table("(id BIGINT, name VARCHAR)").await;
    let log = Path::new(&folder.place()).join("_delta_log");
    let first = fs::read_to_string(log.join(format!("{:020}.json", 0))).unwrap();
    let metadata = first.lines().find(|line| line.contains("\"metaData\"")).unwrap();
    let constrained = metadata.replace(r#""configuration":{}"#, r#""configuration":{"delta.constraints.positive":"id > 0"}"#);
    assert_ne!(metadata, constrained);
    let protocol = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":3}}"#;
    fs::write(log.join(format!("{:020}.json", 1)), format!("{protocol}\n{constrained}\n")).unwrap();
    let (files, commits) = (folder.files(), folder.commits());
    rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
    for write in ["INSERT INTO", "INSERT OVERWRITE", "REPLACE INTO"] {
        let error = refusal(&ctx, &format!("{write} t VALUES (1, 'a'), (-1, 'ada@example.org')")).await;
        assert!(error.contains("breaks a CHECK constraint") && !error.contains("ada@"), "{write}: {error}");
        assert_eq!((folder.files(), folder.commits()), (files, commits), "{write}");
        rows(&ctx, &format!("EXPLAIN {write} t VALUES (1, 'a')")).await.unwrap();
    }
    rows(&ctx, "INSERT INTO t VALUES (1, 'a')").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_with_the_types_that_delta_has() {
    let (ctx, folder) = (session(), Folder::new());
    let place = folder.path("new").display().to_string();
    external(
        &ctx,
        "t",
        "(b BOOLEAN, s SMALLINT, i INT, l BIGINT, f REAL, d DOUBLE, n DECIMAL(38, 10), t VARCHAR NOT NULL, y BYTEA, day DATE, at TIMESTAMP, \
         z TIMESTAMP WITH TIME ZONE)",
        &place,
        "",
    )
    .await;
    let types = shown(&ctx, "SELECT arrow_typeof(at), arrow_typeof(z), arrow_typeof(n) FROM t RIGHT JOIN (VALUES (1)) v ON true").await;
    assert!(types.contains("Timestamp(µs)") && types.contains("UTC") && types.contains("Decimal128(38, 10)"), "{types}");
    for (column, remedy) in [
        ("u BIGINT UNSIGNED", "declare BIGINT, or DECIMAL(20, 0) for BIGINT UNSIGNED"),
        ("x TIME", "declare VARCHAR"),
        ("x INTERVAL", "declare VARCHAR"),
        ("x DECIMAL(50, 2)", "declare VARCHAR"),
    ] {
        let other = folder.path("other").display().to_string();
        let error = refusal(&ctx, &statement("u", &format!("({column})"), &other, "")).await;
        assert!(error.contains("which Delta Lake has not") && error.contains(remedy), "{column}: {error}");
        assert!(!Path::new(&other).exists());
    }
    let error = refusal(&ctx, &statement("u", "(id BIGINT)", &place, "")).await;
    assert!(error.contains("a Delta table is there, and has its own columns"), "{error}");
    let error = refusal(&ctx, &statement("u", "(id BIGINT) PARTITIONED BY (id)", &folder.path("p").display().to_string(), "")).await;
    assert!(error.contains("every column is in PARTITIONED BY"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_at_once_write_every_row_once_or_are_told() {
    let folder = Folder::new();
    let ctx = folder.table("(id BIGINT, n BIGINT)").await;
    let place = folder.place();
    let writers = (0..4_i64).map(|writer| {
        let place = place.clone();
        SpawnedTask::spawn(async move {
            let ctx = session();
            external(&ctx, "t", "", &place, "").await;
            rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
            let mut upserts = 0;
            for round in 0..5_i64 {
                rows(&ctx, &format!("INSERT INTO t SELECT {writer} * 1000 + {round} * 100 + value, 0 FROM range(0, 100)")).await.unwrap();
                // Of a key that all writers want.
                match rows(&ctx, &format!("REPLACE INTO t VALUES (-1, {writer})")).await {
                    Ok(_) => upserts += 1,
                    Err(error) => {
                        let error = error.to_string();
                        assert!(error.contains("another writer changed rows") && error.ends_with("[DB-303]"), "{error}");
                    }
                }
            }
            upserts
        })
    });
    let mut upserts = 0;
    for writer in futures::future::join_all(writers.map(SpawnedTask::join)).await {
        upserts += writer.unwrap();
    }
    assert!(upserts > 0);
    let found = shown(&ctx, "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE id = -1) FROM t").await;
    assert!(found.contains("| 2001     | 2001"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_make_one_table_are_one_and_one_error() {
    for _ in 0..10 {
        let folder = Folder::new();
        let (one, two) = (statement("t", "(id BIGINT)", &folder.place(), ""), statement("t", "(name VARCHAR)", &folder.place(), ""));
        let (a, b) = (session(), session());
        let (first, second) = tokio::join!(rows(&a, &one), rows(&b, &two));
        assert!(first.is_ok() || second.is_ok());
        if first.is_ok() && second.is_ok() {
            panic!("both made it");
        }
        assert_eq!(folder.commits(), 1);
    }
}
