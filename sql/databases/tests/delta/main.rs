//! Delta Lake as a user relies on it: SQL in, rows back, under faults, and beside the library that others use.

mod faults;
mod peer;
mod python;
mod reads;
mod s3;
#[expect(dead_code, reason = "a session with a database is not needed here")]
#[path = "../statements.rs"]
mod statements;
mod types;
#[path = "../values.rs"]
mod values;
mod vectors;
mod writes;

use std::path::PathBuf;

use clevertap_databases::Access;
use datafusion::prelude::{SessionConfig, SessionContext};

use statements::{refusal, rows, shown};

/// A session of small batches, so that there are several.
fn session() -> SessionContext {
    let config = SessionConfig::new().with_batch_size(100).with_target_partitions(2);
    let ctx = SessionContext::new_with_config(config.set_str("datafusion.execution.time_zone", "UTC"));
    clevertap_databases::delta::register(&ctx, Access::Write);
    ctx
}

/// A folder of a test's own, which ends with it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A place whose name has to be spelled right.
    fn place(&self) -> String {
        self.path("a table 😀 ü=+").display().to_string()
    }

    /// A session with the table `t` in it, made with these columns.
    async fn table(&self, columns: &str) -> SessionContext {
        let ctx = session();
        external(&ctx, "t", columns, &self.place(), "").await;
        ctx
    }

    /// The names of the commits.
    fn commits(&self) -> usize {
        let log = std::fs::read_dir(PathBuf::from(self.place()).join("_delta_log")).expect("a log");
        log.filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|ending| ending == "json"))).count()
    }

    /// The files of rows, those that are removed too.
    fn files(&self) -> usize {
        let mut folders = vec![PathBuf::from(self.place())];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true if !path.ends_with("_delta_log") => folders.push(path),
                    false => count += 1,
                    true => {}
                }
            }
        }
        count
    }
}

/// `CREATE EXTERNAL TABLE name columns STORED AS DELTA LOCATION 'place' options`.
async fn external(ctx: &SessionContext, name: &str, columns: &str, place: &str, options: &str) {
    rows(ctx, &statement(name, columns, place, options)).await.unwrap_or_else(|error| panic!("{columns} {options}: {error}"));
}

fn statement(name: &str, columns: &str, place: &str, options: &str) -> String {
    let (columns, partitions) = columns
        .split_once(" PARTITIONED BY ")
        .map_or((columns, String::new()), |(columns, partitions)| (columns, format!("PARTITIONED BY {partitions}")));
    format!("CREATE EXTERNAL TABLE {name} {columns} STORED AS DELTA {partitions} LOCATION '{place}' {options}")
}
