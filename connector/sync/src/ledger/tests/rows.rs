use super::*;

#[tokio::test]
async fn what_was_appended_is_read_and_the_last_row_of_a_key_counts() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        assert!(ledger.rows("buyers").await.expect("none").is_none());
        assert_eq!(ledger.key_count("buyers").await.expect("none"), 0);
        assert!(home.files().await.is_empty(), "opening and looking make nothing");

        let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        append(&ledger, &lease, &["a", "b", "c"], "1").await;
        append(&ledger, &lease, &["b", "d"], "2").await;
        let (found, count) = latest(&ledger, "buyers").await.expect("rows");
        assert_eq!(found, payloads(&[("a", "1"), ("b", "2"), ("c", "1"), ("d", "2")]));
        assert_eq!((count, ledger.key_count("buyers").await.expect("a count")), (5, 5));
        assert!(latest(&home.ledger().await, "others").await.expect("none").0.is_empty());
    }
}

#[tokio::test]
async fn rows_have_the_types_that_are_said_and_of_a_key_that_was_pushed_twice_the_last() {
    let home = Home::in_bucket();
    let ledger = home.ledger().await;
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
    let mut rows = LedgerRows::new();
    for (code, fate) in [(None, RowFate::Accepted), (Some("523"), RowFate::Rejected)] {
        rows.push("k", &of_key("k"), &of_payload(b"p"), fate, code, false);
    }
    rows.push("gone", &of_key("gone"), &of_payload(b"p"), RowFate::InDoubt, None, true);
    assert_eq!(rows.len(), 3);
    let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("an instant");
    ledger.append_rows(&lease, "run-7", rows, at).await.expect("it is appended");
    let columns = ["key", "key_hash", "payload_hash", "fate", "code", "run_id", "seq", "updated_at", "removed"];
    let batches: Vec<_> =
        ledger.rows_of("buyers", &columns).await.expect("rows").expect("some").try_collect().await.expect("they are read");
    let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).expect("one");
    assert_eq!(batch.schema().as_ref(), schema::Table::Rows.file_schema().as_ref());
    let shown = batch.project(&[0, 3, 4, 5, 6, 7, 8]).expect("columns");
    let sorted = arrow::util::pretty::pretty_format_batches(&[shown]).expect("a table").to_string();
    for line in [
        "| k    | rejected | 523  | run-7  | 1000000 | 2023-11-14T22:13:20.123456Z | false   |",
        "| gone | in_doubt |      | run-7  | 1000000 | 2023-11-14T22:13:20.123456Z | true    |",
    ] {
        assert!(sorted.contains(line), "{sorted}");
    }
    assert_eq!(batch.num_rows(), 2);
    let wrong = ledger.rows_of("buyers", &["keys"]).await.err().expect("it is refused").to_string();
    assert!(wrong.contains("no column keys"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_that_commit_at_once_do_not_hinder_each_other() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        let of_one = |sync: usize| {
            let ledger = ledger.clone();
            datafusion::common::runtime::SpawnedTask::spawn(async move {
                let name = format!("sync-{sync}");
                let lease = ledger.acquire(&name, Holder::current()).await?;
                for commit in 0..5 {
                    ledger.append_rows(&lease, "r", rows([format!("{name}-{commit}")], "p"), Utc::now()).await?;
                }
                lease.release().await
            })
        };
        let all: Vec<_> = (0..8).map(of_one).collect();
        for one in all {
            one.await.expect("it ends").expect("it commits");
        }
        for sync in 0..8 {
            assert_eq!(latest(&ledger, &format!("sync-{sync}")).await.expect("rows").1, 5);
        }
    }
}

#[tokio::test]
async fn a_compaction_leaves_the_last_rows_in_other_files_and_a_vacuum_removes_the_former_ones() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        let other = ledger.acquire("others", Holder::current()).await.expect("a lease");
        append(&ledger, &other, &["a"], "other").await;
        for round in 0..6 {
            let keys: Vec<_> = (0..100 * (round + 1)).map(|key| format!("key-{key}")).collect();
            ledger.append_rows(&lease, "r", rows(keys, &round.to_string()), Utc::now()).await.expect("it is appended");
        }
        let before = latest(&ledger, "buyers").await.expect("rows");
        assert_eq!(before.1, 2100);
        let did = ledger.compact(&lease, Force::WhenItPays).await.expect("it is compacted");
        assert_eq!(did, Compacted { before: 2100, after: 600, files: 6 });
        let after = latest(&ledger, "buyers").await.expect("rows");
        assert_eq!((after.1, &after.0), (600, &before.0));
        assert_eq!(latest(&ledger, "others").await.expect("rows").1, 1);

        // Fewer than a quarter, and it does not pay; more, and it does.
        append(&ledger, &lease, &["key-1"], "new").await;
        assert_eq!(ledger.compact(&lease, Force::WhenItPays).await.expect("nothing"), Compacted::default());
        let keys: Vec<_> = (0..150).map(|key| format!("key-{key}")).collect();
        ledger.append_rows(&lease, "r", rows(keys, "newer"), Utc::now()).await.expect("it is appended");
        assert_eq!(ledger.compact(&lease, Force::WhenItPays).await.expect("it is compacted").after, 600);

        let of_buyers = async || home.files().await.keys().filter(|name| name.starts_with("rows/sync=buyers")).count();
        assert_eq!(ledger.vacuum(&lease, Ledger::RETENTION).await.expect("nothing"), Vacuumed::default());
        assert_eq!(of_buyers().await, 10);
        home.pass(TimeDelta::days(8));
        // The leases have expired by that clock.
        drop(lease);
        let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        assert_eq!(ledger.vacuum(&lease, Ledger::RETENTION).await.expect("it is done").files, 9);
        assert_eq!(of_buyers().await, 1);
        assert_eq!(latest(&ledger, "buyers").await.expect("rows").1, 600);
        assert_eq!(latest(&ledger, "others").await.expect("rows").1, 1);
    }
}

#[tokio::test]
async fn many_commits_pass_a_checkpoint() {
    let home = Home::on_disk();
    let ledger = home.ledger().await;
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
    for commit in 0..45 {
        append(&ledger, &lease, &[&format!("key-{commit}")], "p").await;
    }
    assert!(home.files().await.keys().any(|name| name.ends_with(".checkpoint.parquet")));
    assert_eq!(latest(&ledger, "buyers").await.expect("rows").1, 45);
    // The number of the lease is in the checkpoint, too.
    drop(lease);
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
    append(&ledger, &lease, &["last"], "p").await;
    assert_eq!(lease.number(), 2);
}

#[tokio::test]
async fn a_reset_forgets_one_sync_alone() {
    for home in Home::both() {
        let ledger = home.ledger().await;
        let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        let other = ledger.acquire("others", Holder::current()).await.expect("a lease");
        append(&ledger, &lease, &["a"], "1").await;
        append(&ledger, &other, &["a"], "1").await;
        ledger.put_dead_letters(&lease, vec![runs::letter("x")]).await.expect("it is put");
        let mut chunk = Chunk::new();
        chunk.push("e", &of_key("e"), &of_payload(b"e"));
        ledger.in_flight(&lease, "run-1").write(0, &chunk).await.expect("it is written");
        ledger.reset(&lease).await.expect("it is reset");
        assert!(ledger.rows("buyers").await.expect("none").is_none());
        assert_eq!(ledger.dead_letters("buyers").await.expect("none"), vec![]);
        assert_eq!(ledger.leftovers("buyers").await.expect("none"), vec![]);
        assert_eq!(latest(&ledger, "others").await.expect("rows").1, 1);
        append(&ledger, &lease, &["b"], "2").await;
        assert_eq!(latest(&ledger, "buyers").await.expect("rows").0, payloads(&[("b", "2")]));
    }
}
