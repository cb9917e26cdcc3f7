//! `clevertap-sql demo`: the whole thing against an emulated CleverTap, with figures that are checked.
//!
//! In: how many rows. Out: readable steps on stdout; exit code 1 if what the program counted and what the emulator stored
//! do not add up. Nothing leaves this machine.
//!
//! ```text
//! data ─> two Parquet files ─> INSERTs by engine/runner ─> emulator
//!                                        └─ counts ──> figures <─┘ its report
//! ```
//!
//! `syncs` mirrors people, twice.

mod data;
#[cfg(feature = "syncs")]
mod syncs;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use tokio::time::Instant;

use crate::{
    config::how_to_set_an_account,
    engine::{runner::Runner, session::Session},
    failure::{Completion, Failure, Result},
    literals::literal,
    terminal::{
        console::Console,
        interrupt::Interrupts,
        output::Output,
        progress::{RunView, rows_a_second},
    },
};
use clevertap_emulator::{Emulator, Report, Settings};
use datafusion_clevertap::{Account, AccountSettings, Region, Secret};

use data::{BROKEN_EVENTS, BROKEN_PROFILES, Flaw, SampleRows, broken};

const SEED: u64 = 2_026;

/// Flags of the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoFlags {
    /// Profiles to load, and as many events
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..=5_000_000))]
    rows: u32,

    /// Keep the Parquet files in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
/// [`Failure::Failed`] if a step fails or the figures do not add up.
pub(crate) async fn demo(flags: &DemoFlags, output: Output, console: &mut Console) -> Result<Completion> {
    console.limit_to_progress();
    let scratch = tempfile::Builder::new().prefix("clevertap-demo-").tempdir()?;
    let folder = flags.keep.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    let rows = usize::try_from(flags.rows).map_err(|error| Failure::Failed(error.to_string()))?;
    let people = SampleRows::new(rows, SEED, &BROKEN_PROFILES);
    let person = people.good_identity();
    let (profiles, events) = (folder.join("profiles.parquet"), folder.join("events.parquet"));
    data::save(&profiles, people.profiles())?;
    data::save(&events, SampleRows::new(rows, SEED + 1, &BROKEN_EVENTS).events())?;

    let settings = Settings { time_zone: chrono_tz::Asia::Kolkata, latency_ms: 40, jitter_ms: 40, seed: SEED, ..Settings::default() };
    let (id, passcode) = (settings.account_id.clone(), Secret::new(settings.passcode.clone()));
    let emulator = Emulator::new(settings);
    let server = emulator.serve("127.0.0.1:0").await.map_err(|error| Failure::Failed(format!("the emulator did not start: {error}")))?;
    let open = AccountSettings::new().with_endpoint(server.url()).with_time_zone(chrono_tz::Asia::Kolkata);
    let account = Account::open(&id, passcode, Region::Eu1, open)?;

    let session = Session::open(Some(account), None)?;
    let mut demo = Demo { runner: Runner::new(session, output, console, Interrupts::listen()?), step: 0 };
    demo.files(&profiles, &events, flags.rows)?;
    let loaded_profiles = demo.profiles(&profiles).await?;
    // Before the events: an event of an identity without a profile creates one.
    let stored = emulator.report().profiles;
    let loaded_events = demo.events(&events).await?;
    let failed = demo.evidence(&person).await?;
    let report = emulator.report();
    let is_known = emulator.profile(&person).is_some();
    let figures = Figures { profiles: loaded_profiles, events: loaded_events, stored, failed, report, is_known };
    #[cfg_attr(not(feature = "syncs"), expect(unused_mut, reason = "the sync adds to them"))]
    let mut differences = figures.differences(u64::from(flags.rows));
    #[cfg(feature = "syncs")]
    {
        let synced = demo.syncs(&emulator, flags.rows, &scratch.path().join("state")).await?;
        differences.extend(differing(synced.figures(u64::from(flags.rows))));
    }
    let completion = demo.verdict(&differences, flags.keep.as_deref(), &person);
    demo.runner.close(completion.is_err())?;
    completion
}

/// The steps of the demo.
struct Demo<'a> {
    runner: Runner<'a>,
    step: u32,
}

impl Demo<'_> {
    fn say(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        // Only a statement that was dropped would hold it now.
        self.runner.output.try_lock().map_err(|_| Failure::Stopped)?.say(text)
    }

    fn step(&mut self, title: &str) -> Result<()> {
        self.step += 1;
        let step = self.step;
        self.say(format_args!("\n{step}. {title}"))
    }

    /// Prints a statement, runs it, and prints its result.
    async fn sql(&mut self, text: &str) -> Result<Vec<RunView>> {
        self.say(format_args!("\n{text};"))?;
        self.runner.run_one(text).await
    }

    fn files(&mut self, profiles: &Path, events: &Path, rows: u32) -> Result<()> {
        self.say(format_args!("An emulated CleverTap answers on this machine; nothing leaves it."))?;
        self.step("Two Parquet files, some of whose rows are broken on purpose")?;
        for (path, flaws) in [(profiles, &BROKEN_PROFILES[..]), (events, &BROKEN_EVENTS[..])] {
            self.say(format_args!("\n{}: {rows} rows, {} of them broken:", path.display(), broken(flaws)))?;
            for (flaw, count) in flaws {
                self.say(format_args!("  {count} with {}", Flaw::about(*flaw)))?;
            }
        }
        Ok(())
    }

    async fn profiles(&mut self, path: &Path) -> Result<RunView> {
        let insert = insert_profiles(path);
        self.step("How columns become fields: EXPLAIN, without a request")?;
        self.say(format_args!("\nEXPLAIN {insert};\n"))?;
        for field in fields(&self.runner.session.texts(&format!("EXPLAIN {insert}")).await?) {
            self.say(format_args!("  {field}"))?;
        }
        self.step("Load the profiles, skipping what is rejected")?;
        self.sql("SET clevertap.on_reject = 'skip'").await?;
        self.load(&insert).await
    }

    async fn events(&mut self, path: &Path) -> Result<RunView> {
        self.step("Load the events")?;
        self.load(&insert_events(path)).await
    }

    async fn load(&mut self, text: &str) -> Result<RunView> {
        let began = Instant::now();
        let runs = self.sql(text).await?;
        let took = began.elapsed();
        let Some(run) = runs.into_iter().next() else {
            return Err(Failure::Failed("the statement loaded nothing that clevertap.runs knows".into()));
        };
        let rate = rows_a_second(run.tally.accepted, took);
        self.say(format_args!("{}: {} in {:.1} s, {rate} rows/s", run.table, run.tally, took.as_secs_f64()))?;
        Ok(run)
    }

    /// Queries failed rows, runs and one person; returns the count of failed rows.
    async fn evidence(&mut self, person: &str) -> Result<u64> {
        self.step("Every row that was not accepted, with its reason")?;
        self.sql(
            "SELECT table_name, code, reason, count(*) AS rows, min(row_number) AS first_row\n\
             FROM clevertap.failed_rows GROUP BY table_name, code, reason ORDER BY table_name, code, reason",
        )
        .await?;
        let failed = self.runner.session.count("SELECT count(*) FROM clevertap.failed_rows").await?;
        self.step("The runs")?;
        self.sql(
            "SELECT run_id, table_name, status, rows_read, accepted, rejected, in_doubt, unsent, requests, retries FROM clevertap.runs",
        )
        .await?;
        self.step("One of the people, read back from CleverTap")?;
        self.sql(&format!("SELECT identity, name, email, phone, properties FROM clevertap.profiles WHERE identity = '{person}'")).await?;
        Ok(failed)
    }

    fn verdict(&mut self, differences: &[String], kept: Option<&Path>, person: &str) -> Result<Completion> {
        if !differences.is_empty() {
            return Err(Failure::Failed(format!("the figures of the demo do not add up:\n{}", differences.join("\n"))));
        }
        self.say(format_args!("\nThe emulator stored what was counted as accepted, once, and nothing else."))?;
        self.step("Next, with your account")?;
        self.say(format_args!("\n{}", how_to_set_an_account()))?;
        self.say(format_args!("clevertap-sql check"))?;
        self.say(format_args!("clevertap-sql -c \"SELECT * FROM clevertap.profiles WHERE identity = '{person}'\""))?;
        self.say(format_args!(
            "clevertap-sql -c \"SET clevertap.dry_run = 'server'; INSERT INTO clevertap.profiles SELECT … FROM 'users.parquet'\""
        ))?;
        if let Some(folder) = kept {
            self.say(format_args!("The files are in {}.", folder.display()))?;
        }
        Ok(Completion::Done)
    }
}

fn insert_profiles(path: &Path) -> String {
    format!(
        "INSERT INTO clevertap.profiles\n\
         SELECT user_id AS identity, name, email, phone, gender, born_on AS dob, married,\n       \
         plan AS \"Plan\", score AS \"Score\", balance AS \"Balance\", last_seen AS \"Last Seen\", tags AS \"Tags\", note AS \"Note\"\n\
         FROM {}",
        path_literal(path)
    )
}

fn insert_events(path: &Path) -> String {
    format!(
        "INSERT INTO clevertap.events\n\
         SELECT user_id AS identity, event AS event_name, happened_at AS event_time, product AS \"Product\", category AS \"Category\",\n       \
         price AS \"Price\", quantity AS \"Quantity\", in_stock AS \"In Stock\", delivered_at AS \"Delivered At\"\n\
         FROM {}",
        path_literal(path)
    )
}

fn path_literal(path: &Path) -> String {
    literal(&path.display().to_string())
}

/// The fields in a plan: `fields=[a -> A, b -> B]`.
fn fields(plan: &[String]) -> Vec<&str> {
    let list = plan.iter().find_map(|lines| lines.split_once("fields=[")?.1.split_once(']'));
    list.map(|(list, _)| list.split(", ").collect()).unwrap_or_default()
}

/// What the program and the emulator counted, to be compared.
struct Figures {
    profiles: RunView,
    events: RunView,
    /// Profiles that the emulator stored before the first event.
    stored: u64,
    /// Rows of `clevertap.failed_rows`.
    failed: u64,
    report: Report,
    /// Whether the person who was looked up is stored.
    is_known: bool,
}

impl Figures {
    /// The figures that differ from each other or from the number of broken rows, one sentence each.
    fn differences(&self, rows: u64) -> Vec<String> {
        let Self { profiles, events, stored, failed, report, is_known } = self;
        let (bad_people, bad_events) = (broken(&BROKEN_PROFILES), broken(&BROKEN_EVENTS));
        let refused: u64 = report.records_refused.values().sum();
        let figures = [
            ("profiles read", profiles.tally.read, rows),
            ("profiles accepted", profiles.tally.accepted, rows - bad_people),
            ("profiles rejected", profiles.tally.rejected, bad_people),
            ("profile records that the emulator accepted", report.profile_records, profiles.tally.accepted),
            ("people that the emulator stored", *stored, profiles.tally.accepted),
            ("events read", events.tally.read, rows),
            ("events accepted", events.tally.accepted, rows - bad_events),
            ("events rejected", events.tally.rejected, bad_events),
            ("event records that the emulator accepted", report.event_records, events.tally.accepted),
            ("events that the emulator stored", report.events, events.tally.accepted),
            ("rows in clevertap.failed_rows", *failed, bad_people + bad_events),
            ("rules of the API that were broken", report.rules_broken.values().sum(), 0),
            ("changes that CleverTap would have made in silence", report.error_stream.values().sum(), 0),
            ("records that the emulator refused beyond the broken ones", refused.saturating_sub(bad_people + bad_events), 0),
            ("people looked up and not stored", u64::from(!is_known), 0),
        ];
        differing(figures).collect()
    }
}

/// Those that are not what was expected, one sentence each.
fn differing(figures: impl IntoIterator<Item = (&'static str, u64, u64)>) -> impl Iterator<Item = String> {
    let differ = figures.into_iter().filter(|(_, found, expected)| found != expected);
    differ.map(|(what, found, expected)| format!("{what}: {found}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        files::atomic_file::FileAccess,
        terminal::{console::Verbosity, format::Format},
    };
    use datafusion_clevertap::Tally;

    fn run(rejected: u64) -> RunView {
        RunView {
            run_uid: "a-run".into(),
            schema: "clevertap".into(),
            run_id: 1,
            table: "clevertap.profiles".into(),
            status: "partial".into(),
            tally: Tally { read: 1_000, accepted: 1_000 - rejected, rejected, in_doubt: 0, unsent: 0 },
            failed_rows_written: 0,
            checked: 0,
            changed_options: Vec::new(),
            mapping: String::new(),
            samples: Vec::new(),
        }
    }

    #[test]
    fn figures_that_add_up_pass_and_a_row_too_many_does_not() {
        let report = Report { profile_records: 984, events: 993, event_records: 993, ..Report::default() };
        let mut figures = Figures { profiles: run(16), events: run(7), stored: 984, failed: 23, report, is_known: true };
        assert_eq!(figures.differences(1_000), Vec::<String>::new());
        figures.report.events += 1;
        assert_eq!(figures.differences(1_000), ["events that the emulator stored: 994, expected 993"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_whole_demo_adds_up() {
        let folder = tempfile::tempdir().unwrap();
        let stdout = folder.path().join("stdout");
        let flags = DemoFlags { rows: 3_000, keep: Some(folder.path().join("kept")) };
        let output = Output::open(Some(Format::Table), Some(&stdout), FileAccess::Default).unwrap();
        let completion = Box::pin(demo(&flags, output, &mut Console::stderr(Verbosity::Quiet))).await.unwrap();
        assert_eq!(completion, Completion::Done);
        let stdout = std::fs::read_to_string(stdout).unwrap();
        for part in [
            "email -> Email (standard)",
            "2984 accepted, 16 rejected",
            "2993 accepted, 7 rejected",
            "CLEVERTAP-515",
            "export CLEVERTAP_ACCOUNT_ID",
            "plan: 0 new, 3 changed, 1 removed, 2996 unchanged",
            "second run: 2999 rows, 4 accepted, 0 rejected",
        ] {
            assert!(stdout.contains(part), "{part} is missing in:\n{stdout}");
        }
        assert!(folder.path().join("kept/events.parquet").exists());
    }

    #[test]
    fn the_mapping_is_taken_out_of_a_plan() {
        let plan = ["Dml".to_owned(), "CommitExec\n  WriteExec: table=t, fields=[a -> A (custom), b -> B (custom)]\n".to_owned()];
        assert_eq!(fields(&plan), ["a -> A (custom)", "b -> B (custom)"]);
    }
}
