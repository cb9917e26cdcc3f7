//! The SQL of a write.
//!
//! Redshift's keys are not enforced, and it has no upsert that a PostgreSQL has too: rows of the target that change are deleted, and the new ones
//! added, in one transaction. Never TRUNCATE, which commits. Of the staging table first all rows of a key but the last are taken away, then those
//! that the target has already.

use arrow::datatypes::DataType;

use super::dialect::RedshiftDialect;
use crate::dialect::Dialect;
use crate::relation::{Column, Comparison};
use crate::write::job::{Job, Mode};
use crate::write::path::{STAGE_PREFIX, Steps};

/// How rows come into the staging table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'w> {
    /// As VALUES of INSERTs.
    Values,
    /// As files of Parquet of this URL, by a role.
    Files { url: &'w str, role: &'w str },
}

fn name(column: &Column) -> String {
    RedshiftDialect.name(&column.name)
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

pub(super) fn steps(job: &Job, way: Way<'_>) -> Steps {
    Sql { job, target: RedshiftDialect.table(&job.relation), stage: format!("{STAGE_PREFIX}rows") }.steps(way)
}

/// What a column has in the staging table. A file of Parquet has no column of some types: those are texts there.
pub(super) fn staged_type(column: &Column) -> String {
    match &column.data_type {
        _ if column.is_cast => "varchar(65535)".to_owned(),
        DataType::Time64(_) => "varchar(20)".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        _ => column.sql_type.clone(),
    }
}

/// The column of a row's number, by a name that the target does not have.
pub(super) fn row_column(job: &Job) -> String {
    let mut row = "clevertap_row".to_owned();
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

impl Sql<'_> {
    fn steps(&self, way: Way<'_>) -> Steps {
        let (job, stage) = (self.job, &self.stage);
        let mut before = Vec::new();
        if !job.relation.exists {
            let mut columns: Vec<_> = job.columns.iter().map(|column| format!("{} {}", name(column), column.sql_type)).collect();
            if job.mode == Mode::Upsert {
                columns.push(format!("PRIMARY KEY ({})", list(self.keys().map(name))));
            }
            before.push(format!("CREATE TABLE {} ({})", self.target, columns.join(", ")));
        }
        let row = RedshiftDialect.name(&row_column(job));
        let staged = list(job.columns.iter().map(|column| format!("{} {}", name(column), staged_type(column))));
        before.push(format!("CREATE TEMP TABLE {stage} ({row} bigint, {staged})"));
        let ingest = match way {
            Way::Values => format!("INSERT INTO {stage} ({row}, {}) VALUES ", list(job.columns.iter().map(name))),
            Way::Files { url, role } => {
                let role = if role == "default" { "default".to_owned() } else { crate::dialect::quoted(role, '\'') };
                format!("COPY {stage} FROM {} IAM_ROLE {role} FORMAT AS PARQUET", crate::dialect::quoted(url, '\''))
            }
        };
        Steps { before, ingest, numbered: true, between: Vec::new(), merge: self.merge() }
    }

    fn merge(&self) -> Vec<String> {
        let (job, target, stage) = (self.job, &self.target, &self.stage);
        let names = list(job.columns.iter().map(name));
        let values = list(job.columns.iter().map(|column| self.value(column)));
        let add = format!("INSERT INTO {target} ({names}) SELECT {values} FROM {stage}");
        let mut steps = Vec::new();
        if !job.key.is_empty() {
            steps.push(self.last_of_each_key());
        }
        match job.mode {
            Mode::Append => steps.push(add),
            Mode::Replace => steps.extend([format!("DELETE FROM {target}"), add]),
            Mode::Upsert if job.is_whole() => {
                steps.extend([self.forget_the_same(), format!("DELETE FROM {target} USING {stage} WHERE {}", self.same_key()), add]);
            }
            // Columns that are not written stay as they are.
            Mode::Upsert => {
                let others: Vec<_> = self.others().collect();
                if !others.is_empty() {
                    let set = list(others.iter().map(|column| format!("{} = {}", name(column), self.value(column))));
                    let same = self.is_same().map_or_else(String::new, |same| format!(" AND NOT coalesce({same}, false)"));
                    steps.push(format!("UPDATE {target} SET {set} FROM {stage} WHERE {}{same}", self.same_key()));
                }
                steps.push(format!("{add} WHERE NOT EXISTS (SELECT 1 FROM {target} WHERE {})", self.same_key()));
            }
        }
        steps
    }

    fn keys(&self) -> impl Iterator<Item = &Column> {
        self.job.key.iter().filter_map(|key| self.job.columns.iter().find(|column| column.name == *key))
    }

    fn others(&self) -> impl Iterator<Item = &Column> {
        self.job.columns.iter().filter(|column| !self.job.is_key(column))
    }

    /// The staged value, in the column's own type.
    fn value(&self, column: &Column) -> String {
        let staged = format!("{}.{}", self.stage, name(column));
        match (&column.data_type, column.sql_type.as_str()) {
            (_, "super") => format!("json_parse({staged})"),
            (DataType::Timestamp(_, Some(_)), _) => format!("({staged} AT TIME ZONE 'UTC')"),
            (DataType::Time64(_), sql_type) => format!("{staged}::{sql_type}"),
            (_, sql_type) if column.is_cast => format!("{staged}::{sql_type}"),
            _ => staged,
        }
    }

    fn own(&self, column: &Column) -> String {
        format!("{}.{}", self.target, name(column))
    }

    fn same_key(&self) -> String {
        self.keys().map(|column| format!("{} = {}", self.own(column), self.value(column))).collect::<Vec<_>>().join(" AND ")
    }

    fn last_of_each_key(&self) -> String {
        let (stage, row) = (&self.stage, RedshiftDialect.name(&row_column(self.job)));
        let keys = list(self.keys().map(name));
        let same: Vec<_> = self.keys().map(|column| format!("{stage}.{0} = last_rows.{0}", name(column))).collect();
        format!(
            "DELETE FROM {stage} USING (SELECT {keys}, max({row}) AS last_row FROM {stage} GROUP BY {keys}) AS last_rows WHERE {} AND {stage}.{row} < last_rows.last_row",
            same.join(" AND ")
        )
    }

    /// Whether a row of the target is as the staged one. NULL, or no condition, if it is not known.
    fn is_same(&self) -> Option<String> {
        let same = |column: &Column| {
            let (own, staged) = (self.own(column), self.value(column));
            // Equal is not the same: 0 and -0; a text and one with blanks behind it, or of other case. Nor is what is written alike: a double
            // may have more digits.
            let exact = match column.comparison {
                Comparison::Text => format!("md5({own}) = md5({staged})"),
                _ if column.is_loosely_equal => format!("{own} = {staged} AND {own}::varchar = {staged}::varchar"),
                _ => format!("{own} = {staged}"),
            };
            format!("({exact} OR ({own} IS NULL AND {staged} IS NULL))")
        };
        // Of types that are texts here none is known to be compared there.
        self.others()
            .all(|column| !column.is_cast)
            .then(|| self.others().map(same).collect::<Vec<_>>().join(" AND "))
            .filter(|same| !same.is_empty())
    }

    /// Rows that the target has already are not written again.
    fn forget_the_same(&self) -> String {
        let (target, stage) = (&self.target, &self.stage);
        let is_known = self.others().all(|column| !column.is_cast);
        let same = self.is_same().map_or_else(String::new, |same| format!(" AND {same}"));
        let rest = if is_known { same } else { " AND false".to_owned() };
        format!("DELETE FROM {stage} USING {target} WHERE {}{rest}", self.same_key())
    }
}
