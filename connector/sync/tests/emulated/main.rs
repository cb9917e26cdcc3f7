//! Syncs against the emulator, as an embedder runs them.

mod lists;
mod mirror;
mod model;
mod runs;
mod upkeep;
mod world;
