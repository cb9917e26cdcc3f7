//! What benches share: pages and rows made from seeds, so that every run sees the same bytes, and rounds that compare ways fairly.
//! Run `cargo bench -p clevertap-benches`.

pub mod pages;
pub mod rounds;
pub mod rows;
