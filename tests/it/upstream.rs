//! Faults of DataFusion 55.2 that reach who reads CleverTap: the rows are right all the same.

use chrono_tz::Tz;
use clevertap_emulator::Settings;

use crate::seed::{SMALL, lines, seeded};
use crate::world::World;

fn world() -> World {
    seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {})
}

const CHARGED: &str = "event_name = 'Charged' AND event_date BETWEEN '2026-01-05' AND '2026-01-12'";

/// apache/datafusion#24958: a sort is pushed below LIMIT … OFFSET, and rows are lost.
#[tokio::test(start_paused = true)]
async fn an_order_over_a_limit_with_an_offset_keeps_all_its_rows() {
    let world = world();
    for (query, rows) in [
        ("SELECT * FROM (SELECT identity, event_time FROM {events} WHERE CHARGED LIMIT 4 OFFSET 3) ORDER BY event_time", 4),
        ("SELECT * FROM (SELECT identity, event_time FROM {events} WHERE CHARGED LIMIT 5 OFFSET 5) ORDER BY event_time DESC LIMIT 3", 3),
        ("SELECT identity, row_number() OVER (ORDER BY event_time) AS n FROM (SELECT * FROM {events} WHERE CHARGED LIMIT 6 OFFSET 4)", 6),
        (
            "SELECT count(*), max(n) FROM (SELECT row_number() OVER (ORDER BY event_time) AS n FROM (SELECT * FROM {events} WHERE CHARGED LIMIT 6 OFFSET 4))",
            1,
        ),
    ] {
        let query = query.replace("{events}", "clevertap.events").replace("CHARGED", CHARGED);
        assert_eq!(lines(&world.rows(&query).await).len(), rows, "{query}");
    }
    // Rows that an order of their own chooses are these rows, in whichever order they are shown.
    for query in [
        "SELECT * FROM (SELECT object_id, event_time FROM {events} WHERE CHARGED ORDER BY event_time, object_id LIMIT 4 OFFSET 3) ORDER BY object_id",
        "SELECT * FROM (SELECT object_id, event_time FROM {events} WHERE CHARGED ORDER BY event_time, object_id LIMIT 4 OFFSET 3) ORDER BY event_time DESC LIMIT 2",
        "SELECT object_id FROM {events} WHERE CHARGED ORDER BY event_time, object_id LIMIT 4 OFFSET 3",
        "SELECT count(*) FROM (SELECT object_id FROM {events} WHERE CHARGED ORDER BY event_time OFFSET 30)",
    ] {
        world.same(&query.replace("CHARGED", CHARGED)).await;
    }
}

/// apache/datafusion#25523: a filter on a cast takes the column for a constant, which an order then leaves out.
#[tokio::test(start_paused = true)]
async fn an_order_by_a_column_whose_cast_is_filtered_is_kept() {
    let world = world();
    for (query, rows) in [
        ("SELECT event_time FROM {events} WHERE CHARGED AND event_time::date = DATE '2026-01-07' ORDER BY event_time LIMIT 3", 3),
        ("SELECT event_time FROM {events} WHERE CHARGED AND event_time::date = DATE '2026-01-07' ORDER BY event_time DESC LIMIT 3", 3),
        (
            "SELECT event_time, object_id FROM {events} WHERE CHARGED AND CAST(event_time AS DATE) IN (DATE '2026-01-07') ORDER BY event_time DESC, object_id LIMIT 2",
            2,
        ),
        (
            "SELECT \"Amount\" FROM {charged} c WHERE event_date BETWEEN '2026-01-05' AND '2026-01-30' AND \"Amount\"::int / 1000 = 5 ORDER BY \"Amount\" DESC LIMIT 4",
            4,
        ),
        (
            "SELECT \"Amount\" FROM {charged} c WHERE event_date BETWEEN '2026-01-01' AND '2026-02-28' AND CAST(\"Amount\" / 100 AS int) = 7 ORDER BY \"Amount\" DESC LIMIT 4",
            4,
        ),
    ] {
        assert_eq!(world.same(&query.replace("CHARGED", CHARGED)).await, rows, "{query}");
    }
    // In the order that is asked for, not only the same rows.
    let rows = world
        .rows(&format!(
            "SELECT event_time FROM clevertap.events WHERE {CHARGED} AND event_time::date = DATE '2026-01-07' ORDER BY event_time DESC"
        ))
        .await;
    let shown = arrow::util::pretty::pretty_format_batches(&rows).expect("text").to_string();
    let times: Vec<&str> = shown.lines().filter(|line| line.contains("2026-01-07")).collect();
    assert!(times.len() > 10 && times.windows(2).all(|pair| pair[0] >= pair[1]), "{shown}");
}
