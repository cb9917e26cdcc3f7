//! Random rows go out and come back equal, or are refused by column and row.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::datasource::MemTable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::server::{refusal, rows, server};
use crate::values::values;

type Generate = fn(&mut StdRng) -> ArrayRef;

fn text(rng: &mut StdRng) -> String {
    const PARTS: [&str; 10] = ["a", "Z", "é", "😀", "'", "\"", "\\", "\n", "%", "`"];
    (0..rng.random_range(0..10)).map(|_| PARTS[rng.random_range(0..PARTS.len())]).collect()
}

/// The first and the last instant: the years 1 and 9999.
const MICROS: [i64; 2] = [-62_135_596_800_000_000, 253_402_300_799_999_999];

const TYPES: [(&str, Generate); 13] = [
    ("BOOL", |rng| Arc::new(BooleanArray::from(values(rng, &[true, false], |rng| rng.random())))),
    ("INT64", |rng| Arc::new(Int64Array::from(values(rng, &[i64::MIN, i64::MAX, 0], |rng| rng.random())))),
    ("FLOAT64", |rng| {
        let edges = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1];
        let random = |rng: &mut StdRng| {
            let number = f64::from_bits(rng.random());
            if number.is_nan() { f64::NAN } else { number }
        };
        Arc::new(Float64Array::from(values(rng, &edges, random)))
    }),
    ("NUMERIC(38, 9)", |rng| {
        let edges = [0, 1, -1, 10_i128.pow(38) - 1, 1 - 10_i128.pow(38)];
        let cells = values(rng, &edges, |rng| rng.random::<i128>() % 10_i128.pow(rng.random_range(1..38)));
        Arc::new(Decimal128Array::from(cells).with_precision_and_scale(38, 9).expect("digits"))
    }),
    ("STRING", |rng| Arc::new(StringArray::from(values(rng, &[String::new(), "NULL".into(), "x".repeat(100_000)], text)))),
    ("BYTES", |rng| {
        Arc::new(BinaryArray::from_iter(values(rng, &[Vec::new(), vec![0, 255, b'\'']], |rng| rng.random::<[u8; 8]>().to_vec())))
    }),
    ("DATE", |rng| Arc::new(Date32Array::from(values(rng, &[-719_162, 2_932_896, 0], |rng| rng.random_range(-719_162..2_932_896))))),
    ("DATETIME", |rng| Arc::new(TimestampMicrosecondArray::from(values(rng, &MICROS, |rng| rng.random_range(MICROS[0]..MICROS[1]))))),
    ("TIMESTAMP", |rng| {
        Arc::new(TimestampMicrosecondArray::from(values(rng, &MICROS, |rng| rng.random_range(MICROS[0]..MICROS[1]))).with_timezone("UTC"))
    }),
    ("TIME", |rng| Arc::new(Time64MicrosecondArray::from(values(rng, &[0, 86_399_999_999], |rng| rng.random_range(0..86_400_000_000))))),
    ("JSON", |rng| Arc::new(StringArray::from(values(rng, &["{\"a\":\"\\\\\"}".to_owned()], |rng| format!("[{}]", rng.random::<i32>()))))),
    ("ARRAY<INT64>", |rng| {
        let random = |rng: &mut StdRng| (0..rng.random_range(0..4)).map(|_| Some(rng.random())).collect::<Vec<Option<i64>>>();
        let lists = values(rng, &[vec![], vec![Some(1)]], random).into_iter().map(|list| Some(list.unwrap_or_default()));
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
    }),
    ("STRUCT<x INT64, y STRING>", |rng| {
        let (x, y) = (Int64Array::from(values(rng, &[1], |rng| rng.random())), StringArray::from(values(rng, &[String::new()], text)));
        let (x, y) = (x.slice(0, x.len().min(y.len())), y.slice(0, x.len().min(y.len())));
        let fields = vec![Field::new("x", DataType::Int64, true), Field::new("y", DataType::Utf8, true)];
        Arc::new(StructArray::new(fields.into(), vec![Arc::new(x), Arc::new(y)], None))
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_out_and_comes_back_equal() {
    let Some(server) = server() else { return };
    server.dataset("types", "").await;
    let ctx = server.session();
    ctx.sql("SET database.upsert_key = 'id'").await.unwrap();
    for (at, (sql_type, generate)) in TYPES.iter().enumerate() {
        let column = generate(&mut StdRng::seed_from_u64(at as u64));
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(column.len()).unwrap()));
        let sent = RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("v", column, true)]).unwrap();
        if *sql_type == "JSON" {
            let fields = json!([{ "name": "id", "type": "INT64" }, { "name": "v", "type": "JSON" }]);
            server.table("types", &format!("t{at}"), fields).await;
        } else {
            server.run(&format!("CREATE TABLE types.t{at} (id INT64, v {sql_type})")).await;
        }
        ctx.register_table("source", Arc::new(MemTable::try_new(sent.schema(), vec![vec![sent.clone()]]).unwrap())).unwrap();
        // By the staging table, over itself, and in place of itself.
        for write in ["INSERT INTO", "REPLACE INTO", "INSERT OVERWRITE"] {
            rows(&ctx, &format!("{write} wh.types.t{at} SELECT * FROM source"))
                .await
                .unwrap_or_else(|error| panic!("{sql_type}, {write}: {error}"));
            let read = rows(&ctx, &format!("SELECT * FROM wh.types.t{at} ORDER BY id")).await.unwrap();
            let read = concat_batches(&read[0].schema(), &read).unwrap();
            assert_eq!(read.schema().field(1).data_type(), sent.schema().field(1).data_type(), "{sql_type}");
            assert_eq!(read.column(1), sent.column(1), "{sql_type}, {write}");
        }
        ctx.deregister_table("source").unwrap();
    }
    assert_eq!(server.staged("types").await, "0");
}

/// What does not fit is told by column and row, and the remedy that is told works.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_by_column_and_row() {
    let Some(server) = server() else { return };
    server
        .dataset(
            "fit",
            "CREATE TABLE fit.t (id INT64 NOT NULL, n NUMERIC(38, 9), da DATE, dt DATETIME, ts TIMESTAMP, a ARRAY<INT64>, i INT64)",
        )
        .await;
    let ctx = server.session();
    let utc = "'Timestamp(Microsecond, Some(\"UTC\"))'";
    let cases = [
        ("i", "1.0::double", "1.5::double".to_owned(), "has a fraction, and the column takes whole numbers; round()", "round(x)"),
        ("n", "'1'", "'1e40'".to_owned(), "is a text that NUMERIC(38, 9) cannot hold", "NULL"),
        ("da", "DATE '2026-01-01'", "arrow_cast(-719163, 'Date32')".to_owned(), "is of a year that BigQuery does not have", "NULL"),
        (
            "dt",
            "TIMESTAMP '2026-01-01T00:00:00'",
            "TIMESTAMP '2026-01-01T00:00:00.000000001'".to_owned(),
            "has parts of a microsecond",
            "date_trunc('microsecond', x)",
        ),
        (
            "ts",
            &format!("arrow_cast(0, {utc})"),
            format!("arrow_cast(253402300800000000, {utc})"),
            "is of a year that BigQuery does not have: it takes those from 1 to 9999",
            "NULL",
        ),
        (
            "a",
            "make_array(1)",
            "NULL".to_owned(),
            "is NULL, and BigQuery has no arrays that are NULL",
            "coalesce(x, arrow_cast(make_array(), 'List(Int64)'))",
        ),
        ("a", "make_array(1)", "make_array(1, NULL)".to_owned(), "has a NULL in its list", "array_compact(x)"),
    ];
    for (column, good, bad, problem, remedy) in cases {
        let source = format!("SELECT {good} AS x, 1 AS k UNION ALL SELECT {bad}, 2");
        let error = refusal(&ctx, &format!("INSERT INTO wh.fit.t (id, {column}) SELECT k, x FROM ({source}) ORDER BY k")).await;
        assert!(error.contains(&format!("wh.fit.t, row 2 of the source: \"{column}\" {problem}")), "{column} {bad}: {error}");
        assert!(error.contains("Nothing was changed") && error.ends_with("[DB-202]"), "{error}");
        assert_eq!(server.run("SELECT COUNT(*) FROM fit.t").await, "0", "{error}");
        if remedy != "NULL" {
            let sql = format!("INSERT INTO wh.fit.t (id, {column}) SELECT k, {remedy} FROM ({source}) ORDER BY k");
            rows(&ctx, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            server.run("DELETE FROM fit.t WHERE TRUE").await;
        }
    }
    let error = refusal(&ctx, "INSERT INTO wh.fit.t (i) SELECT 1").await;
    assert!(error.contains("column \"id\" is NOT NULL and has no default; list it"), "{error}");
    let nested = json!([{ "name": "j", "type": "RECORD", "mode": "REPEATED", "fields": [{ "name": "x", "type": "JSON" }] }]);
    server.table("fit", "nested", nested).await;
    let error = refusal(&ctx, "INSERT INTO wh.fit.nested SELECT * FROM wh.fit.nested").await;
    assert!(error.contains("column \"j\" is ARRAY<STRUCT<`x` JSON>>, which is read and not written"), "{error}");
    assert_eq!(server.staged("fit").await, "0");
}
