//! Two switches that a statement owns and its lane obeys before each attempt.
//!
//! [`Stop`] ends what never left. [`Gate`] holds back appends after one of them was lost, until it is known that CleverTap takes
//! them again. Neither reaches into an attempt in flight: that one goes on to its answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Holds back requests that must not be carried out twice. Clones are one gate; it starts open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
    /// How often it was held.
    holds: AtomicUsize,
    /// Requests that wait to pass.
    waiting: AtomicUsize,
    /// Somebody waits who did not, or the gate was held.
    queued: Notify,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Held,
    /// Held, but for the first who comes.
    One,
}

impl Gate {
    /// No further attempt passes, a repeated one included.
    pub(crate) fn hold(&self) {
        self.0.holds.fetch_add(1, Ordering::SeqCst);
        self.turn(State::Held);
    }

    /// Exactly one request passes a held gate. Its right lasts until an attempt of it may have arrived; a request that ends or
    /// is dropped before hands it on.
    pub(crate) fn try_one(&self) {
        self.turn(State::One);
    }

    /// Everything passes.
    pub(crate) fn open(&self) {
        self.turn(State::Open);
    }

    fn turn(&self, state: State) {
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.0.changed.notify_waiters();
        self.0.queued.notify_waiters();
    }

    /// Whether appends are held back, but for one.
    pub(crate) fn is_held(&self) -> bool {
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) != State::Open
    }

    /// Waits until `requests` of them stand before a gate that lets nobody through: nothing under way can open it.
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

    /// Waits until this request may pass. `earlier` is what an earlier attempt of it was given.
    pub(super) async fn pass(&self, earlier: Option<Pass>) -> Pass {
        if let Some(pass) = earlier
            && pass.is_valid()
        {
            return pass;
        }
        let _waits = Waits::new(&self.0);
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
            State::One => true,
        };
        if trial {
            *state = State::Held;
        }
        Some(Pass { gate: self.clone(), trial, holds: self.0.holds.load(Ordering::SeqCst), used: false })
    }
}

/// Counts a request that waits to pass.
struct Waits<'a>(&'a Inner);

impl<'a> Waits<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.waiting.fetch_add(1, Ordering::SeqCst);
        inner.queued.notify_waiters();
        Self(inner)
    }
}

impl Drop for Waits<'_> {
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
    /// How often the gate had been held when it was given.
    holds: usize,
    /// Whether an attempt that used it may have arrived.
    used: bool,
}

impl Pass {
    /// Whether it still allows an attempt: a trial until the gate is held once more, any other while the gate is open.
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

    /// Says that an attempt leaves.
    pub(super) fn leave(&mut self) {
        self.used = true;
    }

    /// Says that the attempt certainly was not carried out.
    pub(super) fn come_back(&mut self) {
        self.used = false;
    }
}

impl Drop for Pass {
    /// A trial that nobody made is there for the next.
    fn drop(&mut self) {
        if !self.trial || self.used || !self.is_valid() {
            return;
        }
        let mut state = self.gate.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Held {
            *state = State::One;
        }
        drop(state);
        self.gate.0.changed.notify_waiters();
    }
}
