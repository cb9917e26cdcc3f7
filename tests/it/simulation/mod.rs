//! The simulation: a seed makes a scenario, the scenario runs in virtual time, and every row's fate is held against what CleverTap has.
//!
//! `CLEVERTAP_SEED=7` runs one seed and shows it, `CLEVERTAP_SEEDS=2000` runs more, `CLEVERTAP_SEEDS=500..900` those.

mod checks;
mod scenario;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clevertap_emulator::{Fault, What};
use datafusion_clevertap::{Fate, Run, Tally};

use scenario::{Flaw, Row, Scenario, Target, UPLOAD};
use world::{Ended, Network, World, virtually};

/// Runs a scenario, and what follows a load that ended early; gives what happened and what does not hold.
async fn simulate(scenario: Scenario, network: Network) -> (Ended, Vec<String>) {
    let scenario = Arc::new(scenario);
    let world = World::new(&scenario, network);
    let ended = world.load((1..=scenario.rows.len()).collect(), false).await;
    let (fates, mut broken) = checks::first(&scenario, &ended);
    let is_known = fates.len() as u64 == ended.run.tally.read;
    if broken.is_empty() && is_known && (ended.run.tally.unsent > 0 || !ended.run.input_complete) {
        // Repeatable rows: all behind `settled_through`. Of appends those that were accepted behind it are left out: bodies overtake
        // each other, and `settled_through` alone would send them twice.
        let repeatable = matches!(scenario.target, Target::Profiles | Target::Tokens);
        let open = |row: &usize| match fates.get(row) {
            None | Some(Some(Fate::Unsent)) => true,
            Some(_) => repeatable && *row as u64 > ended.run.settled_through,
        };
        let rows: Vec<usize> = (1..=scenario.rows.len()).filter(open).collect();
        world.calm_down();
        let second = world.load(rows.clone(), true).await;
        broken.extend(checks::resumed(&scenario, &fates, &rows, &second));
    }
    (ended, broken)
}

/// What many seeds came to.
#[derive(Debug, Default)]
struct Figures {
    tally: [u64; 5],
    statuses: BTreeMap<String, u64>,
    requests: u64,
    faults: u64,
    /// The longest of all, in virtual time.
    longest: Duration,
    failed: Vec<String>,
}

impl Figures {
    fn run(&mut self, seed: u64) {
        let scenario = Scenario::new(seed);
        let (ended, broken) = virtually(simulate(scenario.clone(), Network::Honest));
        let Tally { read, accepted, rejected, in_doubt, unsent } = ended.run.tally;
        self.tally.iter_mut().zip([read, accepted, rejected, in_doubt, unsent]).for_each(|(sum, rows)| *sum += rows);
        *self.statuses.entry(ended.run.status.to_string()).or_default() += 1;
        self.requests += ended.report.requests;
        self.faults += ended.report.faults_fired;
        self.longest = self.longest.max(ended.took);
        if !broken.is_empty() {
            let (broken, result) = (broken.join("\n"), ended.result.map(|result| result.map_err(|error| error.to_string())));
            let Run { tally, .. } = ended.run;
            self.failed.push(format!("{broken}\n{scenario:?}  after {:?}: {tally}: {result:?}\nCLEVERTAP_SEED={seed}\n", ended.took));
        }
    }
}

#[test]
fn a_hundred_seeds_hold() {
    let seeds = match (std::env::var("CLEVERTAP_SEED"), std::env::var("CLEVERTAP_SEEDS")) {
        (Ok(seed), _) => {
            let seed = seed.parse().expect("CLEVERTAP_SEED is a number");
            let (ended, broken) = virtually(simulate(Scenario::new(seed), Network::Honest));
            println!("{:?}{:#?}\n{:?} {:#?}\n{broken:#?}", Scenario::new(seed), ended.run, ended.result, ended.report);
            println!("(ms, rows) of each attempt: {:?}", ended.seen.uploads);
            ended.failed_rows.iter().take(50).for_each(|row| println!("{} {} {} {}", row.row_number, row.fate, row.code, row.reason));
            seed..seed + 1
        }
        (_, Ok(seeds)) => {
            let (from, to) = seeds.split_once("..").unwrap_or(("0", &seeds));
            from.parse().expect("a number")..to.parse().expect("a number")
        }
        _ => 0..100,
    };
    let is_many = seeds.end - seeds.start >= 100;
    let mut figures = Figures::default();
    seeds.for_each(|seed| figures.run(seed));
    let failed = std::mem::take(&mut figures.failed);
    println!("{figures:?}");
    assert!(failed.is_empty(), "{} seeds do not hold:\n{}", failed.len(), failed.join("\n"));
    // Seeds that came to nothing would hold too.
    let lively = figures.tally.iter().all(|rows| *rows > 100) && figures.statuses.len() == 5;
    assert!(lively || !is_many, "{figures:?}");
}

#[test]
fn the_same_seed_repeats_exactly() {
    for seed in 1_000..1_020 {
        let run = || virtually(simulate(Scenario::new(seed), Network::Honest)).0.fingerprint();
        let (once, twice) = (run(), run());
        let differs = once.lines().zip(twice.lines()).find(|(one, other)| one != other);
        assert!(differs.is_none(), "seed {seed}: {differs:#?}");
    }
}

/// A load without any disturbance: 20,000 rows of `target`, 100 a body.
fn plain(target: Target, rows: usize) -> Scenario {
    let row = |identity| Row { identity, flaw: Flaw::None, pad: 20, incr: None, decr: None, is_seen: true };
    Scenario {
        seed: 1,
        target,
        rows: (0..rows).map(row).collect(),
        batches: vec![rows / 10; 10],
        source_ms: 0,
        source_breaks: None,
        body_rows_max: 100,
        body_bytes_max: 5_000_000,
        concurrency: 15,
        skip: true,
        failed_max: None,
        failed_rows_max: 100_000,
        resend: false,
        timeout_ms: 10_000,
        retry_for_ms: 600_000,
        latency_ms: 1_000,
        jitter_ms: 300,
        upload_limit: 15,
        faults: Vec::new(),
        unreachable: None,
        stop_at: None,
        drop_at: None,
        memory: 1 << 30,
    }
}

#[test]
fn an_outage_of_two_minutes_in_the_middle_of_a_load_costs_only_what_was_in_flight() {
    const FROM: u64 = 5_000;
    const TO: u64 = FROM + 120_000;
    for target in [Target::Events, Target::Profiles] {
        let faults = vec![Fault::new(What::Unavailable).on(UPLOAD).during(FROM, TO)];
        let (ended, broken) = virtually(simulate(Scenario { faults, ..plain(target, 20_000) }, Network::Honest));
        assert_eq!(broken, Vec::<String>::new());
        let tally = ended.run.tally;
        assert!(ended.took.as_millis() as u64 > TO, "{target:?} did not span the outage: {:?}", ended.took);
        assert_eq!((tally.accepted + tally.in_doubt, tally.rejected, tally.unsent), (20_000, 0, 0), "{target:?}");
        // Attempts that began up to 1.3 s before the outage were still in flight when it began, and 15 may be.
        let trials = if target == Target::Events {
            ended.seen.uploads.iter().filter(|(at, rows)| (FROM + 1_300..TO).contains(at) && *rows > 0).count()
        } else {
            0
        };
        let most = if target == Target::Events { (15 + trials as u64) * 100 } else { 0 };
        assert!(tally.in_doubt <= most, "{target:?}: {tally}, {trials} trials");
        assert_eq!(ended.report.event_records.max(ended.report.profile_records), tally.accepted, "{target:?}");
    }
}

#[test]
fn a_client_that_sends_lost_appends_again_is_caught() {
    for target in [Target::Events, Target::Counters] {
        let faults = vec![Fault::new(What::ResetAfter).on(UPLOAD).after(3).times(2)];
        let mut scenario = Scenario { faults, ..plain(target, 2_000) };
        if target == Target::Counters {
            scenario.rows.iter_mut().for_each(|row| row.incr = Some(1));
        }
        let (_, honest) = virtually(simulate(scenario.clone(), Network::Honest));
        assert_eq!(honest, Vec::<String>::new());
        let (_, broken) = virtually(simulate(scenario, Network::SendsAgain));
        assert!(broken.iter().any(|what| what.contains("2 times")), "not caught: {broken:?}");
    }
}
