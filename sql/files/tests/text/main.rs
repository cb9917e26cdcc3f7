//! What is relied on: bytes in, rows or a message out, in pieces of any size.

mod beside;
mod dumps;
mod folders;
mod generated;
mod marks;
mod mutated;
mod objects;
mod python;
mod splits;
mod structure;
mod tables;
mod told;
mod types;
mod writers;

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clevertap_files::TextError;
use clevertap_files::csv::{Layout, Options, Rows, Scan};

/// The first pass, in pieces of these sizes, over and over.
fn scan(name: &str, data: &[u8], options: &Options, sizes: &[usize]) -> Result<Layout, TextError> {
    let mut scan = Scan::new(name, options.clone());
    pieces(data, sizes).try_for_each(|piece| scan.push(piece))?;
    scan.finish()
}

fn pieces<'d>(mut data: &'d [u8], sizes: &[usize]) -> impl Iterator<Item = &'d [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let (piece, rest) = data.split_at((*sizes.next()?).min(data.len()));
        let is_some = !data.is_empty();
        data = rest;
        is_some.then_some(piece)
    })
}

/// The second pass, each split by itself.
fn load(layout: &Layout, data: &[u8], schema: &SchemaRef, columns: &[usize], sizes: &[usize]) -> Result<Vec<RecordBatch>, TextError> {
    let mut batches = Vec::new();
    for split in 0..layout.splits.len() {
        let range = layout.byte_range(split..split + 1);
        let mut rows = Rows::new(layout, Arc::clone(schema), columns, split..split + 1)?.with_batch_rows(3);
        for piece in pieces(&data[range.start as usize..range.end as usize], sizes) {
            batches.extend(rows.push(piece)?);
        }
        batches.extend(rows.finish()?);
    }
    Ok(batches)
}

/// All columns as text.
fn as_text(layout: &Layout) -> SchemaRef {
    let fields = layout.columns.iter().map(|column| Field::new(&column.name, DataType::Utf8View, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows as lists of cells; `None` is NULL.
fn cells(batches: &[RecordBatch]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|array| ArrayFormatter::try_new(array, &FormatOptions::new()).expect("a formatter")).collect();
        for row in 0..batch.num_rows() {
            let cell = |at: usize| batch.column(at).is_valid(row).then(|| columns[at].value(row).to_string());
            rows.push((0..columns.len()).map(cell).collect());
        }
    }
    rows
}

fn all(layout: &Layout) -> Vec<usize> {
    (0..layout.columns.len()).collect()
}

/// What both passes make of a file: columns with types and marks, rows (`~` is NULL), and what was told. An error is its text.
fn read_with(data: impl AsRef<[u8]>, options: &Options) -> String {
    let data = data.as_ref();
    let read = |sizes: &[usize]| {
        let layout = scan("f.csv", data, options, sizes)?;
        let schema = Arc::new(layout.schema());
        let rows = cells(&load(&layout, data, &schema, &all(&layout), sizes)?);
        Ok::<_, TextError>((layout, rows))
    };
    let said = |sizes: &[usize]| match read(sizes) {
        Ok((layout, rows)) => shown(&layout, &rows),
        Err(error) => format!("error: {error}"),
    };
    let whole = said(&[data.len().max(1)]);
    for sizes in [&[1][..], &[2, 3, 7], &[63, 1, 64]] {
        assert_eq!(said(sizes), whole, "in pieces of {sizes:?}");
    }
    whole
}

fn shown(layout: &Layout, rows: &[Vec<Option<String>>]) -> String {
    let columns = layout.columns.iter().map(|column| format!("{} {}", column.name, column.data_type));
    let line = |row: &Vec<Option<String>>| row.iter().map(|cell| cell.clone().unwrap_or("~".to_owned())).collect::<Vec<_>>().join("|");
    let of_types = layout.columns.iter().flat_map(|column| &column.warnings);
    let told = layout.warnings.iter().chain(of_types).map(|warning| format!("! {warning}"));
    let columns = std::iter::once(columns.collect::<Vec<_>>().join(", "));
    columns.chain(rows.iter().map(line)).chain(told).collect::<Vec<_>>().join("\n")
}

fn read(data: impl AsRef<[u8]>) -> String {
    read_with(data, &Options::default())
}

/// The type of the only column of these cells, with its marks and what was told.
fn typed(cells: &[&str]) -> String {
    let text = read(format!("id,c\n{}\n", cells.iter().map(|cell| format!("x,{cell}")).collect::<Vec<_>>().join("\n")));
    let column = text.lines().next().and_then(|line| line.split_once(", c ")).unwrap_or_else(|| panic!("{text}")).1;
    let told = text.lines().filter(|line| line.starts_with('!'));
    std::iter::once(column).chain(told).collect::<Vec<_>>().join("\n")
}
