//! The read path: WHERE, projection and LIMIT -> calls -> pages -> batches.
//!
//! ```text
//! filters ─▶ filter    keys that are pinned       ─┐
//!            range     days and instants           ├─▶ wanted ─▶ plan ─▶ scan ──┬─▶ lookup   one request a key
//!            property  conditions on properties   ─┘            (ScanExec)     ├─▶ export   windows ─▶ chain   pages of a cursor
//! joins   ─▶ late      which look-ups wait for one                              └─▶ report   counts, lists: small answers
//!
//! pages   ─▶ peek      the next cursor, early     answers ─▶ shape ─▶ decode    bytes -> Arrow
//! memory   what pages take of the pool            discover  events, properties, types (schema)
//! identifiers  numbers compared with identifiers are made text
//! instants     times that a clock shows twice or never, and fractions of a second, in comparisons
//! copied       no file of half an export
//! ```

pub(crate) mod chain;
pub(crate) mod copied;
pub(crate) mod counts;
pub(crate) mod decode;
pub(crate) mod discover;
pub(crate) mod export;
pub(crate) mod filter;
pub(crate) mod identifiers;
pub(crate) mod instants;
pub(crate) mod late;
pub(crate) mod lists;
pub(crate) mod lookup;
mod memory;
mod peek;
pub(crate) mod plan;
mod property;
mod range;
mod report;
pub(crate) mod scan;
pub(crate) mod schema;
mod shape;
pub(crate) mod wanted;
