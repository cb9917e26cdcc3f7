//! Shared by the benchmarks: pages and rows generated from seeds, so that every run sees the same bytes, and rounds that compare
//! variants fairly. Run `cargo bench -p clevertap-benches`.

pub mod files;
pub mod pages;
pub mod rounds;
pub mod rows;
