//! What a store or the library says, in words: the place, the problem, a remedy. No value of a row.
//!
//! In: an error of `object_store`, `parquet` or `deltalake-core`. Out: one of this crate.

use std::error::Error as Cause;

use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::{CommitConflictError, TransactionError};

use super::place::{Place, cut};
use super::store::LOG_FOLDER;
use crate::error::Error;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Reading,
    Writing,
}

/// The store did not give or take the file `below`.
pub(super) fn of_store(place: &Place, below: &str, doing: Doing, error: &object_store::Error) -> Error {
    use object_store::Error as Store;
    let cause = innermost(error);
    let verb = if doing == Doing::Reading { "give" } else { "take" };
    let remedy = match error {
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            "give the session's credentials the right to list, read, write and delete in this folder"
        }
        Store::NotFound { .. } => "look whether the folder or bucket is there",
        _ => "when the store is well again, run the sync again: nothing that it remembers is lost",
    };
    Error::Storage(format!("the ledger {}: the store did not {verb} {below}: {cause}; {remedy}", place.shown()))
}

/// The store cannot create a file only where there is none.
pub(super) fn no_conditional_writes(place: &Place, cause: &str) -> Error {
    Error::Storage(format!(
        "the ledger {}: its store refuses conditional writes (a file that is created only if it is absent){cause}, by which two runs are kept \
         apart; put the ledger on a disk, or into a bucket of S3, Google Cloud Storage, Azure, R2 or MinIO, with aws_conditional_put = \"etag\"",
        place.shown()
    ))
}

/// A file that is not as this crate wrote it.
pub(super) fn damaged(place: &Place, below: &str, problem: &str) -> Error {
    let remedy = match below.split('/').next() {
        Some("rows" | "runs" | "dead_letters") if below.contains(LOG_FOLDER) => {
            "put it back from a copy; or move the folder of this table away, and begin anew without what it remembered"
        }
        Some("rows" | "dead_letters") => "put it back from a copy, or reset the sync, which then sends all of its source",
        Some("in_flight") => "put it back from a copy, or reset the sync; what of this chunk arrived is known to CleverTap alone",
        Some("runs") => "put it back from a copy, or move the folder runs/ away: it is the history alone",
        Some("leases") => "if no run of this sync is under way, remove that file",
        _ => "put it back from a copy",
    };
    Error::Ledger(format!("the ledger {}: {below} {problem}. Nothing was changed; {remedy}", place.shown()))
}

/// The error of a file of rows.
pub(super) fn of_rows(place: &Place, below: &str, error: &(dyn Cause + 'static)) -> Error {
    match cause_of::<object_store::Error>(error) {
        Some(object_store::Error::NotFound { .. }) => damaged(place, below, "is missing, and the log names it"),
        None => damaged(place, below, &format!("is damaged: {}", innermost(error))),
        Some(store) => of_store(place, below, Doing::Reading, store),
    }
}

/// The error of a commit or a log, if no file of it is known to be damaged.
pub(super) fn of_log(place: &Place, table: &str, doing: Doing, error: &DeltaTableError) -> Error {
    match cause_of::<object_store::Error>(error) {
        Some(store) => of_store(place, &format!("{table}/"), doing, store),
        None => damaged(place, &format!("{table}/_delta_log/"), &format!("cannot be understood: {}", innermost(error))),
    }
}

/// Whether another commit came first.
pub(crate) fn is_conflict(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::VersionAlreadyExists(_)
                    | TransactionError::MaxCommitAttempts(_)
                    | TransactionError::CommitConflict(
                        CommitConflictError::ConcurrentAppend
                            | CommitConflictError::ConcurrentDeleteRead
                            | CommitConflictError::ConcurrentDeleteDelete
                            | CommitConflictError::ConcurrentTransaction
                    )
            }
    )
}

/// An error of this crate, for DataFusion's streams.
pub(super) fn travelling(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The first of this kind among an error and its causes.
pub(crate) fn cause_of<'e, E: Cause + 'static>(error: &'e (dyn Cause + 'static)) -> Option<&'e E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        if let Some(boxed) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && let Some(found) = cause_of::<E>(boxed)
        {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// The last cause.
pub(crate) fn innermost(error: &(dyn Cause + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cut(cause.to_string().lines().next().unwrap_or_default())
}
