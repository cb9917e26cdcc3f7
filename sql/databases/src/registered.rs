//! The databases of a session, by name.
//!
//! In: [`Database::register`](crate::Database::register), [`Database::detach`](crate::Database::detach). Out: the one that a name stands for
//! now. A catalogue cannot be taken out of DataFusion's list, so one that was detached stays there and has no schema any more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::prelude::SessionConfig;

use crate::reached::Reached;

/// Whether a catalogue of a session has its tables.
#[derive(Debug, Default)]
pub(crate) struct Detached(AtomicBool);

impl Detached {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A database, and what tells its catalogue that it is not there any more.
struct Attached {
    reached: Arc<Reached>,
    detached: Arc<Detached>,
}

/// The databases that are attached, an extension of a session's configuration: clones of it are one.
#[derive(Default)]
pub(crate) struct Registered(Mutex<BTreeMap<String, Attached>>);

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all().keys()).finish()
    }
}

impl Registered {
    /// Those of a session; `None` before the first is registered.
    pub(crate) fn of(config: &SessionConfig) -> Option<Arc<Self>> {
        config.get_extension::<Self>()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Attached>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one, in the place of another of its name. What comes back is set when it is detached.
    pub(crate) fn add(&self, reached: &Arc<Reached>) -> Arc<Detached> {
        let detached = Arc::<Detached>::default();
        let attached = Attached { reached: Arc::clone(reached), detached: Arc::clone(&detached) };
        self.all().insert(reached.settings.name.clone(), attached);
        detached
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Reached>> {
        self.all().get(name).map(|attached| Arc::clone(&attached.reached))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.all().keys().cloned().collect()
    }

    pub(crate) fn remove(&self, name: &str) -> Option<Arc<Reached>> {
        let Attached { reached, detached } = self.all().remove(name)?;
        detached.0.store(true, Ordering::Relaxed);
        Some(reached)
    }
}
