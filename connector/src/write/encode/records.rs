//! Records that are sent as they are: those of failed rows, which were encoded before.
//!
//! In: a column of records, as JSON. Out: the same bytes in the page. What makes a record one that must not be sent twice, and whose it
//! is, is read from it.

use arrow::array::{Array, StringArray};

use super::page::Page;
use super::reject::{NOT_JSON, Reject};
use super::{Record, Row, field, identifier_of};
use crate::table::Resend;
use crate::write::mapping::Mapping;

/// The name of the column.
pub(crate) const RECORD: &str = "record";

/// Keys of an object that changes a number by what it holds: sent twice, it changes the number twice.
const CHANGES: [&str; 2] = ["\"$incr\":", "\"$decr\":"];

/// Writes the record at `at`, followed by a comma.
pub(super) fn write(records: &StringArray, at: usize, mapping: &Mapping, resend: Resend, page: &mut Page) -> Row {
    let record = if records.is_valid(at) { records.value(at).trim() } else { "" };
    let Some(identifier) = identifier_of(mapping, record.as_bytes()) else {
        return Row::Reject(Box::new(Reject {
            code: NOT_JSON,
            column: RECORD.to_owned(),
            reason: "has a text that is no record, or one that names nobody; select the row from its source again".to_owned(),
            identifier: None,
            record: record.to_owned(),
        }));
    };
    // Inside of a text, the quotes would be escaped.
    let resend = if CHANGES.iter().any(|change| record.contains(change)) { Resend::Appends } else { resend };
    let start = page.len();
    page.push(record.as_bytes());
    page.push(b",");
    Row::Record(Record::new(start, start + record.len(), resend, field::hash(identifier.as_bytes())))
}
