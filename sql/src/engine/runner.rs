//! Statements -> results, one after the other, in one session. The first error stops.
//!
//! In: statements, the session, signals. Out: results to `terminal/output`; runs and warnings to `terminal/console`.
//!
//! A statement is planned and executed in a task of its own, so that a signal is heard while it plans, and a panic is an error. Signals end it
//! as `ending` says; one that writes nothing is dropped by the first. While a confirmation is open, a signal refuses it.

use std::{
    path::PathBuf,
    sync::{Arc, Weak},
};

use datafusion::{common::runtime::JoinSet, physical_plan::SendableRecordBatchStream};
use futures::TryStreamExt;
use indicatif::ProgressBar;
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use super::{
    ending::{DROPPED_WITHIN, EndStep, Ending},
    resuming::{Resuming, Step},
    runs::{AccountWarning, RunMark},
    script::{Statement, StatementKind},
    session::Session,
};
use crate::{
    failure::{Completion, Failure, Result},
    terminal::{
        confirm,
        console::{Console, Counts, TICK},
        interrupt::Interrupts,
        output::{Output, RowsWritten},
        progress::RunView,
    },
};

/// Runs statements in a session.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    pub(crate) session: Session,
    /// Lent to the statement that runs, while it writes its result.
    pub(crate) output: Arc<Mutex<Output>>,
    pub(crate) console: &'a mut Console,
    pub(crate) interrupts: Interrupts,
    /// Which statements of the script run, where its loads leave a log.
    resuming: Option<Resuming>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(session: Session, output: Output, console: &'a mut Console, interrupts: Interrupts) -> Self {
        Self { session, output: Arc::new(Mutex::new(output)), console, interrupts, resuming: None }
    }

    /// Has the loads of the script leave a log, and go on where they had stopped.
    pub(crate) fn resume(&mut self, resuming: Resuming) {
        self.resuming = Some(resuming);
    }

    /// Runs every statement, or up to the first error.
    ///
    /// # Errors
    /// That error.
    pub(crate) async fn run_all(&mut self, statements: &[Statement]) -> Result<Completion> {
        let mut completion = Completion::Done;
        for statement in statements {
            if statement.kind == StatementKind::Write {
                self.console.say(&statement.text);
                if let Some(resuming) = &mut self.resuming {
                    let step = resuming.next(statement);
                    if let Some(said) = step.says() {
                        self.console.say(&said);
                    }
                    match step {
                        Step::Skip => continue,
                        Step::Run(context) => self.session.set_run_context(*context),
                    }
                }
            }
            let runs = self.run_one(&statement.text).await?;
            let has_rejects = runs.iter().any(|run| run.tally.rejected > 0);
            completion = completion.and(if has_rejects { Completion::RowsSkipped } else { Completion::Done });
        }
        Ok(completion)
    }

    /// Runs one statement and returns its runs.
    ///
    /// # Errors
    /// The statement's; [`Failure::Stopped`] after a signal, even if the statement reached its end.
    pub(crate) async fn run_one(&mut self, text: &str) -> Result<Vec<RunView>> {
        let last_run = self.session.last_run();
        let mut told = Vec::new();
        self.session.warnings_beside(&mut told, |_| true);
        self.console.begin();
        let result = self.watch(text, &last_run, &mut told).await;
        self.console.note(&self.session.take_file_notes());
        let runs = self.session.runs_after(&last_run);
        let counts = if matches!(result, Err(Failure::Written(_))) { Counts::Printed } else { Counts::ToPrint };
        self.console.end(&runs, counts);
        let warnings = self.session.warnings_beside(&mut told, |_| true);
        self.console.warn(&warnings);
        if let Some(left_out) = result?.left_out() {
            self.console.say(&left_out);
        }
        if let Some(hint) = self.session.hint(text) {
            self.console.say(&hint);
        }
        Ok(runs)
    }

    /// Executes a statement while its runs and what was found of names are shown, its confirmations asked and signals caught; `told` are
    /// the warnings that were shown.
    async fn watch(&mut self, text: &str, last_run: &RunMark, told: &mut Vec<AccountWarning>) -> Result<RowsWritten> {
        let Self { session, output, console, interrupts, .. } = self;
        let (stop, stopped) = watch::channel(false);
        let work =
            Execution { session: session.clone(), text: text.to_owned(), last_run: last_run.clone(), bar: console.progress_bar(), stopped };
        // A set of one: it can be dropped and waited for.
        let mut execution = JoinSet::new();
        execution.spawn(work.run(Arc::downgrade(output)));
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut ending = Ending::of_runs_after(last_run.clone());
        loop {
            tokio::select! {
                biased;
                () = ending.next(interrupts) => match ending.advance(session, console) {
                    EndStep::Stop => {
                        stop.send_replace(true);
                    }
                    EndStep::Abort => {}
                    EndStep::Drop { is_running } => {
                        execution.abort_all();
                        // One that computes does not hear of it.
                        timeout(DROPPED_WITHIN, execution.join_next()).await.ok();
                        let is_without_evidence = is_running && session.keeps_failed_rows();
                        return Err(if is_without_evidence { Failure::NoEvidence } else { Failure::Stopped });
                    }
                },
                Some(ended) = execution.join_next() => {
                    return match ended {
                        Ok(Ok(_)) if ending.has_begun() => Err(Failure::Stopped),
                        Ok(result) => result,
                        Err(_) => Err(Failure::by_panic()),
                    };
                }
                confirmation = session.next_confirmation() => {
                    console.prompt(&confirmation.prompt());
                    tokio::select! {
                        biased;
                        // The confirmation is dropped, which means no consent.
                        () = interrupts.next() => ending.refuse(true),
                        line = confirm::read_line() => confirmation.answer(&line),
                    }
                }
                _ = ticks.tick() => {
                    console.note(&session.take_file_notes());
                    console.tick(&session.runs_after(last_run), session.files_progress());
                    // What speaks of names and not of rows is complete: names last for ever, and a load may take hours.
                    console.warn(&session.warnings_beside(told, |warning| warning.rows == 0));
                }
            }
        }
    }

    /// Ends the output as [`Output::close`] does. Where a statement that was dropped still holds it, nothing more is written.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn close(self, failed: bool) -> Result<Option<PathBuf>> {
        match Arc::into_inner(self.output) {
            Some(output) => output.into_inner().close(failed),
            None => Ok(None),
        }
    }
}

/// One statement, executed in a task of its own.
struct Execution {
    session: Session,
    text: String,
    last_run: RunMark,
    /// Cleared before the first row.
    bar: ProgressBar,
    stopped: watch::Receiver<bool>,
}

impl Execution {
    /// Plans, executes, and writes the result as batches come.
    async fn run(self, output: Weak<Mutex<Output>>) -> Result<RowsWritten> {
        let Self { session, text, last_run, bar, mut stopped } = self;
        let frame = tokio::select! {
            biased;
            () = told(&mut stopped) => return Err(Failure::Stopped),
            planned = session.sql(&text) => planned?,
        };
        // SET and CREATE are done by now and have no result.
        let has_result = !frame.schema().fields().is_empty();
        let execution = async {
            let batches = frame.execute_stream().await?;
            write_result(&session, batches, has_result, &output, &bar).await
        };
        tokio::pin!(execution);
        tokio::select! {
            biased;
            () = told(&mut stopped) => if session.stop_runs_after(&last_run) == 0 {
                return Err(Failure::Stopped);
            },
            result = &mut execution => return result,
        }
        execution.await
    }
}

/// Waits until the statement is told to stop.
async fn told(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending().await
    }
}

async fn write_result(
    session: &Session,
    mut batches: SendableRecordBatchStream,
    has_result: bool,
    output: &Weak<Mutex<Output>>,
    bar: &ProgressBar,
) -> Result<RowsWritten> {
    let next = async |batches: &mut SendableRecordBatchStream| batches.try_next().await.map_err(|error| session.failure(error));
    if !has_result {
        while next(&mut batches).await?.is_some() {}
        return Ok(RowsWritten::All);
    }
    // Gone with a runner that did not wait for its statement.
    let Some(output) = output.upgrade() else { return Err(Failure::Stopped) };
    let mut output = output.lock().await;
    let mut result = output.begin(batches.schema())?;
    let mut written = RowsWritten::All;
    while written == RowsWritten::All {
        let Some(batch) = next(&mut batches).await? else { break };
        bar.finish_and_clear();
        written = result.write(batch)?;
    }
    result.finish()?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use futures::StreamExt;

    use super::*;
    use crate::{
        engine::script::split,
        files::atomic_file::FileAccess,
        terminal::{console::Verbosity, format::Format},
    };
    use clevertap_emulator::{Emulator, Settings};
    use datafusion_clevertap::{Account, AccountSettings, Secret};

    async fn run(script: &str, format: Format, to: &Path) -> Result<Completion> {
        let mut console = Console::stderr(Verbosity::Quiet);
        let output = Output::open(Some(format), Some(to), FileAccess::Default).unwrap();
        let mut runner = Runner::new(Session::open(None, None).unwrap(), output, &mut console, Interrupts::listen().unwrap());
        let completion = runner.run_all(&split(script)?).await;
        runner.close(completion.is_err()).unwrap();
        completion
    }

    #[tokio::test]
    async fn one_session_carries_a_script_and_each_result_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("out.json");
        let script = "CREATE VIEW v AS SELECT 1 AS a; SET datafusion.execution.batch_size = 100; SELECT a + 1 AS b FROM v; SELECT 'x' AS c";
        assert_eq!(run(script, Format::Json, &to).await.unwrap(), Completion::Done);
        assert_eq!(std::fs::read_to_string(to).unwrap(), "[{\"b\":2}]\n[{\"c\":\"x\"}]\n");
    }

    #[tokio::test]
    async fn a_parquet_file_holds_one_result_with_its_instants_and_no_half_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let (to, read) = (folder.path().join("x.parquet"), folder.path().join("read.csv"));
        let select = "SELECT arrow_cast('2026-01-01T00:00:00', 'Timestamp(s, \"+00:00\")') AS at, 'a' AS id";
        run(&format!("SET datafusion.execution.batch_size = 100; {select}"), Format::Parquet, &to).await.unwrap();
        run(&format!("SELECT id, at, arrow_typeof(at) AS t FROM '{}'", to.display()), Format::Csv, &read).await.unwrap();
        let text = std::fs::read_to_string(&read).unwrap();
        assert!(text.contains("a,2026-01-01T00:00:00Z,\"Timestamp(µs"), "{text}");
        let failure = run(&format!("{select}; {select}"), Format::Parquet, &to).await.unwrap_err();
        assert!(failure.to_string().contains("COPY (SELECT …) TO 'x.parquet'"), "{failure}");
        std::fs::remove_file(folder.path().join("x.parquet.partial")).unwrap();
        run("SELECT 1 / (a - 1) AS a FROM (VALUES (1)) t(a)", Format::Parquet, &folder.path().join("y.parquet")).await.unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        // What the second error says to write.
        let copy = format!("COPY ({select}) TO '{}'", folder.path().join("copied.parquet").display());
        run(&copy, Format::Csv, &read).await.unwrap();
        assert!(folder.path().join("copied.parquet").exists());
    }

    #[tokio::test]
    async fn a_result_may_replace_the_file_it_was_read_from_and_a_failed_one_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("people.csv");
        std::fs::write(&to, "id,n\na,1\nb,2\n").unwrap();
        run(&format!("SELECT id FROM '{}' WHERE n > 1", to.display()), Format::Csv, &to).await.unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "id\nb\n");
        run("SELECT * FROM nowhere", Format::Csv, &to).await.unwrap_err();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "id\nb\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn the_first_error_stops_the_script() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("out.json");
        let failure = run("SELECT 1 AS a; SELECT * FROM nowhere; SELECT 2 AS a", Format::Ndjson, &to).await.unwrap_err();
        assert_eq!(failure.code(), 1);
        assert!(!to.exists());
        assert_eq!(std::fs::read_to_string(folder.path().join("out.json.partial")).unwrap(), "{\"a\":1}\n");
    }

    /// Loads 200,000 rows into an emulator that takes 400 ms a request, and is interrupted after so many milliseconds each.
    async fn interrupted(after_ms: &[u64]) -> (Failure, Vec<RunView>) {
        let settings = Settings { latency_ms: 400, ..Settings::default() };
        let (id, passcode) = (settings.account_id.clone(), Secret::new(settings.passcode.clone()));
        let emulator = Emulator::new(settings);
        let server = emulator.serve("127.0.0.1:0").await.unwrap();
        let open = AccountSettings::new().with_endpoint(server.url()).with_own_limits(true);
        let account = Account::open(id, passcode, None, open).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let waits = futures::stream::iter(after_ms.to_vec()).then(|ms| tokio::time::sleep(Duration::from_millis(ms)));
        let mut console = Console::stderr(Verbosity::Quiet);
        let output = Output::open(Some(Format::Csv), Some(&folder.path().join("o")), FileAccess::Default).unwrap();
        let mut runner = Runner::new(Session::open(Some(account), None).unwrap(), output, &mut console, Interrupts::from(waits));
        let text = "INSERT INTO clevertap.profiles SELECT value AS identity FROM generate_series(1, 200000)";
        let failure = runner.run_all(&split(&format!("{text}; {text}")).unwrap()).await.unwrap_err();
        (failure, runner.session.runs_after(&RunMark::default()))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ctrl_c_waits_for_what_is_in_flight_and_no_row_is_in_doubt() {
        let (failure, runs) = interrupted(&[900]).await;
        assert!(matches!(&failure, Failure::Written(text) if text.contains("0 in doubt")), "{failure}");
        let [run] = runs.as_slice() else { panic!("the next statement ran all the same") };
        assert!(run.tally.accepted > 0 && run.tally.accepted + run.tally.unsent == run.tally.read, "{run:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_ctrl_c_waits_for_nothing_and_the_rows_in_flight_are_in_doubt() {
        let (failure, runs) = interrupted(&[900, 10]).await;
        assert!(matches!(&failure, Failure::Written(text) if text.contains("in doubt")), "{failure}");
        let [run] = runs.as_slice() else { panic!("the next statement ran all the same") };
        let tally = run.tally;
        assert!(tally.in_doubt > 0 && tally.accepted + tally.rejected + tally.in_doubt + tally.unsent == tally.read, "{run:?}");
        assert_eq!(run.status, "stopped");
    }

    #[tokio::test]
    async fn files_and_folders_are_queried_by_path_and_listed_anew_by_every_statement() {
        let folder = tempfile::tempdir().unwrap();
        let (to, data) = (folder.path().join("out.csv"), folder.path().join("data"));
        let path = data.display();
        let script = format!(
            "COPY (SELECT 1 AS a) TO '{path}/one.parquet' STORED AS PARQUET; SELECT sum(a) AS s FROM '{path}/';
             COPY (SELECT 2 AS a) TO '{path}/two.parquet' STORED AS PARQUET; SELECT sum(a) AS s FROM '{path}/';
             COPY (SELECT 'x;y' AS t) TO '{path}/x.json' STORED AS JSON; SELECT * FROM '{path}/x.json'"
        );
        std::fs::create_dir(&data).unwrap();
        run(&script, Format::Csv, &to).await.unwrap();
        assert_eq!(std::fs::read_to_string(to).unwrap(), "count\n1\ns\n1\ncount\n1\ns\n3\ncount\n1\nt\nx;y\n");
    }

    #[tokio::test]
    async fn a_path_without_a_file_says_so_and_a_folder_without_one_which_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let failed = async |path: &str| {
            let failure = run(&format!("SELECT * FROM '{path}'"), Format::Csv, &folder.path().join("o")).await.unwrap_err();
            failure.to_string()
        };
        let text = failed("nowhere/x.parquet").await;
        assert!(text.contains("nowhere/x.parquet") && text.contains("no such file"), "{text}");
        let text = failed(&format!("{}/", folder.path().display())).await;
        assert!(text.contains(".ndjson"), "{text}");
    }

    #[tokio::test]
    async fn a_cell_that_cannot_be_read_is_reported_without_its_value_and_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("late.csv");
        std::fs::write(&file, format!("id,email\n{}ada-lovelace,ada@example.org\n", "7,x\n".repeat(1_500))).unwrap();
        let table = |id: &str| format!("CREATE EXTERNAL TABLE t (id {id}, email VARCHAR) STORED AS CSV LOCATION '{}'", file.display());
        let to = folder.path().join("o.csv");
        let failure = run(&format!("{}; SELECT * FROM t", table("BIGINT")), Format::Csv, &to).await.unwrap_err();
        let text = failure.to_string();
        assert_eq!(text, "late.csv, line 1502, column \"id\": a cell is no Int64; declare the column as VARCHAR, or mend the cell");
        run(&format!("{}; SELECT count(*) AS n FROM t", table("VARCHAR")), Format::Csv, &to).await.unwrap();
        assert_eq!(std::fs::read_to_string(to).unwrap(), "n\n1501\n");
    }

    #[tokio::test]
    async fn functions_need_no_account() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("o");
        run("SELECT ct_phone('9800000000', 'IN') AS phone", Format::Csv, &to).await.unwrap();
        assert_eq!(std::fs::read_to_string(to).unwrap(), "phone\n+919800000000\n");
    }

    #[tokio::test]
    async fn without_an_account_the_error_says_how_to_name_one() {
        let folder = tempfile::tempdir().unwrap();
        let failure = run("SELECT * FROM clevertap.profiles", Format::Csv, &folder.path().join("o")).await.unwrap_err();
        let text = failure.to_string();
        assert!(
            text.starts_with("table 'datafusion.clevertap.profiles' not found\nNo account") && text.contains("CLEVERTAP_ACCOUNT_ID"),
            "{text}"
        );
    }
}
