//! What a user relies on, as sentences: SQL in, requests out, rows back, under faults.
//!
//! Everything runs in the process itself against the emulator (`door.rs`): no socket, and a clock that a test may pause.

mod door;
mod doors;
mod erase;
mod errors;
mod exact;
mod export;
mod functions;
mod imports;
mod insert;
mod joins;
mod lists;
mod mended;
mod names;
mod one_build;
mod read_recipes;
mod readme;
mod recipes;
mod reports;
mod schema_check;
mod secrets;
mod seed;
mod select;
mod simulation;
mod tidy;
mod update;
mod values;
mod wire;
