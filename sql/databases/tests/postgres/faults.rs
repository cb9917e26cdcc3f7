//! Faults: the connection is cut at any byte, columns go, the server stops. The table is as before or as after, and nothing is left behind.

use clevertap_databases::{Access, DatabaseSettings};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::proxy::Proxy;
use crate::server::{refusal, rows, server, session, session_of, shown};

/// One write, and what the table is after it.
fn write(rng: &mut StdRng, number: u64) -> (String, String) {
    let rows = rng.random_range(1..3_000);
    // Some rows are not of the source.
    let state = |kept: &str| {
        format!(
            "SELECT id, name, u FROM (SELECT g AS id, 'n{number}' AS name, NULL::uuid AS u FROM generate_series(1, {rows}) g {kept}) s ORDER BY 1, 2"
        )
    };
    let source = format!("SELECT value, 'n{number}', NULL FROM range(1, {})", rows + 1);
    match rng.random_range(0..3) {
        0 => (format!("INSERT OVERWRITE shop.cut.t {source}"), state("")),
        1 => (format!("REPLACE INTO shop.cut.t {source}"), state(&format!("UNION ALL SELECT id, name, u FROM cut.t WHERE id > {rows}"))),
        _ => (
            format!("INSERT INTO shop.cut.t SELECT value + {number}000000, 'n{number}', NULL FROM range(1, {})", rows + 1),
            format!(
                "SELECT id, name, u FROM (SELECT g + {number}000000 AS id, 'n{number}' AS name, NULL::uuid AS u FROM generate_series(1, {rows}) g \
                 UNION ALL SELECT id, name, u FROM cut.t) s ORDER BY 1, 2"
            ),
        ),
    }
}

/// `CLEVERTAP_SEEDS=200` for as many.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_at_any_byte_leaves_the_table_as_before_or_as_after() {
    let Some(server) = server() else { return };
    let peer = server.schema("cut").await;
    peer.run("CREATE TABLE cut.t (id bigint PRIMARY KEY, name text, u uuid)").await;
    let digest = |sql: &str| format!("SELECT coalesce(md5(string_agg(s::text, ',')), '') FROM ({sql}) s");
    let now = digest("SELECT id, name, u FROM cut.t ORDER BY 1, 2");
    let seeds = std::env::var("CLEVERTAP_SEEDS").map_or(20, |seeds| seeds.parse().expect("a number"));
    let (mut written, mut failed) = (0, 0);
    for seed in 1..=seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let (sql, after) = write(&mut rng, seed);
        let (before, after) = (peer.text(&now).await, peer.text(&digest(&after)).await);
        // Behind what describes the table, anywhere up to the end of the answer to COMMIT.
        let proxy = Proxy::start(server.port, rng.random_range(3_000..150_000)).await;
        let ctx = session(&server.url().replace(&server.port.to_string(), &proxy.port.to_string()), Access::Write);
        let outcome = rows(&ctx, &sql).await;
        // The server notices that its client is gone.
        peer.waits_for(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'clevertap-sql' AND query LIKE '%cut%' AND state <> 'idle'",
            "0",
        )
        .await;
        let found = peer.text(&now).await;
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
    peer.waits_for("SELECT count(*) FROM pg_class WHERE relname LIKE 'clevertap_stage_%'", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_cut_is_an_error_and_no_end() {
    let Some(server) = server() else { return };
    let peer = server.schema("cutread").await;
    peer.run("CREATE TABLE cutread.t AS SELECT g AS id, repeat('x', 50) AS t FROM generate_series(1, 5000) g").await;
    for bytes_max in [4_000, 20_000, 50_000, 200_000] {
        let proxy = Proxy::start(server.port, bytes_max).await;
        let ctx = session(&server.url().replace(&server.port.to_string(), &proxy.port.to_string()), Access::Read);
        let error = refusal(&ctx, "SELECT count(t) FROM shop.cutread.t").await;
        assert!(error.ends_with("[DB-302]"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes_under_a_plan_is_told() {
    let Some(server) = server() else { return };
    let peer = server.schema("changed").await;
    peer.run("CREATE TABLE changed.t (id int PRIMARY KEY, name text)").await;
    let ctx = server.session();
    let read = ctx.sql("SELECT id, name FROM shop.changed.t").await.unwrap();
    let write = ctx.sql("INSERT INTO shop.changed.t VALUES (1, 'x')").await.unwrap();
    peer.run("ALTER TABLE changed.t DROP COLUMN name").await;
    for plan in [read, write] {
        let error = plan.collect().await.unwrap_err().to_string();
        assert!(error.contains("the table was changed meanwhile: ") && error.contains("run the statement again"), "{error}");
    }
    rows(&ctx, "INSERT INTO shop.changed.t VALUES (9)").await.unwrap();
    assert!(shown(&ctx, "SELECT * FROM shop.changed.t").await.contains("| 9  |"));
    // A trigger that drops rows is seen by the count.
    peer.run(
        "CREATE FUNCTION changed.skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END';
         CREATE TRIGGER skip BEFORE INSERT ON changed.t FOR EACH ROW EXECUTE FUNCTION changed.skip()",
    )
    .await;
    let error = refusal(&ctx, "INSERT INTO shop.changed.t VALUES (1), (2), (3)").await;
    assert!(error.contains("3 rows were sent and the server took 2; nothing was changed. A trigger or a rule may drop rows"), "{error}");
    assert_eq!(peer.rows("changed.t").await, "(9)");
}

/// What a server says whose disk is full, while it takes rows and while it merges them.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_the_table_as_it_was() {
    let Some(server) = server() else { return };
    let peer = server.schema("filled").await;
    peer.run(
        "CREATE TABLE filled.t (id int PRIMARY KEY, name text); INSERT INTO filled.t VALUES (1, 'ann');
         CREATE FUNCTION filled.disk() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN IF NEW.id = 900 THEN RAISE EXCEPTION 'could not extend file of ann' USING ERRCODE = '53100'; END IF; RETURN NEW; END$$;
         CREATE TRIGGER disk BEFORE INSERT ON filled.t FOR EACH ROW EXECUTE FUNCTION filled.disk()",
    )
    .await;
    for statement in ["INSERT INTO", "INSERT OVERWRITE", "REPLACE INTO"] {
        let error = refusal(&server.session(), &format!("{statement} shop.filled.t SELECT value, 'x' FROM range(2, 1000)")).await;
        assert!(error.contains("the server's disk is full (SQLSTATE 53100). Nothing was changed") && !error.contains("ann"), "{error}");
        assert_eq!(peer.rows("filled.t").await, "(1,ann)");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached_is_told_with_its_place() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ctx = session(&format!("postgres://test@127.0.0.1:{port}/postgres?sslmode=disable"), Access::Read);
    let error = refusal(&ctx, "SELECT * FROM shop.public.t").await;
    assert!(
        error.contains(&format!("PostgreSQL at 127.0.0.1:{port} cannot be reached: connection refused; look at host and port")),
        "{error}"
    );
    // One that says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://test@{}/postgres?sslmode=disable", silent.local_addr().unwrap());
    let settings = DatabaseSettings::new("shop", &url).unwrap().with_connect_timeout(std::time::Duration::from_secs(1));
    let error = refusal(&session_of(settings), "SELECT * FROM shop.public.t").await;
    assert!(error.contains("did not answer within 1 s"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_goes_through() {
    let Some(server) = server() else { return };
    let peer = server.schema("long").await;
    peer.run("CREATE TABLE long.t (id int, t text)").await;
    let ctx = server.session();
    rows(&ctx, "INSERT INTO shop.long.t SELECT 1, repeat('é', 5000000)").await.unwrap();
    assert_eq!(peer.text("SELECT length(t) FROM long.t").await, "5000000");
    assert!(shown(&ctx, "SELECT octet_length(t) AS n FROM shop.long.t").await.contains("| 10000000 |"));
}
