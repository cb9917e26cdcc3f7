//! What an embedder is asked and told while a statement writes: [`EraseConsent`] before it erases, [`FateWatch`] as rows settle.
//!
//! Both are extensions of a session's configuration. A statement takes them when it is planned, whichever session runs it then. A panic
//! inside of them is an error of the statement. Whatever must be durable before a row leaves is no hook, but a plan node below the
//! write.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::fate::Fate;

/// What a statement is about to erase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erasure {
    /// The account's id.
    pub account: String,
    /// The table as it is registered: `clevertap.profiles`.
    pub table: String,
    /// `DELETE FROM clevertap.profiles`.
    pub statement: String,
    /// `SET clevertap.run_label`.
    pub label: String,
    /// The run that it will be: `run_uid` in `clevertap.runs`.
    pub run_uid: String,
    /// How many rows it takes.
    pub rows: u64,
}

/// Asked before a statement that erases sends its first request: put one into a session with
/// `SessionConfig::with_extension(Arc::new(EraseConsent::new(…)))` before the statement is planned. Where there was none, the account's
/// access is consent enough. EXPLAIN ANALYZE of what erases asks as the statement does.
#[derive(Clone)]
pub struct EraseConsent(Arc<AskConsent>);

type AskConsent = dyn Fn(Erasure) -> BoxFuture<'static, bool> + Send + Sync;

impl EraseConsent {
    /// Calls `ask`. Where it answers `false` or panics, the statement ends with nothing sent. It is not asked about a dry run, nor about no
    /// rows.
    pub fn new(ask: impl Fn(Erasure) -> BoxFuture<'static, bool> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) async fn is_given(&self, erasure: Erasure) -> bool {
        match catch_unwind(AssertUnwindSafe(|| (self.0)(erasure))) {
            Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await.unwrap_or(false),
            Err(_) => false,
        }
    }
}

impl fmt::Debug for EraseConsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EraseConsent")
    }
}

/// Rows whose fate has become known.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SettledRows<'a> {
    /// The account's id.
    pub account: &'a str,
    /// The table as it is registered: `clevertap.profiles`.
    pub table: &'a str,
    /// The run in `clevertap.runs`.
    pub run_id: u64,
    /// The same, unique for good.
    pub run_uid: &'a str,
    /// Whether the statement is a dry run, of which nothing is stored.
    pub dry_run: bool,
    /// Row numbers, from 1 in the order in which the statement read them, and what became of them; `None` is accepted.
    pub rows: &'a [(u64, Option<Fate>)],
}

/// Fates as they settle, for those who keep a ledger of their own: put one into a session with
/// `SessionConfig::with_extension(Arc::new(FateWatch::new(…)))` before the statement is planned.
#[derive(Clone)]
pub struct FateWatch(Arc<Watch>);

type Watch = dyn Fn(SettledRows<'_>) + Send + Sync;

/// A watch panicked.
#[derive(Debug)]
pub(crate) struct WatchPanicked;

impl FateWatch {
    /// Calls `watch` as rows settle, each row once, also when the stream is dropped. It is called from the writing task, in order of
    /// settling, and must not block. Where it panics, the statement stops with an error, and the watch is not called again.
    pub fn new(watch: impl Fn(SettledRows<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(watch))
    }

    pub(crate) fn call(&self, rows: SettledRows<'_>) -> Result<(), WatchPanicked> {
        catch_unwind(AssertUnwindSafe(|| (self.0)(rows))).map_err(|_| WatchPanicked)
    }
}

impl fmt::Debug for FateWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FateWatch")
    }
}
