//! One file or folder a command.
//!
//! In: parsed flags, an account where the command needs one, the console. Out: a result on stdout and how the command ended.
//!
//! ```text
//! run      script ─> statements ─> engine/runner ─> results          (-c SQL, -f FILE; no command word)
//! check    account ─> one small call an API ─> one line each; or a database, `check_database`
//! demo     generated files ─> emulator ─> the same runner ─> figures that must add up
//! config   the configuration ─> each value, and where it came from
//! init     answers ─> check ─> a commented clevertap.toml
//! person   one key ─> look-up ─> exports ─> one JSON document
//! erase    keys ─> look-ups ─> log, DELETE, log ─> wait ─> report
//! resend   failed rows ─> log, the same records, log
//! sync     [syncs.NAME] ─> what changed ─> INSERT ─> ledger
//! ```
//!
//! `person_key` holds the keys that `person` and `erase` share.

pub(crate) mod check;
pub(crate) mod check_database;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod erase;
pub(crate) mod init;
pub(crate) mod person;
mod person_key;
pub(crate) mod resend;
pub(crate) mod run;
#[cfg(feature = "syncs")]
pub(crate) mod sync;
