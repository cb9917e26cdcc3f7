//! Reference 2, and the emulator's promises about time: limits, latency, hanging, and runs that repeat.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{emulator, event, get, post, read};
use crate::{Emulator, Fault, Report, Rule, Settings, What};

fn body() -> String {
    json!({ "d": [event("u1")] }).to_string()
}

/// Sends so many uploads at once and counts the answers that are 429.
async fn burst(emulator: &Emulator, count: usize) -> usize {
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let emulator = emulator.clone();
        requests.spawn(async move { read(emulator.handle(post("/1/upload", body())).await) });
    }
    let answers = requests.join_all().await;
    let refused = json!({ "status": "fail", "error": "Too many concurrent requests", "code": 429 });
    answers.into_iter().filter(|(status, answer)| *status == 429 && *answer == refused).count()
}

#[tokio::test(start_paused = true)]
async fn the_sixteenth_upload_in_flight_is_refused_and_not_stored() {
    let emulator = Emulator::new(Settings { latency_ms: 50, ..Settings::default() });
    assert_eq!(burst(&emulator, 15).await, 0);
    assert_eq!(burst(&emulator, 20).await, 5);
    let report = emulator.report();
    assert_eq!((report.events, report.peak_in_flight["/1/upload"], report.in_flight["/1/upload"]), (30, 16, 0));
    assert_eq!(report.rules_broken, [(Rule::InFlight, 5)].into());
    assert_eq!(report.answers, [(200, 30), (429, 5)].into());
}

#[tokio::test(start_paused = true)]
async fn look_ups_have_three_slots_of_their_own() {
    let emulator = Emulator::new(Settings { latency_ms: 50, upload_limit: 1, ..Settings::default() });
    let mut requests = JoinSet::new();
    for _ in 0..4 {
        let emulator = emulator.clone();
        requests.spawn(async move { read(emulator.handle(get("/1/profile.json?identity=x")).await).0 });
    }
    assert_eq!(burst(&emulator, 1).await, 0);
    let mut answers = requests.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [404, 404, 404, 429]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_its_latency_and_stores_half_way() {
    let emulator = Emulator::new(Settings { latency_ms: 100, ..Settings::default() });
    emulator.add_fault(Fault::new(What::Slow { ms: 900 }).between(2, 2));
    let started = Instant::now();
    emulator.handle(post("/1/upload", body())).await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_millis(100));
    emulator.handle(post("/1/upload", body())).await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_millis(1100));
    for (patience_ms, stored) in [(49, 2), (51, 3)] {
        let request = emulator.handle(post("/1/upload", body()));
        assert!(timeout(Duration::from_millis(patience_ms), request).await.is_err());
        assert_eq!(emulator.events_stored(), stored);
    }
    let report = emulator.report();
    assert_eq!((report.abandoned, report.in_flight["/1/upload"]), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_request_holds_its_slot_until_the_client_goes() {
    for (what, stored) in [(What::HangBefore, 0), (What::HangAfter, 1)] {
        let emulator = Emulator::new(Settings { upload_limit: 1, ..Settings::default() });
        emulator.add_fault(Fault::new(what).times(1));
        {
            let mut hanging = std::pin::pin!(emulator.handle(post("/1/upload", body())));
            assert!(timeout(Duration::from_secs(3600), &mut hanging).await.is_err());
            assert_eq!(read(emulator.handle(post("/1/upload", body())).await).0, 429);
        }
        assert_eq!(emulator.events_stored(), stored);
        assert_eq!(read(emulator.handle(post("/1/upload", body())).await).0, 200);
        assert_eq!(emulator.report().abandoned, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_can_last_for_a_span_of_virtual_time() {
    let emulator = emulator();
    emulator.add_fault(Fault::new(What::Unavailable).during(1000, 2000));
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(emulator.handle(post("/1/upload", body())).await.unwrap().status().as_u16());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(answers, [200, 200, 503, 503, 200]);
}

#[tokio::test(start_paused = true)]
async fn the_account_s_clock_goes_with_tokio_s() {
    let emulator = emulator();
    emulator.handle(post("/1/upload", body())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    emulator.handle(post("/1/upload", body())).await.unwrap();
    let mut times = Vec::new();
    emulator.for_each_event(|event| times.push(event.ts));
    assert_eq!(times, [1_767_225_600, 1_767_225_690]);
}

/// What a client sees of a stormy run: each answer and when it came, and the report.
fn storm(seed: u64) -> (Vec<(u64, usize, u16)>, Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let emulator = Emulator::new(Settings { latency_ms: 20, jitter_ms: 200, seed, ..Settings::default() });
        emulator.add_fault(Fault::new(What::ServerErrorAfter).with_probability(0.1));
        emulator.add_fault(Fault::new(What::ResetBefore).with_probability(0.1));
        emulator.add_fault(Fault::new(What::Slow { ms: 700 }).with_probability(0.2));
        let started = Instant::now();
        let mut lanes = JoinSet::new();
        for lane in 0..16 {
            let emulator = emulator.clone();
            lanes.spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..20 {
                    let answer = emulator.handle(post("/1/upload", body())).await;
                    let status = answer.map_or(0, |answer| answer.status().as_u16());
                    seen.push((u64::try_from(started.elapsed().as_millis()).unwrap(), lane, status));
                }
                seen
            });
        }
        let seen = lanes.join_all().await.concat();
        (seen, emulator.report())
    })
}

#[test]
fn the_same_seed_repeats_exactly() {
    let first = storm(7);
    assert_eq!(first, storm(7));
    assert_ne!(first.0, storm(8).0);
    assert_eq!(first.1.peak_in_flight["/1/upload"], 16);
    assert!(first.1.resets > 0 && first.1.answers[&500] > 0, "{:?}", first.1.answers);
}
