//! What text files say.

mod error;
pub mod json;

pub use error::TextError;
