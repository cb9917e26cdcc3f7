//! Who left the source of a mirror, and whether so many may.
//!
//! In: what a comparison found, how the last run ended. Out: nobody, people to remove, or people of whom only that is remembered: the first run of
//! a mirror is a baseline, since who left before it may have left for another reason.

use super::baseline::BASELINE;
use super::compare::Compared;
use super::prepared::{Prepared, Removals};
use super::remove::{Left, Removed, keys_of, note, remove};
use crate::definition::{Mode, OnRemoved};
use crate::error::{Error, Result};
use crate::ledger::{Lease, Ledger};
use crate::report::{RunReport, Status};

/// What is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// They are counted, in each run anew.
    Count,
    /// They are remembered as removed, and stay.
    Note,
    Remove,
}

/// Who left.
#[derive(Debug)]
pub(super) struct Leavers {
    way: Way,
    keys: Vec<Left>,
    known: u64,
}

impl Removals {
    /// Rows of one request of a removal.
    pub(super) fn rows_a_request(&self) -> u64 {
        match self.on_removed {
            OnRemoved::Delete => 100,
            _ => 1_000,
        }
    }
}

/// Whether a run before knew who was in the source.
fn follows_a_mirror(runs: &[RunReport]) -> bool {
    let last = runs.iter().find(|run| matches!(run.status, Status::Successful | Status::Partial));
    last.is_some_and(|run| run.mode == Mode::Mirror.name() || run.mode == BASELINE)
}

impl Leavers {
    pub(super) async fn of(compared: &Compared, prepared: &Prepared, ledger: &Ledger, sync: &str) -> Result<Self> {
        let known = compared.known;
        if prepared.removals.on_removed == OnRemoved::Ignore || compared.left.is_empty() {
            return Ok(Self { way: Way::Count, keys: Vec::new(), known });
        }
        let way = match prepared.removals.removes_at_first || follows_a_mirror(&ledger.runs(Some(sync)).await?) {
            true => Way::Remove,
            false => Way::Note,
        };
        Ok(Self { way, keys: keys_of(ledger, sync, &compared.left).await?, known })
    }

    /// How many are removed.
    pub(super) fn to_remove(&self) -> u64 {
        if self.way == Way::Remove { self.keys.len() as u64 } else { 0 }
    }

    /// # Errors
    /// [`Error::Guard`] if more are to be removed than the definition allows.
    pub(super) fn guard(&self, prepared: &Prepared) -> Result<()> {
        let (removed, max) = (self.to_remove(), prepared.removals.removed_max);
        if max.allows(removed, self.known) {
            return Ok(());
        }
        Err(Error::Guard(format!(
            "{removed} of {} who were sent have left the source, and max_removed is {max}; nothing was sent. If they are to be removed, run it with a \
             greater max_removed",
            self.known
        )))
    }

    /// What is not what one might expect.
    pub(super) fn told(&self) -> Option<String> {
        (self.way == Way::Note).then(|| {
            format!(
                "{} have left the source, and stay: this is the first run as a mirror, and those after it remove who leaves (removes_at_first does at once)",
                self.keys.len()
            )
        })
    }

    /// # Errors
    /// The ledger's.
    pub(super) async fn settle(self, prepared: &Prepared, ledger: &Ledger, lease: &Lease, run_id: &str) -> Result<Removed> {
        match self.way {
            Way::Count => Ok(Removed::default()),
            Way::Note => note(&self.keys, ledger, lease, run_id).await.map(|()| Removed::default()),
            Way::Remove => remove(prepared, &self.keys, ledger, lease, run_id).await,
        }
    }
}
