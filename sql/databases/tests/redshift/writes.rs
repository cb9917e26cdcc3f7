//! Writes by VALUES: random rows of each type, upserts, replaces.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use datafusion::datasource::MemTable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::server::{refusal, rows, server, session_of, shown};
use crate::settings;
use crate::values::values;

type Generate = fn(&mut StdRng) -> ArrayRef;

fn text(rng: &mut StdRng) -> String {
    const PARTS: [&str; 10] = ["a", "Z", "é", "😀", "'", "\"", "\\", "\n", "%", "\\'"];
    (0..rng.random_range(0..10)).map(|_| PARTS[rng.random_range(0..PARTS.len())]).collect()
}

/// The first and the last instant that both have: the years 1 and 9999.
const MICROS: [i64; 2] = [-62_135_596_800_000_000, 253_402_300_799_999_999];

const TYPES: [(&str, Generate); 13] = [
    ("boolean", |rng| Arc::new(BooleanArray::from(values(rng, &[true, false], |rng| rng.random())))),
    ("smallint", |rng| Arc::new(Int16Array::from(values(rng, &[i16::MIN, i16::MAX], |rng| rng.random())))),
    ("integer", |rng| Arc::new(Int32Array::from(values(rng, &[i32::MIN, i32::MAX], |rng| rng.random())))),
    ("bigint", |rng| Arc::new(Int64Array::from(values(rng, &[i64::MIN, i64::MAX], |rng| rng.random())))),
    ("real", |rng| Arc::new(Float32Array::from(values(rng, &[0.1, -0.0, f32::NAN, f32::INFINITY, f32::MAX], |rng| rng.random())))),
    ("double precision", |rng| {
        let random = |rng: &mut StdRng| {
            let number = f64::from_bits(rng.random());
            if number.is_nan() { f64::NAN } else { number }
        };
        Arc::new(Float64Array::from(values(rng, &[0.1, -0.0, f64::NAN, f64::NEG_INFINITY, f64::MAX, 5e-324], random)))
    }),
    ("numeric(12,4)", |rng| {
        let cells = values(rng, &[0, 1, -1, 999_999_999_999], |rng| rng.random_range(-999_999_999_999..=999_999_999_999));
        Arc::new(Decimal128Array::from(cells).with_precision_and_scale(12, 4).expect("digits"))
    }),
    ("varchar(65535)", |rng| Arc::new(StringArray::from(values(rng, &[String::new(), "x".repeat(60_000)], text)))),
    ("bytea", |rng| {
        Arc::new(BinaryArray::from_iter(values(rng, &[Vec::new(), vec![0, 255, b'\'']], |rng| rng.random::<[u8; 8]>().to_vec())))
    }),
    ("date", |rng| Arc::new(Date32Array::from(values(rng, &[-719_162, 2_932_896], |rng| rng.random_range(-719_162..2_932_896))))),
    ("timestamp", |rng| Arc::new(TimestampMicrosecondArray::from(values(rng, &MICROS, |rng| rng.random_range(MICROS[0]..MICROS[1]))))),
    ("timestamptz", |rng| {
        Arc::new(TimestampMicrosecondArray::from(values(rng, &MICROS, |rng| rng.random_range(MICROS[0]..MICROS[1]))).with_timezone("UTC"))
    }),
    ("time", |rng| Arc::new(Time64MicrosecondArray::from(values(rng, &[0, 86_399_999_999], |rng| rng.random_range(0..86_400_000_000))))),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_out_and_comes_back_equal() {
    let Some(server) = server() else { return };
    let peer = server.schema("rstypes").await;
    let ctx = session_of(settings(server.port));
    for (at, (sql_type, generate)) in TYPES.iter().enumerate() {
        let column = generate(&mut StdRng::seed_from_u64(at as u64));
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..i32::try_from(column.len()).unwrap()));
        let sent = RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("v", column, true)]).unwrap();
        peer.run(&format!("CREATE TABLE rstypes.t{at} (id int PRIMARY KEY, v {sql_type})")).await;
        ctx.register_table("source", Arc::new(MemTable::try_new(sent.schema(), vec![vec![sent.clone()]]).unwrap())).unwrap();
        for write in ["INSERT INTO", "REPLACE INTO", "INSERT OVERWRITE"] {
            let before = peer.text(&format!("SELECT coalesce(min(xmin::text), '') FROM rstypes.t{at}")).await;
            rows(&ctx, &format!("{write} wh.rstypes.t{at} SELECT * FROM source"))
                .await
                .unwrap_or_else(|error| panic!("{sql_type}, {write}: {error}"));
            let read = rows(&ctx, &format!("SELECT * FROM wh.rstypes.t{at} ORDER BY id")).await.unwrap();
            let read = concat_batches(&read[0].schema(), &read).unwrap();
            assert_eq!(read.schema().field(1).data_type(), sent.schema().field(1).data_type(), "{sql_type}");
            assert_eq!(read.column(1), sent.column(1), "{sql_type}, {write}");
            if write == "REPLACE INTO" {
                // A row that is the same is not written again.
                assert_eq!(
                    peer.text(&format!("SELECT min(xmin::text) || max(xmin::text) FROM rstypes.t{at}")).await,
                    before.repeat(2),
                    "{sql_type}"
                );
            }
        }
        ctx.deregister_table("source").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_deletes_and_adds_and_leaves_columns_that_are_not_written() {
    let Some(server) = server() else { return };
    let peer = server.schema("rsupsert").await;
    peer.run(
        "CREATE TABLE rsupsert.t (id int PRIMARY KEY, name varchar(5), seen varchar(9) DEFAULT 'never');
         INSERT INTO rsupsert.t VALUES (1, 'ann', 'x'), (2, NULL, 'y'), (3, 'cid', 'z')",
    )
    .await;
    let ctx = session_of(settings(server.port));
    rows(&ctx, "REPLACE INTO wh.rsupsert.t VALUES (1, 'x', 'x'), (1, 'Ann', 'new'), (2, NULL, 'y'), (4, 'dan', NULL)").await.unwrap();
    assert_eq!(peer.rows("rsupsert.t").await, "(1,Ann,new) (2,,y) (3,cid,z) (4,dan,)");
    rows(&ctx, "REPLACE INTO wh.rsupsert.t (id, name) VALUES (1, 'eve'), (5, 'x'), (5, 'fay')").await.unwrap();
    assert_eq!(peer.rows("rsupsert.t").await, "(1,eve,new) (2,,y) (3,cid,z) (4,dan,) (5,fay,never)");
    rows(&ctx, "INSERT OVERWRITE wh.rsupsert.t SELECT 7, 'o''x\\', 'z'").await.unwrap();
    assert_eq!(peer.rows("rsupsert.t").await, "(7,\"o'x\\\\\",z)");
    rows(&ctx, "INSERT INTO wh.rsupsert.t (id) SELECT value FROM range(10, 3010)").await.unwrap();
    assert_eq!(peer.text("SELECT count(*) || ' ' || min(seen) FROM rsupsert.t").await, "3001 never");
    let error = refusal(&ctx, "INSERT INTO wh.rsupsert.t (id, name) SELECT 8, 'äöü'").await;
    assert!(error.contains("row 1 of the source: \"name\" has more bytes than its column takes"), "{error}");
    for write in ["INSERT INTO", "INSERT OVERWRITE", "REPLACE INTO"] {
        let error = refusal(
            &ctx,
            &format!("{write} wh.rsupsert.t (id, name) SELECT 5000 + value, CAST(10 / (2000 - value) AS varchar) FROM range(1, 4000)"),
        )
        .await;
        assert!(error.to_lowercase().contains("zero"), "{error}");
    }
    assert_eq!(peer.text("SELECT count(*) FROM rsupsert.t").await, "3001");
    let plan = shown(&ctx, "EXPLAIN REPLACE INTO wh.rsupsert.t SELECT 1, 'y', 'z'").await;
    for part in [
        "CREATE TEMP TABLE clevertap_stage_rows (\"clevertap_row\" bigint, \"id\" integer, \"name\" character varying(5), \"seen\" character varying(9))",
        "INSERT INTO clevertap_stage_rows (\"clevertap_row\", \"id\", \"name\", \"seen\") VALUES",
        "DELETE FROM \"rsupsert\".\"t\" USING clevertap_stage_rows WHERE \"rsupsert\".\"t\".\"id\" = clevertap_stage_rows.\"id\"; INSERT INTO \"rsupsert\".\"t\"",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
}
