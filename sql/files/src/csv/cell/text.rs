//! What may be said of a cell that is text: whether it is a well-known mark for nothing, and its shape. Never its content.

/// Marks that people and programs write where there is no value. The first `SURE_MARKS` are nothing else, even among texts.
pub const NULL_MARKS: [&str; 16] =
    ["\\N", "NULL", "null", "Null", "(null)", "None", "NaN", "nan", "NaT", "N/A", "n/a", "#N/A", "<NA>", "NA", "-", "?"];
/// How many of them are told of among texts too: the others may be a country, initials, a dash that is meant.
pub(crate) const SURE_MARKS: usize = 13;

/// The mark that the cell is, by its place.
#[inline(always)]
pub(crate) fn null_mark(cell: &[u8]) -> Option<usize> {
    if cell.len() > 6 { None } else { NULL_MARKS.iter().position(|mark| mark.as_bytes() == cell) }
}

/// The digits before and behind a comma, where others write a point.
#[inline(always)]
pub(crate) fn decimal_comma(cell: &[u8]) -> Option<(u32, u32)> {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    let (whole, rest) = digits.split_at_checked(digits.iter().take(20).position(|byte| *byte == b',')?)?;
    let fraction = rest.get(1..).filter(|fraction| fraction.len() < 19)?;
    let is_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    (is_digits(whole) && is_digits(fraction)).then_some((whole.len() as u32, fraction.len() as u32))
}

/// Which kind of number the cell is that no type gives back as it stands.
pub(crate) fn odd_number(cell: &[u8]) -> Option<&'static str> {
    if !cell.iter().any(u8::is_ascii_digit) || cell.len() > 60 {
        return None;
    }
    let digits = cell.strip_prefix(b"-").or_else(|| cell.strip_prefix(b"+")).unwrap_or(cell);
    let is_number = digits.first().is_some_and(u8::is_ascii_digit)
        && digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'-' | b'+'));
    if is_number && digits.starts_with(b"0") && digits.get(1).is_some_and(u8::is_ascii_digit) {
        return Some("a number that begins with 0");
    }
    if is_number && cell.starts_with(b"+") {
        return Some("a number that begins with +");
    }
    if is_number && cell.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        let is_float = std::str::from_utf8(cell).is_ok_and(|text| text.parse::<f64>().is_ok());
        return is_float.then_some("a number with an exponent");
    }
    if is_number && cell.starts_with(b"-") && digits.iter().all(|byte| matches!(byte, b'0' | b'.')) {
        return Some("minus zero");
    }
    let points = digits.iter().filter(|byte| **byte == b'.').count();
    if points <= 1 && digits.len() > 18 && digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return Some("a number with too many digits");
    }
    if is_grouped(digits) {
        return Some("a number with grouped digits");
    }
    let is_bare = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if digits.strip_prefix(b".").or_else(|| digits.strip_suffix(b".")).is_some_and(is_bare) {
        return Some("a number without digits on one side of its point");
    }
    let text = std::str::from_utf8(cell).ok()?;
    is_bare(text.trim_matches(' ').as_bytes()).then_some("a number with a blank beside it")
}

/// Whether they are digits in groups of three, as in `1,234,567.50`.
fn is_grouped(digits: &[u8]) -> bool {
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let (whole, fraction) = (parts.next().unwrap_or_default(), parts.next());
    let mut groups = whole.split(|byte| matches!(byte, b',' | b'\'' | b'_' | b' '));
    let is_of = |group: &[u8], lens: std::ops::RangeInclusive<usize>| lens.contains(&group.len()) && group.iter().all(u8::is_ascii_digit);
    let is_first = groups.next().is_some_and(|first| is_of(first, 1..=3));
    let mut count = 0;
    let are_others = groups.all(|group| {
        count += 1;
        is_of(group, 3..=3)
    });
    is_first && are_others && count > 0 && fraction.is_none_or(|fraction| is_of(fraction, 1..=18))
}

/// The cell in words that say nothing of its content.
pub(crate) fn shape(cell: &[u8]) -> String {
    if let Some(words) = odd_number(cell) {
        return words.to_owned();
    }
    let characters = String::from_utf8_lossy(cell).chars().count();
    format!("a text of {characters} character{}", if characters == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_says_what_kind_of_text_it_is() {
        for (cell, words) in [
            ("007", "a number that begins with 0"),
            ("-07.5", "a number that begins with 0"),
            ("+49", "a number that begins with +"),
            ("1E5", "a number with an exponent"),
            ("-0", "minus zero"),
            ("123456789012345678901234567890123456789", "a number with too many digits"),
            ("1,234,567.50", "a number with grouped digits"),
            ("1'000", "a number with grouped digits"),
            ("1,23", "a text of 4 characters"),
            ("1e5x", "a text of 4 characters"),
            ("1e", "a text of 2 characters"),
            (".5", "a number without digits on one side of its point"),
            ("5.", "a number without digits on one side of its point"),
            (" 7", "a number with a blank beside it"),
            ("ü", "a text of 1 character"),
            ("2026-01-05 10:00", "a text of 16 characters"),
        ] {
            assert_eq!(shape(cell.as_bytes()), words, "{cell}");
        }
    }

    #[test]
    fn a_decimal_comma_stands_between_digits() {
        assert_eq!(["1,5", "-0,99", "1000,00"].map(|cell| decimal_comma(cell.as_bytes())), [Some((1, 1)), Some((1, 2)), Some((4, 2))]);
        assert!(["1,", ",5", "1,2,3", "a,b", "1.5", "", "-,5"].into_iter().all(|cell| decimal_comma(cell.as_bytes()).is_none()));
    }
}
