//! The read path: WHERE + projection -> calls -> answers -> batches.

pub(crate) mod decode;
pub(crate) mod filter;
pub(crate) mod lookup;
