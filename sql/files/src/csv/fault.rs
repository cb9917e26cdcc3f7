//! What a fault of structure means for who wrote the file.
//!
//! In: a fault, and what the machine noticed on the way. Out: the error, with what to write instead.

use std::sync::Arc;

use super::feed::RECORD_BYTES_MAX;
use super::lines::Looks;
use super::structure::{Fault, Machine};
use crate::error::{TextError, option};

/// A byte as one writes it in an option.
pub(crate) fn quoted(byte: u8) -> String {
    match byte {
        b'\t' => "'\\t'".to_owned(),
        b'\'' => "''''".to_owned(),
        0x21..=0x7e => format!("'{}'", char::from(byte)),
        other => format!("the byte {other}"),
    }
}

/// What to write where quotes stand behind backslashes.
pub(crate) fn escape() -> String {
    format!("quotes in it stand behind a backslash: {}", option("escape", "'\\'"))
}

/// The error of a fault in the first pass.
pub(crate) fn explain(file: &Arc<str>, fault: Fault, machine: &Machine) -> TextError {
    let told = |line: u64, what: String| TextError::new(file, what).line(line);
    // Not those before the fault, which were read as they stand.
    let has_backslashes = |line: u64| machine.noticed.backslash_quote.is_some_and(|at| at >= line);
    match fault {
        Fault::OpenQuote(line) => {
            let error = told(line, "the quote that opens here is never closed".to_owned());
            error.remedy(if has_backslashes(line) { escape() } else { "close it, or double a quote that is text".to_owned() })
        }
        Fault::TextBehindQuote { line, at_line } => {
            let place = if at_line == line { String::new() } else { format!(" in line {at_line}") };
            let error = told(line, format!("the quote that opens a cell here is closed{place}, and text follows, not a separator"));
            error.remedy(if has_backslashes(line) {
                escape()
            } else {
                "close the cell before it, or double a quote that is text".to_owned()
            })
        }
        Fault::Cells { line, found, expected, looks, first } => {
            let cells = |count: usize| if count == 1 { "1 cell".to_owned() } else { format!("{count} cells") };
            let separator = quoted(machine.dialect.delimiter);
            let error =
                told(line, format!("the record has {}, the first one has {}, separated by {separator}", cells(found), cells(expected)));
            if let Some(remedy) = no_row(looks).or_else(|| of_dialect(looks, machine.dialect.delimiter)) {
                error.remedy(remedy)
            } else if has_backslashes(line) {
                error.remedy(escape())
            } else if expected == 1 && first == Looks::Comment {
                error.remedy(format!("{} leaves out the lines above the names of the columns", option("comment", "'#'")))
            } else if expected == 1 {
                error.remedy(format!(
                    "quote cells with separators, give the separator, as in {}, or remove what stands above the names of the columns",
                    option("delimiter", "';'")
                ))
            } else if found == 1 {
                error.remedy("remove the line if it is no row (a comment, a total, the end mark of a dump), or quote cells with separators or line ends")
            } else {
                error.remedy("quote cells with separators or line ends")
            }
        }
        Fault::NoRow { line, looks } => {
            let what = match looks {
                Looks::Joined => "a byte order mark begins the line, as where files were joined",
                Looks::Names => "the names of the columns stand here again, as where files were joined",
                _ => "the line looks like one that programs write around rows",
            };
            let remedy = no_row(looks).unwrap_or_default();
            let quote = if machine.dialect.is_quoteless() { "" } else { ", or quote it if it is a row" };
            told(line, what.to_owned()).remedy(if matches!(looks, Looks::Names | Looks::Joined) { remedy } else { remedy + quote })
        }
        Fault::MixedLineEnds(line) => {
            let error = told(line, "the line ends in another way (CR, or LF) than those before it".to_owned());
            error.remedy("write one kind of line end, and quote cells that have others")
        }
        Fault::TooLong(line) => too_long(file, line),
        Fault::NotUtf8(line) => told(line, "bytes are no UTF-8".to_owned())
            .remedy(format!("{} reads Western European text of Windows", option("encoding", "'windows-1252'"))),
        Fault::Nul(line) => told(line, "a byte is zero, as in no text file in UTF-8".to_owned())
            .remedy(format!("{} reads UTF-16", option("encoding", "'utf-16'"))),
        Fault::Changed(line) => changed(file, line),
        Fault::NotOfType { line, .. } | Fault::Missing { line, .. } => told(line, "a cell is not of the type of its column".to_owned()),
    }
}

/// What to do about a line that is no row.
pub(crate) fn no_row(looks: Looks) -> Option<String> {
    let remedy = match looks {
        Looks::Rule => {
            "the table is drawn for reading, as psql and mysql show it: write it with psql's \\copy (SELECT …) TO 'file.csv' CSV HEADER, or \
             with mysql --batch"
        }
        Looks::Footer => "remove the count of the rows, which psql -P footer=off does not write",
        Looks::EndMark => "remove the end mark of the dump",
        Looks::Joined => "remove the mark, or read the files as they were before: as a folder they are one table",
        Looks::Names => "remove the line, or read the files as they were before: as a folder they are one table",
        Looks::Record | Looks::Comment | Looks::Apostrophes | Looks::Backslashes => return None,
    };
    Some(remedy.to_owned())
}

/// The option by which such a line is read.
fn of_dialect(looks: Looks, delimiter: u8) -> Option<String> {
    match looks {
        Looks::Comment => Some(format!("{} leaves out lines that begin so", option("comment", "'#'"))),
        Looks::Apostrophes => Some(format!("{} reads cells in apostrophes", option("quote", "''''"))),
        Looks::Backslashes => Some(backslashes(delimiter)),
        _ => None,
    }
}

/// What to write where separators and line ends stand behind a backslash.
pub(crate) fn backslashes(delimiter: u8) -> String {
    let delimiter = quoted(delimiter);
    format!(
        "OPTIONS (delimiter {delimiter}, quote '', escape '\\') of CREATE EXTERNAL TABLE reads what MySQL and PostgreSQL's COPY write, with a backslash \
         in the place of quotes"
    )
}

pub(crate) fn too_long(file: &Arc<str>, line: u64) -> TextError {
    let what = format!("the record that begins here has more than {} MB", RECORD_BYTES_MAX >> 20);
    TextError::new(file, what).line(line).remedy("probably a quote is never closed")
}

/// The error of a second pass that found another file than the first.
pub(crate) fn changed(file: &Arc<str>, line: u64) -> TextError {
    TextError::new(file, "the file changed while it was read").line(line).remedy("read it again when nobody writes it")
}
