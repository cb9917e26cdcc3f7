//! HUP, TERM and INT: what the program tells, what it leaves as evidence and what CleverTap has are one truth.
//!
//! A big run by hand: `CLEVERTAP_SIGNALS=30 CLEVERTAP_SIGNAL_ROWS=300000 cargo test -p clevertap-sql --test process -- at_any_moment`.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    process::Stdio,
    time::Duration,
};

use clevertap_emulator::{Fault, Settings, What};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::{Counts, Running, World, counts, evidence, files};

/// Every 1,000th row has no identity and is rejected; the others are events of the person of their number.
fn load(rows: u64) -> String {
    load_into("events", rows)
}

/// The same, also of the people themselves.
fn load_into(table: &str, rows: u64) -> String {
    let of_event = if table == "events" { "'Charged' AS event_name, now() AS event_time, " } else { "" };
    format!(
        "INSERT INTO clevertap.{table} SELECT CASE WHEN value % 1000 = 0 THEN NULL ELSE concat('u', value) END AS identity, {of_event}value AS \
         \"Amount\" FROM generate_series(1, {rows})"
    )
}

/// How often each person was stored: their events, or their profile.
fn stored(world: &World, table: &str) -> BTreeMap<String, u64> {
    if table == "events" {
        return world.emulator.events_by_identity();
    }
    let mut people = BTreeMap::new();
    world.emulator.for_each_profile(|profile| *people.entry(profile["identity"].as_str().unwrap_or_default().to_owned()).or_default() += 1);
    people
}

const SKIP: &str = "SET clevertap.on_reject = 'skip'";

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What was told is what is on the disk, and what CleverTap has.
fn check(world: &World, stderr: &str) -> Counts {
    check_table(world, "events", stderr)
}

fn check_table(world: &World, table: &str, stderr: &str) -> Counts {
    let fates = evidence(&world.path("failed"));
    let stored = stored(world, table);
    let told = counts(stderr).unwrap_or_default();
    let on_disk = |fate: &str| fates.values().filter(|known| *known == fate).count() as u64;
    let found = (on_disk("rejected"), on_disk("in_doubt"), on_disk("unsent"));
    assert_eq!((told.rejected, told.in_doubt, told.unsent), found, "{stderr}");
    assert_eq!(told.accepted + told.rejected + told.in_doubt + told.unsent, told.read, "{stderr}");
    for row in 1..=told.read {
        let times = stored.get(&format!("u{row}")).copied().unwrap_or(0);
        match fates.get(&row).map(String::as_str) {
            None => assert_eq!(times, 1, "row {row} was accepted: {stderr}"),
            Some("in_doubt") => assert!(times <= 1, "row {row}"),
            Some(fate) => assert_eq!(times, 0, "row {row} is {fate}: {stderr}"),
        }
    }
    let beyond = stored.keys().filter_map(|identity| identity.strip_prefix('u')?.parse().ok()).filter(|row: &u64| *row > told.read);
    assert_eq!(beyond.count(), 0, "rows arrived that nobody counted: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    told
}

#[test]
fn a_signal_at_any_moment_leaves_counts_that_the_evidence_and_clevertap_agree_with() {
    let (times, rows) = (variable("CLEVERTAP_SIGNALS", 2), variable("CLEVERTAP_SIGNAL_ROWS", 20_000));
    let seed = variable("CLEVERTAP_SIGNAL_SEED", 7);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cut = 0;
    for (table, signals) in [
        ("events", &["HUP"][..]),
        ("events", &["TERM"]),
        ("events", &["INT"]),
        ("events", &["TERM", "INT"]),
        ("events", &["HUP", "HUP", "TERM"]),
        ("profiles", &["HUP"]),
        ("profiles", &["INT", "TERM"]),
    ] {
        for _ in 0..times {
            let world = World::new(Settings { latency_ms: 150, jitter_ms: 150, seed, ..Settings::default() });
            let process =
                world.program(&["--failed-rows", "failed", "-c", SKIP, "-c", &load_into(table, rows)]).spawn().expect("a process");
            let process = Running(process);
            world.pause(Duration::from_millis(rng.random_range(0..300 + rows / 50)));
            for signal in signals {
                process.signal(signal);
                world.pause(Duration::from_millis(rng.random_range(0..60)));
            }
            let ended = process.wait(Duration::from_secs(20));
            // Before signals are caught, one ends the process as usual: nothing was sent.
            let told = check_table(&world, table, &ended.stderr);
            assert!(matches!(ended.code, Some(0 | 1 | 3) | None), "{:?} {}", ended.code, ended.stderr);
            assert!(ended.code.is_some() || told == Counts::default(), "{}", ended.stderr);
            assert!(world.hidden().is_empty(), "{:?}", world.hidden());
            cut += u64::from(told.read > 0 && told.unsent + told.in_doubt > 0);
        }
    }
    assert!(cut > 0, "no signal came in the middle of a load");
}

/// Starts a load whose requests are never answered once `answered` of them were, and waits until all that may be in flight are.
fn load_to_a_dead_server(answered: u64, before: bool) -> (World, Running) {
    let world = World::new(Settings::default());
    let what = if before { What::HangBefore } else { What::HangAfter };
    let mut fault = Fault::new(what).on("/1/upload");
    fault.after = answered;
    world.emulator.add_fault(fault);
    let process = world.program(&["--failed-rows", "failed", "-c", SKIP, "-c", &load(50_000)]).spawn().expect("a process");
    let hanging = || world.emulator.report().in_flight.get("/1/upload").copied().unwrap_or(0);
    world.until(|| hanging() >= 2);
    (world, Running(process))
}

#[test]
fn with_a_dead_server_one_signal_is_enough_and_what_may_have_arrived_is_in_doubt() {
    for before in [true, false] {
        let (world, process) = load_to_a_dead_server(3, before);
        let since = Instant::now();
        process.signal("TERM");
        let ended = process.wait(Duration::from_secs(15));
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        let told = check(&world, &ended.stderr);
        assert!(ended.code == Some(1) && told.in_doubt > 0 && told.unsent > 0, "{:?} {}", ended.code, ended.stderr);
    }
}

#[test]
fn a_second_signal_waits_for_nothing_and_leaves_the_same_evidence() {
    let (world, process) = load_to_a_dead_server(3, false);
    let since = Instant::now();
    process.signal("INT");
    process.signal("TERM");
    let ended = process.wait(Duration::from_secs(15));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let told = check(&world, &ended.stderr);
    assert!(ended.code == Some(1) && told.in_doubt > 0 && told.unsent > 0, "{:?} {}", ended.code, ended.stderr);
}

#[test]
fn a_closed_terminal_loses_no_evidence() {
    let world = World::new(Settings { latency_ms: 150, ..Settings::default() });
    let mut process = world.program(&["--failed-rows", "failed", "-c", SKIP, "-c", &load(100_000)]).spawn().expect("a process");
    let stderr = process.stderr.take().expect("stderr");
    let mut stderr = BufReader::new(stderr);
    let mut line = String::new();
    while !line.contains("columns become fields") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("a line") > 0, "no mapping was told");
    }
    // Both streams are closed, and then the signal comes.
    drop((stderr, process.stdout.take()));
    let process = Running(process);
    process.signal("HUP");
    let ended = process.wait(Duration::from_secs(20));
    assert_eq!(ended.code, Some(1));
    let (fates, stored) = (evidence(&world.path("failed")), world.emulator.events_by_identity());
    assert!(fates.values().any(|fate| fate == "unsent"), "the load was over");
    let read =
        fates.keys().chain(stored.keys().filter_map(|name| name.strip_prefix('u')?.parse().ok()).collect::<Vec<_>>().iter()).copied().max();
    for row in 1..=read.unwrap_or(0) {
        let is_stored = stored.contains_key(&format!("u{row}"));
        assert_ne!(is_stored, fates.contains_key(&row), "row {row}: {:?}", fates.get(&row));
    }
}

#[test]
fn a_signal_ignored_from_the_beginning_stays_ignored() {
    let world = World::new(Settings { latency_ms: 50, ..Settings::default() });
    let program = world.program(&[]);
    let mut shell = std::process::Command::new("sh");
    // What nohup does.
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(program.get_program());
    shell.args(["--failed-rows", "failed", "-c", SKIP, "-c", &load(30_000)]).current_dir(world.folder.path());
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let process = shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
    let process = Running(process);
    world.until(|| world.emulator.report().requests > 0);
    process.signal("HUP");
    let ended = process.wait(Duration::from_secs(60));
    let told = check(&world, &ended.stderr);
    assert_eq!((ended.code, told.accepted, told.read), (Some(3), 29_970, 30_000), "{}", ended.stderr);
}

#[test]
fn a_statement_is_stopped_while_it_is_planned() {
    let world = World::new(Settings::default());
    // Its plan takes minutes.
    let column = vec!["x"; 900].join(" || ");
    std::fs::write(world.path("slow.sql"), format!("SELECT {} FROM (VALUES ('1')) t(x)", vec![column; 50].join(", "))).expect("written");
    let process = Running(world.program(&["-f", "slow.sql", "-o", "out.csv"]).spawn().expect("a process"));
    world.pause(Duration::from_secs(2));
    let since = Instant::now();
    process.signal("INT");
    let ended = process.wait(Duration::from_secs(10));
    assert!(ended.code == Some(1) && ended.stderr.contains("stopped by a signal"), "{:?} {}", ended.code, ended.stderr);
    assert!(since.elapsed() < Duration::from_secs(5) && ended.stdout.is_empty(), "{:?}", since.elapsed());
    assert!(world.hidden().is_empty(), "{:?}", world.hidden());
}

#[test]
fn a_copy_that_is_stopped_leaves_no_file_and_an_export_neither() {
    let world = World::new(Settings::default());
    let endless = "SELECT a.value, uuid() AS t FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b";
    for arguments in [
        &["-c", &format!("COPY ({endless}) TO 'x.csv'")][..],
        &["-c", "SET datafusion.execution.parquet.max_row_group_size = 50000", "-c", &format!("COPY ({endless}) TO 'x.parquet'")],
        &["-o", "x.ndjson", "-c", endless],
    ] {
        let process = Running(world.program(arguments).spawn().expect("a process"));
        world.until(|| !world.hidden().is_empty());
        process.signal("HUP");
        let ended = process.wait(Duration::from_secs(10));
        assert_eq!(ended.code, Some(1), "{arguments:?} {}", ended.stderr);
        let left: Vec<_> = files(world.folder.path()).into_iter().filter(|file| !file.ends_with("x.ndjson.partial")).collect();
        assert!(left.is_empty(), "{arguments:?} {left:?}");
    }
}

#[test]
fn a_reader_that_does_not_read_holds_no_signal_up() {
    let world = World::new(Settings::default());
    let mut process =
        world.program(&["--format", "csv", "-c", "SELECT value FROM generate_series(1, 100000000)"]).spawn().expect("a process");
    let mut stdout = process.stdout.take().expect("stdout");
    let mut first = [0; 10];
    stdout.read_exact(&mut first).expect("a line");
    let process = Running(process);
    process.signal("TERM");
    let ended = process.wait(Duration::from_secs(10));
    assert!(ended.code == Some(1) && ended.stderr.contains("stopped by a signal"), "{:?} {}", ended.code, ended.stderr);
    drop(stdout);
}
