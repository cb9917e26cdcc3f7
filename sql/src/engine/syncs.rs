//! [`Syncs`] over a session.
//!
//! In: a session, where the ledger is, definitions. Out: definitions as they are planned; their failures in words.

use datafusion::common::DataFusionError;

use super::{missing_table, rewrites::rewrite, session::Session};
use crate::failure::{Failure, Result, without_kind};
use datafusion_clevertap::redact::without_values;
use datafusion_clevertap_sync::{Definition, Error, Syncs};

impl Session {
    /// Syncs over this session, whose ledger is at `state`.
    ///
    /// # Errors
    /// The ledger's.
    pub(crate) async fn syncs(&self, state: &str) -> Result<Syncs> {
        Syncs::open(self.context().clone(), state).await.map_err(|error| sync_failure(&error))
    }

    /// The definition as it is planned: its query is read as one of a script is.
    pub(crate) fn prepare(&self, definition: &Definition) -> Definition {
        let mut prepared = definition.clone();
        prepared.query = rewrite(&definition.query).into_owned();
        prepared
    }

    /// The failure of a sync; where its account or a database is not open, with why, and where a table is not there, with the nearest.
    pub(crate) fn failure_of_sync(&self, definition: &Definition, error: &Error) -> Failure {
        let failure = sync_failure(error);
        if !matches!(error, Error::Query { .. } | Error::Definition(_)) {
            return failure;
        }
        let text = format!("INSERT INTO {} {}", definition.into, definition.query);
        match (self.closed_hint(&text), missing_table::hint(self.context(), &text, &DataFusionError::Plan(failure.to_string()))) {
            (Some(hint), _) => Failure::Failed(format!("{failure}\n{hint}")),
            (None, Some(told)) => Failure::Failed(told),
            (None, None) => failure,
        }
    }
}

/// What is said of an error of a sync: without the values of rows that another's words may hold.
pub(crate) fn sync_failure(error: &Error) -> Failure {
    Failure::Failed(match error {
        Error::Query { text, .. } if text.contains("[CT-") => without_kind(text).to_owned(),
        Error::Query { text, .. } => without_values(without_kind(text)),
        own => own.to_string(),
    })
}
