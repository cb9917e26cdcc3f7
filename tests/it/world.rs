//! The world of a test: an emulated project, an account on it, and a session that has the account as `clevertap`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use chrono::DateTime;
use chrono_tz::Tz;
use clevertap_emulator::{Device, Emulator, Fault, Platform, Settings, What};
use clevertap_tests::{CallLog, EmulatorTransport, Scripted, SentCall};
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_clevertap::{
    Access, Account, AccountSettings, ClevertapSql, Error, Region, Run, Secret, Tally, account::Clock, register, transport::Transport,
};

/// The passcode of every test; `secrets.rs` looks for it everywhere.
pub(crate) const PASSCODE: &str = "emulator-passcode";

/// An emulated project, an account on it, and a session that has the account as `clevertap`.
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) account: Account,
    pub(crate) ctx: SessionContext,
    pub(crate) transport: Arc<EmulatorTransport>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self::open(settings, |_| {})
    }

    /// With settings of the emulator and of the account.
    pub(crate) fn open(settings: Settings, change: impl FnOnce(&mut AccountSettings)) -> Self {
        Self::open_in(Tz::Asia__Kolkata, settings, change)
    }

    pub(crate) fn open_in(zone: Tz, settings: Settings, change: impl FnOnce(&mut AccountSettings)) -> Self {
        Self::build(zone, settings, change, PASSCODE, CallLog::Kept)
    }

    pub(crate) fn open_with_passcode(settings: Settings, passcode: &str) -> Self {
        Self::build(Tz::Asia__Kolkata, settings, |_| {}, passcode, CallLog::Kept)
    }

    pub(crate) fn without_call_log() -> Self {
        Self::build(Tz::Asia__Kolkata, Settings::default(), |_| {}, PASSCODE, CallLog::Off)
    }

    fn build(zone: Tz, settings: Settings, change: impl FnOnce(&mut AccountSettings), passcode: &str, log: CallLog) -> Self {
        let emulator = Emulator::new(Settings { time_zone: zone, seed: 7, ..settings });
        let emulator_transport = Arc::new(EmulatorTransport::new(emulator.clone(), log));
        let transport: Arc<dyn Transport> = Arc::clone(&emulator_transport) as _;
        let mut account = account_settings(zone, transport)
            .with_clock(Clock::starting_at(DateTime::from_timestamp(1_767_225_600, 0).expect("an instant")));
        change(&mut account);
        let account = Account::open("TEST-123-456Z", Secret::new(passcode), Region::In1, account).expect("an account");
        let ctx = SessionContext::new_with_config(SessionConfig::new().with_information_schema(true));
        register(&ctx, "clevertap", &account).expect("registered");
        // A test scripts and counts the calls of its statement; `schema_check.rs` and the simulation have this one more.
        ctx.state_ref().write().config_mut().options_mut().set("clevertap.schema_check", "off").expect("an option");
        Self { emulator, account, ctx, transport: emulator_transport }
    }

    /// Another account on the project, which may do what `access` says.
    pub(crate) fn with_access(&self, access: Access) -> Account {
        let settings = &self.emulator.settings();
        let transport: Arc<dyn Transport> = Arc::clone(&self.transport) as _;
        let account = account_settings(settings.time_zone, transport).with_access(access).with_clock(self.account.clock());
        Account::open(settings.account_id.clone(), Secret::new(settings.passcode.clone()), Region::In1, account).expect("an account")
    }

    /// Runs a statement through `clevertap_sql`. Whatever the statement, its error holds no passcode.
    pub(crate) async fn run(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let ended = async { self.ctx.clevertap_sql(sql).await?.collect().await }.await;
        if let Err(error) = &ended {
            without_passcode(&format!("{error} {error:?}"));
        }
        ended
    }

    /// Runs a statement that must end well.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<RecordBatch> {
        self.run(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"))
    }

    /// Runs a statement that must end in an error, and gives its text.
    pub(crate) async fn refused(&self, sql: &str) -> String {
        match self.run(sql).await {
            Ok(_) => panic!("this ended well: {sql}"),
            Err(error) => error.to_string(),
        }
    }

    pub(crate) async fn set(&self, option: &str, value: impl std::fmt::Display) {
        self.rows(&format!("SET clevertap.{option} = '{value}'")).await;
    }

    /// Has every statement send one request after the other, whatever its API.
    pub(crate) async fn one_in_flight(&self) {
        self.set("upload_concurrency", 1).await;
        self.set("read_concurrency", 1).await;
    }

    /// What the next calls meet, in their order, instead of the emulator.
    pub(crate) fn script(&self, steps: impl IntoIterator<Item = Scripted>) {
        self.transport.script(steps);
    }

    /// The different phone numbers in the calls so far.
    fn phones_sent(&self) -> u64 {
        let sent = self.sent();
        let numbers = sent.iter().flat_map(|call| call.body.split('"').filter(|text| text.starts_with('+')));
        numbers.collect::<BTreeSet<_>>().len() as u64
    }

    /// The calls so far.
    pub(crate) fn sent(&self) -> Vec<SentCall> {
        self.transport.sent()
    }

    /// Forgets the calls so far.
    pub(crate) fn forget_sent(&self) {
        self.transport.forget_sent();
    }

    /// The calls to a path so far.
    pub(crate) fn sent_to(&self, path: &str) -> Vec<SentCall> {
        self.sent().into_iter().filter(|call| call.path == path).collect()
    }

    pub(crate) fn fault(&self, what: What) {
        self.emulator.add_fault(Fault::new(what));
    }

    pub(crate) fn fault_once(&self, what: What) {
        self.emulator.add_fault(Fault::new(what).times(1));
    }

    pub(crate) fn last_run(&self) -> Run {
        self.account.runs().pop().expect("a run")
    }

    /// A table `source` of one column `n`, 1 to `rows`, in batches of 300.
    pub(crate) fn source(&self, rows: i64) {
        let numbers: Vec<i64> = (1..=rows).collect();
        let batches: Vec<_> = numbers.chunks(300).map(numbered).collect();
        let table = MemTable::try_new(numbered(&[]).schema(), vec![batches]).expect("a table");
        let _ = self.ctx.deregister_table("source").expect("a schema");
        let _ = self.ctx.register_table("source", Arc::new(table)).expect("a schema");
    }
}

impl Drop for World {
    /// Nothing that an account keeps of any test holds the passcode.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let account = &self.account;
            without_passcode(&format!("{account:?} {:?} {:?} {:?}", account.runs(), account.failed_rows(), account.warnings()));
        }
    }
}

#[track_caller]
fn without_passcode(text: &str) {
    assert!(!text.contains(PASSCODE), "the passcode is shown: {}", text.replace(PASSCODE, "<passcode>"));
}

fn account_settings(zone: Tz, transport: Arc<dyn Transport>) -> AccountSettings {
    AccountSettings::new().with_time_zone(zone).with_transport(transport).with_seed(7).with_own_limits(true)
}

/// A batch with one column `n`.
pub(crate) fn numbered(numbers: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(numbers.to_vec())) as _)]).expect("a batch")
}

/// A writable table, with a way to fill it from `source` where bad rows are those for which a condition on `n` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Profiles,
    Events,
    DeviceTokens,
    Subscriptions,
    PhoneDisassociations,
}

pub(crate) const TARGETS: [Target; 5] =
    [Target::Profiles, Target::Events, Target::DeviceTokens, Target::Subscriptions, Target::PhoneDisassociations];

impl Target {
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Profiles => "profiles",
            Self::Events => "events",
            Self::DeviceTokens => "device_tokens",
            Self::Subscriptions => "subscriptions",
            Self::PhoneDisassociations => "phone_disassociations",
        }
    }

    pub(crate) const fn rows_max(self) -> i64 {
        match self {
            Self::Profiles | Self::Events | Self::Subscriptions | Self::PhoneDisassociations => 1_000,
            Self::DeviceTokens => 100,
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Profiles | Self::Events | Self::DeviceTokens => "/1/upload",
            Self::Subscriptions => "/1/subscribe",
            Self::PhoneDisassociations => "/1/disassociate",
        }
    }

    /// Requests that are in flight from the start: those that nobody has been told to be too many.
    pub(crate) const fn start(self) -> u64 {
        match self {
            Self::Profiles | Self::Events | Self::DeviceTokens => 5,
            Self::Subscriptions | Self::PhoneDisassociations => 3,
        }
    }

    /// An INSERT of all of `source`.
    pub(crate) fn insert(self, bad: &str) -> String {
        match self {
            Self::Profiles => format!(
                "INSERT INTO clevertap.profiles SELECT concat('p', n) AS identity,
                 CASE WHEN {bad} THEN 'nope' ELSE concat('p', n, '@example.org') END AS email, n AS score FROM source"
            ),
            Self::Events => format!(
                "INSERT INTO clevertap.events SELECT concat('p', n) AS identity,
                 CASE WHEN {bad} THEN 'Notification Sent' ELSE 'Viewed' END AS event_name, 1767225600 + n AS event_time, n AS number FROM source"
            ),
            Self::DeviceTokens => format!(
                "INSERT INTO clevertap.device_tokens SELECT CASE WHEN {bad} THEN 'stranger' ELSE concat('__g', n) END AS object_id,
                 concat('t', n) AS token, 'fcm' AS token_type FROM source"
            ),
            Self::Subscriptions => format!(
                "INSERT INTO clevertap.subscriptions SELECT 'email' AS type, concat('p', n, '@example.org') AS value,
                 CASE WHEN {bad} THEN 'nope' ELSE 'Unsubscribe' END AS status FROM source"
            ),
            Self::PhoneDisassociations => format!(
                "INSERT INTO clevertap.phone_disassociations SELECT CASE WHEN {bad} THEN 'nope' ELSE concat('+1415', 5550000 + n) END AS phone
                 FROM source"
            ),
        }
    }

    /// A world where `rows` rows of this table can be accepted, and a source of as many.
    pub(crate) fn world(self, rows: i64) -> World {
        self.world_with(rows, Settings::default())
    }

    pub(crate) fn world_with(self, rows: i64, settings: Settings) -> World {
        let world = World::with(settings);
        if self == Self::DeviceTokens {
            for n in 1..=rows {
                world.emulator.add_device(&format!("__g{n}"), Platform::Android, None);
            }
        }
        world.source(rows);
        world
    }

    /// What the emulator stored: of events each time that it came, of what can be repeated once.
    pub(crate) fn stored(self, world: &World) -> u64 {
        let emulator = &world.emulator;
        match self {
            Self::Profiles => emulator.profiles_stored(),
            Self::Events => emulator.events_stored(),
            Self::DeviceTokens => emulator.tokens_stored(),
            Self::Subscriptions => {
                (1..=30_000).filter(|n| emulator.subscription("email", &format!("p{n}@example.org")).is_some()).count() as u64
            }
            // Nobody holds these numbers, so that what is counted is how often they came.
            Self::PhoneDisassociations => emulator.report().disassociations.min(world.phones_sent()),
        }
    }
}

/// How a statement ended, in one line: the fates, and what the emulator has. That the four counts add up, and agree with the
/// run, is checked on the way.
pub(crate) fn ending(world: &World, target: Target, result: &Result<Vec<RecordBatch>>) -> String {
    let run = world.last_run();
    let Tally { read, accepted, rejected, in_doubt, unsent } = run.tally;
    assert_eq!(accepted + rejected + in_doubt + unsent, read, "the four counts of {target:?} add up: {:?}", run.tally);
    let how = match result {
        Ok(batches) => {
            assert_eq!(count(batches), accepted, "the count of {target:?} is the accepted count");
            "ok"
        }
        Err(error) => {
            let ours = Error::find(error).unwrap_or_else(|| panic!("{target:?}: not one of our errors: {error}"));
            assert_eq!(ours.tally(), Some(run.tally), "the error of {target:?} tells the four counts");
            assert!(error.to_string().contains(&run.tally.to_string()), "the text of {target:?} tells them too: {error}");
            ours.code()
        }
    };
    assert_eq!(
        world.account.failed_rows().iter().filter(|row| row.run_id == run.run_id).count() as u64,
        read - accepted,
        "every row of {target:?} that was read and not accepted is in failed_rows"
    );
    let stored = target.stored(world);
    assert!((accepted..=accepted + in_doubt).contains(&stored), "{target:?}: {stored} are stored, {:?}", run.tally);
    let table = target.table();
    let status = run.status;
    format!("{table}: {how} {status}: {accepted} accepted, {rejected} rejected, {in_doubt} in doubt, {unsent} unsent, {stored} stored")
}

/// The one number that an INSERT returns.
pub(crate) fn count(batches: &[RecordBatch]) -> u64 {
    use arrow::array::UInt64Array;
    let [batch] = batches else { panic!("an INSERT returns one batch, not {}", batches.len()) };
    batch.column(0).as_any().downcast_ref::<UInt64Array>().expect("a count").value(0)
}

/// Devices that take Android tokens, `__g1` and on.
pub(crate) fn devices(names: &[&str]) -> Vec<Device> {
    names.iter().map(|name| Device { object_id: (*name).to_owned(), platform: Platform::Android, identity: None }).collect()
}

/// The text of an error, for tables where a statement may end either way.
pub(crate) fn text_of(result: Result<Vec<RecordBatch>, DataFusionError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
}
