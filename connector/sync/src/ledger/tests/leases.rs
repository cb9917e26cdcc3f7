use super::*;

fn held<T>(result: Result<T>) -> String {
    match result.err() {
        Some(Error::Held(text)) => text,
        other => panic!("it was not held: {other:?}"),
    }
}

#[tokio::test]
async fn one_run_at_a_time_and_the_second_is_told_who_has_it() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        let lease = ledger.acquire("buyers", Holder::elsewhere("laptop-7")).await.expect("a lease");
        assert_eq!((lease.sync(), lease.number(), lease.is_lost()), ("buyers", 1, false));
        let text = held(home.ledger().await.acquire("buyers", Holder::current()).await);
        assert!(text.contains("sync buyers is run by process") && text.contains("on laptop-7 since 20"), "{text}");
        // Another sync is another lease.
        ledger.acquire("others", Holder::current()).await.expect("a lease").release().await.expect("it is given back");
        lease.release().await.expect("it is given back");
        let next = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        assert_eq!(next.number(), 2);
        let leases: Vec<_> = home.files().await.into_keys().filter(|name| name.starts_with("leases/buyers/")).collect();
        assert_eq!(leases, ["leases/buyers/2.json"]);
    }
}

#[tokio::test]
async fn one_that_expired_is_taken_over_after_a_grace() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        let old = ledger.acquire("buyers", Holder::elsewhere("laptop-7")).await.expect("a lease");
        append(&ledger, &old, &["a"], "1").await;
        home.pass(TimeDelta::seconds(290));
        assert!(!old.is_lost());
        home.pass(TimeDelta::seconds(15));
        assert!(old.is_lost(), "by the clock");
        old.lost().await;
        held(ledger.acquire("buyers", Holder::current()).await);
        home.pass(TimeDelta::seconds(60));
        let new = ledger.acquire("buyers", Holder::current()).await.expect("it is taken over");
        assert_eq!(new.number(), 2);
        let text = held(ledger.append_rows(&old, "r", rows(["b"], "2"), Utc::now()).await);
        assert!(text.contains("run the sync again"), "{text}");
    }
}

/// A holder whose clock stands still: a laptop that slept, and does not know it yet.
async fn asleep(home: &Home) -> (Ledger, Lease) {
    let ledger = Ledger::open(&home.location, &home.ctx.state()).await.expect("a ledger");
    let lease = ledger.acquire("buyers", Holder::elsewhere("laptop-7")).await.expect("a lease");
    (ledger, lease)
}

#[tokio::test]
async fn a_holder_that_slept_cannot_commit_once_another_took_over_whoever_writes_first() {
    // Whether the old one wrote before; whether the new one has, when the old one tries.
    for (old_wrote, new_wrote) in [(false, false), (false, true), (true, false), (true, true)] {
        for home in Home::both() {
            let (of_old, old) = asleep(&home).await;
            if old_wrote {
                append(&of_old, &old, &["a"], "1").await;
            }
            home.pass(TimeDelta::minutes(10));
            let ledger = home.ledger().await;
            let new = ledger.acquire("buyers", Holder::current()).await.expect("it is taken over");
            if new_wrote {
                append(&ledger, &new, &["a"], "new").await;
            }
            assert!(!old.is_lost(), "it does not know yet");
            let text = held(of_old.append_rows(&old, "r", rows(["a"], "old"), Utc::now()).await);
            assert!(text.contains("sync buyers was taken over by another run (lease 2, this one has 1)"), "{text}");
            assert!(old.is_lost());
            held(of_old.put_dead_letters(&old, vec![runs::letter("x")]).await);
            held(of_old.compact(&old, Force::Always).await);
            held(of_old.in_flight(&old, "r").write(0, &Chunk::new()).await);
            append(&ledger, &new, &["b"], "new").await;
            let found = latest(&ledger, "buyers").await.expect("rows").0;
            assert!(found.values().all(|payload| *payload != of_payload(b"old")));
        }
    }
}

#[tokio::test]
async fn a_commit_that_was_begun_before_the_takeover_is_refused_after_it() {
    let home = Home::in_bucket();
    let (of_old, old) = asleep(&home).await;
    append(&of_old, &old, &["a"], "1").await;
    // It looked at the newest version before the other came.
    let mut commit = commit::Commit::new(of_old.place(), schema::Table::Rows, old.fence(), commit::Operation::Append);
    let version = commit.next().await.expect("a version").expect("not committed");
    home.pass(TimeDelta::minutes(10));
    let ledger = home.ledger().await;
    let _new = ledger.acquire("buyers", Holder::current()).await.expect("it is taken over");
    commit.make(&version, Vec::new()).await.expect("another came first");
    let text = held(commit.next().await);
    assert!(text.contains("was taken over"), "{text}");
}

#[tokio::test]
async fn a_process_that_is_gone_is_taken_over_at_once() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let gone = Holder::current().with_process(child.id(), Some(1));
        child.wait().expect("it ends");
        let old = ledger.acquire("buyers", gone).await.expect("a lease");
        if cfg!(target_os = "linux") {
            let new = ledger.acquire("buyers", Holder::current()).await.expect("it is taken over");
            assert_eq!(new.number(), 2);
            held(ledger.append_rows(&old, "r", rows(["a"], "1"), Utc::now()).await);
        }
    }
}

#[tokio::test]
async fn a_lease_that_was_dropped_is_taken_over_by_the_same_process() {
    let home = Home::on_disk();
    let ledger = home.ledger().await;
    drop(ledger.acquire("buyers", Holder::current()).await.expect("a lease"));
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("it is taken over");
    assert_eq!(lease.number(), 2);
    held(ledger.acquire("buyers", Holder::current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_start_at_once_one_has_it() {
    for home in Home::both() {
        let starts: Vec<_> = futures::future::join_all((0..8).map(|_| home.ledger())).await;
        let all = starts
            .into_iter()
            .enumerate()
            .map(|(at, ledger)| async move { ledger.acquire("buyers", Holder::elsewhere(&format!("host-{at}"))).await });
        let all = futures::future::join_all(all).await;
        let have: Vec<_> = all.iter().filter_map(|lease| lease.as_ref().ok()).collect();
        assert_eq!(have.len(), 1, "{all:?}");
        assert!(all.iter().filter_map(|lease| lease.as_ref().err()).all(|error| matches!(error, Error::Held(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_while_it_is_held_and_lost_when_another_has_it() {
    let home = Home::in_bucket();
    let ledger = home.ledger().await;
    let lease = ledger.acquire("buyers", Holder::elsewhere("laptop-7")).await.expect("a lease");
    // Time by the clock of the machine runs with that of the wall.
    for _ in 0..20 {
        home.pass(TimeDelta::seconds(61));
        tokio::time::sleep(std::time::Duration::from_secs(61)).await;
        assert!(!lease.is_lost());
    }
    held(ledger.acquire("buyers", Holder::current()).await);
    // Somebody creates the next number.
    home.put("leases/buyers/2.json", "{}").await;
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    lease.lost().await;
    assert!(lease.is_lost());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_no_renewal_loses_the_lease_at_its_end_and_a_clock_that_is_set_back_does_not_prolong_it() {
    let home = Home::in_bucket();
    let ledger = home.ledger().await;
    let lease = ledger.acquire("buyers", Holder::elsewhere("laptop-7")).await.expect("a lease");
    home.bucket.refused_puts.store(i64::MAX, Ordering::SeqCst);
    home.pass(TimeDelta::hours(-5));
    tokio::time::sleep(std::time::Duration::from_secs(200)).await;
    assert!(!lease.is_lost());
    tokio::time::sleep(std::time::Duration::from_secs(101)).await;
    assert!(lease.is_lost());
    held(ledger.append_rows(&lease, "r", rows(["a"], "1"), Utc::now()).await);
}

#[tokio::test]
async fn numbers_go_on_where_the_folder_of_leases_was_removed() {
    let home = Home::on_disk();
    let ledger = home.ledger().await;
    for number in 1..4 {
        let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        assert_eq!(lease.number(), number);
        append(&ledger, &lease, &["a"], "1").await;
        lease.release().await.expect("it is given back");
    }
    home.delete("leases/buyers/3.json").await;
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
    assert_eq!(lease.number(), 4);
    append(&ledger, &lease, &["a"], "2").await;
    assert_eq!(latest(&ledger, "buyers").await.expect("rows").0, payloads(&[("a", "2")]));
}
