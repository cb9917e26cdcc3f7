//! The write path: batches -> bodies -> answers -> a fate for every row.
//!
//! ```text
//! source ─▶ job (mapping)  ─▶ plan      ─▶ driver ──┬─▶ schema_check  compared with what the project has
//!          columns->fields   WriteExec     one task ├─▶ encode        batches -> records
//!                            (consent: what erases) ├─▶ body          records -> bodies
//!                                                   ├─▶ deliver       a body until each record has a fate (response)
//!                                                   └─▶ settle        fates -> counts, failed rows, end
//! list    custom lists: sorted, one file per list  hooks    callbacks of an embedder
//! ```

pub(crate) mod body;
mod consent;
mod deliver;
mod driver;
pub(crate) mod encode;
pub(crate) mod hooks;
mod identities_in_flight;
pub(crate) mod job;
pub(crate) mod list;
pub(crate) mod mapping;
pub(crate) mod plan;
mod response;
pub(crate) mod run_uids;
mod schema_check;
mod settle;
