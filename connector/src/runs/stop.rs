//! The switch that stops a statement: what never left stays here, an attempt in flight goes on to its answer.

use tokio_util::sync::CancellationToken;

/// Stops a statement's requests that cannot have arrived. Clones are one switch; it cannot be undone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(CancellationToken);

impl Stop {
    /// Stops.
    pub(crate) fn stop(&self) {
        self.0.cancel();
    }

    /// Whether it was stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for it.
    pub(crate) async fn stopped(&self) {
        self.0.cancelled().await;
    }
}
