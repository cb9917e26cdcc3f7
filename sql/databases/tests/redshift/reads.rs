//! Reads: types, filters, streams that are dropped.

use arrow::util::display::array_value_to_string;
use futures::StreamExt;

use crate::conditions::give_the_same_rows;
use crate::server::{rows, server, session_of, shown};
use crate::settings;

#[tokio::test(flavor = "multi_thread")]
async fn values_of_the_server_are_read_exactly() {
    let Some(server) = server() else { return };
    let peer = server.schema("exact").await;
    peer.run(
        "CREATE TABLE exact.t (b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, d numeric(12, 3), v varchar(10), c char(5), y bytea, da date,
             ts timestamp, tz timestamptz, ti time, j jsonb);
         INSERT INTO exact.t VALUES (true, -32768, 2147483647, -9223372036854775808, 0.1, 0.1, -0.05, E'ü\\n😀', 'ab', '\\x00ff', '0044-03-15 BC',
             '9999-12-31 23:59:59.999999', '1900-01-01 00:00:00+05:30', '23:59:59.999999', '{\"a\": 1}')",
    )
    .await;
    let ctx = session_of(settings(server.port));
    let batches = rows(&ctx, "SELECT * FROM wh.exact.t").await.unwrap();
    let mut read = String::new();
    for (field, column) in batches[0].schema().fields().iter().zip(batches[0].columns()) {
        read.push_str(&format!("{} {} = {}\n", field.name(), field.data_type(), array_value_to_string(column, 0).unwrap()));
    }
    assert_eq!(read, EXACT);
    peer.run("TRUNCATE exact.t; INSERT INTO exact.t DEFAULT VALUES").await;
    let batches = rows(&ctx, "SELECT * FROM wh.exact.t").await.unwrap();
    assert!(batches[0].columns().iter().all(|column| column.null_count() == 1));
    assert!(shown(&ctx, "SELECT count(*) AS n FROM wh.exact.t").await.contains("| 1 |"));
    let listed =
        shown(&ctx, "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'wh' AND table_schema = 'exact'").await;
    assert!(listed.contains("| t          |"), "{listed}");
}

const EXACT: &str = "\
b Boolean = true
i2 Int16 = -32768
i4 Int32 = 2147483647
i8 Int64 = -9223372036854775808
f4 Float32 = 0.1
f8 Float64 = 0.1
d Decimal128(12, 3) = -0.050
v Utf8 = ü
😀
c Utf8 = ab
y Binary = 00ff
da Date32 = -0043-03-15
ts Timestamp(µs) = 9999-12-31T23:59:59.999999
tz Timestamp(µs, \"UTC\") = 1899-12-31T18:30:00Z
ti Time64(µs) = 23:59:59.999999
j Utf8 = {\"a\": 1}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_ends_on_the_server() {
    let Some(server) = server() else { return };
    let peer = server.schema("dropped").await;
    peer.run("CREATE VIEW dropped.v AS SELECT g AS id FROM generate_series(1, 1000000000) g").await;
    let ctx = session_of(settings(server.port));
    let mut stream = ctx.sql("SELECT id FROM wh.dropped.v LIMIT 900000000").await.unwrap().execute_stream().await.unwrap();
    // A set-returning view is made before its first row.
    assert!(tokio::time::timeout(std::time::Duration::from_millis(500), stream.next()).await.is_err());
    drop(stream);
    peer.waits_for("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%FROM \"dropped\".\"v\"%' AND state = 'active' AND pid <> pg_backend_pid()", "0").await;
}

const COLUMNS: [(&str, &[&str]); 6] = [
    ("i", &["0", "1", "-1", "7"]),
    ("d", &["0", "1.50", "1.5", "-2.25"]),
    ("f", &["0.0", "-0.0", "1.5", "CAST('NaN' AS double)", "1e300"]),
    ("t", &["'gold'", "'Gold'", "'gold '", "''", "'ö'", "'a\\b'", "'o''x'"]),
    ("da", &["DATE '2026-01-31'", "DATE '1969-12-31'"]),
    ("tz", &["TIMESTAMP '2026-01-31T10:00:00Z'", "TIMESTAMP '1969-12-31T23:59:59.999999Z'"]),
];

/// `CLEVERTAP_FILTERS=1000 CLEVERTAP_SEED=7` runs more of them, or others.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_the_database_looks_at_too_gives_the_same_rows() {
    let Some(server) = server() else { return };
    let peer = server.schema("rsfilters").await;
    peer.run(
        "CREATE TABLE rsfilters.t (id int, i int, d numeric(10, 2), f float8, t varchar(20), da date, tz timestamptz);
         INSERT INTO rsfilters.t SELECT g, (ARRAY[0, 1, -1, 7, NULL])[1 + g % 5], (ARRAY[0, 1.5, -2.25, NULL])[1 + g % 4],
             (ARRAY[0.0, '-0', 1.5, 'NaN', 'inf', '-inf', -1, NULL]::float8[])[1 + g % 8],
             (ARRAY['gold', 'Gold', 'gold ', '', E'a\\\\b', 'o''x', 'ö', NULL])[1 + g % 8],
             (ARRAY['2026-01-31', '1969-12-31', NULL]::date[])[1 + g % 3],
             (ARRAY['2026-01-31 10:00Z', '1969-12-31 23:59:59.999999Z', NULL]::timestamptz[])[1 + g % 3] FROM generate_series(1, 300) g",
    )
    .await;
    let ctx = session_of(settings(server.port));
    give_the_same_rows(&ctx, "wh.rsfilters.t", &COLUMNS, 150).await;
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM wh.rsfilters.t WHERE i > 5 AND t IN ('a', 'b', 'c', 'd') AND t < 'x'").await;
    assert!(plan.contains("FROM \"rsfilters\".\"t\" WHERE \"i\" > … AND \"t\" IN (…)"), "{plan}");
}
