//! Ctrl-C, and the TERM signal by which a supervisor stops an unattended load: both mean the same here.
//!
//! In: signals. Out: [`Interrupts::next`], once for each. They are caught from [`Interrupts::listen`] on, so that none is lost
//! between two statements; from then on a signal alone no longer ends the process.

use std::fmt;

use futures::{
    StreamExt,
    stream::{self, BoxStream, Stream},
};

use crate::failure::{Failure, Result};

/// Signals that ask the program to end.
pub(crate) struct Interrupts(BoxStream<'static, ()>);

impl fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupts")
    }
}

impl Interrupts {
    /// Catches signals from here on.
    ///
    /// # Errors
    /// The operating system's.
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self::from(stream::unfold(signals, |(mut interrupt, mut terminate)| async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Some(((), (interrupt, terminate)))
        })))
    }

    /// Catches signals from here on.
    ///
    /// # Errors
    /// None here; elsewhere the operating system's.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self::from(stream::unfold((), |()| async { tokio::signal::ctrl_c().await.ok().map(|()| ((), ())) })))
    }

    /// Waits for `work`; the next signal drops it.
    ///
    /// # Errors
    /// [`Failure::Stopped`].
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.next() => Err(Failure::Stopped),
            done = work => Ok(done),
        }
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        if self.0.next().await.is_none() {
            std::future::pending().await
        }
    }
}

impl<S: Stream<Item = ()> + Send + 'static> From<S> for Interrupts {
    fn from(signals: S) -> Self {
        Self(signals.boxed())
    }
}
