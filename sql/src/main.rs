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
//! The rooms, lowest first; none imports a room that comes after it: `failure` (how a run ends), `process` (core files, panics), `nearest` (the name that was meant), `literals` (values as SQL and as arguments, cells as text), `config` (flags, variables, clevertap.toml),
//! `files` (reading by path, writing whole files), `terminal` (stdout, stderr, confirmations, Ctrl-C), `engine` (DataFusion,
//! set up, and the runner of a script), `commands` (one file or folder a command), `cli` (flags).

mod cli;
mod commands;
mod config;
mod engine;
mod failure;
mod files;
mod literals;
mod nearest;
mod process;
mod terminal;
#[cfg(test)]
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Duration,
};

use failure::Failure;
use terminal::console::{Console, Verbosity};

/// The stack of every thread. Each term of an expression takes some of it while a statement is planned, and `engine/depth` bounds the terms.
/// It is an address range; memory is taken as far as it is used.
const STACK_BYTES: usize = 512 << 20;
/// How long the process waits for what was dropped by a signal, and removes its files.
const DROPPED_WITHIN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    process::keep_no_core();
    process::keep_panics_quiet();
    let program = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(|| catch_unwind(AssertUnwindSafe(run)));
    let ended = match program {
        Ok(program) => program.join().and_then(|ended| ended),
        Err(error) => return failed(&Failure::Failed(format!("{error}: {}", process::NO_THREAD))),
    };
    ended.unwrap_or_else(|_| failed(&Failure::by_panic()))
}

fn run() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK_BYTES).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Failure::Failed(format!("{error}: {}", process::NO_THREAD))),
    };
    let code = runtime.block_on(cli::main(std::env::args_os()));
    // A statement that was dropped may still be computing; the process does not wait for its end.
    runtime.shutdown_timeout(DROPPED_WITHIN);
    code
}

fn failed(failure: &Failure) -> ExitCode {
    Console::stderr(Verbosity::NoProgress).fail(failure)
}
