//! Syncs out of CleverTap: a window of its events, or what it reports, to where it is kept.
//!
//! In: a definition whose `into` is no table of CleverTap. Out: rows in a Delta table, a folder of Parquet, or any table of the session; and what
//! of CleverTap was read by then.
//!
//! ```text
//! query     a definition, planned up to its window
//! run ─┬─▶ past      what earlier runs left: a cursor, a window that is not done
//!      ├─▶ window    $from, $to, $run_at
//!      ├─▶ spool     all rows, on the disk, before the first is written
//!      └─▶ target ─┬─▶ delta     rows and cursor are one commit
//!                  ├─▶ parquet   one file a window, which takes the place of that before
//!                  └─▶ table     an INSERT, INSERT OVERWRITE or REPLACE INTO of the session
//! ```
//!
//! `types`: columns as they are kept. What of a definition is for this direction stands in `definition/outward`.
//!
//! A source that fails, or an export that CleverTap ends before its end, has written nothing: that is known before a target is touched. What is
//! not known is whether rows arrived that were under way when a process was killed. A Delta table says so itself. A file, a replace and an upsert
//! are repeated. Rows that were added to any other table are in doubt, and the sync is held until somebody looked.

mod delta;
mod merge;
mod parquet;
mod past;
mod query;
mod run;
mod spool;
mod table;
mod target;
mod types;
pub(crate) mod window;

use datafusion::prelude::SessionContext;

pub(crate) use past::forget_cursor;
pub(crate) use run::{plan, preview, run};

use crate::definition::Definition;
use crate::definition::outward::is_place;

/// Whether a sync leads out of CleverTap: to a place, or to a table of the session that is none of CleverTap's. A name that nobody has is looked
/// for in CleverTap.
pub(crate) async fn goes_out(ctx: &SessionContext, definition: &Definition) -> bool {
    if is_place(&definition.into) {
        return true;
    }
    let found = ctx.table_provider(definition.into.as_str()).await;
    found.is_ok_and(|table| datafusion_clevertap::account_of(table.as_ref()).is_none())
}
