//! Faults: the connection is cut at any byte, a login is refused, a certificate is of somebody else.

use std::time::Duration;

use clevertap_databases::{Access, DatabaseSettings, Password};
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::proxy::Proxy;
use crate::server::{refusal, rows, server, session, session_of, shown};

/// `CLEVERTAP_SEEDS=200` for as many.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_at_any_byte_leaves_the_table_as_before_or_as_after() {
    let Some(server) = server() else { return };
    server.schema("cut", "CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR(20)); INSERT INTO t VALUES (9000, 'kept')");
    let seeds = std::env::var("CLEVERTAP_SEEDS").map_or(20, |seeds| seeds.parse().expect("a number"));
    let digest = |from: &str| server.run(&format!("USE cut; SELECT count(*), coalesce(sum(crc32(concat(id, name))), 0) FROM ({from}) s"));
    let (mut written, mut failed) = (0, 0);
    for seed in 1..=seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..2_000);
        let source = format!("SELECT value, 'n{seed}' FROM range(1, {})", count + 1);
        let made = format!("SELECT seq AS id, 'n{seed}' AS name FROM seq_1_to_{count}");
        let (sql, after) = match rng.random_range(0..3) {
            0 => (format!("INSERT OVERWRITE shop.cut.t {source}"), made),
            1 => (format!("REPLACE INTO shop.cut.t {source}"), format!("{made} UNION ALL SELECT id, name FROM cut.t WHERE id > {count}")),
            _ => (
                format!("INSERT INTO shop.cut.t SELECT value + {seed}0000, 'n{seed}' FROM range(1, {})", count + 1),
                format!("SELECT seq + {seed}0000 AS id, 'n{seed}' AS name FROM seq_1_to_{count} UNION ALL SELECT id, name FROM cut.t"),
            ),
        };
        let (before, after) = (digest("SELECT id, name FROM cut.t"), digest(&after));
        let proxy = Proxy::start(server.port, rng.random_range(2_000..60_000)).await;
        let ctx = session(&server.url().replace(&server.port.to_string(), &proxy.port.to_string()), Access::Write);
        let outcome = rows(&ctx, &sql).await;
        drop(ctx);
        server.waits_for("SELECT count(*) FROM information_schema.innodb_trx", "0").await;
        let found = digest("SELECT id, name FROM cut.t");
        match outcome {
            Ok(_) => assert_eq!(found, after, "seed {seed}: {sql}"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.ends_with("[DB-302]") || error.ends_with("[DB-401]"), "seed {seed}: {error}");
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
    let left = server.run("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'cut' AND table_name LIKE 'clevertap%'");
    assert_eq!(left, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_cut_is_an_error_and_one_that_is_dropped_ends_on_the_server() {
    let Some(server) = server() else { return };
    server.schema("cutread", "CREATE TABLE t AS SELECT seq AS id, repeat('x', 50) AS t FROM seq_1_to_5000; CREATE VIEW v AS SELECT seq AS id FROM seq_1_to_1000000000");
    for bytes_max in [3_000, 20_000, 100_000] {
        let proxy = Proxy::start(server.port, bytes_max).await;
        let ctx = session(&server.url().replace(&server.port.to_string(), &proxy.port.to_string()), Access::Read);
        let error = refusal(&ctx, "SELECT count(t) FROM shop.cutread.t").await;
        assert!(error.ends_with("[DB-302]"), "{error}");
    }
    let ctx = server.session();
    let mut stream = ctx.sql("SELECT * FROM shop.cutread.v").await.unwrap().execute_stream().await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap().unwrap().unwrap();
    drop(stream);
    let running = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%FROM `cutread`.`v`%' AND id <> connection_id()";
    server.waits_for(running, "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_certificates_are_told() {
    let Some(server) = server() else { return };
    server.schema(
        "login",
        "CREATE VIEW v AS SELECT variable_value <> '' AS tls FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'",
    );
    let url = server.url().replace("test@", "locked@");
    let settings = |password: &str| DatabaseSettings::new("shop", &url).unwrap().with_password(Password::new(password));
    shown(&session_of(settings("right horse")), "SELECT * FROM shop.login.v").await;
    let error = refusal(&session_of(settings("wrong horse")), "SELECT * FROM shop.login.v").await;
    assert!(error.contains("refused the login") && error.ends_with("[DB-301]") && !error.contains("horse"), "{error}");
    let error = refusal(&session(&server.url().replace("/mysql?", "/nowhere?"), Access::Read), "SELECT * FROM shop.login.v").await;
    assert!(error.contains("has no database of this name") && error.contains("nowhere"), "{error}");
    if !server.has_tls {
        return;
    }
    let tls = |host: &str, mode: &str, authority: &str| {
        let file = server.folder.join(format!("{authority}.crt"));
        session(&format!("mysql://test@{host}:{}/mysql?sslmode={mode}&sslrootcert={}", server.port, file.display()), Access::Read)
    };
    for (host, mode) in [("localhost", "verify-full"), ("127.0.0.1", "require")] {
        let read = shown(&tls(host, mode, "ca"), "SELECT * FROM shop.login.v").await;
        assert!(read.contains("| 1   |"), "{host} {mode}: {read}");
    }
    let error = refusal(&tls("127.0.0.1", "verify-full", "ca"), "SELECT * FROM shop.login.v").await;
    assert!(error.contains("was not trusted: its certificate is not for 127.0.0.1"), "{error}");
    let error = refusal(&tls("localhost", "verify-full", "other"), "SELECT * FROM shop.login.v").await;
    assert!(error.contains("of an authority that is not trusted here; set sslrootcert"), "{error}");
}
