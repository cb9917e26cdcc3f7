//! The write path: batches -> bodies -> answers -> a fate for every row.
//!
//! ```text
//! source ─▶ job (mapping)  ─▶ exec      ─▶ driver ──┬─▶ schema_check  compared with what the project has
//!          columns->fields   WriteExec     one task ├─▶ encode        batches -> records
//!                            (consent: what erases) ├─▶ body          records -> bodies
//!                                                   ├─▶ deliver       a body until each record has a fate (response)
//!                                                   └─▶ settle        fates -> counts, failed rows, end
//! resume        what an earlier run settled
//! custom_list   sorted, one file per list         hooks    callbacks of an embedder
//! payload       what a row would send
//! ```

pub(crate) mod body;
mod consent;
pub(crate) mod custom_list;
mod deliver;
mod driver;
pub(crate) mod encode;
pub(crate) mod exec;
pub mod hooks;
mod identities_in_flight;
pub(crate) mod job;
pub(crate) mod mapping;
pub mod payload;
pub(crate) mod response;
mod resume;
pub(crate) mod run_uids;
mod schema_check;
mod settle;
