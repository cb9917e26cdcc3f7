//! Converts a phone number as people write it to E.164: `+`, country code, national number, at most 15 digits.
//!
//! In: a text and optionally its region. Out: the form that CleverTap accepts as `Phone`, or `None`. The numbering plans
//! are libphonenumber's, through the crate `phonenumber`.

use std::fmt::Write;

use phonenumber::country;
use phonenumber::metadata::DATABASE;

/// libphonenumber's `MAX_INPUT_STRING_LENGTH`: no phone number is longer, and its patterns are slow on long input.
const TEXT_BYTES_MAX: usize = 250;

/// The region with this two-letter ISO 3166 code, in either case. `None` if it has no numbering plan.
pub(crate) fn region(code: &str) -> Option<country::Id> {
    let region: country::Id = code.to_ascii_uppercase().parse().ok()?;
    DATABASE.by_id(region.as_ref()).map(|_| region)
}

/// Converts texts to E.164, reusing its buffers.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    dialled: String,
    number: String,
    reparsed: String,
}

impl Reader {
    /// The E.164 form of `text`, or `None` if it is not a valid number. Without a region, only numbers with a leading `+` are valid.
    pub(crate) fn read(&mut self, text: &str, region: Option<country::Id>) -> Option<&str> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let dialled = if self.dial(text) { &self.dialled } else { text };
        parse(dialled, region, &mut self.number)?;
        // The result must parse to itself. Otherwise the number is ambiguous: libphonenumber strips a national prefix from
        // international numbers too, and some short numbers begin with one.
        if self.number != dialled {
            parse(&self.number, None, &mut self.reparsed)?;
            if self.reparsed != self.number {
                return None;
            }
        }
        Some(&self.number)
    }

    /// Writes the digits and the leading `+` of `text` to `dialled`, without separators. Returns false if `text` has any
    /// other character.
    ///
    /// The parser follows RFC 3966, so it would read `+919812-345678` as country code 919812. It also accepts ASCII digits
    /// only.
    fn dial(&mut self, text: &str) -> bool {
        self.dialled.clear();
        for c in text.chars() {
            match c {
                '+' | '\u{ff0b}' if self.dialled.is_empty() => self.dialled.push('+'),
                '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}' => {}
                blank if blank.is_whitespace() => {}
                other => match digit(other) {
                    Some(digit) => self.dialled.push(digit),
                    None => return false,
                },
            }
        }
        true
    }
}

/// The ASCII form of a Latin, Arabic, Persian, Devanagari or full-width digit.
fn digit(c: char) -> Option<char> {
    if c.is_ascii_digit() {
        return Some(c);
    }
    ['\u{660}', '\u{6f0}', '\u{966}', '\u{ff10}']
        .into_iter()
        .find_map(|zero| char::from_digit(u32::from(c).checked_sub(u32::from(zero))?, 10))
}

/// Writes the E.164 form of `text` to `number`. `None` if it is not valid.
fn parse(text: &str, region: Option<country::Id>, number: &mut String) -> Option<()> {
    // With a `+` the region does not matter, and the parser would apply its prefixes to another country's numbers.
    let region = if text.starts_with('+') { None } else { region };
    let parsed = phonenumber::parse(region, text).ok()?;
    if !phonenumber::is_valid(&parsed) {
        return None;
    }
    number.clear();
    // Not `parsed.format()`: it looks up a national format first, even for E.164, which has none.
    write!(number, "+{}{}", parsed.code().value(), parsed.national()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, region_code: Option<&str>) -> Option<String> {
        Reader::default().read(text, region_code.and_then(region)).map(str::to_owned)
    }

    /// All regions that have a two-letter code.
    fn regions() -> Vec<country::Id> {
        let letters = 'A'..='Z';
        letters.clone().flat_map(|a| letters.clone().filter_map(move |b| region(&format!("{a}{b}")))).collect()
    }

    #[test]
    fn a_region_is_two_letters_in_either_case_that_have_a_numbering_plan() {
        assert_eq!(region("in"), Some(country::IN));
        assert_eq!(["", "I", "IND", "UK", "AQ", "001", "ＩＮ"].map(region), [None; 7]);
        assert_eq!(regions().len(), 245);
    }

    #[test]
    fn digits_of_other_scripts_are_read() {
        for text in ["+٩١٩٨١٢٣٤٥٦٧٨", "+۹۱۹۸۱۲۳۴۵۶۷۸", "+९१ ९८१२३ ४५६७८", "＋９１９８１２３４５６７８"]
        {
            assert_eq!(read(text, None).as_deref(), Some("+919812345678"), "{text}");
        }
    }

    #[test]
    fn a_leading_plus_overrides_the_region() {
        for region in [None, Some("US"), Some("DE"), Some("IN")] {
            assert_eq!(read("+49 30 123456", region).as_deref(), Some("+4930123456"), "{region:?}");
        }
    }

    #[test]
    fn a_leading_zero_that_is_part_of_the_number_is_kept() {
        assert_eq!(read("02 3661 8300", Some("IT")).as_deref(), Some("+390236618300"));
    }

    #[test]
    fn a_text_that_is_not_a_phone_number_gives_none() {
        let long = format!("+91{}9812345678", " ".repeat(TEXT_BYTES_MAX));
        let texts = ["", "+", "++", "+0", "()", "abc", "12", "+999 123456789", "+91 98123", "a@example.com", "\u{0}", &long];
        for text in texts {
            for region in [None, Some("IN")] {
                assert_eq!(read(text, region), None, "{text:?}");
            }
        }
    }

    #[test]
    fn a_result_parses_to_itself_in_every_region() {
        let regions = regions();
        let mut reader = Reader::default();
        let mut valid = 0;
        let mut seed: u64 = 0x2545_f491;
        let mut below = |end: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % end
        };
        for _ in 0..1_500 {
            let digits: String = (0..6 + below(6)).map(|_| char::from(b"0123456789"[below(10)])).collect();
            let Some(number) = reader.read(&digits, Some(regions[below(regions.len())])).map(str::to_owned) else {
                continue;
            };
            assert!(number.starts_with('+') && (7..=16).contains(&number.len()), "{digits} gave {number}");
            for region in [None, Some(regions[below(regions.len())])] {
                assert_eq!(reader.read(&number, region), Some(number.as_str()), "{digits}");
            }
            valid += 1;
        }
        assert!(valid > 50, "only {valid} numbers were valid: the property was not tried");
    }
}
