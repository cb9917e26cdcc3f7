//! What a statement means, beside PostgreSQL: times under `SET TimeZone`, conditions with NULL, statements over events and people.
//!
//! Each is random, from a seed: `POSTGRES_FROM` and `POSTGRES_CASES` run others and more.

mod clauses;
mod server;
mod statements;
mod times;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use server::NULL;

/// The seeds of a run: `cases` of them, unless the environment says otherwise.
fn seeds(cases: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let from = number("POSTGRES_FROM").unwrap_or(0);
    from..from + number("POSTGRES_CASES").unwrap_or(cases)
}

/// Rows as PostgreSQL prints them, sorted.
fn rows_of(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null(NULL);
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).expect("text")).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(
                cells
                    .iter()
                    .map(|cell| match cell.as_str() {
                        "true" => "t",
                        "false" => "f",
                        other => other,
                    })
                    .collect::<Vec<_>>()
                    .join("|"),
            );
        }
    }
    rows.retain(|row| !row.is_empty());
    rows.sort();
    rows
}
