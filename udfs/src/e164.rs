//! One phone number as people write it, to E.164: `+`, country code, national number, no more than 15 digits.
//!
//! In comes a text and perhaps the region it was written in, out goes what CleverTap takes as `Phone`, or nothing.
//! The numbering plans are libphonenumber's, through the crate `phonenumber`.

use std::fmt::Write;

use phonenumber::country;
use phonenumber::metadata::DATABASE;

/// libphonenumber's `MAX_INPUT_STRING_LENGTH`: nothing longer is a phone number, and patterns take time to say so.
const TEXT_BYTES_MAX: usize = 250;

/// The region of an ISO 3166 code of two letters in either case, if the numbering plans have it.
pub(crate) fn region(code: &str) -> Option<country::Id> {
    let region: country::Id = code.to_ascii_uppercase().parse().ok()?;
    DATABASE.by_id(region.as_ref()).map(|_| region)
}

/// Turns texts into E.164, with room that is kept from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    dialled: String,
    number: String,
    again: String,
}

impl Reader {
    /// The number in `text`, if it is a valid one. Without a region only a number with a leading `+` can be.
    pub(crate) fn read(&mut self, text: &str, region: Option<country::Id>) -> Option<&str> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let dialled = if self.dial(text) { &self.dialled } else { text };
        parse(dialled, region, &mut self.number)?;
        // A number that would be read as another one, or as none, is not known: libphonenumber takes a national
        // prefix off international numbers too, and some short numbers begin like one.
        if self.number != dialled {
            parse(&self.number, None, &mut self.again)?;
            if self.again != self.number {
                return None;
            }
        }
        Some(&self.number)
    }

    /// Leaves out what is only there for the eye, if nothing else is in `text` than that, digits, and a leading `+`.
    ///
    /// The parser would take `+919812-345678` for the country 919812, since that is how RFC 3966 is read, and it takes
    /// the digits of ASCII only.
    fn dial(&mut self, text: &str) -> bool {
        self.dialled.clear();
        for written in text.chars() {
            match written {
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

/// The digit that is written, in ASCII: in the script of Latin, Arabic, Persian or Hindi text, or full width.
fn digit(written: char) -> Option<char> {
    if written.is_ascii_digit() {
        return Some(written);
    }
    ['\u{660}', '\u{6f0}', '\u{966}', '\u{ff10}']
        .into_iter()
        .find_map(|zero| char::from_digit(u32::from(written).checked_sub(u32::from(zero))?, 10))
}

/// Writes the E.164 of `text` to `number`, if it is valid.
fn parse(text: &str, region: Option<country::Id>, number: &mut String) -> Option<()> {
    // With a `+` the region says nothing, and the parser would apply its prefixes to another country's numbers.
    let region = if text.starts_with('+') { None } else { region };
    let parsed = phonenumber::parse(region, text).ok()?;
    if !phonenumber::is_valid(&parsed) {
        return None;
    }
    number.clear();
    // Not `parsed.format()`: it looks for a national layout first, even for E.164, which has none.
    write!(number, "+{}{}", parsed.code().value(), parsed.national()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, region_code: Option<&str>) -> Option<String> {
        Reader::default().read(text, region_code.and_then(region)).map(str::to_owned)
    }

    /// Every two letters that are a region.
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
    fn digits_of_other_scripts_are_digits() {
        for typed in ["+٩١٩٨١٢٣٤٥٦٧٨", "+۹۱۹۸۱۲۳۴۵۶۷۸", "+९१ ९८१२३ ४५६७८", "＋９１９８１２３４５６７８"]
        {
            assert_eq!(read(typed, None).as_deref(), Some("+919812345678"), "{typed}");
        }
    }

    #[test]
    fn a_plus_outranks_the_region() {
        for region in [None, Some("US"), Some("DE"), Some("IN")] {
            assert_eq!(read("+49 30 123456", region).as_deref(), Some("+4930123456"), "{region:?}");
        }
    }

    #[test]
    fn leading_zeros_that_belong_to_the_number_stay() {
        assert_eq!(read("02 3661 8300", Some("IT")).as_deref(), Some("+390236618300"));
    }

    #[test]
    fn what_is_no_phone_number_is_none() {
        let long = format!("+91{}9812345678", " ".repeat(TEXT_BYTES_MAX));
        let texts = ["", "+", "++", "+0", "()", "abc", "12", "+999 123456789", "+91 98123", "a@example.com", "\u{0}", &long];
        for text in texts {
            for region in [None, Some("IN")] {
                assert_eq!(read(text, region), None, "{text:?}");
            }
        }
    }

    #[test]
    fn a_number_that_was_read_reads_as_itself_in_every_region() {
        let regions = regions();
        let mut reader = Reader::default();
        let mut read_once = 0;
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
            read_once += 1;
        }
        assert!(read_once > 50, "only {read_once} numbers were valid: the property was not tried");
    }
}
