//! Faults: the connection is cut at any byte, in a read and in a write. The target is as before or as after.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::proxy::Proxy;
use crate::server::{postgres, refusal, rows, session_of, snowflake};

/// `CLEVERTAP_SEEDS=200` for as many.
fn seeds(otherwise: u64) -> u64 {
    std::env::var("CLEVERTAP_SEEDS").map_or(otherwise, |seeds| seeds.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_postgresql_that_is_cut_leaves_the_table_as_before_or_as_after() {
    let Some((server, driver)) = postgres() else { return };
    server.schema("cut", "CREATE TABLE t (id bigint PRIMARY KEY, name text); INSERT INTO t VALUES (9000, 'kept')");
    let digest = |from: &str| server.run(&format!("SELECT md5(coalesce(string_agg(id || name, ',' ORDER BY id), '')) FROM ({from}) s"));
    let (mut written, mut failed) = (0, 0);
    let seeds = seeds(20);
    for seed in 1..=seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..2_000);
        let source = format!("SELECT value, 'n{seed}' FROM range(1, {})", count + 1);
        let made = format!("SELECT g AS id, 'n{seed}' AS name FROM generate_series(1, {count}) g");
        let (sql, after) = match rng.random_range(0..3) {
            0 => (format!("INSERT OVERWRITE shop.cut.t {source}"), made),
            1 => (format!("REPLACE INTO shop.cut.t {source}"), format!("{made} UNION ALL SELECT id, name FROM cut.t WHERE id > {count}")),
            _ => (
                format!("INSERT INTO shop.cut.t SELECT value + {seed}0000, 'n{seed}' FROM range(1, {})", count + 1),
                format!(
                    "SELECT g + {seed}0000 AS id, 'n{seed}' AS name FROM generate_series(1, {count}) g UNION ALL SELECT id, name FROM cut.t"
                ),
            ),
        };
        let (before, after) = (digest("SELECT id, name FROM cut.t"), digest(&after));
        // The driver learns the server's types first, in 174 kB.
        let proxy = Proxy::start(server.port, rng.random_range(170_000..270_000)).await;
        let ctx = session_of(server.settings_at(&driver, proxy.port));
        let outcome = rows(&ctx, &sql).await;
        drop((ctx, proxy));
        server.waits_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND query LIKE '%\"cut\"%' AND pid <> pg_backend_pid()", "0").await;
        let found = digest("SELECT id, name FROM cut.t");
        match outcome {
            Ok(_) => assert_eq!(found, after, "seed {seed}: {sql}"),
            Err(error) => {
                let error = error.to_string();
                assert!(["[DB-302]", "[DB-401]"].iter().any(|code| error.ends_with(code)), "seed {seed}: {error}");
                if error.ends_with("[DB-302]") {
                    assert_eq!(found, before, "seed {seed}: {sql}: {error}");
                }
                failed += 1;
            }
        }
        assert!(found == before || found == after, "seed {seed}: {sql}");
        written += usize::from(found == after);
    }
    println!("{written} written, {failed} failed of {seeds}");
    assert_eq!(server.run("SELECT count(*) FROM pg_class WHERE relname LIKE 'clevertap%'"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_cut_is_an_error() {
    let Some((server, driver)) = postgres() else { return };
    server.schema("cutread", "CREATE TABLE t AS SELECT g AS id, repeat('x', 500) AS t FROM generate_series(1, 20000) g");
    for bytes_max in [10_000, 100_000, 1_000_000] {
        let proxy = Proxy::start(server.port, bytes_max).await;
        let error = refusal(&session_of(server.settings_at(&driver, proxy.port)), "SELECT count(t) FROM shop.cutread.t").await;
        assert!(error.ends_with("[DB-302]"), "{error}");
    }
}

/// Snowflake's driver sends a request again whose answer was lost. Snowflake knows it by its number and fakesnow does not, so nothing is appended
/// here. What it staged twice is seen by the count.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_snowflake_that_is_cut_leaves_the_table_as_before_or_as_after() {
    let Some(server) = snowflake() else { return };
    let mut peer =
        server.schema("CUT", &["CREATE TABLE T (ID NUMBER(38,0) PRIMARY KEY, NAME VARCHAR)", "INSERT INTO T VALUES (9000, 'kept')"]);
    let seeds = seeds(4);
    let (mut written, mut failed) = (0, 0);
    for seed in 1..=seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..500);
        let write = ["INSERT OVERWRITE", "REPLACE INTO"][rng.random_range(0..2)];
        let digest = "SELECT count(*), sum(ID), count(CASE WHEN NAME = 'kept' THEN 1 END), max(CASE WHEN ID < 9000 THEN NAME END), min(CASE WHEN ID < 9000 THEN NAME END) FROM CUT.T";
        let before = peer.rows(digest);
        let proxy = Proxy::start(server.port, rng.random_range(2_000..60_000)).await;
        let ctx = session_of(server.settings_at(proxy.port));
        let outcome = rows(&ctx, &format!("{write} wh.cut.t SELECT value, 'n{seed}' FROM range(1, {})", count + 1)).await;
        let found = peer.rows(digest);
        let is_new = peer.rows(&format!("SELECT count(*) FROM CUT.T WHERE NAME = 'n{seed}'")) == format!("({count})");
        match outcome {
            Ok(_) => assert!(is_new, "seed {seed}: {found}"),
            Err(error) => {
                let error = error.to_string();
                assert!(["[DB-301]", "[DB-302]", "[DB-303]", "[DB-401]"].iter().any(|code| error.ends_with(code)), "seed {seed}: {error}");
                assert!(found == before || is_new && error.ends_with("[DB-401]"), "seed {seed}: {error}: {before} became {found}");
                failed += 1;
            }
        }
        written += usize::from(is_new);
        drop((ctx, proxy));
    }
    println!("{written} written, {failed} failed of {seeds}");
    assert_eq!(
        peer.rows("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'CUT' AND table_name ILIKE 'clevertap_stage%'"),
        "(0)"
    );
}
