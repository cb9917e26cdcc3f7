//! What benches share: rows made from a seed, and rounds that compare ways fairly. Run `cargo bench -p clevertap-benches`.

pub mod rounds;
pub mod rows;
