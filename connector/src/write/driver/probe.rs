//! Probes: while every append in flight waits at the gate, asks whether CleverTap answers again.
//!
//! In: a driver whose bodies all wait. Out: one of them may pass, or the statement is stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Driver;
use crate::client::{Gate, Request, has_status};
use crate::error::Error;
use crate::table::Resend;
use crate::tables::{DRY_RUN, PROBE};
use crate::write::deliver::Route;

impl Driver {
    /// Every append in flight waits at the gate: checks whether CleverTap answers again, and lets one pass.
    pub(super) async fn probe(&mut self) {
        // The oldest, independent of map order, so that a run is repeatable by its seed.
        let oldest = self.progress.in_flight.iter().min_by_key(|(number, _)| **number);
        let (Some(lane), Some(delivery)) = (self.lane.clone(), oldest.map(|(_, delivery)| Arc::clone(delivery))) else { return };
        let (since, tries) = *self.progress.held.get_or_insert_with(|| (Instant::now(), 0));
        self.progress.held = Some((since, tries + 1));
        let wait = lane.backoff(tries);
        let left = self.route.retry_for.saturating_sub(since.elapsed());
        if wait > left || left == Duration::ZERO {
            let why = format!(
                "POST {} lost its answers for {} s and did not come back; no further row was sent.",
                self.route.path,
                since.elapsed().as_secs()
            );
            return self.stop(Error::Unavailable(why).into());
        }
        if !lane.pause(wait).await {
            return;
        }
        let request = if self.route.path == PROBE.0 {
            // One of the waiting records, as a `dryRun`, which stores nothing. Another one each time.
            let body = delivery.body.part(&[tries as usize % delivery.body.records.len()]);
            Route { query: &[DRY_RUN], ..self.route.clone() }.request(body, Resend::Idempotent)
        } else {
            // Any other call would have effects.
            Request::post(PROBE.0, PROBE.1, Resend::Idempotent).with(DRY_RUN.0, DRY_RUN.1)
        };
        // It stores nothing, so a stopped statement need not wait for it.
        let answer = tokio::select! {
            biased;
            () = self.run.stop.stopped() => return,
            answer = lane.fetch(&request, has_status) => answer,
        };
        match answer {
            Ok(_answer) => lane.gate().try_one(),
            // This one record was refused, which proves nothing: the gate stays held, and the next probe takes another.
            Err(Error::Refused(_)) if !self.run.stop.is_stopped() => {}
            Err(error) => self.stop(error.into()),
        }
    }
}

/// Completes when every body in flight waits at the gate; never completes without a gate.
pub(super) async fn all_held(gate: Option<&Gate>, in_flight: usize) {
    match gate {
        Some(gate) => gate.all_wait(in_flight).await,
        None => futures::future::pending().await,
    }
}
