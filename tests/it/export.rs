//! SELECT from `clevertap.events`, `clevertap_events."Name"` and exports of people: rows equal to an independent computation.

mod faults;
mod large;

use chrono_tz::Tz;
use clevertap_emulator::Settings;
use clevertap_tests::Scripted;

use crate::seed::{SMALL, lines, seeded};

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
        "event_name = 'Charged' AND (event_time AT TIME ZONE 'UTC')::date = '2026-01-31'",
        "event_name = 'Charged' AND (event_time AT TIME ZONE 'Pacific/Pago_Pago')::date BETWEEN '2026-01-29' AND '2026-01-31'",
        "event_name = 'Charged' AND (event_time AT TIME ZONE 'Pacific/Kiritimati')::date IN ('2026-01-29', '2026-01-31')",
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
async fn a_fraction_of_a_second_leaves_out_no_row_of_that_second() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    let of = "FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-31'";
    let last = lines(&world.rows(&format!("SELECT to_char(max(event_time), '%Y-%m-%d %H:%M:%S') {of}")).await).concat();
    let last = last.trim_matches(['|', ' ']);
    let mut counts = Vec::new();
    for filter in [
        format!("event_time < '{last}'"),
        format!("event_time <= '{last}'"),
        format!("event_time < '{last}.999'"),
        format!("event_time <= '{last}.001'"),
        format!("'{last}.5' > event_time"),
        format!("event_time BETWEEN '2026-01-31' AND '{last}.25'"),
        format!("event_time NOT BETWEEN '{last}.25' AND '2026-02-28'"),
        format!("event_time <> '{last}.5'"),
        format!("event_time NOT IN ('{last}.5', '{last}.75')"),
        "event_time < now() - INTERVAL '1 second 1 millisecond'".to_owned(),
        format!("event_time = '{last}.5'"),
        format!("event_time >= '{last}.001'"),
        format!("event_time IN ('{last}.5')"),
    ] {
        counts.push(lines(&world.rows(&format!("SELECT count(*) {of} AND {filter}")).await).concat());
    }
    let (fewer, all, none) = (counts.remove(0), counts.remove(0), counts.split_off(counts.len() - 3));
    assert_ne!(fewer, all);
    assert!(counts.iter().all(|count| *count == all), "{counts:?} are not all {all}");
    assert_eq!(none, ["| 0 |"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_is_of_the_events_that_there_are_now() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    // The list of events is known from here on.
    world.rows("EXPLAIN SELECT * FROM clevertap_events.\"Charged\" WHERE event_date = '2026-01-05'").await;
    world.rows("INSERT INTO clevertap.events SELECT 'late' AS identity, 'Begun since' AS event_name, 1777000000 AS event_time").await;
    world.set("full_scan", true).await;
    let late = "SELECT identity FROM clevertap.profiles WHERE name IS NULL OR name IS NOT NULL";
    assert!(lines(&world.rows(late).await).contains(&"| late |".to_owned()));
    for (body, expected) in [
        (r#"{"status":"success"}"#, "no list of them"),
        (r#"{"status":"success","events":[{"name":"Charged"},{"nmae":"Viewed"}]}"#, "one without a name"),
        (r#"{"status":"partial","events":[]}"#, "\"status\": \"partial\""),
    ] {
        world.script([Scripted::Answer(200, body)]);
        let error = world.refused("SELECT count(*) FROM clevertap.profiles").await;
        assert!(error.contains(expected) && error.contains("[CT-304]"), "{error}");
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
        String::from(
            "SELECT a.object_id, count(*) FROM {events} a JOIN {events} b ON a.object_id = b.object_id
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
async fn a_time_that_the_clock_shows_twice_or_never_is_an_instant() {
    let world = seeded(crate::seed::Size { days: 100, ..SMALL }, Tz::America__New_York, Settings::default(), |_| {});
    let rows = |filter: &str| {
        let query = format!(
            "SELECT event_time, object_id FROM clevertap.events WHERE event_name = 'Viewed Item' AND event_date = '2026-03-08' AND {filter}"
        );
        let world = &world;
        async move { lines(&world.rows(&query).await) }
    };
    let after = rows("event_time >= '2026-03-08 03:30:00'").await;
    assert!(!after.is_empty());
    assert_eq!(rows("event_time >= '2026-03-08 02:30:00'").await, after);
    assert_eq!(rows("event_time BETWEEN '2026-03-08T02:30:00' AND '2026-03-09'").await, after);
    assert_eq!(rows("'2026-03-08 02:30' <= event_time").await, after);
    // The hour that is there twice: in November, of which nothing is known but that its first is meant.
    let twice = "EXPLAIN SELECT identity FROM clevertap.events WHERE event_name = 'E' AND event_time >= '2025-11-02 01:30:00' AND event_time < '2025-11-03'";
    let shown = lines(&world.rows(twice).await).concat();
    assert!(shown.contains("days=2025-11-02..2025-11-02"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_projected_is_asked_for() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    let cases = [
        ("identity, properties", (false, false, false)),
        ("os_version, make, model, app_version", (true, false, false)),
        ("profile_events", (false, true, false)),
        ("profile_properties", (false, false, true)),
        ("*", (true, true, true)),
    ];
    for (columns, flags) in cases {
        let query = format!("SELECT {columns} FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-03'");
        assert!(!world.rows(&query).await.is_empty());
        let opened = world.emulator.report().exports_opened.pop_back().expect("an export");
        assert_eq!((opened.app, opened.events, opened.profile), flags, "{columns}");
        assert_eq!((opened.from, opened.to), (Some(20_260_103), Some(20_260_103)));
    }
    let shown = lines(&world.rows("SELECT make, profile_properties ->> 'Plan' AS plan, session ->> 'session_source' AS source, profile_events IS NOT NULL AS summary FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-03' LIMIT 1").await);
    assert!(shown[0].contains("Acme") && shown[0].contains("Direct") && shown[0].contains("true"), "{shown:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_reported_with_a_where_that_works() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    let cases = [
        ("SELECT * FROM clevertap.events", "\"event_name\" (= or IN) and one on \"event_time\" or \"event_date\""),
        ("SELECT * FROM clevertap.events WHERE event_name = 'Charged'", "\"event_time\" or \"event_date\""),
        ("SELECT * FROM clevertap.events WHERE event_name = 'Charged' AND event_date < '2026-01-01'", "a first day"),
        ("SELECT * FROM clevertap.events WHERE event_date = '2026-01-01'", "\"event_name\" (= or IN)"),
        ("SELECT * FROM clevertap_events.\"Charged\"", "\"event_time\" or \"event_date\""),
        ("SELECT * FROM clevertap.profiles WHERE event_name = 'Charged'", "\"event_date\""),
        ("SELECT * FROM clevertap.profiles WHERE identity = 'a' AND event_name = 'Charged'", "by key or by event"),
        ("SELECT * FROM clevertap.trend_analysis_daily WHERE event_name = 'Charged'", "\"event_date\""),
        ("SELECT * FROM clevertap.top_property_counts WHERE event_name = 'Charged' AND event_date = '2026-01-01'", "\"property\""),
        ("SELECT * FROM clevertap.event_counts WHERE event_name = 'Charged' AND event_date IN ('2026-01-01', '2026-01-05')", "one range"),
        ("SELECT * FROM clevertap.message_reports", "\"start_date\""),
        ("SELECT * FROM clevertap.campaigns", "\"scheduled_on\""),
        ("SELECT * FROM clevertap.campaign_reports", "\"campaign_id\""),
    ];
    for (query, missing) in cases {
        let error = world.refused(query).await;
        assert!(error.contains(missing) && error.contains("[CT-201]"), "{query}\n{error}");
        if let Some((_, shown)) = error.split_once("For example: WHERE ") {
            let filter = shown.split([',', '[']).next().unwrap_or_default();
            let table = query.split(" FROM ").nth(1).and_then(|rest| rest.split(" WHERE").next()).unwrap_or_default();
            world.rows(&format!("EXPLAIN SELECT * FROM {table} WHERE {filter}")).await;
        }
    }
    assert!(world.emulator.report().requests_by_path.keys().all(|path| path == "/getSchema"));
}

#[tokio::test(start_paused = true)]
async fn without_a_time_zone_days_are_read_and_instants_are_refused() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |account| account.time_zone = None);
    let days = "event_name = 'Charged' AND event_date BETWEEN '2026-01-03' AND '2026-01-09'";
    world.same(&format!("SELECT event_date, identity, object_id FROM {{events}} WHERE {days}")).await;
    for query in [
        format!("SELECT event_time FROM clevertap.events WHERE {days}"),
        format!("SELECT * FROM clevertap.events WHERE {days}"),
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_time >= '2026-01-03'".to_owned(),
    ] {
        let error = world.refused(&query).await;
        assert!(error.contains("time_zone") && error.contains("[CT-101]"), "{query}\n{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn people_are_exported_by_event_and_swept_once_each() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    let did = "object_id IN (SELECT object_id FROM seed.events WHERE event_name = 'App Launched' AND event_date BETWEEN '2026-01-03' AND '2026-01-09')";
    let ours = "SELECT object_id, identity, name, email, properties ->> 'Plan' AS plan FROM clevertap.profiles
                WHERE event_name = 'App Launched' AND event_date BETWEEN '2026-01-03' AND '2026-01-09'";
    let seeds = format!("SELECT object_id, identity, name, email, plan FROM seed.people WHERE {did}");
    assert_eq!(lines(&world.rows(ours).await), lines(&world.rows(&seeds).await));
    let shown = lines(&world.rows(&format!("SELECT DISTINCT event_name, from_date, to_date FROM ({ours}) AS o JOIN clevertap.profiles p ON p.object_id = o.object_id WHERE p.event_name = 'App Launched' AND p.event_date = '2026-01-03'").replace("event_name, from_date, to_date", "p.event_name, p.from_date, p.to_date")).await);
    assert_eq!(shown, ["| App Launched | 2026-01-03 | 2026-01-03 |"]);

    world.refused("SELECT identity FROM clevertap.profiles").await;
    world.set("full_scan", true).await;
    let all = "SELECT object_id, identity FROM clevertap.profiles";
    let seeds = "SELECT object_id, identity FROM seed.people WHERE object_id IN (SELECT object_id FROM seed.events)";
    assert_eq!(lines(&world.rows(all).await), lines(&world.rows(seeds).await));
    let count = lines(&world.rows("SELECT count(*) FROM clevertap.profiles").await);
    assert_eq!(count, lines(&world.rows(&format!("SELECT count(*) FROM ({seeds})")).await));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_of_its_type_is_null_with_a_warning_or_an_error() {
    use clevertap_emulator::SchemaEvent;
    let typed = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    let drifted = SchemaEvent {
        properties: vec![typed("Price", "Number"), typed("Seen", "Boolean"), typed("Tag", "String")],
        ..SchemaEvent::new("Drifted")
    };
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings { schema_events: vec![drifted], ..Settings::default() }, |_| {});
    world
        .rows(
            "INSERT INTO clevertap.events (identity, event_name, event_time, properties) VALUES
             ('a', 'Drifted', 1777000000, '{\"Price\":1.5,\"Seen\":true,\"Tag\":\"x\"}'), ('b', 'Drifted', 1777000001, '{\"Price\":\"2.5\",\"Seen\":\"yes\",\"Tag\":7}')",
        )
        .await;
    let query = "SELECT identity, \"Price\", \"Seen\", \"Tag\" FROM clevertap_events.\"Drifted\" WHERE event_date >= '2026-01-01'";
    assert_eq!(lines(&world.rows(query).await), ["| a | 1.5 | true | x |", "| b | | | 7 |"]);
    let warned = lines(&world.rows("SELECT code, column_name, rows FROM clevertap.warnings").await);
    assert_eq!(warned, ["| CT-621 | Price | 1 |", "| CT-621 | Seen | 1 |"]);
    // What is pushed down and what is checked here agree: text is no number in a typed column, and one where it is read out of the JSON.
    assert_eq!(lines(&world.rows(&format!("{query} AND \"Price\" > 1")).await), ["| a | 1.5 | true | x |"]);
    let pushed = lines(&world.rows(&format!("EXPLAIN {query} AND \"Price\" > 1")).await).concat();
    assert!(pushed.contains("pushed=[\"Price\" greater_than]"), "{pushed}");
    for number in ["(properties -> 'Price')::double", "(properties ->> 'Price')::double", "json_get_float(properties, 'Price')"] {
        let over = format!(
            "SELECT identity, {number} AS price FROM clevertap.events WHERE event_name = 'Drifted' AND event_date >= '2026-01-01' AND {number} > 1"
        );
        assert_eq!(lines(&world.rows(&over).await), ["| a | 1.5 |", "| b | 2.5 |"], "{number}");
    }
    assert_eq!(lines(&world.rows(&format!("{query} AND TRY_CAST(\"Tag\" AS DOUBLE) > 2.5")).await), ["| b | | | 7 |"]);
    world.set("type_mismatch", "error").await;
    let error = world.refused(query).await;
    assert!(error.contains("\"Price\"") || error.contains("\"Seen\""), "{error}");
}

#[tokio::test(start_paused = true)]
async fn discovery_asks_once_and_information_schema_stays_cheap() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    world.rows("SELECT table_name FROM information_schema.tables").await;
    assert_eq!(world.emulator.report().requests, 0);
    for _ in 0..3 {
        world.rows("EXPLAIN SELECT \"Amount\" FROM clevertap_events.\"Charged\" WHERE event_date = '2026-01-03'").await;
    }
    world.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'Charged'").await;
    assert_eq!(world.emulator.report().requests, 1);
    world.rows("INSERT INTO clevertap_events.\"Brand new\" SELECT 'a' AS identity, now() AS event_time, 5 AS \"Size\"").await;
    assert_eq!(world.emulator.report().requests, 2, "writing an event asks nothing about it");
    world.rows("SELECT count(*) FROM clevertap.event_schema").await;
    world.rows("SELECT \"Size\" FROM clevertap_events.\"Brand new\" WHERE event_date >= '2026-01-01'").await;
}

#[tokio::test(start_paused = true)]
async fn where_the_schema_has_no_types_a_page_shows_them() {
    use clevertap_emulator::SchemaForm;
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings { schema_form: SchemaForm::Names, ..Settings::default() }, |_| {});
    world.same("SELECT identity, \"Amount\", \"Currency\", \"Paid at\" FROM {charged} WHERE event_date >= '2026-01-20'").await;
    let types = lines(&world.rows("SELECT arrow_typeof(\"Amount\"), arrow_typeof(\"Paid at\") FROM clevertap_events.\"Charged\" WHERE event_date >= '2026-01-20' LIMIT 1").await);
    assert_eq!(types, ["| Float64 | Timestamp(s, \"Asia/Kolkata\") |"]);
}

#[tokio::test(start_paused = true)]
async fn pages_of_every_fill_are_read_to_their_end() {
    use clevertap_emulator::{LastPage, SeedPerson};
    for last_page in [LastPage::Bare, LastPage::WithRecords] {
        for count in [0, 1, 22, 23, 4_991, 4_992, 5_000, 5_001, 12_345] {
            let world = seeded(SMALL, Tz::Asia__Kolkata, Settings { last_page, ..Settings::default() }, |_| {});
            world.emulator.seed(|seeder| {
                let people: Vec<_> =
                    (0..100).map(|n| seeder.person(SeedPerson { identity: Some(&format!("s{n}")), ..SeedPerson::default() })).collect();
                seeder.event(people[0], "Paged", 1_767_000_000, "{}", None);
                for n in 0..count {
                    seeder.event(people[n % 100], "Paged", 1_772_500_000 + n as i64 % 3_600, &format!("{{\"n\":{n}}}"), None);
                }
            });
            let query = "SELECT count(*), count(DISTINCT (properties -> 'n')::int) FROM clevertap.events WHERE event_name = 'Paged' AND event_date = '2026-03-03'";
            assert_eq!(lines(&world.rows(query).await), [format!("| {count} | {count} |")], "{last_page:?}");
        }
    }
}
