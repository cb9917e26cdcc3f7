//! Ranges of a file that are read at the same time, and a file that changes in between.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use clevertap_files::TextError;
use clevertap_files::csv::{Layout, Options, Rows};

use crate::{all, cells, load, scan};

#[test]
fn no_range_cuts_a_quoted_line_end() {
    let mut file = "id,address\n".to_owned();
    let mut count = 0;
    while file.len() < 20 << 20 {
        file += &format!("{count},\"{} Main Road\nPune, {}\r\n\"\n", count % 97, "x".repeat(count as usize % 150));
        count += 1;
    }
    let layout = scan("f.csv", file.as_bytes(), &Options::default(), &[1 << 20]).unwrap();
    assert_eq!((layout.rows, layout.bytes, layout.splits.len()), (count, file.len() as u64, 3));
    let mut next = 0;
    for split in 0..layout.splits.len() {
        let start = layout.splits[split];
        let before = &file.as_bytes()[..start.offset as usize];
        assert_eq!((start.row, start.line), (next, 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64));
        let range = layout.byte_range(split..split + 1);
        assert!(split + 1 == layout.splits.len() || range.end - range.start >= 8 << 20);
        let mut rows = Rows::new(&layout, Arc::new(layout.schema()), &all(&layout), split..split + 1).unwrap();
        let mut batches = rows.push(&file.as_bytes()[range.start as usize..range.end as usize]).unwrap();
        batches.extend(rows.finish().unwrap());
        assert!(batches.iter().rev().skip(1).all(|batch| batch.num_rows() == 8192));
        let read = cells(&batches);
        for row in &read {
            let address = format!("{} Main Road\nPune, {}\r\n", next % 97, "x".repeat(next as usize % 150));
            assert_eq!(row, &[Some(next.to_string()), Some(address)]);
            next += 1;
        }
    }
    assert_eq!(next, count);
}

#[test]
fn only_the_columns_that_are_asked_for_are_read_in_their_order() {
    let file = b"a,b,c\n1,x,true\n2,\"y,z\",false\n";
    let layout = scan("f.csv", file, &Options::default(), &[9]).unwrap();
    let schema = Schema::new(vec![Field::new("c", DataType::Boolean, true), Field::new("b", DataType::Utf8, true)]);
    let rows = cells(&load(&layout, file, &Arc::new(schema), &[2, 1], &[9]).unwrap());
    assert_eq!(rows, [[Some("true".to_owned()), Some("x".to_owned())], [Some("false".to_owned()), Some("y,z".to_owned())]]);
    let none = load(&layout, file, &Arc::new(Schema::empty()), &[], &[9]).unwrap();
    assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
}

/// The second pass over other bytes than those of the first.
fn reread(first: &str, then: &str) -> Result<usize, TextError> {
    let layout = scan("f.csv", first.as_bytes(), &Options::default(), &[64])?;
    let start = layout.splits[0].offset as usize;
    let mut rows = Rows::new(&layout, Arc::new(layout.schema()), &all(&layout), 0..1)?;
    let mut count = 0;
    for byte in then.as_bytes()[start..].chunks(3) {
        count += rows.push(byte)?.iter().map(RecordBatch::num_rows).sum::<usize>();
    }
    Ok(count + rows.finish()?.iter().map(RecordBatch::num_rows).sum::<usize>())
}

#[test]
fn a_file_that_changed_between_the_passes_is_an_error_and_never_null() {
    let first = "id,n,at\nx,1,2026-01-05\ny,2,2026-01-06\n";
    assert_eq!(reread(first, first).unwrap(), 2);
    for then in [
        "id,n,at\nx,1,2026-01-05\ny,2,2026-01-06\nz,3,2026-01-07\n",
        "id,n,at\nx,1,2026-01-05\n",
        "id,n,at\nx,1,2026-01-05\ny,q,2026-01-06\n",
        "id,n,at\nx,1,2026-01-05\ny,2,2026-02-30\n",
        "id,n,at\nx,1,2026-01-05\ny,22026-01-06,\n",
        "id,n,at\nx,1,2026-01-05\ny,2,\"2026-01-0\n",
        "id,n,at\nx,1,2026-01-05\n\ny,22026-01-06\n",
        "id,n,at\nx,1,2026-01-05\ny,\0,2026-01-06\n",
        "id,n,at\nx,1,2026-01-05\nyyyyyyyyyyyyyyy",
    ] {
        let told = reread(first, then).unwrap_err().to_string();
        assert!(told.contains(": the file changed while it was read; read it again when nobody writes it"), "{then}: {told}");
    }
    // As many bytes, and fewer rows.
    assert!(reread("a\nx\ny\n", "a\nxyz\n").unwrap_err().to_string().contains("the file changed"));
}

#[test]
fn a_range_that_ends_within_a_record_is_a_file_that_changed() {
    let line = |text: &str| format!("{text}\n");
    let row = line(&"x".repeat(1 << 20));
    let file = format!("a\n{}", row.repeat(18));
    let layout = scan("f.csv", file.as_bytes(), &Options::default(), &[1 << 20]).unwrap();
    let range = layout.byte_range(0..1);
    let mut other = file.as_bytes()[range.start as usize..range.end as usize].to_vec();
    assert_eq!(other.pop(), Some(b'\n'));
    other.push(b'x');
    let mut rows = Rows::new(&layout, Arc::new(layout.schema()), &[0], 0..1).unwrap();
    rows.push(&other).unwrap();
    assert!(rows.finish().unwrap_err().to_string().contains("the file changed while it was read"));
}

#[test]
fn a_type_that_is_declared_is_checked_cell_by_cell() {
    let file = b"a,b\n1,x\n2,y\n";
    let layout = scan("f.csv", file, &Options::default(), &[9]).unwrap();
    let declared = |data_type: DataType| Arc::new(Schema::new(vec![Field::new("b", data_type, true)]));
    let told = load(&layout, file, &declared(DataType::Int64), &[1], &[9]).unwrap_err().to_string();
    assert_eq!(told, "f.csv, line 2, column \"b\": a cell is no Int64; declare the column as VARCHAR, or mend the cell");
    let told = load(&layout, file, &declared(DataType::Float64), &[1], &[9]).unwrap_err().to_string();
    assert_eq!(told, "f.csv, line 2, column \"b\": a cell is no Float64; declare the column as VARCHAR, or mend the cell");
    let told = load(&layout, file, &declared(DataType::Time32(TimeUnit::Second)), &[1], &[9]).unwrap_err().to_string();
    assert_eq!(told, "f.csv, column \"b\": text is not read as Time32(s); read the column as text, and cast it");
    let times = b"b\n1990-12-31T10:00:00.5\n";
    let layout = scan("f.csv", times, &Options::default(), &[9]).unwrap();
    let zone = || Some(Arc::from("+00:00"));
    for wrong in [DataType::Timestamp(TimeUnit::Second, None), DataType::Timestamp(TimeUnit::Millisecond, zone()), DataType::Date32] {
        let told = load(&layout, times, &declared(wrong), &[0], &[9]).unwrap_err().to_string();
        assert!(told.starts_with("f.csv, line 2, column \"b\": a cell is no "), "{told}");
    }
    let fine = load(&layout, times, &declared(DataType::Timestamp(TimeUnit::Microsecond, None)), &[0], &[9]).unwrap();
    assert_eq!(cells(&fine), [[Some("1990-12-31T10:00:00.500".to_owned())]]);
    let digits = b"b\n100.5\n";
    let layout = scan("f.csv", digits, &Options::default(), &[9]).unwrap();
    for wrong in [DataType::Decimal128(3, 1), DataType::Decimal128(5, 0), DataType::Int64, DataType::Boolean] {
        let told = load(&layout, digits, &declared(wrong), &[0], &[9]).unwrap_err().to_string();
        assert!(told.starts_with("f.csv, line 2, column \"b\": a cell is no "), "{told}");
    }
    let required = Arc::new(Schema::new(vec![Field::new("b", DataType::Utf8View, false)]));
    let holey = b"a,b\n1,x\n2,\n";
    let layout = scan("f.csv", holey, &Options::default(), &[9]).unwrap();
    let told = load(&layout, holey, &required, &[1], &[9]).unwrap_err().to_string();
    assert!(told.starts_with("f.csv, line 3, column \"b\": a cell is empty, and the column was declared NOT NULL; declare"), "{told}");
    assert_eq!(load(&layout, holey, &required, &[1, 0], &[9]).unwrap_err().to_string(), "f.csv: 2 columns were asked for by 1 fields");
    let layout = scan("f.csv", file, &Options::default(), &[9]).unwrap();
    let wide = declared(DataType::Decimal128(10, 2));
    assert_eq!(cells(&load(&layout, file, &wide, &[0], &[9]).unwrap()), [[Some("1.00".to_owned())], [Some("2.00".to_owned())]]);
}

#[test]
fn a_layout_without_rows_has_one_empty_range() {
    let file = b"a,b\n";
    let layout: Layout = scan("f.csv", file, &Options::default(), &[9]).unwrap();
    assert_eq!((layout.rows, layout.byte_range(0..layout.splits.len())), (0, 4..4));
    assert!(load(&layout, file, &Arc::new(layout.schema()), &[0, 1], &[9]).unwrap().is_empty());
}

#[test]
fn long_rows_make_small_batches() {
    let file = format!("a,b\n{}", format!("x,{}\n", "y".repeat(12 << 20)).repeat(4));
    let layout = scan("f.csv", file.as_bytes(), &Options::default(), &[1 << 20]).unwrap();
    let mut rows = Rows::new(&layout, Arc::new(layout.schema()), &all(&layout), 0..layout.splits.len()).unwrap();
    let mut counts = Vec::new();
    for piece in file.as_bytes()[layout.splits[0].offset as usize..].chunks(1 << 20) {
        counts.extend(rows.push(piece).unwrap().iter().map(RecordBatch::num_rows));
    }
    counts.extend(rows.finish().unwrap().iter().map(RecordBatch::num_rows));
    assert_eq!(counts, [3, 1]);
}
