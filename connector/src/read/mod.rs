//! The read path: from filters, projection and limit to requests, pages and batches.
//!
//! In: what DataFusion pushes down into a scan. Out: a [`ScanExec`](scan::ScanExec), which makes requests only when it runs. Planning is
//! apart from running, so that EXPLAIN costs nothing and a missing filter is a plan error.
//!
//! ```text
//! filters ─▶ pushdown ─▶ plan ─▶ scan ──┬─▶ lookup   one request for each key
//!            keys         ReadPlan  ▲  │
//!            ranges                 │  ├─▶ export   windows of days, each a chain of pages
//!            condition              │  │
//!                                   │  └─▶ report   small answers: counts, lists
//! joins, subqueries ─▶ late_filter ─┘
//!                      collect_keys
//!
//! filter_columns  the columns by which a table is asked for
//! answer       small answers, held against the form of their call
//! rest         what of a record no column takes
//! spec         parameters and metrics of a scan
//! projection   the columns of a scan to those of a page, and pages to batches
//! decode       the bytes of a page to Arrow arrays
//! query        the JSON of days and events in requests
//! schema_discovery  fetches events, properties and types into project_schema
//! ```

pub(crate) mod answer;
pub(crate) mod collect_keys;
pub(crate) mod counts;
pub(crate) mod decode;
pub(crate) mod export;
pub(crate) mod filter_columns;
pub(crate) mod late_filter;
pub(crate) mod lists;
pub(crate) mod lookup;
pub(crate) mod plan;
pub(crate) mod projection;
pub(crate) mod pushdown;
pub(crate) mod query;
mod report;
mod rest;
pub(crate) mod scan;
pub(crate) mod schema_discovery;
pub(crate) mod spec;
