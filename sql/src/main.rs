//! clevertap-sql: SQL over CleverTap and files.
//!
//! In: arguments, the environment, scripts. Out: results alone on stdout, everything else on stderr, and an exit code:
//! 0 done, 1 failed, 2 usage, 3 done with rejected rows skipped.
//!
//! ```text
//! cli ─> config ─> commands ─> engine/session ─> engine/runner ─┬─> terminal/output    stdout, or -o FILE
//!                                    │                          └─> terminal/console   stderr
//!                                    └─ files/listing: tables over files and buckets
//! ```
//!
//! The rooms, lowest first; none imports a room that comes after it: `failure` (how a run ends), `nearest` (the name that was meant), `config` (which account),
//! `files` (reading by path, writing whole files), `terminal` (stdout, stderr, confirmations, Ctrl-C), `engine` (DataFusion,
//! set up, and the runner of a script), `commands` (one file or folder a command), `cli` (flags).

mod cli;
mod commands;
mod config;
mod engine;
mod failure;
mod files;
mod nearest;
mod terminal;
#[cfg(test)]
mod world;

use std::process::ExitCode;

use failure::Failure;
use terminal::console::{Console, Verbosity};

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Console::stderr(Verbosity::NoProgress).fail(&Failure::Failed(error.to_string())),
    };
    let code = runtime.block_on(cli::main(std::env::args_os()));
    // After a second Ctrl-C a dropped statement may still be computing; the process does not wait for it.
    runtime.shutdown_background();
    code
}
