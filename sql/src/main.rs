//! clevertap-sql: SQL over CleverTap and files.
//!
//! In: arguments, the environment, scripts. Out: results alone on stdout, everything else on stderr, and an exit code:
//! 0 done, 1 failed, 2 usage, 3 done with rejected rows skipped.
//!
//! ```text
//! cli ─> account ─> session ─> run ─> output (stdout)
//!                   stores ──┘   └──> progress (stderr)
//! ```
//!
//! The rooms, in the order of that path: `cli` (flags), `account` (who is asked), `session` (DataFusion, set up), `stores`
//! (files and buckets by path), `statements` (a script, split), `run` (one statement after the other), `interrupt`
//! (Ctrl-C), `consent` (what erases is confirmed), `output` (formats), `progress` (what stderr says); `check` and `demo` are commands that walk the same path.
//!
//! Commands for the people in the account: `person` writes out all that CleverTap has of one, `erase` asks for deletions, keeps
//! a log of them and waits for them; `people` is what both know of keys.

mod account;
mod check;
mod cli;
mod consent;
mod demo;
#[cfg(test)]
mod door;
mod erase;
mod failure;
mod heads;
mod interrupt;
mod json_casts;
mod output;
mod people;
mod person;
mod progress;
mod run;
mod session;
mod statements;
mod stores;
mod whole;

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return progress::Console::stderr(progress::Style::Still).fail(&failure::Failure::Failed(error.to_string())),
    };
    let code = runtime.block_on(cli::main(std::env::args_os()));
    // What a second Ctrl-C dropped may still be computing; nobody waits for it.
    runtime.shutdown_background();
    code
}
