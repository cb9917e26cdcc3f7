//! How much of an answer is read, by its call.
//!
//! In: the path of a call. Out: the bytes after which its answer is an error. Pages of exports are decoded as they are; other answers
//! become trees of many times their size.

/// An upload: a thousand refused records, each with its reason.
const UPLOAD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// An export: a page of 5,000 events.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A look-up: one person, 60 times what 256 properties of 512 bytes take.
const PERSON_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Any other call: twice a schema of 512 events with 256 properties each.
const OTHER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Maximum size of the answer to a call.
pub(super) fn answer_bytes_max(path: &str) -> usize {
    match path {
        "/1/upload" => UPLOAD_BYTES_MAX,
        path if is_export(path) => PAGE_BYTES_MAX,
        "/1/profile.json" => PERSON_BYTES_MAX,
        _ => OTHER_BYTES_MAX,
    }
}

/// Whether the answers to a call are pages of an export.
pub(super) fn is_export(path: &str) -> bool {
    matches!(path, "/1/events.json" | "/1/profiles.json")
}
