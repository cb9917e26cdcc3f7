//! What erases: demerges and DELETE. Counted before the first request, never more than was said, never a demerge twice.

mod deletes;
mod demerges;
pub(crate) mod random;
