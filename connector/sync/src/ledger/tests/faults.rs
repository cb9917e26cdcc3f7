use super::*;

/// A commit whose answer was lost is there once, whichever put it was.
#[tokio::test]
async fn answers_that_were_lost_are_no_failure() {
    for lost in 1..4 {
        let home = Home::in_bucket();
        let ledger = home.ledger().await;
        let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        append(&ledger, &lease, &["a"], "1").await;
        // The file of rows is one that is written again; its commit is looked for.
        let mut file = files::FileWriter::new(ledger.place(), schema::Table::Rows, "buyers", files::Kind::Appended).expect("a file");
        file.write(&empty()).await.expect("it is written");
        let written = file.close().await.expect("it is closed");
        let mut commit = commit::Commit::new(ledger.place(), schema::Table::Rows, lease.fence(), commit::Operation::Append);
        home.bucket.lost_puts.store(lost, Ordering::SeqCst);
        while let Some(version) = commit.next().await.expect("a version") {
            if version.has(&written) {
                break;
            }
            commit.make(&version, vec![written.addition()]).await.expect("it is made");
        }
        home.bucket.lost_puts.store(0, Ordering::SeqCst);
        let version = ledger.newest(schema::Table::Rows).await.expect("a version").expect("a table");
        assert_eq!(version.files(Some("buyers")).len(), 2);
    }
}

fn empty() -> arrow::array::RecordBatch {
    arrow::array::RecordBatch::new_empty(Arc::clone(schema::Table::Rows.file_schema()))
}

#[tokio::test]
async fn a_lost_answer_to_a_lease_is_no_failure_and_to_a_chunk_neither() {
    let home = Home::in_bucket();
    let ledger = home.ledger().await;
    ledger.acquire("others", Holder::current()).await.expect("a lease").release().await.expect("it is given back");
    home.bucket.lost_puts.store(1, Ordering::SeqCst);
    let lease = ledger.acquire("events", Holder::current()).await.expect("a lease");
    let mut chunk = Chunk::new();
    chunk.push("a", &of_key("a"), &of_payload(b"a"));
    home.bucket.lost_puts.store(2, Ordering::SeqCst);
    ledger.in_flight(&lease, "run-1").write(0, &chunk).await.expect("it is written");
    home.bucket.refused_puts.store(2, Ordering::SeqCst);
    ledger.in_flight(&lease, "run-1").done(0, &[]).await.expect("it is written");
    assert_eq!(ledger.leftovers("events").await.expect("one").len(), 1);
}

#[tokio::test]
async fn a_store_that_answers_503_is_named_and_the_same_call_completes_when_it_is_well() {
    let home = Home::in_bucket();
    let ledger = home.ledger().await;
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
    append(&ledger, &lease, &["a"], "1").await;
    home.bucket.refused_puts.store(i64::MAX, Ordering::SeqCst);
    let error = ledger.append_rows(&lease, "r", rows(["b"], "2"), Utc::now()).await.expect_err("503");
    let text = error.to_string();
    assert!(matches!(error, Error::Storage(_)) && text.contains("503 Service Unavailable") && text.contains("s3://acme/state"), "{text}");
    assert!(!text.contains("'b'"), "{text}");
    home.bucket.refused_puts.store(0, Ordering::SeqCst);
    ledger.append_rows(&lease, "r", rows(["b"], "2"), Utc::now()).await.expect("it is appended");
    assert_eq!(latest(&ledger, "buyers").await.expect("rows").0, payloads(&[("a", "1"), ("b", "2")]));

    home.bucket.refused_gets.store(i64::MAX, Ordering::SeqCst);
    let error = ledger.key_count("buyers").await.expect_err("503");
    assert!(matches!(error, Error::Storage(_)), "{error}");
    home.bucket.refused_gets.store(0, Ordering::SeqCst);
    let mut batches = ledger.rows("buyers").await.expect("rows").expect("some");
    home.bucket.refused_gets.store(i64::MAX, Ordering::SeqCst);
    let error = error_of(&batches.try_next().await.expect_err("503"));
    assert!(matches!(error, Error::Storage(_)), "{error}");
}

/// Each put of a run is refused in turn; the run is begun again, and the rows are there.
#[tokio::test]
async fn whatever_put_is_refused_the_next_run_completes() {
    for at in 0..12 {
        let home = Home::in_bucket();
        let run = async || -> Result<()> {
            let ledger = home.opened().await?;
            let lease = ledger.acquire("buyers", Holder::current()).await?;
            ledger.append_rows(&lease, "r", rows(["a", "b"], "1"), Utc::now()).await?;
            ledger.put_dead_letters(&lease, vec![runs::letter("x")]).await?;
            ledger.compact(&lease, Force::Always).await?;
            lease.release().await
        };
        home.bucket.fail_after(at);
        let first = run().await;
        home.bucket.fail_after(i64::MAX);
        if let Err(error) = first {
            assert!(matches!(error, Error::Storage(_)), "{at}: {error}");
        }
        run().await.unwrap_or_else(|error| panic!("{at}: {error}"));
        let ledger = home.ledger().await;
        assert_eq!(latest(&ledger, "buyers").await.expect("rows").0, payloads(&[("a", "1"), ("b", "1")]));
        assert_eq!(ledger.dead_letters("buyers").await.expect("one"), vec![runs::letter("x")]);
    }
}

#[tokio::test]
async fn a_store_without_conditional_writes_is_refused_by_name() {
    for ignores in [false, true] {
        let home = Home::in_bucket();
        home.bucket.has_no_conditions.store(!ignores, Ordering::SeqCst);
        home.bucket.ignores_conditions.store(ignores, Ordering::SeqCst);
        let ledger = home.ledger().await;
        for _ in 0..2 {
            let error = ledger.acquire("buyers", Holder::current()).await.expect_err("it is refused");
            let text = error.to_string();
            assert!(
                matches!(error, Error::Storage(_)) && text.contains("s3://acme/state") && text.contains("refuses conditional writes"),
                "{text}"
            );
            assert!(text.contains("put the ledger on a disk"), "{text}");
        }
        assert!(home.files().await.is_empty());
    }
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_named() {
    let disk = tempfile::tempdir().expect("a folder");
    // Where the ledger's folder would be is a file.
    std::fs::write(disk.path().join("state"), "").expect("a file");
    let location = disk.path().join("state/ledger").display().to_string();
    let ctx = SessionContext::new();
    let opened = Ledger::open(&location, &ctx.state()).await;
    let error = match opened {
        Ok(ledger) => ledger.acquire("buyers", Holder::current()).await.expect_err("it is refused"),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Storage(_)) && error.to_string().contains("state/ledger"), "{error}");
}
