//! Many runs of random syncs under random faults, kills and double starts, judged by the emulator and a plain model of what must have been sent.
//!
//! `CLEVERTAP_SYNC_SEEDS=500 cargo test -p datafusion-clevertap-sync --test emulated -- model` runs more of them; `CLEVERTAP_SYNC_SEED=17` runs one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arrow::array::AsArray;
use clevertap_emulator::{Fault, What};
use datafusion_clevertap_sync::definition::{Mode, OnRemoved, RemovedMax};
use datafusion_clevertap_sync::report::{RunReport, Status};
use datafusion_clevertap_sync::{Definition, Error, RunOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::world::{EVENTS, PEOPLE, World};

const CHURNED: &str = "churned";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upsert,
    Mirror,
    Events,
}

/// What must have been sent.
struct Model {
    kind: Kind,
    /// Each key with its value, as the source has them now.
    source: BTreeMap<String, String>,
    /// Keys of sources that a run has seen.
    ever: BTreeSet<String>,
    next: u32,
}

impl Model {
    fn change(&mut self, random: &mut StdRng, rows: u32) {
        for _ in 0..random.random_range(0..=rows) {
            let key = format!("k{}", self.next);
            self.next += 1;
            self.source.insert(key, "0".to_owned());
        }
        let keys: Vec<String> = self.source.keys().cloned().collect();
        for key in keys {
            match random.random_range(0..20) {
                0 => drop(self.source.remove(&key)),
                1..=3 => drop(self.source.insert(key, random.random_range(0..5_u32).to_string())),
                _ => {}
            }
        }
    }

    fn sql(&self) -> String {
        let rows: Vec<String> = self.source.iter().map(|(key, value)| format!("('{key}', '{value}')")).collect();
        match rows.is_empty() {
            true => "SELECT 'none' AS id, 'none' AS plan WHERE false".to_owned(),
            false => format!("VALUES {}", rows.join(", ")),
        }
    }

    fn definition(&self) -> Definition {
        let mut definition = match self.kind {
            Kind::Events => Definition::new("model", EVENTS, "clevertap.events"),
            Kind::Upsert | Kind::Mirror => Definition::new("model", PEOPLE, "clevertap.profiles"),
        };
        match self.kind {
            Kind::Upsert => {}
            Kind::Events => definition.key = vec!["id".to_owned()],
            Kind::Mirror => {
                definition.mode = Some(Mode::Mirror);
                definition.on_removed = OnRemoved::Set(vec![("Plan".to_owned(), json!(CHURNED))]);
                definition.removed_max = RemovedMax::Percent(100.0);
            }
        }
        for (name, value) in [("body_rows_max", "40"), ("retry_for_ms", "300"), ("failed_max", "1000000")] {
            definition.options.push((name.to_owned(), value.to_owned()));
        }
        definition
    }
}

fn fault(random: &mut StdRng) -> Fault {
    let what = match random.random_range(0..11) {
        0 => What::TooManyRequests,
        1 => What::ServerErrorBefore,
        2 => What::ServerErrorAfter,
        3 => What::Unavailable,
        4 => What::ResetBefore,
        5 => What::ResetAfter,
        6 => What::GarbageAfter,
        7 => What::EmptyAfter,
        8 => What::RecordError { records: vec![2], p: 0.05 },
        9 => What::Unauthorized,
        _ => What::Slow { ms: 40 },
    };
    Fault { p: Some(random.random_range(0.1..0.9)), count: Some(random.random_range(1..6)), ..Fault::new(what).on("/1/upload") }
}

/// The last fate of each key, as the ledger has it.
async fn fates(world: &World) -> BTreeMap<String, String> {
    let rows = world.ctx.sql("SELECT key, fate FROM sync_rows WHERE sync = 'model'").await.expect("a query").collect().await.expect("rows");
    let mut fates = BTreeMap::new();
    for batch in rows {
        let columns: Vec<_> =
            (0..2).map(|at| arrow::compute::cast(batch.column(at), &arrow::datatypes::DataType::Utf8).expect("texts")).collect();
        let (keys, names) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
        for row in 0..batch.num_rows() {
            assert!(fates.insert(keys.value(row).to_owned(), names.value(row).to_owned()).is_none(), "a key twice");
        }
    }
    fates
}

fn check_report(model: &Model, report: &RunReport, seed: u64) {
    let changes = &report.changes;
    assert_eq!(changes.rows, model.source.len() as u64, "seed {seed}: {report:?}");
    assert_eq!(changes.new + changes.changed + changes.unchanged + changes.held, changes.rows, "seed {seed}: {report:?}");
    let removed = if model.kind == Kind::Mirror { changes.removed } else { 0 };
    let left = report.accepted + report.rejected + report.in_doubt + report.unsent;
    // A mirror whose first good run this is remembers who left, and removes nobody.
    assert!(left == changes.new + changes.changed + removed || left == changes.new + changes.changed, "seed {seed}: {report:?}");
}

/// What may not be at any time.
fn check_always(world: &World, model: &Model, seed: u64) {
    if model.kind == Kind::Events {
        for (identity, events) in world.emulator.events_by_identity() {
            assert!(events <= 1 && model.ever.contains(&identity), "seed {seed}: {identity} has {events} events");
        }
    }
}

async fn check_end(world: &World, model: &Model, seed: u64) {
    let fates = fates(world).await;
    let events = world.emulator.events_by_identity();
    for (key, value) in &model.source {
        let fate = fates.get(key).map(String::as_str);
        match model.kind {
            Kind::Events => match (events.get(key).copied().unwrap_or(0), fate) {
                (1, Some("accepted")) | (0 | 1, Some("in_doubt")) | (0, Some("rejected")) => {}
                other => panic!("seed {seed}: {key} has {other:?}"),
            },
            Kind::Upsert | Kind::Mirror => match fate {
                Some("accepted") => assert_eq!(world.plan_of(key).as_deref(), Some(value.as_str()), "seed {seed}: {key}"),
                Some("rejected") => {}
                other => panic!("seed {seed}: {key} is {other:?}"),
            },
        }
    }
    if model.kind != Kind::Events {
        for key in model.ever.iter().filter(|key| !model.source.contains_key(*key)) {
            let is_removed = world.plan_of(key).as_deref() == Some(CHURNED);
            assert!(model.kind == Kind::Mirror || !is_removed, "seed {seed}: {key} was removed");
        }
    }
}

async fn one(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let kind = [Kind::Upsert, Kind::Mirror, Kind::Events][random.random_range(0..3)];
    let mut world = World::new().await;
    world.register_ledger();
    let rows = [20, 200, 3_000][random.random_range(0..3)];
    let mut options = RunOptions::default();
    // Fewer than there are: they are compared in parts.
    options.keys_max = random.random_bool(0.4).then_some(u64::from(rows / 4).max(15));
    let mut model = Model { kind, source: BTreeMap::new(), ever: BTreeSet::new(), next: 0 };
    let mut good_runs = 0;
    for _ in 0..random.random_range(3..8) {
        model.change(&mut random, rows);
        world.people(&model.sql()).await;
        model.ever.extend(model.source.keys().cloned());
        for _ in 0..random.random_range(0..3) {
            world.emulator.add_fault(fault(&mut random));
        }
        let definition = model.definition();
        match random.random_range(0..6) {
            // As a process that is killed.
            0 | 1 => {
                world.emulator.add_fault(Fault { p: Some(0.7), ..Fault::new(What::Slow { ms: 25 }).on("/1/upload") });
                let after = Duration::from_millis(random.random_range(1..250));
                tokio::select! {
                    _ = world.syncs.run_with(&definition, &options) => {}
                    () = tokio::time::sleep(after) => {}
                }
                world = world.reopened().await;
                world.people(&model.sql()).await;
            }
            2 => {
                let (one, other) = tokio::join!(world.syncs.run_with(&definition, &options), world.syncs.run_with(&definition, &options));
                let held = [&one, &other].into_iter().filter(|run| matches!(run, Err(Error::Held(_)))).count();
                assert!(held <= 1, "seed {seed}: {one:?} {other:?}");
            }
            _ => {
                if random.random_bool(0.3) {
                    world.syncs.compact("model").await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                }
                let planned = world.syncs.plan_with(&definition, &options).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                let report = world.syncs.run_with(&definition, &options).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                check_report(&model, &report, seed);
                // What a kill left in flight is held by the run alone.
                assert!(report.changes.held >= planned.changes.held, "seed {seed}: {planned:?} {report:?}");
                good_runs += u32::from(report.status == Status::Successful);
            }
        }
        world.emulator.clear_faults();
        check_always(&world, &model, seed);
    }
    world.people(&model.sql()).await;
    for _ in 0..2 {
        let report = world.syncs.run_with(&model.definition(), &options).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        check_report(&model, &report, seed);
        assert_ne!(report.status, Status::Error, "seed {seed}: {report:?}");
    }
    check_always(&world, &model, seed);
    check_end(&world, &model, seed).await;
    let plan = world.syncs.plan(&model.definition()).await.expect("a plan").changes;
    assert_eq!((plan.new, plan.changed), (0, 0), "seed {seed}: {plan:?}");
    if std::env::var("CLEVERTAP_SYNC_SEED").is_ok() {
        eprintln!("seed {seed}: {kind:?}, {} keys, {good_runs} good runs", model.ever.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_runs_under_any_faults_end_as_the_model_says() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("CLEVERTAP_SYNC_SEED") {
        return one(seed).await;
    }
    let seeds: u64 = number("CLEVERTAP_SYNC_SEEDS").unwrap_or(60);
    let mut worlds = tokio::task::JoinSet::new();
    for seed in 0..seeds {
        while worlds.len() >= 4 {
            worlds.join_next().await.expect("a world").unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
        worlds.spawn(async move {
            let ended = tokio::time::timeout(Duration::from_secs(120), one(seed)).await;
            assert!(ended.is_ok(), "seed {seed} does not end");
        });
    }
    while let Some(ended) = worlds.join_next().await {
        ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
}
