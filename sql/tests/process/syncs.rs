//! `sync run` as a process: a signal at any moment leaves a ledger that CleverTap agrees with, and the next run does the rest.

use std::{fs, time::Duration};

use clevertap_emulator::{Fault, Settings, What};

use super::{Ended, Running, World};

const EVENTS: u64 = 20_000;

fn shop() -> World {
    let world = World::new(Settings::default());
    let text = format!(
        "state = \"state\"\n[options]\nupload_concurrency = 2\n[syncs.charged]\n\
         query = \"\"\"SELECT concat('u', value) AS identity, 'Charged' AS event_name, 1767225600 AS event_time, value AS id\n\
         FROM generate_series(1, {EVENTS}) AS t (value)\"\"\"\ninto = \"clevertap.events\"\nkey = \"id\"\n"
    );
    fs::write(world.path("own.toml"), text).expect("written");
    world
}

const RUN: [&str; 5] = ["--config", "own.toml", "sync", "run", "charged"];

fn run(world: &World, arguments: &[&str]) -> Ended {
    Running(world.program(arguments).spawn().expect("a process")).wait(Duration::from_secs(120))
}

#[test]
fn a_signal_has_a_sync_settle_what_is_in_flight_and_the_next_run_sends_the_rest_once() {
    for signals in [&["INT"][..], &["TERM", "TERM"], &["KILL"]] {
        let world = shop();
        world.emulator.add_fault(Fault::new(What::Slow { ms: 200 }).on("/1/upload"));
        let process = Running(world.program(&RUN).spawn().expect("a process"));
        world.until(|| world.emulator.events_stored() >= 1_000);
        for signal in signals {
            process.signal(signal);
            world.pause(Duration::from_millis(20));
        }
        let ended = process.wait(Duration::from_secs(30));
        assert_ne!(ended.code, Some(0), "{}", ended.stdout);
        if signals == ["INT"] {
            assert!(ended.stderr.contains("stopping: what is in flight is waited for"), "{}", ended.stderr);
            assert!(ended.stdout.contains("charged  error") && ended.stdout.contains(" 0 in doubt"), "{}", ended.stdout);
        }
        world.emulator.clear_faults();
        let next = run(&world, &[&RUN[..], &["--json"]].concat());
        let line: serde_json::Value = serde_json::from_str(&next.stdout).unwrap_or_else(|error| panic!("{error}: {}", next.stderr));
        let held = line["held"].as_u64().expect("a number");
        // In doubt are those whose answer nobody heard: they are held.
        assert_eq!(next.code, Some(if held == 0 { 0 } else { 3 }), "{}{}", next.stdout, next.stderr);
        assert!(held == 0 || signals != ["INT"], "{}", next.stdout);
        let stored = world.emulator.events_by_identity();
        assert!(stored.values().all(|times| *times == 1), "an event is there twice");
        assert!(stored.len() as u64 + held >= EVENTS, "{} are stored, and {held} are held", stored.len());
    }
}

#[test]
fn the_tables_of_syncs_are_there_in_a_script_and_without_a_ledger_nothing_is_made() {
    let world = shop();
    let query = ["--format", "csv", "-c", "SELECT sync, accepted FROM clevertap.sync_runs"];
    assert_eq!(run(&world, &query).code, Some(1), "no state is said, and none is there");
    assert_eq!(run(&world, &RUN).code, Some(0));
    let scripted = run(&world, &[&["--config", "own.toml"][..], &query].concat());
    assert_eq!(scripted.stdout, format!("sync,accepted\ncharged,{EVENTS}\n"), "{}", scripted.stderr);
    let shown = run(&world, &["--config", "own.toml", "--format", "csv", "-c", "SHOW TABLES"]);
    assert!(shown.stdout.contains("clevertap,dead_letters,BASE TABLE"), "{}", shown.stdout);
}
