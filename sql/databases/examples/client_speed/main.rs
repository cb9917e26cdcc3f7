//! Reads and writes beside the database's client alone, in one run.
//!
//! ```sh
//! cargo run --release -p clevertap-databases --example client_speed -- postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable 1000000
//! cargo run --release -p clevertap-databases --example client_speed -- mysql://root@127.0.0.1:3306/mysql?sslmode=disable 1000000
//! ```
//!
//! It makes the schema `clevertap_speed`, and drops it at its end.

mod mysql;
mod postgres;

use std::time::Duration;

use clevertap_databases::{Access, Database, DatabaseSettings};
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use tokio::time::Instant;

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), rows) = (arguments.next(), arguments.next().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000)) else {
        return Err(DataFusionError::Configuration("usage: client_speed postgres://user@host:port/database?sslmode=disable [rows]".into()));
    };
    if url.starts_with("mysql:") { mysql::compare(&url, rows).await } else { postgres::compare(&url, rows).await }
}

fn session(url: &str) -> Result<SessionContext> {
    let ctx = SessionContext::new();
    Database::open(DatabaseSettings::new("shop", url)?.with_access(Access::Write))?.register(&ctx);
    Ok(ctx)
}

/// Runs a query, keeps nothing of it, and says how many rows there were.
async fn drain(ctx: &SessionContext, sql: &str) -> Result<u64> {
    let mut stream = ctx.sql(sql).await?.execute_stream().await?;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}

/// The best time of each side, of each thing that both do.
struct Pairs {
    rows: u64,
    peer: &'static str,
    times: Vec<(&'static str, [Duration; 2])>,
}

impl Pairs {
    fn new(rows: u64, peer: &'static str) -> Self {
        Self { rows, peer, times: Vec::new() }
    }

    fn add(&mut self, what: &'static str, side: usize, started: Instant) {
        let known = self.times.iter().position(|(known, _)| *known == what);
        let at = known.unwrap_or_else(|| {
            self.times.push((what, [Duration::MAX; 2]));
            self.times.len() - 1
        });
        let best = &mut self.times[at].1[side];
        *best = (*best).min(started.elapsed());
    }

    fn peer(&mut self, what: &'static str, started: Instant) {
        self.add(what, 0, started);
    }

    fn ours(&mut self, what: &'static str, started: Instant) {
        self.add(what, 1, started);
    }

    #[expect(clippy::print_stdout, reason = "what it is for")]
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn print(&self) {
        for (what, times) in &self.times {
            let [peer, ours] = times.map(|time| self.rows as f64 / time.as_secs_f64() / 1_000.0);
            println!("{what}: {} {peer:.0} krows/s, this crate {ours:.0} krows/s, {:.2}x", self.peer, ours / peer);
        }
    }
}
