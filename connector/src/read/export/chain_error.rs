//! Why a chain of pages does not go on.
//!
//! In: errors of a page. Out: whether its window can be read again, whether its event is skipped, or the error.

use datafusion::error::DataFusionError;

use crate::error::Error;

/// Why a page could not be fetched.
pub(super) enum ChainError {
    /// The cursor has expired.
    Expired,
    /// CleverTap does not export the event.
    NotExported(Error),
    Other(DataFusionError),
}

impl From<Error> for ChainError {
    fn from(error: Error) -> Self {
        Self::Other(error.into())
    }
}

impl From<DataFusionError> for ChainError {
    fn from(error: DataFusionError) -> Self {
        Self::Other(error)
    }
}

impl ChainError {
    /// The error of a page after the first: the export was taken on, so that a refusal of one page is none of the event.
    pub(super) fn of_page(self) -> Self {
        let Self::Other(error) = self else { return self };
        match Error::find(&error) {
            Some(refused @ Error::Refused(_)) => {
                Error::Unavailable(format!("{} The export is not complete; asked for again, it may be", refused.sentence())).into()
            }
            _ => Self::Other(error),
        }
    }
}
