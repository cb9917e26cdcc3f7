//! What a row costs the encoder as rows grow wider, texts longer and values fewer: `cargo bench -p clevertap-benches -- growth`.
//! How the whole road bends as rows, requests in flight and latency grow is told by `road`.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use clevertap_benches::rounds::{Mode, median};
use criterion::Criterion;
use datafusion_clevertap::bench_support::encode::Bodies;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

/// People with so many properties, each a text of so many bytes, so many of a hundred NULL.
#[derive(Debug, Clone, Copy)]
struct Shape {
    columns: usize,
    bytes: usize,
    nulls: u32,
}

/// The shape that one thing at a time is changed of.
const MIDDLE: Shape = Shape { columns: 10, bytes: 20, nulls: 0 };

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

/// The bench, as criterion's list of groups wants it; the figures are its own.
#[expect(clippy::print_stdout, reason = "what a bench is for")]
pub(crate) fn growth(_: &mut Criterion) {
    let (rows, rounds) = match Mode::of("growth") {
        Mode::Measure => (8_192, 15),
        Mode::Test => (100, 1),
        Mode::Skip => return,
    };
    println!("\ngrowth: people with properties of text, one thread, medians of {rounds} rounds");
    println!("{:>8} {:>6} {:>7} {:>10} {:>10} {:>8}", "columns", "bytes", "nulls", "ns/row", "ns/value", "GB/s");
    let columns = [3, 10, 30, 100, 250].map(|columns| Shape { columns, ..MIDDLE });
    let bytes = [5, 20, 32, 50, 100, 500].map(|bytes| Shape { bytes, ..MIDDLE });
    let nulls = [0, 10, 50, 90].map(|nulls| Shape { nulls, ..MIDDLE });
    for shape in columns.into_iter().chain(bytes).chain(nulls) {
        let batch = shape.batch(rows);
        let mut bodies = Bodies::new("profiles", &batch.schema()).expect("writable");
        let mut written = 0;
        let mut times: Vec<f64> = (0..=rounds)
            .map(|_| {
                let begun = Instant::now();
                written = 0;
                let mut seen = |body: &[u8]| written += black_box(body).len();
                let rejected = bodies.write(&batch, &mut seen).expect("read");
                bodies.finish(&mut seen);
                assert_eq!(rejected, 0, "{shape:?}");
                begun.elapsed().as_secs_f64()
            })
            .collect();
        times.remove(0);
        let row = median(times) * 1e9 / rows as f64;
        let Shape { columns, bytes, nulls } = shape;
        let per_byte = written as f64 / rows as f64 / row;
        println!("{columns:>8} {bytes:>6} {:>7} {row:>10.1} {:>10.1} {per_byte:>8.2}", format!("{nulls} %"), row / (columns + 1) as f64);
    }
}
