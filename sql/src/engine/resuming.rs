//! A script that goes on where it had stopped: which of its statements are skipped, and which goes on.
//!
//! In: the log of the run that stopped, the statements. Out: for each that writes, whether it runs. Those before the one that stopped had
//! ended: the first error stops a script.

use super::{
    script::{Statement, StatementKind},
    session::Session,
};
use datafusion_clevertap::runs::{RunContext, RunLog, fingerprint};

/// A script, which may go on with a run.
#[derive(Debug)]
pub(crate) struct Resuming {
    script: String,
    /// The run that stopped, until its statement is reached.
    stopped: Option<RunLog>,
}

/// What becomes of a statement that writes.
#[derive(Debug)]
pub(crate) enum Step {
    /// It had ended before.
    Skip,
    Run(Box<RunContext>),
}

impl Resuming {
    /// A script that begins.
    pub(crate) fn new(statements: &[Statement]) -> Self {
        Self { script: script(statements), stopped: None }
    }

    /// A script that goes on with the last of its runs; `runs` are in their order.
    ///
    /// # Errors
    /// Why it does not, as a sentence.
    pub(crate) fn with(statements: &[Statement], runs: &[RunLog]) -> Result<Self, String> {
        let script = script(statements);
        let Some(last) = runs.iter().rfind(|run| run.script.as_deref() == Some(&script)) else {
            return Err(if runs.is_empty() {
                "nothing is known there of a load that read files; only those can be gone on with".to_owned()
            } else {
                "the loads there are of another script than this one; SET alone may differ".to_owned()
            });
        };
        if last.running {
            return Err(
                "the last load of this script there still runs; wait for its end, or stop it with Ctrl-C, and go on then".to_owned()
            );
        }
        if last.complete {
            return Err("the last load of this script there came to its end; clevertap-sql resend sends what was not accepted".to_owned());
        }
        let is_it = |statement: &&Statement| Session::fingerprint(&statement.text) == last.statement;
        match statements.iter().filter(is_it).count() {
            1 => Ok(Self { script, stopped: Some(last.clone()) }),
            0 => Err("the statement that stopped is not one of this script".to_owned()),
            _ => Err("the statement that stopped stands in the script more than once; run what is left of it by itself".to_owned()),
        }
    }

    /// Adds rows that are not sent, since they were sent otherwise.
    pub(crate) fn leave_out(&mut self, rows: impl Iterator<Item = u64>) {
        if let Some(stopped) = &mut self.stopped {
            stopped.settled.extend(rows.map(|row| (row, row)));
        }
    }

    /// The run that stopped.
    pub(crate) fn stopped(&self) -> Option<&RunLog> {
        self.stopped.as_ref()
    }

    /// What becomes of the next statement that writes.
    pub(crate) fn next(&mut self, statement: &Statement) -> Step {
        let resume = match &self.stopped {
            Some(stopped) if Session::fingerprint(&statement.text) != stopped.statement => return Step::Skip,
            _ => self.stopped.take(),
        };
        Step::Run(Box::new(RunContext { script: Some(self.script.clone()), resume }))
    }
}

impl Step {
    /// What to say of it.
    pub(crate) fn says(&self) -> Option<String> {
        match self {
            Self::Skip => Some("skipped: it had ended before the load stopped".to_owned()),
            Self::Run(context) => {
                let before = context.resume.as_ref()?;
                let settled: u64 = before.settled.iter().map(|(first, last)| last - first + 1).sum();
                let failed = match (before.rejected, before.in_doubt) {
                    (0, 0) => String::new(),
                    (rejected, in_doubt) => {
                        format!(
                            "; of the load so far {rejected} were rejected and {in_doubt} are in doubt, which resend is for (clevertap-sql resend DIR)"
                        )
                    }
                };
                Some(format!("goes on: {settled} rows were settled before, and are not sent again{failed}"))
            }
        }
    }
}

/// The same text for the same script, whatever it sets: a load may go on more slowly, or with more patience.
fn script(statements: &[Statement]) -> String {
    let sets = |statement: &Statement| {
        statement.kind == StatementKind::Read && statement.text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("set "))
    };
    let texts: Vec<&str> = statements.iter().filter(|statement| !sets(statement)).map(|statement| statement.text.as_str()).collect();
    fingerprint(&texts.join(";\n"))
}
