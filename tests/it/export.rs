//! SELECT from `clevertap.events`, `clevertap_events."Name"` and exports of people: rows equal to an independent computation.

use chrono_tz::Tz;
use clevertap_emulator::Settings;

use crate::seed::{SMALL, seeded};

const JANUARY: &str = "event_date BETWEEN '2026-01-01' AND '2026-01-31'";

#[tokio::test(start_paused = true)]
async fn an_export_is_what_was_seeded() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    let columns = "event_name, event_time, event_date, identity, object_id, name, email, platform";
    let rows = world.same(&format!("SELECT {columns} FROM {{events}} WHERE event_name = 'Charged' AND {JANUARY}")).await;
    assert!(rows > 500, "{rows}");
}

#[tokio::test(start_paused = true)]
async fn every_pushdown_gives_the_rows_that_the_filter_says() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    for filter in [
        "event_name = 'Charged' AND event_date = '2026-01-05'",
        "event_name IN ('Charged', 'Viewed Item') AND event_date BETWEEN '2026-01-03' AND '2026-01-20'",
        "(event_name = 'Charged' OR event_name = 'App Launched') AND event_date >= '2026-02-01'",
        "event_name = 'Charged' AND event_date IN ('2026-01-03', '2026-01-09', '2026-02-11')",
        "event_name = 'Charged' AND (event_date = '2026-01-03' OR event_date > '2026-02-20')",
        "event_name = 'Charged' AND event_time >= '2026-01-03 10:30:00' AND event_time < '2026-01-04 09:15:30'",
        "event_name = 'Charged' AND event_time BETWEEN '2026-01-03 10:30:00' AND '2026-01-13 10:30:00' AND event_date <> '2026-01-05'",
        "event_name = 'Charged' AND event_time > '2026-01-31' AND event_date <= '2026-02-02'",
        "event_name = 'Charged' AND event_time::date = '2026-01-31'",
        "event_name = 'Charged' AND date_trunc('month', event_time) = '2026-02-01' AND event_date >= '2026-01-01'",
        "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-02-28' AND (properties -> 'Amount')::double > 5000",
        "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-02-28' AND (properties ->> 'Currency') = 'EUR'",
        "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-02-28' AND (properties ->> 'Currency') <> 'EUR'",
        "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-02-28' AND identity LIKE 'p1%'",
        "event_name = 'Charged' AND event_date BETWEEN '2026-02-01' AND '2026-01-01'",
        "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-02-28' AND 1 = 0",
        "event_name = 'Charged' AND event_name = 'Viewed Item' AND event_date > '2026-01-01'",
    ] {
        world.same(&format!("SELECT event_name, event_time, identity, object_id FROM {{events}} WHERE {filter}")).await;
        world.same(&format!("SELECT count(*) FROM {{events}} WHERE {filter}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn typed_columns_hold_the_properties() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    for query in [
        "SELECT identity, event_time, \"Amount\", \"Currency\", \"Paid at\" FROM {charged} WHERE event_date >= '2026-01-01'",
        "SELECT \"Currency\", sum(\"Amount\"), count(*) FROM {charged} WHERE event_date >= '2026-01-10' AND \"Amount\" > 2000 GROUP BY 1",
        "SELECT identity, \"Amount\" FROM {charged} WHERE event_date >= '2026-01-10' AND \"Currency\" = 'USD' AND \"Amount\" BETWEEN 10 AND 5000",
        "SELECT count(*) FROM {charged} WHERE event_date >= '2026-01-10' AND \"Amount\" IS NULL",
    ] {
        world.same(query).await;
    }
}

#[tokio::test(start_paused = true)]
async fn queries_over_our_tables_are_right_and_end() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    let charged = format!("event_name = 'Charged' AND {JANUARY}");
    for query in [
        format!("SELECT count(*) FROM {{events}} WHERE {charged} LIMIT 10"),
        format!("SELECT event_time, identity, object_id FROM {{events}} WHERE {charged} ORDER BY event_time, object_id LIMIT 7"),
        format!("SELECT event_time, object_id FROM {{events}} WHERE {charged} ORDER BY event_time DESC, object_id LIMIT 5 OFFSET 3"),
        format!("SELECT identity FROM {{events}} WHERE {charged} UNION ALL SELECT identity FROM {{events}} WHERE event_name = 'Viewed Item' AND {JANUARY}"),
        format!(
            "SELECT a.object_id, count(*) FROM {{events}} a JOIN {{events}} b ON a.object_id = b.object_id
             WHERE a.event_name = 'Charged' AND a.event_date = '2026-01-02' AND b.event_name = 'App Launched' AND b.event_date = '2026-01-03' GROUP BY 1"
        ),
        format!("SELECT event_date, count(*), count(DISTINCT object_id), max(event_time) FROM {{events}} WHERE {charged} GROUP BY 1"),
        format!(
            "SELECT object_id, event_time, row_number() OVER (PARTITION BY object_id ORDER BY event_time) FROM {{events}} WHERE {charged}"
        ),
        format!("SELECT date_trunc('week', event_time), count(*) FROM {{events}} WHERE {charged} GROUP BY 1"),
    ] {
        assert!(world.same(&query).await > 0, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn days_are_days_of_the_project_where_the_clock_is_set_back_and_forward() {
    // In New York, the clock is set forward on 2026-03-08.
    let world = seeded(crate::seed::Size { days: 100, ..SMALL }, Tz::America__New_York, Settings::default(), |_| {});
    for filter in [
        "event_date = '2026-03-08'",
        "event_date BETWEEN '2026-03-07' AND '2026-03-09'",
        "event_time >= '2026-03-08 00:00:00' AND event_time < '2026-03-09 00:00:00'",
        "event_time >= '2026-03-08 01:59:00' AND event_time < '2026-03-08 03:01:00'",
    ] {
        world
            .same(&format!("SELECT event_time, event_date, object_id FROM {{events}} WHERE event_name = 'Viewed Item' AND {filter}"))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_stops_paging() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    let rows =
        world.rows("SELECT identity FROM clevertap.events WHERE event_name = 'Viewed Item' AND event_date >= '2026-01-01' LIMIT 20").await;
    assert_eq!(rows.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 20);
    let report = world.emulator.report();
    assert!(report.requests == 2, "{} requests", report.requests);
}
