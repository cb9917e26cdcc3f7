//! `clevertap-sql resend DIR`: sends again what a folder of failed rows holds, each row once.
//!
//! In: a folder or bucket that `--failed-rows` wrote. Out: the records as they were mapped; what is not accepted is a failed row of the
//! new run, in the same folder. The log beside the rows says what was sent again, so that the command may be repeated, and killed.
//!
//! ```text
//! failed rows ─▶ plan      which rows, by fate, table, log ─▶ pending   log the batch, hand it on ─▶ INSERT of records by engine/runner
//!                 ▲                                            │                                       │
//!                log (claims, accepted) ◀───────────────────────┴──────── accepted rows ◀───────────────┘
//! ```

mod continued;
mod flags;
pub(super) mod log;
mod owner;
mod pending;
mod plan;
#[cfg(test)]
mod tests;

use std::{fs, path::Path, sync::Arc};

use datafusion::catalog::streaming::StreamingTable;
use tokio::sync::Mutex;

pub(crate) use self::flags::ResendFlags;
use self::{
    continued::Continued,
    log::{LogLine, ResendLog},
    owner::Owner,
    pending::{Accepted, Pending},
    plan::{Selection, failed_rows, plan},
};
use crate::{
    config::OpenAccount,
    engine::{runner::Runner, session::Session},
    failure::{Completion, Failure, Result},
    terminal::{console::Console, interrupt::Interrupts, output::Output},
};
use datafusion_clevertap::{records_table, runs::RunLog, storage::Folder};

/// The schema of the tables of this command.
const SCHEMA: &str = "resend";

/// Rows that are noted, and then sent, at once: as many may be in doubt after a kill, besides those in flight.
const BATCH_ROWS: usize = 2_000;

/// Sends again.
///
/// # Errors
/// [`Failure::Usage`] for a place that is none; those of the statements.
pub(crate) async fn resend(
    flags: &ResendFlags,
    account: impl Into<OpenAccount>,
    output: Output,
    console: &mut Console,
    interrupts: Interrupts,
) -> Result<Completion> {
    let opened = account.into();
    let account = &opened.account;
    let session = Session::with(opened.clone(), Some(&flags.folder))?;
    let folder = session.folder(&flags.folder).map_err(|why| Failure::Usage(format!("failed rows cannot be read from there: {why}")))?;
    if let Folder::Local(path) = &folder
        && !path.is_dir()
    {
        return Err(Failure::Usage(format!("{} is no folder that --failed-rows wrote: it is not there", path.display())));
    }
    if let Folder::Local(path) = &folder
        && !has_failed_rows(path)?
    {
        let folder = path.display();
        return Err(Failure::Failed(format!(
            "{folder} holds no failed rows (no Parquet file), and nothing was sent. A load that was stopped is gone on with by clevertap-sql -f \
             load.sql --resume {folder}"
        )));
    }
    // One after the other, in the order of the failed rows; a reject stops nothing, and names were checked when the records were mapped.
    for option in ["clevertap.on_reject = 'skip'", "clevertap.schema_check = 'off'", "datafusion.execution.target_partitions = 1"] {
        session.rows(&format!("SET {option}")).await?;
    }
    session.rows(&format!("SET datafusion.execution.batch_size = {BATCH_ROWS}")).await?;
    let runs = RunLog::read_all(&folder).await.map_err(|error| Failure::Failed(error.to_string()))?;
    let log = ResendLog::read(folder).await?;
    let Selection { tables, left_out } = plan(&session, flags, &log, &Continued::of(&runs), &Owner::new(&opened, &runs)).await?;
    left_out.iter().for_each(|line| console.say(line));
    if tables.is_empty() {
        console.say("nothing was sent");
        return Ok(Completion::Done);
    }

    let (log, accepted) = (Arc::new(Mutex::new(log)), Accepted::default());
    session.watch_fates(accepted.watch());
    let mut runner = Runner::new(session, output, console, interrupts);
    let mut completion = Completion::Done;
    let mut ended = Ok(());
    for (table, rows) in tables {
        let runs_before = account.runs().len();
        let result = resend_table(&mut runner, flags, &opened, &table, rows, &log, &accepted).await;
        // Also after a signal: what was accepted must not be sent a second time, and what was not taken is not in doubt.
        let mut lines = accepted.take();
        let ended_runs = account.runs().into_iter().skip(runs_before).filter(|run| run.finished_at.is_some());
        lines.extend(ended_runs.map(|run| LogLine::Ended { by: run.run_uid.to_string(), read: run.tally.read }));
        let noted = log.lock().await.write(&lines).await;
        // The statement may have stopped for the same fault.
        if let (Err(stopped), Err(failure)) = (&result, &noted)
            && !stopped.to_string().contains(failure.to_string().as_str())
        {
            runner.console.say(&failure.to_string());
        }
        ended = result.map(|of_table| completion = completion.and(of_table)).and(noted);
        if ended.is_err() {
            break;
        }
    }
    runner.close(ended.is_err())?;
    ended.map(|()| completion)
}

/// Whether a folder has a file of failed rows.
fn has_failed_rows(folder: &Path) -> Result<bool> {
    let files = fs::read_dir(folder).map_err(|error| Failure::file(folder, &error))?;
    Ok(files.filter_map(|file| file.ok()).any(|file| Path::new(&file.file_name()).extension().is_some_and(|ending| ending == "parquet")))
}

async fn resend_table(
    runner: &mut Runner<'_>,
    flags: &ResendFlags,
    opened: &OpenAccount,
    table: &str,
    rows: Vec<log::RowKey>,
    log: &Arc<Mutex<ResendLog>>,
    accepted: &Accepted,
) -> Result<Completion> {
    let session = &runner.session;
    let failed = session.sql(&failed_rows(&flags.folder, "run_uid, row_number, record", Some(table))).await?;
    let failed = failed.create_physical_plan().await?;
    let pending = Pending::new(failed, rows, opened.account.clone(), Arc::clone(log), accepted.clone());
    let pending = StreamingTable::try_new(
        Arc::clone(datafusion::physical_plan::streaming::PartitionStream::schema(&pending)),
        vec![Arc::new(pending)],
    )?;
    let target = records_table(&opened.account, &opened.name, table).map_err(|error| Failure::Failed(error.to_string()))?;
    session.add_table(SCHEMA, "failed", Arc::new(pending))?;
    session.add_table(SCHEMA, "records", target)?;
    let runs = runner.run_one(&format!("INSERT INTO {SCHEMA}.records SELECT record FROM {SCHEMA}.failed")).await?;
    Ok(if runs.iter().any(|run| run.tally.rejected > 0) { Completion::RowsSkipped } else { Completion::Done })
}
