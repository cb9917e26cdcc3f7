//! The codes of rejects and warnings of the encoder, and the problems behind them.
//!
//! A code never changes its meaning: users filter `clevertap.failed_rows` by it. A reason is the end of a sentence that begins with
//! the column: what was found, what was expected, then the remedy. It contains kinds, counts and names, never a value.

/// The identifier is NULL or empty.
pub(super) const NO_IDENTIFIER: &str = "CT-501";
/// The identifier is over [`IDENTIFIER_BYTES_MAX`].
pub(super) const LONG_IDENTIFIER: &str = "CT-502";
/// The row has no time.
pub(super) const NO_TIME: &str = "CT-503";
/// The row's time is not in epoch seconds of ten digits.
pub(super) const TIME_RANGE: &str = "CT-504";
/// The event name is missing, too long or has a forbidden character.
pub(super) const EVENT_NAME: &str = "CT-505";
/// NaN or infinite.
pub(super) const NOT_FINITE: &str = "CT-506";
/// A text over [`TEXT_BYTES_MAX`].
pub(super) const LONG_TEXT: &str = "CT-507";
/// A date outside the years 0001 to 9999.
pub(super) const DATE_RANGE: &str = "CT-508";
/// Bytes that are not UTF-8.
pub(super) const NOT_TEXT: &str = "CT-509";
/// Not JSON, or not the expected kind of JSON.
pub(super) const NOT_JSON: &str = "CT-510";
/// A key inside a value that cannot be the name of a property.
pub(super) const KEY: &str = "CT-511";
/// More fields than a record may have.
pub(super) const MANY_FIELDS: &str = "CT-512";
/// More items than a list may have.
pub(super) const MANY_ITEMS: &str = "CT-513";
/// An operator with an operand that it does not accept.
pub(super) const OPERAND: &str = "CT-514";
/// Objects or lists nested too deeply.
pub(super) const DEPTH: &str = "CT-515";
/// Items for an event other than Charged.
pub(super) const ITEMS: &str = "CT-516";
/// A field that every record must have is NULL.
pub(super) const REQUIRED: &str = "CT-517";
/// The same field twice.
pub(super) const TWICE: &str = "CT-518";
/// A standard field with a value that is not what it holds.
pub(super) const STANDARD: &str = "CT-519";
/// The identifier is a mark that files have where there is no value. CT-520 and CT-521 are of other rooms.
pub(super) const NULL_MARK: &str = "CT-522";

/// A text was cut at [`TEXT_BYTES_MAX`].
pub(super) const CUT: &str = "CT-601";
/// More properties than CleverTap accepts by default.
pub(super) const MANY_PROPERTIES: &str = "CT-602";
/// Times without a zone are read as UTC. CT-603 is of another room.
pub(super) const NAIVE: &str = "CT-604";

/// Longest text of a property: <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
pub(super) const TEXT_BYTES_MAX: usize = 512;
/// Longest identifier. CleverTap documents no limit; this is far above what its SDKs generate.
pub(super) const IDENTIFIER_BYTES_MAX: usize = 1_024;
/// Marks that files and databases have where there is no value. As identifiers they name nobody, and would make one person of many.
const NULL_MARKS: [&[u8]; 16] =
    [b"\\N", b"NULL", b"null", b"Null", b"None", b"NaN", b"nan", b"NaT", b"N/A", b"n/a", b"NA", b"#N/A", b"<NA>", b"-", b"?", b"(null)"];
/// The longest of them.
pub(super) const NULL_MARK_BYTES_MAX: usize = 6;

/// Whether an identifier is such a mark.
#[inline]
pub(super) fn is_null_mark(identifier: &[u8]) -> bool {
    identifier.len() <= NULL_MARK_BYTES_MAX && NULL_MARKS.contains(&identifier)
}

/// Longest event name. The API documents no limit; the Android SDK cuts here.
pub(super) const EVENT_BYTES_MAX: usize = 512;
/// Items of a multi-value property: beyond these, CleverTap silently drops the oldest.
pub(super) const LIST_ITEMS_MAX: usize = 100;
/// `Items` of one Charged event.
pub(super) const CHARGED_ITEMS_MAX: usize = 256;
/// Levels of a nested property: <https://developer.clevertap.com/docs/ingesting-nested-objects-via-clevertap-apis>.
pub(super) const LEVELS_MAX: usize = 3;
/// Levels of JSON that is passed on as text; protects the stack, not a limit of CleverTap.
pub(super) const LEVELS_PARSED_MAX: usize = 64;
/// The last second of ten digits: a larger number is more likely milliseconds than the year 2286.
pub(super) const EPOCH_SECONDS_MAX: i64 = 9_999_999_999;

/// Longest text of a value in the record of a row that is not sent: 32 times what CleverTap keeps. A cell may have gigabytes.
pub(super) const EVIDENCE_BYTES_MAX: usize = 16 << 10;

/// A row that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    /// `CT-5nn`.
    pub(crate) code: &'static str,
    /// The source column.
    pub(crate) column: String,
    /// The kind of problem and what was expected; never a value of a person.
    pub(crate) reason: String,
    /// The row's identifier, if it has one.
    pub(crate) identifier: Option<String>,
    /// The record as it would have been sent, with the offending value as text, of which the first 16 KiB.
    pub(crate) record: String,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    /// The end of a sentence that begins with the column.
    pub(super) reason: String,
}

impl Problem {
    /// The same problem, at a key inside the column.
    #[cold]
    pub(super) fn at(mut self: Box<Self>, key: &str) -> Box<Self> {
        self.reason = format!("at the key \"{key}\" {}", self.reason);
        self
    }
}

/// The value, or its problem. Boxed, so that the result of the common path stays small.
pub(super) type Checked<T> = Result<T, Box<Problem>>;

#[cold]
pub(super) fn problem(code: &'static str, reason: impl Into<String>) -> Box<Problem> {
    Box::new(Problem { code, reason: reason.into() })
}

#[cold]
pub(super) fn long_text(bytes: usize) -> Box<Problem> {
    problem(
        LONG_TEXT,
        format!(
            "has {bytes} bytes of text; CleverTap keeps {TEXT_BYTES_MAX}. SET clevertap.long_values = 'cut' sends the first {TEXT_BYTES_MAX}"
        ),
    )
}

#[cold]
pub(super) fn not_finite() -> Box<Problem> {
    problem(NOT_FINITE, "is NaN or infinite; expected a finite number. nullif or CASE leaves it out")
}

#[cold]
pub(super) fn not_text() -> Box<Problem> {
    problem(NOT_TEXT, "has bytes that are not UTF-8; expected text. encode(value, 'base64') makes text of any bytes")
}

#[cold]
pub(super) fn date_range() -> Box<Problem> {
    problem(DATE_RANGE, "has a date outside the years 0001 to 9999; CASE leaves such dates out")
}

#[cold]
pub(super) fn depth(levels: usize) -> Box<Problem> {
    problem(DEPTH, format!("is nested deeper than {levels} levels; send the inner part as text or as columns of its own"))
}

#[cold]
pub(super) fn many_items(items: usize, max: usize) -> Box<Problem> {
    problem(MANY_ITEMS, format!("has {items} items; CleverTap takes {max}. array_slice shortens a list"))
}

#[cold]
pub(super) fn twice(key: &str, column: &str) -> Box<Problem> {
    problem(TWICE, format!("has the key \"{key}\", which column \"{column}\" has already; leave one of them out"))
}

#[cold]
pub(super) fn not_charged() -> Box<Problem> {
    problem(ITEMS, format!("has items, which the event {} takes alone; leave them NULL for other events", crate::tables::CHARGED))
}
