//! What a user relies on, as sentences: SQL in, requests out, rows back, under faults.
//!
//! Everything runs in the process itself against the emulator (`../lib.rs`, `world.rs`): no socket, and a clock that a test may pause.

mod brittle_store;
mod cargo;
mod causes;
mod copy;
mod embedding;
mod entry_points;
mod erase;
mod errors;
mod export;
mod functions;
mod imports;
mod insert;
mod instants;
mod join_keys;
mod joins;
mod json;
mod lists;
mod one_build;
mod planned;
mod postgres;
mod published;
mod readme;
mod recipes;
mod refusals;
mod regressions;
mod remedies;
mod reports;
mod round_trip;
mod schema_check;
mod scopes;
mod secrets;
mod seed;
mod select;
mod service;
mod simulation;
mod slt;
mod standard_fields;
mod three_valued;
mod tidy;
mod update;
mod upstream;
mod values;
mod wire;
mod world;
