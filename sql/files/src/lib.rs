//! What text files say, byte by byte.
//!
//! In: bytes, from wherever they come, in pieces of any size: this crate opens nothing and awaits nothing. Out: what the file is, or why it is
//! not read; then Arrow. A file is read twice, since it says nothing of its types: a type that is guessed from a sample makes the person
//! `00123` the person `123`.
//!
//! No text of a file gets into a message: lines, names of columns, shapes and well-known null marks do.

mod error;

pub mod csv;
pub mod json;

pub use error::TextError;
