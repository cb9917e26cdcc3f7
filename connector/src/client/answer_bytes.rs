//! How much of an answer is read, by its call.
//!
//! In: the path of a call. Out: the bytes after which its answer is an error. Pages of exports are decoded as they are; other answers
//! become trees of many times their size. Which call is which, the tables say.

use super::concurrency::Api;
use crate::table::Read;
use crate::tables::TABLES;

/// An upload: a thousand refused records, each with its reason.
const UPLOAD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// An export: a page of 5,000 events.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A look-up: one person, 60 times what 256 properties of 512 bytes take.
const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Any other call: twice a schema of 512 events with 256 properties each.
const OTHER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Maximum size of the answer to a call.
pub(super) fn answer_bytes_max(path: &'static str) -> usize {
    let is_look_up = |read: &Read| matches!(read, Read::Lookup(lookup) | Read::People { lookup, .. } if lookup.path == path);
    if Api::of(path).is_upload() {
        UPLOAD_BYTES_MAX
    } else if is_export(path) {
        PAGE_BYTES_MAX
    } else if TABLES.iter().filter_map(|table| table.read.as_ref()).any(is_look_up) {
        RECORD_BYTES_MAX
    } else {
        OTHER_BYTES_MAX
    }
}

/// Whether the answers to a call are pages of an export.
pub(super) fn is_export(path: &str) -> bool {
    let is_export = |read: &Read| matches!(read, Read::Export(export) | Read::People { export, .. } if export.path == path);
    TABLES.iter().filter_map(|table| table.read.as_ref()).any(is_export)
}
