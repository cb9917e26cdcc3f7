use super::*;
use crate::report::{Changes, RunReport, Status};

pub(super) fn letter(key: &str) -> DeadLetter {
    let at = DateTime::from_timestamp_micros(1_700_000_000_000_001).expect("an instant");
    DeadLetter {
        key: key.to_owned(),
        key_hash: of_key(key),
        payload_hash: of_payload(key.as_bytes()),
        record: format!("{{\"identity\":\"{key}\"}}"),
        code: Some("523".to_owned()),
        reason: "the phone has no country code".to_owned(),
        attempts: 3,
        first_at: at,
        last_at: at + TimeDelta::days(1),
        run_id: "run-1".to_owned(),
    }
}

fn run(sync: &str, run_id: &str, minute: i64) -> RunReport {
    let started_at = DateTime::from_timestamp_micros(1_700_000_000_000_000 + minute * 60_000_000).expect("an instant");
    RunReport {
        sync: sync.to_owned(),
        run_id: run_id.to_owned(),
        status: Status::Running,
        changes: Changes { rows: 6, new: 1, changed: 2, removed: 3, unchanged: 4, held: 5 },
        accepted: 10,
        rejected: 11,
        in_doubt: 12,
        unsent: 13,
        started_at,
        finished_at: None,
        error: None,
        notes: vec!["a \"note\"".to_owned()],
        fields: vec!["/identity".to_owned(), "/profileData/Plan".to_owned()],
        query_hash: "abcd".to_owned(),
        account: "ABC-12D-345Z@in1.api.clevertap.com".to_owned(),
        into: "clevertap.profiles".to_owned(),
        key: vec!["identity".to_owned()],
        hash_version: 1,
        mode: "upsert".to_owned(),
        window: None,
        cursor: None,
    }
}

#[tokio::test]
async fn a_run_is_written_at_its_start_and_at_its_end_and_the_end_counts() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        assert_eq!(ledger.runs(None).await.expect("none"), vec![]);
        let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        let other = ledger.acquire("others", Holder::current()).await.expect("a lease");
        let start = run("buyers", "run-1", 0);
        ledger.put_run(&lease, &start).await.expect("it is put");
        assert_eq!(ledger.runs(None).await.expect("one"), vec![start.clone()]);
        let end = RunReport {
            status: Status::Error,
            finished_at: Some(start.started_at + TimeDelta::minutes(1)),
            error: Some("429 for ten minutes".to_owned()),
            window: Some(("2026-01-01".to_owned(), "2026-01-31".to_owned())),
            ..start
        };
        ledger.put_run(&lease, &end).await.expect("it is put");
        let later = run("others", "run-2", 5);
        ledger.put_run(&other, &later).await.expect("it is put");
        assert_eq!(ledger.runs(None).await.expect("two"), vec![later.clone(), end.clone()]);
        assert_eq!(ledger.runs(Some("buyers")).await.expect("one"), vec![end]);
    }
}

#[tokio::test]
async fn a_long_history_is_few_files() {
    let home = Home::in_bucket();
    let ledger = home.ledger().await;
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
    for minute in 0..40 {
        let run = run("buyers", &format!("run-{minute}"), minute);
        ledger.put_run(&lease, &run).await.expect("it is put");
        ledger.put_run(&lease, &RunReport { status: Status::Successful, ..run }).await.expect("it is put");
    }
    let runs = ledger.runs(Some("buyers")).await.expect("all");
    assert_eq!((runs.len(), runs[0].run_id.as_str()), (40, "run-39"));
    assert!(runs.iter().all(|run| run.status == Status::Successful));
    let version = ledger.newest(schema::Table::Runs).await.expect("a version").expect("a table");
    assert!(version.files(Some("buyers")).len() <= 32);
}

#[tokio::test]
async fn dead_letters_are_replaced_of_one_sync_alone() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        let other = ledger.acquire("others", Holder::current()).await.expect("a lease");
        ledger.put_dead_letters(&lease, Vec::new()).await.expect("nothing is put");
        assert!(!home.files().await.keys().any(|name| name.starts_with("dead_letters")));
        ledger.put_dead_letters(&other, vec![letter("o")]).await.expect("it is put");
        ledger.put_dead_letters(&lease, vec![letter("b"), letter("a")]).await.expect("they are put");
        assert_eq!(ledger.dead_letters("buyers").await.expect("two"), vec![letter("b"), letter("a")]);
        let changed = DeadLetter { attempts: 4, code: None, ..letter("a") };
        ledger.put_dead_letters(&lease, vec![changed.clone()]).await.expect("it is put");
        assert_eq!(ledger.dead_letters("buyers").await.expect("one"), vec![changed]);
        ledger.put_dead_letters(&lease, Vec::new()).await.expect("none is put");
        assert_eq!(ledger.dead_letters("buyers").await.expect("none"), vec![]);
        assert_eq!(ledger.dead_letters("others").await.expect("one"), vec![letter("o")]);
        assert!(!format!("{:?}", letter("somebody")).contains("somebody"));
    }
}

#[tokio::test]
async fn a_sync_is_paused_until_it_is_not() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        assert!(!ledger.is_paused("buyers").await.expect("it is not"));
        ledger.set_paused("buyers", false).await.expect("it was not");
        ledger.set_paused("buyers", true).await.expect("it is set");
        assert!(home.ledger().await.is_paused("buyers").await.expect("it is"));
        assert!(!ledger.is_paused("others").await.expect("it is not"));
        ledger.set_paused("buyers", false).await.expect("it is set");
        assert!(!ledger.is_paused("buyers").await.expect("it is not"));
    }
}
