use super::*;

async fn shown(ctx: &SessionContext, sql: &str) -> String {
    let batches = ctx.sql(sql).await.expect("a plan").collect().await.expect("rows");
    arrow::util::pretty::pretty_format_batches(&batches).expect("a table").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_are_empty_and_then_they_are_not() {
    for home in Home::both() {
        let (ledger, ctx) = (home.ledger().await, SessionContext::new());
        for (name, table) in ledger.tables() {
            ctx.register_table(name, table).expect("it is registered");
        }
        for name in ["sync_runs", "sync_rows", "dead_letters"] {
            assert!(shown(&ctx, &format!("SELECT count(*) AS n FROM {name}")).await.contains("| 0 |"));
            shown(&ctx, &format!("SELECT * FROM {name}")).await;
        }
        for sync in ["buyers", "others"] {
            let lease = ledger.acquire(sync, Holder::current()).await.expect("a lease");
            append(&ledger, &lease, &["a", "b"], "1").await;
            append(&ledger, &lease, &["b", "c"], "2").await;
            ledger.put_dead_letters(&lease, vec![runs::letter("x")]).await.expect("it is put");
            lease.release().await.expect("it is given back");
        }
        let found =
            shown(&ctx, "SELECT sync, key, fate, removed, run_id FROM sync_rows WHERE sync = 'buyers' AND key <> 'a' ORDER BY key").await;
        assert!(found.contains("| buyers | b   | accepted | false   | run-1  |"), "{found}");
        assert_eq!(found.lines().count(), 6, "{found}");
        assert!(shown(&ctx, "SELECT count(*) AS n FROM sync_rows").await.contains("| 6 |"));
        assert!(shown(&ctx, "SELECT count(*) AS n FROM sync_rows WHERE 'others' = sync").await.contains("| 3 |"));
        assert!(shown(&ctx, "SELECT count(*) AS n FROM sync_rows WHERE sync = 'buyers' AND sync = 'others'").await.contains("| 0 |"));
        let joined = "SELECT d.key, r.key AS sent FROM dead_letters d LEFT JOIN sync_rows r ON d.sync = r.sync AND d.key = r.key WHERE d.sync = 'buyers'";
        assert!(shown(&ctx, joined).await.contains("| x   |      |"));
        assert!(shown(&ctx, "SELECT code, attempts FROM dead_letters LIMIT 1").await.contains("| 523  | 3        |"));
    }
}

#[tokio::test]
async fn a_damaged_file_is_named_in_a_query_too() {
    let home = Home::in_bucket();
    let (ledger, ctx) = (home.ledger().await, SessionContext::new());
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
    append(&ledger, &lease, &["a"], "1").await;
    let file = home.file("rows/sync=buyers/", ".parquet").await;
    home.delete(&file).await;
    for (name, table) in ledger.tables() {
        ctx.register_table(name, table).expect("it is registered");
    }
    let error = ctx.sql("SELECT * FROM sync_rows").await.expect("a plan").collect().await.expect_err("it is missing");
    assert!(error.to_string().contains(&format!("{file} is missing")), "{error}");
    assert!(matches!(error_of(&error), Error::Ledger(_)));
}
