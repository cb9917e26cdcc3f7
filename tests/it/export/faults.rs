//! Exports under faults: whole, or an error; never a short result that looks like one.

use chrono_tz::Tz;
use clevertap_emulator::{Fault, Settings, What};

use crate::seed::{SMALL, lines, seeded};
use crate::world::{World, text_of};

const PATH: &str = "/1/events.json";

fn world() -> World {
    seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {})
}

const QUERY: &str = "SELECT event_time, identity, object_id FROM {events} WHERE event_name = 'Charged' AND event_date >= '2026-01-01'";
const ONE_DAY: &str = "SELECT identity FROM clevertap.events WHERE event_name = 'Viewed Item' AND event_date = '2026-01-07'";

#[tokio::test(start_paused = true)]
async fn what_passes_is_waited_for_and_no_row_is_lost_or_doubled() {
    for what in [
        What::TooManyRequests,
        What::TooManyUnderSuccess,
        What::ServerErrorBefore,
        What::ServerErrorAfter,
        What::Unavailable,
        What::ResetBefore,
        What::ResetAfter,
        What::HangBefore,
        What::HangAfter,
        What::GarbageBefore,
        What::GarbageAfter,
        What::EmptyBefore,
        What::EmptyAfter,
        What::NoStatus,
        What::InProgress,
        What::EmptyPage,
        What::Slow { ms: 5_000 },
    ] {
        let world = world();
        // An opening has no page that could be empty: of those faults half find nothing to do.
        let every = if what == What::EmptyPage { 2 } else { 4 };
        world.emulator.add_fault(Fault::new(what.clone()).on(PATH).every(every));
        let rows = world.same(QUERY).await;
        let report = world.emulator.report();
        assert!(rows > 1_000 && report.faults_fired >= 3, "{what:?}: {rows} rows, {} faults", report.faults_fired);
        let broken: Vec<_> = report.rules_broken.keys().collect();
        assert!(broken.is_empty(), "{what:?}: {broken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_429_is_ridden_out() {
    let world = world();
    world.emulator.add_fault(Fault::new(What::TooManyRequests).on(PATH).with_probability(0.5));
    world.same(QUERY).await;
}

#[tokio::test(start_paused = true)]
async fn in_progress_for_minutes_is_waited_for_and_for_ever_is_an_error() {
    let world = world();
    world.emulator.add_fault(Fault::new(What::InProgress).on(PATH).during(0, 300_000));
    world.same(QUERY).await;
    world.emulator.add_fault(Fault::new(What::InProgress).on(PATH));
    let error = text_of(world.run(ONE_DAY).await);
    assert!(error.contains("still in progress") && error.contains("not complete") && error.contains("[CT-303]"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_breaks_off_leaves_no_file_and_an_older_one_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    for (ending, options) in [("parquet", "STORED AS PARQUET"), ("csv", "STORED AS CSV"), ("json", "STORED AS JSON")] {
        let world = world();
        let (new, older) = (folder.path().join(format!("new.{ending}")), folder.path().join(format!("older.{ending}")));
        std::fs::write(&older, "older").expect("written");
        let copy = |to: &std::path::Path| {
            format!(
                "COPY (SELECT identity, event_time FROM clevertap.events WHERE event_name = 'Viewed Item' AND event_date >= '2026-01-01') \
                 TO '{}' {options}",
                to.display()
            )
        };
        world.set("retry_for_ms", 1_000).await;
        world.emulator.add_fault(Fault::new(What::GarbageBefore).on(PATH).after(30));
        for to in [&new, &older] {
            let error = text_of(world.run(&copy(to)).await);
            assert!(error.contains("[CT-303]"), "{error}");
        }
        assert!(!new.exists() && std::fs::read(&older).expect("a file") == b"older");
        world.emulator.clear_faults();
        world.rows(&copy(&older)).await;
        let rows = world.rows(&format!("CREATE EXTERNAL TABLE t {options} LOCATION '{}'", older.display())).await;
        drop(rows);
        let count = "FROM clevertap.events WHERE event_name = 'Viewed Item' AND event_date >= '2026-01-01'";
        assert_eq!(lines(&world.rows("SELECT count(*) FROM t").await), lines(&world.rows(&format!("SELECT count(*) {count}")).await));
        world.rows("DROP TABLE t").await;
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 3, "nothing else is left");
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_repeats_is_an_error() {
    for back in [0, 1] {
        let world = world();
        world.emulator.add_fault(Fault::new(What::RepeatCursor { back }).on(PATH).after(1));
        let error = text_of(world.run(ONE_DAY).await);
        assert!(error.contains("a cursor that it had given before") && error.contains("not complete"), "{back}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_cursor_opens_its_window_anew_only_before_a_row_has_left() {
    let world = world();
    world.emulator.add_fault(Fault::new(What::ExpireCursor).on(PATH).between(2, 2));
    world.same(&ONE_DAY.replace("clevertap.events", "{events}")).await;
    assert_eq!(world.emulator.report().exports_opened.len(), 2);

    world.emulator.clear_faults();
    world.emulator.add_fault(Fault::new(What::ExpireCursor).on(PATH).between(3, 3));
    let error = text_of(world.run(ONE_DAY).await);
    assert!(error.contains("expired after") && error.contains("2026-01-07") && error.contains("not complete"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_early_end_is_believed_and_only_counting_doubts_it() {
    let world = world();
    world.emulator.add_fault(Fault::new(What::EndEarly).on(PATH).between(2, 2));
    world.set("verify_counts", true).await;
    let rows = world.rows(ONE_DAY).await;
    assert_eq!(rows.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 0);
    let warned = lines(&world.rows("SELECT run_id, code, rows, message FROM clevertap.warnings").await);
    assert!(warned.len() == 1 && warned[0].contains("CT-622") && warned[0].contains("exported 0 records of"), "{warned:?}");

    world.emulator.clear_faults();
    world.same(QUERY).await;
    let warned = lines(&world.rows("SELECT code FROM clevertap.warnings").await);
    assert_eq!(warned.len(), 1, "a whole export draws no warning");
    let analyzed = lines(&world.rows(&format!("EXPLAIN ANALYZE {ONE_DAY}")).await).concat();
    assert!(analyzed.contains("counted=") && analyzed.contains("records="), "{analyzed}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_event_suggests_near_names_and_a_notification_event_where_it_is() {
    let world = world();
    let error = text_of(world.run("SELECT * FROM clevertap.events WHERE event_name = 'charged' AND event_date = '2026-01-07'").await);
    assert!(error.contains("no event \"charged\"") && error.contains("\"Charged\""), "{error}");
    let error =
        text_of(world.run("SELECT * FROM clevertap.events WHERE event_name = 'Notification Sent' AND event_date = '2026-01-07'").await);
    assert!(error.contains("does not export") && error.contains("bucket exports"), "{error}");
    let error = text_of(world.run("SELECT * FROM clevertap.event_counts WHERE event_name = 'Charges' AND event_date = '2026-01-07'").await);
    assert!(error.contains("\"Charged\""), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_passcode_ends_every_read() {
    let world = world();
    world.emulator.add_fault(Fault::new(What::Unauthorized));
    let error = text_of(world.run(ONE_DAY).await);
    assert!(error.contains("[CT-301]"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_query_that_is_dropped_stops_its_requests() {
    use futures::StreamExt;
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings { latency_ms: 50, ..Settings::default() }, |_| {});
    use datafusion_clevertap::ClevertapSql;
    let frame = world.ctx.clevertap_sql(&QUERY.replace("{events}", "clevertap.events")).await.expect("planned");
    let mut stream = frame.execute_stream().await.expect("started");
    let first = stream.next().await.expect("a batch").expect("rows");
    assert!(first.num_rows() > 0);
    drop(stream);
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let before = world.emulator.report();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let after = world.emulator.report();
    assert_eq!((before.requests, after.in_flight.values().sum::<usize>()), (after.requests, 0));
}
