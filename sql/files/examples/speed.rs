//! Bytes a second of both passes, beside the `csv` crate and arrow-csv, over a file in memory.
//!
//! ```sh
//! cargo run --release -p clevertap-files --example speed [FILE]
//! ```
//!
//! Without a file: 64 MB of nine columns as of a shop's events, as many times as a second holds, the best of five.

#![expect(clippy::print_stdout, reason = "what it measures is what it is for")]

use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::csv::reader::Format;
use clevertap_files::csv::{Layout, Options, Rows, Scan, Types};

const MEGABYTES: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => shop(),
    };
    let exact = scan(&data, Types::Exact)?;
    for column in &exact.columns {
        println!("{:10} {}", column.name, column.data_type);
    }
    println!("{} rows, {} bytes", exact.rows, data.len());

    measure("first pass, exact types", data.len(), || scan(&data, Types::Exact).is_ok());
    measure("first pass, structure alone", data.len(), || scan(&data, Types::Text).is_ok());
    measure("second pass, all columns", data.len(), || rows(&exact, &data, None).is_ok_and(|rows| rows == exact.rows));
    measure("second pass, one column", data.len(), || rows(&exact, &data, Some(0)).is_ok_and(|rows| rows == exact.rows));
    measure("csv crate, byte records", data.len(), || {
        let mut reader = csv::ReaderBuilder::new().has_headers(true).from_reader(&data[..]);
        let mut record = csv::ByteRecord::new();
        let mut rows = 0;
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            rows += 1;
        }
        rows == exact.rows
    });
    measure("arrow-csv, types of all rows", data.len(), || {
        Format::default().with_header(true).infer_schema(Cursor::new(&data), None).is_ok()
    });
    let (guessed, _) = Format::default().with_header(true).infer_schema(Cursor::new(&data), Some(1000))?;
    let guessed = Arc::new(guessed);
    measure("arrow-csv, batches", data.len(), || {
        let reader = arrow::csv::ReaderBuilder::new(Arc::clone(&guessed)).with_header(true).with_batch_size(8192).build(Cursor::new(&data));
        reader.is_ok_and(|reader| reader.map_while(Result::ok).map(|batch| batch.num_rows() as u64).sum::<u64>() == exact.rows)
    });
    Ok(())
}

fn scan(data: &[u8], types: Types) -> Result<Layout, clevertap_files::TextError> {
    let mut scan = Scan::new("speed.csv", Options { types, ..Options::default() });
    data.chunks(1 << 20).try_for_each(|piece| scan.push(piece))?;
    scan.finish()
}

fn rows(layout: &Layout, data: &[u8], only: Option<usize>) -> Result<u64, Box<dyn std::error::Error>> {
    let columns: Vec<_> = only.map_or_else(|| (0..layout.columns.len()).collect(), |only| vec![only]);
    let schema = Arc::new(layout.schema().project(&columns)?);
    let range = layout.byte_range(0..layout.splits.len());
    let mut rows = Rows::new(layout, schema, &columns, 0..layout.splits.len())?;
    let mut count = 0;
    for piece in data[range.start as usize..].chunks(1 << 20) {
        count += rows.push(piece)?.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
    }
    Ok(count + rows.finish()?.iter().map(|batch| batch.num_rows() as u64).sum::<u64>())
}

/// Prints the best of five.
#[expect(clippy::disallowed_methods, reason = "a program of its own, on the machine's clock")]
fn measure(what: &str, bytes: usize, mut run: impl FnMut() -> bool) {
    let mut best = f64::MAX;
    let rounds = (0..5).try_for_each(|_| {
        let start = std::time::Instant::now();
        let is_right = run();
        best = best.min(start.elapsed().as_secs_f64());
        if is_right { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let note = if rounds.is_break() { " (not as the first pass has it)" } else { "" };
    println!("{what:30} {:6.2} GB/s{note}", bytes as f64 / best / 1e9);
}

/// Nine columns: text, text, text, text, text, decimal, integer, boolean, time without a zone.
fn shop() -> Vec<u8> {
    let mut data = "user_id,email,name,city,event,amount,items,is_new,at\n".to_owned();
    let mut state = 88_172_645_463_325_252_u64;
    while data.len() < MEGABYTES << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let at = state >> 20;
        data += &format!(
            "cust-{:07},user{}@example.org,Anna Maria {},{},Charged,{}.{:02},{},{},2026-{:02}-{:02} {:02}:{:02}:{:02}\n",
            at % 10_000_000,
            at % 999_983,
            at % 9973,
            ["Pune", "Mumbai", "Berlin", "Sao Paulo"][at as usize % 4],
            at % 5000,
            at % 100,
            at % 20,
            at.is_multiple_of(3),
            at % 12 + 1,
            at % 28 + 1,
            at % 24,
            at % 60,
            at / 7 % 60,
        );
    }
    data.into_bytes()
}
