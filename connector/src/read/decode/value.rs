//! What a value means in each form: one function a form, from its place in the page; `None` where it does not fit.

use super::number::{self, Eight};
use super::span::{Kind, Span};
use super::time::{Days, epoch_seconds};

/// The text that a string means, and where it is: in the page, or in `scratch` where it has escapes.
#[inline(always)]
fn meant<'a>(page: &'a str, span: Span, scratch: &'a mut String) -> (&'a [u8], usize, usize) {
    if span.kind() == Kind::Escaped {
        let text = span.text(page, scratch).as_bytes();
        return (text, 0, text.len());
    }
    (page.as_bytes(), span.start(), span.end())
}

/// An integer.
#[inline(always)]
pub(super) fn long(page: &str, span: Span) -> Option<i64> {
    (span.kind() == Kind::Integer).then(|| number::integer(page.as_bytes(), span.start(), span.end()))?
}

/// A number.
#[inline(always)]
pub(super) fn float(page: &str, span: Span) -> Option<f64> {
    match span.kind() {
        kind @ (Kind::Integer | Kind::Decimal) => number::float(page.as_bytes(), span.start(), span.end(), kind),
        _ => None,
    }
}

/// True or false, or the text of one in any case.
#[inline(always)]
pub(super) fn truth(page: &str, span: Span, scratch: &mut String) -> Option<bool> {
    match span.kind() {
        Kind::Truth => Some(span.len() == 4),
        Kind::Plain | Kind::Escaped => {
            let (bytes, start, end) = meant(page, span, scratch);
            match bytes.get(start..end)? {
                text if text.eq_ignore_ascii_case(b"true") => Some(true),
                text if text.eq_ignore_ascii_case(b"false") => Some(false),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `"$D_…"`, or epoch seconds.
#[inline(always)]
pub(super) fn date(page: &str, span: Span, scratch: &mut String, days: &mut Days) -> Option<i64> {
    match span.kind() {
        Kind::Integer => epoch_seconds(number::integer(page.as_bytes(), span.start(), span.end())?),
        Kind::Plain | Kind::Escaped => {
            let (bytes, start, end) = meant(page, span, scratch);
            bytes.get(start..end)?.strip_prefix(b"$D_")?;
            days.after_mark(bytes, start + 3, end)
        }
        _ => None,
    }
}

/// The instant of a packed time.
#[inline(always)]
pub(super) fn time(page: &str, span: Span, scratch: &mut String, days: &mut Days) -> Option<i64> {
    days.packed_time(packed(page, span, scratch)?)
}

/// The day of a packed time.
#[inline(always)]
pub(super) fn day(page: &str, span: Span, scratch: &mut String, days: &mut Days) -> Option<i32> {
    days.packed_day(packed(page, span, scratch)?)
}

/// The fourteen digits `yyyyMMddHHmmss`, as a number or as text: those of the date, and those of the clock.
#[inline(always)]
fn packed(page: &str, span: Span, scratch: &mut String) -> Option<(Eight, Eight)> {
    match span.kind() {
        Kind::Integer => Eight::fourteen(page.as_bytes(), span.start(), span.end()),
        Kind::Plain | Kind::Escaped => {
            let (bytes, start, end) = meant(page, span, scratch);
            Eight::fourteen(bytes, start, end)
        }
        _ => None,
    }
}
