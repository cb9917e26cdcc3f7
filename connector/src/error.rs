//! Everything that can go wrong, by who must act.
//!
//! In: facts that the rooms found out. Out: one sentence that stands alone (DataFusion prints no cause chain), the remedy
//! last, the stable code in brackets. No message holds a value that belongs to a person, and none holds a passcode.

use std::fmt;
use std::sync::Arc;

use datafusion::error::DataFusionError;

use crate::fate::Tally;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One variant for each kind of person who must act.
///
/// A statement that wrote carries its four counts: see [`Error::tally`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operator fixes an option, a flag or the account.
    #[error("{0} [CT-101]")]
    Setting(String),

    /// The operator mends a disk or a bucket: it did not take a file, or did not give it back.
    #[error("{0} [CT-102]")]
    Storage(String),

    /// The author of the query adds a filter: without it CleverTap cannot be asked.
    #[error("{0} [CT-201]")]
    Filter(String),

    /// The author of the query changes a column: as it stands it cannot be written.
    #[error("{0} [CT-202]")]
    Unwritable(String),

    /// The author of the query uses INSERT INTO: CleverTap has no call for the other statement.
    #[error("{0} [CT-203]")]
    NotAppend(String),

    /// The author of the query takes fewer rows, or raises the option that bounds them: nothing was sent.
    #[error("{0} [CT-204]")]
    TooMany(String),

    /// Nobody: a person was asked, and did not consent. Nothing was sent.
    #[error("{0} [CT-205]")]
    Declined(String),

    /// The author of the query takes the values as NULL or as JSON: they are not of the type of their column, and
    /// `clevertap.type_mismatch` is `error`.
    #[error("{0} [CT-206]")]
    TypeMismatch(String),

    /// The operator checks credentials and region, or the access level of the account.
    #[error("{0} [CT-301]")]
    Unauthorized(String),

    /// Author or operator: CleverTap refused the whole request, and will refuse it again.
    #[error("{0} [CT-302]")]
    Refused(String),

    /// Nobody yet: trying was given up after `retry_for_ms`.
    #[error("{0} [CT-303]")]
    Unavailable(String),

    /// Us: CleverTap said something that this version does not read.
    #[error("{0} [CT-304]")]
    Answer(String),

    /// Us: this crate is at fault.
    #[error("{0}. Please report this. [CT-701]")]
    Internal(String),

    /// The author of the data: rows were refused.
    #[error("{outcome} {first}. {remedy} [CT-401]")]
    Rejected {
        /// `First reject: row 118, CLEVERTAP-523: …`.
        first: String,
        /// How to go on.
        remedy: String,
        /// Where the statement stands.
        outcome: Box<Outcome>,
    },

    /// The author decides whether the rows in doubt are sent again.
    #[error("{why} {outcome} Sending them again may store them twice; SET clevertap.in_doubt = 'resend' if that is acceptable. [CT-402]")]
    InDoubt {
        /// What happened to the first lost answer.
        why: String,
        /// Where the statement stands.
        outcome: Box<Outcome>,
    },

    /// Whoever acts on `cause`: the statement stopped for it.
    #[error("{cause} {outcome} [{code}]")]
    Stopped {
        /// Why it stopped; for an error of the input, its own words.
        cause: String,
        /// The code of the error behind it; `CT-404` where it was stopped by hand, `CT-403` where the error is not one of ours.
        code: &'static str,
        /// The error behind `cause`, where it is one of this crate: what others print may hold values of people.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
        /// Where the statement stands.
        outcome: Box<Outcome>,
    },
}

/// The code of a disk or a bucket that did not take a file.
pub(crate) const STORAGE: &str = "CT-102";

/// The code of what was given up.
pub(crate) const UNAVAILABLE: &str = "CT-303";

/// The code of a statement that was stopped by hand.
pub(crate) const STOPPED_BY_HAND: &str = "CT-404";

/// What went wrong, by who must act: [`Error::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operator fixes an option, a flag or the account.
    Setting,
    /// The operator mends a disk or a bucket.
    Storage,
    /// The author of the query adds a filter.
    Filter,
    /// The author of the query changes a column.
    Unwritable,
    /// The author of the query uses another statement.
    NotAppend,
    /// The author of the query takes fewer rows, or raises a bound.
    TooMany,
    /// Nobody: a person did not consent.
    Declined,
    /// The author of the query takes values of another type as NULL or as JSON.
    TypeMismatch,
    /// The operator checks credentials, region or access level.
    Unauthorized,
    /// Author or operator: CleverTap refused the request, and will refuse it again.
    Refused,
    /// Nobody yet: trying was given up.
    Unavailable,
    /// Us: CleverTap's answer is not understood.
    Answer,
    /// Us: this crate is at fault.
    Internal,
    /// The author of the data: rows were refused.
    Rejected,
    /// The author decides whether rows in doubt are sent again.
    InDoubt,
    /// Whoever acts on an error that is not of this crate, such as one of the source.
    Stopped,
    /// Nobody: [`Account::stop`](crate::Account::stop) or a shutdown stopped the statement.
    StoppedByHand,
}

/// Where a statement that wrote stands when it ends in an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// `clevertap.events`.
    pub table: String,
    /// The run in `clevertap.runs`.
    pub run_id: u64,
    /// The same, unique for good.
    pub run_uid: Arc<str>,
    /// The four counts.
    pub tally: Tally,
    /// Rows that a dry run found good: none of the four counts has them.
    pub checked: u64,
    /// Whether every row of the source was read.
    pub input_complete: bool,
    /// Every row up to here is accepted, rejected or in doubt: resume after it.
    pub settled_through: u64,
    /// Where the rows that were not accepted can be read.
    pub failed_rows: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checked = if self.checked > 0 { format!(", {} checked and not sent, as in a dry run", self.checked) } else { String::new() };
        write!(
            f,
            "{}: {}{checked} (run {}, settled through row {}, input {}; failed rows in {}).",
            self.table,
            self.tally,
            self.run_id,
            self.settled_through,
            if self.input_complete { "complete" } else { "not complete" },
            self.failed_rows,
        )
    }
}

impl Error {
    /// The error about `event_time` in an account that was given no time zone.
    pub(crate) fn needs_time_zone() -> Self {
        Self::Setting(
            "column \"event_time\" cannot be read or filtered: CleverTap exports times on the project's clock, and the account has no \
             \"time_zone\". Set it (CLEVERTAP_TIME_ZONE, AccountSettings::time_zone), or use event_date."
                .into(),
        )
    }

    /// The code that never changes, `CT-nnn`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setting(_) => "CT-101",
            Self::Storage(_) => STORAGE,
            Self::Filter(_) => "CT-201",
            Self::Unwritable(_) => "CT-202",
            Self::NotAppend(_) => "CT-203",
            Self::TooMany(_) => "CT-204",
            Self::Declined(_) => "CT-205",
            Self::TypeMismatch(_) => "CT-206",
            Self::Unauthorized(_) => "CT-301",
            Self::Refused(_) => "CT-302",
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Answer(_) => "CT-304",
            Self::Internal(_) => "CT-701",
            Self::Rejected { .. } => "CT-401",
            Self::InDoubt { .. } => "CT-402",
            Self::Stopped { code, .. } => code,
        }
    }

    /// Who must act. Of a statement that stopped for an error of this crate, it is the kind of that error: a wrong passcode is
    /// [`ErrorKind::Unauthorized`] whether it was met while reading or while writing.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Setting(_) => ErrorKind::Setting,
            Self::Storage(_) => ErrorKind::Storage,
            Self::Filter(_) => ErrorKind::Filter,
            Self::Unwritable(_) => ErrorKind::Unwritable,
            Self::NotAppend(_) => ErrorKind::NotAppend,
            Self::TooMany(_) => ErrorKind::TooMany,
            Self::Declined(_) => ErrorKind::Declined,
            Self::TypeMismatch(_) => ErrorKind::TypeMismatch,
            Self::Unauthorized(_) => ErrorKind::Unauthorized,
            Self::Refused(_) => ErrorKind::Refused,
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Answer(_) => ErrorKind::Answer,
            Self::Internal(_) => ErrorKind::Internal,
            Self::Rejected { .. } => ErrorKind::Rejected,
            Self::InDoubt { .. } => ErrorKind::InDoubt,
            Self::Stopped { code: STOPPED_BY_HAND, .. } => ErrorKind::StoppedByHand,
            Self::Stopped { source, .. } => source.as_deref().and_then(|source| find(source)).map_or(ErrorKind::Stopped, Self::kind),
        }
    }

    /// The sentence without its code: for where the code stands elsewhere.
    pub(crate) fn sentence(&self) -> String {
        let text = self.to_string();
        let code = format!(" [{}]", self.code());
        text.strip_suffix(&code).map(str::to_owned).unwrap_or(text)
    }

    /// Where the statement stands, if it had begun to write.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Rejected { outcome, .. } | Self::InDoubt { outcome, .. } | Self::Stopped { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// The four counts of the statement, if it had begun to write.
    pub fn tally(&self) -> Option<Tally> {
        self.outcome().map(|outcome| outcome.tally)
    }

    /// Our error inside what DataFusion returned, however deep it is wrapped.
    pub fn find(error: &DataFusionError) -> Option<&Self> {
        find(error)
    }
}

/// Our error inside of another one, however deep it is wrapped.
fn find<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    if let Some(ours) = error.downcast_ref::<Error>() {
        return Some(ours);
    }
    match error.downcast_ref::<DataFusionError>() {
        // `source()` of these skips the boxed error itself, or all errors but the first.
        Some(DataFusionError::External(inner)) => find(inner.as_ref()),
        Some(DataFusionError::Shared(inner)) => find(inner.as_ref()),
        Some(DataFusionError::Collection(errors)) => errors.iter().find_map(|error| find(error)),
        _ => find(error.source()?),
    }
}

impl From<Error> for DataFusionError {
    /// A setting becomes `Configuration`, a query that must change becomes `Plan`, and the rest is `External`. DataFusion's `Configuration`
    /// and `Plan` hold text alone, so each stands in a `Collection`, which shows as its first error does, with the typed error behind it:
    /// [`Error::find`] gets it back.
    fn from(error: Error) -> Self {
        let shown = match error {
            Error::Setting(_) => Self::Configuration(error.to_string()),
            Error::Filter(_) | Error::Unwritable(_) | Error::NotAppend(_) => Self::Plan(error.to_string()),
            _ => return Self::External(Box::new(error)),
        };
        Self::Collection(vec![shown, Self::External(Box::new(error))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_typed_error_is_found_inside_what_datafusion_wraps_around_it() {
        let outcome = Outcome {
            table: "clevertap.events".into(),
            run_id: 7,
            run_uid: "0198".into(),
            tally: Tally { read: 6000, accepted: 1997, rejected: 3, in_doubt: 0, unsent: 4000 },
            checked: 0,
            input_complete: false,
            settled_through: 2000,
            failed_rows: "clevertap.failed_rows".into(),
        };
        let error =
            Error::Rejected { first: "First reject: row 118, CLEVERTAP-523".into(), remedy: "Mend it.".into(), outcome: Box::new(outcome) };
        let wrapped = DataFusionError::from(error).context("while executing");
        assert_eq!(Error::find(&wrapped).and_then(Error::tally).map(|t| t.accepted), Some(1997));
        assert!(wrapped.to_string().contains("1997 accepted, 3 rejected, 0 in doubt, 4000 unsent of 6000 rows read (run 7"));
    }

    #[test]
    fn errors_of_planning_keep_their_type_and_the_words_of_datafusion() {
        for (error, shown) in [
            (Error::Setting("a".into()), "Invalid or Unsupported Configuration: a [CT-101]"),
            (Error::Filter("b".into()), "Error during planning: b [CT-201]"),
            (Error::Unwritable("c".into()), "Error during planning: c [CT-202]"),
            (Error::NotAppend("d".into()), "Error during planning: d [CT-203]"),
            (Error::TooMany("e".into()), "External error: e [CT-204]"),
        ] {
            let (kind, code) = (error.kind(), error.code());
            let converted = DataFusionError::from(error);
            assert_eq!(converted.to_string(), shown);
            let shared = DataFusionError::Shared(Arc::new(converted.context("while planning")));
            assert_eq!(Error::find(&shared).map(|ours| (ours.kind(), ours.code())), Some((kind, code)));
        }
    }
}
