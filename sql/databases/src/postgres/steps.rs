//! The SQL of a write.
//!
//! An append whose columns COPY takes as they are goes into the target itself: the transaction hides it until it is whole, and the staging table
//! would cost as much again. All else goes by a temporary table, which ends with the transaction. Only the last row of each key is used, and a
//! row that would not change is not written.

use arrow::datatypes::DataType;

use super::dialect::PostgresDialect;
use crate::dialect::Dialect;
use crate::relation::Column;
use crate::write::job::{Job, Mode};
use crate::write::path::{STAGE_PREFIX, Steps};

pub(super) fn steps(job: &Job) -> Steps {
    Sql { job, target: PostgresDialect.table(&job.relation) }.steps()
}

/// Counts the staged rows.
pub(super) fn count(job: &Job) -> String {
    format!("SELECT count(*) FROM {}", Sql { job, target: String::new() }.stage())
}

/// Casts a column of the staged rows from one number to another, and so fails if one of them cannot be cast.
pub(super) fn cast(job: &Job, column: &Column, first: u64, last: u64) -> String {
    let sql = Sql { job, target: String::new() };
    format!("SELECT count({}) FROM {} AS s WHERE s.{} BETWEEN {first} AND {last}", Sql::value(column), sql.stage(), sql.row())
}

struct Sql<'j> {
    job: &'j Job,
    target: String,
}

fn name(column: &Column) -> String {
    PostgresDialect.name(&column.name)
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

impl Sql<'_> {
    fn steps(&self) -> Steps {
        let (job, target) = (self.job, &self.target);
        let mut before = Vec::new();
        if !job.relation.exists {
            let mut columns: Vec<_> = job.columns.iter().map(|column| format!("{} {}", name(column), column.sql_type)).collect();
            if job.mode == Mode::Upsert {
                columns.push(format!("PRIMARY KEY ({})", self.key_names()));
            }
            before.push(format!("CREATE TABLE {target} ({})", columns.join(", ")));
        }
        let names = list(job.columns.iter().map(name));
        if job.mode == Mode::Append && !job.relation.is_view && job.columns.iter().all(|column| !column.is_cast) {
            let ingest = format!("COPY {target} ({names}) FROM STDIN (FORMAT binary)");
            return Steps { before, ingest, numbered: false, between: Vec::new(), merge: Vec::new() };
        }
        let staged = |column: &Column| match (&column.data_type, column.is_cast) {
            (DataType::List(_), true) => format!("NULL::text[] AS {}", name(column)),
            (_, true) => format!("NULL::text AS {}", name(column)),
            (_, false) => name(column),
        };
        let (stage, row) = (self.stage(), self.row());
        let staged = list(job.columns.iter().map(staged));
        before.push(format!(
            "CREATE TEMPORARY TABLE {stage} ON COMMIT DROP AS SELECT 0::bigint AS {row}, {staged} FROM {target} WHERE false"
        ));
        let ingest = format!("COPY {stage} ({row}, {names}) FROM STDIN (FORMAT binary)");
        Steps { before, ingest, numbered: true, between: Vec::new(), merge: self.merge() }
    }

    fn stage(&self) -> String {
        format!("{STAGE_PREFIX}rows")
    }

    /// The column of a row's number, by a name that the target does not have.
    fn row(&self) -> String {
        let mut row = "clevertap_row".to_owned();
        while self.job.relation.column(&row).is_some() {
            row.push('_');
        }
        row
    }

    fn merge(&self) -> Vec<String> {
        let (target, stage) = (&self.target, self.stage());
        // Readers go on; another writer waits.
        let lock = format!("LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE");
        let analyze = format!("ANALYZE {stage}");
        let add_all = self.insert(&format!("{stage} AS s"), &format!(" ORDER BY s.{}", self.row()));
        match (self.job.mode, self.job.key.is_empty()) {
            (Mode::Append, _) => vec![add_all],
            (Mode::Replace, false) if self.job.is_whole() => {
                let gone = format!("DELETE FROM {target} AS t WHERE NOT EXISTS (SELECT FROM {stage} AS s WHERE {})", self.same_key());
                [vec![lock, analyze, gone], self.upsert()].concat()
            }
            (Mode::Replace, is_without_key) => {
                let rows = if is_without_key { add_all } else { self.insert(&self.last_of_each_key(), "") };
                vec![lock, format!("DELETE FROM {target}"), rows]
            }
            (Mode::Upsert, _) if self.is_primary_key() => [vec![analyze], self.upsert()].concat(),
            (Mode::Upsert, _) => {
                let last = self.last_of_each_key();
                let mut steps = vec![lock, analyze];
                if let Some(changed) = self.changed(Self::value) {
                    let set = list(self.others().map(|column| format!("{} = {}", name(column), Self::value(column))));
                    steps.push(format!("UPDATE {target} AS t SET {set} FROM {last} WHERE {} AND ({changed})", self.same_key()));
                }
                let is_new = format!(" WHERE NOT EXISTS (SELECT FROM {target} AS t WHERE {})", self.same_key());
                steps.push(self.insert(&last, &is_new));
                steps
            }
        }
    }

    fn upsert(&self) -> Vec<String> {
        let excluded = |column: &Column| format!("excluded.{}", name(column));
        let what = match self.changed(excluded) {
            None => "DO NOTHING".to_owned(),
            Some(changed) => {
                let set = list(self.others().map(|column| format!("{} = {}", name(column), excluded(column))));
                format!("DO UPDATE SET {set} WHERE {changed}")
            }
        };
        vec![self.insert(&self.last_of_each_key(), &format!(" ON CONFLICT ({}) {what}", self.key_names()))]
    }

    fn insert(&self, from: &str, rest: &str) -> String {
        let names = list(self.job.columns.iter().map(name));
        let values = list(self.job.columns.iter().map(Self::value));
        format!("INSERT INTO {} AS t ({names}) SELECT {values} FROM {from}{rest}", self.target)
    }

    /// The staged value, in the column's own type.
    fn value(column: &Column) -> String {
        let staged = format!("s.{}", name(column));
        match column.sql_type.as_str() {
            _ if !column.is_cast => staged,
            // A cast with a length cuts what is longer; the column itself refuses it.
            sql_type if sql_type.starts_with("bit varying") => format!("{staged}::varbit"),
            sql_type if sql_type.starts_with("bit") => format!("{staged}::\"bit\""),
            sql_type => format!("{staged}::{sql_type}"),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Column> {
        self.job.key.iter().filter_map(|key| self.job.columns.iter().find(|column| column.name == *key))
    }

    fn others(&self) -> impl Iterator<Item = &Column> {
        self.job.columns.iter().filter(|column| !self.job.is_key(column))
    }

    fn key_names(&self) -> String {
        list(self.keys().map(name))
    }

    fn is_primary_key(&self) -> bool {
        let (key, primary) = (&self.job.key, &self.job.relation.key);
        !self.job.relation.exists || (key.len() == primary.len() && key.iter().all(|name| primary.contains(name)))
    }

    fn same_key(&self) -> String {
        self.keys().map(|column| format!("t.{} = {}", name(column), Self::value(column))).collect::<Vec<_>>().join(" AND ")
    }

    /// Sorted by key too, so that two writers lock rows in one order.
    fn last_of_each_key(&self) -> String {
        let key = list(self.keys().map(Self::value));
        format!("(SELECT DISTINCT ON ({key}) * FROM {} AS s ORDER BY {key}, s.{} DESC) AS s", self.stage(), self.row())
    }

    /// Whether a row would become another. Equal is not the same: `A` and `a` under some collations, 0 and -0, a day and 24 hours.
    fn changed(&self, value: impl Fn(&Column) -> String) -> Option<String> {
        let differs = |column: &Column| {
            let exact = |value: String| match &column.data_type {
                _ if !column.is_loosely_equal => value,
                DataType::Float32 => format!("pg_catalog.float4send({value})"),
                DataType::Float64 => format!("pg_catalog.float8send({value})"),
                _ => format!("({value})::text COLLATE \"C\""),
            };
            format!("{} IS DISTINCT FROM {}", exact(format!("t.{}", name(column))), exact(value(column)))
        };
        let differences: Vec<_> = self.others().map(differs).collect();
        (!differences.is_empty()).then(|| differences.join(" OR "))
    }
}
