//! Requests in flight, for each API of the account: how many now, at most, and on the average (reference section 2).

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::api::Api;
use crate::lock;

/// The counters of one account.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes(Arc<Mutex<[Lane; Api::ALL.len()]>>);

/// One path's counter.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lane {
    pub(crate) in_flight: usize,
    /// Counts the refused ones too: a peak above the limit means that a client broke it.
    pub(crate) peak: usize,
    /// Requests times seconds, up to the last change.
    area: f64,
    span: Option<Span>,
}

/// From the first request to the last change.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: Instant,
    last: Instant,
}

impl Lane {
    /// Requests in flight, weighted by time, between the first request and the last answer; 0 before any time has passed.
    pub(crate) fn mean(&self) -> f64 {
        let seconds = self.span.map_or(0.0, |span| (span.last - span.first).as_secs_f64());
        if seconds > 0.0 { self.area / seconds } else { 0.0 }
    }

    fn pass(&mut self) {
        let now = Instant::now();
        let span = self.span.get_or_insert(Span { first: now, last: now });
        self.area += self.in_flight as f64 * (now - span.last).as_secs_f64();
        span.last = now;
    }
}

impl Lanes {
    /// Takes a slot; none if the account has all of them in flight.
    pub(crate) fn enter(&self, api: Api, limit: usize) -> Option<Slot> {
        let mut lanes = lock(&self.0);
        let taken: usize =
            Api::ALL.into_iter().filter(|other| other.slots() == api.slots()).map(|other| lanes[other as usize].in_flight).sum();
        let lane = &mut lanes[api as usize];
        lane.peak = lane.peak.max(lane.in_flight + 1);
        if taken >= limit {
            return None;
        }
        lane.pass();
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
        let lane = &mut lock(&self.lanes.0)[self.api as usize];
        lane.pass();
        lane.in_flight -= 1;
    }
}
