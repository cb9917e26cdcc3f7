//! Syncs against the emulator, as an embedder runs them.

mod lists;
mod mirror;
mod runs;
mod upkeep;
mod world;
