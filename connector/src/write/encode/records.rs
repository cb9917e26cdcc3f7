//! Records that are sent as they are: those of failed rows, which were encoded before.
//!
//! In: a record, as JSON. Out: what happens if it is stored twice, or why it is none.

use super::reject::{NOT_JSON, Reject};
use crate::table::Resend;

/// The name of their column.
pub(crate) const RECORD: &str = "record";

/// Keys of an object that changes a number by what it holds: sent twice, it changes the number twice.
const CHANGES: [&str; 2] = ["\"$incr\":", "\"$decr\":"];

/// What happens if `record` is stored twice, in a table of which that is `resend`.
pub(super) fn resend(record: &str, resend: Resend) -> Resend {
    // Inside of a text, the quotes would be escaped.
    if CHANGES.iter().any(|change| record.contains(change)) { Resend::Appends } else { resend }
}

/// The reject of a text that names nobody.
#[cold]
pub(super) fn no_record(text: &str) -> Reject {
    Reject {
        code: NOT_JSON,
        column: RECORD.to_owned(),
        reason: "has a text that is no record, or one that names nobody; select the row from its source again".to_owned(),
        identifier: None,
        record: text.to_owned(),
    }
}
