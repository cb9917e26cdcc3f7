//! The conversion of a JSON value of an answer to Arrow.

/// The Arrow form of a JSON value. A value that does not fit becomes NULL and counts as a mismatch, unless the variant says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// Utf8View. A string is unescaped. A number, boolean, object or array becomes its JSON text, with all its digits.
    Text,
    /// Utf8View: the JSON text of any value, copied byte for byte.
    Json,
    /// Int64: an integer, exact beyond 2^53. A string of digits does not fit: CleverTap's own comparisons do not treat it as a number
    /// either.
    Int64,
    /// Float64: a number. A string of digits does not fit, nor does an integer that a float cannot represent exactly.
    Float64,
    /// Boolean: true or false, or a string of either in any case.
    Boolean,
    /// Timestamp(Second, zone) in the years 1 to 9999. A string `$D_` followed by epoch seconds, or by exactly eight digits that are a
    /// calendar date and mean 00:00 of that day in the project's zone. A plain integer is epoch seconds. Without a zone: UTC.
    Date,
    /// Timestamp(Second, zone): the packed integer yyyyMMddHHmmss, or its 14 digits as a string, in the project's zone. In a repeated
    /// hour the earlier instant is used; a skipped time is shifted forward by the gap. If the value is missing or malformed, the whole
    /// page cannot be read: we must not make up a time for an event.
    PackedTime,
    /// Date32: the day of the same packed integer, with the same errors. Needs no zone.
    PackedDay,
    /// `List<Utf8View>`: a list of scalars as text, with its nulls. A scalar becomes a list of one.
    TextList,
}
