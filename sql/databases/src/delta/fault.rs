//! What the library says, in words, without a value of a row.
//!
//! In: an error of `deltalake-core`, which may show the rows that it is about. Out: one of this crate.

use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::{CommitConflictError, TransactionError};

use super::place::LOG_FOLDER;
use crate::error::{Doing, Error, shown};

/// The error of a table.
pub(super) fn fault(table: &str, doing: Doing, error: &DeltaTableError) -> Error {
    let effect = doing.effect();
    match error {
        DeltaTableError::Transaction { source } => of_transaction(table, effect, source),
        DeltaTableError::VersionAlreadyExists(_) => conflict(table, effect),
        DeltaTableError::ObjectStore { source } => of_store(table, effect, source),
        DeltaTableError::NotATable(_) => Error::Statement(format!("{table} is no Delta table: there is no {}/ in it", LOG_FOLDER)),
        DeltaTableError::InvalidVersion(version) => Error::Statement(format!(
            "{table}: version {version} is not there, or its log has been cleaned up; leave OPTIONS (version …) out for the latest"
        )),
        DeltaTableError::InvalidData { .. } => broken_check(table),
        DeltaTableError::UnsupportedColumnMapping { .. } => Error::Statement(format!(
            "{table}: its columns are mapped to other names (delta.columnMapping), which this statement cannot do{effect}"
        )),
        DeltaTableError::GenericError { source } => match source.downcast_ref::<DeltaTableError>() {
            Some(inner) => fault(table, doing, inner),
            None => other(table, effect, &source.to_string()),
        },
        // It has no kind of its own for a row that breaks what the table demands.
        DeltaTableError::Generic(text) if text.contains("Invalid data found") => broken_check(table),
        error => match innermost_store(error) {
            Some(store) => of_store(table, effect, store),
            None => other(table, effect, &error.to_string()),
        },
    }
}

/// The error of a plan over a table, which is read.
pub(super) fn of_plan(table: &str, error: DataFusionError) -> DataFusionError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref::<DeltaTableError>() {
            return fault(table, Doing::Reading, found).into();
        }
        cause = inner.source();
    }
    error
}

fn of_transaction(table: &str, effect: &str, error: &TransactionError) -> Error {
    match error {
        TransactionError::UnsupportedTableFeatures(features) => {
            let names: Vec<_> = features.iter().map(ToString::to_string).collect();
            Error::Statement(format!("{table} has features that are not supported here: {}{effect}", shown(&names.join(", "))))
        }
        TransactionError::TableFeaturesRequired(feature) => {
            Error::Statement(format!("{table} lacks the feature {feature}, which these columns need{effect}"))
        }
        TransactionError::DeltaTableAppendOnly => {
            Error::Refused(format!("{table} takes INSERT INTO alone: its property delta.appendOnly is true{effect}"))
        }
        TransactionError::CommitConflict(CommitConflictError::MetadataChanged | CommitConflictError::ProtocolChanged(_)) => Error::Refused(
            format!("{table}: another writer changed its columns or its properties meanwhile{effect}; run the statement again"),
        ),
        TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_) | TransactionError::VersionAlreadyExists(_) => {
            conflict(table, effect)
        }
        TransactionError::ObjectStore { source } => of_store(table, effect, source),
        error => other(table, effect, &error.to_string()),
    }
}

fn conflict(table: &str, effect: &str) -> Error {
    Error::Refused(format!("{table}: another writer changed rows that this statement stands on{effect}; run the statement again"))
}

fn broken_check(table: &str) -> Error {
    Error::Value(format!(
        "{table}: a row of the source breaks a CHECK constraint, an invariant or a generated column of the table. Nothing was changed; \
         the table's properties delta.constraints.… say what holds"
    ))
}

fn of_store(table: &str, effect: &str, error: &object_store::Error) -> Error {
    let cause = innermost(error);
    match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            Error::Unauthorized(format!("{table}: the store refused the credentials{effect}"))
        }
        // Its path may hold values of partitions.
        object_store::Error::NotFound { .. } => Error::Unavailable(format!(
            "{table}: a file of it is not there{effect}. VACUUM may have removed it meanwhile; run the statement again"
        )),
        _ => Error::Unavailable(format!("{table}: the store failed: {cause}{effect}")),
    }
}

/// What the library says of the rest: a line, up to what may be a value.
fn other(table: &str, effect: &str, text: &str) -> Error {
    let line = text.lines().next().unwrap_or_default();
    let words = line.split(|c: char| "'\"`".contains(c) || c.is_ascii_digit()).next().unwrap_or_default();
    let more = if words.len() < line.len() { "…" } else { "" };
    Error::Refused(format!("{table}: {}{more}{effect}", long(words)))
}

fn long(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect()
}

fn innermost_store<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e object_store::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<object_store::Error>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// The last cause: outer ones repeat paths, which may hold values of partitions.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    long(cause.to_string().lines().next().unwrap_or_default())
}
