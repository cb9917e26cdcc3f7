//! How a run of the program ends: an exit code, and for a failure one sentence.
//!
//! In: errors of DataFusion, Arrow, the disk. Out: [`Failure`] with a sentence that needs no context. DataFusion's prefixes
//! ("Error during planning: ") are removed, because the sentences themselves say what they are about.

use std::{io, process::ExitCode};

use datafusion::{arrow::error::ArrowError, error::DataFusionError};

use datafusion_clevertap::{Error, redact::without_values};

/// What every fallible function of this program returns.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why the program stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Flags or the environment are wrong: nothing was run.
    #[error("{0}")]
    Usage(String),
    /// A statement, a file, the account.
    #[error("{0}")]
    Failed(String),
    /// A statement that had begun to write; the sentence holds its four counts.
    #[error("{0}")]
    Written(String),
    /// CleverTap did not answer within `clevertap.retry_for_ms`; it may answer later.
    #[error("{0}")]
    Unanswered(String),
    /// CleverTap answered about one thing in a form that is none, or refused it; about others it may do better.
    #[error("{0}")]
    Unread(String),
    /// Ctrl-C, TERM or HUP.
    #[error("stopped by a signal (Ctrl-C, TERM or HUP)")]
    Stopped,
    /// A signal, while the folder of failed rows took nothing.
    #[error("stopped by a signal, and the failed rows could not be written in time: not all of them are in their folder")]
    NoEvidence,
    /// The reader of stdout has closed it (`| head`). No message is printed.
    #[error("the reader of the results went away")]
    ReaderGone,
}

/// How the program ended without a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completion {
    Done,
    /// Done, and rejected rows were skipped.
    RowsSkipped,
}

impl Completion {
    /// The worse of two.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::RowsSkipped { self } else { other }
    }

    /// The process's exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RowsSkipped => 3,
        }
    }
}

impl Failure {
    /// The process's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_)
            | Self::Written(_)
            | Self::Unanswered(_)
            | Self::Unread(_)
            | Self::Stopped
            | Self::NoEvidence
            | Self::ReaderGone => 1,
        }
    }

    /// A panic. Its text may hold values of people, and is not shown.
    pub(crate) fn by_panic() -> Self {
        Self::Failed("a part of this program or a library broke off (a panic): that is a fault of it, and not of the statement".into())
    }

    /// A failure of a file that the caller named.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Self::Failed(format!("{}: {error}", path.display()))
    }
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        if let DataFusionError::ArrowError(inner, _) = &error
            && reader_gone(inner)
        {
            return Self::ReaderGone;
        }
        if let Some(of_database) = clevertap_databases::Error::find(&error) {
            return Self::Failed(of_database.to_string());
        }
        match Error::find(&error) {
            Some(ours) if ours.tally().is_some() => Self::Written(ours.to_string()),
            Some(ours) => Self::Failed(ours.to_string()),
            None => Self::Failed(with_cast(without_values(&sentence(&error)))),
        }
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        if reader_gone(&error) { Self::ReaderGone } else { Self::Failed(without_values(&error.to_string())) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ReaderGone } else { Self::Failed(error.to_string()) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Completion> for ExitCode {
    fn from(completion: Completion) -> Self {
        completion.code().into()
    }
}

/// The message of a cast of texts, with what to write instead if it says nothing of that.
fn with_cast(message: String) -> String {
    match message.contains("Cannot cast string '…' to value of ") && !message.contains("TRY_CAST") {
        true => {
            message
                + "; TRY_CAST makes NULL of a text that is none, and where a column is compared with numbers, CAST(… AS VARCHAR) of the number compares texts"
        }
        false => message,
    }
}

fn reader_gone(error: &ArrowError) -> bool {
    matches!(error, ArrowError::IoError(_, inner) if inner.kind() == io::ErrorKind::BrokenPipe)
}

/// DataFusion's error without the prefix of its kind and without a backtrace.
pub(crate) fn sentence(error: &DataFusionError) -> String {
    match error {
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) | DataFusionError::Execution(text) => {
            text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or(text).to_owned()
        }
        // The context is the name of an internal rule.
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => sentence(inner),
        DataFusionError::Shared(inner) => sentence(inner),
        DataFusionError::Collection(errors) => errors.first().map(sentence).unwrap_or_default(),
        DataFusionError::External(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => sentence(inner),
            None => inner.to_string(),
        },
        other => other.strip_backtrace(),
    }
}

/// The text of an error of DataFusion without the prefixes of its kinds.
#[cfg(feature = "syncs")]
pub(crate) fn without_kind(mut text: &str) -> &str {
    const KINDS: [&str; 5] =
        ["External error: ", "Error during planning: ", "Execution error: ", "Invalid or Unsupported Configuration: ", "Arrow error: "];
    while let Some(rest) = KINDS.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion_clevertap::{Tally, error::Outcome};

    #[test]
    fn every_ending_has_the_exit_code_of_the_manual() {
        assert_eq!(Completion::Done.code(), 0);
        assert_eq!(Failure::Failed(String::new()).code(), 1);
        assert_eq!(Failure::Stopped.code(), 1);
        assert_eq!(Failure::Usage(String::new()).code(), 2);
        assert_eq!(Completion::Done.and(Completion::RowsSkipped).and(Completion::Done).code(), 3);
    }

    #[test]
    fn a_plan_error_loses_datafusions_prefix() {
        let failure = Failure::from(DataFusionError::Plan("clevertap.events needs a filter".into()));
        assert_eq!(failure.to_string(), "clevertap.events needs a filter");
    }

    #[test]
    fn a_failed_write_is_a_variant_of_its_own_so_that_its_counts_are_printed_once() {
        let mut outcome = Outcome::default();
        outcome.tally = Tally { read: 3, accepted: 1, rejected: 1, in_doubt: 0, unsent: 1 };
        let error = Error::Rejected { first: "First reject: row 2".into(), remedy: "Mend it.".into(), outcome: Box::new(outcome) };
        let failure = Failure::from(DataFusionError::from(error).context("somewhere"));
        assert!(matches!(&failure, Failure::Written(text) if text.contains("1 accepted, 1 rejected")), "{failure}");
    }

    #[test]
    fn a_closed_pipe_is_no_error_of_the_statement() {
        let gone = ArrowError::IoError("pipe".into(), io::ErrorKind::BrokenPipe.into());
        assert!(matches!(Failure::from(gone), Failure::ReaderGone));
    }
}
