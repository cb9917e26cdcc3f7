//! Errors of the decoder.
//!
//! In: a fault of the walk. Out: a phrase with the byte offset. Neither contains a value of the page, which may be personal data.

use std::fmt;

/// FaultKind a page cannot be read: a short phrase and the byte offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageError {
    phrase: String,
    at: usize,
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.phrase, self.at)
    }
}

impl std::error::Error for PageError {}

impl PageError {
    pub(super) fn new(phrase: impl Into<String>, at: usize) -> Self {
        Self { phrase: phrase.into(), at }
    }
}

/// FaultKind and where the walk failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The page ends within a value.
    UnexpectedEnd,
    /// A byte that JSON does not allow here.
    Syntax,
    /// A control character in a string.
    Control,
    /// An invalid escape, or half of a surrogate pair.
    Escape,
    /// An invalid number, or one out of the range of 64-bit floats.
    Number,
    /// Objects and lists are nested too deeply.
    TooDeep,
    /// The page is not an object.
    NotObject,
    /// More records than a page has.
    TooMany,
}

impl Fault {
    /// `record` is the one being walked.
    pub(super) fn into_page_error(self, record: Option<usize>) -> PageError {
        let what = match self.kind {
            FaultKind::UnexpectedEnd if record.is_some() => return PageError::new("ends in the middle of a record", self.at),
            FaultKind::UnexpectedEnd => return PageError::new("ends too early", self.at),
            FaultKind::NotObject => return PageError::new("is not a JSON object", self.at),
            FaultKind::TooMany => return PageError::new("has more records than any page that was asked for", self.at),
            FaultKind::Syntax => "broken JSON",
            FaultKind::Control => "a control character in a string",
            FaultKind::Escape => "a broken escape in a string",
            FaultKind::Number => "a broken number",
            FaultKind::TooDeep => "more than 127 levels",
        };
        let phrase = record.map_or_else(|| format!("has {what}"), |record| format!("record {record} has {what}"));
        PageError::new(phrase, self.at)
    }
}
