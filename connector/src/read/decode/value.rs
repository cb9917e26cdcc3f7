//! Converts JSON values: one function for each form.
//!
//! In: the page and the span of a value. Out: the value, or `None` if it does not fit the form.

use super::number::{self, Eight};
use super::span::{ByteSpan, JsonKind};
use super::time::{Days, epoch_seconds};

/// The unescaped bytes of a string and their range: in the page, or in `scratch` if it has escapes.
#[inline(always)]
fn string_bytes<'a>(page: &'a str, span: ByteSpan, scratch: &'a mut String) -> (&'a [u8], usize, usize) {
    if span.kind() == JsonKind::Escaped {
        let text = span.text(page, scratch).as_bytes();
        return (text, 0, text.len());
    }
    (page.as_bytes(), span.start(), span.end())
}

#[inline(always)]
pub(super) fn int64(page: &str, span: ByteSpan) -> Option<i64> {
    (span.kind() == JsonKind::Integer).then(|| number::integer(page.as_bytes(), span.start(), span.end()))?
}

#[inline(always)]
pub(super) fn float(page: &str, span: ByteSpan) -> Option<f64> {
    match span.kind() {
        kind @ (JsonKind::Integer | JsonKind::Decimal) => number::float(page.as_bytes(), span.start(), span.end(), kind),
        _ => None,
    }
}

/// A boolean, or the string `true` or `false` in any case.
#[inline(always)]
pub(super) fn boolean(page: &str, span: ByteSpan, scratch: &mut String) -> Option<bool> {
    match span.kind() {
        JsonKind::Boolean => Some(span.len() == 4),
        JsonKind::Plain | JsonKind::Escaped => {
            let (bytes, start, end) = string_bytes(page, span, scratch);
            match bytes.get(start..end)? {
                text if text.eq_ignore_ascii_case(b"true") => Some(true),
                text if text.eq_ignore_ascii_case(b"false") => Some(false),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A string `$D_…`, or epoch seconds.
#[inline(always)]
pub(super) fn date(page: &str, span: ByteSpan, scratch: &mut String, days: &mut Days) -> Option<i64> {
    match span.kind() {
        JsonKind::Integer => epoch_seconds(number::integer(page.as_bytes(), span.start(), span.end())?),
        JsonKind::Plain | JsonKind::Escaped => {
            let (bytes, start, end) = string_bytes(page, span, scratch);
            bytes.get(start..end)?.strip_prefix(b"$D_")?;
            days.date_or_seconds(bytes, start + 3, end)
        }
        _ => None,
    }
}

/// The instant of a packed time.
#[inline(always)]
pub(super) fn time(page: &str, span: ByteSpan, scratch: &mut String, days: &mut Days) -> Option<i64> {
    packed(page, span, scratch).and_then(|time| days.packed_time(time)).or_else(|| days.written_time(written(page, span)?))
}

/// The day of a packed time.
#[inline(always)]
pub(super) fn day(page: &str, span: ByteSpan, scratch: &mut String, days: &mut Days) -> Option<i32> {
    packed(page, span, scratch).and_then(|time| days.packed_day(time)).or_else(|| days.written_day(written(page, span)?))
}

/// The text of a time that is not packed: of a whole number, or of a string without escapes.
#[cold]
fn written(page: &str, span: ByteSpan) -> Option<&str> {
    matches!(span.kind(), JsonKind::Integer | JsonKind::Plain).then(|| page.get(span.start()..span.end()))?
}

/// The fourteen digits `yyyyMMddHHmmss` of a number or a string, split into date and time of day.
#[inline(always)]
fn packed(page: &str, span: ByteSpan, scratch: &mut String) -> Option<(Eight, Eight)> {
    match span.kind() {
        JsonKind::Integer => Eight::fourteen(page.as_bytes(), span.start(), span.end()),
        JsonKind::Plain | JsonKind::Escaped => {
            let (bytes, start, end) = string_bytes(page, span, scratch);
            Eight::fourteen(bytes, start, end)
        }
        _ => None,
    }
}
