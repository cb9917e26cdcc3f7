//! JSON: records one a line, one behind the other, or as the elements of one list.
//!
//! In: the bytes of a file, in pieces. Out: what its columns are ([`Scan`], over every byte), then its rows ([`Rows`]).
//!
//! ```text
//! bytes ─> records ─> members ─┬─> form ─> layout      first pass: what all values of a column have in common
//!                              └─> cells ─> rows       second pass: batches of these types
//! ```
//!
//! | the values of a column, but for null and what is missing | its type |
//! |---|---|
//! | texts | `Utf8View` |
//! | `true`, `false` | `Boolean` |
//! | whole numbers | `Int64`, `UInt64`, `Decimal128(38, 0)`; with more digits text, as they stand |
//! | numbers, some with a point | `Decimal128` of all their digits; where they do not fit, have exponents or are `-0`, `Float64` if that keeps every one of them; else text |
//! | objects | `Struct` of these, each member by the same rules |
//! | lists | `List`, elements by the same rules |
//! | texts, numbers and booleans, mixed | `Utf8View`: the text's own characters, numbers as they stand |
//! | objects or lists, mixed with anything else at any depth; objects without a member | `Utf8View`, each value as its JSON |

mod cells;
mod form;
mod layout;
mod members;
mod numbers;
mod records;
mod rows;
mod scan;
#[cfg(test)]
mod tests;

pub use layout::{Column, Layout};
pub use rows::Rows;
pub use scan::Scan;
