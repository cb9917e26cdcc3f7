//! `sync run` as a process: a signal at any moment leaves a ledger that CleverTap agrees with, and the next run does the rest.

use std::{fs, time::Duration};

use clevertap_emulator::{Fault, Settings, What};

use super::{Ended, Running, World};

const EVENTS: u64 = 20_000;

fn shop() -> World {
    shop_of(EVENTS)
}

fn shop_of(events: u64) -> World {
    let world = World::new(Settings::default());
    let text = format!(
        "state = \"state\"\n[options]\nupload_concurrency = 2\n[syncs.charged]\n\
         query = \"\"\"SELECT concat('u', value) AS identity, 'Charged' AS event_name, 1767225600 AS event_time, value AS id\n\
         FROM generate_series(1, {events}) AS t (value)\"\"\"\ninto = \"clevertap.events\"\nkey = \"id\"\n"
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

/// `CLEVERTAP_KILLS=20 CLEVERTAP_KILL_EVENTS=1000000 CLEVERTAP_SQL_PROGRAM=target/release/clevertap-sql cargo test -p clevertap-sql --test process -- kills
/// --nocapture` is the whole of it.
#[test]
fn kills_at_any_instant_lose_no_event_and_store_none_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (kills, events) = (number("CLEVERTAP_KILLS").unwrap_or(3), number("CLEVERTAP_KILL_EVENTS").unwrap_or(60_000));
    let world = shop_of(events);
    world.emulator.add_fault(Fault { p: Some(0.5), ..Fault::new(What::Slow { ms: 20 }).on("/1/upload") });
    let (mut held_before, mut random) = (0, 0x9E37_79B9_u64);
    for kill in 1..=kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let process = Running(world.program(&RUN).spawn().expect("a process"));
        // Reading, writing down, sending, settling, committing: wherever it is by then.
        world.pause(Duration::from_millis(100 + (random >> 33) % number("CLEVERTAP_KILL_MS").unwrap_or(2_500)));
        process.signal("KILL");
        let ended = process.wait(Duration::from_secs(30));
        let plan = run(&world, &["--config", "own.toml", "sync", "plan", "charged", "--json"]);
        let line: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap_or_else(|error| panic!("{error}: {}", plan.stderr));
        let held = line["held"].as_u64().expect("a number");
        let at_hand = leftovers(&world);
        println!("kill {kill}: code {:?}, {} stored, {held} held, {at_hand} files in flight", ended.code, world.emulator.events_stored());
        assert!(held >= held_before, "what was in doubt is held");
        held_before = held;
        // Five chunks of 5,000, of one kill.
        assert!(at_hand <= 5 + 1, "{at_hand} chunks without an end are in flight");
    }
    world.emulator.clear_faults();
    let last = run(&world, &[&RUN[..], &["--json"]].concat());
    let line: serde_json::Value = serde_json::from_str(&last.stdout).unwrap_or_else(|error| panic!("{error}: {}", last.stderr));
    let held = line["held"].as_u64().expect("a number");
    println!("at the end: {} stored, {held} in doubt, of {events}", world.emulator.events_stored());
    assert!(held <= 25_000 * kills, "{held} are in doubt");
    let stored = world.emulator.events_by_identity();
    assert!(stored.values().all(|times| *times == 1), "an event is there twice");
    let sql = "SELECT count(*) AS n FROM clevertap.sync_rows WHERE fate = 'accepted'";
    let accepted = run(&world, &["--config", "own.toml", "--format", "csv", "-c", sql]).stdout;
    let accepted: u64 = accepted.lines().nth(1).and_then(|line| line.parse().ok()).expect("a count");
    // Each is accepted, and there; or in doubt, and perhaps there.
    assert_eq!(accepted + held, events);
    assert!(stored.len() as u64 >= accepted, "{} are stored, and {accepted} were accepted", stored.len());
}

/// Chunks that are in flight without an end.
fn leftovers(world: &World) -> usize {
    let files = super::files(&world.path("state").join("in_flight"));
    let ends: Vec<_> =
        files.iter().filter(|file| file.extension().is_some_and(|end| end == "done")).map(|file| file.with_extension("")).collect();
    let chunks = files.iter().filter(|file| file.extension().is_some_and(|end| end == "parquet"));
    chunks.filter(|chunk| !ends.contains(&chunk.with_extension(""))).count()
}
