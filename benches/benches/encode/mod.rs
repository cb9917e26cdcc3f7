//! Encodes batches as bodies, compared with other libraries: `cargo bench -p clevertap-benches -- encode`.

pub(crate) mod references;
mod typed;

use std::hint::black_box;

use arrow::array::RecordBatch;
use clevertap_benches::files;
use clevertap_benches::rounds::{Mode, Rounds};
use clevertap_benches::rows::{self, Text};
use criterion::Criterion;
use datafusion_clevertap::bench_support::encode::Bodies;

use self::references::{Prepared, Table};

/// Rows of a batch, as in DataFusion.
const BATCH_ROWS: usize = 8_192;

/// The benchmark. It is in the list of criterion groups, but measures by itself, in rounds.
pub(crate) fn encode(_: &mut Criterion) {
    let (batches, rounds) = match Mode::of("encode") {
        Mode::Measure => (24, 11),
        Mode::Test => (1, 0),
        Mode::Skip => return,
    };
    for (table, make) in [(Table::Profiles, rows::profiles as fn(u64, usize, Text) -> RecordBatch), (Table::Events, rows::events)] {
        let rows = if rounds == 0 { 1_500 } else { BATCH_ROWS };
        let texts = rows::batches_of(batches, rows, Text::Offsets, make);
        let views = rows::batches_of(batches, rows, Text::Views, make);
        let mut prepared: Vec<Prepared> = texts.iter().map(|batch| Prepared::new(table, batch)).collect();
        if let (Table::Profiles, Some(path)) = (table, std::env::var_os("CLEVERTAP_PARQUET")) {
            // Input for `benches/peers`.
            files::write(path.as_ref(), &texts, batches * rows);
        }
        assert_same(table, &texts[0], &views[0], &mut prepared[0]);
        compare(table, rounds, &texts, &views, &prepared);
    }
}

/// All variants must write the same JSON, or their times are not comparable.
fn assert_same(table: Table, texts: &RecordBatch, views: &RecordBatch, prepared: &mut Prepared) {
    let ours = |batch: &RecordBatch| {
        let mut records = Vec::new();
        let mut each = |body: &[u8]| match serde_json::from_slice(body).expect("JSON") {
            serde_json::Value::Object(body) => records.extend(body["d"].as_array().expect("a list").clone()),
            other => panic!("{other} is no body"),
        };
        let mut bodies = Bodies::new(table.name(), &batch.schema()).expect("writable");
        assert_eq!(bodies.write(batch, &mut each).expect("read"), 0, "no row of these is refused");
        bodies.finish(&mut each);
        records
    };
    let expected = ours(texts);
    assert_eq!(expected, ours(views));
    let parse = |body: &[u8]| serde_json::from_slice::<Vec<serde_json::Value>>(body).expect("a list");
    for (name, found) in [
        ("arrow-json+$D_", prepared.arrow_json(true)),
        ("serde_json::Value", prepared.values()),
        ("serde typed", prepared.typed(|out, rows| serde_json::to_writer(out, rows))),
    ] {
        let found: Vec<_> = found.iter().flat_map(|body| parse(body)).collect();
        assert!(found == expected, "{name} writes something else");
    }
}

fn consume(body: &[u8]) {
    black_box(body);
}

fn write(table: Table, batches: &[RecordBatch]) {
    let mut bodies = Bodies::new(table.name(), &batches[0].schema()).expect("writable");
    for batch in batches {
        bodies.write(batch, consume).expect("read");
    }
    bodies.finish(consume);
}

/// Runs each half of the batches on its own thread.
fn halves<T: Sync>(batches: &[T], run: impl Fn(&[T]) + Sync) {
    let (one, other) = batches.split_at(batches.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| run(one));
        run(other);
    });
}

fn compare(table: Table, rounds: usize, texts: &[RecordBatch], views: &[RecordBatch], prepared: &[Prepared]) {
    let rows = texts.iter().map(RecordBatch::num_rows).sum();
    let mut output = Vec::new();
    let mut bodies = Bodies::new(table.name(), &texts[0].schema()).expect("writable");
    for batch in texts {
        bodies.write(batch, |body| output.extend_from_slice(body)).expect("read");
    }
    bodies.finish(|body| output.extend_from_slice(body));
    let mut copy = vec![0; 1000 * output.len() / rows];
    Rounds::new(table.name(), rows, output.len())
        .variant("ours", || write(table, texts))
        .variant("ours, views", || write(table, views))
        .variant("ours, 2 threads", || {
            if texts.len() > 1 {
                halves(texts, |batches| write(table, batches));
            }
        })
        .variant("arrow-json", || prepared.iter().for_each(|batch| drop(black_box(batch.arrow_json(false)))))
        .variant("arrow-json+$D_", || prepared.iter().for_each(|batch| drop(black_box(batch.arrow_json(true)))))
        .variant("arrow-json+$D_, 2 threads", || {
            halves(prepared, |prepared| prepared.iter().for_each(|batch| drop(black_box(batch.arrow_json(true)))));
        })
        .variant("serde_json::Value", || prepared.iter().for_each(|batch| drop(black_box(batch.values()))))
        .variant("serde typed", || {
            prepared.iter().for_each(|batch| drop(black_box(batch.typed(|out, rows| serde_json::to_writer(out, rows)))))
        })
        .variant("sonic-rs typed", || {
            prepared.iter().for_each(|batch| drop(black_box(batch.typed(|out, rows| sonic_rs::to_writer(out, rows)))))
        })
        .variant("memcpy of the output", || {
            for body in output.chunks(copy.len()) {
                copy[..body.len()].copy_from_slice(body);
                black_box(&mut copy);
            }
        })
        .run(rounds, &["arrow-json+$D_", "arrow-json", "ours"]);
}
