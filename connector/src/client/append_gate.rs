//! The gate: a switch of a statement that its lane checks before each attempt of an append.
//!
//! [`Gate`] holds appends back after one of them was lost, until CleverTap is known to accept them again. Like
//! [`Stop`](crate::runs::Stop), which ends requests that were never sent, it does not affect an attempt in flight: that one runs to
//! its answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Holds back requests that must not be executed twice. Clones share one gate; it starts open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
    /// How often the gate was held.
    holds: AtomicUsize,
    /// Number of requests that wait to pass.
    waiting: AtomicUsize,
    /// Notified when another request starts to wait, or the state changes.
    queued: Notify,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Held,
    /// Held, but the first request may pass as a trial.
    Trial,
}

impl Gate {
    /// No further attempt passes, not even a retry.
    pub(crate) fn hold(&self) {
        self.0.holds.fetch_add(1, Ordering::SeqCst);
        self.set(State::Held);
    }

    /// Lets exactly one request pass a held gate, as a trial. Its pass is valid until an attempt may have arrived. If the request
    /// ends or is dropped before, the next one may pass.
    pub(crate) fn try_one(&self) {
        self.set(State::Trial);
    }

    /// Lets all requests pass.
    pub(crate) fn open(&self) {
        self.set(State::Open);
    }

    fn set(&self, state: State) {
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.0.changed.notify_waiters();
        self.0.queued.notify_waiters();
    }

    /// Whether appends are held back, except for a trial.
    pub(crate) fn is_held(&self) -> bool {
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) != State::Open
    }

    /// WaitGuard until `requests` requests wait at a held gate, so that nothing in flight can open it.
    pub(crate) async fn all_wait(&self, requests: usize) {
        loop {
            let queued = self.0.queued.notified();
            let held = *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) == State::Held;
            if held && self.0.waiting.load(Ordering::SeqCst) >= requests {
                return;
            }
            queued.await;
        }
    }

    /// WaitGuard until this request may pass. `earlier` is the pass of its previous attempt.
    pub(super) async fn pass(&self, earlier: Option<Pass>) -> Pass {
        if let Some(pass) = earlier
            && pass.is_valid()
        {
            return pass;
        }
        let _guard = WaitGuard::new(&self.0);
        loop {
            let changed = self.0.changed.notified();
            if let Some(pass) = self.try_pass() {
                return pass;
            }
            changed.await;
        }
    }

    fn try_pass(&self) -> Option<Pass> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let trial = match *state {
            State::Open => false,
            State::Held => return None,
            State::Trial => true,
        };
        if trial {
            *state = State::Held;
        }
        Some(Pass { gate: self.clone(), trial, holds: self.0.holds.load(Ordering::SeqCst), used: false })
    }
}

/// Counts a waiting request while it exists.
struct WaitGuard<'a>(&'a Inner);

impl<'a> WaitGuard<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.waiting.fetch_add(1, Ordering::SeqCst);
        inner.queued.notify_waiters();
        Self(inner)
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The right to send an attempt past a gate.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Gate,
    /// Whether it is the one trial of a held gate.
    trial: bool,
    /// [`Inner::holds`] when the pass was given.
    holds: usize,
    /// Whether an attempt with it may have arrived.
    used: bool,
}

impl Pass {
    /// Whether it still allows an attempt: a trial until the gate is held again, any other pass while the gate is open.
    pub(super) fn is_valid(&self) -> bool {
        if self.trial {
            return self.holds == self.gate.0.holds.load(Ordering::SeqCst);
        }
        *self.gate.0.state.lock().unwrap_or_else(PoisonError::into_inner) == State::Open
    }

    /// Whether it is the one trial of a held gate.
    pub(super) fn is_trial(&self) -> bool {
        self.trial
    }

    /// Notes that an attempt is about to be sent.
    pub(super) fn mark_sent(&mut self) {
        self.used = true;
    }

    /// Notes that the attempt certainly was not executed.
    pub(super) fn mark_not_executed(&mut self) {
        self.used = false;
    }
}

impl Drop for Pass {
    /// Returns an unused trial to the gate.
    fn drop(&mut self) {
        if !self.trial || self.used || !self.is_valid() {
            return;
        }
        let mut state = self.gate.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Held {
            *state = State::Trial;
        }
        drop(state);
        self.gate.0.changed.notify_waiters();
    }
}
