//! What CleverTap carries out after its answer, on the account's clock.
//!
//! Nothing runs in the background: whoever asks first finds done what is due by then, so that a paused clock decides.

use crate::emulator::Inner;

impl Inner {
    /// Carries out everything that is due.
    pub(crate) fn catch_up(&self) {
        self.delete_due();
        self.read_due_files();
    }
}
