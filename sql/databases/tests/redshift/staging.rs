//! Rows that wait in a bucket: what COPY is told, and that nothing stays there. No PostgreSQL has this COPY: it refuses it.

use std::sync::Arc;

use clevertap_databases::Database;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::server::{refusal, server, shown};
use crate::settings;

fn session(port: u16, store: &Arc<InMemory>) -> SessionContext {
    let settings = settings(port).with_staging("s3://acme-tmp/clevertap/");
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_batch_size(1_000));
    Database::open_with_store(settings, Arc::clone(store) as Arc<dyn ObjectStore>).expect("a database").register(&ctx);
    ctx
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_staging_goes_whatever_becomes_of_the_write() {
    let Some(server) = server() else { return };
    let peer = server.schema("staged").await;
    peer.run("CREATE TABLE staged.t (id bigint, name varchar(20), at timestamptz)").await;
    let store = Arc::new(InMemory::new());
    let ctx = session(server.port, &store);
    let plan = shown(&ctx, "EXPLAIN INSERT INTO wh.staged.t SELECT 1, 'x', NULL").await;
    let copy = "COPY clevertap_stage_rows FROM 's3://acme-tmp/clevertap/clevertap_stage_NUMBER.parquet' IAM_ROLE 'arn:aws:iam::1:role/load' FORMAT AS PARQUET; \
                INSERT INTO \"staged\".\"t\" (\"id\", \"name\", \"at\") SELECT clevertap_stage_rows.\"id\", clevertap_stage_rows.\"name\", \
                (clevertap_stage_rows.\"at\" AT TIME ZONE 'UTC') FROM clevertap_stage_rows";
    assert!(plan.contains(copy), "{plan}");
    let error = refusal(&ctx, "INSERT INTO wh.staged.t SELECT value, 'n', NULL FROM range(1, 200000)").await;
    assert!(error.contains("wh.staged.t") && error.ends_with("[DB-303]"), "{error}");
    let error = refusal(&ctx, "INSERT INTO wh.staged.t (id) SELECT 10 / (50000 - value) FROM range(1, 100000)").await;
    assert!(error.to_lowercase().contains("zero"), "{error}");
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.expect("a list"), []);
    assert_eq!(peer.text("SELECT count(*) FROM staged.t").await, "0");
}

#[test]
fn staging_is_a_folder_of_a_bucket_with_a_store() {
    let said = |staging: &str, store: bool| {
        let settings = settings(1).with_staging(staging);
        let opened = if store { Database::open_with_store(settings, Arc::new(InMemory::new())) } else { Database::open(settings) };
        opened.map(|_| ()).unwrap_err().to_string()
    };
    assert!(said("s3://acme-tmp/x/", false).contains("its staging needs a store of the bucket"));
    for staging in ["gs://acme-tmp/x/", "acme-tmp", "s3://key:hunter2@acme-tmp/x"] {
        let error = said(staging, true);
        assert!(error.contains("is no folder of a bucket, such as s3://acme-tmp/clevertap/") && !error.contains("hunter2"), "{error}");
    }
}
