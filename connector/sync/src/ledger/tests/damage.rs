use super::*;

fn ledger_error<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Ledger(text)) => text,
        other => panic!("it was not found: {other:?}"),
    }
}

async fn filled(home: &Home) -> (Ledger, Lease) {
    let ledger = home.ledger().await;
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
    append(&ledger, &lease, &["somebody", "b"], "1").await;
    append(&ledger, &lease, &["c"], "2").await;
    (ledger, lease)
}

#[tokio::test]
async fn a_missing_file_of_rows_is_named_and_a_reset_begins_anew() {
    for home in Home::both() {
        let (ledger, lease) = filled(&home).await;
        let file = home.file("rows/sync=buyers/", ".parquet").await;
        home.delete(&file).await;
        let text = ledger_error(latest(&ledger, "buyers").await);
        assert!(text.contains(&format!("{file} is missing, and the log names it")), "{text}");
        ledger_error(ledger.compact(&lease, Force::Always).await);
        // The log alone is looked at.
        assert_eq!(ledger.key_count("buyers").await.expect("a count"), 3);
        assert!(text.contains("or reset the sync"), "{text}");
        ledger.reset(&lease).await.expect("it is reset");
        assert!(latest(&ledger, "buyers").await.expect("none").0.is_empty());
    }
}

#[tokio::test]
async fn a_damaged_file_of_rows_is_named() {
    for home in Home::both() {
        let (ledger, _lease) = filled(&home).await;
        let file = home.file("rows/sync=buyers/", ".parquet").await;
        let whole = home.files().await.remove(&file).expect("the file");
        let mut scrambled = whole.to_vec();
        let end = scrambled.len() - 8;
        scrambled[4..end].fill(0x5a);
        let mut footer = whole.to_vec();
        let last = footer.len();
        footer[last - 1] = b'X';
        for damaged in [Vec::new(), whole[..whole.len() / 2].to_vec(), scrambled, footer, vec![7; whole.len() + 9]] {
            home.put(&file, damaged).await;
            let text = ledger_error(latest(&ledger, "buyers").await);
            assert!(text.contains(&format!("{file} is damaged")) && !text.contains("somebody"), "{text}");
        }
        home.put(&file, whole).await;
        assert_eq!(latest(&ledger, "buyers").await.expect("rows").1, 3);
    }
}

#[tokio::test]
async fn a_damaged_log_is_named() {
    for home in Home::both() {
        let (ledger, lease) = filled(&home).await;
        let log = home.file("rows/_delta_log/", "1.json").await;
        let whole = home.files().await.remove(&log).expect("the file");
        for (damaged, problem) in [
            (Bytes::new(), "is empty"),
            (whole.slice(..whole.len() - 20), "is damaged: its line"),
            (Bytes::from_static(b"no json at all"), "is damaged: its line 1"),
        ] {
            home.put(&log, damaged).await;
            let text = ledger_error(latest(&home.ledger().await, "buyers").await);
            assert!(text.contains(&format!("{log} {problem}")), "{text}");
            ledger_error(ledger.append_rows(&lease, "r", rows(["x"], "x"), Utc::now()).await);
        }
        home.delete(&log).await;
        let text = ledger_error(ledger.key_count("buyers").await);
        assert!(text.contains(&format!("{log} is missing, and later commits are there")), "{text}");
        home.put(&log, whole).await;
        assert_eq!(latest(&ledger, "buyers").await.expect("rows").1, 3);
    }
}

#[tokio::test]
async fn a_log_that_is_gone_is_not_an_empty_table_and_with_the_folder_moved_away_it_is() {
    for home in Home::both() {
        let (ledger, lease) = filled(&home).await;
        let files = home.files().await;
        for name in files.keys().filter(|name| name.starts_with("rows/_delta_log/")) {
            home.delete(name).await;
        }
        let text = ledger_error(ledger.rows("buyers").await.map(drop));
        assert!(text.contains("rows/_delta_log/ is missing, though the table has files"), "{text}");
        assert!(text.contains("move the folder of this table away"), "{text}");
        for name in files.keys().filter(|name| name.starts_with("rows/sync")) {
            home.delete(name).await;
        }
        assert!(ledger.rows("buyers").await.expect("none").is_none());
        append(&ledger, &lease, &["a"], "1").await;
        assert_eq!(latest(&ledger, "buyers").await.expect("rows").1, 1);
    }
}

#[tokio::test]
async fn a_damaged_checkpoint_is_named() {
    let home = Home::in_bucket();
    let (ledger, lease) = filled(&home).await;
    for commit in 0..25 {
        append(&ledger, &lease, &[&commit.to_string()], "p").await;
    }
    let checkpoint = home.file("rows/_delta_log/", ".checkpoint.parquet").await;
    home.put(&checkpoint, "PAR1").await;
    let text = ledger_error(latest(&ledger, "buyers").await);
    assert!(text.contains(&checkpoint), "{text}");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_a_damaged_one_named() {
    for home in Home::both() {
        drop(filled(&home).await);
        assert_eq!(home.files().await["clevertap-sync.json"], "{\"format\":1}");
        home.put("clevertap-sync.json", "{\"format\":2,\"more\":true}").await;
        let text = ledger_error(home.opened().await.map(drop));
        assert!(text.contains("is of format 2, which a newer version") && text.contains("run the newer version"), "{text}");
        home.put("clevertap-sync.json", "{").await;
        let text = ledger_error(home.opened().await.map(drop));
        assert!(text.contains("clevertap-sync.json is damaged"), "{text}");
    }
}

#[tokio::test]
async fn a_damaged_lease_is_named_and_can_be_removed() {
    let home = Home::on_disk();
    drop(filled(&home).await);
    home.put("leases/buyers/1.json", "{").await;
    let ledger = home.ledger().await;
    let text = ledger_error(ledger.acquire("buyers", Holder::current()).await.map(drop));
    assert!(text.contains("leases/buyers/1.json is damaged") && text.contains("remove that file"), "{text}");
    home.delete("leases/buyers/1.json").await;
    assert_eq!(ledger.acquire("buyers", Holder::current()).await.expect("a lease").number(), 2);
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let ctx = SessionContext::new();
    for (location, problem) in [
        ("s3://nobody/state", "register its store"),
        ("https://example.com/state", "web servers"),
        ("s3://key:secret@acme/state", "leave out a user"),
        ("/tmp/*.json", "a pattern"),
    ] {
        let text = Ledger::open(location, &ctx.state()).await.expect_err("it is refused").to_string();
        assert!(text.contains(problem) && !text.contains("secret"), "{text}");
    }
}
