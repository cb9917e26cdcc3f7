//! What the steps of the command share: the session, the log, the console.
//!
//! In: an open account, the store of the log. Out: [`Eraser`], whose steps are in `request`, `wait` and the folder's first page.

use rand::{SeedableRng, rngs::StdRng};

use super::{log::ErasureLog, log_store::LogStore};
use crate::{
    engine::session::Session,
    failure::Result,
    terminal::{confirm::Interactive, console::Console, interrupt::Interrupts},
};
use datafusion_clevertap::Account;

/// One command, while it runs.
pub(super) struct Eraser<'a> {
    pub(super) session: Session,
    pub(super) log: ErasureLog,
    pub(super) console: &'a mut Console,
    pub(super) interrupts: Interrupts,
    pub(super) interactive: Interactive,
    /// For the jitter of waits, and for the sample that is looked up first.
    pub(super) rng: StdRng,
}

impl<'a> Eraser<'a> {
    /// Reads the log and opens a session that reads CSV cells as text.
    ///
    /// # Errors
    /// The log's, or DataFusion's.
    pub(super) async fn open(
        account: Account,
        store: LogStore,
        interactive: Interactive,
        console: &'a mut Console,
        interrupts: Interrupts,
    ) -> Result<Self> {
        let log = ErasureLog::open(store, &account).await?;
        let session = Session::with_text_cells(account)?;
        Ok(Self { session, log, console, interrupts, interactive, rng: StdRng::from_os_rng() })
    }
}
