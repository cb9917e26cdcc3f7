//! MySQL or MariaDB beside mysql_async alone: its rows that nobody turns into columns, and `LOAD DATA LOCAL` of ready lines.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use futures::StreamExt;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::time::Instant;

use crate::{Pairs, ROUNDS, drain, session};

pub(crate) async fn compare(url: &str, rows: u64) -> Result<()> {
    let address = url.split('?').next().unwrap_or(url);
    let mut peer = Conn::from_url(address).await.map_err(external)?;
    let columns =
        "id BIGINT, email VARCHAR(60), name VARCHAR(60), plan VARCHAR(9), paid DECIMAL(12, 2), score DOUBLE, visits INT, seen DATETIME(6)";
    for sql in [
        "DROP DATABASE IF EXISTS clevertap_speed".to_owned(),
        "CREATE DATABASE clevertap_speed CHARACTER SET utf8mb4".to_owned(),
        format!("CREATE TABLE clevertap_speed.source ({columns})"),
        "CREATE TABLE clevertap_speed.peer LIKE clevertap_speed.source".to_owned(),
        "CREATE TABLE clevertap_speed.ours LIKE clevertap_speed.source".to_owned(),
    ] {
        peer.query_drop(sql).await.map_err(external)?;
    }
    let lines = lines(rows);
    load(&mut peer, "clevertap_speed.source", lines.clone()).await?;
    let ctx = session(url)?;
    let batches = ctx.sql("SELECT * FROM shop.clevertap_speed.source").await?.collect().await?;
    ctx.register_table("batches", Arc::new(MemTable::try_new(batches[0].schema(), vec![batches])?))?;

    let mut pairs = Pairs::new(rows, "mysql_async");
    for _ in 0..ROUNDS {
        for table in ["peer", "ours"] {
            peer.query_drop(format!("TRUNCATE clevertap_speed.{table}")).await.map_err(external)?;
        }
        let started = Instant::now();
        let mut read = 0;
        let mut answer = peer.exec_iter("SELECT * FROM clevertap_speed.source", ()).await.map_err(external)?;
        while answer.next().await.map_err(external)?.is_some() {
            read += 1;
        }
        drop(answer);
        pairs.peer("read", started);
        let started = Instant::now();
        assert_eq!(drain(&ctx, "SELECT * FROM shop.clevertap_speed.source").await?, read);
        pairs.ours("read", started);
        let started = Instant::now();
        load(&mut peer, "clevertap_speed.peer", lines.clone()).await?;
        pairs.peer("append", started);
        let started = Instant::now();
        ctx.sql("INSERT INTO shop.clevertap_speed.ours SELECT * FROM batches").await?.collect().await?;
        pairs.ours("append", started);
    }
    pairs.print();
    peer.query_drop("DROP DATABASE clevertap_speed").await.map_err(external)
}

fn external(error: mysql_async::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Lines of LOAD DATA, in chunks of about a quarter of a megabyte.
fn lines(rows: u64) -> Vec<Bytes> {
    let (mut chunks, mut chunk) = (Vec::new(), String::new());
    for row in 1..=rows {
        let plan = if row % 3 == 0 { "gold" } else { "free" };
        let (second, minute, hour) = (row % 60, row / 60 % 60, row / 3_600 % 24);
        let line = writeln!(
            chunk,
            "{row}\tperson{row}@acme.example\tname {row}\t{plan}\t{}.{:02}\t{}.5\t{}\t2026-01-01 {hour:02}:{minute:02}:{second:02}.000000",
            row % 1_000,
            row % 100,
            row / 2,
            row % 1_000
        );
        line.expect("a string takes what is written");
        if chunk.len() > 256 << 10 {
            chunks.push(Bytes::from(std::mem::take(&mut chunk)));
        }
    }
    chunks.push(Bytes::from(chunk));
    chunks
}

async fn load(peer: &mut Conn, table: &str, lines: Vec<Bytes>) -> Result<()> {
    let stream = async { Ok(futures::stream::iter(lines.into_iter().map(Ok)).boxed()) };
    peer.set_infile_handler(stream);
    let sql = format!("LOAD DATA LOCAL INFILE 'rows' INTO TABLE {table} CHARACTER SET utf8mb4");
    peer.query_drop(sql).await.map_err(external)
}
