//! What the statements of a session wrote: its runs, their failed rows and warnings, of all of its accounts.
//!
//! In: a session, a moment of it. Out: what came after. Each account counts its runs by itself, so that a moment is a number for each of them.

use super::session::Session;
use crate::{config::OpenAccount, terminal::progress::RunView};
use datafusion_clevertap::{
    Account, FailedRow, Run,
    runs::{RunWarning, Status},
};

/// The last run of each account at a moment; by default, none.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunMark(Vec<u64>);

/// A warning, and whose it is: two accounts may have the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountWarning {
    account: usize,
    warning: RunWarning,
}

impl Session {
    /// The runs that began after `last`, oldest first.
    pub(crate) fn runs_after(&self, last: &RunMark) -> Vec<RunView> {
        let mut runs: Vec<(&OpenAccount, Run)> = self.each_after(last, Account::runs, |run| run.run_id).collect();
        runs.sort_by_key(|(_, run)| run.started_at);
        runs.into_iter().map(|(account, run)| RunView::new(&account.name, run)).collect()
    }

    /// What the accounts have that belongs to runs after `last`.
    fn each_after<T>(
        &self,
        last: &RunMark,
        all: impl Fn(&Account) -> Vec<T>,
        run_id: impl Fn(&T) -> u64,
    ) -> impl Iterator<Item = (&OpenAccount, T)> {
        let numbered = self.accounts.open.iter().enumerate();
        numbered.flat_map(move |(at, account)| {
            let last = last.0.get(at).copied().unwrap_or_default();
            let later: Vec<_> = all(&account.account).into_iter().filter(|one| run_id(one) > last).map(|one| (account, one)).collect();
            later
        })
    }

    /// The rows of the runs after `last` that were not accepted.
    pub(crate) fn failed_after(&self, last: &RunMark) -> Vec<FailedRow> {
        self.each_after(last, Account::failed_rows, |row| row.run_id).map(|(_, row)| row).collect()
    }

    /// The last runs there are.
    pub(crate) fn last_run(&self) -> RunMark {
        let last = |account: &OpenAccount| account.account.runs().iter().map(|run| run.run_id).max().unwrap_or_default();
        RunMark(self.accounts.open.iter().map(last).collect())
    }

    /// The warnings of all statements so far that are not among `told`; which are added to it.
    pub(crate) fn warnings_beside(&self, told: &mut Vec<AccountWarning>, is_due: impl Fn(&RunWarning) -> bool) -> Vec<RunWarning> {
        let of_account = |(account, open): (usize, &OpenAccount)| {
            open.account.warnings().into_iter().map(move |warning| AccountWarning { account, warning }).collect::<Vec<_>>()
        };
        let mut found: Vec<AccountWarning> = self.accounts.open.iter().enumerate().flat_map(of_account).collect();
        found.retain(|found| is_due(&found.warning) && !told.contains(found));
        told.extend(found.iter().cloned());
        found.into_iter().map(|found| found.warning).collect()
    }

    /// Has the running ones of the runs after `last` settle what is in flight and end; returns their number.
    pub(crate) fn stop_runs_after(&self, last: &RunMark) -> usize {
        self.end_runs_after(last, Account::stop)
    }

    /// The same, with what is in flight in doubt.
    pub(crate) fn abort_runs_after(&self, last: &RunMark) {
        self.end_runs_after(last, Account::abort);
    }

    fn end_runs_after(&self, last: &RunMark, end: impl Fn(&Account, u64) -> bool) -> usize {
        let runs = self.each_after(last, Account::runs, |run| run.run_id);
        runs.filter(|(account, run)| run.status == Status::Running && end(&account.account, run.run_id)).count()
    }
}
