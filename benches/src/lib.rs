//! Nothing to import: run `cargo bench -p clevertap-benches`.
