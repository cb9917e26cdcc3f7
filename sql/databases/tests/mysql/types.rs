//! Types: what the server has is read exactly; random rows go out and come back equal, or are refused.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::server::{refusal, rows, server};
use crate::values::values;

type Generate = fn(&mut StdRng) -> ArrayRef;

#[tokio::test(flavor = "multi_thread")]
async fn values_of_the_server_are_read_exactly() {
    let Some(server) = server() else { return };
    server.schema(
        "exact",
        "CREATE TABLE t (b BOOL, i8 BIGINT, u8 BIGINT UNSIGNED, m MEDIUMINT, f FLOAT, d DOUBLE, n DECIMAL(12,3), w DECIMAL(60,10), v VARCHAR(10),
             c CHAR(5), t TEXT, e ENUM('a','b'), s SET('x','y'), j JSON, y VARBINARY(5), da DATE, dt DATETIME(6), ts TIMESTAMP(3), ti TIME, ye YEAR,
             bi BIT(3), u UUID, l VARCHAR(5) CHARACTER SET latin1);
         INSERT INTO t VALUES (true, -9223372036854775808, 18446744073709551615, -8388608, 0.1, 0.1, -0.05, 12345678901234567890123456789012345678901234567890.5,
             'ü😀', 'ab', 'it\\'s \\\\', 'b', 'x,y', '{\"a\": 1}', X'00ff', '0001-01-01', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01.5', '-838:59:59',
             2026, b'101', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'ä')",
    );
    let batches = rows(&server.session(), "SELECT * FROM shop.exact.t").await.unwrap();
    let mut read = String::new();
    for (field, column) in batches[0].schema().fields().iter().zip(batches[0].columns()) {
        read.push_str(&format!("{} {} = {}\n", field.name(), field.data_type(), array_value_to_string(column, 0).unwrap()));
    }
    for (read, exact) in read.lines().zip(EXACT.lines()) {
        assert_eq!(read, exact);
    }
    assert_eq!(read.len(), EXACT.len());
}

const EXACT: &str = "\
b Int8 = 1
i8 Int64 = -9223372036854775808
u8 UInt64 = 18446744073709551615
m Int32 = -8388608
f Float32 = 0.1
d Float64 = 0.1
n Decimal128(12, 3) = -0.050
w Decimal256(60, 10) = 12345678901234567890123456789012345678901234567890.5000000000
v Utf8 = ü😀
c Utf8 = ab
t Utf8 = it's \\
e Utf8 = b
s Utf8 = x,y
j Utf8 = {\"a\": 1}
y Binary = 00ff
da Date32 = 0001-01-01
dt Timestamp(µs) = 9999-12-31T23:59:59.999999
ts Timestamp(µs, \"UTC\") = 1970-01-01T00:00:01.500Z
ti Utf8 = -838:59:59
ye Int16 = 2026
bi Binary = 05
u Utf8 = a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
l Utf8 = ä
";

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_none_is_told_by_column_and_row_and_a_view_reads_it() {
    let Some(server) = server() else { return };
    server.schema(
        "odd",
        "SET sql_mode = ''; CREATE TABLE t (id INT, d DATE); INSERT INTO t VALUES (1, '2026-01-01'), (2, '0000-00-00');
         CREATE VIEW v AS SELECT id, nullif(d, '0000-00-00') AS d FROM t",
    );
    let ctx = server.session();
    let error = refusal(&ctx, "SELECT d FROM shop.odd.t").await;
    assert!(error.contains("shop.odd.t, row 2 of the answer: \"d\" is no day of a calendar") && error.ends_with("[DB-203]"), "{error}");
    rows(&ctx, "SELECT d FROM shop.odd.v").await.unwrap();
}

fn text(rng: &mut StdRng) -> String {
    const PARTS: [&str; 10] = ["a", "Z", "é", "😀", "'", "\"", "\\", "\n", "%", "\\'"];
    (0..rng.random_range(0..10)).map(|_| PARTS[rng.random_range(0..PARTS.len())]).collect()
}

/// The first and the last instant: the years 1 and 9999.
const MICROS: [i64; 2] = [-62_135_596_800_000_000, 253_402_300_799_999_999];

const TYPES: [(&str, Generate); 16] = [
    ("TINYINT", |rng| Arc::new(Int8Array::from(values(rng, &[i8::MIN, i8::MAX], |rng| rng.random())))),
    ("SMALLINT", |rng| Arc::new(Int16Array::from(values(rng, &[i16::MIN, i16::MAX], |rng| rng.random())))),
    ("INT UNSIGNED", |rng| Arc::new(UInt32Array::from(values(rng, &[0, u32::MAX], |rng| rng.random())))),
    ("BIGINT", |rng| Arc::new(Int64Array::from(values(rng, &[i64::MIN, i64::MAX], |rng| rng.random())))),
    ("BIGINT UNSIGNED", |rng| Arc::new(UInt64Array::from(values(rng, &[0, u64::MAX], |rng| rng.random())))),
    ("FLOAT", |rng| Arc::new(Float32Array::from(values(rng, &[0.1, f32::MAX, f32::MIN_POSITIVE], |rng| rng.random())))),
    ("DOUBLE", |rng| {
        let random = |rng: &mut StdRng| loop {
            let number = f64::from_bits(rng.random());
            if number.is_normal() {
                break number;
            }
        };
        Arc::new(Float64Array::from(values(rng, &[0.1, f64::MAX, f64::MIN_POSITIVE], random)))
    }),
    ("DECIMAL(9,4)", |rng| {
        let cells = values(rng, &[0, 1, -1, 999_999_999], |rng| rng.random_range(-999_999_999..=999_999_999));
        Arc::new(Decimal128Array::from(cells).with_precision_and_scale(9, 4).expect("digits"))
    }),
    ("DECIMAL(38,0)", |rng| {
        let cells = values(rng, &[10_i128.pow(38) - 1, 1 - 10_i128.pow(38)], |rng| rng.random::<i64>().into());
        Arc::new(Decimal128Array::from(cells).with_precision_and_scale(38, 0).expect("digits"))
    }),
    ("VARCHAR(30) CHARACTER SET utf8mb4", |rng| Arc::new(StringArray::from(values(rng, &[String::new(), "é".repeat(30)], text)))),
    ("LONGTEXT", |rng| Arc::new(StringArray::from(values(rng, &[String::new(), "x".repeat(100_000)], text)))),
    ("VARBINARY(20)", |rng| {
        Arc::new(BinaryArray::from_iter(values(rng, &[Vec::new(), vec![0, 255, b'\'']], |rng| rng.random::<[u8; 8]>().to_vec())))
    }),
    ("DATE", |rng| Arc::new(Date32Array::from(values(rng, &[-719_162, 2_932_896], |rng| rng.random_range(-719_162..2_932_896))))),
    ("DATETIME(6)", |rng| Arc::new(TimestampMicrosecondArray::from(values(rng, &MICROS, |rng| rng.random_range(MICROS[0]..MICROS[1]))))),
    ("TIMESTAMP(6) NULL", |rng| {
        let instants = values(rng, &[1_000_000, 2_147_483_647_999_999], |rng| rng.random_range(1_000_000..2_147_483_647_999_999));
        Arc::new(TimestampMicrosecondArray::from(instants).with_timezone("UTC"))
    }),
    ("JSON", |rng| Arc::new(StringArray::from(values(rng, &["{\"a\": \"\\\\\"}".to_owned()], |rng| format!("[{}]", rng.random::<i32>()))))),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_out_and_comes_back_equal() {
    let Some(server) = server() else { return };
    server.schema("types", "");
    let ctx = server.session();
    for (at, (sql_type, generate)) in TYPES.iter().enumerate() {
        let column = generate(&mut StdRng::seed_from_u64(at as u64));
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..i32::try_from(column.len()).unwrap()));
        let sent = RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("v", column, true)]).unwrap();
        server
            .run(&format!("CREATE TABLE types.t{at} (id INT PRIMARY KEY, v {sql_type}, seen TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP)"));
        ctx.register_table("source", Arc::new(MemTable::try_new(sent.schema(), vec![vec![sent.clone()]]).unwrap())).unwrap();
        for write in ["INSERT INTO", "REPLACE INTO"] {
            rows(&ctx, &format!("{write} shop.types.t{at} (id, v) SELECT * FROM source"))
                .await
                .unwrap_or_else(|error| panic!("{sql_type}: {error}"));
            let read = rows(&ctx, &format!("SELECT id, v FROM shop.types.t{at} ORDER BY id")).await.unwrap();
            let read = concat_batches(&read[0].schema(), &read).unwrap();
            assert_eq!(read.schema().field(1).data_type(), sent.schema().field(1).data_type(), "{sql_type}");
            assert_eq!(read.column(1), sent.column(1), "{sql_type}, {write}");
        }
        // A row that is the same is not written again.
        assert_eq!(server.run(&format!("SELECT count(seen) FROM types.t{at}")), "0", "{sql_type}");
        ctx.deregister_table("source").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_by_column_and_row() {
    let Some(server) = server() else { return };
    server.schema(
        "fit",
        "CREATE TABLE t (id INT NOT NULL, i TINYINT, v VARCHAR(3), l VARCHAR(9) CHARACTER SET latin1, d DATETIME, ts TIMESTAMP NULL, f DOUBLE, e ENUM('a'), y VARBINARY(2))",
    );
    let ctx = server.session();
    let cases = [
        ("i", "1000", "is a number that tinyint(4) cannot hold", "NULL"),
        ("v", "'äöüß'", "has more than 3 characters; left(…, 3) shortens it", "left('äöüß', 3)"),
        ("l", "'日本'", "has a form or a character that its column does not take", "'x'"),
        (
            "d",
            "TIMESTAMP '2026-01-01T00:00:00.5'",
            "has a finer fraction of a second than its column",
            "date_trunc('second', TIMESTAMP '2026-01-01T00:00:00.5')",
        ),
        ("d", "arrow_cast(-62167219200000000, 'Timestamp(Microsecond, None)')", "is of a year that MySQL does not have", "NULL"),
        ("ts", "TIMESTAMP '2100-01-01T00:00:00'", "is out of the range of its column", "NULL"),
        ("f", "CAST('NaN' AS double)", "is NaN or infinite", "CASE WHEN isnan(CAST('NaN' AS double)) THEN NULL ELSE 1.0 END"),
        ("e", "'b'", "has a form or a character that its column does not take", "'a'"),
        ("e", "'1'", "is no member of its column's type, and MySQL would take its digits for the place of one", "'a'"),
        ("y", "decode('000000', 'hex')", "has a form or a character that its column does not take", "NULL"),
    ];
    for (column, value, problem, remedy) in cases {
        let error =
            refusal(&ctx, &format!("INSERT INTO shop.fit.t (id, {column}) SELECT 1, NULL UNION ALL SELECT 2, {value} ORDER BY 1")).await;
        assert!(error.contains(&format!("shop.fit.t, row 2 of the source: \"{column}\" {problem}")), "{column}: {error}");
        assert_eq!(server.run("SELECT count(*) FROM fit.t"), "0");
        rows(&ctx, &format!("INSERT INTO shop.fit.t (id, {column}) SELECT 1, {remedy}")).await.unwrap();
        server.run("DELETE FROM fit.t");
    }
}
