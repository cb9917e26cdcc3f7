//! One binary for all benchmarks.
fn main() {}
