//! What a value means in each form: one function a form, from its place in the page; `None` where it does not fit.

use super::number;
use super::span::{Kind, Span};
use super::time::{Days, epoch_seconds};
use super::walk::unescape;

/// The text that a string means: as it stands where it has no escapes, else made in `scratch`.
#[inline(always)]
pub(super) fn meant<'a>(bytes: &'a [u8], span: Span, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let inside = bytes.get(span.start() + 1..span.end() - 1).unwrap_or_default();
    if span.kind() == Kind::Escaped { unescaped(inside, scratch) } else { inside }
}

#[cold]
fn unescaped<'a>(inside: &[u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    scratch.clear();
    unescape(inside, scratch);
    scratch
}

/// An integer, or the text of one.
#[inline(always)]
pub(super) fn long(bytes: &[u8], span: Span, scratch: &mut Vec<u8>) -> Option<i64> {
    match span.kind() {
        Kind::Integer => number::integer(bytes, span.start(), span.end()),
        Kind::Plain | Kind::Escaped => {
            let text = meant(bytes, span, scratch);
            number::kind(text).filter(|kind| *kind == Kind::Integer)?;
            number::integer(text, 0, text.len())
        }
        _ => None,
    }
}

/// A number, or the text of one.
#[inline(always)]
pub(super) fn float(bytes: &[u8], span: Span, scratch: &mut Vec<u8>) -> Option<f64> {
    match span.kind() {
        kind @ (Kind::Integer | Kind::Decimal) => number::float(bytes, span.start(), span.end(), kind),
        Kind::Plain | Kind::Escaped => {
            let text = meant(bytes, span, scratch);
            number::float(text, 0, text.len(), number::kind(text)?)
        }
        _ => None,
    }
}

/// True or false, or the text of one in any case.
#[inline(always)]
pub(super) fn truth(bytes: &[u8], span: Span, scratch: &mut Vec<u8>) -> Option<bool> {
    match span.kind() {
        Kind::Truth => Some(span.len() == 4),
        Kind::Plain | Kind::Escaped => match meant(bytes, span, scratch) {
            text if text.eq_ignore_ascii_case(b"true") => Some(true),
            text if text.eq_ignore_ascii_case(b"false") => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// `"$D_…"`, or epoch seconds.
#[inline(always)]
pub(super) fn date(bytes: &[u8], span: Span, scratch: &mut Vec<u8>, days: &mut Days) -> Option<i64> {
    match span.kind() {
        Kind::Integer => epoch_seconds(number::integer(bytes, span.start(), span.end())?),
        Kind::Plain | Kind::Escaped => days.after_mark(meant(bytes, span, scratch).strip_prefix(b"$D_")?),
        _ => None,
    }
}

/// The fourteen digits `yyyyMMddHHmmss`, as a number or as text.
#[inline(always)]
pub(super) fn packed(bytes: &[u8], span: Span, scratch: &mut Vec<u8>) -> Option<u64> {
    match span.kind() {
        Kind::Integer if span.len() == 14 && bytes.get(span.start()) != Some(&b'-') => number::digits(bytes, span.end(), 14),
        Kind::Plain | Kind::Escaped => {
            let text = meant(bytes, span, scratch);
            (text.len() == 14 && text.iter().all(u8::is_ascii_digit)).then(|| number::digits(text, 14, 14))?
        }
        _ => None,
    }
}
