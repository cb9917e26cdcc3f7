//! A source that is remembered as it is, as if it had been sent.
//!
//! In: a definition. Out: its rows in the ledger; nothing leaves. All of the source is read, and its keys are looked at, before the ledger has a
//! row of it.

use arrow::array::AsArray;
use chrono::Utc;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use super::compare::{compare, hash};
use super::lists::compare_lists;
use super::prepared::Prepared;
use super::send::COMMIT_ROWS;
use super::{new_report, same_target};
use crate::definition::{Definition, Mode, RunOptions};
use crate::error::Result;
use crate::ledger::{Lease, Ledger, LedgerRows, RowFate};
use crate::report::{Changes, Status, new_run_id};
use crate::source::HIDDEN;

/// What its run is called: the next run of a mirror goes on from it.
pub(super) const BASELINE: &str = "baseline";

pub(super) async fn baseline(ctx: &SessionContext, ledger: &Ledger, definition: &Definition) -> Result<u64> {
    let mut prepared = Prepared::new(ctx, definition, &RunOptions::default()).await?;
    prepared.rules.mode = Mode::Full;
    same_target(&prepared, ledger, &definition.name).await?;
    ledger
        .under_lease(&definition.name, async |lease| {
            let started_at = Utc::now();
            let run_id = new_run_id(started_at);
            let (changes, remembered) = match prepared.is_of_lists {
                true => {
                    let compared = compare_lists(&prepared, ledger, &definition.name).await?;
                    (compared.changes, compared.remember_as_sent(ledger, lease, &run_id).await?)
                }
                false => of_rows(&prepared, ledger, lease, &run_id).await?,
            };
            let mut report = new_report(&prepared, &definition.name, run_id, started_at);
            BASELINE.clone_into(&mut report.mode);
            (report.changes, report.status, report.finished_at) = (changes, Status::Successful, Some(Utc::now()));
            ledger.put_run(lease, &report).await?;
            Ok(remembered)
        })
        .await
}

async fn of_rows(prepared: &Prepared, ledger: &Ledger, lease: &Lease, run_id: &str) -> Result<(Changes, u64)> {
    let compared = compare(prepared, ledger, lease.sync()).await?;
    let mut batches = (compared.open)()?;
    let (mut rows, mut remembered) = (LedgerRows::new(), 0);
    while let Some(batch) = batches.try_next().await? {
        let at = batch.num_columns() - HIDDEN;
        let keys = batch.column(at).as_string::<i32>();
        let (key_hashes, payloads) = (batch.column(at + 1).as_fixed_size_binary(), batch.column(at + 2).as_fixed_size_binary());
        for row in 0..batch.num_rows() {
            rows.push(keys.value(row), &hash(key_hashes.value(row))?, &hash(payloads.value(row))?, RowFate::Accepted, None, false);
        }
        remembered += batch.num_rows() as u64;
        if rows.len() >= COMMIT_ROWS {
            ledger.append_rows(lease, run_id, std::mem::take(&mut rows), Utc::now()).await?;
        }
    }
    ledger.append_rows(lease, run_id, rows, Utc::now()).await?;
    Ok((compared.changes, remembered))
}
