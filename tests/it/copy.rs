//! COPY … TO: what files say is what the rows said, and a folder never holds rows twice without a word.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono_tz::Tz;
use clevertap_emulator::{Settings, What};

use crate::seed::{SMALL, lines, seeded};
use crate::world::World;

const CHARGED: &str = "event_name = 'Charged' AND event_date BETWEEN '2026-01-05' AND '2026-01-06'";

fn world() -> World {
    seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {})
}

/// Files below a folder, by name.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(folder).expect("inside").display().to_string()),
            }
        }
    }
    found.sort();
    found
}

async fn external(world: &World, format: &str, place: &Path, partitions: &str) {
    world.rows("DROP TABLE IF EXISTS back").await;
    let slash = if place.is_dir() { "/" } else { "" };
    world.rows(&format!("CREATE EXTERNAL TABLE back STORED AS {format} {partitions} LOCATION '{}{slash}'", place.display())).await;
}

#[tokio::test(start_paused = true)]
async fn instants_are_timestamps_with_their_zone_in_files() {
    let world = world();
    let folder = tempfile::tempdir().expect("a folder");
    let micros = |zone: &str| DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(zone)));
    for format in ["PARQUET", "ARROW"] {
        let file = folder.path().join(format!("x.{}", format.to_lowercase()));
        let query = format!(
            "SELECT identity, event_time, event_date, array_agg(event_time) OVER (PARTITION BY identity) AS all_times,
             named_struct('at', event_time) AS s, map(['at'], [event_time]) AS m FROM clevertap.events WHERE {CHARGED}"
        );
        world.rows(&format!("COPY ({query}) TO '{}' STORED AS {format}", file.display())).await;
        external(&world, format, &file, "").await;
        let rows = world.rows("SELECT event_time, event_date, all_times, s, m FROM back").await;
        let types: Vec<DataType> = rows[0].schema().fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(types[0], micros("Asia/Kolkata"), "{format}");
        assert_eq!(types[1], DataType::Date32, "{format}");
        assert!(matches!(&types[2], DataType::List(item) if *item.data_type() == micros("Asia/Kolkata")), "{format}: {}", types[2]);
        assert!(
            matches!(&types[3], DataType::Struct(fields) if *fields[0].data_type() == micros("Asia/Kolkata")),
            "{format}: {}",
            types[3]
        );
        let of_map = |entries: &DataType| matches!(entries, DataType::Struct(fields) if *fields[1].data_type() == micros("Asia/Kolkata"));
        assert!(matches!(&types[4], DataType::Map(entries, _) if of_map(entries.data_type())), "{format}: {}", types[4]);
        let of = |table: &str, filter: &str| format!("SELECT identity, date_trunc('second', event_time) AS at FROM {table} {filter}");
        let ours = lines(&world.rows(&of("clevertap.events", &format!("WHERE {CHARGED}"))).await);
        assert_eq!(lines(&world.rows(&of("back", "")).await), ours, "{format}");
        // What is read back is an instant: the project's days are those of the events.
        let days = "SELECT count(*) FROM back WHERE event_time::date <> event_date";
        assert_eq!(lines(&world.rows(days).await), ["| 0 |"], "{format}");
    }
    // The same by the API of DataFrames.
    let file = folder.path().join("frame.parquet");
    let frame = world.ctx.sql(&format!("SELECT event_time FROM clevertap.events WHERE {CHARGED}")).await.expect("planned");
    frame.write_parquet(&file.display().to_string(), Default::default(), None).await.expect("written");
    external(&world, "PARQUET", &file, "").await;
    assert_eq!(*world.rows("SELECT event_time FROM back").await[0].schema().field(0).data_type(), micros("Asia/Kolkata"));
}

#[tokio::test(start_paused = true)]
async fn a_partition_without_a_value_is_named_as_others_name_it() {
    let world = world();
    let folder = tempfile::tempdir().expect("a folder");
    world
        .rows("CREATE TABLE t AS SELECT * FROM (VALUES ('a', 1, true, DATE '2026-01-01'), (NULL, 2, NULL, NULL), ('', NULL, false, DATE '2026-01-02')) v(s, i, b, d)")
        .await;
    for (column, expected) in [
        ("s", vec!["s=", "s=__HIVE_DEFAULT_PARTITION__", "s=a"]),
        ("i", vec!["i=1", "i=2", "i=__HIVE_DEFAULT_PARTITION__"]),
        ("b", vec!["b=__HIVE_DEFAULT_PARTITION__", "b=false", "b=true"]),
        ("d", vec!["d=2026-01-01", "d=2026-01-02", "d=__HIVE_DEFAULT_PARTITION__"]),
    ] {
        let place = folder.path().join(column);
        world
            .rows(&format!("COPY (SELECT *, 1 AS one FROM t) TO '{}/' STORED AS PARQUET PARTITIONED BY ({column})", place.display()))
            .await;
        let folders: Vec<String> = files(&place).iter().map(|file| file.split('/').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(folders, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_has_files_is_refused_kept_or_replaced() {
    let world = world();
    let folder = tempfile::tempdir().expect("a folder");
    for (format, partitions) in [("PARQUET", ""), ("PARQUET", "PARTITIONED BY (event_date)"), ("CSV", ""), ("JSON", "")] {
        let place = folder.path().join(format!("{format}{}", partitions.len()));
        let copy = |options: &str| {
            let query = format!("SELECT identity, event_date FROM clevertap.events WHERE {CHARGED}");
            format!("COPY ({query}) TO '{}/' STORED AS {format} {partitions} {options}", place.display())
        };
        world.rows(&copy("")).await;
        let first = files(&place);
        assert!(!first.is_empty());
        let ending = Path::new(&first[0]).extension().expect("an ending").to_owned();
        // What a reader of the folder does not read is not counted, and never deleted.
        for other in ["notes.txt".into(), format!("older/x.{}", ending.display()), format!("_x.{}", ending.display())] {
            let other = place.join(other);
            std::fs::create_dir_all(other.parent().expect("a folder")).expect("made");
            std::fs::write(other, "mine").expect("written");
        }
        world.forget_sent();
        let error = world.refused(&copy("")).await;
        assert!(error.contains("OPTIONS (overwrite true)") && error.contains("OPTIONS (append true)"), "{error}");
        // Before anything was asked for.
        assert!(world.sent().is_empty());
        world.rows(&copy("OPTIONS (append true)")).await;
        assert_eq!(files(&place).len(), first.len() * 2 + 3, "{format} {partitions}");
        world.rows(&copy("OPTIONS (overwrite true)")).await;
        let last = files(&place);
        assert!(last.len() == first.len() + 3 && last.iter().any(|file| file.starts_with("older/")), "{format} {partitions}: {last:?}");
        assert!(first.iter().all(|file| !last.contains(file)), "{last:?}");
        // A load that fails has replaced nothing.
        world.fault(What::Unavailable);
        world.set("retry_for_ms", 1_000).await;
        world.set("timeout_ms", 1_000).await;
        world.refused(&copy("OPTIONS (overwrite true)")).await;
        assert_eq!(files(&place), last, "{format} {partitions}");
        world.emulator.clear_faults();
    }
    let error =
        world.refused(&format!("COPY (SELECT 1 AS a) TO '{}/y/' STORED AS CSV OPTIONS (append maybe)", folder.path().display())).await;
    assert!(error.contains("OPTIONS (append true)"), "{error}");
    // A single file is replaced, as it always was.
    let single = format!("COPY (SELECT 1 AS a) TO '{}'", folder.path().join("one.csv").display());
    world.rows(&single).await;
    world.rows(&single).await;
    let explained = lines(&world.rows(&format!("EXPLAIN COPY (SELECT 1 AS a) TO '{}/z/' STORED AS CSV", folder.path().display())).await);
    assert!(explained.concat().contains("IntoFolderExec: refuses files that are there"), "{explained:?}");
}

#[tokio::test(start_paused = true)]
async fn no_rows_leave_over_http_for_another_machine() {
    let world = world();
    let store = Arc::new(object_store::memory::InMemory::new());
    for host in ["http://files.example.org", "https://files.example.org", "http://127.0.0.1:9"] {
        let url = datafusion::execution::object_store::ObjectStoreUrl::parse(host).expect("a URL");
        world.ctx.register_object_store(url.as_ref(), Arc::clone(&store) as _);
    }
    world.rows("CREATE EXTERNAL TABLE clear (a INT) STORED AS CSV LOCATION 'http://files.example.org/x/'").await;
    world.set("failed_rows_to", "http://files.example.org/failed/").await;
    for sql in [
        "COPY (SELECT 1 AS a) TO 'http://files.example.org/x.csv'".to_owned(),
        format!("COPY (SELECT name FROM clevertap.events WHERE {CHARGED}) TO 'http://files.example.org/x.parquet'"),
        "COPY (SELECT 1 AS a) TO 'http://user:pw@files.example.org/x.csv'".to_owned(),
        "INSERT INTO clear SELECT 1".to_owned(),
        "INSERT INTO clevertap.profiles (identity) VALUES ('a')".to_owned(),
    ] {
        let error = world.refused(&sql).await;
        assert!(error.contains("http:// would carry people in clear: name it by https://") && !error.contains("pw@"), "{sql}: {error}");
    }
    assert!(world.sent().is_empty());
    // The remedy, and this machine.
    world.set("failed_rows_to", "http://127.0.0.1:9/failed/").await;
    world.rows("COPY (SELECT 1 AS a) TO 'https://files.example.org/x.csv'").await;
    world.rows("INSERT INTO clevertap.profiles (identity) VALUES ('a')").await;
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_keeps_who_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let world = world();
    let folder = tempfile::tempdir().expect("a folder");
    let mode = |path: &Path| path.metadata().expect("a file").permissions().mode() & 0o777;
    for ending in ["parquet", "csv", "json", "arrow"] {
        let (older, new) = (folder.path().join(format!("older.{ending}")), folder.path().join(format!("new.{ending}")));
        std::fs::write(&older, "older").expect("written");
        let usual = mode(&older);
        std::fs::set_permissions(&older, PermissionsExt::from_mode(0o600)).expect("set");
        for to in [&older, &new] {
            world.rows(&format!("COPY (SELECT identity FROM clevertap.events WHERE {CHARGED}) TO '{}'", to.display())).await;
        }
        assert_eq!((mode(&older), mode(&new)), (0o600, usual), "{ending}");
        assert_ne!(std::fs::read(&older).expect("a file"), b"older");
    }
}
