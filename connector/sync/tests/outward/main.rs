//! Syncs out of CleverTap against the emulator: which days are read, what is where it is kept, and that nothing is lost or there twice.

mod peer;
mod world;

use std::time::Duration;

use chrono::{DateTime, Utc};
use clevertap_emulator::{Fault, What};
use datafusion_clevertap_sync::definition::{InDoubt, Mode, Window};
use datafusion_clevertap_sync::report::Status;
use datafusion_clevertap_sync::{Definition, Error, RunOptions, Syncs};
use world::{CHARGED, Mood, World};

const NOON: &str = "2026-11-08T06:30:00Z";

fn out(into: &str, window: Option<Window>) -> Definition {
    let mut definition = Definition::new("charged", CHARGED, into);
    definition.window = window;
    definition
}

fn cursor(look_back: u64) -> Option<Window> {
    Some(Window::Cursor { column: "event_time".to_owned(), look_back: Duration::from_secs(look_back) })
}

fn at(time: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(time).expect("an instant").to_utc()
}

fn backfill(from: &str, to: &str) -> RunOptions {
    let mut options = RunOptions::default();
    (options.from, options.to) = (Some(at(from)), Some(at(to)));
    options
}

/// Four events: days 6, 7 and 8 of the project, and a minute of the 8th that is the 7th in UTC.
async fn four() -> World {
    let world = World::new();
    let times = ["2026-11-06 10:00:00", "2026-11-07 10:00:00", "2026-11-08 00:30:00", "2026-11-08 10:00:00"];
    let ids = ["a", "b", "c", "d"];
    world.charge(&ids.into_iter().zip(times).collect::<Vec<_>>()).await;
    world
}

#[tokio::test]
async fn the_days_of_a_window_alone_are_exported_and_a_second_run_of_the_day_leaves_no_row_twice() {
    let world = four().await;
    let mut charged = out(&format!("delta:{}", world.path("charged")), Some(Window::Days(2)));
    charged.key = vec!["id".to_owned()];
    let now = world.at(NOON).await;
    let mut seen = world.emulator.report().exports_opened.len();
    let plan = now.syncs.plan(&charged).await.expect("a plan");
    assert_eq!(plan.why, ["reads 2026-11-07T00:00:00+05:30 to 2026-11-09T00:00:00+05:30"]);
    assert_eq!((plan.requests, plan.seconds, world.days(&mut seen).len()), (None, None, 0));
    let first = now.run(&charged).await;
    assert_eq!((first.status, first.changes.rows, first.accepted, first.mode.as_str()), (Status::Successful, 3, 3, "upsert"));
    assert_eq!(first.window, Some(("2026-11-07T00:00:00+05:30".to_owned(), "2026-11-09T00:00:00+05:30".to_owned())));
    let days = world.days(&mut seen);
    assert_eq!((days.iter().map(|day| day.0).min(), days.iter().map(|day| day.1).max()), (Some(20_261_107), Some(20_261_108)), "{days:?}");
    assert_eq!(world.ids_of_delta("charged").await, ["b", "c", "d"]);

    world.charge(&[("e", "2026-11-08 11:00:00")]).await;
    let second = now.run(&charged).await;
    assert_eq!(
        (second.changes.rows, second.changes.new, second.changes.changed, second.changes.unchanged, second.accepted),
        (4, 1, 0, 3, 1)
    );
    assert_eq!(world.ids_of_delta("charged").await, ["b", "c", "d", "e"]);
    let runs = now.syncs.history(Some("charged")).await.expect("runs");
    assert_eq!(runs.iter().map(|run| run.accepted).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(runs[0].window, first.window);
    let preview = now.syncs.preview(&charged, 2).await.expect("a preview");
    assert_eq!((preview.rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), preview.payloads.len()), (2, 0));
}

#[tokio::test]
async fn a_cursor_goes_on_where_the_last_run_ended_and_a_backfill_leaves_it_there() {
    let world = four().await;
    let mut charged = out(&format!("delta:{}", world.path("charged")), cursor(3_600));
    charged.key = vec!["id".to_owned()];
    let first = world.at("2026-11-08T05:00:00Z").await.run(&charged).await;
    assert_eq!((first.accepted, first.cursor.as_deref()), (4, Some("2026-11-08T10:00:00+05:30")));
    // One that is late by half an hour, one that is late by two, and a new one.
    world.charge(&[("late", "2026-11-08 09:30:00"), ("too late", "2026-11-08 08:00:00"), ("new", "2026-11-08 11:00:00")]).await;
    let now = world.at("2026-11-08T06:00:00Z").await;
    let mut seen = world.emulator.report().exports_opened.len();
    let second = now.run(&charged).await;
    let (from, to) = second.window.expect("a window");
    assert!(from == "2026-11-08T09:00:00+05:30" && to.starts_with("2026-11-08T11:3"), "{from} {to}");
    assert_eq!((second.changes.rows, second.changes.new, second.cursor.as_deref()), (3, 2, Some("2026-11-08T11:00:00+05:30")));
    assert_eq!(world.days(&mut seen), [(20_261_108, 20_261_108)]);

    let back = now.syncs.run_with(&charged, &backfill("2026-11-07T18:30:00Z", "2026-11-08T03:30:00Z")).await.expect("a run");
    assert_eq!((back.changes.rows, back.accepted, back.cursor), (2, 1, None));
    assert_eq!(world.ids_of_delta("charged").await, ["a", "b", "c", "d", "late", "new", "too late"]);
    let none = world.at("2026-11-08T06:10:00Z").await.run(&charged).await;
    assert_eq!(none.window.expect("a window").0, "2026-11-08T10:00:00+05:30");
    assert_eq!((none.accepted, none.cursor.as_deref()), (0, Some("2026-11-08T11:00:00+05:30")));

    now.syncs.reset("charged").await.expect("it is reset");
    let again = now.syncs.plan(&charged).await.expect("a plan");
    assert!(again.why[0].starts_with("reads 2013-01-01T05:30:00+05:30 to 2026-11-08T11:3"), "{:?}", again.why);
    let again = now.run(&charged).await;
    assert_eq!((again.changes.rows, again.accepted, again.changes.unchanged), (7, 0, 7));
}

#[tokio::test]
async fn an_append_by_a_cursor_has_each_row_once_also_if_a_run_ends_in_the_middle() {
    let world = four().await;
    let charged = out(&format!("delta:{}", world.path("charged")), cursor(0));
    assert_eq!(world.at(NOON).await.run(&charged).await.accepted, 4);
    world.charge(&[("e", "2026-11-08 13:00:00")]).await;
    // As a process that is killed: while it reads, …
    world.emulator.add_fault(Fault::new(What::HangBefore).on("/1/events.json"));
    let now = world.at("2026-11-08T08:00:00Z").await;
    let asked = world.emulator.report().requests;
    now.kill(&charged, || world.emulator.report().requests > asked).await;
    world.emulator.clear_faults();
    assert_eq!(now.syncs.history(Some("charged")).await.expect("runs")[0].status, Status::Running);
    world.charge(&[("f", "2026-11-08 13:40:00")]).await;
    let later = world.at("2026-11-08T08:20:00Z").await;
    assert_eq!(later.syncs.plan(&charged).await.expect("a plan").why.len(), 2);
    let next = later.run(&charged).await;
    assert_eq!((next.accepted, next.notes.len()), (1, 1), "{next:?}");
    assert_eq!(world.ids_of_delta("charged").await, ["a", "b", "c", "d", "e", "f"]);
    // … and between the commit and the ledger's row.
    world.charge(&[("g", "2026-11-08 14:00:00")]).await;
    let last = world.at("2026-11-08T08:40:00Z").await;
    let done = last.run(&charged).await;
    assert_eq!(done.accepted, 1);
    let lease = last.syncs.ledger().acquire("charged", datafusion_clevertap_sync::ledger::Holder::current()).await.expect("a lease");
    let killed = as_killed(done.clone());
    last.syncs.ledger().put_run(&lease, &killed).await.expect("it is put");
    lease.release().await.expect("given back");
    let after = world.at("2026-11-08T09:00:00Z").await.run(&charged).await;
    assert_eq!((after.accepted, after.notes.len()), (0, 0), "{after:?}");
    assert_eq!(world.ids_of_delta("charged").await, ["a", "b", "c", "d", "e", "f", "g"]);
}

#[tokio::test]
async fn wherever_runs_end_each_row_is_there_once() {
    let world = World::new();
    let syncs = [format!("delta:{}", world.path("delta")), format!("parquet:{}", world.path("parquet"))].map(|into| {
        let mut charged = out(&into, cursor(0));
        into.split(':').next().expect("a name").clone_into(&mut charged.name);
        charged
    });
    let mut ids = Vec::new();
    for round in 0..12 {
        let (id, hour) = (format!("{round:02}"), 10 + round);
        world.charge(&[(&id, &format!("2026-11-08 {hour}:00:00"))]).await;
        ids.push(id);
        let now = world.at(&format!("2026-11-08T{hour}:30:00+05:30")).await;
        for charged in &syncs {
            // Soon, or late; some come to their end.
            tokio::time::timeout(Duration::from_millis(10 + 30 * round), now.syncs.run(charged)).await.ok();
        }
    }
    let now = world.at("2026-11-09T12:00:00+05:30").await;
    for charged in &syncs {
        now.run(charged).await;
    }
    assert_eq!((world.ids_of_delta("delta").await, world.ids_of_parquet("parquet").await), (ids.clone(), ids));
}

/// The row that a run leaves which is killed before it writes its last.
fn as_killed(mut run: datafusion_clevertap_sync::report::RunReport) -> datafusion_clevertap_sync::report::RunReport {
    (run.status, run.accepted, run.cursor, run.finished_at) = (Status::Running, 0, None, None);
    run
}

#[tokio::test]
async fn an_export_that_clevertap_ends_incomplete_commits_nothing_and_moves_no_cursor() {
    let world = four().await;
    for (into, name) in
        [(format!("delta:{}", world.path("d")), "one"), (format!("parquet:{}", world.path("p")), "two"), ("shelf".to_owned(), "three")]
    {
        let mut charged = out(&into, cursor(0));
        name.clone_into(&mut charged.name);
        charged.options = vec![("retry_for_ms".to_owned(), "500".to_owned())];
        // The second page of an export is not answered.
        world.emulator.add_fault(Fault::new(What::Unavailable).on("/1/events.json").after(1));
        let now = world.at(NOON).await;
        let error = now.syncs.run(&charged).await.expect_err("incomplete");
        assert!(matches!(error, Error::Query { .. }), "{error}");
        world.emulator.clear_faults();
        let runs = now.syncs.history(Some(name)).await.expect("runs");
        assert_eq!((runs[0].status, runs[0].accepted, runs[0].in_doubt, runs[0].cursor.as_deref()), (Status::Error, 0, 0, None));
        assert!(!world.folder.path().join("d/_delta_log").exists() || name != "one");
        assert!(world.shelf.ids().is_empty() || name != "three");
        assert_eq!(now.run(&charged).await.accepted, 4);
    }
}

#[tokio::test]
async fn a_window_is_a_file_of_its_own_and_takes_the_place_of_the_one_before() {
    let world = four().await;
    let mut charged = out(&format!("parquet:{}/", world.path("charged")), Some(Window::Days(2)));
    let now = world.at(NOON).await;
    assert_eq!(now.run(&charged).await.accepted, 3);
    assert_eq!(world.files("charged"), ["window=2026-11-07_2026-11-09/part-0.parquet"]);
    world.charge(&[("e", "2026-11-08 11:00:00")]).await;
    assert_eq!(now.run(&charged).await.accepted, 4);
    now.syncs.run_with(&charged, &backfill("2026-11-05T18:30:00Z", "2026-11-06T18:30:00Z")).await.expect("a run");
    assert_eq!(world.files("charged"), ["window=2026-11-06_2026-11-07/part-0.parquet", "window=2026-11-07_2026-11-09/part-0.parquet"]);
    assert_eq!(world.ids_of_parquet("charged").await, ["a", "b", "c", "d", "e"]);
    // Another sync, and a folder of somebody else.
    let mut other = charged.clone();
    other.name = "other".to_owned();
    assert!(now.syncs.run(&other).await.expect_err("taken").to_string().contains("is of the sync \"charged\""));
    std::fs::create_dir(world.folder.path().join("foreign")).expect("a folder");
    std::fs::write(world.folder.path().join("foreign/a.txt"), "mine").expect("a file");
    for into in ["parquet", "delta"] {
        let foreign = out(&format!("{into}:{}", world.path("foreign")), Some(Window::Days(1)));
        let error = now.syncs.run(&foreign).await.expect_err("foreign").to_string();
        assert!(error.contains("name an empty"), "{error}");
    }
    charged.mode = Some(Mode::Replace);
    charged.window = Some(Window::Days(1));
    assert_eq!(now.run(&charged).await.accepted, 3);
    assert_eq!(world.files("charged"), ["part-0.parquet"]);
    assert_eq!(world.ids_of_parquet("charged").await, ["c", "d", "e"]);
}

#[tokio::test]
async fn a_replace_of_a_delta_table_leaves_this_runs_rows_and_a_new_column_is_added() {
    let world = four().await;
    let mut charged = out(&format!("delta:{}", world.path("charged")), Some(Window::Days(2)));
    let now = world.at(NOON).await;
    // Rows are added, whatever is there.
    assert_eq!((now.run(&charged).await.accepted, now.run(&charged).await.accepted), (3, 3));
    assert_eq!(world.ids_of_delta("charged").await.len(), 6);
    charged.mode = Some(Mode::Replace);
    now.run(&charged).await;
    assert_eq!(world.ids_of_delta("charged").await, ["b", "c", "d"]);
    for (mode, key) in [(Mode::Append, ""), (Mode::Upsert, "id"), (Mode::Replace, "")] {
        charged.mode = Some(mode);
        charged.key = Some(key.to_owned()).filter(|key| !key.is_empty()).into_iter().collect();
        let column = format!("$run_at AS \"{}_at\"", mode.name());
        charged.query = CHARGED.replace("identity,", &format!("identity, {column},"));
        if mode == Mode::Upsert {
            charged.mode = Some(Mode::Replace);
            now.run(&out_like(&charged, CHARGED)).await;
            charged.mode = Some(Mode::Upsert);
        }
        let run = now.run(&charged).await;
        assert_eq!((run.accepted, run.fields.len()), (3, 5), "{mode:?}");
    }
    assert_eq!(world.ids_of_delta("charged").await, ["b", "c", "d"]);
    let other_type = out_like(&charged, &CHARGED.replace("::bigint", "::double"));
    let error = now.syncs.run(&other_type).await.expect_err("another type").to_string();
    assert!(error.contains("has the column \"amount\" as long, and the query as double"), "{error}");
    // Nothing is there.
    let none = out_like(&charged, &format!("{CHARGED} AND identity = 'nobody'"));
    assert_eq!(now.run(&none).await.accepted, 0);
    assert!(world.ids_of_delta("charged").await.is_empty());
}

fn keyed(mut definition: Definition) -> Definition {
    definition.key = vec!["nobody".to_owned()];
    definition
}

fn out_like(definition: &Definition, query: &str) -> Definition {
    let mut like = definition.clone();
    query.clone_into(&mut like.query);
    like
}

#[tokio::test]
async fn syncs_that_write_one_table_at_once_each_have_their_rows_in_it() {
    let world = four().await;
    let now = world.at(NOON).await;
    let named = |name: &str| {
        let mut charged = out(&format!("delta:{}", world.path("charged")), cursor(0));
        name.clone_into(&mut charged.name);
        charged.key = vec!["id".to_owned()];
        charged.query = CHARGED.replace("properties ->> 'Id' AS id", &format!("concat('{name} ', properties ->> 'Id') AS id"));
        charged
    };
    let (one, two, three) = (named("one"), named("two"), named("three"));
    let (one, two, three) = tokio::join!(now.run(&one), now.run(&two), now.run(&three));
    assert_eq!((one.accepted, two.accepted, three.accepted), (4, 4, 4));
    assert_eq!(world.ids_of_delta("charged").await.len(), 12);
    // Another ledger knows nothing of the runs before, and the table does.
    let other = Syncs::open(now.ctx.clone(), &world.path("another state")).await.expect("a ledger");
    let again = other.run(&named("one")).await.expect("a run");
    assert_eq!((again.accepted, again.window.expect("a window").0.as_str()), (0, "2026-11-08T10:00:00+05:30"));
}

#[tokio::test]
async fn a_run_that_was_taken_over_commits_nothing() {
    let world = four().await;
    let charged = out(&format!("delta:{}", world.path("charged")), cursor(0));
    let slow = world.at(NOON).await;
    // While it reads, another ledger's run of the sync comes to its end.
    let other = Syncs::open(slow.ctx.clone(), &world.path("another state")).await.expect("a ledger");
    world.emulator.add_fault(Fault::new(What::Slow { ms: 1_500 }).on("/1/events.json").times(1));
    let (slow, other) = tokio::join!(slow.syncs.run(&charged), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.run(&charged).await
    });
    assert_eq!(other.expect("a run").accepted, 4);
    assert!(matches!(&slow, Err(Error::Held(_))), "{slow:?}");
    assert_eq!(world.ids_of_delta("charged").await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_table_of_the_session_is_appended_to_replaced_and_upserted() {
    let world = four().await;
    let now = world.at(NOON).await;
    let mut charged = out("shelf", Some(Window::Days(2)));
    assert_eq!(now.run(&charged).await.accepted, 3);
    charged.key = vec!["id".to_owned()];
    world.charge(&[("e", "2026-11-08 11:00:00")]).await;
    assert_eq!(now.run(&charged).await.mode, "upsert");
    assert_eq!(world.shelf.ids(), ["b", "c", "d", "e"]);
    charged.mode = Some(Mode::Replace);
    charged.window = Some(Window::Days(1));
    now.run(&charged).await;
    assert_eq!(world.shelf.ids(), ["c", "d", "e"]);
    let wide = out_like(&charged, &CHARGED.replace("identity,", "identity, event_name,"));
    let error = now.syncs.run(&wide).await.expect_err("a column").to_string();
    assert!(error.contains("shelf has no column \"event_name\""), "{error}");
}

#[tokio::test]
async fn rows_that_were_added_when_a_run_ended_are_in_doubt_until_somebody_looked() {
    let world = four().await;
    let mut charged = out("shelf", cursor(0));
    world.shelf.becomes(Mood::HangsAfter);
    let now = world.at(NOON).await;
    now.kill(&charged, || world.shelf.writes() == 1).await;
    world.shelf.becomes(Mood::Calm);
    let error = now.syncs.run(&charged).await.expect_err("in doubt");
    let words = "a run ended while it added 4 rows of 2013-01-01T05:30:00+05:30 to 2026-11-08T12:0";
    assert!(matches!(&error, Error::Guard(text) if text.contains(words) && text.contains(" to shelf, and whether")), "{error}");
    assert!(now.syncs.plan(&charged).await.expect("a plan").why.iter().any(|why| why.contains("a run is refused")));
    charged.in_doubt = InDoubt::Resend;
    world.charge(&[("e", "2026-11-08 12:10:00")]).await;
    let next = world.at("2026-11-08T07:00:00Z").await.run(&charged).await;
    assert_eq!((next.accepted, next.notes.len()), (1, 1));
    assert_eq!(world.shelf.ids().len(), 4 + 4 + 1);

    // A replace and an upsert are repeated without a word.
    charged.in_doubt = InDoubt::Hold;
    charged.key = vec!["id".to_owned()];
    world.shelf.becomes(Mood::HangsAfter);
    let later = world.at("2026-11-08T07:10:00Z").await;
    let writes = world.shelf.writes();
    later.kill(&charged, || world.shelf.writes() > writes).await;
    world.shelf.becomes(Mood::Calm);
    later.run(&charged).await;
    // A table that refuses rows that are added leaves them in doubt: it may be of those that take some. The other remedy.
    charged.key.clear();
    world.charge(&[("f", "2026-11-08 12:41:00")]).await;
    world.shelf.becomes(Mood::Refuses);
    let last = world.at("2026-11-08T07:20:00Z").await;
    last.syncs.run(&charged).await.expect_err("refused");
    world.shelf.becomes(Mood::Calm);
    assert!(matches!(last.syncs.run(&charged).await, Err(Error::Guard(_))));
    last.syncs.reset("charged").await.expect("it is reset");
    assert_eq!(last.run(&charged).await.accepted, 6);
}

#[tokio::test]
async fn a_report_by_days_is_read_by_the_days_of_the_project() {
    for zone in [chrono_tz::Asia::Kolkata, chrono_tz::America::Los_Angeles] {
        let world = World::in_zone(zone);
        world
            .charge(&[
                ("a", "2026-11-05 23:30:00"),
                ("b", "2026-11-06 00:30:00"),
                ("c", "2026-11-07 23:30:00"),
                ("d", "2026-11-08 00:30:00"),
            ])
            .await;
        let mut daily = out(&format!("delta:{}", world.path("daily")), Some(Window::Days(2)));
        daily.key = vec!["id".to_owned()];
        let query = "SELECT event_date AS id, events FROM clevertap.trend_analysis_daily \
                     WHERE event_name = 'Charged' AND event_date >= $from::date AND event_date < $to::date";
        let run = world.at("2026-11-07T18:00:00Z").await.run(&out_like(&daily, query)).await;
        assert_eq!(
            (run.changes.rows, world.ids_of_delta("daily").await),
            (2, vec!["2026-11-06".to_owned(), "2026-11-07".to_owned()]),
            "{zone}"
        );
    }
}

#[tokio::test]
async fn a_key_that_is_null_is_refused() {
    let world = four().await;
    let mut charged = out(&format!("delta:{}", world.path("charged")), Some(Window::Days(2)));
    charged.key = vec!["id".to_owned()];
    let some = CHARGED.replace("properties ->> 'Id' AS id", "nullif(properties ->> 'Id', 'c') AS id");
    let now = world.at(NOON).await;
    let error = now.syncs.run(&out_like(&charged, &some)).await.expect_err("NULL");
    assert!(matches!(&error, Error::Guard(text) if text.contains("NULL in \"id\"")), "{error}");
    // The remedy.
    let rest = format!("SELECT * FROM ({some}) AS t WHERE \"id\" IS NOT NULL");
    assert_eq!(now.run(&out_like(&charged, &rest)).await.accepted, 2);
}

#[tokio::test]
async fn what_a_definition_cannot_be_is_said_with_a_remedy() {
    let world = four().await;
    let now = world.at(NOON).await;
    let delta = format!("delta:{}", world.path("charged"));
    let fixed = "SELECT identity AS id, event_time FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-11-08'";
    let people = "SELECT 'a' AS identity, 'gold' AS \"Plan\"";
    let refused = [
        (out_like(&out(&delta, Some(Window::Days(1))), fixed), "WHERE event_time >= $from AND event_time < $to"),
        (out(&delta, None), "say days or cursor"),
        (out_like(&out(&delta, Some(Window::Days(1))), &CHARGED.replace("$to", "$until")), "its query has $until"),
        (keyed(out(&delta, Some(Window::Days(1)))), "key names \"nobody\""),
        (out(&delta, Some(Window::Cursor { column: "amount".to_owned(), look_back: Duration::ZERO })), "of the type Int64"),
        (out_like(&out("clevertap.profiles", Some(Window::Days(1))), people), "days and cursor are of syncs out of CleverTap"),
    ];
    for (definition, words) in refused {
        let error = now.syncs.run(&definition).await.expect_err("refused");
        assert!(matches!(&error, Error::Definition(text) if text.contains(words)), "{error}");
    }
    assert!(!world.folder.path().join("charged").exists());
    assert!(now.syncs.history(None).await.expect("runs").is_empty());
    // The remedies.
    assert_eq!(now.run(&out_like(&out(&delta, None), fixed)).await.accepted, 2);
}

#[tokio::test]
async fn the_start_of_a_run_and_a_window_stand_in_queries_of_syncs_into_clevertap_too() {
    let world = World::new();
    let now = world.at(NOON).await;
    let people = Definition::new("people", "SELECT 'a' AS identity, $run_at AS \"Seen\"", "clevertap.profiles");
    assert_eq!(now.run(&people).await.accepted, 1);
    let query = "SELECT id AS identity FROM (VALUES ('b', TIMESTAMP '2026-11-07 12:00:00'), ('c', TIMESTAMP '2026-11-09 12:00:00')) AS t (id, at) \
                 WHERE at >= $from AND at < $to";
    let some = Definition::new("some", query, "clevertap.profiles");
    assert!(matches!(now.syncs.run(&some).await, Err(Error::Definition(_))));
    let run = now.syncs.run_with(&some, &backfill("2026-11-07T00:00:00Z", "2026-11-08T00:00:00Z")).await.expect("a run");
    assert_eq!((run.accepted, world.emulator.profile("b").is_some(), world.emulator.profile("c").is_some()), (1, true, false));
}
