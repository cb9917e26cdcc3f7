//! `erase` and `person` as processes: a signal at any moment leaves a log that CleverTap agrees with, and no half document.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    time::Duration,
};

use clevertap_emulator::{Fault, SeedPerson, Settings, What};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{Running, World, files};

const PEOPLE: usize = 1_500;

const DELETE: &str = "/1/delete/profiles.json";

/// A world of [`PEOPLE`], and a file that names them.
fn people(settings: Settings) -> World {
    let world = World::new(settings);
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("u{number}")).collect();
    world.emulator.seed(|seeder| {
        for name in &names {
            seeder.person(SeedPerson { identity: Some(name), ..SeedPerson::default() });
        }
    });
    std::fs::write(world.path("leavers.csv"), format!("identity\n{}\n", names.join("\n"))).expect("written");
    world
}

/// The last thing that the log says of each person, by the names of its files.
fn logged(world: &World) -> BTreeMap<String, String> {
    let mut paths = files(&world.path("log"));
    paths.sort();
    let mut last = BTreeMap::new();
    for path in paths {
        for line in std::fs::read_to_string(path).expect("a file").lines() {
            let line: Value = serde_json::from_str(line).expect("a line of the log");
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            last.insert(text(&line["key"]["value"]), text(&line["what"]));
        }
    }
    last
}

/// Everybody whose deletion CleverTap took.
fn taken(world: &World) -> BTreeSet<String> {
    world.emulator.deletions_requested().into_iter().flat_map(|deletion| deletion.identities).collect()
}

#[test]
fn a_signal_at_any_moment_of_an_erasure_leaves_a_log_that_clevertap_agrees_with() {
    let mut rng = StdRng::seed_from_u64(11);
    let mut cut = 0;
    for signals in [&["HUP"][..], &["TERM"], &["INT"], &["KILL"], &["TERM", "INT", "INT"]] {
        for _ in 0..2 {
            let world = people(Settings::default());
            world.emulator.add_fault(Fault::new(What::Slow { ms: 150 }).on(DELETE));
            let arguments = ["--allow-erase", "erase", "--file", "leavers.csv", "--rows-max", "1500", "--log", "log"];
            let process = Running(world.program(&arguments).spawn().expect("a process"));
            // The look-ups take most of the time.
            let deletes = || world.emulator.report().requests_by_path.get(DELETE).copied().unwrap_or(0);
            if rng.random_bool(0.7) {
                world.until(|| deletes() > 0);
            }
            world.pause(Duration::from_millis(rng.random_range(0..500)));
            for signal in signals {
                process.signal(signal);
                world.pause(Duration::from_millis(rng.random_range(0..60)));
            }
            let ended = process.wait(Duration::from_secs(20));
            let taken = taken(&world);
            let log = logged(&world);
            for (person, what) in &log {
                match what.as_str() {
                    "requested" => assert!(taken.contains(person), "{person} was not asked for: {}", ended.stderr),
                    "unsent" | "rejected" | "not_found" => assert!(!taken.contains(person), "{person} is {what}: {}", ended.stderr),
                    // Its answer is not known.
                    "in_doubt" | "asking" => {}
                    other => panic!("{person} is {other}"),
                }
            }
            assert!(taken.iter().all(|person| log.contains_key(person)), "somebody was asked for without a line in the log");
            assert!(ended.code.is_none_or(|code| code <= 1), "{:?} {}", ended.code, ended.stderr);
            assert!(world.hidden().is_empty() || signals == ["KILL"], "{:?}", world.hidden());
            cut += usize::from(!taken.is_empty() && taken.len() < PEOPLE);
        }
    }
    assert!(cut > 0, "no signal came in the middle of an erasure");
}

#[test]
fn an_erasure_whose_server_is_dead_ends_within_seconds_of_one_signal() {
    let world = people(Settings::default());
    world.emulator.add_fault(Fault::new(What::HangAfter).on(DELETE));
    let arguments = ["--allow-erase", "erase", "--file", "leavers.csv", "--rows-max", "1500", "--log", "log"];
    let process = Running(world.program(&arguments).spawn().expect("a process"));
    world.until(|| !world.emulator.deletions_requested().is_empty());
    process.signal("TERM");
    // Answers are waited for seven seconds.
    let ended = process.wait(Duration::from_secs(15));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let log = logged(&world);
    for person in taken(&world) {
        assert_eq!(log.get(&person).map(String::as_str), Some("in_doubt"), "{}", ended.stderr);
    }
    assert!(log.values().any(|what| what == "unsent"), "{}", ended.stderr);
}

#[test]
fn a_reader_that_does_not_read_holds_up_no_end_of_a_report_and_of_a_document() {
    let world = people(Settings::default());
    world.emulator.seed(|seeder| {
        let long = "x".repeat(60);
        let properties: serde_json::Map<_, _> = (0..4_000).map(|number| (format!("p{number}"), Value::from(long.as_str()))).collect();
        let properties = Value::from(properties).to_string();
        seeder.person(SeedPerson { identity: Some("long"), properties: &properties, ..SeedPerson::default() });
    });
    for arguments in [
        &["person", "--identity", "long"][..],
        &["--allow-erase", "erase", "--file", "leavers.csv", "--rows-max", "1500", "--log", "log", "--format", "csv"],
    ] {
        let mut process = world.program(arguments).spawn().expect("a process");
        let mut stdout = process.stdout.take().expect("stdout");
        let mut first = [0; 10];
        stdout.read_exact(&mut first).expect("the first bytes");
        let process = Running(process);
        process.signal("TERM");
        let ended = process.wait(Duration::from_secs(10));
        assert_eq!(ended.code, Some(1), "{arguments:?} {}", ended.stderr);
        drop(stdout);
    }
}
