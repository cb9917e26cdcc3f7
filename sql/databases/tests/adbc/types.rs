//! Every type that is written: random rows go out and come back equal. `CLEVERTAP_ROWS=10000` for as many rows a type.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use clevertap_databases::{Access, DatabaseSettings};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::server::{driver, postgres, rows, session_of, snowflake};
use crate::values::values;

type Generate = fn(&mut StdRng) -> ArrayRef;

fn text(rng: &mut StdRng) -> String {
    const PARTS: [&str; 10] = ["a", "Z", "é", "😀", "'", "\"", "\\", "\n", "\t", "\u{feff}"];
    (0..rng.random_range(0..20)).map(|_| PARTS[rng.random_range(0..PARTS.len())]).collect()
}

fn texts(rng: &mut StdRng) -> ArrayRef {
    Arc::new(StringArray::from(values(rng, &[String::new(), "NULL".into(), "\\N".into(), "a,b;c".into()], text)))
}

fn views(rng: &mut StdRng) -> ArrayRef {
    Arc::new(StringViewArray::from(values(rng, &[String::new(), "a".repeat(40)], text)))
}

fn decimals(rng: &mut StdRng, precision: u8, scale: i8) -> ArrayRef {
    let bound = 10_i128.pow(precision.into()) - 1;
    let random = |rng: &mut StdRng| {
        let bound = 10_i128.pow(rng.random_range(1..=precision).into()) - 1;
        rng.random_range(-bound..=bound)
    };
    Arc::new(
        Decimal128Array::from(values(rng, &[bound, -bound, 0, 1, -1], random)).with_precision_and_scale(precision, scale).expect("digits"),
    )
}

fn doubles(rng: &mut StdRng) -> ArrayRef {
    let edges = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX, f64::from_bits(1)];
    let random = values(rng, &edges, |rng| f64::from_bits(rng.random()));
    // There all NaN are one.
    Arc::new(Float64Array::from(random).unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value }))
}

fn booleans(rng: &mut StdRng) -> ArrayRef {
    Arc::new(BooleanArray::from(values(rng, &[true, false], |rng| rng.random())))
}

fn bytes(rng: &mut StdRng) -> ArrayRef {
    let values = values(rng, &[Vec::new(), vec![0], vec![0, 255, 10]], |rng| (0..rng.random_range(0..20)).map(|_| rng.random()).collect());
    Arc::new(values.into_iter().collect::<BinaryArray>())
}

/// Days of the years 1 to 9999.
fn days(rng: &mut StdRng) -> ArrayRef {
    Arc::new(Date32Array::from(values(rng, &[0, -1, -719_162, 2_932_896], |rng| rng.random_range(-719_162..=2_932_896))))
}

/// Whole microseconds of the years that nanoseconds reach.
fn nanoseconds(rng: &mut StdRng) -> TimestampNanosecondArray {
    const BOUND: i64 = 9_214_646_400_000_000;
    let edges = [0, -1, 1, BOUND - 1, 1 - BOUND, 86_399_999_999, -86_400_000_000];
    let micros = values(rng, &edges, |rng| rng.random_range(-BOUND..BOUND));
    TimestampNanosecondArray::from_iter(micros.into_iter().map(|at| at.map(|at| at * 1_000)))
}

/// The first and last microsecond that PostgreSQL and 64 bits hold.
fn microseconds(rng: &mut StdRng) -> TimestampMicrosecondArray {
    const EDGES: [i64; 5] = [-210_866_803_200_000_000, 9_223_371_331_199_999_999 - 946_684_800_000_000, 0, -1, 1];
    TimestampMicrosecondArray::from(values(rng, &EDGES, |rng| rng.random_range(EDGES[0]..=EDGES[1])))
}

const POSTGRES: [(&str, Generate); 19] = [
    ("boolean", booleans),
    ("smallint", |rng| Arc::new(Int16Array::from(values(rng, &[i16::MIN, i16::MAX], |rng| rng.random())))),
    ("integer", |rng| Arc::new(Int32Array::from(values(rng, &[i32::MIN, i32::MAX], |rng| rng.random())))),
    ("bigint", |rng| Arc::new(Int64Array::from(values(rng, &[i64::MIN, i64::MAX], |rng| rng.random())))),
    ("real", |rng| {
        let edges = [f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE];
        Arc::new(Float32Array::from(values(rng, &edges, |rng| rng.random())))
    }),
    ("double precision", doubles),
    ("numeric(9,4)", |rng| decimals(rng, 9, 4)),
    ("numeric(38,10)", |rng| decimals(rng, 38, 10)),
    ("numeric(38,0)", |rng| decimals(rng, 38, 0)),
    ("text", texts),
    ("varchar(80)", texts),
    ("text", views),
    ("bytea", bytes),
    ("date", days),
    ("timestamp", |rng| Arc::new(microseconds(rng))),
    ("timestamptz", |rng| Arc::new(microseconds(rng).with_timezone("UTC"))),
    ("numeric", |rng| {
        Arc::new(StringArray::from(values(rng, &["1.50".into(), "NaN".into(), "0".into()], |rng| rng.random::<i64>().to_string())))
    }),
    ("uuid", |rng| {
        let random = |rng: &mut StdRng| format!("{:08x}-0000-4000-8000-{:012x}", rng.random::<u32>(), rng.random::<u32>());
        Arc::new(StringArray::from(values(rng, &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11".into()], random)))
    }),
    ("jsonb", |rng| {
        Arc::new(StringArray::from(values(rng, &["null".into(), "{}".into()], |rng| {
            format!("{{\"a\": [{}, \"é\"]}}", rng.random::<i32>())
        })))
    }),
];

const SNOWFLAKE: [(&str, Generate); 13] = [
    ("BOOLEAN", booleans),
    // fakesnow has 64 bits for it.
    ("NUMBER(38,0)", |rng| {
        let whole = values(rng, &[i64::MIN, i64::MAX], |rng| rng.random());
        let whole: Decimal128Array = whole.into_iter().map(|number| number.map(i128::from)).collect();
        Arc::new(whole.with_precision_and_scale(38, 0).expect("digits"))
    }),
    ("NUMBER(12,2)", |rng| decimals(rng, 12, 2)),
    ("NUMBER(38,10)", |rng| decimals(rng, 38, 10)),
    ("FLOAT", doubles),
    ("VARCHAR", texts),
    ("VARCHAR", views),
    ("BINARY", bytes),
    ("DATE", days),
    ("TIME", |rng| {
        let micros = values(rng, &[0, 86_399_999_999], |rng| rng.random_range(0..86_400_000_000_i64));
        Arc::new(Time64NanosecondArray::from_iter(micros.into_iter().map(|at| at.map(|at| at * 1_000))))
    }),
    ("TIMESTAMP_NTZ", |rng| Arc::new(nanoseconds(rng))),
    ("TIMESTAMP_TZ", |rng| Arc::new(nanoseconds(rng).with_timezone("UTC"))),
    ("TIMESTAMP_LTZ", |rng| Arc::new(nanoseconds(rng).with_timezone("UTC"))),
];

const SQLITE: [(&str, Generate); 4] = [
    ("INTEGER", |rng| Arc::new(Int64Array::from(values(rng, &[i64::MIN, i64::MAX, 0], |rng| rng.random())))),
    ("REAL", |rng| {
        let random = |rng: &mut StdRng| loop {
            let number = f64::from_bits(rng.random());
            if number.is_finite() {
                return number;
            }
        };
        Arc::new(Float64Array::from(values(rng, &[0.0, f64::INFINITY, f64::MAX, 0.1], random)))
    }),
    ("TEXT", texts),
    ("BLOB", bytes),
];

/// Writes a column in each way and reads it back.
async fn round_trip(ctx: &SessionContext, table: &str, sql_type: &str, generate: Generate, rng: &mut StdRng) {
    let sent = generate(rng);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(sent.len()).expect("few")));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("v", Arc::clone(&sent), true)]).expect("a batch");
    let slices = (0..batch.num_rows()).step_by(97).map(|at| batch.slice(at, 97.min(batch.num_rows() - at))).collect();
    ctx.deregister_table("source").expect("a table");
    ctx.register_table("source", Arc::new(MemTable::try_new(batch.schema(), vec![slices]).expect("a table"))).expect("a table");
    for write in ["INSERT OVERWRITE", "REPLACE INTO"] {
        rows(ctx, &format!("{write} {table} SELECT id, v FROM source"))
            .await
            .unwrap_or_else(|error| panic!("{sql_type}: {write}: {error}"));
        let read = rows(ctx, &format!("SELECT v FROM {table} ORDER BY id")).await.unwrap_or_else(|error| panic!("{sql_type}: {error}"));
        let read = concat_batches(&read[0].schema(), &read).expect("one batch");
        let read = arrow::compute::cast(read.column(0), sent.data_type()).expect("a view of texts");
        if read.as_ref() != sent.as_ref() {
            let at = (0..sent.len()).find(|at| read.slice(*at, 1).as_ref() != sent.slice(*at, 1).as_ref()).unwrap_or_default();
            panic!("{sql_type}: {write}: row {at}: {:?} became {:?}", sent.slice(at, 1), read.slice(at, 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_postgresql_goes_out_and_comes_back_equal() {
    let Some((server, driver)) = postgres() else { return };
    let tables: Vec<_> = POSTGRES
        .iter()
        .enumerate()
        .map(|(at, (sql_type, _))| format!("CREATE TABLE t{at} (id bigint PRIMARY KEY, v {sql_type})"))
        .collect();
    server.schema("types", &tables.join(";"));
    let (ctx, mut rng) = (session_of(server.settings(&driver)), StdRng::seed_from_u64(1));
    for (at, (sql_type, generate)) in POSTGRES.iter().enumerate() {
        round_trip(&ctx, &format!("shop.types.t{at}"), sql_type, *generate, &mut rng).await;
    }
    // What this driver reads is what our own client of PostgreSQL reads.
    if cfg!(feature = "postgres") {
        let url = format!("postgres://test@127.0.0.1:{}/postgres?sslmode=disable", server.port);
        let native = session_of(DatabaseSettings::new("shop", &url).expect("settings"));
        for (at, (sql_type, _)) in POSTGRES.iter().enumerate() {
            let sql = format!("SELECT v FROM shop.types.t{at} ORDER BY id");
            let (here, there) = (rows(&ctx, &sql).await.unwrap(), rows(&native, &sql).await.unwrap());
            assert_eq!(
                concat_batches(&here[0].schema(), &here).unwrap(),
                concat_batches(&there[0].schema(), &there).unwrap(),
                "{sql_type}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_snowflake_goes_out_and_comes_back_equal() {
    let Some(server) = snowflake() else { return };
    let tables: Vec<_> = SNOWFLAKE
        .iter()
        .enumerate()
        .map(|(at, (sql_type, _))| format!("CREATE TABLE T{at} (ID NUMBER(38,0) PRIMARY KEY, V {sql_type})"))
        .collect();
    server.schema("TYPES", &tables.iter().map(String::as_str).collect::<Vec<_>>());
    let (ctx, mut rng) = (server.session(), StdRng::seed_from_u64(1));
    for (at, (sql_type, generate)) in SNOWFLAKE.iter().enumerate() {
        round_trip(&ctx, &format!("wh.types.t{at}"), sql_type, *generate, &mut rng).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_sqlite_goes_out_and_comes_back_equal() {
    let Some(driver) = driver("sqlite") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("types.db");
    let peer = rusqlite::Connection::open(&path).expect("a file");
    for (at, (sql_type, _)) in SQLITE.iter().enumerate() {
        peer.execute_batch(&format!("CREATE TABLE t{at} (id INTEGER PRIMARY KEY, v {sql_type})")).expect("a table");
    }
    let settings = DatabaseSettings::adbc("shop", &driver).with_option("uri", path.display().to_string()).with_access(Access::Write);
    let (ctx, mut rng) = (session_of(settings), StdRng::seed_from_u64(1));
    for (at, (sql_type, generate)) in SQLITE.iter().enumerate() {
        round_trip(&ctx, &format!("shop.main.t{at}"), sql_type, *generate, &mut rng).await;
    }
}
