//! PostgreSQL beside tokio-postgres alone: its stream of bytes that nobody decodes, `COPY` of ready buffers, and an upsert by hand, each row of which
//! changes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use futures::{SinkExt, TryStreamExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_postgres::{Client, Config, CopyInSink, NoTls};

use crate::{Pairs, ROUNDS, drain, session};

pub(crate) async fn compare(url: &str, rows: u64) -> Result<()> {
    let peer = connect(url).await?;
    let run = async |sql: String| peer.batch_execute(&sql).await.map_err(external);
    run(format!(
        "DROP SCHEMA IF EXISTS clevertap_speed CASCADE; CREATE SCHEMA clevertap_speed;
         CREATE TABLE clevertap_speed.source (id bigint, email text, name text, plan text, paid numeric(12, 2), score float8, visits int, seen timestamptz);
         INSERT INTO clevertap_speed.source SELECT g, 'person' || g || '@acme.example', 'name ' || g, CASE g % 3 WHEN 0 THEN 'gold' ELSE 'free' END,
             (g % 100000) / 100.0, g * 0.5, g % 1000, '2026-01-01'::timestamptz + g * interval '1 second' FROM generate_series(1, {rows}) g;
         CREATE TABLE clevertap_speed.peer (LIKE clevertap_speed.source); CREATE TABLE clevertap_speed.ours (LIKE clevertap_speed.source);
         CREATE TABLE clevertap_speed.peer_keyed (LIKE clevertap_speed.source, PRIMARY KEY (id));
         CREATE TABLE clevertap_speed.keyed (LIKE clevertap_speed.source, PRIMARY KEY (id))"
    ))
    .await?;
    let ctx = session(url)?;
    let batches = ctx.sql("SELECT * FROM shop.clevertap_speed.source").await?.collect().await?;
    ctx.register_table("batches", Arc::new(MemTable::try_new(batches[0].schema(), vec![batches])?))?;

    let mut pairs = Pairs::new(rows, "tokio-postgres");
    for round in 1..=ROUNDS {
        run(format!(
            "TRUNCATE clevertap_speed.peer, clevertap_speed.ours, clevertap_speed.peer_keyed, clevertap_speed.keyed;
             INSERT INTO clevertap_speed.peer_keyed SELECT id, email, name, plan, -{round} FROM clevertap_speed.source;
             INSERT INTO clevertap_speed.keyed SELECT * FROM clevertap_speed.peer_keyed;
             VACUUM ANALYZE clevertap_speed.peer_keyed, clevertap_speed.keyed; CHECKPOINT"
        ))
        .await?;
        let started = Instant::now();
        let buffers = copy_out(&peer).await?;
        pairs.peer("read", started);
        let started = Instant::now();
        let read = drain(&ctx, "SELECT * FROM shop.clevertap_speed.source").await?;
        pairs.ours("read", started);
        assert_eq!(read, rows);
        let started = Instant::now();
        copy_in(&peer, "clevertap_speed.peer", buffers.clone()).await?;
        pairs.peer("append", started);
        let started = Instant::now();
        ctx.sql("INSERT INTO shop.clevertap_speed.ours SELECT * FROM batches").await?.collect().await?;
        pairs.ours("append", started);
        let started = Instant::now();
        run("CREATE TEMP TABLE stage (LIKE clevertap_speed.source)".into()).await?;
        copy_in(&peer, "stage", buffers).await?;
        run("INSERT INTO clevertap_speed.peer_keyed AS t SELECT * FROM stage ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name,
                 plan = excluded.plan, paid = excluded.paid, score = excluded.score, visits = excluded.visits, seen = excluded.seen
             WHERE (t.email, t.name, t.plan, t.paid, t.score, t.visits, t.seen) IS DISTINCT FROM
                 (excluded.email, excluded.name, excluded.plan, excluded.paid, excluded.score, excluded.visits, excluded.seen);
             DROP TABLE stage"
            .into())
        .await?;
        pairs.peer("upsert", started);
        let started = Instant::now();
        ctx.sql("REPLACE INTO shop.clevertap_speed.keyed SELECT * FROM batches").await?.collect().await?;
        pairs.ours("upsert", started);
    }
    pairs.print();
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

async fn copy_in(client: &Client, table: &str, chunks: Vec<Bytes>) -> Result<()> {
    let sink: CopyInSink<Bytes> = client.copy_in(&format!("COPY {table} FROM STDIN (FORMAT binary)")).await.map_err(external)?;
    let mut sink = std::pin::pin!(sink);
    for chunk in chunks {
        sink.feed(chunk).await.map_err(external)?;
    }
    sink.finish().await.map_err(external)?;
    Ok(())
}
