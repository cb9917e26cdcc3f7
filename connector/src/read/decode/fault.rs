//! Why a page cannot be read, with the byte where it shows and without any value.

use std::fmt;

/// Why a page cannot be read: a short phrase without any value, with the byte offset.
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

/// What broke the walk, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) why: Why,
    pub(super) at: usize,
}

/// What may break a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The bytes end before the value does.
    Ends,
    /// Something else than what JSON has here.
    Syntax,
    /// A control character in a string.
    Control,
    /// An escape that JSON does not have, or half of a surrogate pair.
    Escape,
    /// A number that is written as no number is, or lies beyond 64-bit floats.
    Number,
    /// Objects and lists in each other, too many.
    Deep,
    /// A page that is no object.
    NotObject,
}

impl Fault {
    /// For the reader; `record` is the one being walked.
    pub(super) fn tell(self, record: Option<usize>) -> PageError {
        let what = match self.why {
            Why::Ends if record.is_some() => return PageError::new("ends in the middle of a record", self.at),
            Why::Ends => return PageError::new("ends too early", self.at),
            Why::NotObject => return PageError::new("is not a JSON object", self.at),
            Why::Syntax => "broken JSON",
            Why::Control => "a control character in a string",
            Why::Escape => "a broken escape in a string",
            Why::Number => "a broken number",
            Why::Deep => "more than 127 levels",
        };
        let phrase = record.map_or_else(|| format!("has {what}"), |record| format!("record {record} has {what}"));
        PageError::new(phrase, self.at)
    }
}
