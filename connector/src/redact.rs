//! What others say of values, without the values: a source that cannot be read is told with a row of it.
//!
//! In: the text of an error of Arrow or DataFusion. Out: the same, with `…` for each value that their messages are known to hold, and with
//! a remedy where one is known. Arrow has no codes, so that its words are all there is to go by: they stand here and nowhere else.

use std::borrow::Cow;

/// Around values, as arrow-csv, arrow-json, arrow-cast and arrow's parsers write them. What comes behind is looked for from the end, since
/// the value may hold it too; where it is empty, the value goes on to the end of the line.
const AROUND: [(&str, &str); 9] = [
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

/// The same, where only what comes behind tells that there is a value.
const BEFORE: [(&str, &str); 1] = [("Invalid argument error: ", " is too large")];
/// Begins a whole row, line breaks of its cells included, as arrow-csv shows it.
const ROW: &str = ". Row data: '";
/// Begins a value in what arrow-json says.
const GOT: (&str, &str) = ("Json error:", " got ");

/// What arrow-csv says of a cell that is not of its column's type, and what helps.
const MISREAD: (&str, &str) = (
    "Error while parsing value",
    ". The types of CSV are those of its first rows: CREATE EXTERNAL TABLE t (c VARCHAR, …) STORED AS CSV LOCATION '…' OPTIONS \
     ('format.has_header' 'true') names others",
);

/// The text of an error that is not of this crate, without values of the data that it speaks of, and with what helps where it says nothing
/// of that.
///
/// ```
/// let told = "Cannot cast string 'ada@example.org' to value of Int64 type";
/// assert_eq!(datafusion_clevertap::without_values(told), "Cannot cast string '…' to value of Int64 type");
/// ```
#[must_use]
pub fn without_values(message: &str) -> String {
    let mut told = Cow::Borrowed(message.split_once(ROW).map_or(message, |(head, _)| head));
    if let Some((before, said)) = told.split_once(GOT.0)
        && let Some((said, _)) = said.split_once(GOT.1)
    {
        told = Cow::Owned(format!("{before}{}{said}{}…", GOT.0, GOT.1));
    }
    for (before, behind) in BEFORE {
        if let Some(start) = told.find(before).map(|at| at + before.len())
            && let Some(end) = told.rfind(behind).filter(|end| *end >= start)
        {
            let (head, tail) = (told.get(..start).unwrap_or_default(), told.get(end..).unwrap_or_default());
            told = Cow::Owned(format!("{head}…{tail}"));
        }
    }
    for (before, behind) in AROUND {
        let Some(start) = told.find(before).map(|at| at + before.len()) else { continue };
        let (head, rest) = told.split_at(start);
        let line = rest.lines().next().unwrap_or_default();
        let end = if behind.is_empty() { Some(line.len()) } else { rest.rfind(behind) };
        // Of another shape than is known: rather nothing than a value.
        let end = end.unwrap_or(rest.len());
        told = Cow::Owned(format!("{head}…{}", rest.get(end..).unwrap_or_default()));
    }
    if told.contains(MISREAD.0) {
        told.to_mut().push_str(MISREAD.1);
    }
    told.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out_and_where_they_stand_is_not() {
        for (said, told) in [
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
            let helped = if said.contains(MISREAD.0) { format!("{told}{}", MISREAD.1) } else { told.to_owned() };
            assert_eq!(without_values(said), helped);
        }
    }
}
