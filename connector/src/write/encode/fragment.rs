//! What is written of the values of a dictionary, or of runs, once for many rows.
//!
//! Data alone: `bound` writes fragments, rows and kernels read them.

use std::sync::Arc;

use arrow::array::ArrayRef;

use super::reject::Problem;

/// A dictionary, and what its values were written as.
pub(super) type Dictionary = (ArrayRef, Arc<Fragments>);

/// The field of each value as it was written, with a comma and its key, by the value's place.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    pub(super) bytes: Vec<u8>,
    /// Where each is; of length 0 for NULL, of a length that no buffer has where a row must look closer.
    pub(super) spans: Vec<(usize, usize)>,
    /// Bytes of the longest.
    pub(super) longest: usize,
    /// Whether they are all that a row must know: of an event's name it also keeps which one it is.
    pub(super) alone: bool,
    /// Bytes of comma and key.
    pub(super) key: usize,
    pub(super) each: Vec<Fragment>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) end: usize,
    pub(super) outcome: Result<(), Box<Problem>>,
    pub(super) cut: bool,
}
