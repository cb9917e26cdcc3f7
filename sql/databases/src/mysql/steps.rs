//! The SQL of a write.
//!
//! Rows go by a temporary table always. With a key it has that key, and a row replaces an earlier one as it comes in: MySQL can name a temporary
//! table once a statement, so the last of each key could not be found afterwards. The target is changed by a join on the key and never by ON
//! DUPLICATE KEY UPDATE, which takes a match of any unique index for the key's. A row that would not change is not written: MySQL compares it.

use super::dialect::MysqlDialect;
use crate::dialect::Dialect;
use crate::relation::Column;
use crate::write::job::{Job, Mode};
use crate::write::path::{STAGE_PREFIX, Steps};

fn name(column: &Column) -> String {
    MysqlDialect.name(&column.name)
}

pub(super) fn steps(job: &Job) -> Steps {
    let target = MysqlDialect.table(&job.relation);
    let stage = format!("{}.{STAGE_PREFIX}rows", MysqlDialect.name(&job.relation.schema));
    let list = |of: &dyn Fn(&Column) -> String| job.columns.iter().map(of).collect::<Vec<_>>().join(", ");
    let names = list(&name);
    let keys: Vec<_> = job.key.iter().map(|key| MysqlDialect.name(key)).collect();
    let mut between = Vec::new();
    let made = |of: &Column| format!("{} {}", name(of), of.sql_type);
    let staged_table = if job.relation.exists {
        let key = if keys.is_empty() { String::new() } else { format!(" (PRIMARY KEY ({}))", keys.join(", ")) };
        format!("CREATE TEMPORARY TABLE {stage}{key} ENGINE = InnoDB AS SELECT {names} FROM {target} LIMIT 0")
    } else {
        // A CREATE TABLE commits.
        let key = if keys.is_empty() { String::new() } else { format!(", PRIMARY KEY ({})", keys.join(", ")) };
        between.push(format!("CREATE TABLE {target} ({}{key}) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4", list(&made)));
        format!("CREATE TEMPORARY TABLE {stage} ({}{key}) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4", list(&made))
    };
    let ingest = format!("{} INTO {stage} ({names}) VALUES ", if keys.is_empty() { "INSERT" } else { "REPLACE" });

    let staged = list(&|column| format!("s.{}", name(column)));
    let same: Vec<_> = keys.iter().map(|key| format!("t.{key} = s.{key}")).collect();
    let same = same.join(" AND ");
    let add = format!("INSERT INTO {target} ({names}) SELECT {staged} FROM {stage} AS s");
    let upsert = || {
        let set: Vec<_> =
            job.columns.iter().filter(|column| !job.is_key(column)).map(|column| format!("t.{0} = s.{0}", name(column))).collect();
        let change = format!("UPDATE {target} AS t JOIN {stage} AS s ON {same} SET {}", set.join(", "));
        let add_new = format!("{add} LEFT JOIN {target} AS t ON {same} WHERE t.{} IS NULL", keys.first().map_or("", String::as_str));
        if set.is_empty() { vec![add_new] } else { vec![change, add_new] }
    };
    let merge = match (job.mode, keys.is_empty()) {
        (Mode::Append, _) => vec![add],
        (Mode::Upsert, _) => upsert(),
        (Mode::Replace, false) if job.is_whole() => {
            let gone = format!("DELETE t FROM {target} AS t LEFT JOIN {stage} AS s ON {same} WHERE s.{} IS NULL", keys[0]);
            [vec![gone], upsert()].concat()
        }
        // Never TRUNCATE, which commits.
        (Mode::Replace, _) => vec![format!("DELETE FROM {target}"), add],
    };
    Steps { before: vec![staged_table], ingest, numbered: false, between, merge }
}
