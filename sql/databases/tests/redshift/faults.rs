//! Faults: the connection is cut at any byte.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::proxy::Proxy;
use crate::server::{refusal, rows, server, session_of};
use crate::settings;

/// `CLEVERTAP_SEEDS=200` for as many.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_at_any_byte_leaves_the_table_as_before_or_as_after() {
    let Some(server) = server() else { return };
    let peer = server.schema("rscut").await;
    peer.run("CREATE TABLE rscut.t (id bigint PRIMARY KEY, name varchar(20)); INSERT INTO rscut.t VALUES (9000, 'kept')").await;
    let seeds = std::env::var("CLEVERTAP_SEEDS").map_or(20, |seeds| seeds.parse().expect("a number"));
    let digest = async |from: &str| {
        peer.text(&format!("SELECT count(*) || ' ' || md5(coalesce(string_agg(s::text, ' ' ORDER BY id), '')) FROM ({from}) s")).await
    };
    for seed in 1..=seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..2_000);
        let source = format!("SELECT value, 'n{seed}' FROM range(1, {})", count + 1);
        let made = format!("SELECT g::bigint AS id, 'n{seed}'::varchar AS name FROM generate_series(1, {count}) g");
        let (sql, after) = if rng.random() {
            (format!("INSERT OVERWRITE wh.rscut.t {source}"), made)
        } else {
            (format!("REPLACE INTO wh.rscut.t {source}"), format!("{made} UNION ALL SELECT id, name FROM rscut.t WHERE id > {count}"))
        };
        let (before, after) = (digest("SELECT id, name FROM rscut.t").await, digest(&after).await);
        let proxy = Proxy::start(server.port, rng.random_range(1_500..60_000)).await;
        let outcome = rows(&session_of(settings(proxy.port)), &sql).await;
        // The server notices that its client is gone.
        let busy = "SELECT (SELECT count(*) FROM pg_locks WHERE relation = 'rscut.t'::regclass AND pid <> pg_backend_pid())
             + (SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%\"rscut\"%' AND state <> 'idle' AND pid <> pg_backend_pid())";
        peer.waits_for(busy, "0").await;
        let found = digest("SELECT id, name FROM rscut.t").await;
        match outcome {
            Ok(_) => assert_eq!(found, after, "seed {seed}: {sql}"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.ends_with("[DB-302]") || error.ends_with("[DB-401]"), "seed {seed}: {error}");
                if error.ends_with("[DB-302]") {
                    assert_eq!(found, before, "seed {seed}: {sql}: {error}");
                }
            }
        }
        assert!(found == before || found == after, "seed {seed}: {sql}");
    }
    let error = refusal(&session_of(settings(1)), "SELECT * FROM wh.rscut.t").await;
    assert!(error.contains("Redshift at 127.0.0.1:1 cannot be reached"), "{error}");
}
