//! Random values of a type.

use rand::Rng;
use rand::rngs::StdRng;

/// `CLEVERTAP_ROWS=10000` for as many rows a type.
fn count() -> usize {
    std::env::var("CLEVERTAP_ROWS").map_or(300, |rows| rows.parse().expect("a number"))
}

/// Random values with NULLs, and the edges first.
pub(crate) fn values<T: Clone>(rng: &mut StdRng, edges: &[T], mut random: impl FnMut(&mut StdRng) -> T) -> Vec<Option<T>> {
    let mut values: Vec<_> = edges.iter().cloned().map(Some).collect();
    while values.len() < count() {
        values.push(if rng.random_ratio(1, 8) { None } else { Some(random(rng)) });
    }
    values
}
