//! How signals end a statement, in stages.
//!
//! In: signals, and the time that each stage has. Out: [`EndStep`]s for whoever executes the statement. The first signal has its runs settle what
//! is in flight and end, so that the four counts are as certain as they can be. A second one, or [`ANSWERS_WITHIN`] without answers, has them
//! count what is in flight as in doubt, and end with their evidence written. After a third one, or [`EVIDENCE_WITHIN`], the statement is dropped.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{runs::RunMark, session::Session};
use crate::terminal::{console::Console, interrupt::Interrupts, progress::RunView};

/// How long a statement that was stopped waits for answers to what is in flight: less than the ten seconds after which a container is killed.
const ANSWERS_WITHIN: Duration = Duration::from_secs(7);
/// How long evidence is then written.
pub(crate) const EVIDENCE_WITHIN: Duration = Duration::from_secs(5);
/// How long a statement that is dropped may take to remove what it has half written.
pub(crate) const DROPPED_WITHIN: Duration = Duration::from_secs(1);

/// How far a statement was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    /// What is in flight is waited for until then.
    Settling(Instant),
    /// Evidence is written until then.
    Aborting(Instant),
}

/// What is to be done with a statement now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndStep {
    /// It sends nothing more, and waits for answers.
    Stop,
    /// Its runs were told to wait for nothing, and to write their evidence.
    Abort,
    /// It is dropped, whatever it does. `is_running`: with runs that have not ended.
    Drop { is_running: bool },
}

/// The ending of one statement.
#[derive(Debug)]
pub(crate) struct Ending {
    last_run: RunMark,
    stage: Stage,
}

impl Ending {
    /// For a statement whose runs come after `last_run`.
    pub(crate) fn of_runs_after(last_run: RunMark) -> Self {
        Self { last_run, stage: Stage::Running }
    }

    /// Whether a signal has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.stage != Stage::Running
    }

    /// Waits for a signal, or for the end of the time that the stage has.
    pub(crate) async fn next(&self, interrupts: &mut Interrupts) {
        match self.stage {
            Stage::Running => interrupts.next().await,
            Stage::Settling(until) | Stage::Aborting(until) => {
                tokio::select! {
                    () = interrupts.next() => {}
                    () = sleep_until(until) => {}
                }
            }
        }
    }

    /// The step after [`Self::next`].
    pub(crate) fn advance(&mut self, session: &Session, console: &mut Console) -> EndStep {
        let is_running = session.runs_after(&self.last_run).iter().any(RunView::is_running);
        match self.stage {
            Stage::Running => {
                if is_running {
                    console.say("stopping: what is in flight is waited for, no further rows are sent. Ctrl-C again drops it");
                }
                self.refuse(is_running);
                EndStep::Stop
            }
            Stage::Settling(_) if is_running => {
                session.abort_runs_after(&self.last_run);
                self.stage = Stage::Aborting(Instant::now() + EVIDENCE_WITHIN);
                EndStep::Abort
            }
            Stage::Settling(_) | Stage::Aborting(_) => EndStep::Drop { is_running },
        }
    }

    /// A confirmation was refused by a signal: the statement ends by itself, within the time of answers.
    pub(crate) fn refuse(&mut self, is_running: bool) {
        self.stage = Stage::Settling(Instant::now() + if is_running { ANSWERS_WITHIN } else { DROPPED_WITHIN });
    }
}
