//! A run while it is watched: its progress, and signals.
//!
//! In: a run. Out: what it ended with. A signal has the statement that sends settle what is in flight and end, as everywhere, and the run writes
//! down what is settled; a run that sends nothing yet is dropped. So is one that does not end in time, which is safe: what was under way is
//! written down before it leaves, and the next run settles it.

use datafusion::common::runtime::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::SyncWork;
use crate::{
    engine::ending::{DROPPED_WITHIN, EndStep, Ending},
    failure::{Failure, Result},
    terminal::console::{Counts, TICK},
};
use datafusion_clevertap_sync::Error;

/// A run that ended by itself.
pub(super) struct Watched<T> {
    pub(super) result: Result<T, Error>,
    /// Whether a signal had it end.
    pub(super) is_stopped: bool,
}

impl SyncWork<'_> {
    /// Waits for the end of `run`; `name` is the sync that has to be told of if it is dropped.
    ///
    /// # Errors
    /// [`Failure::Stopped`] for one that was dropped, [`Failure::Failed`] for a panic.
    pub(super) async fn watch<T: Send + 'static>(
        &mut self,
        name: Option<&str>,
        run: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<Watched<T>> {
        let last_run = self.session.last_run();
        let mut told = Vec::new();
        self.session.warnings_beside(&mut told, |_| true);
        self.console.begin();
        // A set of one: it can be dropped and waited for.
        let mut execution = JoinSet::new();
        execution.spawn(run);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut ending = Ending::of_runs_after(last_run.clone());
        let ended = loop {
            tokio::select! {
                biased;
                () = ending.next(&mut self.interrupts) => match ending.advance(&self.session, self.console) {
                    EndStep::Stop if self.session.stop_runs_after(&last_run) > 0 => {}
                    EndStep::Abort => {}
                    EndStep::Stop | EndStep::Drop { .. } => {
                        execution.abort_all();
                        // One that computes does not hear of it.
                        timeout(DROPPED_WITHIN, execution.join_next()).await.ok();
                        self.console.end(&[], Counts::Printed);
                        if let Some(name) = name {
                            let rest = "what was settled is written down, and its next run settles the rest";
                            self.console.say(&format!("{name} was dropped: {rest}"));
                        }
                        break Err(Failure::Stopped);
                    }
                },
                Some(ended) = execution.join_next() => {
                    let is_stopped = ending.has_begun();
                    break ended.map(|result| Watched { result, is_stopped }).map_err(|_| Failure::by_panic());
                }
                _ = ticks.tick() => {
                    self.console.note(&self.session.take_file_notes());
                    self.console.progress(&self.session.runs_after(&last_run), self.session.files_progress());
                }
            }
        };
        self.console.end(&[], Counts::Printed);
        self.console.note(&self.session.take_file_notes());
        self.console.warn(&self.session.warnings_beside(&mut told, |_| true));
        ended
    }
}
