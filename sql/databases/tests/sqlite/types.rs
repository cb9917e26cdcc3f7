//! Types: what a column declares, and values that are of another.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{File, refusal, rows, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_column_is_read_by_its_declared_type() {
    let file = File::new(
        "CREATE TABLE t (i INTEGER, big BIGINT, r REAL, d DECIMAL(10, 2), t TEXT, v VARCHAR(10), y BLOB, b BOOLEAN, da DATE, n NUMERIC, free);
         INSERT INTO t VALUES (1, -9223372036854775808, 1.5, 12.30, 'ü😀', 'x', x'00ff', 1, '2026-01-31', 0.1, 'any'),
             (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (2, 9223372036854775807, 2, -0.05, '', '', x'', 0, 20260131, 7, 2.5)",
    );
    let batches = rows(&file.session(), "SELECT * FROM shop.main.t").await.unwrap();
    let mut read = String::new();
    for (field, column) in batches[0].schema().fields().iter().zip(batches[0].columns()) {
        let values: Vec<_> = (0..3).map(|at| array_value_to_string(column, at).unwrap()).collect();
        read.push_str(&format!("{} {} = {}\n", field.name(), field.data_type(), values.join("|")));
    }
    assert_eq!(
        read,
        "i Int64 = 1||2\nbig Int64 = -9223372036854775808||9223372036854775807\nr Float64 = 1.5||2.0\nd Decimal128(10, 2) = 12.30||-0.05\n\
         t Utf8 = ü😀||\nv Utf8 = x||\ny Binary = 00ff||\nb Boolean = true||false\nda Utf8 = 2026-01-31||20260131\nn Utf8 = 0.1||7\n\
         free Utf8 = any||2.5\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_another_type_is_told_by_column_and_row_and_a_view_reads_it() {
    let file = File::new(
        "CREATE TABLE t (id INTEGER, i INTEGER, r REAL, d DECIMAL(5, 2), b BOOLEAN, y BLOB, s TEXT);
         INSERT INTO t VALUES (1, 1, 1.0, 1, 1, x'00', 'a'), (2, 'x', 'x', 1.005, 2, 7, x'ff');
         CREATE VIEW v AS SELECT CAST(i AS TEXT) AS i, CAST(r AS TEXT) AS r, CAST(d AS TEXT) AS d, CAST(b AS INTEGER) AS b, CAST(y AS TEXT) AS y,
             CAST(s AS BLOB) AS s FROM t",
    );
    let ctx = file.session();
    for (column, problem) in [
        ("i", "is of another type than its column"),
        ("r", "is of another type"),
        ("d", "has other digits"),
        ("b", "neither 0 nor 1"),
        ("y", "is of another type"),
        ("s", "is of another type"),
    ] {
        let error = refusal(&ctx, &format!("SELECT {column} FROM shop.main.t")).await;
        assert!(error.contains(&format!("shop.main.t, row 2 of the answer: \"{column}\" ")) && error.contains(problem), "{error}");
        if column != "s" {
            rows(&ctx, &format!("SELECT {column} FROM shop.main.v")).await.unwrap();
        }
    }
}

fn count() -> usize {
    std::env::var("CLEVERTAP_ROWS").map_or(500, |rows| rows.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_out_and_comes_back_equal() {
    let mut rng = StdRng::seed_from_u64(1);
    let none = |rng: &mut StdRng| rng.random_ratio(1, 8);
    let mut each = |value: &mut dyn FnMut(&mut StdRng)| (0..count()).for_each(|_| value(&mut rng));
    let (mut i, mut r, mut d, mut t, mut y, mut b) = (
        Int64Builder::new(),
        Float64Builder::new(),
        Decimal128Builder::new().with_precision_and_scale(15, 4).unwrap(),
        StringBuilder::new(),
        BinaryBuilder::new(),
        BooleanBuilder::new(),
    );
    each(&mut |rng| {
        i.append_option((!none(rng)).then(|| rng.random()));
        let number = f64::from_bits(rng.random());
        r.append_option((!none(rng) && !number.is_nan()).then_some(number));
        d.append_option((!none(rng)).then(|| rng.random_range(-999_999_999_999_999_i128..=999_999_999_999_999)));
        t.append_option(
            (!none(rng)).then(|| ["", "é", "'", "\"", "7", "1e5", "\n"][rng.random_range(0..7)].repeat(rng.random_range(0..3))),
        );
        y.append_option((!none(rng)).then(|| rng.random::<[u8; 5]>()));
        b.append_option((!none(rng)).then(|| rng.random()));
    });
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(count()).unwrap()));
    let columns: [ArrayRef; 6] = [
        Arc::new(i.finish()),
        Arc::new(r.finish()),
        Arc::new(d.finish()),
        Arc::new(t.finish()),
        Arc::new(y.finish()),
        Arc::new(b.finish()),
    ];
    let names = ["i", "r", "d", "t", "y", "b"];
    let sent = RecordBatch::try_from_iter_with_nullable(
        [("id", ids, false)].into_iter().chain(names.into_iter().zip(columns).map(|(name, column)| (name, column, true))),
    )
    .unwrap();
    let file = File::new("CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, r REAL, d DECIMAL(15, 4), t TEXT, y BLOB, b BOOLEAN)");
    let ctx = file.session();
    ctx.register_table("source", Arc::new(MemTable::try_new(sent.schema(), vec![vec![sent.clone()]]).unwrap())).unwrap();
    for write in ["INSERT INTO", "REPLACE INTO", "INSERT OVERWRITE"] {
        rows(&ctx, &format!("{write} shop.main.t SELECT * FROM source")).await.unwrap();
        let read = rows(&ctx, "SELECT * FROM shop.main.t ORDER BY id").await.unwrap();
        let read = concat_batches(&sent.schema(), &read).unwrap();
        assert_eq!(read.columns(), sent.columns(), "{write}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sqlite_would_store_as_another_value_is_refused() {
    let file = File::new("CREATE TABLE t (id INTEGER NOT NULL, r REAL, n NUMERIC, s TEXT)");
    let ctx = file.session();
    for (column, value, problem, remedy) in [
        ("r", "CAST('NaN' AS double)", "is NaN, which SQLite stores as NULL; nanvl(…, NULL)", "nanvl(CAST('NaN' AS double), NULL)"),
        ("n", "'12345678901234567890.5'", "more digits than SQLite's doubles hold; a column of type TEXT", "'123.5'"),
        ("s", "arrow_cast(decode('610062', 'hex'), 'Utf8')", "has a NUL character", "'a'"),
    ] {
        let error = refusal(&ctx, &format!("INSERT INTO shop.main.t (id, {column}) SELECT 1, {value}")).await;
        assert!(error.contains(&format!("shop.main.t, row 1 of the source: \"{column}\" ")) && error.contains(problem), "{error}");
        rows(&ctx, &format!("INSERT INTO shop.main.t (id, {column}) SELECT 1, {remedy}")).await.unwrap();
    }
    rows(&ctx, "INSERT INTO shop.main.t (id, s) SELECT 1, '12345678901234567890.5'").await.unwrap();
    assert!(shown(&ctx, "SELECT s FROM shop.main.t WHERE s IS NOT NULL").await.contains("12345678901234567890.5"));
    let error = refusal(&ctx, "INSERT INTO shop.main.t (id) SELECT NULL::bigint").await;
    assert!(error.contains("row 1 of the source: \"id\" is NULL, and the column is NOT NULL"), "{error}");
}
