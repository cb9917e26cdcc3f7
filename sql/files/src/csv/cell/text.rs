//! What may be said of a cell that is text: whether it is a well-known mark for nothing, and its shape. Never its content.

/// Marks that people and programs write where there is no value.
const NULL_MARKS: [&str; 14] = ["\\N", "NULL", "null", "NA", "N/A", "n/a", "-", "None", "nan", "NaN", "#N/A", "?", "<NA>", "Null"];

/// The mark that the cell is.
#[inline(always)]
pub(crate) fn null_mark(cell: &[u8]) -> Option<&'static str> {
    if cell.len() > 4 { None } else { NULL_MARKS.into_iter().find(|mark| mark.as_bytes() == cell) }
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

/// The cell in words that say nothing of its content.
pub(crate) fn shape(cell: &[u8]) -> String {
    let digits = cell.strip_prefix(b"-").or_else(|| cell.strip_prefix(b"+")).unwrap_or(cell);
    let is_number = digits.first().is_some_and(u8::is_ascii_digit)
        && digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'-' | b'+'));
    if is_number && digits.starts_with(b"0") && digits.get(1).is_some_and(u8::is_ascii_digit) {
        return "a number that begins with 0".to_owned();
    }
    if is_number && cell.starts_with(b"+") {
        return "a number that begins with +".to_owned();
    }
    if is_number && cell.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return "a number with an exponent".to_owned();
    }
    if is_number && digits.iter().all(u8::is_ascii_digit) {
        return if digits.len() > 18 { "a number with too many digits" } else { "minus zero" }.to_owned();
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
