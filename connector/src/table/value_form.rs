//! What a JSON value of an answer becomes in Arrow.

/// What a value becomes. What does not fit is NULL and counted as a mismatch, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// Utf8View. A string is unescaped; a number or boolean keeps its JSON text (digits exact); an object or array is its JSON text.
    Text,
    /// Utf8View: the JSON text of whatever is there, cut by byte range.
    Json,
    /// Int64: an integer; exact beyond 2^53. The text of one does not fit: CleverTap, asked to compare, does not take it for a number
    /// either.
    Int64,
    /// Float64: a number; the text of one does not fit, nor does an integer that a float cannot hold exactly.
    Float64,
    /// Boolean: true or false, or text true or false in any case.
    Boolean,
    /// Timestamp(Second, zone) of the years 1 to 9999: text `$D_` with epoch seconds, or with exactly eight digits that are a
    /// calendar date, which is 00:00 of that day in the project's zone; plain integers are epoch seconds. Without a zone: UTC.
    Date,
    /// Timestamp(Second, zone): the packed integer yyyyMMddHHmmss, or its 14 digits as text, in the project's zone. A repeated
    /// hour is the earlier instant, a skipped time is shifted forward by the gap. Missing or broken, the page cannot be read: an
    /// event without a time is not a row that we may invent.
    PackedTime,
    /// Date32: the day of the same packed integer, with the same refusals; needs no zone.
    PackedDay,
    /// `List<Utf8View>`: a list of scalars as text, whose nulls stay; a scalar is a list of one.
    TextList,
}
