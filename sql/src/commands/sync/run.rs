//! `sync run` and `sync retry`: syncs one after the other.
//!
//! In: names. Out: a line a sync, as each ends. One that ended in error stops those that come after it, and nothing else.

use chrono_tz::Tz;

use super::{
    SyncWork,
    flags::{DryRunFlag, MovedFlags},
    lines::{RunLine, changes_text, error_text, fates_text},
    watched::Watched,
};
use crate::failure::{Completion, Failure, Result};
use datafusion_clevertap_sync::{Definition, RunOptions, RunReport, definition::in_order, report::Status};

/// Runs that have ended.
#[derive(Default)]
struct Ended {
    /// Syncs that ended in error, or were not run.
    failed: Vec<String>,
    /// What is said of each.
    why: Vec<String>,
    has_partial: bool,
}

impl SyncWork<'_> {
    /// Runs syncs, and before each those that it comes after.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a name that no sync has; [`Failure::Failed`] if one ended in error; a signal.
    pub(super) async fn run(
        &mut self,
        names: &[String],
        moved: &MovedFlags,
        dry_run: Option<DryRunFlag>,
        json: bool,
    ) -> Result<Completion> {
        for name in names {
            self.definition(name)?;
        }
        let mut options = moved.options(self.time_zone)?;
        options.dry_run = dry_run.map(Into::into);
        let order = in_order(&self.definitions, names).map_err(|error| Failure::Usage(error.to_string()))?;
        let order: Vec<Definition> = order.into_iter().cloned().collect();
        self.run_each(order, &options, json).await
    }

    /// Runs a sync, and tries its rejected rows again.
    ///
    /// # Errors
    /// As of [`Self::run`].
    pub(super) async fn retry(&mut self, name: &str, json: bool) -> Result<Completion> {
        let mut options = MovedFlags::default().options(Tz::UTC)?;
        options.retry = true;
        let definition = self.definition(name)?;
        self.run_each(vec![definition], &options, json).await
    }

    async fn run_each(&mut self, order: Vec<Definition>, options: &RunOptions, json: bool) -> Result<Completion> {
        let width = order.iter().map(|definition| definition.name.len()).max().unwrap_or_default();
        let is_one = order.len() == 1;
        let mut ended = Ended::default();
        for definition in order {
            let name = definition.name.clone();
            if let Some(earlier) = definition.after.iter().find(|earlier| ended.failed.contains(earlier)) {
                let why = format!("not run: it comes after {earlier}, which did not end well");
                self.print_not_begun(&name, &why, "not run", width, json)?;
                ended.add(name, &why, is_one);
                continue;
            }
            let (syncs, run_options, run_of) = (self.syncs.clone(), options.clone(), definition.clone());
            let run = async move { Box::pin(syncs.run_with(&run_of, &run_options)).await };
            let Watched { result, is_stopped } = self.watch(Some(&name), run).await?;
            match result {
                Ok(report) => {
                    let error = error_text(&report);
                    self.print_report(&report, error.as_deref(), width, json)?;
                    ended.has_partial |= report.status == Status::Partial;
                    if report.status == Status::Error {
                        ended.add(name, error.as_deref().unwrap_or("it ended in error"), is_one);
                    }
                }
                Err(error) => {
                    let why = self.session.failure_of_sync(&definition, &error).to_string();
                    self.print_not_begun(&name, &why, Status::Error.name(), width, json)?;
                    ended.add(name, &why, is_one);
                }
            }
            if is_stopped {
                return Err(Failure::Stopped);
            }
        }
        match (ended.why.is_empty(), ended.has_partial) {
            (true, false) => Ok(Completion::Done),
            (true, true) => Ok(Completion::RowsSkipped),
            (false, _) => Err(Failure::Failed(ended.why.join("\n"))),
        }
    }

    fn print_report(&mut self, report: &RunReport, error: Option<&str>, width: usize, json: bool) -> Result<()> {
        for note in &report.notes {
            self.console.say(&format!("{}: {note}", report.sync));
        }
        if json {
            return self.output.json(&RunLine::new(report, error));
        }
        let (name, status) = (&report.sync, report.status.name());
        self.output.say(format_args!("{name:width$}  {status:10}  {}; {}", changes_text(&report.changes), fates_text(report)))
    }

    fn print_not_begun(&mut self, name: &str, why: &str, status: &str, width: usize, json: bool) -> Result<()> {
        if json {
            return self.output.json(&RunLine::not_begun(name, why));
        }
        // Why stands below, at the end.
        self.output.say(format_args!("{name:width$}  {status}"))
    }
}

impl Ended {
    fn add(&mut self, name: String, why: &str, is_one: bool) {
        self.why.push(if is_one { why.to_owned() } else { format!("{name}: {why}") });
        self.failed.push(name);
    }
}
