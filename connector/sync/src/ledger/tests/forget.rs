use super::*;

const PERSON: &str = "somebody-4711@example.com";

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Files that have the key, and not only in bytes: the hash of it too.
async fn traces(home: &Home) -> Vec<String> {
    let hash = of_key(PERSON);
    let mut found = Vec::new();
    for (name, bytes) in home.files().await {
        let mut has = contains(&bytes, PERSON) || bytes.windows(16).any(|window| window == hash);
        if name.ends_with(".parquet") && !name.contains("_delta_log") {
            let batches = files::read_small(home.ledger().await.place(), &name, None).await.expect("it is read").expect("it is there");
            has |= arrow::util::pretty::pretty_format_batches(&batches).expect("a table").to_string().contains(PERSON);
        }
        if has {
            found.push(name);
        }
    }
    found
}

async fn filled(home: &Home) -> Ledger {
    let ledger = home.ledger().await;
    for sync in ["buyers", "events", "others"] {
        let lease = ledger.acquire(sync, Holder::current()).await.expect("a lease");
        append(&ledger, &lease, &["a", "b"], "0").await;
        if sync != "others" {
            append(&ledger, &lease, &["a", PERSON], "1").await;
            // Compacted, so that an older version has them too; and once more.
            ledger.compact(&lease, Force::Always).await.expect("it is compacted");
            append(&ledger, &lease, &[PERSON], "2").await;
            ledger.put_dead_letters(&lease, vec![runs::letter("a"), runs::letter(PERSON)]).await.expect("they are put");
            let mut chunk = Chunk::new();
            for key in ["x", PERSON, "y"] {
                chunk.push(key, &of_key(key), &of_payload(b"e"));
            }
            let flight = ledger.in_flight(&lease, "run-1");
            flight.write(0, &chunk).await.expect("it is written");
            let of = |index| Exception { index, fate: Settled::Rejected, code: None };
            flight.done(0, &[of(0), of(1), of(2)]).await.expect("it is written");
        }
        lease.release().await.expect("it is given back");
    }
    ledger
}

#[tokio::test]
async fn no_file_has_a_byte_of_who_was_forgotten() {
    for home in Home::both() {
        let ledger = filled(&home).await;
        assert!(traces(&home).await.len() >= 8);
        let done = ledger.forget(&[of_key(PERSON)], None, &Holder::current()).await.expect("it is forgotten");
        assert_eq!(done, Forgotten { rows: 4, dead_letters: 2, in_flight: 2, held: vec![], until: None });
        assert_eq!(traces(&home).await, Vec::<String>::new());
        for sync in ["buyers", "events"] {
            assert_eq!(latest(&ledger, sync).await.expect("rows").0, payloads(&[("a", "1"), ("b", "0")]));
            assert_eq!(ledger.dead_letters(sync).await.expect("one"), vec![runs::letter("a")]);
            let left = ledger.leftovers(sync).await.expect("one").remove(0);
            assert_eq!(left.keys.iter().map(|(key, _, _)| key).collect::<Vec<_>>(), ["x", "y"]);
            assert_eq!(left.done.expect("it is done").iter().map(|one| one.index).collect::<Vec<_>>(), [0, 1]);
        }
        let again = ledger.forget(&[of_key(PERSON)], None, &Holder::current()).await.expect("nothing is left");
        assert_eq!(again, Forgotten::default());
        // The ledger is whole.
        let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
        append(&ledger, &lease, &["c"], "3").await;
        ledger.compact(&lease, Force::Always).await.expect("it is compacted");
        assert_eq!(latest(&ledger, "buyers").await.expect("rows").1, 3);
    }
}

#[tokio::test]
async fn of_one_sync_alone_and_of_none_that_runs() {
    let home = Home::in_bucket();
    let ledger = filled(&home).await;
    let running = ledger.acquire("events", Holder::elsewhere("laptop-7")).await.expect("a lease");
    let done = ledger.forget(&[of_key(PERSON)], Some("events"), &Holder::current()).await.expect("it is looked at");
    assert_eq!(done, Forgotten { held: vec!["events".to_owned()], ..Forgotten::default() });
    let done = ledger.forget(&[of_key(PERSON)], None, &Holder::current()).await.expect("it is forgotten");
    assert_eq!((done.rows, done.dead_letters, done.held), (2, 1, vec!["events".to_owned()]));
    assert!(traces(&home).await.iter().all(|name| name.contains("events")));
    running.release().await.expect("it is given back");
    let done = ledger.forget(&[of_key(PERSON)], Some("events"), &Holder::current()).await.expect("it is forgotten");
    assert_eq!((done.rows, done.dead_letters, done.held), (2, 1, vec![]));
    assert!(traces(&home).await.is_empty());
}

#[tokio::test]
async fn what_could_not_be_removed_is_told() {
    let home = Home::in_bucket();
    let ledger = filled(&home).await;
    home.bucket.keeps.store(true, Ordering::SeqCst);
    let done = ledger.forget(&[of_key(PERSON)], None, &Holder::current()).await.expect("it is forgotten");
    assert!(done.rows == 4 && done.until.is_some_and(|until| until > Utc::now()), "{done:?}");
    assert!(!latest(&ledger, "buyers").await.expect("rows").0.contains_key(PERSON));
    home.bucket.keeps.store(false, Ordering::SeqCst);
    let done = ledger.forget(&[of_key(PERSON)], None, &Holder::current()).await.expect("the rest");
    assert_eq!((done.rows, done.until), (0, None));
    assert!(traces(&home).await.is_empty());
}
