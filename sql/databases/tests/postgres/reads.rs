//! Reads: types, values that have no form here, snapshots, cancelled queries, names.

use std::sync::Arc;
use std::time::Duration;

use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;

use crate::server::{refusal, rows, server, shown};

#[tokio::test(flavor = "multi_thread")]
async fn values_of_the_server_are_read_exactly() {
    let Some(server) = server() else { return };
    let peer = server.schema("exact").await;
    peer.run(
        "CREATE TYPE exact.mood AS ENUM ('sad', 'happy'); CREATE DOMAIN exact.age AS int CHECK (VALUE >= 0);
         CREATE TABLE exact.t (b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, n numeric, d numeric(12, 3), w numeric(50, 10),
             t text, v varchar(10), c char(5), u uuid, j json, jb jsonb, y bytea, da date, ts timestamp, tz timestamptz, ti time, iv interval,
             m exact.mood, a exact.age, ip inet, li int[], lt text[], lu uuid[]);
         INSERT INTO exact.t VALUES (true, -32768, 2147483647, -9223372036854775808, 4294967295, 1.5, 'NaN', 12345678901234567890.1234567890, -0.05,
             1234567890123456789012345678901234567890.0123456789, E'ü\\n😀', 'abc', 'ab', 'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}',
             '{\"b\":2,\"a\": 1}', '\\x00ff', '0044-03-15 BC', '9999-12-31 23:59:59.999999', '1900-01-01 00:00:00+05:30', '23:59:59.999999',
             '1 year 2 days 3 seconds', 'happy', 41, '10.0.0.0/8', '{1,NULL,3}', '{\"a b\",NULL,\"\"}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}')",
    )
    .await;
    let ctx = server.session();
    let batches = rows(&ctx, "SELECT * FROM shop.exact.t").await.unwrap();
    let mut read = String::new();
    for (field, column) in batches[0].schema().fields().iter().zip(batches[0].columns()) {
        let value = arrow::util::display::array_value_to_string(column, 0).unwrap();
        read.push_str(&format!("{} {} = {value}\n", field.name(), field.data_type()));
    }
    assert_eq!(read, EXACT);
    peer.run("TRUNCATE exact.t; INSERT INTO exact.t DEFAULT VALUES").await;
    let batches = rows(&ctx, "SELECT * FROM shop.exact.t").await.unwrap();
    assert!(batches[0].columns().iter().all(|column| column.null_count() == 1));
    assert!(shown(&ctx, "SELECT count(*) FROM shop.exact.t").await.contains("| 1 "));
}

const EXACT: &str = "\
b Boolean = true
i2 Int16 = -32768
i4 Int32 = 2147483647
i8 Int64 = -9223372036854775808
o UInt32 = 4294967295
f4 Float32 = 1.5
f8 Float64 = NaN
n Utf8 = 12345678901234567890.1234567890
d Decimal128(12, 3) = -0.050
w Decimal256(50, 10) = 1234567890123456789012345678901234567890.0123456789
t Utf8 = ü
😀
v Utf8 = abc
c Utf8 = ab
u Utf8 = a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
j Utf8 = {\"a\": 1}
jb Utf8 = {\"a\": 1, \"b\": 2}
y Binary = 00ff
da Date32 = -0043-03-15
ts Timestamp(µs) = 9999-12-31T23:59:59.999999
tz Timestamp(µs, \"UTC\") = 1899-12-31T18:30:00Z
ti Time64(µs) = 23:59:59.999999
iv Interval(MonthDayNano) = 12 mons 2 days 3.000000000 secs
m Utf8 = happy
a Int32 = 41
ip Utf8 = 10.0.0.0/8
li List(Int32) = [1, , 3]
lt List(Utf8) = [a b, , ]
lu List(Utf8) = [a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_value_without_a_form_here_is_told_by_column_and_row_and_a_view_reads_it() {
    let Some(server) = server() else { return };
    let peer = server.schema("odd").await;
    peer.run(
        "CREATE TABLE odd.t (id int, tz timestamptz, da date, n numeric(5, 2), ti time, a int[]);
         INSERT INTO odd.t VALUES (1, now(), now(), 1, '10:00', '{1}'), (2, 'infinity', '-infinity', 'NaN', '24:00', '{{1,2},{3,4}}');
         CREATE VIEW odd.v AS SELECT id, nullif(tz, 'infinity') AS tz, nullif(nullif(da, 'infinity'), '-infinity') AS da, nullif(n, 'NaN') AS n, ti::text,
             a::text FROM odd.t;
         CREATE TABLE odd.late (id int, ts timestamp); INSERT INTO odd.late VALUES (1, '294276-12-31');
         CREATE VIEW odd.late_v AS SELECT id, ts::text FROM odd.late",
    )
    .await;
    let ctx = server.session();
    for (column, problem) in [("tz", "infinity"), ("da", "infinity"), ("n", "NaN"), ("ti", "24:00"), ("a", "several dimensions")] {
        let error = refusal(&ctx, &format!("SELECT {column} FROM shop.odd.t")).await;
        assert!(error.contains(&format!("shop.odd.t, row 2 of the answer: \"{column}\" is ")) && error.contains(problem), "{error}");
        assert!(error.ends_with("[DB-203]"), "{error}");
        rows(&ctx, &format!("SELECT {column} FROM shop.odd.v")).await.unwrap();
    }
    let error = refusal(&ctx, "SELECT ts FROM shop.odd.late").await;
    assert!(error.contains("row 1 of the answer: \"ts\" is later than 64 bits of microseconds hold"), "{error}");
    assert!(shown(&ctx, "SELECT ts FROM shop.odd.late_v").await.contains("294276-12-31 00:00:00"));
    // A row that is not asked for is no error.
    rows(&ctx, "SELECT * FROM shop.odd.t WHERE id = 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_of_one_statement_see_one_state() {
    let Some(server) = server() else { return };
    let peer = server.schema("state").await;
    peer.run("CREATE TABLE state.t AS SELECT g AS id FROM generate_series(1, 5000) g; CREATE TABLE state.u AS SELECT * FROM state.t").await;
    let ctx = server.session();
    let sql = "SELECT id FROM shop.state.t UNION ALL SELECT id FROM shop.state.u";
    let plan = ctx.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    fn union(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        if plan.name() == "UnionExec" { Arc::clone(plan) } else { union(plan.children()[0]) }
    }
    let (plan, task) = (union(&plan), ctx.task_ctx());
    async fn all(stream: datafusion::execution::SendableRecordBatchStream) -> usize {
        stream.map(|batch| batch.unwrap().num_rows()).fold(0, |sum, rows| std::future::ready(sum + rows)).await
    }
    // One that is read whole, one that is left in the middle, and one that begins after both.
    assert_eq!(all(plan.execute(0, Arc::clone(&task)).unwrap()).await, 5_000);
    peer.run("INSERT INTO state.t VALUES (0); DELETE FROM state.u").await;
    let mut left = plan.execute(0, Arc::clone(&task)).unwrap();
    left.next().await.unwrap().unwrap();
    drop(left);
    assert_eq!(all(plan.execute(1, Arc::clone(&task)).unwrap()).await, 5_000);
    assert_eq!(all(plan.execute(0, Arc::clone(&task)).unwrap()).await, 5_000);
    // Another statement sees what is there now, and the first one's sessions end with it.
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.state.t").await.contains("| 5001 |"));
    drop((plan, task));
    peer.waits_for("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'clevertap-sql' AND query LIKE '%\"state\"%'", "0")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_dropped_ends_on_the_server() {
    let Some(server) = server() else { return };
    let peer = server.schema("dropped").await;
    peer.run("CREATE VIEW dropped.v AS SELECT g AS id FROM generate_series(1, 1000000000) g").await;
    let ctx = server.session();
    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'COPY%\"dropped\"%'";
    let mut stream = ctx.sql("SELECT * FROM shop.dropped.v").await.unwrap().execute_stream().await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(20), stream.next());
    // The server makes all rows before the first, so it is cancelled before it has sent any.
    tokio::select! {
        _ = first => {}
        () = peer.waits_for(running, "1") => {}
    }
    drop(stream);
    peer.waits_for(running, "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_quotes_capitals_blanks_and_emoji_are_read_and_written() {
    let Some(server) = server() else { return };
    let peer = server.schema("\"Sch \"\"é\"\"\"").await;
    peer.run(
        "CREATE TABLE \"Sch \"\"é\"\"\".\"T.ä 😀\" (\"Key\" int PRIMARY KEY, \"a\"\"b\" text, \"select\" text, \"clevertap_row\" int)",
    )
    .await;
    let ctx = server.session();
    let table = "shop.\"Sch \"\"é\"\"\".\"T.ä 😀\"";
    rows(&ctx, &format!("INSERT INTO {table} VALUES (1, 'x', 'y', 2)")).await.unwrap();
    rows(&ctx, &format!("REPLACE INTO {table} VALUES (1, 'z', 'y', 3), (2, 'w', 'v', 4)")).await.unwrap();
    rows(&ctx, &format!("INSERT OVERWRITE {table} SELECT * FROM {table} WHERE \"a\"\"b\" = 'z'")).await.unwrap();
    let read = shown(&ctx, &format!("SELECT \"Key\", \"a\"\"b\", \"select\", clevertap_row FROM {table} WHERE \"select\" = 'y'")).await;
    assert!(read.contains("| 1   | z   | y      | 3 "), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_when_they_are_asked_for() {
    let Some(server) = server() else { return };
    let peer = server.schema("listed").await;
    peer.run("CREATE TABLE listed.t (id int PRIMARY KEY, n numeric(5, 1)); CREATE VIEW listed.v AS SELECT 1 AS one").await;
    let ctx = server.session();
    let listed = shown(
        &ctx,
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_catalog = 'shop' AND table_schema = 'listed' ORDER BY 1",
    )
    .await;
    assert!(listed.contains("| t          | BASE TABLE |") && listed.contains("| v          | VIEW       |"), "{listed}");
    let described = shown(&ctx, "DESCRIBE shop.listed.t").await;
    assert!(described.contains("Decimal128(5, 1)") && described.contains("NO"), "{described}");
    assert!(refusal(&ctx, "SELECT * FROM shop.listed.nothing").await.contains("nothing"));
    assert!(refusal(&ctx, "SELECT * FROM shop.nowhere.t").await.contains("nowhere"));
}
