//! What the benchmarks measure on: made from seeds, so that every run sees the same bytes.

pub mod pages;
