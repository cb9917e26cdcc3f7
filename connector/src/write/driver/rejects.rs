//! Rows that are not sent although they were encoded.

use crate::write::encode::{Reject, identifier_of};
use crate::write::mapping::Mapping;

/// The largest record that is kept of a row that is not sent.
const RECORD_KEPT_BYTES_MAX: usize = 256 << 10;

/// The record is too large for a body.
pub(super) fn too_large(mapping: &Mapping, json: &[u8], bytes_max: usize) -> Reject {
    let reason = format!("belongs to a record of {} bytes; a body takes {bytes_max}", json.len());
    rejected(mapping, "CT-520", mapping.identifier().name.clone(), reason, json)
}

/// A value of the row could not be made, so that the record lacks it.
pub(super) fn unmade(mapping: &Mapping, (column, reason): (String, String), json: &[u8]) -> Reject {
    rejected(mapping, "CT-521", column, reason, json)
}

fn rejected(mapping: &Mapping, code: &'static str, column: String, reason: String, json: &[u8]) -> Reject {
    // A batch may have thousands of them.
    let record = if json.len() <= RECORD_KEPT_BYTES_MAX { String::from_utf8_lossy(json).into_owned() } else { "{}".to_owned() };
    Reject { code, column, reason, identifier: identifier_of(mapping, json), record }
}
