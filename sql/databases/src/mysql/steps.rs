//! The SQL of a write.
//!
//! Rows of an append go into the target itself, in its transaction; all others by a temporary table. With a key it has that key, and a row replaces
//! an earlier one as it comes in: MySQL can name a temporary table once a statement, so the last of each key could not be found afterwards. The target is changed by a join on the key and never by ON
//! DUPLICATE KEY UPDATE, which takes a match of any unique index for the key's. A row that would not change is not written: MySQL compares it.

use arrow::datatypes::DataType;

use super::dialect::MysqlDialect;
use super::encode::Form;
use crate::dialect::Dialect;
use crate::relation::Column;
use crate::write::job::{Job, Mode};
use crate::write::path::{STAGE_PREFIX, Steps};

fn name(column: &Column) -> String {
    MysqlDialect.name(&column.name)
}

/// The statement that takes rows. What LOAD DATA meets of bytes are digits, which it turns back.
fn ingest(job: &Job, form: Form, stage: &str, is_keyed: bool) -> String {
    let is_binary = |column: &Column| form == Form::Lines && column.data_type == DataType::Binary;
    let places: Vec<_> =
        job.columns.iter().enumerate().map(|(at, column)| if is_binary(column) { format!("@b{at}") } else { name(column) }).collect();
    let places = places.join(", ");
    if form == Form::Literals {
        return format!("{} INTO {stage} ({places}) VALUES ", if is_keyed { "REPLACE" } else { "INSERT" });
    }
    let set = job.columns.iter().enumerate().filter(|(_, column)| is_binary(column));
    let set: Vec<_> = set.map(|(at, column)| format!("{} = UNHEX(@b{at})", name(column))).collect();
    format!(
        "LOAD DATA LOCAL INFILE 'rows'{} INTO TABLE {stage} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED \
         BY '\\n' ({places}){}{}",
        if is_keyed { " REPLACE" } else { "" },
        if set.is_empty() { "" } else { " SET " },
        set.join(", ")
    )
}

pub(super) fn steps(job: &Job, form: Form) -> Steps {
    let target = MysqlDialect.table(&job.relation);
    if job.mode == Mode::Append && job.relation.exists && !job.relation.is_view {
        let ingest = ingest(job, form, &target, false);
        return Steps { before: vec!["START TRANSACTION".into()], ingest, numbered: false, between: Vec::new(), merge: Vec::new() };
    }
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
    let ingest = ingest(job, form, &stage, !keys.is_empty());

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
