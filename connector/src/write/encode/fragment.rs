//! The values of a dictionary or of runs, written once for many rows.
//!
//! Only data: `bound` writes the fragments, rows and kernels read them.

use std::sync::Arc;

use arrow::array::ArrayRef;

use super::reject::Problem;

/// A dictionary and its fragments.
pub(super) type Dictionary = (ArrayRef, Arc<Fragments>);

/// The field of each value, with comma and key, in the order of the values.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    pub(super) bytes: Vec<u8>,
    /// Start and length of each: length 0 for NULL; a length larger than any buffer if the row must look at the value itself.
    pub(super) spans: Vec<(usize, usize)>,
    /// Length of the longest.
    pub(super) longest: usize,
    /// Whether a row needs nothing but the bytes. Of an event name it also needs to know which name it is.
    pub(super) self_contained: bool,
    /// Length of comma and key.
    pub(super) key_bytes: usize,
    pub(super) values: Vec<Fragment>,
}

/// The field of one value.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) end: usize,
    pub(super) outcome: Result<(), Box<Problem>>,
    pub(super) cut: bool,
}
