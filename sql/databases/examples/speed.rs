//! Append and read beside tokio-postgres alone, in one run: `COPY` of ready buffers, and its stream of bytes that nobody decodes.
//!
//! ```sh
//! cargo run --release -p clevertap-databases --example speed -- postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable 1000000
//! ```
//!
//! It makes the schema `clevertap_speed`, and drops it at its end.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::{Bytes, BytesMut};
use clevertap_databases::{Access, Database, DatabaseSettings};
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use futures::{SinkExt, StreamExt, TryStreamExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_postgres::{Client, Config, CopyInSink, NoTls};

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), rows) = (arguments.next(), arguments.next().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000_u64)) else {
        return Err(DataFusionError::Configuration("usage: speed postgres://user@host:port/database?sslmode=disable [rows]".into()));
    };
    let peer = connect(&url).await?;
    let run = async |sql: String| peer.batch_execute(&sql).await.map_err(external);
    run(format!(
        "DROP SCHEMA IF EXISTS clevertap_speed CASCADE; CREATE SCHEMA clevertap_speed;
         CREATE TABLE clevertap_speed.source (id bigint, email text, name text, plan text, paid numeric(12, 2), score float8, visits int, seen timestamptz);
         INSERT INTO clevertap_speed.source SELECT g, 'person' || g || '@acme.example', 'name ' || g, CASE g % 3 WHEN 0 THEN 'gold' ELSE 'free' END,
             (g % 100000) / 100.0, g * 0.5, g % 1000, '2026-01-01'::timestamptz + g * interval '1 second' FROM generate_series(1, {rows}) g;
         CREATE TABLE clevertap_speed.peer (LIKE clevertap_speed.source); CREATE TABLE clevertap_speed.ours (LIKE clevertap_speed.source)"
    ))
    .await?;
    let ctx = SessionContext::new();
    Database::open(DatabaseSettings::new("shop", &url)?.with_access(Access::Write))?.register(&ctx);
    let batches = ctx.sql("SELECT * FROM shop.clevertap_speed.source").await?.collect().await?;
    ctx.register_table("batches", Arc::new(MemTable::try_new(batches[0].schema(), vec![batches])?))?;

    // The best of each.
    let mut times = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        run("TRUNCATE clevertap_speed.peer, clevertap_speed.ours; CHECKPOINT".into()).await?;
        let started = Instant::now();
        let buffers = copy_out(&peer).await?;
        times[0] = times[0].min(started.elapsed());
        let started = Instant::now();
        let mut stream = ctx.sql("SELECT * FROM shop.clevertap_speed.source").await?.execute_stream().await?;
        let mut read = 0;
        while let Some(batch) = stream.next().await {
            let batch: RecordBatch = batch?;
            read += batch.num_rows() as u64;
        }
        times[1] = times[1].min(started.elapsed());
        let started = Instant::now();
        copy_in(&peer, buffers).await?;
        times[2] = times[2].min(started.elapsed());
        let started = Instant::now();
        ctx.sql("INSERT INTO shop.clevertap_speed.ours SELECT * FROM batches").await?.collect().await?;
        times[3] = times[3].min(started.elapsed());
        assert_eq!(read, rows);
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rates = times.map(|time| rows as f64 / time.as_secs_f64() / 1_000.0);
    for (what, peer, ours) in [("read", rates[0], rates[1]), ("append", rates[2], rates[3])] {
        #[expect(clippy::print_stdout, reason = "what it is for")]
        {
            println!("{what}: tokio-postgres {peer:.0} krows/s, this crate {ours:.0} krows/s, {:.2}x", ours / peer);
        }
    }
    run("DROP SCHEMA clevertap_speed CASCADE".into()).await
}

fn external(error: tokio_postgres::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

async fn connect(url: &str) -> Result<Client> {
    let config: Config = url.parse().map_err(external)?;
    let (Some(tokio_postgres::config::Host::Tcp(host)), Some(port)) = (config.get_hosts().first(), config.get_ports().first()) else {
        return Err(DataFusionError::Configuration("the URL names no host and port".into()));
    };
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(external)?;
    // It ends when the client does.
    std::mem::forget(SpawnedTask::spawn(async move {
        connection.await.ok();
    }));
    Ok(client)
}

/// All messages of the table, in chunks as large as this crate sends.
async fn copy_out(client: &Client) -> Result<Vec<Bytes>> {
    let copy = client.copy_out("COPY (SELECT * FROM clevertap_speed.source) TO STDOUT (FORMAT binary)").await.map_err(external)?;
    let mut copy = std::pin::pin!(copy);
    let (mut chunks, mut chunk) = (Vec::new(), BytesMut::new());
    while let Some(message) = copy.try_next().await.map_err(external)? {
        chunk.extend_from_slice(&message);
        if chunk.len() > 256 << 10 {
            chunks.push(chunk.split().freeze());
        }
    }
    chunks.push(chunk.freeze());
    Ok(chunks)
}

async fn copy_in(client: &Client, chunks: Vec<Bytes>) -> Result<()> {
    let sink: CopyInSink<Bytes> = client.copy_in("COPY clevertap_speed.peer FROM STDIN (FORMAT binary)").await.map_err(external)?;
    let mut sink = std::pin::pin!(sink);
    for chunk in chunks {
        sink.feed(chunk).await.map_err(external)?;
    }
    sink.finish().await.map_err(external)?;
    Ok(())
}
