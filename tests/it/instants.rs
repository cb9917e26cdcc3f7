//! What meets an instant means the project's clock: dates, times without zone, epoch seconds. The values are PostgreSQL's under
//! `SET TimeZone`, written down here.

use arrow::util::pretty::pretty_format_batches;
use chrono_tz::Tz;
use clevertap_emulator::Settings;

use crate::world::World;

/// A table `t` of one row: the instant as the zone's clock has it, and a day.
async fn world(zone: Tz, local: &str, day: &str) -> World {
    let world = World::open_in(zone, Settings::default(), |_| {});
    world
        .rows(&format!(
            "CREATE TABLE t AS SELECT arrow_cast(timestamptz '{local}', 'Timestamp(s, \"{zone}\")') AS event_time, DATE '{day}' AS day,
             timestamp '{day} 10:00:00' AS naive"
        ))
        .await;
    world
}

async fn value(world: &World, expression: &str) -> String {
    let rows = world.rows(&format!("SELECT CAST({expression} AS VARCHAR) AS v FROM t")).await;
    let shown = pretty_format_batches(&rows).expect("a table").to_string();
    shown.lines().nth(3).expect("a row").trim_matches(['|', ' ']).to_owned()
}

#[tokio::test(start_paused = true)]
async fn dates_times_and_epochs_mean_the_clock_of_the_project() {
    let world = world(Tz::Asia__Kolkata, "2026-07-25T00:30:00+05:30", "2026-07-25").await;
    for (expression, expected) in [
        ("event_time >= DATE '2026-07-25'", "true"),
        ("event_time < DATE '2026-07-25'", "false"),
        ("event_time >= '2026-07-25'::date", "true"),
        ("event_time >= to_date('2026-07-25')", "true"),
        ("event_time >= make_date(2026, 7, 25)", "true"),
        ("event_time >= day", "true"),
        ("day <= event_time", "true"),
        ("event_time BETWEEN DATE '2026-07-25' AND DATE '2026-07-26'", "true"),
        ("date_trunc('day', event_time) = DATE '2026-07-25'", "true"),
        ("date_trunc('day', event_time) IN (DATE '2026-07-25', DATE '2026-07-27')", "true"),
        ("event_time - DATE '2026-07-25' = interval '30 minutes'", "true"),
        ("event_time < naive", "true"),
        // No unit is too fine for a far end.
        ("event_time < arrow_cast('9999-12-31T00:00:00', 'Timestamp(µs)')", "true"),
        ("event_time < DATE '9999-12-31'", "true"),
        ("event_time > arrow_cast('0001-01-01T00:00:00', 'Timestamp(s)')", "true"),
        ("event_time::timestamp", "2026-07-25T00:30:00"),
        ("TRY_CAST(event_time AS timestamp)", "2026-07-25T00:30:00"),
        ("day IN (date_trunc('day', event_time))", "true"),
        ("event_time::timestamp = timestamp '2026-07-25 00:30:00'", "true"),
        ("event_time::date", "2026-07-25"),
        ("to_timestamp(1784973600) = timestamptz '2026-07-25T10:00:00Z'", "true"),
        ("to_timestamp(1784973600.5) = timestamptz '2026-07-25T10:00:00.5Z'", "true"),
        ("to_timestamp(0) = timestamptz '1970-01-01T00:00:00Z'", "true"),
        ("from_unixtime(1784973600) = timestamptz '2026-07-25T10:00:00Z'", "true"),
        ("to_timestamp('2026-07-25T10:00:00') = timestamptz '2026-07-25T10:00:00+05:30'", "true"),
        ("extract(epoch from to_timestamp(1784973600))::bigint", "1784973600"),
        ("current_date = now()::date", "true"),
        ("date_bin('1 day', event_time) = timestamptz '2026-07-25T00:00:00+05:30'", "true"),
        ("date_bin(interval '1 day', event_time) = DATE '2026-07-25'", "true"),
        ("date_bin('1 hour', event_time) = timestamptz '2026-07-25T00:00:00+05:30'", "true"),
        ("date_bin('1 month', event_time) = DATE '2026-07-01'", "true"),
        ("date_bin('15 minutes', event_time + interval '20 minutes') = timestamptz '2026-07-25T00:45:00+05:30'", "true"),
        ("date_bin('1 hour', event_time, timestamptz '2026-07-25T00:10:00+05:30') = timestamptz '2026-07-25T00:10:00+05:30'", "true"),
    ] {
        assert_eq!(value(&world, expression).await, expected, "{expression}");
    }
    let joined = "SELECT count(*) FROM t JOIN (SELECT DATE '2026-07-25' AS d) AS days ON date_trunc('day', t.event_time) = days.d";
    assert!(pretty_format_batches(&world.rows(joined).await).expect("a table").to_string().contains("| 1 "));
}

/// Epoch seconds are written as these seconds.
#[tokio::test(start_paused = true)]
async fn an_epoch_is_written_as_it_is() {
    let world = World::new();
    for epoch in ["to_timestamp(1784973600)", "from_unixtime(1784973600)", "to_timestamp_seconds(1784973600)", "to_timestamp(1784973600.0)"]
    {
        world.forget_sent();
        world.rows(&format!("INSERT INTO clevertap.events SELECT 'Charged' AS event_name, {epoch} AS event_time, 'a' AS identity")).await;
        assert!(world.sent_to("/1/upload")[0].body.contains("\"ts\":1784973600"), "{epoch}: {}", world.sent_to("/1/upload")[0].body);
    }
}

/// A gap goes forward, a repeat is the earlier instant, neither is an error.
#[tokio::test(start_paused = true)]
async fn hours_that_are_skipped_or_repeated_are_no_error() {
    for (zone, local, day, expression, expected) in [
        // Cairo's clock skips the first hour of this day.
        (Tz::Africa__Cairo, "2026-04-24T01:30:00+03:00", "2026-04-24", "event_time >= day", "true"),
        (Tz::Africa__Cairo, "2026-04-24T01:30:00+03:00", "2026-04-24", "event_time >= timestamp '2026-04-24 00:00:00'", "true"),
        (Tz::Africa__Cairo, "2026-04-24T01:30:00+03:00", "2026-04-24", "event_time - day = interval '30 minutes'", "true"),
        (Tz::America__New_York, "2026-03-08T03:30:00-04:00", "2026-03-08", "event_time = timestamp '2026-03-08 02:30:00'", "true"),
        (Tz::America__New_York, "2026-03-07T02:30:00-05:00", "2026-03-08", "event_time + interval '1 day'", "2026-03-08T03:30:00-04:00"),
        (Tz::America__New_York, "2026-03-07T12:00:00-05:00", "2026-03-08", "event_time + interval '1 day'", "2026-03-08T12:00:00-04:00"),
        (Tz::America__New_York, "2026-03-07T12:00:00-05:00", "2026-03-08", "event_time + interval '24 hours'", "2026-03-08T13:00:00-04:00"),
        (Tz::America__New_York, "2026-11-02T01:30:00-05:00", "2026-11-01", "event_time - interval '1 day'", "2026-11-01T01:30:00-04:00"),
        (Tz::America__New_York, "2026-11-08T01:30:00-05:00", "2026-11-01", "event_time - interval '7 days'", "2026-11-01T01:30:00-04:00"),
        (Tz::America__New_York, "2026-01-31T12:00:00-05:00", "2026-11-01", "interval '1 month' + event_time", "2026-02-28T12:00:00-05:00"),
        (
            Tz::America__New_York,
            "2026-01-31T12:00:00-05:00",
            "2026-11-01",
            "timestamptz '2026-11-08T06:30:00Z' - interval '7 days'",
            "2026-11-01T01:30:00-04:00",
        ),
        // New York's clock repeats the hour from one.
        (Tz::America__New_York, "2026-11-01T01:30:00-04:00", "2026-11-01", "event_time = timestamp '2026-11-01 01:30:00'", "true"),
        (Tz::America__New_York, "2026-11-01T01:30:00-05:00", "2026-11-01", "event_time = timestamp '2026-11-01 01:30:00'", "false"),
        (Tz::America__New_York, "2026-11-01T01:30:00-05:00", "2026-11-01", "event_time::timestamp", "2026-11-01T01:30:00"),
        (
            Tz::America__New_York,
            "2026-11-01T01:30:00-05:00",
            "2026-11-01",
            "date_bin('1 hour', event_time) = timestamptz '2026-11-01T01:00:00-05:00'",
            "true",
        ),
        (Tz::America__New_York, "2026-11-01T01:30:00-05:00", "2026-11-01", "date_bin('1 day', event_time) = day", "true"),
    ] {
        let world = world(zone, local, day).await;
        assert_eq!(value(&world, expression).await, expected, "{zone} {local}: {expression}");
    }
}

/// Days of CleverTap's export are asked for by the project's days.
#[tokio::test(start_paused = true)]
async fn a_date_in_where_asks_for_the_days_of_the_project() {
    let world = World::new();
    let explained = |clause: &str| {
        let sql = format!("EXPLAIN SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND {clause}");
        let world = &world;
        async move { pretty_format_batches(&world.rows(&sql).await).expect("a plan").to_string() }
    };
    let by_day = explained("event_date BETWEEN '2025-07-25' AND '2025-07-26'").await;
    assert!(by_day.contains("days=2025-07-25..2025-07-26"), "{by_day}");
    let days = |plan: &str| plan.split("days=").nth(1).and_then(|rest| rest.split([']', ' ']).next()).map(str::to_owned);
    for clause in [
        "event_time >= DATE '2025-07-25' AND event_time < DATE '2025-07-27'",
        "event_time >= to_date('2025-07-25') AND event_time < '2025-07-27'::date",
        "event_time BETWEEN make_date(2025, 7, 25) AND timestamp '2025-07-26 23:59:59'",
        "event_time >= to_timestamp(1753381800) AND event_time < to_timestamp(1753554600)",
        "event_time >= DATE '2025-07-25' AND event_time < timestamptz '2025-07-25T00:00:00+05:30' + interval '2 days'",
    ] {
        assert_eq!(days(&explained(clause).await), days(&by_day), "{clause}\n{}\n{by_day}", explained(clause).await);
    }
}
