//! The read path: WHERE, projection and LIMIT -> calls -> pages -> batches.
//!
//! ```text
//! filters ─▶ pushdown   keys, days, conditions that CleverTap looks at ─▶ plan ─▶ scan ──┬─▶ lookup   one request a key
//!                       (keys, ranges, condition)                       (ScanExec)      ├─▶ export   windows: chains of pages
//!                                                                                       └─▶ report   counts, lists: small answers
//! projection   the columns of a scan to those of a page, and back     decode   bytes -> Arrow
//! query        days and windows, as requests say them                 spec     what a scan is told, what it counts
//! discover     events, properties, types: asks, and keeps them in project_schema
//! ```

pub(crate) mod counts;
pub(crate) mod decode;
pub(crate) mod discover;
pub(crate) mod export;
pub(crate) mod lists;
pub(crate) mod lookup;
pub(crate) mod plan;
pub(crate) mod projection;
pub(crate) mod pushdown;
pub(crate) mod query;
mod report;
pub(crate) mod scan;
pub(crate) mod spec;
