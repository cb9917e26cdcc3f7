//! What an embedder is asked and told while a statement writes: [`EraseConsent`] before it erases, [`FateWatch`] as rows settle.
//!
//! Both are extensions of a session's configuration. Whatever must be durable before a row leaves is no hook, but a plan node below
//! the write.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::fate::Fate;

/// What a statement is about to erase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// `DELETE FROM clevertap.profiles`.
    pub statement: String,
    /// How many rows it takes.
    pub rows: u64,
}

/// Asked before a statement that erases sends its first request: put one into a session with
/// `SessionConfig::with_extension(Arc::new(EraseConsent::new(…)))`. Where there is none, the account's access is consent enough.
#[derive(Clone)]
pub struct EraseConsent(Arc<AskConsent>);

type AskConsent = dyn Fn(Erasure) -> BoxFuture<'static, bool> + Send + Sync;

impl EraseConsent {
    /// Calls `ask`, whose `false` ends the statement with nothing sent. It is not asked about a dry run, nor about no rows.
    pub fn new(ask: impl Fn(Erasure) -> BoxFuture<'static, bool> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) async fn is_given(&self, erasure: Erasure) -> bool {
        (self.0)(erasure).await
    }
}

impl fmt::Debug for EraseConsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EraseConsent")
    }
}

/// Fates as they settle, for those who keep a ledger of their own: put one into a session with
/// `SessionConfig::with_extension(Arc::new(FateWatch::new(…)))`, and its writes call it.
#[derive(Clone)]
pub struct FateWatch(Arc<Watch>);

/// Row numbers and what became of them; `None` is accepted.
type Watch = dyn Fn(&[(u64, Option<Fate>)]) + Send + Sync;

impl FateWatch {
    /// Calls `watch` with row numbers and what became of them; `None` is accepted. It is called from the writing task, in
    /// order of settling, and must not block.
    pub fn new(watch: impl Fn(&[(u64, Option<Fate>)]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(watch))
    }

    pub(crate) fn call(&self, fates: &[(u64, Option<Fate>)]) {
        (self.0)(fates);
    }
}

impl fmt::Debug for FateWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FateWatch")
    }
}
