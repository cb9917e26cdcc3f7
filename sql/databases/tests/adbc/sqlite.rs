//! SQLite by its ADBC driver: what stands for a driver whose types come from the values.

use clevertap_databases::{Access, DatabaseSettings};
use datafusion::dataframe::DataFrameWriteOptions;
use rusqlite::Connection;

use crate::server::{driver, refusal, rows, session_of, shown};

struct File(tempfile::TempDir);

impl File {
    fn new(sql: &str) -> Self {
        let file = Self(tempfile::tempdir().expect("a folder"));
        file.peer().execute_batch(sql).expect("its tables");
        file
    }

    fn path(&self) -> String {
        self.0.path().join("shop.db").display().to_string()
    }

    fn peer(&self) -> Connection {
        Connection::open(self.path()).expect("the file")
    }

    fn settings(&self, driver: &str) -> DatabaseSettings {
        DatabaseSettings::adbc("shop", driver).with_option("uri", self.path()).with_access(Access::Write)
    }

    fn rows(&self, columns: &str, table: &str) -> String {
        let sql =
            format!("SELECT coalesce(group_concat('(' || concat_ws(',', {columns}) || ')', ' ' ORDER BY {columns}), '') FROM {table}");
        self.peer().query_row(&sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_has_its_declared_type_whatever_its_first_values_are() {
    let Some(driver) = driver("sqlite") else { return };
    let file = File::new(
        "CREATE TABLE t (i INTEGER, r REAL, t TEXT, y BLOB, n NUMERIC); INSERT INTO t VALUES (1, 2, 'x', x'00ff', 7), (NULL, NULL, NULL, NULL, 1.5);
         CREATE TABLE none (i INTEGER, r REAL, t TEXT, y BLOB); INSERT INTO none VALUES (NULL, NULL, NULL, NULL);
         CREATE TABLE odd (i INTEGER, r REAL); INSERT INTO odd VALUES ('x', 1), (1, 1)",
    );
    let ctx = session_of(file.settings(&driver));
    let read =
        shown(&ctx, "SELECT arrow_typeof(i) AS i, arrow_typeof(r) AS r, arrow_typeof(t) AS t, arrow_typeof(y) AS y, n FROM shop.main.t")
            .await;
    assert!(read.contains("| Int64 | Float64 | Utf8 | Binary | 7.0 |") && read.contains("| 1.5 |"), "{read}");
    rows(&ctx, "SELECT i + 1, r + 1.5, t || 'x', y FROM shop.main.none").await.unwrap();
    let error = refusal(&ctx, "SELECT i FROM shop.main.odd").await;
    assert!(
        error.contains("shop.main.odd, row 1 of the answer: \"i\" came as Utf8 and is no Int64; a view")
            || error.contains("values of several types"),
        "{error}"
    );
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.main.t WHERE i = 1 AND t = 'x'").await.contains("| 1 |"));
    assert!(refusal(&ctx, "SELECT * FROM shop.main.nope").await.contains("not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_whole_or_not_at_all() {
    let Some(driver) = driver("sqlite") else { return };
    let file = File::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, r REAL CHECK (r < 100)); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2); CREATE TABLE n (x NUMERIC)",
    );
    let ctx = session_of(file.settings(&driver));
    rows(&ctx, "INSERT INTO shop.main.t (name, r) VALUES ('c', 3)").await.unwrap();
    rows(&ctx, "REPLACE INTO shop.main.t (id, name) VALUES (1, 'x'), (4, 'd'), (1, 'A')").await.unwrap();
    assert_eq!(file.rows("id, name, r", "t"), "(1,A,1.0) (2,b,2.0) (3,c,3.0) (4,d)");
    rows(&ctx, "INSERT OVERWRITE shop.main.t SELECT id, upper(name), r FROM shop.main.t WHERE id < 3").await.unwrap();
    assert_eq!(file.rows("id, name, r", "t"), "(1,A,1.0) (2,B,2.0)");
    for (source, problem) in [
        ("SELECT value, 'x', CAST(value AS double) AS r FROM range(10, 3000)", "a row breaks a constraint: r < 100"),
        ("SELECT value, CAST(1 / (1000 - value) AS varchar), 1.0 FROM range(10, 3000)", "Divide by zero"),
        ("SELECT 9, 'x', CAST('NaN' AS double)", "row 1 of the source: \"r\" is NaN, which SQLite stores as NULL; nanvl(…, NULL)"),
    ] {
        for write in ["INSERT INTO", "INSERT OVERWRITE", "REPLACE INTO"] {
            let error = refusal(&ctx, &format!("{write} shop.main.t {source}")).await;
            assert!(error.contains(problem), "{write}: {error}");
            assert_eq!(file.rows("id, name, r", "t"), "(1,A,1.0) (2,B,2.0)");
        }
    }
    let error = refusal(&ctx, "INSERT INTO shop.main.t VALUES (1, 'x', 1.0)").await;
    assert!(
        error
            .contains("a row breaks a constraint: t.id; REPLACE INTO changes rows whose key is there already (SQLite, Integrity). Nothing"),
        "{error}"
    );
    let error = refusal(&ctx, "INSERT INTO shop.main.n VALUES ('1')").await;
    assert!(error.contains("column \"x\" is NUMERIC, which is not written by this driver; url = \"sqlite:FILE\" instead"), "{error}");
    let native = DatabaseSettings::new("shop", &format!("sqlite:{}", file.path())).unwrap().with_access(Access::Write);
    rows(&session_of(native), "INSERT INTO shop.main.n VALUES ('1')").await.unwrap();
    let made = session_of(file.settings(&driver).with_create(true));
    made.sql("SELECT 1 AS id, 1.5::decimal(5, 2) AS d")
        .await
        .unwrap()
        .write_table("shop.main.made", DataFrameWriteOptions::new())
        .await
        .unwrap();
    assert_eq!(file.rows("id, d", "made"), "(1,1.50)");
}
