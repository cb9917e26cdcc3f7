//! Folders of Parquet files that are not alike, through SQL.

mod folders;
mod scans;

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
        Float32Array, Float64Array, Int8Array, Int32Array, Int64Array, LargeStringArray, NullArray, RecordBatch, StringArray, StructArray,
        TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
    },
    datatypes::{DataType, Field, Int32Type, Schema},
};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

use super::super::test_files::Files;

/// A file of these columns.
fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let fields: Vec<_> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    of_batch(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap())
}

fn of_batch(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let rows_max = WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(rows_max)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn small(values: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Two files, `a.parquet` and `b.parquet`, each with one row of one column `v`.
fn pair(a: ArrayRef, b: ArrayRef) -> Files {
    Files::new(&[("a.parquet", &parquet(vec![("v", a)])), ("b.parquet", &parquet(vec![("v", b)]))])
}

/// Runs the statement that an error ends with.
async fn remedied(files: &Files, error: &str) -> String {
    let statement = error.split_once("SELECT ").unwrap_or_else(|| panic!("{error}")).1.replace('@', &files.path().display().to_string());
    files.run(&format!("SELECT * FROM (SELECT {statement}) ORDER BY 1")).await
}

#[tokio::test]
async fn two_columns_of_one_name_or_nearly_in_one_file_are_refused() {
    let nested = |names: [&str; 2]| -> ArrayRef {
        let of = names.map(|name| (Arc::new(Field::new(name, DataType::Int64, true)), ints(&[1])));
        Arc::new(StructArray::from(of.to_vec()))
    };
    for (columns, expected) in [
        (vec![("id", ints(&[1])), ("n", ints(&[2])), ("id", ints(&[3]))], "two columns are called \"id\""),
        (vec![("plan", ints(&[1])), ("PLAN", ints(&[2]))], "the columns \"plan\" and \"PLAN\" differ only in case"),
        (vec![("s", nested(["x", "x"]))], "two columns of \"s\" are called \"x\""),
        (vec![("s", nested(["x", "X"]))], "the columns of \"s\" \"x\" and \"X\" differ only in case"),
    ] {
        let files = Files::new(&[("a.parquet", &parquet(columns)), ("0.parquet", &parquet(vec![("id", ints(&[1]))]))]);
        for from in ["", "a.parquet"] {
            let said = files.read(from).await;
            assert!(said.contains(&format!("a.parquet: {expected}; give them different names")), "{said}");
        }
    }
}

#[tokio::test]
async fn names_that_differ_in_case_between_files_are_refused_with_both_and_read_as_the_error_says() {
    let files = Files::new(&[
        ("a.parquet", &parquet(vec![("id", ints(&[1])), ("plan", texts(&["x"]))])),
        ("it's b.parquet", &parquet(vec![("id", ints(&[2])), ("PLAN", texts(&["y"]))])),
    ]);
    let said = files.read("").await;
    assert!(said.contains("it's b.parquet: the column is called \"PLAN\" here and \"plan\" in a.parquet"), "{said}");
    assert_eq!(remedied(&files, &said).await, "plan Utf8View; x; y");
}

#[tokio::test]
async fn types_widen_so_that_every_value_is_as_it_was() {
    let zone = |array: TimestampMillisecondArray, zone: &str| -> ArrayRef { Arc::new(array.with_timezone(zone)) };
    let dictionary: DictionaryArray<Int32Type> = vec!["d"].into_iter().collect();
    let decimal = |value, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap())
    };
    let ms = || TimestampMillisecondArray::from(vec![1_500]);
    for (a, b, expected) in [
        (small(&[-5]), ints(&[i64::MAX]), "v Int64; -5; 9223372036854775807"),
        (
            Arc::new(Int8Array::from(vec![-1])) as ArrayRef,
            Arc::new(UInt32Array::from(vec![u32::MAX])) as ArrayRef,
            "v Int64; -1; 4294967295",
        ),
        (ints(&[-1]), Arc::new(UInt64Array::from(vec![u64::MAX])), "v Decimal128(20, 0); -1; 18446744073709551615"),
        (small(&[16_777_217]), Arc::new(Float64Array::from(vec![0.5])), "v Float64; 0.5; 16777217.0"),
        (small(&[16_777_217]), Arc::new(Float32Array::from(vec![0.5])), "v Float64; 0.5; 16777217.0"),
        (Arc::new(Float32Array::from(vec![0.5])), Arc::new(Float64Array::from(vec![0.1])), "v Float64; 0.1; 0.5"),
        (small(&[7]), decimal(125, 4, 2), "v Decimal128(12, 2); 1.25; 7.00"),
        (decimal(125, 10, 2), decimal(12_345, 10, 4), "v Decimal128(12, 4); 1.2345; 1.2500"),
        (
            Arc::new(ms()),
            Arc::new(TimestampNanosecondArray::from(vec![1])),
            "v Timestamp(ns); 1970-01-01T00:00:00.000000001; 1970-01-01T00:00:01.500",
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1])),
            Arc::new(ms()),
            "v Timestamp(µs); 1970-01-01T00:00:00.000001; 1970-01-01T00:00:01.500",
        ),
        (
            zone(ms(), "UTC"),
            zone(TimestampMillisecondArray::from(vec![0]), "Asia/Kolkata"),
            "v Timestamp(ms, \"UTC\"); 1970-01-01T00:00:00Z; 1970-01-01T00:00:01.500Z",
        ),
        (
            Arc::new(Date32Array::from(vec![1])),
            Arc::new(Date64Array::from(vec![86_400_000 * 2])),
            "v Date64; 1970-01-02T00:00:00; 1970-01-03T00:00:00",
        ),
        (texts(&["s"]), Arc::new(LargeStringArray::from(vec!["l"])), "v Utf8View; l; s"),
        (Arc::new(dictionary), texts(&["s"]), "v Utf8View; d; s"),
        (
            Arc::new(BinaryArray::from(vec![&b"b"[..]])),
            Arc::new(FixedSizeBinaryArray::try_from_iter([b"abcd"].into_iter()).unwrap()),
            "v BinaryView; 61626364; 62",
        ),
        (Arc::new(NullArray::new(1)), texts(&["s"]), "v Utf8View; s; "),
    ] {
        let (from, to) = (a.data_type().clone(), b.data_type().clone());
        let files = pair(a, b);
        assert_eq!(files.read("").await.trim_end(), expected.trim_end(), "{from} and {to}");
        // Whatever is answered without reading rows is the same.
        assert_eq!(
            files.run("SELECT count(v) AS n, count(DISTINCT v) AS d FROM '@/'").await,
            files.run("SELECT count(v) AS n, count(DISTINCT v) AS d FROM (SELECT v FROM '@/' ORDER BY v)").await
        );
        assert_eq!(
            files.run("SELECT min(v) AS v FROM '@/'").await,
            files.run("SELECT v FROM '@/' WHERE v IS NOT NULL ORDER BY v LIMIT 1").await,
            "{from} and {to}"
        );
        assert_eq!(
            files.run("SELECT max(v) AS v FROM '@/'").await,
            files.run("SELECT v FROM '@/' WHERE v IS NOT NULL ORDER BY v DESC LIMIT 1").await,
            "{from} and {to}"
        );
    }
}

#[tokio::test]
async fn types_without_a_common_one_are_refused_with_both_files_and_read_as_the_error_says() {
    let naive = || -> ArrayRef { Arc::new(TimestampMillisecondArray::from(vec![0])) };
    let zoned: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0]).with_timezone("UTC"));
    for (a, b, expected) in [
        (ints(&[9_007_199_254_740_993]), Arc::new(Float64Array::from(vec![0.5])) as ArrayRef, "v Utf8View; 0.5; 9007199254740993"),
        (texts(&["x"]), small(&[1]), "v Utf8View; 1; x"),
        (Arc::new(BooleanArray::from(vec![true])), small(&[1]), "v Utf8View; 1; true"),
        (naive(), zoned, "v Utf8View; 1970-01-01T00:00:00; 1970-01-01T00:00:00Z"),
        (naive(), Arc::new(Date32Array::from(vec![0])), "v Utf8View; 1970-01-01; 1970-01-01T00:00:00"),
    ] {
        let (from, to) = (a.data_type().to_string().replace("Utf8", "Utf8View"), b.data_type().clone());
        let files = pair(a, b);
        let said = files.read("").await;
        assert!(
            said.contains(&format!("b.parquet, column \"v\": {to} here and {from} in a.parquet, and no type holds the values of both")),
            "{said}"
        );
        assert!(!said.contains("9007199254740993"), "{said}");
        assert_eq!(remedied(&files, &said).await, expected);
    }
    let said = pair(Arc::new(BinaryArray::from(vec![&b"b"[..]])), texts(&["s"])).read("").await;
    assert!(said.ends_with("read each by itself: FROM '@/b.parquet'"), "{said}");
    // A file that is alone with a type is told with one that has another, in whatever order.
    let three = [("a", small(&[1])), ("b", ints(&[2])), ("c", Arc::new(Float64Array::from(vec![0.5])) as ArrayRef)];
    let three = three.map(|(name, array)| (format!("{name}.parquet"), parquet(vec![("v", array)])));
    let three: Vec<(&str, &[u8])> = three.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let said = Files::new(&three).read("").await;
    assert!(said.contains("c.parquet, column \"v\": Float64 here and Int64 in b.parquet"), "{said}");
}
