//! Answers that are lost, late, wrong or hostile, and what becomes of the rows (the table of design.md 3.3).

use clevertap_emulator::{Fault, Settings, What};
use clevertap_tests::Scripted;
use datafusion_clevertap::transport::FailureKind;

use crate::world::{TARGETS, Target, World, ending};

/// Ten rows in each table, the third refused for itself, with one fault on the first request.
async fn once(what: What, bad: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for target in TARGETS {
        let world = target.world(10);
        greet(&world).await;
        world.set("on_reject", "skip").await;
        world.fault_once(what.clone());
        let result = world.run(&target.insert(bad)).await;
        lines.push(ending(&world, target, &result));
    }
    lines
}

/// Lets the host answer once, with nothing stored: until it has, a request is tried three times in 10 s only.
async fn greet(world: &World) {
    world.set("dry_run", "server").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'nobody' AS identity").await;
    world.set("dry_run", "off").await;
}

/// Repeatable tables recover; events are in doubt, and `stored` of them are there.
fn lost(stored: u64) -> [String; 5] {
    [
        "profiles: ok success: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 stored".to_owned(),
        format!("events: CT-402 error: 0 accepted, 0 rejected, 10 in doubt, 0 unsent, {stored} stored"),
        "device_tokens: ok success: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 stored".to_owned(),
        "subscriptions: ok success: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 stored".to_owned(),
        "phone_disassociations: ok success: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 stored".to_owned(),
    ]
}

const RECOVERED: [&str; 5] = [
    "profiles: ok success: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 stored",
    "events: ok success: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 stored",
    "device_tokens: ok success: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 stored",
    "subscriptions: ok success: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 stored",
    "phone_disassociations: ok success: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 stored",
];

#[tokio::test(start_paused = true)]
async fn a_429_is_sent_again_whatever_the_table() {
    assert_eq!(once(What::TooManyRequests, "false").await, RECOVERED);
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_under_200_is_sent_again_whatever_the_table() {
    assert_eq!(once(What::TooManyUnderSuccess, "false").await, RECOVERED);
}

#[tokio::test(start_paused = true)]
async fn a_reset_before_storing_leaves_events_in_doubt() {
    assert_eq!(once(What::ResetBefore, "false").await, lost(0));
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_storing_leaves_events_in_doubt() {
    assert_eq!(once(What::ResetAfter, "false").await, lost(10));
}

#[tokio::test(start_paused = true)]
async fn a_500_before_storing_leaves_events_in_doubt() {
    assert_eq!(once(What::ServerErrorBefore, "false").await, lost(0));
}

#[tokio::test(start_paused = true)]
async fn a_500_after_storing_leaves_events_in_doubt() {
    assert_eq!(once(What::ServerErrorAfter, "false").await, lost(10));
}

#[tokio::test(start_paused = true)]
async fn a_503_with_a_page_of_html_leaves_events_in_doubt() {
    assert_eq!(once(What::Unavailable, "false").await, lost(0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_before_storing_leaves_events_in_doubt() {
    assert_eq!(once(What::HangBefore, "false").await, lost(0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_after_storing_leaves_events_in_doubt() {
    assert_eq!(once(What::HangAfter, "false").await, lost(10));
}

#[tokio::test(start_paused = true)]
async fn garbage_under_200_leaves_events_in_doubt() {
    assert_eq!((once(What::GarbageBefore, "false").await, once(What::GarbageAfter, "false").await), (lost(0).to_vec(), lost(10).to_vec()));
}

#[tokio::test(start_paused = true)]
async fn an_empty_200_leaves_events_in_doubt() {
    assert_eq!((once(What::EmptyBefore, "false").await, once(What::EmptyAfter, "false").await), (lost(0).to_vec(), lost(10).to_vec()));
}

#[tokio::test(start_paused = true)]
async fn counts_that_do_not_add_up_leave_events_in_doubt() {
    assert_eq!(once(What::WrongCounts { by: 1 }, "false").await, lost(10));
}

#[tokio::test(start_paused = true)]
async fn record_numbers_that_are_not_there_leave_events_in_doubt() {
    assert_eq!(
        once(What::WrongNumbers { by: 100 }, "n = 3").await,
        [
            "profiles: ok partial: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
            "events: CT-402 error: 0 accepted, 0 rejected, 10 in doubt, 0 unsent, 9 stored",
            "device_tokens: ok partial: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
            "subscriptions: ok partial: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
            "phone_disassociations: ok partial: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn half_a_body_stored_before_a_500_leaves_events_in_doubt() {
    assert_eq!(once(What::StorePrefix { records: 4 }, "false").await, lost(4));
}

#[tokio::test(start_paused = true)]
async fn events_in_doubt_are_sent_again_only_if_the_user_says_so() {
    let world = Target::Events.world(10);
    world.set("in_doubt", "resend").await;
    world.fault_once(What::ResetAfter);
    let rows = world.run(&Target::Events.insert("false")).await;
    let run = world.last_run();
    assert_eq!((rows.is_ok(), run.tally.accepted, run.tally.in_doubt, world.emulator.events_stored()), (true, 10, 0, 20));
}

#[tokio::test(start_paused = true)]
async fn a_profile_with_an_increment_is_an_append() {
    let world = World::new();
    world.fault_once(What::ResetAfter);
    let error = world
        .refused(
            "INSERT INTO clevertap.profiles SELECT column1 AS identity, ct_incr(column2) AS \"Visits\" FROM (VALUES ('a', 1), ('b', 2))",
        )
        .await;
    assert!(error.contains("0 accepted, 0 rejected, 2 in doubt, 0 unsent of 2 rows read"), "{error}");
    assert_eq!(world.emulator.profile("a").expect("a person")["profileData"]["Visits"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_kind_of_a_profile_is_decided_row_by_row() {
    let world = World::new();
    world.fault_once(What::ResetAfter);
    let error = world
        .refused(
            "INSERT INTO clevertap.profiles SELECT column1 AS identity, ct_incr(column2) AS \"Visits\", column3 AS \"Plan\"
             FROM (VALUES ('a', 1, 'x'), ('b', NULL, 'y'), ('c', NULL, 'z'))",
        )
        .await;
    assert!(error.contains("2 accepted, 0 rejected, 1 in doubt, 0 unsent of 3 rows read"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn after_events_in_doubt_the_account_is_probed_and_the_load_goes_on() {
    let world = Target::Events.world(5_000);
    world.set("upload_concurrency", 1).await;
    world.fault_once(What::ResetBefore);
    let result = world.run(&Target::Events.insert("false")).await;
    assert_eq!(
        ending(&world, Target::Events, &result),
        "events: CT-402 error: 4000 accepted, 0 rejected, 1000 in doubt, 0 unsent, 4000 stored"
    );
    let queries: Vec<_> = world.sent().into_iter().map(|call| call.query.unwrap_or_default()).collect();
    assert_eq!(queries, ["", "dryRun=1", "", "", "", ""]);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_stays_dark_costs_the_events_in_flight_and_no_more() {
    let world = Target::Events.world(20_000);
    world.fault(What::ServerErrorBefore);
    let result = world.run(&Target::Events.insert("false")).await;
    let line = ending(&world, Target::Events, &result);
    let run = world.last_run();
    assert!(run.tally.accepted == 0 && (1_000..=5_000).contains(&run.tally.in_doubt), "{line}");
    assert!(world.sent().iter().filter(|call| call.query.is_none()).count() <= 5, "{line}");
}

#[tokio::test(start_paused = true)]
async fn retry_for_ms_runs_out_in_doubt_if_anything_may_have_arrived() {
    let mut lines = Vec::new();
    for target in [Target::Profiles, Target::DeviceTokens, Target::Subscriptions, Target::PhoneDisassociations] {
        let world = target.world(10);
        greet(&world).await;
        world.set("retry_for_ms", 30_000).await;
        world.fault(What::ResetBefore);
        let result = world.run(&target.insert("false")).await;
        lines.push(ending(&world, target, &result));
    }
    assert_eq!(
        lines,
        [
            "profiles: CT-303 error: 0 accepted, 0 rejected, 10 in doubt, 0 unsent, 0 stored",
            "device_tokens: CT-303 error: 0 accepted, 0 rejected, 10 in doubt, 0 unsent, 0 stored",
            "subscriptions: CT-303 error: 0 accepted, 0 rejected, 10 in doubt, 0 unsent, 0 stored",
            "phone_disassociations: CT-303 error: 0 accepted, 0 rejected, 10 in doubt, 0 unsent, 0 stored",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn retry_for_ms_runs_out_unsent_if_every_answer_was_429() {
    let mut lines = Vec::new();
    for target in TARGETS {
        let world = target.world(10);
        greet(&world).await;
        world.set("retry_for_ms", 30_000).await;
        world.fault(What::TooManyRequests);
        let started = tokio::time::Instant::now();
        let result = world.run(&target.insert("false")).await;
        assert!(started.elapsed().as_millis() <= 30_000 + 1_000, "{target:?} went on for {:?}", started.elapsed());
        lines.push(ending(&world, target, &result));
    }
    assert_eq!(
        lines,
        [
            "profiles: CT-303 error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored",
            "events: CT-303 error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored",
            "device_tokens: CT-303 error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored",
            "subscriptions: CT-303 error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored",
            "phone_disassociations: CT-303 error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_never_answered_is_tried_three_times_in_ten_seconds() {
    for target in TARGETS {
        let world = target.world(10);
        world.script(vec![Scripted::Fail(FailureKind::NotSent, "was refused"); 1_000]);
        let started = tokio::time::Instant::now();
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        assert!(line.contains("error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored"), "{line}");
        assert_eq!(world.sent().len(), 3, "{target:?}");
        assert!(started.elapsed().as_millis() <= 10_000, "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_later_on_is_tried_again() {
    let mut lines = Vec::new();
    for target in TARGETS {
        let world = target.world(10);
        world.set("body_rows_max", 5).await;
        world.one_in_flight().await;
        let refused = vec![Scripted::Fail(FailureKind::NotSent, "was refused"); 6];
        world.script(std::iter::once(Scripted::PassOn).chain(refused));
        let result = world.run(&target.insert("false")).await;
        lines.push(ending(&world, target, &result));
    }
    assert_eq!(lines, RECOVERED);
}

#[tokio::test(start_paused = true)]
async fn an_untrusted_certificate_is_never_tried_again() {
    for target in TARGETS {
        let world = target.world(10);
        world.script(vec![Scripted::Fail(FailureKind::Certificate, "has a certificate that is not trusted"); 10]);
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        assert!(line.contains("error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored"), "{line}");
        assert_eq!(world.sent().len(), 1, "{target:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_body_is_halved_until_the_bad_record_is_alone() {
    for (target, text) in [
        (Target::Profiles, "\"p77\""),
        (Target::Events, "\"p77\""),
        (Target::DeviceTokens, "\"__g77\""),
        (Target::Subscriptions, "\"p77@"),
        (Target::PhoneDisassociations, "\"+14155550077\""),
    ] {
        let world = target.world(100);
        world.set("on_reject", "skip").await;
        world.fault(What::MalformedIf { text: text.to_owned() });
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        assert!(line.contains("ok partial: 99 accepted, 1 rejected, 0 in doubt, 0 unsent, 99 stored"), "{line}");
        assert_eq!(world.account.failed_rows()[0].row_number, 77, "{target:?}");
        let bodies: Vec<_> = world.sent().into_iter().map(|call| call.body).collect();
        assert_eq!(bodies[0], bodies[1], "{target:?}: once more before it is halved");
    }
}

#[tokio::test(start_paused = true)]
async fn after_twenty_malformed_records_with_none_accepted_the_statement_stops() {
    for target in TARGETS {
        let world = target.world(100);
        world.set("on_reject", "skip").await;
        world.fault(What::MalformedIf { text: String::new() });
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        let run = world.last_run();
        assert!(result.is_err() && run.tally.accepted == 0 && run.tally.rejected == 20 && run.tally.unsent == 80, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_halved() {
    for target in TARGETS {
        let world = target.world(100);
        world.emulator.add_fault(Fault::new(What::TooLarge).on(target.path()).times(2));
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        assert!(line.contains("ok success: 100 accepted, 0 rejected, 0 in doubt, 0 unsent, 100 stored"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_401_in_the_middle_stops_with_that_body_unsent() {
    for target in TARGETS {
        let rows = target.rows_max();
        let world = target.world(4 * rows);
        world.one_in_flight().await;
        world.emulator.add_fault(Fault::new(What::Unauthorized).on(target.path()).after(1));
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        let run = world.last_run();
        assert_eq!((run.tally.accepted, run.tally.rejected, run.tally.in_doubt), (rows as u64, 0, 0), "{line}");
        assert!(result.is_err() && run.tally.unsent >= rows as u64, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_401_after_a_lost_attempt_leaves_the_body_in_doubt() {
    let world = Target::Profiles.world(10);
    world.script([
        Scripted::Fail(FailureKind::Lost, "was reset"),
        Scripted::Answer(401, r#"{"status":"fail","error":"Passcode Invalid","code":401}"#),
    ]);
    let result = world.run(&Target::Profiles.insert("false")).await;
    let line = ending(&world, Target::Profiles, &result);
    assert!(line.contains("error: 0 accepted, 0 rejected, 10 in doubt, 0 unsent, 0 stored"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_fail_of_another_kind_under_200_stops_with_the_body_unsent() {
    for target in TARGETS {
        let world = target.world(10);
        world.fault(What::Refuse { status: 200, code: 4711, error: "Account is suspended".to_owned() });
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        assert!(line.contains("error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored"), "{line}");
        assert_eq!(world.sent().len(), 1, "{target:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_403_stops_with_the_body_unsent() {
    for target in TARGETS {
        let world = target.world(10);
        world.fault(What::Refuse { status: 403, code: 403, error: "Forbidden".to_owned() });
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        assert!(line.contains("error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_wrong_region_is_reported_as_such() {
    let elsewhere = Settings { region_hosts: vec!["eu1.api.clevertap.com".to_owned()], ..Settings::default() };
    for target in TARGETS {
        let world = target.world_with(10, elsewhere.clone());
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        assert!(line.contains("error: 0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 stored"), "{line}");
        let error = result.expect_err("refused").to_string();
        assert!(error.contains("in1.api.clevertap.com") && error.contains("region"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn timeout_ms_is_the_time_of_an_attempt() {
    for target in TARGETS {
        let attempts = if target == Target::Events { 1 } else { 2 };
        let world = target.world(10);
        greet(&world).await;
        world.set("timeout_ms", 2_000).await;
        world.fault_once(What::HangAfter);
        let started = tokio::time::Instant::now();
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        let elapsed = started.elapsed().as_millis();
        // One attempt of 2 s, and for what may be sent again a wait of up to 1 s. What follows events in doubt is not timed.
        assert!(elapsed >= 2_000 && (attempts == 1 || elapsed <= 3_500), "{line} after {elapsed} ms");
        let uploads = world.sent().iter().filter(|call| call.query.is_none()).count();
        assert_eq!(uploads, attempts, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_of_one_identity_arrive_in_the_order_of_the_source() {
    let world = World::with(Settings { latency_ms: 20, jitter_ms: 500, ..Settings::default() });
    world.source(300);
    world.set("body_rows_max", 7).await;
    world.emulator.add_fault(Fault::new(What::TooManyRequests).on("/1/upload").every(5));
    world.emulator.add_fault(Fault::new(What::RecordError { records: Vec::new(), p: 0.05 }).on("/1/upload"));
    world.emulator.add_fault(Fault::new(What::ResetAfter).on("/1/upload").every(7));
    world.rows("INSERT INTO clevertap.profiles SELECT concat('p', n % 6) AS identity, n AS \"Last\" FROM source").await;
    let last: Vec<_> =
        (0..6).map(|n| world.emulator.profile(&format!("p{n}")).expect("a person")["profileData"]["Last"].as_i64()).collect();
    assert_eq!(last, [Some(300), Some(295), Some(296), Some(297), Some(298), Some(299)]);
}

#[tokio::test(start_paused = true)]
async fn a_load_under_every_fault_at_once_reports_the_truth() {
    for target in TARGETS {
        for seed in 0..5 {
            let world = target.world_with(20 * target.rows_max(), Settings { latency_ms: 50, jitter_ms: 300, ..Settings::default() });
            world.set("on_reject", "skip").await;
            world.set("timeout_ms", 5_000).await;
            let faults = [
                What::TooManyRequests,
                What::ServerErrorAfter,
                What::ResetBefore,
                What::HangAfter,
                What::GarbageBefore,
                What::RecordError { records: vec![1 + seed], p: 0.001 },
                What::WrongCounts { by: -1 },
            ];
            for (n, what) in faults.into_iter().enumerate() {
                world.emulator.add_fault(Fault::new(what).on(target.path()).after((n + seed) as u64).every(5 + n as u64));
            }
            let result = world.run(&target.insert("n % 97 = 0")).await;
            // `ending` checks that the counts add up and agree with what is stored.
            let line = ending(&world, target, &result);
            let run = world.last_run();
            assert!(run.input_complete && run.tally.accepted > 0 && run.tally.unsent == 0, "seed {seed}: {line}");
            assert_eq!(run.settled_through, run.tally.read, "seed {seed}: {line}");
        }
    }
}
