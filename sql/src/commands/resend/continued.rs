//! Failed rows of loads that were gone on with: their unsent rows are in the hands of the later run.

use std::collections::HashMap;

use datafusion_clevertap::runs::RunLog;

/// The last run of each load that was gone on with, by the earlier ones.
#[derive(Debug, Default)]
pub(super) struct Continued<'a>(HashMap<&'a str, &'a RunLog>);

/// What the later run did with an unsent row of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Later {
    /// It settled the row.
    Done,
    /// It has not come to the row, or left it unsent, and can be gone on with itself.
    Left,
    /// It was killed, and may have sent the row.
    Lost,
}

impl<'a> Continued<'a> {
    pub(super) fn of(runs: &'a [RunLog]) -> Self {
        let mut last: HashMap<&str, &RunLog> = HashMap::new();
        for run in runs {
            // Those before it are continued by it, too.
            let mut earlier = run.continues.as_deref();
            while let Some(uid) = earlier {
                last.insert(uid, run);
                earlier = runs.iter().find(|run| run.run_uid == uid).and_then(|run| run.continues.as_deref());
            }
        }
        Self(last)
    }

    /// What became of an unsent row of a run that was gone on with; `None` if it was not.
    pub(super) fn later(&self, run: &str, row: u64) -> Option<Later> {
        let last = self.0.get(run)?;
        Some(match last {
            _ if last.settled.iter().any(|(first, end)| (*first..=*end).contains(&row)) => Later::Done,
            RunLog { complete: true, .. } => Later::Done,
            RunLog { ended: true, .. } | RunLog { running: true, .. } => Later::Left,
            _ => Later::Lost,
        })
    }
}
