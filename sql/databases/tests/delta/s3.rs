//! S3, by moto's server on loopback: conditional puts decide who commits.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::runtime::SpawnedTask;
use datafusion::prelude::SessionContext;
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use url::Url;

use crate::python::python;
use crate::{external, rows, session, shown};

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
    async fn start() -> Option<Self> {
        let programs = python()?;
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
        let process = Command::new(programs.join("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto_server");
        let moto = Self { process, port };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                // A bucket is made by a PUT of its name, which an object store does not offer.
                let made = Command::new(programs.join("python"))
                    .args(["-c", &format!("import boto3; boto3.client('s3', endpoint_url='http://127.0.0.1:{port}', aws_access_key_id='a', aws_secret_access_key='b', region_name='us-east-1').create_bucket(Bucket='lake')")])
                    .output()
                    .expect("python");
                assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
                return Some(moto);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("moto_server did not come up");
    }

    fn session(&self) -> SessionContext {
        let ctx = session();
        let store = AmazonS3Builder::new()
            .with_bucket_name("lake")
            .with_endpoint(format!("http://127.0.0.1:{}", self.port))
            .with_region("us-east-1")
            .with_access_key_id("a")
            .with_secret_access_key("b")
            .with_allow_http(true)
            .build()
            .expect("a store");
        ctx.register_object_store(&Url::parse("s3://lake").expect("a URL"), Arc::new(store));
        ctx
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_a_bucket_is_made_read_and_written_by_two_at_once() {
    let Some(moto) = Moto::start().await else { return };
    let place = "s3://lake/some folder/users";
    let ctx = moto.session();
    external(&ctx, "t", "(id BIGINT, p VARCHAR) PARTITIONED BY (p)", place, "").await;
    let writers = (0..3).map(|writer| {
        let ctx = moto.session();
        SpawnedTask::spawn(async move {
            external(&ctx, "t", "", place, "").await;
            for round in 0..4 {
                let from = writer * 1_000 + round * 100;
                rows(&ctx, &format!("INSERT INTO t SELECT value, concat('p/', value % 3) FROM range({from}, {from} + 100)")).await.unwrap();
            }
        })
    });
    for writer in futures::future::join_all(writers.map(SpawnedTask::join)).await {
        writer.unwrap();
    }
    let found = shown(&ctx, "SELECT count(*) AS n, count(DISTINCT id) AS ids, count(DISTINCT p) AS p FROM t").await;
    assert!(found.contains("| 1200 | 1200 | 3 |"), "{found}");
    rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
    rows(&ctx, "REPLACE INTO t SELECT id, 'one' FROM t").await.unwrap();
    rows(&ctx, "SET database.overwrite = 'partitions'").await.unwrap();
    rows(&ctx, "INSERT OVERWRITE t VALUES (-1, 'one')").await.unwrap();
    assert_eq!(ctx.sql("SELECT * FROM t").await.unwrap().count().await.unwrap(), 1);
    // What the folder has are the log and files of rows: an upload that was not committed left none.
    let store = ctx.runtime_env().object_store_registry.get_store(&Url::parse("s3://lake").unwrap()).unwrap();
    let log = object_store::path::Path::from("some folder/users/_delta_log/00000000000000000000.json");
    assert!(store.head(&log).await.is_ok());
}
