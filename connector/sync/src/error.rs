//! What can go wrong with a sync, by who must act.
//!
//! In: a place and the shape of a problem. Out: one sentence that stands alone, its remedy last, and a code that never changes. No value of a
//! row: keys are shown as hashes.

use datafusion::error::DataFusionError;
use thiserror::Error;

/// An error of this crate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The definition is wrong; its author corrects it.
    #[error("{0} [SY-101]")]
    Definition(String),
    /// The source is not what it must be: keys that repeat, no rows, too many removals. Nothing was sent.
    #[error("{0} [SY-201]")]
    Guard(String),
    /// Another run holds the sync, or took it over.
    #[error("{0} [SY-301]")]
    Held(String),
    /// The ledger did not take a file, or did not give it back.
    #[error("{0} [SY-302]")]
    Storage(String),
    /// The ledger is not what this version wrote: damaged, or of a newer one.
    #[error("{0} [SY-303]")]
    Ledger(String),
    /// The query, or the write, ended with this error. A database's or a function's own words may hold a value: they are told to who runs it,
    /// and not kept.
    #[error("{text}")]
    Query {
        /// All of it.
        text: String,
        /// What of it is kept: the connector's code and counts.
        kept: String,
    },
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The code that never changes, `SY-nnn`; of a query's error none of ours.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Definition(_) => Some("SY-101"),
            Self::Guard(_) => Some("SY-201"),
            Self::Held(_) => Some("SY-301"),
            Self::Storage(_) => Some("SY-302"),
            Self::Ledger(_) => Some("SY-303"),
            Self::Query { .. } => None,
        }
    }

    /// What the ledger keeps of it, for years and for whoever reads it.
    pub(crate) fn to_keep(&self) -> String {
        match self {
            Self::Query { kept, .. } => kept.clone(),
            own => own.to_string(),
        }
    }

    /// The error of a query that is none of ours.
    pub(crate) fn of_query(error: &DataFusionError) -> Self {
        let found = datafusion_clevertap::Error::find(error);
        let kept = found.map_or_else(|| "the query ended with an error, which who ran it was told".to_owned(), kept);
        Self::Query { text: error.strip_backtrace(), kept }
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        error_of(&error)
    }
}

impl From<datafusion_clevertap::Error> for Error {
    fn from(error: datafusion_clevertap::Error) -> Self {
        Self::Query { text: error.to_string(), kept: kept(&error) }
    }
}

/// Code and counts.
fn kept(error: &datafusion_clevertap::Error) -> String {
    let code = error.code();
    match error.tally() {
        Some(tally) => format!("the statement ended with {code}: {tally}"),
        None => format!("the statement was refused with {code}"),
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::from(DataFusionError::from(error))
    }
}

/// An error of this crate that travelled through DataFusion, as a stream of [`crate::ledger::Ledger::rows`] does it; any other as [`Error::Query`].
#[must_use]
pub fn error_of(error: &DataFusionError) -> Error {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(own) = cause.downcast_ref::<Error>() {
            return own.again();
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => return Error::of_query(error),
        }
    }
}

impl Error {
    /// The same once more.
    fn again(&self) -> Self {
        match self {
            Self::Definition(text) => Self::Definition(text.clone()),
            Self::Guard(text) => Self::Guard(text.clone()),
            Self::Held(text) => Self::Held(text.clone()),
            Self::Storage(text) => Self::Storage(text.clone()),
            Self::Ledger(text) => Self::Ledger(text.clone()),
            Self::Query { text, kept } => Self::Query { text: text.clone(), kept: kept.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_query_keeps_its_words_and_one_of_ours_its_code() {
        let query = Error::from(DataFusionError::Plan("no such column".into()));
        assert!(query.code().is_none() && query.to_string().contains("no such column"));
        let ours = DataFusionError::External(Box::new(Error::Ledger("rows/1.parquet is damaged".into())));
        assert_eq!(Error::from(ours.context("a scan")).code(), Some("SY-303"));
    }
}
