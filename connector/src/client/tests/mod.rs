//! Scenarios of the client under a paused clock: the requests of a statement, an in-process server, and what it received.

mod server;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::lane::Sent;
use super::transport::{Failure, FailureKind};
use super::*;
use crate::account::{Account, AccountSettings};
use crate::options::Options;
use crate::table::Resend;
use server::{Server, not_sent, status, success};

const OK: &str = r#"{"status":"success","processed":1,"unprocessed":[]}"#;
const MS: Duration = Duration::from_millis(1);
const PASSCODE: &str = "p4ss-c0de";

fn account(server: &Arc<Server>) -> Account {
    let transport: Arc<dyn Transport> = Arc::clone(server) as _;
    let settings = AccountSettings { transport: Some(transport), seed: Some(7), own_limits: true, ..AccountSettings::default() };
    Account::open("W12-345-675Z", Secret::new(PASSCODE), Region::In1, settings).unwrap()
}

fn uploads(account: &Account) -> Lane {
    Lane::new(account.client(), LaneSettings::new(Api::of("/1/upload"), &Options::default()))
}

fn append() -> Request {
    Request::post("/1/upload", "{\"d\":[]}", Resend::Appends)
}

fn upsert() -> Request {
    Request::post("/1/upload", "{\"d\":[]}", Resend::Idempotent)
}

async fn send(lane: &Lane, request: &Request) -> Sent {
    lane.send(request, has_status, Arrived::No, &AtomicBool::new(false)).await
}

/// The outcome of a request in one line.
fn ending(sent: &Sent) -> String {
    let outcome = match &sent.outcome {
        Outcome::Answered(answer) => format!("answered {}", answer.status),
        Outcome::Malformed => "malformed".into(),
        Outcome::TooLarge => "too large".into(),
        Outcome::Lost { why } => format!("lost: {why}"),
        Outcome::GaveUp { why } => format!("gave up: {why}"),
        Outcome::Unsent { why } => format!("unsent: {why}"),
        Outcome::Refused(error) => format!("refused: {error}"),
        Outcome::Unauthorized(error) => format!("unauthorized: {error}"),
    };
    format!("{outcome} | attempts {} throttled {} arrived {}", sent.attempts, sent.throttled, sent.may_have_arrived)
}

fn budget_of(account: &Account) -> LimitNow {
    account.client().limits().remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_lane_finds_the_limit_of_a_server_that_allows_fewer_and_every_request_gets_done() {
    let server = Server::new(|call, in_flight| {
        let delay = MS * (20 + 7 * u32::try_from(call % 40).unwrap());
        if in_flight > 4 { (MS, status(429)) } else { (delay, success()) }
    });
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    let sent = join_all((0..400).map(|_| send(&lane, &request))).await;
    assert!(sent.iter().all(|sent| matches!(sent.outcome, Outcome::Answered(_)) && !sent.may_have_arrived));
    let now = budget_of(&account);
    let counts = lane.counts();
    assert_eq!((now.in_flight, now.waiting, now.requests), (0, 0, server.calls() as u64));
    assert_eq!((counts.requests, counts.requests - counts.retries, counts.throttled), (now.requests, 400, now.throttled));
    assert!(server.peak() <= 15 && now.throttled < 200, "peak {}, {now:?}", server.peak());
}

#[tokio::test(start_paused = true)]
async fn the_documented_limit_is_reached_and_never_exceeded() {
    let server = Server::new(|_, _| (50 * MS, success()));
    let account = account(&server);
    let (lane, request) = (uploads(&account), upsert());
    let mut narrow = LaneSettings::new(Api::of("/1/upload"), &Options::default());
    narrow.in_flight_max = 2;
    let narrow = Lane::new(account.client(), narrow);
    join_all((0..200).map(|at| send(if at % 2 == 0 { &lane } else { &narrow }, &request))).await;
    assert_eq!((server.peak(), budget_of(&account).limit_now), (15, 15));
}

#[tokio::test(start_paused = true)]
async fn the_limit_recovers_after_many_429() {
    let server = Server::new(|call, _| (20 * MS, if (30..90).contains(&call) { status(429) } else { success() }));
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    let sent = join_all((0..600).map(|_| send(&lane, &request))).await;
    assert!(sent.iter().all(|sent| matches!(sent.outcome, Outcome::Answered(_))));
    let now = budget_of(&account);
    assert_eq!((now.limit_now, now.throttled, now.requests), (15, 60, 660));
}

#[tokio::test(start_paused = true)]
async fn a_small_statement_does_not_wait_for_a_large_one() {
    let server = Server::new(|_, _| (100 * MS, success()));
    let account = account(&server);
    let (large, small, request) = (uploads(&account), uploads(&account), upsert());
    let began = Instant::now();
    let many = async {
        join_all((0..600).map(|_| send(&large, &request))).await;
        began.elapsed()
    };
    let few = async {
        sleep(1_050 * MS).await;
        join_all((0..14).map(|_| send(&small, &request))).await;
        began.elapsed()
    };
    let (many, few) = tokio::join!(many, few);
    assert!(many > 4_000 * MS && few < 1_500 * MS, "{many:?} {few:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_returns_its_permit() {
    let server = Server::new(|_, _| (Duration::from_secs(3_600), success()));
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    {
        let mut all = pin!(join_all((0..20).map(|_| send(&lane, &request))));
        tokio::select! {
            _ = &mut all => panic!("answered"),
            () = sleep(10 * MS) => {}
        }
        let now = budget_of(&account);
        assert_eq!((now.in_flight, now.waiting), (5, 15));
    }
    let now = budget_of(&account);
    assert_eq!((now.in_flight, now.waiting, server.seen.lock().unwrap().in_flight), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_what_waits_and_leaves_what_is_in_flight_to_its_answer() {
    let server = Server::new(|_, _| (5_000 * MS, success()));
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    let began = Instant::now();
    let all = join_all((0..7).map(|_| async { (ending(&send(&lane, &request).await), began.elapsed().as_millis()) }));
    let (ends, ()) = tokio::join!(all, async {
        sleep(10 * MS).await;
        lane.stop();
    });
    let answered = ("answered 200 | attempts 1 throttled 0 arrived false".to_owned(), 5_000);
    let unsent =
        "unsent: POST /1/upload to in1.api.clevertap.com was not sent, and the statement stopped | attempts 0 throttled 0 arrived false";
    assert_eq!(ends[..5], vec![answered; 5]);
    assert_eq!(ends[5..], vec![(unsent.to_owned(), 10); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_backoff_unless_an_attempt_may_have_arrived() {
    let slow = |status| Ok(Answer { status, body: Bytes::new(), retry_after: Some(Duration::from_secs(30)) });
    for (first, request, expected) in [
        (
            slow(429),
            upsert(),
            "unsent: POST /1/upload to in1.api.clevertap.com was answered 429 Too Many Requests, and the statement stopped \
             | attempts 1 throttled 1 arrived false",
        ),
        (slow(503), upsert(), "answered 200 | attempts 2 throttled 0 arrived true"),
    ] {
        let server = Server::answers(vec![first]);
        let account = account(&server);
        let lane = uploads(&account);
        let (sent, ()) = tokio::join!(send(&lane, &request), async {
            sleep(1_000 * MS).await;
            lane.stop();
        });
        assert_eq!(ending(&sent), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_gate_lets_one_trial_pass_and_keeps_it_through_a_429() {
    let server = Server::answers(vec![status(429)]);
    let account = account(&server);
    let (lane, request, harmless) = (uploads(&account), append(), upsert());
    lane.gate().hold();
    let appends = join_all((0..4).map(|_| send(&lane, &request)));
    let (sent, ()) = tokio::join!(appends, async {
        sleep(Duration::from_secs(700)).await;
        assert_eq!((server.calls(), budget_of(&account).in_flight, budget_of(&account).waiting), (0, 0, 0));
        lane.gate().try_one();
        sleep(Duration::from_secs(700)).await;
        assert_eq!(server.calls(), 2);
        // An idempotent request does not pass the gate.
        assert!(matches!(send(&lane, &harmless).await.outcome, Outcome::Answered(_)));
        lane.gate().open();
    });
    let mut ends: Vec<_> = sent.iter().map(ending).collect();
    ends.sort();
    let (once, twice) = ("answered 200 | attempts 1 throttled 0 arrived false", "answered 200 | attempts 2 throttled 1 arrived false");
    assert_eq!(ends, [once, once, once, twice]);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_dropped_before_it_leaves_goes_to_the_next_and_one_that_left_does_not() {
    let server = Server::new(|_, _| (Duration::from_secs(30), success()));
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    // The budget is used up, so that the trial passes the gate and waits for a permit.
    let full = join_all((0..5).map(|_| send(&lane, &request)));
    let (_, ()) = tokio::join!(full, async {
        sleep(MS).await;
        lane.gate().hold();
        lane.gate().try_one();
        let dropped = tokio::time::timeout(MS, send(&lane, &request)).await;
        assert!(dropped.is_err() && server.calls() == 5);
    });
    assert!(tokio::time::timeout(MS, send(&lane, &request)).await.is_err());
    assert_eq!(server.calls(), 6);
    assert!(tokio::time::timeout(Duration::from_secs(60), send(&lane, &request)).await.is_err());
    assert_eq!(server.calls(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_was_answered_429_and_is_dropped_goes_to_the_next() {
    let later = Answer { status: 429, body: Bytes::new(), retry_after: Some(Duration::from_secs(30)) };
    let server = Server::answers(vec![Ok(later)]);
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    lane.gate().hold();
    lane.gate().try_one();
    assert!(tokio::time::timeout(1_000 * MS, send(&lane, &request)).await.is_err());
    let next = tokio::time::timeout(1_000 * MS, send(&lane, &request)).await;
    assert!(next.is_ok_and(|sent| matches!(sent.outcome, Outcome::Answered(_))));
}

#[tokio::test(start_paused = true)]
async fn an_append_in_its_backoff_waits_for_the_gate_and_that_time_is_not_counted() {
    let server = Server::answers(vec![status(429)]);
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    let (sent, ()) = tokio::join!(send(&lane, &request), async {
        sleep(50 * MS).await;
        lane.gate().hold();
        sleep(Duration::from_secs(3_600)).await;
        assert_eq!(server.calls(), 1);
        lane.gate().open();
    });
    assert_eq!(ending(&sent), "answered 200 | attempts 2 throttled 1 arrived false");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_closes_holds_back_an_append_that_waits_for_its_permit() {
    let server = Server::new(|_, _| (1_000 * MS, success()));
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    let appends = join_all((0..6).map(|_| send(&lane, &request)));
    let (sent, ()) = tokio::join!(appends, async {
        sleep(500 * MS).await;
        lane.gate().hold();
        sleep(5_000 * MS).await;
        assert_eq!((server.calls(), budget_of(&account).in_flight), (5, 0));
        lane.gate().open();
    });
    assert!(sent.iter().all(|sent| matches!(sent.outcome, Outcome::Answered(_))));
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_after_its_time_even_if_a_permit_is_free_later() {
    let slow = Duration::from_secs(50);
    let server = Server::new(move |call, _| if call == 0 { (MS, status(429)) } else { (slow, success()) });
    let account = account(&server);
    let brief = Options { retry_for_ms: 10_000, ..Options::default() };
    let brief = Lane::new(account.client(), LaneSettings::new(Api::of("/1/upload"), &brief));
    let (lane, request, began) = (uploads(&account), upsert(), Instant::now());
    let (sent, others) = tokio::join!(
        async { (ending(&send(&brief, &request).await), began.elapsed().as_secs()) },
        join_all((0..20).map(|_| send(&lane, &request)))
    );
    let expected =
        "gave up: POST /1/upload to in1.api.clevertap.com was answered 429 Too Many Requests | attempts 1 throttled 1 arrived false";
    assert_eq!(sent, (expected.to_owned(), 10));
    assert_eq!(others.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_wait_at_the_gate() {
    let server = Server::answers(vec![]);
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    lane.gate().hold();
    let (sent, ()) = tokio::join!(send(&lane, &request), async { lane.stop() });
    assert!(matches!(sent.outcome, Outcome::Unsent { .. }) && server.calls() == 0);
}

#[tokio::test(start_paused = true)]
async fn an_endless_429_ends_after_ten_minutes_and_is_unsent() {
    let server = Server::new(|_, _| (100 * MS, status(429)));
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    let began = Instant::now();
    let sent = send(&lane, &request).await;
    let last = server.seen.lock().unwrap().calls.last().map(|(at, _)| *at - began).unwrap();
    assert!(last <= Duration::from_secs(600) && last > Duration::from_secs(500) && began.elapsed() <= Duration::from_secs(601));
    let end = ending(&sent);
    assert!(end.starts_with("gave up: POST /1/upload to in1.api.clevertap.com was answered 429 Too Many Requests; tried for "), "{end}");
    assert!(!sent.may_have_arrived && sent.throttled == sent.attempts);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_never_answers_is_given_up_soon_and_one_that_did_is_not() {
    let server = Server::new(|call, _| (100 * MS, if call == 3 { success() } else { not_sent() }));
    let account = account(&server);
    let (lane, request) = (uploads(&account), append());
    let (began, sent) = (Instant::now(), send(&lane, &request).await);
    assert!(began.elapsed() < Duration::from_secs(10));
    let end = ending(&sent);
    assert!(end.contains("could not connect (refused); tried for ") && end.ends_with("| attempts 3 throttled 0 arrived false"), "{end}");
    let (_, sent) = (send(&lane, &request).await, send(&lane, &request).await);
    assert!(sent.attempts > 8, "{}", ending(&sent));
}

#[tokio::test(start_paused = true)]
async fn each_ending_has_its_sentence() {
    let hang = || Server::new(|_, _| (Duration::from_secs(3_600), success()));
    let of = |answer| Server::answers(vec![answer]);
    let at = "POST /1/upload to in1.api.clevertap.com";
    #[rustfmt::skip]
    let endings = [
        (hang(), format!("lost: {at} timed out after 60 s with the request sent | attempts 1 throttled 0 arrived true")),
        (of(status(503)), format!("lost: {at} was answered 503 | attempts 1 throttled 0 arrived true")),
        (of(status(200)), format!("lost: {at} was answered 200 with an empty body | attempts 1 throttled 0 arrived true")),
        (of(status(413)), "too large | attempts 1 throttled 0 arrived false".into()),
        (of(status(302)), format!("refused: {at} was answered 302, a redirect, which is not followed. [CT-302] | attempts 1 throttled 0 arrived false")),
        (of(Ok(Answer::new(401, r#"{"status":"fail","error":"Passcode Invalid","code":401}"#))),
            format!("unauthorized: {at} was answered \"Passcode Invalid\" (HTTP 401, code 401): in1.api.clevertap.com refused account \"W12-…-5Z\". \
             The passcode may be wrong, or the account may live in another region. [CT-301] | attempts 1 throttled 0 arrived false")),
        (of(status(403)),
            format!("unauthorized: {at} was answered 403: account \"W12-…-5Z\" is not permitted to use it. The passcode may lack the right. [CT-301] \
             | attempts 1 throttled 0 arrived false")),
        (of(Err(Failure::new(FailureKind::Certificate, "could not connect (invalid peer certificate)"))),
            format!("gave up: {at} could not connect (invalid peer certificate) | attempts 1 throttled 0 arrived false")),
    ];
    for (server, expected) in endings {
        let account = account(&server);
        assert_eq!(ending(&send(&uploads(&account), &append()).await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_an_upsert_is_sent_again_and_an_earlier_request_is_remembered() {
    let lost = Err(Failure::new(FailureKind::Lost, "lost its answer after it was sent (reset)"));
    let server = Server::answers(vec![status(429), status(500), lost, Ok(Answer::new(200, "<html>"))]);
    let account = account(&server);
    let (lane, request) = (uploads(&account), upsert());
    let sent = send(&lane, &request).await;
    assert_eq!(ending(&sent), "answered 200 | attempts 5 throttled 1 arrived true");
    assert_eq!(lane.counts().bytes_sent, 40);
    lane.stop();
    let sent = lane.send(&request, has_status, Arrived::Maybe, &AtomicBool::new(false)).await;
    assert_eq!(ending(&sent), "answered 200 | attempts 1 throttled 0 arrived true");
}

#[tokio::test(start_paused = true)]
async fn a_read_is_fetched_or_says_why_not_without_its_query() {
    let server = Server::new(|call, _| (100 * MS, if call == 0 { success() } else { status(500) }));
    let account = account(&server);
    let lane = Lane::new(account.client(), LaneSettings::new(Api::of("/1/profile.json"), &Options::default()));
    let request = Request::get("/1/profile.json").with("email", "ann@example.com");
    assert_eq!(lane.fetch(&request, has_status).await.map(|answer| answer.body).ok(), Some(Bytes::from(OK)));
    let error = lane.fetch(&request, has_status).await.unwrap_err().to_string();
    assert!(
        error.starts_with("GET /1/profile.json to in1.api.clevertap.com was answered 500; tried for ") && !error.contains("ann"),
        "{error}"
    );
}

#[test]
fn a_request_can_move_between_threads() {
    fn sent<T: Send>(_: T) {}
    let account = account(&Server::answers(vec![]));
    sent(send(&uploads(&account), &append()));
}

#[test]
fn nothing_shows_the_passcode() {
    let server = Server::answers(vec![]);
    let account = account(&server);
    let lane = uploads(&account);
    let call = account.client().call(&append(), MS, 1);
    assert!(call.headers.iter().any(|(name, value)| *name == "X-CleverTap-Passcode" && value == PASSCODE));
    let wrong = Account::open("A", Secret::new("p4ss-c0de\n"), Region::In1, AccountSettings::default()).map_err(|error| error.to_string());
    let debug = format!("{account:?} {:?} {lane:?} {call:?} {:?} {wrong:?}", account.client(), Secret::new(PASSCODE));
    assert!(!debug.contains("p4ss") && debug.contains("line break"), "{debug}");
}

#[test]
fn an_account_is_opened_only_where_its_passcode_may_go() {
    let open = |id: &str, region: Option<Region>, endpoint: Option<&str>| {
        let settings = AccountSettings { endpoint: endpoint.map(Into::into), ..AccountSettings::default() };
        Account::open(id, Secret::new(PASSCODE), region, settings)
            .map(|account| account.host().to_owned())
            .map_err(|error| error.to_string())
    };
    let endpoint = |url| open("A-1", None, Some(url));
    assert_eq!(open("A-1", Some(Region::Eu1), None), Ok("api.clevertap.com".into()));
    assert_eq!(endpoint("https://eu1.api.clevertap.com/"), Ok("api.clevertap.com".into()));
    assert_eq!(endpoint("http://127.0.0.1:8080"), Ok("127.0.0.1:8080".into()));
    assert_eq!(endpoint("http://[::1]:8080"), Ok("[::1]:8080".into()));
    assert_eq!(
        endpoint("http://in1.api.clevertap.com"),
        Err("option \"endpoint\" is http, which would show the passcode to the network; expected a URL such as \
             \"https://in1.api.clevertap.com\". [CT-101]"
            .into())
    );
    for wrong in ["ftp://localhost", "https://a:b@host", "https://host/x", "https://host?x=1", "host", "file:///x"] {
        assert!(endpoint(wrong).is_err_and(|error| error.contains("expected a URL such as")), "{wrong}");
    }
    assert_eq!(
        open("A-1", None, None),
        Err("option \"region\" is not set; expected one of eu1, in1, sg1, us1, aps3, mec1, or set \"endpoint\". [CT-101]".into())
    );
    for wrong in ["", "a b", "a\n", "ä"] {
        assert!(open(wrong, Some(Region::In1), None).is_err_and(|error| error.contains("the account id is")), "{wrong:?}");
    }
}
