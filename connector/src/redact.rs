//! Removes values from messages of others: Arrow reports a source that it cannot read with a row of it, and CleverTap may repeat what it was
//! sent.
//!
//! In: the text of an error of Arrow or DataFusion. Out: the same with `…` for each value that their messages are known to contain,
//! and with a remedy if one is known. Arrow has no error codes, so this depends on its texts, which appear only here.

use std::borrow::Cow;

/// The text before and after a value in messages of arrow-csv, arrow-json, arrow-cast and the Arrow parsers. The text after is
/// searched from the end, since the value may contain it too; if it is empty, the value extends to the end of the line.
const DELIMITERS: [(&str, &str); 9] = [
    ("Error while parsing value '", "' as type '"),
    ("failed to parse \"", "\" as "),
    ("Cannot cast string '", "' to value of "),
    ("Cannot cast value '", "' to value of "),
    ("Error parsing '", "' as "),
    ("Invalid input syntax for type interval: \"", ""),
    ("Failed to convert ", " to "),
    ("Error parsing timestamp from '", "': "),
    ("Can't cast value ", " to type "),
];

/// The same, for messages in which only the text after marks a value.
const TRAILERS: [(&str, &str); 1] = [("Invalid argument error: ", " is too large")];
/// Before a complete row, line breaks of its cells included, in messages of arrow-csv.
const ROW: &str = ". Row data: '";
/// Before a value in messages of arrow-json.
const GOT: (&str, &str) = ("Json error:", " got ");

/// The message of arrow-csv for a cell that is not of the type of its column, and the remedy.
const MISREAD: (&str, &str) = (
    "Error while parsing value",
    ". The types of CSV are those of its first rows: CREATE EXTERNAL TABLE t (c VARCHAR, …) STORED AS CSV LOCATION '…' OPTIONS \
     ('format.has_header' 'true') names others",
);

/// The text of an error of another crate, without the data values in it, and with a remedy if the text has none.
///
/// ```
/// let message = "Cannot cast string 'ada@example.org' to value of Int64 type";
/// assert_eq!(datafusion_clevertap::redact::without_values(message), "Cannot cast string '…' to value of Int64 type");
/// ```
#[must_use]
pub fn without_values(message: &str) -> String {
    let mut redacted = Cow::Borrowed(message.split_once(ROW).map_or(message, |(head, _)| head));
    if let Some((before, rest)) = redacted.split_once(GOT.0)
        && let Some((kept, _)) = rest.split_once(GOT.1)
    {
        redacted = Cow::Owned(format!("{before}{}{kept}{}…", GOT.0, GOT.1));
    }
    for (before, after) in TRAILERS {
        if let Some(start) = redacted.find(before).map(|at| at + before.len())
            && let Some(end) = redacted.rfind(after).filter(|end| *end >= start)
        {
            let (head, tail) = (redacted.get(..start).unwrap_or_default(), redacted.get(end..).unwrap_or_default());
            redacted = Cow::Owned(format!("{head}…{tail}"));
        }
    }
    for (before, after) in DELIMITERS {
        let Some(start) = redacted.find(before).map(|at| at + before.len()) else { continue };
        let (head, rest) = redacted.split_at(start);
        let line = rest.lines().next().unwrap_or_default();
        let end = if after.is_empty() { Some(line.len()) } else { rest.rfind(after) };
        // An unexpected form: drop the rest rather than show a value.
        let end = end.unwrap_or(rest.len());
        redacted = Cow::Owned(format!("{head}…{}", rest.get(end..).unwrap_or_default()));
    }
    if redacted.contains(MISREAD.0) {
        redacted.to_mut().push_str(MISREAD.1);
    }
    redacted.into_owned()
}

/// A text of CleverTap with `…` for each word that may be an address or a number of a person: with an @, or with six digits or more. It cannot
/// know a name.
pub(crate) fn without_addresses(text: &str) -> String {
    let is_one = |word: &str| word.contains('@') || word.bytes().filter(u8::is_ascii_digit).count() >= 6;
    text.split(' ').map(|word| if is_one(word) { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_removed_and_their_location_is_kept() {
        for (message, redacted) in [
            (
                "Parser error: Error while parsing value 'O'Hara' as type 'Int64' for column 0 at line 1501. Row data: '[O'Hara,a@b.c]'",
                "Parser error: Error while parsing value '…' as type 'Int64' for column 0 at line 1501",
            ),
            ("whilst decoding field 'id': failed to parse \"ann\" as Int64", "whilst decoding field 'id': failed to parse \"…\" as Int64"),
            ("Cannot cast value '1415' to value of Boolean type", "Cannot cast value '…' to value of Boolean type"),
            ("Invalid argument error: 12.00 is too large to store", "Invalid argument error: … is too large to store"),
            (
                "Invalid argument error: Column 'id' is declared as non-nullable but contains null values",
                "Invalid argument error: Column 'id' is declared as non-nullable but contains null values",
            ),
            (
                "Error while parsing value 'x' as type 'Int64' for column 0 at line 2. Row data: '[x,1 Road\nTown]'",
                "Error while parsing value '…' as type 'Int64' for column 0 at line 2",
            ),
            (
                "Json error: whilst decoding field 'phone': expected string got 1415",
                "Json error: whilst decoding field 'phone': expected string got …",
            ),
            (
                "Csv error: incorrect number of fields for line 1, expected 3 got 2",
                "Csv error: incorrect number of fields for line 1, expected 3 got 2",
            ),
            ("Can't cast value 99999999999 to type Int32", "Can't cast value … to type Int32"),
            ("Error parsing timestamp from 'ann': error parsing date", "Error parsing timestamp from '…': error parsing date"),
            ("Error while parsing value 'ann", "Error while parsing value '…"),
            ("No field named x", "No field named x"),
        ] {
            let expected = if message.contains(MISREAD.0) { format!("{redacted}{}", MISREAD.1) } else { redacted.to_owned() };
            assert_eq!(without_values(message), expected);
        }
    }
}
