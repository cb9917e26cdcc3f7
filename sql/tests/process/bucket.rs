//! Syncs whose state is a bucket of S3, by moto's server on loopback: conditional puts decide who runs.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    time::Duration,
};

use clevertap_emulator::{Fault, Settings, What};
use clevertap_tests::python::Python;
use serde_json::Value;

use super::{Running, World};

const EVENTS: u64 = 20_000;

/// moto, which ends with the test.
struct Moto {
    process: Child,
    port: u16,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Moto {
    fn start(world: &World) -> Option<Self> {
        let python = Python::installed(env!("CARGO_TARGET_TMPDIR"))?;
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
        let mut command = python.program("moto_server");
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let moto = Self { process: command.spawn().expect("moto_server"), port };
        world.until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        let script = format!(
            "import boto3\nboto3.client('s3', endpoint_url='http://127.0.0.1:{port}', aws_access_key_id='a', aws_secret_access_key='b', \
             region_name='us-east-1').create_bucket(Bucket='state')"
        );
        python.run(&script);
        Some(moto)
    }

    fn spawn(&self, world: &World, arguments: &[&str]) -> Running {
        let mut command = world.program(&[&["--config", "own.toml", "sync"][..], arguments].concat());
        command
            .env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "a")
            .env("AWS_SECRET_ACCESS_KEY", "b");
        Running(command.spawn().expect("a process"))
    }

    fn line(&self, world: &World, arguments: &[&str]) -> Value {
        let ended = self.spawn(world, arguments).wait(Duration::from_secs(120));
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ended.stdout, ended.stderr))
    }
}

#[test]
fn a_ledger_in_a_bucket_outlives_kills_and_lets_one_run_at_a_time() {
    let world = World::new(Settings::default());
    let Some(moto) = Moto::start(&world) else { return };
    let text = format!(
        "state = \"s3://state/clever tap/\"\n[syncs.charged]\n\
         query = \"\"\"SELECT concat('u', value) AS identity, 'Charged' AS event_name, 1767225600 AS event_time, value AS id\n\
         FROM generate_series(1, {EVENTS}) AS t (value)\"\"\"\ninto = \"clevertap.events\"\nkey = \"id\"\n"
    );
    fs::write(world.path("own.toml"), text).expect("written");
    world.emulator.add_fault(Fault::new(What::Slow { ms: 100 }).on("/1/upload"));
    let killed = moto.spawn(&world, &["run", "charged"]);
    world.until(|| world.emulator.events_stored() >= 2_000);
    // Another one meanwhile is told who has it.
    let other = moto.spawn(&world, &["run", "charged"]).wait(Duration::from_secs(60));
    assert!(other.code == Some(1) && other.stderr.contains("[SY-301]"), "{}{}", other.stdout, other.stderr);
    killed.signal("KILL");
    killed.wait(Duration::from_secs(30));
    world.emulator.clear_faults();
    let planned = moto.line(&world, &["plan", "charged", "--json"]);
    let run = moto.line(&world, &["run", "charged", "--json"]);
    for count in ["new", "changed", "removed", "unchanged", "held"] {
        assert_eq!(planned[count], run[count], "{count}: {planned} {run}");
    }
    let held = run["held"].as_u64().expect("a number");
    let stored = world.emulator.events_by_identity();
    assert!(stored.values().all(|times| *times == 1) && held <= 25_000, "{run}");
    assert!(stored.len() as u64 + held >= EVENTS, "{} are stored: {run}", stored.len());
    let again = moto.line(&world, &["run", "charged", "--json"]);
    assert_eq!((&again["new"], &again["accepted"]), (&0.into(), &0.into()), "{again}");
}
