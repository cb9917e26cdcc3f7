//! Requests in flight, for each API of the account, and how many there ever were at once (reference section 2).

use std::sync::{Arc, Mutex};

use crate::api::Api;
use crate::lock;

/// The counters of one account.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes(Arc<Mutex<[Lane; Api::ALL.len()]>>);

/// One API's counter.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lane {
    pub(crate) in_flight: usize,
    /// Counts the refused ones too: a peak above the limit means that a client broke it.
    pub(crate) peak: usize,
}

impl Lanes {
    /// Takes a slot; none if the account has all of them in flight.
    pub(crate) fn enter(&self, api: Api, limit: usize) -> Option<Slot> {
        let mut lanes = lock(&self.0);
        let lane = &mut lanes[api as usize];
        lane.peak = lane.peak.max(lane.in_flight + 1);
        if lane.in_flight >= limit {
            return None;
        }
        lane.in_flight += 1;
        Some(Slot { lanes: self.clone(), api })
    }

    /// Each API's counter.
    pub(crate) fn all(&self) -> [(Api, Lane); Api::ALL.len()] {
        let lanes = *lock(&self.0);
        Api::ALL.map(|api| (api, lanes[api as usize]))
    }
}

/// One request in flight; dropping it frees the slot, also when the client went away.
#[derive(Debug)]
pub(crate) struct Slot {
    lanes: Lanes,
    api: Api,
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.lanes.0)[self.api as usize].in_flight -= 1;
    }
}
