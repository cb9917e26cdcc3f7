//! The SQL of a write.
//!
//! Rows go by a table of our own in the target's dataset, which ends by itself after a day if nobody is left to remove it. The target is changed
//! by one statement, so that it is as before or as after: its rights, its schema and its partitions stay. Of BigQuery no key is unique, so the
//! last row of each is looked for.

use arrow::datatypes::DataType;

use super::dialect::{BigqueryDialect, name};
use crate::dialect::Dialect;
use crate::relation::Column;
use crate::write::job::{Job, Mode};
use crate::write::path::Steps;

pub(super) fn steps(job: &Job, stage: &str, dialect: &BigqueryDialect) -> Steps {
    let sql = Sql { job, target: dialect.table(&job.relation), stage: dialect.table_of(&job.relation.schema, stage) };
    Steps {
        before: vec![sql.make_stage()],
        ingest: format!("LOAD PARQUET INTO {}", sql.stage),
        numbered: true,
        between: Vec::new(),
        merge: vec![sql.merge()],
    }
}

/// The column of a row's number, by a name that the target does not have.
pub(super) fn row_column(job: &Job) -> String {
    let mut row = "clevertap_row".to_owned();
    // Case makes no difference there.
    while job.relation.columns.iter().chain(&job.columns).any(|column| column.name.eq_ignore_ascii_case(&row)) {
        row.push('_');
    }
    row
}

struct Sql<'j> {
    job: &'j Job,
    target: String,
    stage: String,
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

impl Sql<'_> {
    fn make_stage(&self) -> String {
        let staged = |column: &Column| if column.is_cast { "STRING".to_owned() } else { column.sql_type.clone() };
        let columns = list(self.job.columns.iter().map(|column| format!("{} {}", name(&column.name), staged(column))));
        format!(
            "CREATE TABLE {} ({} INT64, {columns}) OPTIONS(expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 DAY))",
            self.stage,
            name(&row_column(self.job))
        )
    }

    fn merge(&self) -> String {
        let (job, target) = (self.job, &self.target);
        let names = list(job.columns.iter().map(|column| name(&column.name)));
        let values = list(job.columns.iter().map(value));
        let rows = if job.key.is_empty() { format!("{} AS s", self.stage) } else { self.last_of_each_key() };
        if !job.relation.exists {
            let mut columns: Vec<_> = job.columns.iter().map(|column| format!("{} {}", name(&column.name), column.sql_type)).collect();
            if job.mode == Mode::Upsert {
                columns.push(format!("PRIMARY KEY ({}) NOT ENFORCED", list(job.key.iter().map(|key| name(key)))));
            }
            let selected = list(job.columns.iter().map(|column| format!("{} AS {}", value(column), name(&column.name))));
            return format!("CREATE TABLE {target} ({}) AS SELECT {selected} FROM {rows}", columns.join(", "));
        }
        let add = format!("WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})");
        let remove = "WHEN NOT MATCHED BY SOURCE THEN DELETE";
        match (job.mode, job.key.is_empty()) {
            (Mode::Append, _) => format!("INSERT INTO {target} ({names}) SELECT {values} FROM {rows}"),
            (Mode::Upsert, _) => format!("MERGE INTO {target} AS t USING {rows} ON {}{} {add}", self.same_key(), self.change()),
            // No row of the source is one of the target's: its keys are not enforced, and two of one would both stay.
            (Mode::Replace, _) => format!("MERGE INTO {target} AS t USING {rows} ON FALSE {add} {remove}"),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Column> {
        self.job.key.iter().filter_map(|key| self.job.columns.iter().find(|column| column.name == *key))
    }

    fn same_key(&self) -> String {
        self.keys().map(|column| format!("t.{} = {}", name(&column.name), value(column))).collect::<Vec<_>>().join(" AND ")
    }

    fn last_of_each_key(&self) -> String {
        let key = list(self.keys().map(value));
        let row = name(&row_column(self.job));
        format!(
            "(SELECT * FROM {} AS s WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY s.{row} DESC) = 1) AS s",
            self.stage
        )
    }

    /// A row that would not change is not written.
    fn change(&self) -> String {
        let others: Vec<_> = self.job.columns.iter().filter(|column| !self.job.is_key(column)).collect();
        if others.is_empty() {
            return String::new();
        }
        let differs = |column: &&Column| {
            let target = format!("t.{}", name(&column.name));
            format!("{} IS DISTINCT FROM {}", exact(column, &target), exact(column, &value(column)))
        };
        let changed: Vec<_> = others.iter().map(differs).collect();
        let set = list(others.iter().map(|column| format!("{} = {}", name(&column.name), value(column))));
        format!(" WHEN MATCHED AND ({}) THEN UPDATE SET {set}", changed.join(" OR "))
    }
}

/// The staged value, in the column's own type.
fn value(column: &Column) -> String {
    let staged = format!("s.{}", name(&column.name));
    match column.sql_type.as_str() {
        _ if !column.is_cast => staged,
        "JSON" => format!("PARSE_JSON({staged})"),
        "GEOGRAPHY" => format!("ST_GEOGFROMTEXT({staged})"),
        sql_type => format!("CAST({staged} AS {sql_type})"),
    }
}

/// What is compared in place of a value that may be equal to another one, or to none.
fn exact(column: &Column, value: &str) -> String {
    match (&column.data_type, column.sql_type.as_str()) {
        _ if !column.is_loosely_equal => value.to_owned(),
        (_, "JSON") | (DataType::List(_) | DataType::Struct(_), _) => format!("TO_JSON_STRING({value})"),
        (_, "GEOGRAPHY") => format!("ST_ASTEXT({value})"),
        (_, "STRING") => format!("CAST({value} AS BYTES)"),
        _ => format!("CAST({value} AS STRING)"),
    }
}
