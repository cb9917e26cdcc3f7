//! What a plain `SessionContext` offers besides `clevertap_sql` (INSERT, COPY, external tables), and EXECUTE: what is written is what
//! stands in the statement.

use arrow::array::RecordBatch;
use datafusion::error::Result;

use crate::seed::lines;
use crate::world::{World, text_of};

async fn plain(world: &World, sql: &str) -> Result<Vec<RecordBatch>> {
    world.ctx.sql(sql).await?.collect().await
}

/// The bodies that a statement sends.
async fn sent(world: &World, sql: &str) -> String {
    world.forget_sent();
    let result = plain(world, sql).await;
    let bodies: Vec<String> = world.sent_to("/1/upload").into_iter().map(|call| call.body).collect();
    result.map_or_else(|error| error.to_string(), |_| bodies.concat())
}

#[tokio::test(start_paused = true)]
async fn a_column_is_written_by_its_own_type_and_not_by_that_with_which_it_is_read() {
    let world = World::new();
    let into = "INSERT INTO clevertap.events (identity, event_name, event_time) SELECT";
    for (select, expected) in [
        ("'a', 'E', TIMESTAMP '2026-01-01 00:00:00'", "naive_time"),
        ("'a', 'E', DATE '2026-01-01'", "event_time"),
        ("1.0::double, 'E', 1767225600", "identif"),
    ] {
        let text = sent(&world, &format!("{into} {select}")).await;
        assert!(text.contains(expected) && text.contains("[CT-20"), "{select}: {text}");
    }
    let text = sent(&world, &format!("{into} 42, 'E', 1767225600")).await;
    assert!(text.contains(r#""identity":"42","ts":1767225600"#), "{text}");
    world.set("naive_time", "utc").await;
    let text = sent(&world, &format!("{into} 'a', 'E', TIMESTAMP '2026-01-01 00:00:00'")).await;
    assert!(text.contains(r#""ts":1767225600"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn values_that_the_planner_makes_other_values_of_are_refused() {
    let world = World::new();
    let into = "INSERT INTO clevertap.events (identity, event_name, event_time) VALUES";
    for values in
        ["('a', 'E', TIMESTAMP '2026-01-01 00:00:00')", "('a', 'E', DATE '2026-01-01')", "('a', 'E', 1767225600), (1.5, 'E', 1767225600)"]
    {
        let text = sent(&world, &format!("{into} {values}")).await;
        assert!(text.contains("clevertap_sql") && text.contains("[CT-202]"), "{values}: {text}");
    }
    let text = sent(&world, &format!("{into} (7, 'E', 1767225600), ('b', 'E', 1767225601)")).await;
    assert!(text.contains(r#""identity":"7","ts":1767225600"#) && text.contains(r#""identity":"b","ts":1767225601"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_event_of_a_url_is_the_one_that_is_written_or_none() {
    let world = World::new();
    let copy = |place: &str| {
        format!("COPY (SELECT 'a' AS identity, now() AS event_time) TO 'clevertap://clevertap/events/{place}' STORED AS CLEVERTAP")
    };
    for (place, event) in [("A=B", "A=B"), ("Sign%20up%3F", "Sign up?"), ("1+1", "1+1"), ("Won%20%231", "Won #1")] {
        let text = sent(&world, &copy(place)).await;
        assert!(text.contains(&format!(r#""evtName":"{event}""#)), "{place}: {text}");
    }
    for place in ["Won #1", "Sign up?", "a/../b", "./b", "%2E%2E/b"] {
        let text = sent(&world, &copy(place)).await;
        assert!(text.contains("[CT-101]") && world.sent_to("/1/upload").is_empty(), "{place}: {text}");
    }
    let text = sent(&world, &copy("R%26D")).await;
    assert!(text.contains("[CT-") && world.sent_to("/1/upload").is_empty(), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_external_table_takes_the_sessions_options_and_no_default() {
    let world = World::new();
    let table = "CREATE EXTERNAL TABLE x (identity TEXT, event_name TEXT, event_time TIMESTAMP) STORED AS CLEVERTAP LOCATION 'clevertap://clevertap/events'";
    assert!(text_of(plain(&world, table).await).contains("naive_time"));
    world.set("naive_time", "utc").await;
    plain(&world, table).await.expect("made");
    let with = "CREATE EXTERNAL TABLE y (identity TEXT, \"Plan\" TEXT DEFAULT 'gold') STORED AS CLEVERTAP LOCATION 'clevertap://clevertap/profiles'";
    let text = text_of(plain(&world, with).await);
    assert!(text.contains("DEFAULT") && text.contains("[CT-202]"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_prepared_insert_keeps_the_order_of_its_files() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a folder"));
    for part in 0..4 {
        let rows: String = (0..3_000).map(|n| format!("{}\n", if n == 2_999 { String::new() } else { format!("p{part}-{n}") })).collect();
        std::fs::write(folder.path().join(format!("{part}.csv")), format!("id,n\n{}", rows.replace('\n', ",1\n"))).expect("written");
    }
    world.set("on_reject", "skip").await;
    let table = format!(
        "CREATE EXTERNAL TABLE t (id TEXT, n INT) STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')",
        folder.path().display()
    );
    world.rows(&table).await;
    world.rows("PREPARE p(text) AS INSERT INTO clevertap.profiles SELECT id AS identity, $1 AS \"Src\" FROM t").await;
    world.rows("EXECUTE p('x')").await;
    let failed = lines(&world.rows("SELECT row_number FROM clevertap.failed_rows").await);
    assert_eq!(failed, ["| 12000 |", "| 3000 |", "| 6000 |", "| 9000 |"]);
}

#[tokio::test(start_paused = true)]
async fn a_field_of_a_struct_is_an_expression_and_needs_a_name() {
    let world = World::new();
    let from = "FROM (SELECT named_struct('id', 'a', 'plan', 'gold') AS s)";
    for select in ["s.id AS identity, s.plan", "s['id'] AS identity, s.plan"] {
        let text = world.refused(&format!("INSERT INTO clevertap.profiles SELECT {select} {from}")).await;
        assert!(text.contains("AS") && text.contains("[CT-202]"), "{text}");
    }
    world.rows(&format!("INSERT INTO clevertap.profiles SELECT s.id AS identity, s.plan AS plan {from}")).await;
    assert!(world.sent().iter().any(|call| call.body.contains(r#""plan":"gold""#)));
}
