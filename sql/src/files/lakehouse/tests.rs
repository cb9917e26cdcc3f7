//! Tables of Delta Lake and Iceberg by their path.

use super::super::test_files::Files;
use crate::{
    config::{AccountFlags, Config, FoundFile, Origin},
    engine::session::{Session, SessionSettings},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_a_log_is_a_table_and_its_files_are_none() {
    let files = Files::new(&[("lake/note.txt", b"x")]);
    assert!(
        files
            .run("CREATE EXTERNAL TABLE t (id BIGINT, p VARCHAR) STORED AS DELTA PARTITIONED BY (p) LOCATION '@/lake/users'")
            .await
            .is_empty()
    );
    files.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')").await;
    files.run("INSERT OVERWRITE t VALUES (3, 'a')").await;
    // Removed rows are still in the folder's files.
    for place in ["@/lake/users/", "@/lake/users", "file://@/lake/users/"] {
        assert!(files.run(&format!("SELECT * FROM '{place}'")).await.contains('3'), "{place}");
        let count = files.run(&format!("SELECT count(*) AS n FROM '{place}'")).await;
        assert!(count.ends_with('1'), "{place}: {count}");
    }
    files.run("INSERT INTO '@/lake/users/' VALUES (4, 'c')").await;
    files.run("SET database.upsert_key = 'id'").await;
    files.run("REPLACE INTO '@/lake/users/' VALUES (4, 'd'), (5, 'e')").await;
    let count = files.run("SELECT count(*) AS n, max(p) AS p FROM t").await;
    assert!(count.contains('3') && count.contains('e'), "{count}");
    for statement in [
        "SELECT * FROM '@/lake/users/p=a/'",
        "SELECT * FROM '@/lake/users/*.parquet'",
        "SELECT * FROM '@/lake/users/**/*.parquet'",
        "SELECT * FROM '@/lake/**/*.parquet'",
        "SELECT * FROM '@/lake/users/_delta_log/'",
        "SELECT * FROM '@/lake/users/_delta_log/00000000000000000000.json'",
        "COPY (SELECT 1 AS id) TO '@/lake/users/x.parquet'",
        "COPY (SELECT 1 AS id) TO '@/lake/users/' STORED AS PARQUET OPTIONS (append true)",
        "COPY (SELECT 1 AS id) TO '@/lake/users/p=a/' STORED AS PARQUET",
        "EXPLAIN COPY (SELECT 1 AS id) TO '@/lake/users/x.csv'",
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '@/lake/users/'",
        "CREATE EXTERNAL TABLE x (id BIGINT) STORED AS CSV LOCATION '@/lake/users/p=a/'",
    ] {
        let told = files.run(statement).await;
        assert!(told.contains("Delta table"), "{statement}: {told}");
    }
    assert!(files.run("SELECT * FROM '@/lake/users/p=a/'").await.contains("FROM '…/users/'"));
    files.run("COPY (SELECT 1 AS id) TO '@/lake/other/' STORED AS PARQUET").await;
    assert!(files.run("SELECT count(*) AS n FROM '@/lake/other/'").await.ends_with('1'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_the_configuration_sees_each_commit() {
    let files = Files::new(&[]);
    files.run("CREATE EXTERNAL TABLE t (id BIGINT) STORED AS DELTA LOCATION '@/users'").await;
    let text = "[files]\nusers = 'users/'\n".into();
    let file = FoundFile { shown: "clevertap.toml".into(), origin: Origin::Named, folder: files.path().into(), text };
    let Config { files: views, .. } = Config::of_file(Some(file), &AccountFlags::default(), &|_| None).unwrap();
    let session = Session::with(SessionSettings { files: views, ..SessionSettings::default() }, None).unwrap();
    session.rows("CREATE VIEW big AS SELECT id FROM users WHERE id > 1").await.unwrap();
    for id in 1..=3 {
        files.run(&format!("INSERT INTO t VALUES ({id})")).await;
        assert_eq!(session.count("SELECT count(*) FROM users").await.unwrap(), id);
        assert_eq!(session.count("SELECT count(*) FROM big").await.unwrap(), id - 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iceberg_table_is_refused() {
    let files = Files::new(&[
        ("ice/metadata/00000-5f.metadata.json", b"{}"),
        ("ice/data/x.parquet", b"x"),
        ("plain/metadata/note.json", b"{\"a\":1}"),
        ("plain/x.csv", b"id\n1\n"),
    ]);
    for statement in [
        "SELECT * FROM '@/ice/'",
        "SELECT * FROM '@/ice/data/'",
        "SELECT * FROM '@/ice/data/*.parquet'",
        "COPY (SELECT 1 AS id) TO '@/ice/data/y.parquet'",
    ] {
        let told = files.run(statement).await;
        assert!(told.contains("ice is an Iceberg table, which this program neither reads nor writes"), "{statement}: {told}");
    }
    assert!(files.run("SELECT id FROM '@/plain/x.csv'").await.ends_with('1'));
}
