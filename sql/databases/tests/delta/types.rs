//! Types: each goes out and comes back equal, or is refused.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::*;
use datafusion::datasource::MemTable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::values::values;
use crate::{Folder, external, refusal, rows, session};

fn text(rng: &mut StdRng) -> String {
    let piece = ["a", "é", "😀", "'", "\"", "\\", "\n", "\t", "%", "/", "=", " ", "NULL", "__HIVE_DEFAULT_PARTITION__", "0"];
    (0..rng.random_range(1..5)).map(|_| piece[rng.random_range(0..piece.len())]).collect()
}

const MICROS_MAX: i64 = 253_402_300_799_999_999;

/// Columns of random values, with the types that a table is declared with.
fn columns(rng: &mut StdRng) -> Vec<(&'static str, &'static str, ArrayRef)> {
    let micros = |rng: &mut StdRng| rng.random_range(-62_135_596_800_000_000..=MICROS_MAX);
    let edges = [0, 1, -1, 999_999, -62_135_596_800_000_000, MICROS_MAX];
    vec![
        ("b", "BOOLEAN", Arc::new(BooleanArray::from(values(rng, &[true, false], |rng| rng.random())))),
        ("i8", "TINYINT", Arc::new(Int8Array::from(values(rng, &[i8::MIN, i8::MAX], |rng| rng.random())))),
        ("i16", "SMALLINT", Arc::new(Int16Array::from(values(rng, &[i16::MIN, i16::MAX], |rng| rng.random())))),
        ("i32", "INT", Arc::new(Int32Array::from(values(rng, &[i32::MIN, i32::MAX], |rng| rng.random())))),
        ("i64", "BIGINT", Arc::new(Int64Array::from(values(rng, &[i64::MIN, i64::MAX], |rng| rng.random())))),
        ("u8", "SMALLINT", Arc::new(UInt8Array::from(values(rng, &[u8::MIN, u8::MAX], |rng| rng.random())))),
        ("u16", "INT", Arc::new(UInt16Array::from(values(rng, &[u16::MIN, u16::MAX], |rng| rng.random())))),
        ("u32", "BIGINT", Arc::new(UInt32Array::from(values(rng, &[u32::MIN, u32::MAX], |rng| rng.random())))),
        ("u64", "DECIMAL(20, 0)", Arc::new(UInt64Array::from(values(rng, &[u64::MIN, u64::MAX], |rng| rng.random())))),
        (
            "f32",
            "REAL",
            Arc::new(Float32Array::from(values(rng, &[f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE, f32::MAX], |rng| {
                f32::from_bits(rng.random())
            }))),
        ),
        (
            "f64",
            "DOUBLE",
            Arc::new(Float64Array::from(values(rng, &[f64::NAN, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX], |rng| {
                f64::from_bits(rng.random())
            }))),
        ),
        (
            "dec",
            "DECIMAL(38, 10)",
            Arc::new(
                Decimal128Array::from(values(rng, &[10_i128.pow(38) - 1, 1 - 10_i128.pow(38), 0], |rng| {
                    rng.random_range(1 - 10_i128.pow(38)..10_i128.pow(38)) / 10_i128.pow(rng.random_range(0..38))
                }))
                .with_precision_and_scale(38, 10)
                .expect("values of the type"),
            ),
        ),
        ("txt", "VARCHAR", Arc::new(StringArray::from(values(rng, &["".into(), "x".repeat(100_000)], text)))),
        ("view", "VARCHAR", Arc::new(StringViewArray::from_iter(values(rng, &[String::new()], text)))),
        ("large", "VARCHAR", Arc::new(LargeStringArray::from(values(rng, &[String::new()], text)))),
        ("dict", "VARCHAR", {
            let texts: ArrayRef = Arc::new(StringArray::from(values(rng, &[String::new()], text)));
            cast(&texts, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))).expect("values of the type")
        }),
        ("bin", "BYTEA", Arc::new(BinaryArray::from_iter(values(rng, &[vec![], vec![0, 255]], |rng| rng.random::<[u8; 7]>().to_vec())))),
        ("day", "DATE", Arc::new(Date32Array::from(values(rng, &[0, -719_162, 2_932_896], |rng| rng.random_range(-719_162..=2_932_896))))),
        ("ntz", "TIMESTAMP", Arc::new(TimestampMicrosecondArray::from(values(rng, &edges, micros)))),
        ("utc", "TIMESTAMP WITH TIME ZONE", Arc::new(TimestampMicrosecondArray::from(values(rng, &edges, micros)).with_timezone("UTC"))),
        ("ms", "TIMESTAMP", Arc::new(TimestampMillisecondArray::from(values(rng, &[0, -1], |rng| micros(rng) / 1_000)))),
        (
            "zone",
            "TIMESTAMP WITH TIME ZONE",
            Arc::new(TimestampSecondArray::from(values(rng, &[0, -1], |rng| micros(rng) / 1_000_000)).with_timezone("Asia/Kolkata")),
        ),
        (
            "whole",
            "TIMESTAMP",
            Arc::new(TimestampNanosecondArray::from(values(rng, &[0], |rng| {
                rng.random_range(-9_223_372_036_854_775..9_223_372_036_854_775_i64) * 1_000
            }))),
        ),
    ]
}

/// What comes back is what went out, in another type that holds the same.
fn assert_same(sent: &ArrayRef, read: &ArrayRef, what: &str) {
    // Not through floats: bits.
    let (sent, read) = match sent.data_type() {
        DataType::Dictionary(_, value) => (cast(sent, value).expect("text"), cast(read, value).expect("text")),
        same => (Arc::clone(sent), cast(read, same).unwrap_or_else(|error| panic!("{what}: {error}"))),
    };
    assert_eq!(&sent, &read, "{what}");
}

/// `CLEVERTAP_ROWS=10000` for as many rows a type.
#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_out_and_comes_back_equal() {
    let mut rng = StdRng::seed_from_u64(1);
    let columns = columns(&mut rng);
    let count = columns.iter().map(|(_, _, array)| array.len()).min().unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(count).unwrap()));
    let arrays = columns.iter().map(|(name, _, array)| (*name, array.slice(0, count), true));
    let sent = RecordBatch::try_from_iter_with_nullable([("id", ids, false)].into_iter().chain(arrays)).unwrap();
    let declared = columns.iter().map(|(name, sql_type, _)| format!("{name} {sql_type}")).collect::<Vec<_>>().join(", ");
    let folder = Folder::new();
    let ctx = folder.table(&format!("(id BIGINT NOT NULL, {declared})")).await;
    let batches = (0..count).step_by(70).map(|at| sent.slice(at, 70.min(count - at))).collect();
    ctx.register_table("source", Arc::new(MemTable::try_new(sent.schema(), vec![batches]).unwrap())).unwrap();
    rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
    for write in ["INSERT INTO", "REPLACE INTO", "INSERT OVERWRITE"] {
        rows(&ctx, &format!("{write} t SELECT * FROM source")).await.unwrap_or_else(|error| panic!("{write}: {error}"));
        let read = rows(&ctx, "SELECT * FROM t ORDER BY id").await.unwrap();
        let read = concat_batches(&read[0].schema(), &read).unwrap();
        assert_eq!(read.num_rows(), count, "{write}");
        for (name, _, _) in &columns {
            assert_same(sent.column_by_name(name).unwrap(), read.column_by_name(name).unwrap(), &format!("{write} {name}"));
        }
        // And each row is found by its values.
        for name in ["i32", "dec", "txt", "day", "ntz", "utc"] {
            let found = format!(
                "SELECT count(*) FROM source s WHERE s.id = 5 AND ({name} IS NULL OR EXISTS (SELECT 1 FROM t WHERE t.id = 5 AND t.{name} = s.{name}))"
            );
            assert!(crate::shown(&ctx, &found).await.contains("| 1 "), "{name}");
        }
    }
    // Unchanged rows: none is written again.
    let commits = folder.commits();
    rows(&ctx, "REPLACE INTO t SELECT * FROM source").await.unwrap();
    assert_eq!(folder.commits(), commits);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_a_partition_comes_back_equal_or_is_refused() {
    let mut rng = StdRng::seed_from_u64(2);
    for (name, sql_type, array) in columns(&mut rng) {
        let array = array.slice(0, array.len().min(24));
        // Delta reads an empty text as NULL, and a name of a folder has an end.
        let texts = cast(&array, &DataType::Utf8).unwrap_or_else(|_| Arc::new(StringArray::from(vec!["x"; array.len()])));
        // A double is written with all its zeros.
        let plain = |text: &str| if name == "f64" { text.parse::<f64>().map_or(0, |number| number.to_string().len()) } else { text.len() };
        let fits = |text: Option<&str>| Some(text.is_none_or(|text| !text.is_empty() && plain(text) < 60));
        let array = arrow::compute::filter(&array, &texts.as_string::<i32>().iter().map(fits).collect()).unwrap();
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(array.len()).unwrap()));
        let sent = RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("p", Arc::clone(&array), true)]).unwrap();
        let (ctx, folder) = (session(), Folder::new());
        let made = crate::statement("t", &format!("(id BIGINT, p {sql_type}) PARTITIONED BY (p)"), &folder.place(), "");
        if name == "bin" {
            let error = refusal(&ctx, &made).await;
            assert!(error.contains("\"p\" is nested or binary, and no column of partitions"), "{error}");
            continue;
        }
        rows(&ctx, &made).await.unwrap();
        ctx.register_table("source", Arc::new(MemTable::try_new(sent.schema(), vec![vec![sent.clone()]]).unwrap())).unwrap();
        rows(&ctx, "INSERT INTO t SELECT * FROM source").await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let read = rows(&ctx, "SELECT id, p FROM t ORDER BY id").await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let read = concat_batches(&read[0].schema(), &read).unwrap();
        assert_eq!(read.num_rows(), sent.num_rows(), "{name}");
        assert_same(&array, read.column(1), name);
        // Each partition is found by its value, and replaced alone.
        let found = "SELECT s.id FROM source s JOIN t ON s.p = t.p WHERE s.id = t.id";
        let valued = sent.num_rows() - array.logical_null_count();
        assert_eq!(ctx.sql(found).await.unwrap().count().await.unwrap(), valued, "{name}");
        rows(&ctx, "SET database.overwrite = 'partitions'").await.unwrap();
        rows(&ctx, "INSERT OVERWRITE t SELECT id + 1000, p FROM source WHERE id = 3")
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let same = "SELECT id FROM source WHERE p IS NOT DISTINCT FROM (SELECT p FROM source WHERE id = 3)";
        let replaced = ctx.sql(same).await.unwrap().count().await.unwrap();
        assert_eq!(ctx.sql("SELECT * FROM t").await.unwrap().count().await.unwrap(), sent.num_rows() - replaced + 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_types_go_out_and_come_back_and_others_are_refused() {
    let folder = Folder::new();
    let ctx = session();
    external(&ctx, "t", "(id BIGINT, tags VARCHAR[], numbers BIGINT[], s STRUCT<a BIGINT, b VARCHAR>)", &folder.place(), "").await;
    rows(&ctx, "INSERT INTO t (id, tags, numbers) VALUES (1, ['a', NULL, ''], [1, 2]), (2, [], NULL), (3, NULL, [NULL])").await.unwrap();
    let read = crate::shown(&ctx, "SELECT id, tags, numbers FROM t ORDER BY id").await;
    assert!(
        read.contains("| 1  | [a, , ] | [1, 2]  |") && read.contains("| 2  | []      |") && read.contains("| 3  |         | []"),
        "{read}"
    );
    for (value, column) in [("INTERVAL '1 day'", "id"), ("TIME '12:00'", "id"), ("true", "id"), ("[1]", "id")] {
        // By DataFusion's planner, or by the write.
        let error = refusal(&ctx, &format!("INSERT INTO t ({column}) SELECT {value}")).await;
        let is_told = error.contains("column \"id\" is long and the source has") || error.contains("to Int64");
        assert!(is_told, "{value}: {error}");
    }
}
