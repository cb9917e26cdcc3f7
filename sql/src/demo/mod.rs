//! `clevertap-sql demo`: the whole thing against an emulated CleverTap, with figures that are checked.
//!
//! In: how many rows. Out: readable steps on stdout; exit code 1 if what the program counted and what the emulator stored
//! do not add up. Nothing leaves this machine.

mod data;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use tokio::time::Instant;

use crate::{
    account::{Load, how_to_name_one},
    failure::{Ended, Failure, Result},
    interrupt::Interrupts,
    output::Output,
    progress::{Console, rows_a_second},
    run::Runner,
    session::Session,
};
use clevertap_emulator::{Emulator, Report, Settings};
use datafusion_clevertap::{Account, AccountSettings, Region, Secret};

use data::{BROKEN_EVENTS, BROKEN_PROFILES, Flaw, Rows, broken};

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

/// Shows everything.
///
/// # Errors
/// [`Failure::Failed`] if a step fails or the figures do not add up.
pub(crate) async fn demo(flags: &DemoFlags, output: Output, console: &mut Console) -> Result<Ended> {
    console.keep_to_progress();
    let scratch = tempfile::Builder::new().prefix("clevertap-demo-").tempdir()?;
    let folder = flags.keep.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    let rows = usize::try_from(flags.rows).map_err(|error| Failure::Failed(error.to_string()))?;
    let people = Rows::new(rows, SEED, &BROKEN_PROFILES);
    let person = people.good_identity();
    let (profiles, events) = (folder.join("profiles.parquet"), folder.join("events.parquet"));
    data::save(&profiles, people.profiles())?;
    data::save(&events, Rows::new(rows, SEED + 1, &BROKEN_EVENTS).events())?;

    let settings = Settings { time_zone: chrono_tz::Asia::Kolkata, latency_ms: 40, jitter_ms: 40, seed: SEED, ..Settings::default() };
    let (id, passcode) = (settings.account_id.clone(), Secret::new(settings.passcode.clone()));
    let emulator = Emulator::new(settings);
    let server = emulator.serve("127.0.0.1:0").await.map_err(|error| Failure::Failed(format!("the emulator did not start: {error}")))?;
    let open = AccountSettings { endpoint: Some(server.url()), time_zone: Some(chrono_tz::Asia::Kolkata), ..AccountSettings::default() };
    let account = Account::open(&id, passcode, Region::Eu1, open)?;

    let session = Session::open(Some(account), None)?;
    let mut show = Show { runner: Runner { session, output, console, interrupts: Interrupts::listen()? }, step: 0 };
    show.files(&profiles, &events, flags.rows)?;
    let people = show.people(&profiles).await?;
    // Before the events, since an event of a person who is not there makes one.
    let stored = emulator.report().profiles;
    let happened = show.events(&events).await?;
    let failed = show.evidence(&person).await?;
    let report = emulator.report();
    let found = Found { people, happened, stored, failed, report, is_known: emulator.profile(&person).is_some() };
    let wrong = found.differences(u64::from(flags.rows));
    let ended = show.verdict(&wrong, flags.keep.as_deref(), &person);
    show.runner.output.close(ended.is_err())?;
    ended
}

/// The demo as it is told.
struct Show<'a> {
    runner: Runner<'a>,
    step: u32,
}

impl Show<'_> {
    fn say(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        self.runner.output.say(text)
    }

    fn step(&mut self, title: &str) -> Result<()> {
        self.step += 1;
        let step = self.step;
        self.say(format_args!("\n{step}. {title}"))
    }

    /// Shows a statement, then its result.
    async fn sql(&mut self, text: &str) -> Result<Vec<Load>> {
        self.say(format_args!("\n{text};"))?;
        self.runner.one(text).await
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

    async fn people(&mut self, path: &Path) -> Result<Load> {
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

    async fn events(&mut self, path: &Path) -> Result<Load> {
        self.step("Load the events")?;
        self.load(&insert_events(path)).await
    }

    async fn load(&mut self, text: &str) -> Result<Load> {
        let began = Instant::now();
        let loads = self.sql(text).await?;
        let took = began.elapsed();
        let Some(load) = loads.into_iter().next() else {
            return Err(Failure::Failed("the statement loaded nothing that clevertap.runs knows".into()));
        };
        let rate = rows_a_second(load.tally.accepted, took);
        self.say(format_args!("{}: {} in {:.1} s, {rate} rows/s", load.table, load.tally, took.as_secs_f64()))?;
        Ok(load)
    }

    /// What is left to be read; returns the count of failed rows.
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

    fn verdict(&mut self, wrong: &[String], kept: Option<&Path>, person: &str) -> Result<Ended> {
        if !wrong.is_empty() {
            return Err(Failure::Failed(format!("the figures of the demo do not add up:\n{}", wrong.join("\n"))));
        }
        self.say(format_args!("\nThe emulator stored what was counted as accepted, once, and nothing else."))?;
        self.step("Next, with your account")?;
        self.say(format_args!("\n{}", how_to_name_one()))?;
        self.say(format_args!("clevertap-sql check"))?;
        self.say(format_args!("clevertap-sql -c \"SELECT * FROM clevertap.profiles WHERE identity = '{person}'\""))?;
        self.say(format_args!(
            "clevertap-sql -c \"SET clevertap.dry_run = 'server'; INSERT INTO clevertap.profiles SELECT … FROM 'users.parquet'\""
        ))?;
        if let Some(folder) = kept {
            self.say(format_args!("The files are in {}.", folder.display()))?;
        }
        Ok(Ended::Done)
    }
}

fn insert_profiles(path: &Path) -> String {
    format!(
        "INSERT INTO clevertap.profiles\n\
         SELECT user_id AS identity, name, email, phone, gender, born_on AS dob, married,\n       \
         plan AS \"Plan\", score AS \"Score\", balance AS \"Balance\", last_seen AS \"Last Seen\", tags AS \"Tags\", note AS \"Note\"\n\
         FROM {}",
        quoted(path)
    )
}

fn insert_events(path: &Path) -> String {
    format!(
        "INSERT INTO clevertap.events\n\
         SELECT user_id AS identity, event AS event_name, happened_at AS event_time, product AS \"Product\", category AS \"Category\",\n       \
         price AS \"Price\", quantity AS \"Quantity\", in_stock AS \"In Stock\", delivered_at AS \"Delivered At\"\n\
         FROM {}",
        quoted(path)
    )
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}

/// The fields in a plan: `fields=[a -> A, b -> B]`.
fn fields(plan: &[String]) -> Vec<&str> {
    let list = plan.iter().find_map(|lines| lines.split_once("fields=[")?.1.split_once(']'));
    list.map(|(list, _)| list.split(", ").collect()).unwrap_or_default()
}

/// What the program and the emulator counted.
struct Found {
    people: Load,
    happened: Load,
    /// People that the emulator stored before the first event.
    stored: u64,
    /// Rows of `clevertap.failed_rows`.
    failed: u64,
    report: Report,
    /// Whether the person who is looked up is stored.
    is_known: bool,
}

impl Found {
    /// Where the figures differ from each other or from what was broken on purpose, in words.
    fn differences(&self, rows: u64) -> Vec<String> {
        let Self { people, happened, stored, failed, report, is_known } = self;
        let (bad_people, bad_events) = (broken(&BROKEN_PROFILES), broken(&BROKEN_EVENTS));
        let refused: u64 = report.records_refused.values().sum();
        let figures = [
            ("profiles read", people.tally.read, rows),
            ("profiles accepted", people.tally.accepted, rows - bad_people),
            ("profiles rejected", people.tally.rejected, bad_people),
            ("profile records that the emulator accepted", report.profile_records, people.tally.accepted),
            ("people that the emulator stored", *stored, people.tally.accepted),
            ("events read", happened.tally.read, rows),
            ("events accepted", happened.tally.accepted, rows - bad_events),
            ("events rejected", happened.tally.rejected, bad_events),
            ("event records that the emulator accepted", report.event_records, happened.tally.accepted),
            ("events that the emulator stored", report.events, happened.tally.accepted),
            ("rows in clevertap.failed_rows", *failed, bad_people + bad_events),
            ("rules of the API that were broken", report.rules_broken.values().sum(), 0),
            ("changes that CleverTap would have made in silence", report.error_stream.values().sum(), 0),
            ("records that the emulator refused beyond the broken ones", refused.saturating_sub(bad_people + bad_events), 0),
            ("people looked up and not stored", u64::from(!is_known), 0),
        ];
        figures
            .into_iter()
            .filter(|(_, found, expected)| found != expected)
            .map(|(what, found, expected)| format!("{what}: {found}, expected {expected}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output::Format, progress::Style, whole::Readers};
    use datafusion_clevertap::Tally;

    fn load(rejected: u64) -> Load {
        Load {
            run_id: 1,
            table: "clevertap.profiles".into(),
            status: "partial".into(),
            tally: Tally { read: 1_000, accepted: 1_000 - rejected, rejected, in_doubt: 0, unsent: 0 },
            checked: 0,
            changed_options: Vec::new(),
            mapping: String::new(),
            sample: Vec::new(),
        }
    }

    #[test]
    fn figures_that_add_up_are_believed_and_a_row_too_many_is_not() {
        let report = Report { profile_records: 984, events: 993, event_records: 993, ..Report::default() };
        let mut found = Found { people: load(16), happened: load(7), stored: 984, failed: 23, report, is_known: true };
        assert_eq!(found.differences(1_000), Vec::<String>::new());
        found.report.events += 1;
        assert_eq!(found.differences(1_000), ["events that the emulator stored: 994, expected 993"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_whole_demo_adds_up() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let flags = DemoFlags { rows: 3_000, keep: Some(folder.path().join("kept")) };
        let output = Output::open(Format::Table, Some(&told), Readers::AsUsual).unwrap();
        let ended = Box::pin(demo(&flags, output, &mut Console::stderr(Style::Quiet))).await.unwrap();
        assert_eq!(ended, Ended::Done);
        let told = std::fs::read_to_string(told).unwrap();
        for part in [
            "email -> Email (standard)",
            "2984 accepted, 16 rejected",
            "2993 accepted, 7 rejected",
            "CLEVERTAP-515",
            "export CLEVERTAP_ACCOUNT_ID",
        ] {
            assert!(told.contains(part), "{part} is missing in:\n{told}");
        }
        assert!(folder.path().join("kept/events.parquet").exists());
    }

    #[test]
    fn the_mapping_is_taken_out_of_a_plan() {
        let plan = ["Dml".to_owned(), "CommitExec\n  WriteExec: table=t, fields=[a -> A (custom), b -> B (custom)]\n".to_owned()];
        assert_eq!(fields(&plan), ["a -> A (custom)", "b -> B (custom)"]);
    }
}
