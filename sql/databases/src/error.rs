//! What can go wrong with a database, by who must act.
//!
//! In: a place and the shape of a problem. Out: one sentence that stands alone, its remedy last, and a code that never changes. No value of a
//! cell, no password: columns by name, rows by number, and of a server's own words only those that hold no data.

use datafusion::error::DataFusionError;
use thiserror::Error;

/// An error of this crate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is wrong; the operator corrects it.
    #[error("{0} [DB-101]")]
    Setting(String),
    /// The statement cannot be planned; its author changes it.
    #[error("{0} [DB-201]")]
    Statement(String),
    /// A value does not fit its column; the author of the data, or of the statement, changes it. The target is as before.
    #[error("{0} [DB-202]")]
    Value(String),
    /// A value of the database has no form here; the statement leaves it out, or changes its form.
    #[error("{0} [DB-203]")]
    Unreadable(String),
    /// The database refused the credentials; the operator corrects them.
    #[error("{0} [DB-301]")]
    Unauthorized(String),
    /// The database could not be reached, or went away. The target of a write is as before.
    #[error("{0} [DB-302]")]
    Unavailable(String),
    /// The database refused what it was asked. The target of a write is as before.
    #[error("{0} [DB-303]")]
    Refused(String),
    /// The answer to the last step of a write was lost; the author looks at the target.
    #[error("{0} [DB-401]")]
    InDoubt(String),
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The code that never changes, `DB-nnn`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setting(_) => "DB-101",
            Self::Statement(_) => "DB-201",
            Self::Value(_) => "DB-202",
            Self::Unreadable(_) => "DB-203",
            Self::Unauthorized(_) => "DB-301",
            Self::Unavailable(_) => "DB-302",
            Self::Refused(_) => "DB-303",
            Self::InDoubt(_) => "DB-401",
        }
    }

    /// The error of this crate in one of DataFusion, if there is one.
    #[must_use]
    pub fn find(error: &DataFusionError) -> Option<&Self> {
        let mut error: &(dyn std::error::Error + 'static) = error;
        loop {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            // An error that is shared has itself for a source, and its inner one is behind the pointer.
            error = match error.downcast_ref::<DataFusionError>() {
                Some(DataFusionError::External(inner)) => inner.as_ref(),
                Some(DataFusionError::Shared(inner)) => inner.as_ref(),
                _ => error.source()?,
            };
        }
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Setting(_) => Self::Configuration(error.to_string()),
            Error::Statement(_) => Self::Plan(error.to_string()),
            _ => Self::External(Box::new(error)),
        }
    }
}

/// What was being done, and so what an error may say of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Reading,
    Writing,
}

impl Doing {
    /// What became of the target, at a sentence's end.
    pub(crate) fn effect(self) -> &'static str {
        if self == Self::Writing { ". Nothing was changed" } else { "" }
    }
}

/// A name as it is shown in a message: cut to a line's length, without control characters.
pub(crate) fn shown(name: &str) -> String {
    const CHARS_MAX: usize = 80;
    let line: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect();
    if name.chars().nth(CHARS_MAX).is_some() { line + "…" } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_found_where_datafusion_keeps_it() {
        let error = || DataFusionError::from(Error::Value("shop.t, row 3: too long".into()));
        assert_eq!(Error::find(&error()).map(Error::code), Some("DB-202"));
        let shared = DataFusionError::Shared(std::sync::Arc::new(error().context("a stream")));
        assert_eq!(Error::find(&shared).map(Error::code), Some("DB-202"));
        assert!(Error::find(&DataFusionError::Plan(String::new())).is_none());
    }

    #[test]
    fn a_name_is_shown_on_one_line() {
        assert_eq!(shown("a\nb"), "a b");
        assert_eq!(shown(&"é".repeat(90)).chars().count(), 81);
    }
}
