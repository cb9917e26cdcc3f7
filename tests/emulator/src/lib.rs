//! A faithful CleverTap on loopback, for tests, demos and load measurements of this project.
//!
//! It is written from the API reference and from nothing else; where the reference is uncertain, it takes the stricter way.
//!
//! ```text
//!  HTTP (serve.rs) ──┐   admit: path (api.rs), credentials (auth.rs),        upload/  checks, codes, cleaning ─────────▶ store/
//!                    ├─▶ handle.rs headers (headers.rs), slot (limits.rs) ─▶ export/, counts/ ──▶ query/ ──────────────▶ store/
//!  in-process ───────┘   latency, faults (faults.rs)                         profile_lookup.rs, schema.rs ─────────────▶ store/
//!                                                                            campaigns.rs, lists.rs ──────────────▶ settings/
//!                                                                            answer.rs ◀── report.rs counts everything
//! ```
//!
//! The endpoints that write: `upload/`, `addresses.rs` (subscribe, disassociate), `demerge.rs`,
//! `delete.rs`, `custom_lists/`; `verdict.rs` is what bodies of records share. What CleverTap does after its answer, deletions
//! and lists, is found done by whoever asks first after its hour (`scheduled.rs`); `store/schema.rs` takes away in silence.
//!
//! Two entry points, one path behind them: [`Emulator::handle`] takes a request as a value and uses no socket, so that a paused tokio clock
//! works and a run repeats by its seed; [`Emulator::serve`] listens on loopback. Faults are rules ([`Fault`]); what
//! happened is in [`Emulator::report`], and by `GET /_emulator/state`.
//!
//! What is there before the first request comes from [`Emulator::seed`] (people, events) and from [`Settings`] (schema,
//! campaigns, lists). An export is cut into pages as the reference measured it: 23 partitions, cursors that must not be
//! touched, a bare last page; its set of records is frozen when it is opened, the people in it are shown as they are today.
//!
//! ```
//! use clevertap_emulator::{Emulator, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::new(Settings::default());
//! let request = http::Request::post("/1/upload")
//!     .header("X-CleverTap-Account-Id", "TEST-123-456Z")
//!     .header("X-CleverTap-Passcode", "emulator-passcode")
//!     .header("Content-Type", "application/json")
//!     .body(r#"{"d":[{"type":"event","identity":"ada","evtName":"Signed up"}]}"#.into())?;
//! let answer = emulator.handle(request).await?;
//! assert_eq!(&answer.body()[..], br#"{"status":"success","processed":1,"unprocessed":[]}"#);
//! assert_eq!(emulator.events_stored(), 1);
//! # Ok(())
//! # }
//! ```

mod addresses;
mod answer;
mod api;
mod auth;
mod campaigns;
mod control;
mod counts;
mod custom_lists;
mod delete;
mod deletions;
mod demerge;
mod emulator;
mod export;
mod faults;
mod handle;
mod headers;
mod json;
mod limits;
mod lists;
mod profile_lookup;
mod query;
#[cfg(test)]
mod reference;
mod report;
mod sample;
mod scheduled;
mod schema;
mod serve;
mod settings;
mod store;
mod subscriptions;
mod upload;
mod url_query;
mod verdict;

pub use custom_lists::state::{CustomList, ListOutcome, ListState, OutcomeEmail};
pub use deletions::Deletion;
pub use emulator::Emulator;
pub use faults::{Fault, What};
pub use handle::Broken;
pub use report::{Entry, ExportOpened, Loss, Report, Rule};
pub use serve::Server;
pub use settings::{
    Campaign, DataType, Device, EventStatus, LastPage, Need, NoResult, Platform, PropertyReaction, PropertyRule, Reaction, SchemaEvent,
    SchemaForm, SchemaRules, Settings, Store, SubscriptionGroup, TopObjectId, UnknownProfile,
};
pub use store::seed::{SeedPerson, SeedPersonId, Seeder};
pub use store::views::EventRef;
pub use subscriptions::Subscription;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock that a panic elsewhere does not close.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
