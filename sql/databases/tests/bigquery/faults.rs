//! Faults: connections cut at any byte, answers that are lost or odd, servers that are busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::proxy::Proxy;
use crate::server::{refusal, rows, server, session_of, settings, shown};
use crate::stub::{Reply, Request, Stub, forward};

/// `CLEVERTAP_SEEDS=200` for as many.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_at_any_byte_leaves_the_table_as_before_or_as_after() {
    let Some(server) = server() else { return };
    server.dataset("cut", "CREATE TABLE cut.t AS SELECT 9000 AS id, 'kept' AS name").await;
    let seeds = std::env::var("CLEVERTAP_SEEDS").map_or(12, |seeds| seeds.parse().expect("a number"));
    let digest = async |from: &str| {
        server.run(&format!("SELECT COUNT(*), COALESCE(SUM(id), 0), COUNT(DISTINCT id), MAX(name), MIN(name) FROM ({from})")).await
    };
    let (mut written, mut failed) = (0, 0);
    for seed in 1..=seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..4_000);
        let source = format!("SELECT value AS id, 'n{seed}' AS name FROM range(1, {})", count + 1);
        let made = format!("SELECT i AS id, 'n{seed}' AS name FROM UNNEST(GENERATE_ARRAY(1, {count})) AS i");
        let (sql, after) = match rng.random_range(0..3) {
            0 => (format!("INSERT OVERWRITE wh.cut.t {source}"), made),
            1 => (format!("REPLACE INTO wh.cut.t {source}"), format!("{made} UNION ALL SELECT id, name FROM cut.t WHERE id > {count}")),
            _ => (
                format!("INSERT INTO wh.cut.t SELECT value + {seed}0000 AS id, 'n{seed}' AS name FROM range(1, {})", count + 1),
                format!(
                    "SELECT i + {seed}0000 AS id, 'n{seed}' AS name FROM UNNEST(GENERATE_ARRAY(1, {count})) AS i UNION ALL SELECT id, name FROM cut.t"
                ),
            ),
        };
        let (before, after) = (digest("SELECT id, name FROM cut.t").await, digest(&after).await);
        let proxy = Proxy::start(server.port, rng.random_range(200..16_000)).await;
        let ctx = session_of(settings(proxy.port));
        ctx.sql("SET database.upsert_key = 'id'").await.unwrap();
        let outcome = rows(&ctx, &sql).await;
        let found = digest("SELECT id, name FROM cut.t").await;
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
    assert_eq!(server.staged("cut").await, "0");
}

/// A job that was begun and not heard of is asked about, by its name, and not begun again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_last_step_is_asked_about_and_the_step_is_not_run_twice() {
    let Some(server) = server() else { return };
    server.dataset("lost", "CREATE TABLE lost.t (id INT64)").await;
    let port = server.port;
    for is_asked in [true, false] {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let stub = Stub::start(move |request: Request| {
            let begun = Arc::clone(&counted);
            async move {
                let reply = forward(&request, port).await;
                if request.method == "POST" && request.text().contains("INSERT INTO") {
                    begun.fetch_add(1, Ordering::SeqCst);
                    return None;
                }
                // From here on nobody answers.
                let is_over = begun.load(Ordering::SeqCst) > 0 && !is_asked;
                (!is_over).then_some(reply)
            }
        })
        .await;
        let ctx = session_of(settings(stub.port));
        let written = rows(&ctx, "INSERT INTO wh.lost.t SELECT value FROM range(1, 11)").await;
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        match written {
            Ok(_) => assert!(is_asked),
            Err(error) => {
                let error = error.to_string();
                assert!(
                    !is_asked && error.contains("all rows were written, or none. bq show -j acme:") && error.ends_with("[DB-401]"),
                    "{error}"
                );
            }
        }
    }
    assert_eq!(server.run("SELECT COUNT(*) FROM lost.t").await, "20");
}

/// Chunks whose answers are lost, servers that are busy, tokens that end: the rows arrive once each.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_asked_again_and_a_chunk_is_not_sent_twice() {
    let Some(server) = server() else { return };
    server.dataset("busy", "CREATE TABLE busy.t (id INT64, name STRING)").await;
    let port = server.port;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let stub = Stub::start(move |request: Request| {
        let calls = Arc::clone(&counted);
        async move {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            let chunk = request.header("content-range").is_some_and(|range| range.ends_with("/*") && !range.starts_with("bytes *"));
            match call % 5 {
                1 if request.method == "GET" => Some(Reply::json(503, "{}")),
                2 if request.method != "PUT" => {
                    let mut reply =
                        Reply::json(429, r#"{"error":{"code":429,"message":"","errors":[{"reason":"rateLimitExceeded","message":""}]}}"#);
                    reply.headers.push(("retry-after".into(), "0".into()));
                    Some(reply)
                }
                _ => {
                    let reply = forward(&request, port).await;
                    // Each second chunk arrives, and its answer does not.
                    (!chunk || call.is_multiple_of(2)).then_some(reply)
                }
            }
        }
    })
    .await;
    let ctx = session_of(settings(stub.port));
    let sql = "INSERT INTO wh.busy.t SELECT value, concat(uuid(), uuid()) FROM range(1, 600001)";
    rows(&ctx, sql).await.unwrap();
    assert_eq!(server.run("SELECT COUNT(*), COUNT(DISTINCT id) FROM busy.t").await, "600000,600000");
    assert!(shown(&ctx, "SELECT count(*) AS n FROM wh.busy.t").await.contains("| 600000 |"));
    assert_eq!(server.staged("busy").await, "0");
}

/// What only Google does: jobs that take their time, failures of a job's own, messages with values in them.
#[tokio::test(flavor = "multi_thread")]
async fn odd_answers_are_waited_for_or_told() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let stub = Stub::start(move |request: Request| {
        let polls = Arc::clone(&counted);
        async move {
            let reference = |id: &str| format!("\"jobReference\":{{\"projectId\":\"acme\",\"jobId\":\"{id}\",\"location\":\"EU\"}}");
            let path = request.path.split('?').next().unwrap_or_default().to_owned();
            let steps: Vec<_> = path.trim_start_matches("/bigquery/v2/projects/acme/").split('/').collect();
            let body = match (request.method.as_str(), steps.as_slice()) {
                ("GET", ["datasets", "d", "tables", _]) => r#"{"type":"TABLE","schema":{"fields":[{"name":"id","type":"INTEGER"}]}}"#.to_owned(),
                ("POST", ["jobs"]) => {
                    let sql = request.text();
                    let table = ["slow", "failed", "short", "denied", "busy", "dropped"].into_iter().find(|table| sql.contains(&format!("`{table}`")));
                    match table.expect("a table") {
                        "denied" => {
                            let body = r#"{"error":{"code":403,"message":"m","errors":[{"reason":"accessDenied","message":"Access Denied: Table acme:d.denied"}]}}"#;
                            return Some(Reply::json(403, body));
                        }
                        "busy" => return Some(Reply::json(400, r#"{"error":{"code":400,"errors":[{"reason":"invalidQuery","message":"Bad: hunter2"}]}}"#)),
                        table => format!("{{{},\"status\":{{\"state\":\"RUNNING\"}}}}", reference(table)),
                    }
                }
                ("GET", ["queries", "slow"]) => match polls.fetch_add(1, Ordering::SeqCst) {
                    0 | 1 => format!("{{{},\"jobComplete\":false}}", reference("slow")),
                    2 => format!("{{{},\"jobComplete\":true,\"totalRows\":\"2\",\"pageToken\":\"p2\",\"rows\":[{{\"f\":[{{\"v\":\"1\"}}]}}]}}", reference("slow")),
                    _ => {
                        assert!(request.path.contains("pageToken=p2"), "{}", request.path);
                        format!("{{{},\"jobComplete\":true,\"totalRows\":\"2\",\"rows\":[{{\"f\":[{{\"v\":\"2\"}}]}}]}}", reference("slow"))
                    }
                },
                ("GET", ["queries", "failed"]) => {
                    format!("{{{},\"jobComplete\":true,\"errors\":[{{\"reason\":\"invalidQuery\",\"message\":\"hunter2\"}}]}}", reference("failed"))
                }
                ("GET", ["jobs", "failed"]) => {
                    let error = "\"errorResult\":{\"reason\":\"resourcesExceeded\",\"message\":\"hunter2\"}";
                    format!("{{{},\"status\":{{\"state\":\"DONE\",{error}}}}}", reference("failed"))
                }
                ("GET", ["queries", "short"]) => format!("{{{},\"jobComplete\":true,\"totalRows\":\"2\",\"rows\":[]}}", reference("short")),
                ("GET", ["queries", "dropped"]) => format!("{{{},\"jobComplete\":false}}", reference("dropped")),
                ("POST", ["jobs", "dropped", "cancel"]) => {
                    polls.store(1_000, Ordering::SeqCst);
                    "{}".to_owned()
                }
                ("POST", ["jobs", _, "cancel"]) => "{}".to_owned(),
                (method, steps) => panic!("{method} {steps:?}"),
            };
            Some(Reply::json(200, &body))
        }
    })
    .await;
    let ctx = session_of(settings(stub.port));
    let slow = shown(&ctx, "SELECT id FROM wh.d.slow").await;
    assert!(slow.contains("| 1  |") && slow.contains("| 2  |"), "{slow}");
    for (table, problem, code) in [
        ("failed", "the query needs more memory or time than BigQuery gives it (resourcesExceeded)", "[DB-303]"),
        ("short", "BigQuery handed out 0 rows of 2", "[DB-302]"),
        ("denied", "the account may not do this: Access Denied: Table acme:d.denied. A read needs roles/bigquery.dataViewer", "[DB-303]"),
        ("busy", "BigQuery refused the job", "[DB-303]"),
    ] {
        let error = refusal(&ctx, &format!("SELECT id FROM wh.d.{table}")).await;
        assert!(error.contains(&format!("wh.d.{table}: {problem}")) && error.ends_with(code) && !error.contains("hunter2"), "{error}");
    }
    let mut stream = ctx.sql("SELECT id FROM wh.d.dropped").await.unwrap().execute_stream().await.unwrap();
    tokio::time::timeout(std::time::Duration::from_millis(500), stream.next()).await.unwrap_err();
    drop(stream);
    for _ in 0..100 {
        if polls.load(Ordering::SeqCst) >= 1_000 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the job of a stream that was dropped was not cancelled");
}
