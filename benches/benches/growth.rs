//! Cost of a row in the encoder as rows get wider, texts longer and values fewer: `cargo bench -p clevertap-benches -- growth`. How
//! the complete path scales with rows, requests in flight and latency is measured by `road`.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use clevertap_benches::rounds::{Mode, median};
use criterion::Criterion;
use datafusion_clevertap::bench_support::encode::Bodies;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

/// Profiles with `columns` text properties of `bytes` bytes, `nulls` percent of them NULL.
#[derive(Debug, Clone, Copy)]
struct Shape {
    columns: usize,
    bytes: usize,
    nulls: u32,
}

/// The base shape, of which one parameter at a time varies.
const BASE: Shape = Shape { columns: 10, bytes: 20, nulls: 0 };

impl Shape {
    fn batch(self, rows: usize) -> RecordBatch {
        let mut rng = StdRng::seed_from_u64(7);
        let mut column = |at: usize| -> (String, ArrayRef) {
            let text = |rng: &mut StdRng| (0..self.bytes).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect::<String>();
            let values = (0..rows).map(|_| (rng.random_range(0..100) >= self.nulls).then(|| text(&mut rng)));
            (format!("Property {at}"), Arc::new(values.collect::<StringArray>()))
        };
        let properties: Vec<_> = (0..self.columns).map(&mut column).collect();
        let identities: StringArray = (0..rows).map(|row| Some(format!("cust-{row:08}"))).collect();
        let identity = ("identity".to_owned(), Arc::new(identities) as ArrayRef);
        RecordBatch::try_from_iter_with_nullable(std::iter::once(identity).chain(properties).map(|(name, array)| (name, array, true)))
            .expect("columns of one length")
    }
}

/// The benchmark. It is in the list of criterion groups, but measures by itself.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub(crate) fn growth(_: &mut Criterion) {
    let (rows, rounds) = match Mode::of("growth") {
        Mode::Measure => (8_192, 15),
        Mode::Test => (100, 1),
        Mode::Skip => return,
    };
    println!("\ngrowth: people with properties of text, one thread, medians of {rounds} rounds");
    println!("{:>8} {:>6} {:>7} {:>10} {:>10} {:>8}", "columns", "bytes", "nulls", "ns/row", "ns/value", "GB/s");
    let columns = [3, 10, 30, 100, 250].map(|columns| Shape { columns, ..BASE });
    let bytes = [5, 20, 32, 50, 100, 500].map(|bytes| Shape { bytes, ..BASE });
    let nulls = [0, 10, 50, 90].map(|nulls| Shape { nulls, ..BASE });
    for shape in columns.into_iter().chain(bytes).chain(nulls) {
        let batch = shape.batch(rows);
        let mut bodies = Bodies::new("profiles", &batch.schema()).expect("writable");
        let mut written = 0;
        let mut times: Vec<f64> = (0..=rounds)
            .map(|_| {
                let start = Instant::now();
                written = 0;
                let mut consume = |body: &[u8]| written += black_box(body).len();
                let rejected = bodies.write(&batch, &mut consume).expect("read");
                bodies.finish(&mut consume);
                assert_eq!(rejected, 0, "{shape:?}");
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.remove(0);
        let row = median(times) * 1e9 / rows as f64;
        let Shape { columns, bytes, nulls } = shape;
        let per_byte = written as f64 / rows as f64 / row;
        println!("{columns:>8} {bytes:>6} {:>7} {row:>10.1} {:>10.1} {per_byte:>8.2}", format!("{nulls} %"), row / (columns + 1) as f64);
    }
}
