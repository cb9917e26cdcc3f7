//! The SQL of a write.
//!
//! Rows go by a temporary table always: it is in a file of its own, so that the database is locked for the last step alone, and a source that
//! reads the same database is read before that.

use super::dialect::SqliteDialect;
use crate::dialect::Dialect;
use crate::relation::Column;
use crate::write::job::{Job, Mode};
use crate::write::path::{STAGE_PREFIX, Steps};

pub(super) fn steps(job: &Job) -> Steps {
    let target = SqliteDialect.table(&job.relation);
    let stage = format!("temp.{STAGE_PREFIX}rows");
    let list = |of: &dyn Fn((usize, &Column)) -> String| job.columns.iter().enumerate().map(of).collect::<Vec<_>>().join(", ");
    let name = |column: &Column| SqliteDialect.name(&column.name);
    let (names, staged) = (list(&|(_, column)| name(column)), list(&|(at, _)| format!("c{at}")));

    let mut merge = Vec::new();
    if !job.relation.exists {
        let mut columns: Vec<_> = job.columns.iter().map(|column| format!("{} {}", name(column), column.sql_type)).collect();
        if job.mode == Mode::Upsert {
            let key: Vec<_> = job.key.iter().map(|key| SqliteDialect.name(key)).collect();
            columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        merge.push(format!("CREATE TABLE {target} ({})", columns.join(", ")));
    }
    let add = format!("INSERT INTO {target} ({names}) SELECT {staged} FROM {stage} WHERE true ORDER BY number");
    match (job.mode, job.key.is_empty()) {
        (Mode::Append, _) => merge.push(add),
        (Mode::Upsert, _) => merge.push(upsert(job, &add)),
        (Mode::Replace, false) if job.is_whole() => {
            // The target's column stands first: its collation and its preference decide.
            let same = |(at, column): (usize, &Column)| job.is_key(column).then(|| format!("t.{} = s.c{at}", name(column)));
            let same: Vec<_> = job.columns.iter().enumerate().filter_map(same).collect();
            merge.push(format!("DELETE FROM {target} AS t WHERE NOT EXISTS (SELECT 1 FROM {stage} AS s WHERE {})", same.join(" AND ")));
            merge.push(upsert(job, &add));
        }
        (Mode::Replace, is_without_key) => {
            merge.push(format!("DELETE FROM {target}"));
            merge.push(if is_without_key { add } else { upsert(job, &add) });
        }
    }
    let places = vec!["?"; job.columns.len() + 1].join(", ");
    Steps {
        before: vec![format!("CREATE TEMP TABLE {STAGE_PREFIX}rows (number INTEGER PRIMARY KEY, {staged})")],
        ingest: format!("INSERT INTO {stage} (number, {staged}) VALUES ({places})"),
        numbered: true,
        between: Vec::new(),
        merge,
    }
}

/// One row after another, so that the last of a key stays.
fn upsert(job: &Job, add: &str) -> String {
    let name = |column: &Column| SqliteDialect.name(&column.name);
    let key: Vec<_> = job.key.iter().map(|key| SqliteDialect.name(key)).collect();
    let others = || job.columns.iter().filter(|column| !job.is_key(column));
    let set: Vec<_> = others().map(|column| format!("{0} = excluded.{0}", name(column))).collect();
    if set.is_empty() {
        return format!("{add} ON CONFLICT ({}) DO NOTHING", key.join(", "));
    }
    // Whatever a collation holds for equal, a change is one.
    let table = SqliteDialect.name(&job.relation.name);
    let changed: Vec<_> = others().map(|column| format!("{table}.{0} COLLATE BINARY IS NOT excluded.{0}", name(column))).collect();
    format!("{add} ON CONFLICT ({}) DO UPDATE SET {} WHERE {}", key.join(", "), set.join(", "), changed.join(" OR "))
}
