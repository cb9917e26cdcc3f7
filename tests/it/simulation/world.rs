//! Where a scenario happens: a source that a scenario may break, a network that counts, the emulator behind it, virtual time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::DateTime;
use clevertap_emulator::{Emulator, Platform, Report, Settings};
use clevertap_tests::send;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_clevertap::{
    Account, AccountSettings, ClevertapSql, Error, FailedRow, Region, Run, Secret,
    account::Clock,
    error::Outcome,
    register,
    transport::{Answer, Call, Failure, FailureKind, Transport},
};
use tokio::time::{Instant, sleep, timeout};

use super::scenario::{Flaw, Scenario, Target, UPLOAD};

/// Virtual time in which every statement must have ended.
const HOURS_MAX: u64 = 100;

/// How the network treats the client, beyond what the scenario says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// It carries what it is given.
    Honest,
    /// It sends what was lost once more by itself, as a client with a wrong retry table would.
    SendsAgain,
}

/// What the network saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) in_flight: usize,
    pub(super) in_flight_peak: usize,
    pub(super) bytes_peak: usize,
    pub(super) records_peak: usize,
    pub(super) attempts: u64,
    /// How often each row left, dry runs not counted.
    pub(super) sends: HashMap<usize, u32>,
    /// When each attempt left, and how many rows it carried; none: a dry run.
    pub(super) uploads: Vec<(u64, usize)>,
    /// An answer was lost, and none came since.
    is_silent: bool,
    /// Attempts to append into that silence.
    pub(super) into_silence: usize,
}

/// The emulator behind a network that counts and may be disturbed.
struct CountingTransport {
    emulator: Emulator,
    network: Network,
    scenario: Arc<Scenario>,
    began: Instant,
    seen: Arc<Mutex<Seen>>,
    is_over: AtomicUsize,
}

impl std::fmt::Debug for CountingTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CountingTransport")
    }
}

/// An attempt as the client counts it: from send to the answer, the timeout or the drop.
struct InFlight<'a> {
    seen: &'a Mutex<Seen>,
    /// Whether it came to an answer that can be read, or to none; unknown, it was lost.
    signal: Signal,
}

/// What an attempt shows about whether CleverTap takes records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signal {
    Lost,
    Taken,
    Nothing,
}

impl Signal {
    fn by(answer: &Answer) -> Self {
        let says = |text: &str| answer.body.windows(text.len()).any(|window| window == text.as_bytes());
        match answer.status {
            200 if says("\"processed\"") => Self::Taken,
            200 if says("\"fail\"") => Self::Nothing,
            200 | 500.. => Self::Lost,
            _ => Self::Nothing,
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.in_flight -= 1;
        match self.signal {
            Signal::Lost => seen.is_silent = true,
            Signal::Taken => seen.is_silent = false,
            Signal::Nothing => {}
        }
    }
}

#[async_trait]
impl Transport for CountingTransport {
    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let at = self.began.elapsed();
        let body = std::str::from_utf8(&call.body).expect("UTF-8 is sent");
        let is_dry = call.url.query().is_some_and(|query| query.contains("dryRun"));
        let is_upload = call.url.path() == UPLOAD;
        let rows = rows_of(&self.scenario, body);
        let mut in_flight = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.attempts += 1;
            seen.in_flight += 1;
            seen.in_flight_peak = seen.in_flight_peak.max(seen.in_flight);
            seen.bytes_peak = seen.bytes_peak.max(body.len());
            seen.records_peak = seen.records_peak.max(rows.len());
            let rows = if is_dry { Vec::new() } else { rows };
            seen.into_silence += usize::from(seen.is_silent && !rows.is_empty());
            seen.uploads.extend(is_upload.then_some((at.as_millis() as u64, rows.len())));
            rows.into_iter().for_each(|row| *seen.sends.entry(row).or_default() += 1);
            InFlight { seen: &self.seen, signal: if is_upload { Signal::Lost } else { Signal::Nothing } }
        };
        let at = at.as_millis() as u64;
        if self.is_over.load(Ordering::SeqCst) == 0 && self.scenario.unreachable.is_some_and(|(from, to)| (from..to).contains(&at)) {
            in_flight.signal = Signal::Nothing;
            return Err(Failure::new(FailureKind::NotSent, "refused the connection"));
        }
        let mut answer = send(&self.emulator, call.clone()).await;
        if answer.is_err() && self.network == Network::SendsAgain {
            answer = send(&self.emulator, call.clone()).await;
        }
        let answer = answer?;
        if is_upload {
            in_flight.signal = Signal::by(&answer);
        }
        Ok(answer)
    }
}

/// The rows that a body holds, by their marks.
fn rows_of(scenario: &Scenario, body: &str) -> Vec<usize> {
    numbers_after(body, scenario.mark_start())
}

/// The number behind each `mark`.
pub(super) fn numbers_after(text: &str, mark: &str) -> Vec<usize> {
    let number = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    text.split(mark).skip(1).filter_map(number).collect()
}

/// What is known when a statement has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The statement's count or error; none if it was dropped.
    pub(super) result: Option<Result<u64, DataFusionError>>,
    pub(super) run: Run,
    pub(super) failed_rows: Vec<FailedRow>,
    pub(super) seen: Seen,
    pub(super) report: Report,
    /// How often each row was carried out: an event or a profile's row.
    pub(super) stored: HashMap<usize, u32>,
    /// The row whose `Seq` or token an identity has.
    pub(super) last: HashMap<usize, usize>,
    /// How often each `$incr` and `$decr` was carried out, by row.
    pub(super) counted: HashMap<usize, u32>,
    pub(super) reserved: usize,
    pub(super) was_stopped: bool,
    pub(super) took: Duration,
    /// It did not end in time.
    pub(super) hung: bool,
}

impl Ended {
    /// Our error, with where the statement stands.
    pub(super) fn outcome(&self) -> Option<(&Error, &Outcome)> {
        let error = Error::find(self.result.as_ref()?.as_ref().err()?)?;
        Some((error, error.outcome()?))
    }

    /// Everything that must repeat, as text.
    pub(super) fn fingerprint(&self) -> String {
        let Self { result, run, failed_rows, seen, report, took, .. } = self;
        let sends: std::collections::BTreeMap<_, _> = seen.sends.iter().collect();
        let failed_rows: Vec<_> = failed_rows.iter().map(|row| format!("{row:?}")).collect();
        format!("{result:?}\n{run:?}\n{report:?}\n{sends:?}\n{:?} {took:?}\n{}", seen.uploads, failed_rows.join("\n"))
    }
}

/// A scenario's world, in which several statements may follow each other.
pub(super) struct World {
    scenario: Arc<Scenario>,
    pub(super) emulator: Emulator,
    transport: Arc<CountingTransport>,
    seen: Arc<Mutex<Seen>>,
    account: Account,
}

impl World {
    pub(super) fn new(scenario: &Arc<Scenario>, network: Network) -> Self {
        let emulator = Emulator::new(Settings {
            latency_ms: scenario.latency_ms,
            jitter_ms: scenario.jitter_ms,
            seed: scenario.seed,
            upload_limit: scenario.upload_limit,
            profile_properties_max: usize::MAX,
            ..Settings::default()
        });
        if scenario.target == Target::Tokens {
            for row in &scenario.rows {
                emulator.add_device(&format!("d{}", row.identity), Platform::Android, Some(&format!("p{}", row.identity)));
            }
        }
        scenario.faults.iter().for_each(|fault| emulator.add_fault(fault.clone()));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let transport = Arc::new(CountingTransport {
            emulator: emulator.clone(),
            network,
            scenario: Arc::clone(scenario),
            began: Instant::now(),
            seen: Arc::clone(&seen),
            is_over: AtomicUsize::new(0),
        });
        let start = DateTime::from_timestamp(emulator.settings().started_at, 0).expect("a time");
        let settings = AccountSettings::new()
            .with_transport(Arc::clone(&transport) as Arc<dyn Transport>)
            .with_seed(scenario.seed)
            .with_clock(Clock::starting_at(start))
            .with_own_limits(true);
        let passcode = Secret::new(emulator.settings().passcode.clone());
        let account = Account::open(emulator.settings().account_id.clone(), passcode, Region::Eu1, settings).expect("an account");
        Self { scenario: Arc::clone(scenario), emulator, transport, seen, account }
    }

    /// Faults, disturbances and refusals to connect are over.
    pub(super) fn calm_down(&self) {
        self.emulator.clear_faults();
        self.transport.is_over.store(1, Ordering::SeqCst);
    }

    /// Writes `rows`, which count from 1, as the scenario says; `calmly`: without its disturbances, past all rejects.
    pub(super) async fn load(&self, rows: Vec<usize>, calmly: bool) -> Ended {
        let scenario = &self.scenario;
        let began = Instant::now();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_silent = false;
        let memory = if calmly { 1 << 30 } else { scenario.memory };
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(memory));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&pool)).build_arc().expect("a runtime");
        let ctx = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
        register(&ctx, "clevertap", &self.account).expect("registered");
        for (name, value) in scenario.options() {
            let value = match name {
                "on_reject" if calmly => "skip".to_owned(),
                "failed_max" if calmly => String::new(),
                "failed_rows_max" if calmly => "100000".to_owned(),
                "retry_for_ms" if calmly => "600000".to_owned(),
                "timeout_ms" if calmly => "60000".to_owned(),
                _ => value,
            };
            ctx.sql(&format!("SET clevertap.{name} = '{value}'")).await.expect(name);
        }
        let source = Source {
            scenario: Arc::clone(scenario),
            rows,
            breaks: scenario.source_breaks.filter(|_| !calmly),
            schema: schema(scenario.target),
        };
        let table = StreamingTable::try_new(Arc::clone(&source.schema), vec![Arc::new(source)]).expect("a source");
        ctx.register_table("source", Arc::new(table)).expect("registered");
        let (table, columns) = match scenario.target {
            Target::Events => ("events", "*"),
            Target::Profiles => ("profiles", "identity, email, \"Seq\", \"Pad\", properties"),
            Target::Counters => ("profiles", "*"),
            Target::Tokens => ("device_tokens", "*"),
        };
        let insert = ctx.clevertap_sql(&format!("INSERT INTO clevertap.{table} SELECT {columns} FROM source")).await.expect("planned");
        let after = |ms: Option<u64>| async move {
            match ms.filter(|_| !calmly) {
                Some(ms) => sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        let (mut was_stopped, mut stops) = (false, true);
        let writing = async {
            let written = insert.collect();
            tokio::pin!(written);
            let stop = after(scenario.stop_at);
            tokio::pin!(stop);
            loop {
                tokio::select! {
                    biased;
                    result = &mut written => break Some(result),
                    () = &mut stop, if stops => {
                        let run_id = self.account.runs().last().map(|run| run.run_id);
                        was_stopped = run_id.is_some_and(|run_id| self.account.stop(run_id));
                        stops = false;
                    }
                    () = after(scenario.drop_at) => break None,
                }
            }
        };
        let ended = timeout(Duration::from_secs(HOURS_MAX * 3600), writing).await;
        let took = began.elapsed();
        let hung = ended.is_err();
        let result = ended.ok().flatten().map(|result| result.map(|batches| count(&batches)));
        // What was dropped is dropped by the runtime; whatever would still leave has time to.
        let run = self.account.runs().pop().expect("a run");
        let attempts = self.seen().attempts;
        sleep(Duration::from_secs(3 * 3600)).await;
        assert_eq!(attempts, self.seen().attempts, "something was sent after the end of the statement");
        let (stored, last, counted) = self.stored();
        let failed_rows = self.account.failed_rows().into_iter().filter(|row| row.run_id == run.run_id).collect();
        let (seen, report, reserved) = (self.seen(), self.emulator.report(), pool.reserved());
        Ended { result, run, failed_rows, seen, report, stored, last, counted, reserved, was_stopped, took, hung }
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the emulator has of each row, the row that each identity shows, and how often each row was counted.
    fn stored(&self) -> (HashMap<usize, u32>, HashMap<usize, usize>, HashMap<usize, u32>) {
        let (mut stored, mut last, mut counted) = (HashMap::new(), HashMap::new(), HashMap::new());
        self.emulator.for_each_event(|event| {
            numbers_after(event.data_text(), "\"Row\":").into_iter().for_each(|row| *stored.entry(row).or_default() += 1);
        });
        let steps = |identity: usize| {
            let of = self.scenario.rows.iter().zip(1..).filter(move |(row, _)| row.identity == identity);
            of.flat_map(|(row, n)| [(row.incr, 1), (row.decr, -1)].map(|(by, sign)| (n, by, sign)))
        };
        self.emulator.for_each_profile(|person| {
            let identity = person["identity"].as_str().and_then(|text| text.get(1..)).and_then(|n| n.parse().ok()).expect("p<n>");
            let data = person["profileData"].as_object().expect("properties");
            for row in data.keys().filter_map(|key| key.strip_prefix('R').and_then(|n| n.parse::<usize>().ok())) {
                stored.insert(row, 1);
            }
            if let Some(row) = data.get("Seq").and_then(serde_json::Value::as_u64) {
                last.insert(identity, row as usize);
            }
            if let Some(token) = person["platformInfo"][0]["push_token"].as_str() {
                last.insert(identity, token.trim_start_matches('t').parse().expect("t<n>"));
            }
            if self.scenario.target != Target::Counters {
                return;
            }
            let sums = ["Visits", "Credit"].map(|name| data.get(name).and_then(serde_json::Value::as_i64).unwrap_or(0));
            for (row, by, sign) in steps(identity) {
                let Some(by) = by else { continue };
                let sum = if sign > 0 { sums[0] } else { -sums[1] };
                let times = (sum / by % 16) as u32;
                let known = counted.entry(row).or_insert(times);
                *known = (*known).max(times);
            }
        });
        (stored, last, counted)
    }
}

fn count(batches: &[RecordBatch]) -> u64 {
    let [batch] = batches else { panic!("an INSERT gives one batch") };
    batch.column(0).as_any().downcast_ref::<UInt64Array>().expect("a count").value(0)
}

/// The source: uneven batches, which may take time, and may end in an error.
struct Source {
    scenario: Arc<Scenario>,
    rows: Vec<usize>,
    breaks: Option<usize>,
    schema: SchemaRef,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut rest = &self.rows[..];
        let mut batches = Vec::new();
        for (at, size) in self.scenario.batches.iter().enumerate() {
            if self.breaks == Some(at) {
                break;
            }
            let (batch, after) = rest.split_at(rest.len().min(*size));
            batches.push(Ok(batch_of(&self.scenario, &self.schema, batch)));
            rest = after;
        }
        if self.breaks.is_some() {
            batches.push(Err(DataFusionError::Execution("the file is cut in half".into())));
        }
        let pause = self.scenario.source_ms;
        let stream = futures::StreamExt::then(futures::stream::iter(batches), move |batch| async move {
            if pause > 0 {
                sleep(Duration::from_millis(pause)).await;
            }
            batch
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream))
    }
}

fn step_type(operator: &str) -> DataType {
    DataType::Struct(Fields::from(vec![Field::new(operator, DataType::Int64, true)]))
}

fn schema(target: Target) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    Arc::new(Schema::new(match target {
        Target::Events => vec![text("identity"), text("event_name"), number("event_time"), text("Pad"), number("Row")],
        Target::Profiles => vec![text("identity"), text("email"), number("Seq"), text("Pad"), text("properties")],
        Target::Counters => vec![
            text("identity"),
            text("email"),
            number("Seq"),
            text("Pad"),
            text("properties"),
            Field::new("Visits", step_type("$incr"), true),
            Field::new("Credit", step_type("$decr"), true),
        ],
        Target::Tokens => vec![text("object_id"), text("token"), text("token_type")],
    }))
}

fn batch_of(scenario: &Scenario, schema: &SchemaRef, numbers: &[usize]) -> RecordBatch {
    let rows: Vec<_> = numbers.iter().map(|number| (*number, scenario.rows[number - 1])).collect();
    let text = |of: &dyn Fn(usize, &super::scenario::Row) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(number, row)| of(*number, row)).collect::<StringArray>())
    };
    let number = |of: &dyn Fn(usize, &super::scenario::Row) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(|(number, row)| of(*number, row)).collect::<Int64Array>())
    };
    let step = |operator: &str, of: &dyn Fn(usize, &super::scenario::Row) -> Option<i64>| -> ArrayRef {
        let values = number(of);
        let nulls = NullBuffer::from_iter(rows.iter().map(|(number, row)| of(*number, row).is_some()));
        let DataType::Struct(fields) = step_type(operator) else { unreachable!("a struct") };
        Arc::new(StructArray::new(fields, vec![values], Some(nulls)))
    };
    let id =
        |prefix: &'static str| text(&move |n, row| (row.flaw != Flaw::Local || n % 2 == 0).then(|| format!("{prefix}{}", row.identity)));
    // Over 512 bytes: rejected here.
    let pad = text(&|n, row| Some("x".repeat(if row.flaw == Flaw::Local && n % 2 == 0 { 600 } else { row.pad })));
    let seq = number(&|n, row| row.is_seen.then_some(n as i64));
    let email = text(&|n, row| (row.flaw == Flaw::Refused).then(|| format!("nobody{n}")));
    let marks = text(&|n, _| Some(format!("{{\"R{n}\":1}}")));
    let columns = match scenario.target {
        Target::Events => vec![
            id("p"),
            text(&|_, row| Some(if row.flaw == Flaw::Refused { "App Launched" } else { "Signed up" }.to_owned())),
            number(&|n, _| Some(1_760_000_000 + n as i64)),
            pad,
            number(&|n, _| Some(n as i64)),
        ],
        Target::Profiles => vec![id("p"), email, seq, pad, marks],
        Target::Counters => {
            vec![id("p"), email, seq, pad, marks, step("$incr", &|_, row| row.incr), step("$decr", &|_, row| row.decr)]
        }
        Target::Tokens => vec![
            text(&|n, row| (row.flaw != Flaw::Local || n % 2 == 0).then(|| format!("d{}", row.identity))),
            text(&|n, row| (row.flaw != Flaw::Local || n % 2 == 1).then(|| format!("t{n}"))),
            text(&|_, row| Some(if row.flaw == Flaw::Refused { "apns" } else { "fcm" }.to_owned())),
        ],
    };
    RecordBatch::try_new(Arc::clone(schema), columns).expect("a batch")
}

/// Runs `what` on one thread, in virtual time.
pub(super) fn virtually<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(what)
}
