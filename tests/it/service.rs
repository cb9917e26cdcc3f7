//! `connector/examples/service.rs`, driven over HTTP as its clients would, up to the signal that ends it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clevertap_emulator::{Emulator, Fault, Settings, What};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cargo::{CORES, cargo, root, run, target};

/// The running service. It is ended with its test, whatever comes of that.
struct Service {
    process: Child,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
    address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Service {
    fn start(endpoint: &str) -> Self {
        use std::io::BufRead;
        // There already, where all tests of the workspace were built.
        run(cargo(root()).args(["build", "--workspace", "--offline", "--quiet", "--example", "service"]));
        let mut process = Command::new(target().join("debug/examples/service"))
            .arg("127.0.0.1:0")
            .env("CLEVERTAP_ACCOUNT_ID", "TEST-123-456Z")
            .env("CLEVERTAP_PASSCODE", "emulator-passcode")
            .env("CLEVERTAP_ENDPOINT", endpoint)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service");
        let mut lines = std::io::BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let said = lines.next().expect("a line").expect("text");
        let address = said.strip_prefix("listening on ").expect(&said).to_owned();
        Self { process, lines, address }
    }

    async fn connect(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.expect("a connection");
        let head = format!("{method} {path} HTTP/1.1\r\nHost: service\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.expect("sent");
        stream
    }

    /// The status and the JSON of an answer.
    async fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        answer(self.connect(method, path, body).await).await
    }

    /// Asks until the last run of a tenant is as it should be.
    async fn until(&self, tenant: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..600 {
            let (_, run) = self.call("GET", &format!("/{tenant}/runs/latest"), "").await;
            if is_so(&run) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("half a minute has passed");
    }
}

async fn answer(mut stream: TcpStream) -> (u16, Value) {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn people(prefix: &str, rows: usize) -> String {
    format!("INSERT INTO clevertap.profiles SELECT concat('{prefix}', value) AS identity FROM generate_series(1, {rows})")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_load_follow_stop_leave_and_are_shut_down_without_a_row_of_no_fate() {
    let emulator = Emulator::new(Settings::default());
    let server = emulator.serve("127.0.0.1:0").await.expect("a server");
    let _alone = CORES.lock().await;
    let mut service = Service::start(&server.url());

    // A load, and a read through the other tenant, who sees the same people and none of the runs.
    let (status, loaded) = service.call("POST", "/shop/sql", &people("p", 2_000)).await;
    assert_eq!((status, &loaded["runs"][0]["accepted"]), (200, &2_000.into()), "{loaded}");
    let uid = loaded["runs"][0]["run_uid"].as_str().expect("an id").to_owned();
    assert_eq!(service.call("GET", &format!("/shop/runs/{uid}"), "").await.1["status"], "success");
    for (method, path) in [("GET", format!("/bank/runs/{uid}")), ("DELETE", format!("/bank/runs/{uid}")), ("POST", "/nobody/sql".into())] {
        assert_eq!(service.call(method, &path, "SELECT 1").await.0, 404, "{method} {path}");
    }
    let (status, read) = service.call("POST", "/bank/sql", "SELECT identity FROM clevertap.profiles WHERE identity = 'p7'").await;
    assert_eq!((status, &read["rows"][0]["identity"]), (200, &"p7".into()), "{read}");

    // Errors by their kind.
    for (sql, status, code) in [
        ("SELECT * FROM clevertap.profiles", 400, "CT-201"),
        ("INSERT INTO clevertap.profiles SELECT 'a' AS identity, upper('x')", 400, "CT-202"),
        ("DELETE FROM clevertap.profiles WHERE identity = 'p1'", 403, "CT-301"),
        ("INSERT INTO clevertap.profiles SELECT '' AS identity", 422, "CT-401"),
    ] {
        let (answered, error) = service.call("POST", "/shop/sql", sql).await;
        assert_eq!((answered, &error["code"]), (status, &code.into()), "{sql}: {error}");
    }
    let here = std::env::temp_dir().join(format!("clevertap-service-{}.csv", std::process::id()));
    let (status, error) = service.call("POST", "/shop/sql", &format!("COPY (SELECT 1 AS a) TO '{}' STORED AS CSV", here.display())).await;
    assert!(status == 400 && !here.exists(), "{status} {error}");
    assert_eq!(service.call("POST", "/shop/sql", "SET clevertap.failed_rows_to = '/tmp'").await.0, 400);

    // From here on each upload takes a second.
    emulator.add_fault(Fault::new(What::Slow { ms: 1_000 }).on("/1/upload"));
    let before = emulator.report().profile_records;
    let gone = service.connect("POST", "/shop/sql", &people("gone", 200_000)).await;
    let run = service.until("shop", |run| run["status"] == "running" && run["accepted"].as_u64() > Some(0)).await;
    assert!(run["accepted"].as_u64() < Some(200_000), "{run}");
    drop(gone);
    let run = service.until("shop", |run| run["status"] != "running").await;
    let count = |run: &Value, name: &str| run[name].as_u64().expect("a count");
    assert_eq!(run["status"], "stopped", "{run}");
    assert_eq!(count(&run, "read"), ["accepted", "rejected", "in_doubt", "unsent"].iter().map(|name| count(&run, name)).sum::<u64>());
    assert_eq!((count(&run, "in_doubt"), count(&run, "accepted")), (0, emulator.report().profile_records - before), "{run}");

    // By hand, from another connection: the client that waits gets the counts.
    let waiting = service.connect("POST", "/bank/sql", &people("bank", 200_000)).await;
    let run = service.until("bank", |run| run["status"] == "running" && run["accepted"].as_u64() > Some(0)).await;
    assert_eq!(service.call("DELETE", &format!("/bank/runs/{}", run["run_uid"].as_str().expect("an id")), "").await.0, 202);
    let (status, stopped) = answer(waiting).await;
    assert_eq!((status, &stopped["code"], &stopped["counts"]["in_doubt"]), (409, &"CT-404".into(), &0.into()), "{stopped}");

    // The end: a statement that runs is stopped, its client told, and the process ends by itself.
    let before = emulator.report().profile_records;
    let last = service.connect("POST", "/shop/sql", &people("last", 200_000)).await;
    service.until("shop", |run| run["status"] == "running" && run["accepted"].as_u64() > Some(0)).await;
    assert!(Command::new("kill").arg("-TERM").arg(service.process.id().to_string()).status().expect("kill").success());
    let (status, ended) = answer(last).await;
    assert_eq!((status, &ended["code"]), (409, &"CT-404".into()), "{ended}");
    assert_eq!(count(&ended["counts"], "accepted"), emulator.report().profile_records - before, "{ended}");
    let said: Vec<String> = service.lines.by_ref().map(|line| line.expect("text")).collect();
    assert!(said.iter().any(|line| line.contains(" stopped: ")) && service.process.wait().expect("an end").success(), "{said:#?}");
}
