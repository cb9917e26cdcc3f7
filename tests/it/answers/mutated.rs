//! Every answer of every call, changed in its structure at random: keys dropped, renamed, retyped, doubled, words of `status` and HTTP statuses
//! changed, numbers negated, errors named beside `success`. Whatever comes of it: no accepted row that the emulator did not store, no "nobody" for somebody, no whole export
//! that is not, no count below zero, no panic.
//!
//! `CLEVERTAP_MUTATIONS=2000 cargo test -p clevertap-tests --test it -- answers::mutated` sets how many each statement meets; `CLEVERTAP_SEED`
//! where they begin.

use std::sync::{Arc, Mutex};

use chrono_tz::Tz;
use clevertap_emulator::{Device, Platform, Settings, SubscriptionGroup};
use clevertap_tests::SentCall;
use datafusion_clevertap::transport::Answer;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use crate::seed::{SMALL, lines, seeded};
use crate::world::World;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn mutations() -> u64 {
    setting("CLEVERTAP_MUTATIONS", 50)
}

/// In front of a key that stands twice in the text.
const TWICE: &str = "\u{1}";

/// An answer with one change, and what it was.
fn mutate(answer: &Answer, rng: &mut StdRng) -> (Answer, String) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return (answer.clone(), "nothing".to_owned()) };
    if rng.random_ratio(1, 12) {
        let status = *[201, 202, 204, 206, 301, 400, 404, 408, 409, 413, 499, 500, 503].choose(rng).expect("a status");
        return (Answer::new(status, answer.body.clone()), format!("HTTP {status}"));
    }
    if rng.random_ratio(1, 12) {
        let status = *[202, 400, 410, 500, 503].choose(rng).expect("a status");
        return (Answer::new(status, r#"{"status":"fail","error":"Profile not found","code":404}"#), format!("nobody, HTTP {status}"));
    }
    if rng.random_ratio(1, 10) && body.is_object() {
        let errors =
            [json!({"error": "busy"}), json!({"code": 400}), json!({"error": "x", "code": 500}), json!({"error": {"a": 1}, "code": 2})];
        let error = errors.choose(rng).and_then(Value::as_object).expect("an error");
        body.as_object_mut().expect("an object").extend(error.clone());
        return (Answer::new(answer.status, body.to_string()), "an error beside".to_owned());
    }
    let mut places = Vec::new();
    objects(&body, &mut String::new(), &mut places);
    // The envelope as often as what is in it.
    let place = if rng.random() { String::new() } else { places.choose(rng).cloned().unwrap_or_default() };
    let Some(Value::Object(object)) = body.pointer_mut(&place) else { return (answer.clone(), "nothing".to_owned()) };
    let Some(key) = object.keys().choose(rng).cloned() else { return (answer.clone(), "nothing".to_owned()) };
    let what = change(object, &key, rng);
    let text = body.to_string().replace("\\u0001", "");
    (Answer::new(answer.status, text), format!("{what} at {place}/{key}"))
}

fn change(object: &mut Map<String, Value>, key: &str, rng: &mut StdRng) -> &'static str {
    let value = object.get(key).cloned().unwrap_or_default();
    let others = [json!(null), json!("x"), json!(true), json!([]), json!({}), json!([1]), json!({"a": 1}), json!(-1)];
    let kind = |value: &Value| std::mem::discriminant(value);
    let other = others.iter().filter(|other| kind(other) != kind(&value)).choose(rng).cloned().unwrap_or_default();
    match rng.random_range(0..6) {
        0 => {
            object.remove(key);
            "dropped"
        }
        1 => {
            object.remove(key);
            object.insert(format!("{key}z"), value);
            "renamed"
        }
        2 => {
            object.insert(key.to_owned(), other);
            "retyped"
        }
        3 => {
            object.insert(format!("{TWICE}{key}"), if rng.random() { value } else { other });
            "doubled"
        }
        4 if key == "status" => {
            let words = ["success", "partial", "fail", "error", "weird", "", "in_progress", "Success"];
            object.insert(key.to_owned(), (*words.choose(rng).expect("a word")).into());
            "another status"
        }
        _ => match value.as_f64() {
            Some(number) => {
                object.insert(key.to_owned(), if number == number.trunc() { json!(-(number as i64) - 1) } else { json!(-number) });
                "negated"
            }
            None => {
                object.insert(key.to_owned(), other);
                "retyped"
            }
        },
    }
}

/// The pointers of all objects.
fn objects(value: &Value, at: &mut String, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(object) => {
            found.push(at.clone());
            object.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(list) => list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => return,
    };
    for (step, value) in inner {
        let length = at.len();
        at.push('/');
        at.push_str(&step);
        objects(value, at, found);
        at.truncate(length);
    }
}

/// The changes that were made, each with the answer that it made.
type Changes = Arc<Mutex<Vec<(String, Answer)>>>;

/// Changes the first answer for which `is_meant` is true of its call and its number.
fn change_one(world: &World, is_meant: impl Fn(&SentCall, u64) -> bool + Send + 'static, mut rng: StdRng) -> Changes {
    let changes = Changes::default();
    let (mut seen, kept) = (0, Arc::clone(&changes));
    world.transport.change_answers(move |call, answer| {
        let mut changes = kept.lock().expect("a lock");
        seen += 1;
        if !changes.is_empty() || !is_meant(call, seen - 1) {
            return answer;
        }
        let (changed, what) = mutate(&answer, &mut rng);
        changes.push((what, changed.clone()));
        changed
    });
    changes
}

fn project() -> Settings {
    Settings {
        messages: vec![json!({"message id": 1_767_225_600, "message_name": "Hello", "channel": "Push", "delivery": "One Time",
                              "start_date": "2026-01-05", "status": "completed", "sent": 5, "viewed": 1, "clicked": 0, "labels": ["x"]})],
        campaigns: vec![clevertap_emulator::Campaign {
            result: Some(json!({"sent": 100, "clicked": 7})),
            ..clevertap_emulator::Campaign::new(1_767_225_600, "Sale", 20_260_105)
        }],
        subscription_groups: vec![SubscriptionGroup { key: 101, name: "Offers".into(), channels: vec!["email".into()] }],
        content_blocks: vec![json!({"id": 1, "name": "Block", "updatedAt": "2026-01-05T00:00:00.000Z"})],
        segments: vec![json!({"id": 1, "name": "Segment"})],
        polls_until_ready: 1,
        ..Settings::default()
    }
}

/// A read, and how many answers it meets at most.
const READS: &[(&str, u64)] = &[
    ("SELECT identity, event_time, properties FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-07'", 4),
    ("SELECT identity, email FROM clevertap.profiles WHERE event_name = 'Charged' AND event_date = '2026-01-07'", 4),
    ("SELECT identity, name, email FROM clevertap.profiles WHERE identity = 'p1'", 1),
    ("SELECT identity, name FROM clevertap.profiles WHERE email = 'p2+news@example.org'", 1),
    ("SELECT identity, name FROM clevertap.profiles WHERE object_id = '__g00000000000000000000000000000003'", 1),
    ("SELECT events FROM clevertap.event_counts WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'", 2),
    ("SELECT people FROM clevertap.profile_counts WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'", 2),
    (
        "SELECT event_date, events FROM clevertap.trend_analysis_daily WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-09'",
        2,
    ),
    (
        "SELECT value, events FROM clevertap.top_property_counts WHERE event_name = 'Charged' AND property = 'Currency' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'",
        2,
    ),
    ("SELECT people FROM clevertap.real_time_counts", 1),
    ("SELECT message_id, sent FROM clevertap.message_reports WHERE start_date BETWEEN '2026-01-01' AND '2026-01-09'", 1),
    ("SELECT campaign_id FROM clevertap.campaigns WHERE scheduled_on BETWEEN '2026-01-01' AND '2026-01-09'", 1),
    ("SELECT sent FROM clevertap.campaign_reports WHERE campaign_id = '1767225600'", 1),
    ("SELECT event_name, property_name FROM clevertap.event_schema", 1),
    ("SELECT property_name FROM clevertap.profile_schema", 1),
    ("SELECT key FROM clevertap.subscription_groups", 1),
    ("SELECT content_block_id FROM clevertap.content_blocks", 1),
    ("SELECT segment_id FROM clevertap.segments", 1),
];

/// Whether an answer says `success` and names an error: it is of no reference, and nothing that it says is true.
fn names_error_beside(what: &str, answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    what == "an error beside" && body["status"] != "fail"
}

/// Whether an answer leaves open what became of a request: it is not finished, or contradicts itself.
fn leaves_open(what: &str, answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let says_done = body["status"] == "success" || body["status"] == "partial";
    matches!(answer.status, 408 | 409 | 499 | 500..) || (answer.status >= 300 && says_done) || names_error_beside(what, answer)
}

/// Whether an answer says in a form of the reference that there is nothing, or is still to come: then nothing is what may be read.
fn says_nothing(query: &str, what: &str, answer: &Answer) -> bool {
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(&answer.body) else { return false };
    if query.contains("campaign_reports") && answer.status == 409 {
        return true;
    }
    if answer.status != 200 || names_error_beside(what, answer) {
        return false;
    }
    !body.values().any(|value| value.is_object() || value.is_array())
}

#[tokio::test(start_paused = true)]
async fn no_changed_answer_is_read_as_nobody_or_as_less_than_there_is() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, project(), |_| {});
    world.set("retry_for_ms", 20_000).await;
    world.set("verify_counts", true).await;
    world.set("read_concurrency", 1).await;
    let (mut met_all, mut refused) = (0, 0);
    for (query, answers) in READS {
        let whole = lines(&world.rows(query).await);
        assert!(!whole.is_empty(), "{query}");
        let warned = |world: &World| {
            world.account.warnings().iter().filter(|warning| warning.code == "CT-622").map(|warning| warning.rows).sum::<u64>()
        };
        for case in 0..mutations() {
            let mut rng = StdRng::seed_from_u64(setting("CLEVERTAP_SEED", 7).wrapping_mul(1_000_003).wrapping_add(case));
            let number = rng.random_range(0..*answers);
            let met = change_one(&world, move |_, seen| seen == number, rng);
            let before = warned(&world);
            let result = world.run(query).await;
            world.transport.change_answers(|_, answer| answer);
            let changes = met.lock().expect("a lock").clone();
            let Some((what, changed)) = changes.first() else { continue };
            let Ok(rows) = result else {
                refused += 1;
                continue;
            };
            met_all += 1;
            let rows = lines(&rows);
            let shown = || format!("seed {case}: {query}\n{what}, HTTP {}: {}\n{rows:?}\n{whole:?}", changed.status, text(changed));
            let is_told = warned(&world) > before;
            let is_less = rows.len() < whole.len();
            assert!(!is_less || is_told || says_nothing(query, what, changed) || is_inner(what), "{}", shown());
            let is_of_no_form = changed.status != 200 || names_error_beside(what, changed);
            assert!(!is_of_no_form || rows == whole || says_nothing(query, what, changed), "{}", shown());
            let counts = query.contains("counts WHERE") || query.contains("trend_") || query.contains("real_time");
            assert!(!counts || rows.iter().all(|row| !row.contains("| -")), "{}", shown());
        }
    }
    assert!(met_all > 0 && refused > 0, "{met_all} were read, {refused} refused");
}

/// Whether the change is inside of a list or group, of which one item less cannot be told from a shorter one.
fn is_inner(what: &str) -> bool {
    let place = what.split(" at ").nth(1).unwrap_or_default();
    place.matches('/').count() > 1 && !place.starts_with("/records") && !place.starts_with("/record")
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).chars().take(600).collect()
}

/// A write of five rows of which CleverTap refuses one, the identities of what was stored, and how many answers it meets at most.
const WRITES: &[(&str, &str, u64)] = &[
    ("profiles", "SELECT identity, email AS \"Email\" FROM people", 2),
    (
        "events",
        "SELECT identity, CASE identity WHEN 'i3' THEN 'App Launched' ELSE 'Viewed' END AS event_name, 1767225600 AS event_time FROM people",
        2,
    ),
    ("device_tokens", "SELECT device AS object_id, identity AS token, 'fcm' AS token_type FROM people", 2),
];

#[tokio::test(start_paused = true)]
async fn no_changed_answer_makes_a_row_accepted_that_was_not_stored() {
    let (mut accepted_all, mut failed_all) = (0, 0);
    for (table, select, answers) in WRITES {
        for case in 0..mutations() {
            let mut rng = StdRng::seed_from_u64(setting("CLEVERTAP_SEED", 7).wrapping_mul(1_000_003).wrapping_add(case));
            let devices: Vec<Device> =
                (1..=4).map(|n| Device { object_id: format!("d{n}"), platform: Platform::Android, identity: None }).collect();
            let world = World::with(Settings { devices, ..Settings::default() });
            world.set("retry_for_ms", 20_000).await;
            world.set("on_reject", "skip").await;
            let people = "CREATE VIEW people AS SELECT * FROM (VALUES ('i1', 'a@example.org', 'd1'), ('i2', 'b@example.org', 'd2'), ('i3', 'none', 'd9'), \
                          ('i4', 'c@example.org', 'd3'), ('i5', 'd@example.org', 'd4')) t(identity, email, device)";
            world.rows(people).await;
            let number = rng.random_range(0..*answers);
            let met = change_one(&world, move |_, seen| seen == number, rng);
            let result = world.run(&format!("INSERT INTO clevertap.{table} {select}")).await;
            let changes = met.lock().expect("a lock").clone();
            let tally = world.account.runs().pop().unwrap_or_else(|| panic!("no run: {result:?}")).tally;
            let shown = || {
                let changes: Vec<String> = changes.iter().map(|(what, answer)| format!("{what}: {}", text(answer))).collect();
                format!("seed {case}, {table}: {changes:?}\n{tally:?}\n{result:?}")
            };
            assert_eq!(tally.accepted + tally.rejected + tally.in_doubt + tally.unsent, 5, "{}", shown());
            let failed: Vec<u64> = world.account.failed_rows().iter().map(|row| row.row_number).collect();
            assert_eq!(failed.len() as u64, 5 - tally.accepted, "{}", shown());
            for row in (1..=5).filter(|row| !failed.contains(row)) {
                let is_stored = match *table {
                    "profiles" => world.emulator.profile(&format!("i{row}")).is_some(),
                    "events" => world.emulator.events_by_identity().contains_key(&format!("i{row}")),
                    _ => row != 3 && world.emulator.tokens_stored() == 4,
                };
                assert!(is_stored, "row {row}, {}", shown());
            }
            if let Some((what, answer)) = changes.first().filter(|(what, answer)| leaves_open(what, answer)) {
                assert_eq!(tally.unsent, 0, "{what}, HTTP {}: {}", answer.status, shown());
                assert!(*table != "events" || tally.in_doubt == 5, "{}", shown());
            }
            accepted_all += tally.accepted;
            failed_all += tally.in_doubt + tally.unsent;
        }
    }
    assert!(accepted_all > 0 && failed_all > 0, "{accepted_all} accepted, {failed_all} in doubt or unsent");
}

/// A statement whose answer says nothing but `success`, and the call that it makes.
const REQUESTS: &[(&str, &str)] = &[
    ("DELETE FROM clevertap.profiles WHERE identity IN ('i1', 'i2')", "/1/delete/profiles.json"),
    ("INSERT INTO clevertap.demerges SELECT 'i1' AS identity", "/1/demerge/profiles.json"),
    ("INSERT INTO clevertap.subscriptions SELECT 'email' AS type, 'a@example.org' AS value, 'Unsubscribe' AS status", "/1/subscribe"),
    ("INSERT INTO clevertap.phone_disassociations SELECT '+14155550100' AS phone", "/1/disassociate"),
];

#[tokio::test(start_paused = true)]
async fn a_changed_answer_to_a_request_is_accepted_only_where_it_still_says_success() {
    for (statement, path) in REQUESTS {
        for case in 0..mutations() {
            let rng = StdRng::seed_from_u64(setting("CLEVERTAP_SEED", 7).wrapping_mul(1_000_003).wrapping_add(case));
            let world = World::open(Settings::default(), |account| account.access = datafusion_clevertap::Access::Erase);
            world.rows("INSERT INTO clevertap.profiles (identity) VALUES ('i1'), ('i2')").await;
            world.set("retry_for_ms", 20_000).await;
            world.set("on_reject", "skip").await;
            let met = change_one(&world, |call, _| call.path == *path, rng);
            let result = world.run(statement).await;
            let tally = world.last_run().tally;
            let changes = met.lock().expect("a lock").clone();
            let shown = format!("seed {case}: {statement}\n{changes:?}\n{tally:?}\n{result:?}");
            assert_eq!(tally.accepted + tally.rejected + tally.in_doubt + tally.unsent, tally.read, "{shown}");
            let Some((what, changed)) = changes.last() else { continue };
            assert!(!leaves_open(what, changed) || tally.unsent == 0, "{shown}");
            let calls = world.sent_to(path).len();
            if tally.accepted > 0 && calls == 1 {
                let body: Value = serde_json::from_slice(&changed.body).unwrap_or_default();
                let is_success = (body["status"] == "success" || body["status"] == "partial") && !names_error_beside(what, changed);
                assert!((200..300).contains(&changed.status) && is_success, "{shown}");
            }
        }
    }
}
