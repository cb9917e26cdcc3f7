use super::*;

fn chunk(keys: &[&str]) -> Chunk {
    let mut chunk = Chunk::new();
    for key in keys {
        chunk.push(key, &of_key(key), &of_payload(key.as_bytes()));
    }
    chunk
}

fn rejected(index: u32) -> Exception {
    Exception { index, fate: Settled::Rejected, code: Some("523".to_owned()) }
}

#[tokio::test]
async fn a_kill_leaves_chunks_with_all_their_fates_or_in_doubt() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        let lease = ledger.acquire("events", Holder::current()).await.expect("a lease");
        let flight = ledger.in_flight(&lease, "run-1");
        for (n, keys) in [(0, ["a", "b"]), (1, ["c", "d"]), (10, ["e", "f"]), (2, ["g", "h"])] {
            flight.write(n, &chunk(&keys)).await.expect("it is written");
        }
        let unsent = Exception { index: 0, fate: Settled::Unsent, code: None };
        flight.done(0, &[]).await.expect("it is written");
        flight.done(10, &[unsent.clone(), rejected(1)]).await.expect("it is written");
        flight.remove(0).await.expect("it is removed");
        // Killed while chunk 2 was removed: its rows are in the ledger.
        flight.done(2, &[]).await.expect("it is written");
        home.delete("in_flight/events/run-1/2.parquet").await;
        drop(lease);

        let ledger = home.ledger().await;
        let left = ledger.leftovers("events").await.expect("two");
        let of = |n, keys: &[&str], done| Leftover { sync: "events".into(), run_id: "run-1".into(), n, keys: chunk(keys), done };
        assert_eq!(left, [of(1, &["c", "d"], None), of(10, &["e", "f"], Some(vec![unsent, rejected(1)]))]);
        assert_eq!(left[0].keys.iter().map(|(key, _, _)| key).collect::<Vec<_>>(), ["c", "d"]);
        assert!(ledger.leftovers("others").await.expect("none").is_empty());
        for leftover in &left {
            ledger.remove_leftover(leftover).await.expect("it is removed");
        }
        assert!(ledger.leftovers("events").await.expect("none").is_empty());
        assert!(!home.files().await.keys().any(|name| name.starts_with("in_flight/")));
    }
}

#[tokio::test]
async fn chunks_of_several_runs_come_in_their_order() {
    let home = Home::in_bucket();
    let ledger = home.ledger().await;
    let lease = ledger.acquire("events", Holder::current()).await.expect("a lease");
    for (run, n) in [("run-2", 0), ("run-1", 11), ("run-1", 2)] {
        ledger.in_flight(&lease, run).write(n, &chunk(&["a"])).await.expect("it is written");
    }
    let left: Vec<_> = ledger.leftovers("events").await.expect("three").into_iter().map(|left| (left.run_id, left.n)).collect();
    assert_eq!(left, [("run-1".to_owned(), 2), ("run-1".to_owned(), 11), ("run-2".to_owned(), 0)]);
}

#[tokio::test]
async fn a_damaged_chunk_is_named_and_a_reset_removes_it() {
    let home = Home::on_disk();
    let ledger = home.ledger().await;
    let lease = ledger.acquire("events", Holder::current()).await.expect("a lease");
    let flight = ledger.in_flight(&lease, "run-1");
    for (n, ending, bytes) in [(3, "parquet", "PAR1 no more PAR1"), (4, "done", "{")] {
        flight.write(n, &chunk(&["a"])).await.expect("it is written");
        home.put(&format!("in_flight/events/run-1/{n}.{ending}"), bytes).await;
        let error = ledger.leftovers("events").await.expect_err("it is damaged");
        let text = error.to_string();
        assert!(matches!(error, Error::Ledger(_)) && text.contains(&format!("in_flight/events/run-1/{n}.{ending} is damaged")), "{text}");
        assert!(text.contains("reset the sync"), "{text}");
        ledger.reset(&lease).await.expect("it is reset");
        assert!(ledger.leftovers("events").await.expect("none").is_empty());
    }
}

#[tokio::test]
async fn on_a_disk_nothing_is_left_beside_what_was_named() {
    let home = Home::on_disk();
    let ledger = home.ledger().await;
    let lease = ledger.acquire("events", Holder::current()).await.expect("a lease");
    ledger.in_flight(&lease, "run-1").write(0, &chunk(&["a"])).await.expect("it is written");
    append(&ledger, &lease, &["a"], "1").await;
    let staged: Vec<_> = home.files().await.into_keys().filter(|name| name.starts_with(".staged")).collect();
    assert_eq!(staged, Vec::<String>::new());
    assert!(home.disk.as_ref().is_some_and(|disk| disk.path().join("a state/in_flight/events/run-1/0.parquet").exists()));
}
