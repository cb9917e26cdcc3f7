//! SELECT from counts, trends, reports, campaigns, the schema and the other lists: equal to what the seed says.

use chrono_tz::Tz;
use clevertap_emulator::{Campaign, NoResult, Settings, SubscriptionGroup};
use serde_json::json;

use crate::seed::{SMALL, lines, seeded};
use crate::world::World;

fn world(settings: Settings) -> World {
    seeded(SMALL, Tz::Asia__Kolkata, settings, |_| {})
}

async fn equal(world: &World, ours: &str, seeds: &str) {
    let (ours_rows, seeds_rows) = (lines(&world.rows(ours).await), lines(&world.rows(seeds).await));
    assert_eq!(ours_rows, seeds_rows, "{ours}");
    assert!(!ours_rows.is_empty(), "{ours}");
}

#[tokio::test(start_paused = true)]
async fn trends_are_what_the_events_say_and_empty_buckets_are_there() {
    for polls_until_ready in [0, 3] {
        let world = world(Settings { polls_until_ready, ..Settings::default() });
        equal(
            &world,
            "SELECT event_date, events, people, property_sum FROM clevertap.trend_analysis_daily
             WHERE event_name = 'Charged' AND property = 'Step' AND event_date BETWEEN '2025-12-25' AND '2026-03-10'",
            "SELECT d.value::date, count(e.object_id), count(DISTINCT e.object_id), coalesce(sum((e.properties -> 'Step')::double), 0.0)
             FROM generate_series('2025-12-25'::timestamp, '2026-03-10'::timestamp, INTERVAL '1 day') AS d(value)
             LEFT JOIN seed.events e ON e.event_date = d.value::date AND e.event_name = 'Charged' GROUP BY 1",
        )
        .await;
        equal(
            &world,
            "SELECT week_start, events, people FROM clevertap.trend_analysis_weekly WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-07' AND '2026-02-20'",
            "SELECT date_trunc('week', event_date)::date, count(*), count(DISTINCT object_id) FROM seed.events
             WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-05' AND '2026-02-22' GROUP BY 1",
        )
        .await;
        equal(
            &world,
            "SELECT week_start, events FROM clevertap.trend_analysis_weekly WHERE event_name = 'Charged' AND week_start BETWEEN '2026-01-06' AND '2026-02-20'",
            "SELECT date_trunc('week', event_date)::date, count(*) FROM seed.events
             WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-12' AND '2026-02-22' GROUP BY 1",
        )
        .await;
        equal(
            &world,
            "SELECT month_start, events, people FROM clevertap.trend_analysis_monthly WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-07' AND '2026-02-20'",
            "SELECT date_trunc('month', event_date)::date, count(*), count(DISTINCT object_id) FROM seed.events WHERE event_name = 'Charged' AND event_date < '2026-03-01' GROUP BY 1",
        )
        .await;
        assert!(world.emulator.report().rules_broken.is_empty(), "{:?}", world.emulator.report().rules_broken);
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_that_never_comes_is_an_error() {
    let world = world(Settings { polls_until_ready: 10_000, ..Settings::default() });
    let error = world.refused("SELECT * FROM clevertap.event_counts WHERE event_name = 'Charged' AND event_date = '2026-01-03'").await;
    assert!(error.contains("still computing") && error.contains("[CT-303]"), "{error}");
    let report = world.emulator.report();
    assert!(report.polls < 60, "{} polls in ten minutes", report.polls);
}

fn lists() -> Settings {
    let campaign = |id: i64, day, result| Campaign { result, ..Campaign::new(id, &format!("Campaign {id}"), day) };
    Settings {
        campaigns: vec![
            campaign(1_767_225_600, 20_260_105, Some(json!({"sent": 100, "clicked": 7, "opened": 40}))),
            campaign(9_007_199_254_740_993, 20_260_215, None),
            campaign(3, 20_260_401, Some(json!({"sent": 5}))),
        ],
        messages: (1..=40)
            .map(|day| {
                let start = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).expect("a day") + chrono::Days::new(day * 2);
                json!({"message id": 1_767_225_600 + day, "message_name": format!("Hello {day}"), "channel": "Push", "delivery": "One Time",
                       "start_date": start.to_string(), "status": "completed", "sent": day, "viewed": 1, "clicked": 0, "labels": ["x"], "device": "Android"})
            })
            .collect(),
        subscription_groups: vec![SubscriptionGroup { key: 101, name: "Offers".into(), channels: vec!["email".into()] }],
        content_blocks: (0..250).map(|id| json!({"id": id, "name": format!("Block {id}"), "updatedAt": "2026-01-05T00:00:00.000Z", "type": "html"})).collect(),
        segments: (0..1_001).map(|id| json!({"id": id, "name": format!("Segment {id}")})).collect(),
        ..Settings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_campaign_without_a_result_is_no_row_in_all_three_forms() {
    for no_result in [NoResult::ServerError, NoResult::UnderSuccess, NoResult::Conflict] {
        let world = world(Settings { no_result, ..lists() });
        let query = "SELECT c.campaign_id, r.sent, r.clicked FROM clevertap.campaigns c
                     LEFT JOIN clevertap.campaign_reports r ON r.campaign_id = c.campaign_id WHERE c.scheduled_on BETWEEN '2026-01-01' AND '2026-03-31'";
        assert_eq!(lines(&world.rows(query).await), ["| 1767225600 | 100 | 7 |", "| 9007199254740993 | | |"], "{no_result:?}");
        let direct = "SELECT campaign_id, sent, result ->> 'opened' FROM clevertap.campaign_reports WHERE campaign_id IN (1767225600, 9007199254740993)";
        assert_eq!(lines(&world.rows(direct).await), ["| 1767225600 | 100 | 40 |"]);
    }
    let world = world(lists());
    let error = world.refused("SELECT * FROM clevertap.campaign_reports WHERE campaign_id = '77'").await;
    assert!(error.contains("Invalid campaign id"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_time_zone_is_proved_by_an_exported_page() {
    use datafusion_clevertap::account::Clock;
    use datafusion_clevertap::diagnose::{ZoneProof, prove_time_zone};
    for (zone, fits) in [(Some(Tz::Asia__Kolkata), true), (Some(Tz::Europe__Berlin), false), (None, false)] {
        let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |account| {
            account.time_zone = zone;
            account.clock = Clock::starting_at(chrono::DateTime::from_timestamp(1_772_300_000, 0).expect("an instant"));
        });
        match prove_time_zone(&world.account).await.expect("an answer") {
            ZoneProof::Agrees { records } => assert!(fits && records > 10, "{zone:?}"),
            ZoneProof::Differs { offset, records } => assert!(!fits && offset == 19_800 && records > 10, "{zone:?}: {offset}"),
            other => panic!("{zone:?} is not proved: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_api_answers_a_check() {
    let world = world(lists());
    for probe in datafusion_clevertap::diagnose::check(&world.account).await {
        assert!(probe.outcome.is_ok(), "{}: {:?}", probe.call, probe.outcome.map_err(|error| error.to_string()));
    }
}
