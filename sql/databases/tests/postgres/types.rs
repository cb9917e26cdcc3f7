//! Every Arrow type that is written: random rows go out and come back equal, or are refused.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use datafusion::datasource::MemTable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::server::{refusal, rows, server};
use crate::values::values;

type Generate = fn(&mut StdRng) -> ArrayRef;

fn text(rng: &mut StdRng) -> String {
    const PARTS: [&str; 10] = ["a", "Z", "é", "😀", "'", "\"", "\\", "\n", "\t", "\u{feff}"];
    (0..rng.random_range(0..20)).map(|_| PARTS[rng.random_range(0..PARTS.len())]).collect()
}

/// The first and last microsecond that PostgreSQL and 64 bits hold: 4714 BC, and the end of 294246.
const MICROS: [i64; 2] = [-210_866_803_200_000_000, 9_223_371_331_199_999_999 - 946_684_800_000_000];

fn decimal(rng: &mut StdRng, digits: u32) -> i128 {
    let digits = rng.random_range(1..=digits);
    let bound = 10_i128.pow(digits) - 1;
    rng.random_range(-bound..=bound)
}

/// A type of the database, and arrays that are written to it.
const TYPES: [(&str, Generate); 24] = [
    ("boolean", |rng| Arc::new(BooleanArray::from(values(rng, &[true, false], |rng| rng.random())))),
    ("smallint", |rng| Arc::new(Int16Array::from(values(rng, &[i16::MIN, i16::MAX], |rng| rng.random())))),
    ("integer", |rng| Arc::new(Int32Array::from(values(rng, &[i32::MIN, i32::MAX], |rng| rng.random())))),
    ("bigint", |rng| Arc::new(Int64Array::from(values(rng, &[i64::MIN, i64::MAX], |rng| rng.random())))),
    ("oid", |rng| Arc::new(UInt32Array::from(values(rng, &[u32::MIN, u32::MAX], |rng| rng.random())))),
    ("real", |rng| Arc::new(Float32Array::from(values(rng, &[f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE], |rng| rng.random())))),
    ("double precision", |rng| {
        let edges = [f64::NAN, f64::NEG_INFINITY, -0.0, f64::MAX, f64::from_bits(1)];
        Arc::new(Float64Array::from(values(rng, &edges, |rng| f64::from_bits(rng.random()))).unary::<_, Float64Type>(|value| {
            // There all NaN are one.
            if value.is_nan() { f64::NAN } else { value }
        }))
    }),
    ("numeric(9,4)", |rng| {
        let edges = [0, 1, -1, 999_999_999, 10_000, 100, 99_999];
        Arc::new(Decimal128Array::from(values(rng, &edges, |rng| decimal(rng, 9))).with_precision_and_scale(9, 4).expect("digits"))
    }),
    ("numeric(38,10)", |rng| {
        let edges = [10_i128.pow(38) - 1, 1 - 10_i128.pow(38), 10_i128.pow(20)];
        Arc::new(Decimal128Array::from(values(rng, &edges, |rng| decimal(rng, 38))).with_precision_and_scale(38, 10).expect("digits"))
    }),
    ("numeric(38,0)", |rng| {
        Arc::new(Decimal128Array::from(values(rng, &[0], |rng| decimal(rng, 38))).with_precision_and_scale(38, 0).expect("digits"))
    }),
    ("numeric(3,5)", |rng| {
        Arc::new(
            Decimal128Array::from(values(rng, &[1, 999, -12], |rng| rng.random_range(-999..=999)))
                .with_precision_and_scale(5, 5)
                .expect("digits"),
        )
    }),
    ("numeric(76,38)", |rng| {
        let wide = |rng: &mut StdRng| i256::from_parts(rng.random(), rng.random_range(-(1_i128 << 120)..1 << 120));
        Arc::new(Decimal256Array::from(values(rng, &[i256::ZERO, i256::MINUS_ONE], wide)).with_precision_and_scale(76, 38).expect("digits"))
    }),
    ("text", |rng| Arc::new(StringArray::from(values(rng, &[String::new()], text)))),
    ("varchar(20)", |rng| Arc::new(StringArray::from(values(rng, &[String::new(), "é".repeat(20)], text)))),
    ("json", |rng| Arc::new(StringArray::from(values(rng, &["{ \"a\":  1}".to_owned()], |rng| format!("[{}]", rng.random::<i32>()))))),
    ("bytea", |rng| {
        let random = |rng: &mut StdRng| (0..rng.random_range(0..30)).map(|_| rng.random()).collect::<Vec<u8>>();
        let bytes = values(rng, &[Vec::new(), vec![0, 255]], random);
        Arc::new(BinaryArray::from_iter(bytes))
    }),
    ("uuid", |rng| {
        let random = |rng: &mut StdRng| {
            let [a, b, c, d] = rng.random::<[u16; 4]>();
            format!("{:08x}-{a:04x}-{b:04x}-{c:04x}-{:08x}{d:04x}", rng.random::<u32>(), rng.random::<u32>())
        };
        Arc::new(StringArray::from(values(rng, &["00000000-0000-0000-0000-000000000000".to_owned()], random)))
    }),
    ("date", |rng| {
        // 4713 BC, the year 9999, the last that PostgreSQL has.
        Arc::new(Date32Array::from(values(rng, &[-2_440_588, 2_932_896, 2_145_042_905], |rng| rng.random_range(-2_440_588..2_145_042_905))))
    }),
    ("timestamp", |rng| Arc::new(TimestampMicrosecondArray::from(values(rng, &MICROS, |rng| rng.random_range(MICROS[0]..MICROS[1]))))),
    ("timestamptz", |rng| {
        let instants = values(rng, &MICROS, |rng| rng.random_range(MICROS[0]..MICROS[1]));
        Arc::new(TimestampMicrosecondArray::from(instants).with_timezone("UTC"))
    }),
    ("time", |rng| Arc::new(Time64MicrosecondArray::from(values(rng, &[0, 86_399_999_999], |rng| rng.random_range(0..86_400_000_000))))),
    ("interval", |rng| {
        let random = |rng: &mut StdRng| {
            IntervalMonthDayNano::new(
                rng.random_range(-9999..9999),
                rng.random_range(-9999..9999),
                rng.random_range(-(1 << 50)..1 << 50) * 1_000,
            )
        };
        Arc::new(IntervalMonthDayNanoArray::from(values(rng, &[IntervalMonthDayNano::new(0, 0, 0)], random)))
    }),
    ("integer[]", |rng| {
        let random = |rng: &mut StdRng| (0..rng.random_range(0..4)).map(|_| if rng.random() { Some(rng.random()) } else { None }).collect();
        let lists: Vec<Option<Vec<Option<i32>>>> = values(rng, &[vec![], vec![None]], random);
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))
    }),
    ("text[]", |rng| {
        let random = |rng: &mut StdRng| (0..rng.random_range(0..4)).map(|_| text(rng)).collect::<Vec<_>>();
        let mut lists = ListBuilder::new(StringBuilder::new());
        values(rng, &[vec![], vec![String::new(), "NULL".into()]], random)
            .into_iter()
            .for_each(|list| lists.append_option(list.map(|list| list.into_iter().map(Some))));
        Arc::new(lists.finish())
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_out_and_comes_back_equal() {
    let Some(server) = server() else { return };
    let peer = server.schema("types").await;
    let ctx = server.session();
    for (at, (sql_type, generate)) in TYPES.iter().enumerate() {
        let column = generate(&mut StdRng::seed_from_u64(at as u64));
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..i32::try_from(column.len()).unwrap()));
        let sent = RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("v", column, true)]).unwrap();
        peer.run(&format!("CREATE TABLE types.t{at} (id int PRIMARY KEY, v {sql_type})")).await;
        ctx.register_table("source", Arc::new(MemTable::try_new(sent.schema(), vec![vec![sent.clone()]]).unwrap())).unwrap();
        // Straight, by the staging table, and over itself.
        for write in ["INSERT INTO", "REPLACE INTO", "INSERT OVERWRITE"] {
            rows(&ctx, &format!("{write} shop.types.t{at} SELECT * FROM source"))
                .await
                .unwrap_or_else(|error| panic!("{sql_type}: {error}"));
            let read = rows(&ctx, &format!("SELECT * FROM shop.types.t{at} ORDER BY id")).await.unwrap();
            let read = concat_batches(&read[0].schema(), &read).unwrap();
            assert_eq!(read.schema().field(1).data_type(), sent.schema().field(1).data_type(), "{sql_type}");
            assert_eq!(read.column(1), sent.column(1), "{sql_type}, {write}");
        }
        // A row that is the same is not written again.
        let versions = format!("SELECT count(DISTINCT xmin::text) FROM types.t{at}");
        assert_eq!(peer.text(&versions).await, "1", "{sql_type}");
        ctx.deregister_table("source").unwrap();
    }
}

/// What the types of a source become, and how the server itself shows it.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_sees_what_was_meant() {
    let Some(server) = server() else { return };
    let peer = server.schema("meant").await;
    peer.run(
        "CREATE TABLE meant.t (id int, tz timestamptz, ts timestamp, da date, d numeric(12, 4), n numeric, iv interval, c char(5), ip inet, jb jsonb,
         i2 int2, f4 real, a numeric(5, 1)[])",
    )
    .await;
    let ctx = server.session();
    rows(
        &ctx,
        "INSERT INTO shop.meant.t SELECT 1, TIMESTAMP '1900-01-01T00:00:00+05:30', TIMESTAMP '2026-02-28T01:02:03.000004', DATE '0001-01-01', -0.0500,
         '12345678901234567890.50', INTERVAL '1 month 2 days 3 seconds', 'ab', '10.0.0.1', '{\"a\": [1, 2]}', 7.0, 0.5, make_array(1.5, NULL)",
    )
    .await
    .unwrap();
    assert_eq!(
        peer.text("SET TimeZone = 'UTC'; SELECT t::text FROM meant.t t").await,
        "(1,\"1899-12-31 18:30:00+00\",\"2026-02-28 01:02:03.000004\",0001-01-01,-0.0500,12345678901234567890.50,\"1 mon 2 days 00:00:03\",\"ab   \",\
         10.0.0.1,\"{\"\"a\"\": [1, 2]}\",7,0.5,\"{1.5,NULL}\")"
    );
}

/// What does not fit is told by column and row, and the remedy that is told works.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_by_column_and_row() {
    let Some(server) = server() else { return };
    let peer = server.schema("fit").await;
    peer.run(
        "CREATE TABLE fit.t (id int NOT NULL, i2 smallint, f4 real, d numeric(5, 2), v varchar(3), t text, da date, ts timestamp, tz timestamptz, f8 float8,
         l smallint[], t0 timestamp(0), bits bit(3))",
    )
    .await;
    let ctx = server.session();
    let cases = [
        ("i2", "1::bigint", "70000::bigint", "is a number that smallint cannot hold", "NULL"),
        ("i2", "1.0::double", "1.5::double", "has a fraction, and the column takes whole numbers; round() takes it away", "round(x)"),
        ("i2", "1.0", "1.5", "has a fraction", "round(x)"),
        ("f4", "1::double", "1e200::double", "is a number that real cannot hold", "NULL"),
        (
            "f8",
            "1::bigint",
            "9007199254740993::bigint",
            "is a whole number that double precision does not hold exactly; CAST it to double",
            "CAST(x AS double)",
        ),
        ("d", "1.25::decimal(10, 3)", "1.255::decimal(10, 3)", "has more than 2 digits behind the point; round(…, 2)", "round(x, 2)"),
        ("d", "1::decimal(10, 2)", "1000::decimal(10, 2)", "is a number that numeric(5,2) cannot hold", "NULL"),
        ("d", "1::double", "CAST('NaN' AS double)", "is a number that numeric(5,2) cannot hold", "nanvl(x, NULL)"),
        ("l", "[1::bigint]", "[2, NULL, 70000::bigint]", "has an element that is a number that smallint[] cannot hold", "NULL"),
        ("l", "[1.0::double]", "[1.5::double]", "has an element that has a fraction", "NULL"),
        ("d", "'1.25'", "'1.255'", "has more than 2 digits behind the point", "NULL"),
        ("ts", "'2026-01-01T00:00:00.123456'", "'2026-01-01T00:00:00.1234567'", "has parts of a microsecond", "NULL"),
        (
            "f8",
            "1.5::decimal(20, 1)",
            "9007199254740993::decimal(20, 0)",
            "is a decimal that double precision does not hold",
            "CAST(x AS double)",
        ),
        (
            "t0",
            "TIMESTAMP '2026-01-01T00:00:01'",
            "TIMESTAMP '2026-01-01T00:00:00.6'",
            "has a finer fraction of a second than its column; date_trunc('second', …) takes it away",
            "date_trunc('second', x)",
        ),
        ("v", "'äöü'", "'äöüß'", "has more than 3 characters; left(…, 3) shortens it", "left(x, 3)"),
        ("t", "'a'", "arrow_cast(decode('610062', 'hex'), 'Utf8')", "has a NUL character", "regexp_replace(x, '\\x00', '', 'g')"),
        ("id", "1", "NULL::int", "is NULL, and the column is NOT NULL; coalesce gives it a value", "coalesce(x, 0)"),
        ("da", "'2026-01-01'", "'2026-13-01'", "is a text that date cannot hold", "NULL"),
        ("da", "TIMESTAMP '2026-01-01T00:00:00'", "TIMESTAMP '2026-01-01T10:00:00'", "has a time of day", "date_trunc('day', x)"),
        (
            "ts",
            "TIMESTAMP '2026-01-01T00:00:00'",
            "TIMESTAMP '2026-01-01T00:00:00.000000001'",
            "has parts of a microsecond",
            "date_trunc('microsecond', x)",
        ),
        (
            "tz",
            "arrow_cast(0, 'Timestamp(Nanosecond, Some(\"Asia/Kolkata\"))')",
            "arrow_cast(1001, 'Timestamp(Nanosecond, Some(\"Asia/Kolkata\"))')",
            "has parts of a microsecond",
            "date_trunc('microsecond', x)",
        ),
        (
            "tz",
            "arrow_cast(0, 'Timestamp(Microsecond, Some(\"UTC\"))')",
            "arrow_cast(-9223372036854775807, 'Timestamp(Microsecond, Some(\"UTC\"))')",
            "is an instant that the database cannot hold",
            "NULL",
        ),
    ];
    for (column, good, bad, problem, remedy) in cases {
        let source = format!("SELECT {good} AS x, 1 AS k UNION ALL SELECT {bad}, 2");
        let id = if column == "id" { "" } else { "id, " };
        let one = if column == "id" { "" } else { "1, " };
        let error = refusal(&ctx, &format!("INSERT INTO shop.fit.t ({id}{column}) SELECT {one}x FROM ({source}) ORDER BY k")).await;
        assert!(error.contains(&format!("shop.fit.t, row 2 of the source: \"{column}\" {problem}")), "{column} {bad}: {error}");
        assert!(error.ends_with("[DB-202]") && !error.contains("70000"), "{error}");
        assert_eq!(peer.rows("fit.t").await, "", "{error}");
        if remedy != "NULL" {
            let sql = format!("INSERT INTO shop.fit.t ({id}{column}) SELECT {one}{remedy} FROM ({source}) ORDER BY k");
            rows(&ctx, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            peer.run("TRUNCATE fit.t").await;
        }
    }
    let error = refusal(&ctx, "INSERT INTO shop.fit.t (id, bits) SELECT 1, '10101'").await;
    assert!(error.contains("a value does not fit its column (SQLSTATE 22026)") && peer.rows("fit.t").await.is_empty(), "{error}");
    let error = refusal(&ctx, "INSERT INTO shop.fit.t (id, da) SELECT 1, INTERVAL '1 day'").await;
    assert!(error.contains("Date32") && error.contains("Interval"), "{error}");
}

/// The server casts what has no binary form, and says of no row that it was the one.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_cannot_cast_is_told_by_column_and_row() {
    let Some(server) = server() else { return };
    let peer = server.schema("uncast").await;
    peer.run("CREATE TABLE uncast.t (id int PRIMARY KEY, j jsonb, u uuid); INSERT INTO uncast.t VALUES (0, '{}', NULL)").await;
    let ctx = server.session();
    let source = |json: u32, uuid: u32| {
        format!(
            "SELECT value, CASE WHEN value = {json} THEN '{{secret' ELSE '[1]' END, CASE WHEN value = {uuid} THEN 'secret' \
             ELSE 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' END FROM generate_series(1, 1000) WHERE value <> 9999 ORDER BY value"
        )
    };
    for statement in ["INSERT INTO", "INSERT OVERWRITE", "REPLACE INTO"] {
        for (json, uuid, row, column, sql_type) in [(700, 1_000, 700, "j", "jsonb"), (700, 650, 650, "u", "uuid"), (1, 2, 1, "j", "jsonb")]
        {
            let error = refusal(&ctx, &format!("{statement} shop.uncast.t {}", source(json, uuid))).await;
            let told =
                format!("shop.uncast.t, row {row} of the source: \"{column}\" is no value of its column's type, {sql_type}; WHERE leaves");
            assert!(error.contains(&told) && error.ends_with("[DB-202]") && !error.contains("secret"), "{error}");
            assert_eq!(peer.rows("uncast.t").await, "(0,{},)", "{error}");
        }
    }
    let mended = source(700, 9_999).replace("value <> 9999", "value <> 700");
    rows(&ctx, &format!("INSERT INTO shop.uncast.t {mended}")).await.unwrap();
}
