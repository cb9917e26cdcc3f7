//! `clevertap-emulator`: a CleverTap to talk to on loopback, until Ctrl-C.

use std::io::Write;

use chrono_tz::Tz;
use clap::Parser;
use clevertap_emulator::{Emulator, Settings, Store};

/// A faithful CleverTap on loopback. Prints its URL and serves until Ctrl-C.
#[derive(Debug, Parser)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The project's time zone.
    #[arg(long, default_value = "UTC")]
    time_zone: Tz,
    /// How long an answer takes.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Up to so much more.
    #[arg(long, default_value_t = 0)]
    jitter_ms: u64,
    /// Decides jitter and random faults.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The account that exists.
    #[arg(long, default_value_t = Settings::default().account_id)]
    account_id: String,
    /// Its passcode.
    #[arg(long, default_value_t = Settings::default().passcode)]
    passcode: String,
    /// Uploads in flight at once.
    #[arg(long, default_value_t = Settings::default().upload_limit)]
    upload_limit: usize,
    /// Other requests in flight at once, for each API.
    #[arg(long, default_value_t = Settings::default().read_limit)]
    read_limit: usize,
    /// Requests in flight at once for each API that writes, the upload left out.
    #[arg(long, default_value_t = Settings::default().write_limit)]
    write_limit: usize,
    /// What is kept.
    #[arg(long, value_enum, default_value_t = Store::Everything)]
    store: Store,
    /// People of a made-up shop who are there from the start.
    #[arg(long, default_value_t = 0)]
    seed_people: usize,
    /// Their events, over the thirty days before today; they need people.
    #[arg(long, default_value_t = 0)]
    seed_events: usize,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let emulator = Emulator::new(Settings {
        account_id: arguments.account_id,
        passcode: arguments.passcode,
        time_zone: arguments.time_zone,
        started_at: chrono::Utc::now().timestamp(),
        latency_ms: arguments.latency_ms,
        jitter_ms: arguments.jitter_ms,
        seed: arguments.seed,
        upload_limit: arguments.upload_limit,
        read_limit: arguments.read_limit,
        write_limit: arguments.write_limit,
        store: arguments.store,
        ..Settings::default()
    });
    if arguments.seed_people > 0 {
        emulator.seed_sample(arguments.seed_people, arguments.seed_events);
    }
    let server = emulator.serve(&format!("127.0.0.1:{}", arguments.port)).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", server.url())?;
    out.flush()?;
    tokio::signal::ctrl_c().await
}
