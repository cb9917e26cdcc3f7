//! A failed row says which file it is from, and which row of it, or nothing: never another.

use std::path::Path;

use datafusion::prelude::{CsvReadOptions, JsonReadOptions, ParquetReadOptions};

use crate::seed::lines;
use crate::world::World;

const FORMATS: [&str; 3] = ["csv", "json", "parquet"];

/// A world that skips rejects, with a table `people` over two files of 20,000 and 500 rows. Each row knows its file and its number in it.
async fn world(folder: &Path, format: &str) -> World {
    let world = World::new();
    for (file, rows) in [("a", 20_000), ("b", 500)] {
        let query =
            format!("SELECT '{file}' AS file, value AS n, concat('{file}', value) AS id FROM generate_series(1, {rows}) ORDER BY value");
        world.rows(&format!("COPY ({query}) TO '{}/{file}.{format}' STORED AS {format}", folder.display())).await;
    }
    let folder = folder.to_str().expect("text");
    let registered = match format {
        "csv" => world.ctx.register_csv("people", folder, CsvReadOptions::new()).await,
        "json" => world.ctx.register_json("people", folder, JsonReadOptions::default()).await,
        _ => world.ctx.register_parquet("people", folder, ParquetReadOptions::default()).await,
    };
    registered.expect("registered");
    world.set("on_reject", "skip").await;
    world.set("failed_rows_max", 100_000).await;
    world
}

/// Writes the people of `source`, all of whom are refused; says how many have their file, how many their row, and how many a wrong one.
async fn placed(world: &World, source: &str, folder: &Path) -> String {
    let run = world.account.runs().len() as u64 + 1;
    world.rows(&format!("INSERT INTO clevertap.profiles SELECT id AS identity, 'no address' AS email, file, n FROM {source}")).await;
    let rows: Vec<_> = world.account.failed_rows().into_iter().filter(|row| row.run_id == run).collect();
    let truth = |record: &str, key: &str| {
        let record: serde_json::Value = serde_json::from_str(record).expect("JSON");
        record["profileData"][key].clone()
    };
    let mut wrong = 0;
    for row in &rows {
        let file = truth(&row.record, "file");
        let file = row.source_file.as_ref().is_none_or(|name| {
            let path = Path::new(&**name);
            path.parent() == Some(folder) && path.file_stem().and_then(|stem| stem.to_str()) == file.as_str()
        });
        let number = row.source_row.is_none_or(|number| Some(number) == truth(&row.record, "n").as_u64());
        wrong += u64::from(!file || !number);
    }
    let files = rows.iter().filter(|row| row.source_file.is_some()).count();
    let numbers = rows.iter().filter(|row| row.source_row.is_some()).count();
    format!("{} rows, {files} files, {numbers} numbers, {wrong} wrong", rows.len())
}

#[tokio::test(start_paused = true)]
async fn rows_of_files_have_their_file_and_their_number_through_filters_projections_and_limits() {
    for format in FORMATS {
        let folder = tempfile::tempdir().expect("a folder");
        let world = world(folder.path(), format).await;
        for (source, expected) in [
            ("people", "20500 rows, 20500 files, 20500 numbers, 0 wrong"),
            ("(SELECT upper(lower(id)) AS id, file, n FROM people)", "20500 rows, 20500 files, 20500 numbers, 0 wrong"),
            ("people LIMIT 19000 OFFSET 10000", "10500 rows, 10500 files, 10500 numbers, 0 wrong"),
            ("people LIMIT 20100", "20100 rows, 20100 files, 20100 numbers, 0 wrong"),
        ] {
            assert_eq!(placed(&world, source, folder.path()).await, expected, "{format} {source}");
        }
        // Parquet leaves out what it knows not to fit, so that the rows that come cannot be counted.
        let kept = placed(&world, "people WHERE n % 3 = 0 AND n > 300", folder.path()).await;
        let numbers = if format == "parquet" { 0 } else { 6_632 };
        assert_eq!(kept, format!("6632 rows, 6632 files, {numbers} numbers, 0 wrong"), "{format}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sort_keeps_the_file_and_what_makes_rows_of_others_keeps_nothing() {
    for format in FORMATS {
        let folder = tempfile::tempdir().expect("a folder");
        let world = world(folder.path(), format).await;
        for (source, expected) in [
            ("people WHERE file = 'b' ORDER BY n DESC LIMIT 50", "50 rows, 50 files, 0 numbers, 0 wrong"),
            ("(SELECT max(id) AS id, file, n FROM people WHERE file = 'b' GROUP BY file, n)", "500 rows, 0 files, 0 numbers, 0 wrong"),
            (
                "(SELECT p.* FROM people p JOIN (SELECT DISTINCT n AS m FROM people) ON n = m WHERE file = 'b')",
                "500 rows, 0 files, 0 numbers, 0 wrong",
            ),
            (
                "(SELECT * FROM people WHERE file = 'b' UNION ALL SELECT * FROM people WHERE file = 'b')",
                "1000 rows, 0 files, 0 numbers, 0 wrong",
            ),
        ] {
            assert_eq!(placed(&world, source, folder.path()).await, expected, "{format} {source}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn several_partitions_read_the_same_rows_with_the_same_places() {
    for format in FORMATS {
        let folder = tempfile::tempdir().expect("a folder");
        let world = world(folder.path(), format).await;
        world.rows("SET datafusion.execution.target_partitions = 4").await;
        world.rows("SET datafusion.optimizer.repartition_file_min_size = 1").await;
        // A sort takes the statement out of one partition.
        let placed = placed(&world, "people ORDER BY id", folder.path()).await;
        assert_eq!(placed, "20500 rows, 20500 files, 0 numbers, 0 wrong", "{format}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_in_doubt_and_unsent_rows_are_found_in_their_files_too_and_in_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let failed = folder.path().join("failed");
    let world = world(&folder.path().join("people"), "csv").await;
    world.set("failed_rows_to", failed.display()).await;
    world.set("upload_concurrency", 1).await;
    world.emulator.add_fault(clevertap_emulator::Fault::new(clevertap_emulator::What::ResetAfter).after(1).times(1));
    world.emulator.add_fault(clevertap_emulator::Fault::new(clevertap_emulator::What::Unauthorized).after(2));
    world.refused("INSERT INTO clevertap.events SELECT id AS identity, 'Seen' AS event_name, 1767225600 AS event_time FROM people").await;
    world.ctx.register_parquet("failed", failed.to_str().expect("text"), ParquetReadOptions::default()).await.expect("registered");
    let rows = world
        .rows(
            "SELECT DISTINCT fate, source_row = row_number AND identifier = concat('a', source_row) AS found,
             regexp_replace(source_file, '.*/', '') AS file FROM failed ORDER BY fate",
        )
        .await;
    assert_eq!(lines(&rows), ["| in_doubt | true | a.csv |", "| unsent | true | a.csv |"]);
}
