//! Signals that ask the program to end: Ctrl-C, TERM, by which a supervisor stops an unattended load, and HUP, which a terminal sends that
//! is closed. All mean the same here.
//!
//! In: signals. Out: [`Interrupts::next`], once for each. They are caught from [`Interrupts::listen`] on, so that none is lost
//! between two statements; from then on a signal alone no longer ends the process. HUP is told once: a closed terminal sends it twice, by the
//! shell and by the kernel, and means it once. A signal that was ignored when the program began, as by `nohup`, stays ignored.

use std::{fmt, time::Duration};

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

#[cfg(unix)]
mod unix {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use crate::failure::Result;

    /// The signals that are caught; `None` for one that is ignored.
    pub(super) struct Signals {
        interrupt: Option<Signal>,
        terminate: Option<Signal>,
        hangup: Option<Signal>,
    }

    impl Signals {
        pub(super) fn listen() -> Result<Self> {
            let ignored = ignored();
            let caught = |kind: SignalKind| {
                let bit = 1_u64 << (kind.as_raw_value() - 1);
                (ignored & bit == 0).then(|| signal(kind)).transpose()
            };
            Ok(Self {
                interrupt: caught(SignalKind::interrupt())?,
                terminate: caught(SignalKind::terminate())?,
                hangup: caught(SignalKind::hangup())?,
            })
        }

        pub(super) async fn next(&mut self) {
            tokio::select! {
                () = received(&mut self.interrupt) => {}
                () = received(&mut self.terminate) => {}
                () = received(&mut self.hangup) => self.hangup = None,
            }
        }
    }

    async fn received(signal: &mut Option<Signal>) {
        let received = match signal {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if received.is_none() {
            std::future::pending().await
        }
    }

    /// The signals that the process ignores, as bits. There is no safe call that tells; where Linux's file is missing, none are.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
    }
}

impl Interrupts {
    /// Catches signals from here on.
    ///
    /// # Errors
    /// The operating system's.
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self::from(stream::unfold(unix::Signals::listen()?, |mut signals| async move {
            signals.next().await;
            Some(((), signals))
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

    /// Waits for `work` that should come to its end; the next signal leaves it `grace` more.
    ///
    /// # Errors
    /// [`Failure::Stopped`].
    pub(crate) async fn or_after<T>(&mut self, grace: Duration, work: impl Future<Output = T>) -> Result<T> {
        let over = async {
            self.next().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = over => Err(Failure::Stopped),
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
