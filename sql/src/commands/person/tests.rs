//! `person` against the emulator, without a socket.

use std::path::Path;

use clap::Parser;
use clevertap_emulator::{Fault, Platform, SeedPerson, Settings, What};
use datafusion_clevertap::transport::Answer;
use serde_json::{Value, json};

use super::{PersonFlags, person};
use crate::{
    failure::{Completion, Failure, Result},
    terminal::interrupt::Interrupts,
    world::{NOW, Stderr, World},
};

const DAY: i64 = 86_400;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    flags: PersonFlags,
}

/// Ada has two devices, and a namesake at her address; others do the same events.
fn world() -> World {
    let world = World::with(Settings::default());
    world.emulator.seed(|seeder| {
        let phone = SeedPerson { identity: Some("ada"), object_id: Some("__g1"), email: Some("ada@example.org"), ..SeedPerson::default() };
        let phone = seeder.person(SeedPerson { properties: r#"{"Plan":"gold","Big":9007199254740993}"#, ..phone });
        let web =
            seeder.person(SeedPerson { identity: Some("ada"), object_id: Some("__g2"), platform: Platform::Web, ..SeedPerson::default() });
        let bob = seeder.person(SeedPerson { identity: Some("bob"), object_id: Some("__g3"), ..SeedPerson::default() });
        for n in 0..12 {
            let device = if n % 2 == 0 { phone } else { web };
            seeder.event(device, "Charged", NOW - 400 * DAY + n * 30 * DAY, &format!(r#"{{"Amount":{n}}}"#), None);
            seeder.event(bob, "Charged", NOW - 400 * DAY + n * 30 * DAY, "{}", None);
        }
        seeder.event(phone, "App Launched", NOW - DAY, "{}", Some(r#"{"utm_source":"x"}"#));
        seeder.event(phone, "Notification Sent", NOW - DAY, "{}", None);
        seeder.event(bob, "Only Bob's", NOW - DAY, "{}", None);
    });
    world
}

async fn run(world: &World, arguments: &[&str], to: Option<&Path>) -> (Result<Completion>, String) {
    let to = to.map(|path| ["-o".to_owned(), path.display().to_string()]);
    let arguments = ["person"].into_iter().chain(arguments.iter().copied()).map(str::to_owned).chain(to.into_iter().flatten());
    let flags = CommandLine::try_parse_from(arguments).unwrap().flags;
    let stderr = Stderr::default();
    let interrupts = Interrupts::from(futures::stream::pending());
    let ended = person(&flags, world.reopen(), &mut stderr.console(), interrupts).await;
    (ended, stderr.text())
}

/// The document, and what stderr said.
async fn document(world: &World, arguments: &[&str]) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("person.json");
    let (ended, stderr) = run(world, arguments, Some(&to)).await;
    assert_eq!(ended.unwrap(), Completion::Done, "{stderr}");
    (serde_json::from_slice(&std::fs::read(to).unwrap()).unwrap(), stderr)
}

#[tokio::test(start_paused = true)]
async fn a_person_is_written_with_all_events_and_what_cannot_be_exported_is_named() {
    let (found, stderr) = document(&world(), &["--identity", "ada"]).await;
    assert_eq!(found["person"]["email"], "ada@example.org");
    assert_eq!(found["person"]["platforms"].as_array().unwrap().len(), 2);
    let events = found["events"].as_array().unwrap();
    let mut amounts: Vec<_> = events.iter().filter_map(|event| event["properties"]["Amount"].as_i64()).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, (0..12).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event["identity"] == "ada"), "{events:?}");
    let launched = events.iter().find(|event| event["event_name"] == "App Launched").unwrap();
    assert_eq!((&launched["event_time"], &launched["session"]), (&json!("2025-12-31T05:30:00+05:30"), &json!({"utm_source": "x"})));
    assert_eq!(events.len(), 13);
    let figures: Vec<_> = found["summary"]
        .as_array()
        .unwrap()
        .iter()
        .map(|did| (did["event_name"].as_str().unwrap(), &did["found"], &did["counted"]))
        .collect();
    assert_eq!(figures, [("App Launched", &json!(1), &json!(1)), ("Charged", &json!(12), &json!(12))]);
    assert_eq!(found["not_exported"][0]["event_name"], "Notification Sent");
    assert_eq!(found["complete"], false);
    for line in
        ["Charged: 12 of 12 found\n", "  Charged: 12, 2024-11-27 to 2025-10-23\n", "Notification Sent: 1 not exported: ", "not complete"]
    {
        assert!(stderr.contains(line), "{line} is missing in\n{stderr}");
    }
    assert!(!stderr.contains("ada"), "{stderr}");
}

#[tokio::test(start_paused = true)]
async fn numbers_keep_their_digits() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("person.json");
    run(&world(), &["--identity", "ada"], Some(&to)).await.0.unwrap();
    let text = std::fs::read_to_string(to).unwrap();
    assert!(text.contains("9007199254740993"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn events_without_an_identity_are_the_persons_by_their_device_and_those_of_others_are_left_out() {
    let world = world();
    world.emulator.seed(|seeder| {
        let nobody = seeder.person(SeedPerson { object_id: Some("__g9"), ..SeedPerson::default() });
        seeder.event(nobody, "Charged", NOW - 100 * DAY, r#"{"Amount":99}"#, None);
    });
    let (found, stderr) = document(&world, &["--object-id", "__g9"]).await;
    assert_eq!((found["events"].as_array().unwrap().len(), &found["complete"]), (1, &json!(true)), "{stderr}");
    assert_eq!(found["events"][0]["properties"]["Amount"], 99);

    // The same device, now under bob's name in the export: it is bob's.
    world.replace(r#""objectId":"__g3""#, r#""objectId":"__g1""#);
    let (found, stderr) = document(&world, &["--identity", "ada"]).await;
    assert_eq!(found["summary"][1]["left_out_as_of_others"], 12, "{stderr}");
    assert!(stderr.contains("12 events of this person's devices bear another identity"), "{stderr}");
    assert_eq!(found["events"].as_array().unwrap().len(), 13);

    // Bob's name is gone from the export: what finished under ada's device is ada's.
    world.replace(r#""identity":"bob","#, "");
    world.replace(r#","identity":"bob""#, "");
    let (found, stderr) = document(&world, &["--identity", "ada"]).await;
    assert_eq!(found["events"].as_array().unwrap().len(), 25, "{stderr}");
}

#[tokio::test(start_paused = true)]
async fn a_second_identity_finds_what_is_exported_under_the_first() {
    let world = world();
    let session = crate::engine::session::Session::open(Some(world.reopen()), None).unwrap();
    session.rows("INSERT INTO clevertap.profiles SELECT 'ada' AS identity, 'ada-2' AS link_identity").await.unwrap();
    let (found, stderr) = document(&world, &["--identity", "ada-2"]).await;
    assert_eq!(found["events"].as_array().unwrap().len(), 13, "{stderr}");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_by_address_warns_that_others_may_have_it() {
    let (found, stderr) = document(&world(), &["--email", "ada@example.org"]).await;
    assert_eq!((&found["person"]["identity"], found["events"].as_array().unwrap().len()), (&json!("ada"), 13));
    assert!(stderr.contains("several may have this address"), "{stderr}");
}

#[tokio::test(start_paused = true)]
async fn missing_events_are_looked_for_a_day_around_and_then_reported() {
    let world = world();
    world.replace(r#""Charged":{"count":12"#, r#""Charged":{"count":14"#);
    let (found, stderr) = document(&world, &["--identity", "ada"]).await;
    assert!(stderr.contains("Charged: 12 of 14 found: the rest is not among"), "{stderr}");
    let charged = &found["summary"][1];
    assert_eq!((&charged["from_date"], &charged["to_date"]), (&json!("2024-11-26"), &json!("2025-10-24")));
    assert_eq!(found["complete"], false);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_since_does_not_stand_in_for_what_is_missing() {
    let world = world();
    world.emulator.seed(|seeder| {
        let phone = seeder.person(SeedPerson { identity: Some("ada"), object_id: Some("__g1"), ..SeedPerson::default() });
        seeder.event(phone, "Charged", NOW + 3 * 3_600, r#"{"Amount":12}"#, None);
    });
    // So the summary counts thirteen, as it would if one of before were not exported.
    let (found, stderr) = document(&world, &["--identity", "ada"]).await;
    let charged = &found["summary"][1];
    assert_eq!((&charged["found"], &charged["done_since"], &found["complete"]), (&json!(12), &json!(1), &json!(false)), "{stderr}");
    assert_eq!(found["events"].as_array().unwrap().len(), 14);
    assert!(stderr.contains("Charged: 12 of 13 found: the rest") && stderr.contains("Charged: 1 more were done since"), "{stderr}");
    assert!(stderr.contains("14 events of 2 names were written"), "{stderr}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_an_error_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, stderr) = run(&world(), &["--identity", "eve"], Some(&folder.path().join("eve.json"))).await;
    assert!(matches!(ended, Err(Failure::Failed(why)) if why.contains("knows nobody with this identity")), "{stderr}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_the_middle_leaves_no_file() {
    for what in [What::EndEarly, What::Unauthorized, What::RepeatCursor { back: 0 }] {
        let world = world();
        let ends_early = what == What::EndEarly;
        world.emulator.add_fault(Fault::new(what).on("/1/events.json").after(4));
        let folder = tempfile::tempdir().unwrap();
        let (ended, stderr) = run(&world, &["--identity", "ada"], Some(&folder.path().join("ada.json"))).await;
        if ends_early {
            // Of which CleverTap says nothing: the summary does.
            ended.unwrap();
            assert!(stderr.contains(" of 12 found: the rest"), "{stderr}");
            continue;
        }
        assert_eq!(ended.unwrap_err().code(), 1, "{stderr}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{stderr}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_refused_is_a_fault_and_a_name_that_is_refused_is_named() {
    let refusals = [
        (200, r#"{"status":"fail","error":"boom","code":3}"#),
        (404, r#"{"status":"success"}"#),
        (404, r#"{"status":"fail","error":"no","code":404}"#),
        (400, r#"{"status":"fail","error":"[\"Invalid event : Charged\"]","code":400}"#),
    ];
    for (status, refusal) in refusals {
        let world = world();
        world.intercept(move |call| {
            let is_page = call.url.path() == "/1/events.json" && call.url.query().is_some_and(|query| query.contains("cursor="));
            is_page.then(|| Ok(Answer::new(status, refusal)))
        });
        let folder = tempfile::tempdir().unwrap();
        let (ended, stderr) = run(&world, &["--identity", "ada"], Some(&folder.path().join("ada.json"))).await;
        let failure = ended.unwrap_err();
        let says = if status == 404 && refusal.contains("success") { "that contradicts itself" } else { "The export is not complete" };
        assert!(failure.code() == 1 && failure.to_string().contains(says), "{failure} {stderr}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    let world = world();
    world.intercept(|call| {
        let is_opening = call.url.path() == "/1/events.json" && !call.url.query().is_some_and(|query| query.contains("cursor="));
        is_opening.then(|| Ok(Answer::new(200, r#"{"status":"fail","error":"[\"Invalid event : Charged\"]","code":400}"#)))
    });
    let (found, stderr) = document(&world, &["--identity", "ada"]).await;
    assert_eq!((&found["complete"], found["not_exported"].as_array().unwrap().len()), (&json!(false), 3), "{stderr}");
}

#[tokio::test(start_paused = true)]
async fn more_than_is_counted_is_told_and_an_address_in_a_name_is_not() {
    let world = world();
    world.replace(r#""Charged":{"count":12"#, r#""Charged":{"count":9"#);
    world.replace("Notification Sent", "Sent to eve@example.org");
    let (found, stderr) = document(&world, &["--identity", "ada"]).await;
    assert!(stderr.contains("Charged: 12 of 9 found: more than CleverTap counts, and all of them are written"), "{stderr}");
    assert!(stderr.contains("Sent to …: 1 not exported") && !stderr.contains("eve@"), "{stderr}");
    assert_eq!(found["not_exported"][0]["event_name"], "Sent to eve@example.org");
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_leaves_no_file() {
    let world = world();
    world.emulator.add_fault(Fault::new(What::HangBefore).on("/1/events.json"));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("ada.json");
    let flags = CommandLine::try_parse_from(["person", "--identity", "ada", "-o", to.to_str().unwrap()]).unwrap().flags;
    let soon = futures::stream::once(tokio::time::sleep(std::time::Duration::from_secs(1)));
    let stderr = Stderr::default();
    let ended = person(&flags, world.reopen(), &mut stderr.console(), Interrupts::from(soon)).await;
    assert!(matches!(ended, Err(Failure::Stopped)), "{}", stderr.text());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_cost_is_printed_without_an_export() {
    let world = world();
    let (ended, stderr) = run(&world, &["--identity", "ada", "--cost"], None).await;
    assert_eq!(ended.unwrap(), Completion::Done);
    assert!(stderr.contains("  Charged: 24 events of everybody\n") && stderr.ends_with("nothing was exported\n"), "{stderr}");
    assert!(world.sent_to("/1/events.json").is_empty());
}

#[tokio::test]
async fn exactly_one_key_and_a_time_zone_are_needed() {
    let world = World::new();
    let two = CommandLine::try_parse_from(["person", "--identity", "a", "--email", "b"]);
    assert!(two.is_err() && CommandLine::try_parse_from(["person", "--identity", ""]).is_err());
    let (ended, _) = run(&world, &[], None).await;
    assert_eq!(ended.unwrap_err().code(), 2);
    let settings = datafusion_clevertap::AccountSettings::default();
    let passcode = datafusion_clevertap::Secret::new("a-passcode");
    let account = datafusion_clevertap::Account::open("W-1", passcode, datafusion_clevertap::Region::In1, settings).unwrap();
    let flags = CommandLine::try_parse_from(["person", "--identity", "a"]).unwrap().flags;
    let never = Interrupts::from(futures::stream::pending());
    let ended = person(&flags, account, &mut Stderr::default().console(), never).await;
    assert!(matches!(ended, Err(Failure::Usage(why)) if why.contains("--time-zone")));
}
