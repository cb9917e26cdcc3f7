//! What breaks a library or the stack: one sentence and exit code 1, never an abort, and no text of a panic.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    datatypes::Schema,
};
use clevertap_emulator::Settings;
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
        arrow_writer::ArrowWriterOptions,
        encode_arrow_schema,
    },
    file::{metadata::KeyValue, properties::WriterProperties},
};

use super::World;

/// A file whose Arrow schema says `schema`, in base64.
fn write(path: &Path, batch: &RecordBatch, schema: &str) {
    let stated = KeyValue::new("ARROW:schema".to_owned(), schema.to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![stated])).build();
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true).with_properties(properties);
    let mut writer = ArrowWriter::try_new_with_options(File::create(path).expect("a file"), batch.schema(), options).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}

/// Whether the library panics when it reads the file's schema.
fn panics(path: &Path) -> bool {
    let open = || ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(path).expect("a file"), ArrowReaderOptions::new());
    catch_unwind(AssertUnwindSafe(|| drop(open()))).is_err()
}

/// Every text that has one character replaced by the one of six zero bits.
fn mutated(text: &str) -> impl Iterator<Item = String> {
    (0..text.len()).map(|at| text.char_indices().map(|(index, character)| if index == at { 'A' } else { character }).collect())
}

#[test]
fn a_file_on_which_a_library_panics_is_an_error_and_nothing_is_sent() {
    let world = World::new(Settings::default());
    let path = world.path("broken.parquet");
    let columns = [("id", Arc::new(StringArray::from(vec!["a"])) as ArrayRef), ("n", Arc::new(Int64Array::from(vec![1])))];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let schema: &Schema = &batch.schema();
    let schemas = encode_arrow_schema(schema);
    std::panic::set_hook(Box::new(|_| {}));
    let found = mutated(&schemas).any(|schema| {
        write(&path, &batch, &schema);
        panics(&path)
    });
    drop(std::panic::take_hook());
    assert!(found, "the library panics over no schema any more");
    for statement in ["SELECT * FROM 'broken.parquet'", "INSERT INTO clevertap.profiles SELECT id AS identity FROM 'broken.parquet'"] {
        let ended = world.run(&["--failed-rows", "failed", "-c", statement]);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let errors: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        let [error] = errors.as_slice() else { panic!("{}", ended.stderr) };
        assert!(error.contains("broke off (a panic)") && error.contains("[panic at arrow-ipc-"), "{error}");
        assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("RUST_BACKTRACE"), "{}", ended.stderr);
    }
    assert_eq!(world.emulator.report().requests, 0);
}
