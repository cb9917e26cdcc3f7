//! What breaks a library or the stack: one sentence and exit code 1, never an abort, and no text of a panic.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::Duration,
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

use super::{Running, World};

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

#[test]
fn a_statement_of_many_terms_works_or_is_refused_with_a_sentence() {
    let world = World::new(Settings::default());
    let chain = |operator: &str, times: usize| vec!["x"; times].join(operator);
    let conditions = |operator: &str, times: usize| (0..times).map(|number| format!("x <> {number}")).collect::<Vec<_>>().join(operator);
    let select = |what: &str| format!("SELECT count({what}) AS a FROM (VALUES (1)) t(x)");
    let nested = |before: &str, after: &str, times: usize| format!("SELECT {}1{}", before.repeat(times), after.repeat(times));
    for (name, sql, works) in [
        ("OR", format!("{} WHERE {}", select("*"), conditions(" OR ", 3_000)), true),
        ("AND", format!("{} WHERE {}", select("*"), conditions(" AND ", 3_000)), true),
        ("UNION ALL", vec!["SELECT 1 AS a"; 3_000].join(" UNION ALL "), true),
        ("more OR", format!("{} WHERE {}", select("*"), conditions(" OR ", 150_000)), false),
        ("||", select(&chain(" || ", 8_000)), false),
        ("+", select(&chain(" + ", 20_000)), false),
        ("some +", select(&chain(" + ", 200)), true),
        ("EXCEPT", vec!["SELECT 1 AS a"; 3_000].join(" EXCEPT "), false),
        ("casts", format!("SELECT 1{}", "::bigint".repeat(20_000)), false),
        (
            "joins",
            format!("{} {}", select("*"), (0..3_000).map(|n| format!("JOIN t AS t{n} ON true")).collect::<Vec<_>>().join(" ")),
            false,
        ),
        ("brackets", nested("(", ")", 20_000), false),
        ("functions", nested("abs(", ")", 20_000), false),
        ("subqueries", nested("(SELECT ", ")", 20_000), false),
        ("lists", nested("[", "]", 20_000), false),
        ("NOT", nested("NOT ", "", 20_000), false),
        ("minus", nested("- ", "", 20_000), false),
        ("CASE", nested("CASE WHEN true THEN 1 ELSE ", " END", 20_000), false),
    ] {
        std::fs::write(world.path("deep.sql"), sql).expect("written");
        let ended = world.run(&["--format", "csv", "-f", "deep.sql"]);
        let is_sentence = ended.stderr.starts_with("error: ") && ended.stderr.len() < 500 && ended.stdout.is_empty();
        assert!(
            if works { ended.code == Some(0) } else { ended.code == Some(1) && is_sentence },
            "{name}: {:?} {}",
            ended.code,
            ended.stderr
        );
    }
}

#[test]
fn what_a_refusal_says_to_write_in_the_place_of_many_terms_works() {
    let world = World::new(Settings::default());
    std::fs::write(world.path("deep.sql"), format!("SELECT {}", vec!["'x'"; 2_000].join(" || "))).expect("written");
    let refused = world.run(&["-f", "deep.sql"]).stderr;
    assert!(
        refused.contains("begins in line 1") && refused.contains("into VALUES, one a row") && refused.contains("Nothing was run"),
        "{refused}"
    );
    let rows = (0..2_000).map(|number| format!("({number}, 'x')")).collect::<Vec<_>>().join(", ");
    std::fs::write(world.path("flat.sql"), format!("SELECT length(string_agg(t, '' ORDER BY n)) AS l FROM (VALUES {rows}) v(n, t)"))
        .expect("written");
    assert_eq!(world.run(&["--format", "csv", "-f", "flat.sql"]).stdout, "l\n2000\n");
    std::fs::write(world.path("values.csv"), "x\n1\n2\n").expect("written");
    let inside = "SELECT count(*) AS n FROM (VALUES (1), (5)) t(x) WHERE x IN (SELECT x FROM 'values.csv')";
    assert_eq!(world.run(&["--format", "csv", "-c", inside]).stdout, "n\n1\n");
}

#[test]
fn a_load_and_an_erasure_of_many_terms_are_planned_in_linear_time() {
    let world = World::new(Settings::default());
    let names = |operator: &str, is: &str| (0..4_000).map(|number| format!("{operator} {is} 'u{number}'")).collect::<Vec<_>>();
    for sql in [
        format!(
            "INSERT INTO clevertap.profiles SELECT column1 AS identity FROM (VALUES ('u1'), ('x')) WHERE {}",
            names("column1", "=").join(" OR ")
        ),
        format!(
            "INSERT INTO clevertap.profiles SELECT column1 AS identity FROM (VALUES ('u1'), ('x')) WHERE {}",
            names("column1", "<>").join(" AND ")
        ),
        format!("SET clevertap.delete_rows_max = 4000; DELETE FROM clevertap.profiles WHERE {}", names("identity", "=").join(" OR ")),
    ] {
        std::fs::write(world.path("many.sql"), sql).expect("written");
        let process = world.program(&["--allow-erase", "--quiet", "--format", "csv", "-f", "many.sql"]).spawn().expect("a process");
        // By the square of the terms, each would take minutes.
        let ended = Running(process).wait(Duration::from_secs(40));
        assert!(ended.code == Some(0), "{:?} {}", ended.code, ended.stderr);
    }
}
