//! The SQL of a write.
//!
//! Rows go by a staging table always, since no driver's ingest is whole or nothing. In it a row's number leads, and columns are `C0`, `C1` … of
//! the target's own types, or texts where the driver has no better form. From it one statement goes to Snowflake's target, and one transaction to
//! the others'. Snowflake's staging table is transient and not temporary: it is dropped at the end, whatever the end is.

use arrow::datatypes::DataType;

use super::dialect::Sql;
use super::vendor::Vendor;
use crate::dialect::Dialect;
use crate::relation::Column;
use crate::write::job::{Job, Mode};
use crate::write::path::{STAGE_PREFIX, Steps};

/// The column of a row's number.
pub(super) const ROW: &str = "CLEVERTAP_ROW";

/// The column that is staged for the target's column at this place.
pub(super) fn staged(at: usize) -> String {
    format!("C{at}")
}

/// The name of a staging table, as its database stores names.
pub(super) fn stage(vendor: Vendor, number: &str) -> String {
    let name = format!("{STAGE_PREFIX}{number}");
    if vendor == Vendor::Snowflake { name.to_ascii_uppercase() } else { name }
}

/// Whether a column is staged as text, and cast on its way to the target.
pub(super) fn is_staged_as_text(vendor: Vendor, column: &Column) -> bool {
    column.is_cast || vendor == Vendor::Postgres && column.data_type.is_decimal()
}

/// The steps of a job by the staging table of this name.
pub(super) fn steps(job: &Job, vendor: Vendor, stage: &str) -> Steps {
    Writer { job, vendor, dialect: Sql::of(vendor), target: Sql::of(vendor).table(&job.relation), stage: place(job, vendor, stage) }.steps()
}

/// The staging table with its schema, if it has one.
pub(super) fn place(job: &Job, vendor: Vendor, stage: &str) -> String {
    let dialect = Sql::of(vendor);
    match vendor {
        Vendor::Snowflake => format!("{}.{}", dialect.schema(&job.relation), dialect.name(stage)),
        Vendor::Sqlite => format!("temp.{}", dialect.name(stage)),
        _ => dialect.name(stage),
    }
}

struct Writer<'j> {
    job: &'j Job,
    vendor: Vendor,
    dialect: &'static Sql,
    target: String,
    stage: String,
}

impl Writer<'_> {
    fn list(&self, of: impl Fn(usize, &Column) -> String) -> String {
        self.job.columns.iter().enumerate().map(|(at, column)| of(at, column)).collect::<Vec<_>>().join(", ")
    }

    fn names(&self) -> String {
        self.list(|_, column| self.dialect.column(column))
    }

    fn key(&self) -> Vec<(usize, &Column)> {
        self.job.columns.iter().enumerate().filter(|(_, column)| self.job.is_key(column)).collect()
    }

    fn others(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.job.columns.iter().enumerate().filter(|(_, column)| !self.job.is_key(column))
    }

    fn key_names(&self) -> String {
        self.key().iter().map(|(_, column)| self.dialect.column(column)).collect::<Vec<_>>().join(", ")
    }

    fn steps(&self) -> Steps {
        let ingest = format!("INGEST INTO {} ({ROW}, {})", self.stage, self.list(|at, _| staged(at)));
        Steps { before: vec![self.create_stage()], ingest, numbered: true, between: Vec::new(), merge: self.merge() }
    }

    fn create_stage(&self) -> String {
        let stage = &self.stage;
        let text = if self.vendor == Vendor::Snowflake { "VARCHAR" } else { "text" };
        let kind = if self.vendor == Vendor::Snowflake { "TRANSIENT" } else { "TEMPORARY" };
        if self.vendor == Vendor::Sqlite {
            // No types: values stay what they are until the target takes them.
            return format!("CREATE {kind} TABLE {stage} ({ROW} INTEGER PRIMARY KEY, {})", self.list(|at, _| staged(at)));
        }
        let quoted = |at| self.dialect.name(&staged(at));
        if self.job.relation.exists {
            let column = |at, column: &Column| match is_staged_as_text(self.vendor, column) {
                true => format!("CAST(NULL AS {text}) AS {}", quoted(at)),
                false => format!("t.{} AS {}", self.dialect.column(column), quoted(at)),
            };
            let row = self.dialect.name(ROW);
            let number = if self.vendor == Vendor::Snowflake { "NUMBER(38,0)" } else { "bigint" };
            return format!(
                "CREATE {kind} TABLE {stage} AS SELECT CAST(0 AS {number}) AS {row}, {} FROM {} AS t WHERE 1 = 0",
                self.list(column),
                self.target
            );
        }
        let column = |at, column: &Column| match is_staged_as_text(self.vendor, column) {
            true => format!("{} {text}", quoted(at)),
            false => format!("{} {}", quoted(at), column.sql_type),
        };
        let number = if self.vendor == Vendor::Snowflake { "NUMBER(38,0)" } else { "bigint" };
        format!("CREATE {kind} TABLE {stage} ({} {number}, {})", self.dialect.name(ROW), self.list(column))
    }

    /// The staged value in the column's own type.
    fn value(&self, at: usize, column: &Column) -> String {
        let name = if self.vendor == Vendor::Sqlite { staged(at) } else { self.dialect.name(&staged(at)) };
        if !is_staged_as_text(self.vendor, column) {
            return name;
        }
        match (self.vendor, column.sql_type.as_str()) {
            (Vendor::Snowflake, "VARIANT") => format!("PARSE_JSON({name})"),
            (Vendor::Snowflake, other) if other.starts_with("OBJECT") || other.starts_with("ARRAY") => {
                format!("PARSE_JSON({name})::{other}")
            }
            (Vendor::Snowflake, other) if other.starts_with("GEO") => format!("TO_{other}({name})"),
            (_, other) => format!("CAST({name} AS {other})"),
        }
    }

    /// All staged rows, or the last of each key.
    fn rows(&self) -> String {
        let values = |names: bool| {
            self.list(|at, column| {
                if names { format!("{} AS {}", self.value(at, column), self.dialect.name(&staged(at))) } else { self.value(at, column) }
            })
        };
        let row = self.dialect.name(ROW);
        if self.job.key.is_empty() {
            return format!("SELECT {} FROM {} ORDER BY {row}", values(false), self.stage);
        }
        let key: Vec<_> = self.key().iter().map(|(at, column)| self.value(*at, column)).collect();
        let key = key.join(", ");
        match self.vendor {
            Vendor::Snowflake => format!(
                "SELECT {} FROM {} QUALIFY ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {row} DESC) = 1",
                values(true),
                self.stage
            ),
            Vendor::Postgres => format!("SELECT DISTINCT ON ({key}) {} FROM {} ORDER BY {key}, {row} DESC", values(false), self.stage),
            // One row after another, so that the last of a key stays; WHERE keeps ON CONFLICT from being read as ON of a join.
            _ => format!("SELECT {} FROM {} WHERE true ORDER BY {ROW}", values(false), self.stage),
        }
    }

    fn merge(&self) -> Vec<String> {
        if self.vendor == Vendor::Snowflake {
            return vec![self.snowflake()];
        }
        let mut steps = Vec::new();
        if !self.job.relation.exists {
            let mut columns: Vec<_> =
                self.job.columns.iter().map(|column| format!("{} {}", self.dialect.column(column), column.sql_type)).collect();
            if self.job.mode == Mode::Upsert {
                columns.push(format!("PRIMARY KEY ({})", self.key_names()));
            }
            steps.push(format!("CREATE TABLE {} ({})", self.target, columns.join(", ")));
        }
        if self.vendor == Vendor::Postgres && self.job.mode != Mode::Append {
            // Readers go on; another writer waits.
            steps.push(format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", self.target));
        }
        let add = format!("INSERT INTO {} ({}) {}", self.target, self.names(), self.rows());
        match self.job.mode {
            Mode::Append => steps.push(add),
            Mode::Replace => {
                steps.push(format!("DELETE FROM {}", self.target));
                let is_by_key = !self.job.key.is_empty() && self.vendor == Vendor::Sqlite;
                steps.push(if is_by_key { format!("{add} {}", self.on_conflict()) } else { add });
            }
            Mode::Upsert => steps.push(format!("{add} {}", self.on_conflict())),
        }
        steps
    }

    fn on_conflict(&self) -> String {
        let set: Vec<_> = self.others().map(|(_, column)| format!("{0} = excluded.{0}", self.dialect.column(column))).collect();
        if set.is_empty() {
            return format!("ON CONFLICT ({}) DO NOTHING", self.key_names());
        }
        let table = self.dialect.name(&self.job.relation.name);
        // Equal is not the same: `A` and `a` under some collations, 0 and -0.
        let changed = |column: &Column| {
            let (there, here) = (format!("{table}.{}", self.dialect.column(column)), format!("excluded.{}", self.dialect.column(column)));
            match self.vendor {
                Vendor::Sqlite => format!("{there} COLLATE BINARY IS NOT {here}"),
                _ if column.is_loosely_equal => {
                    format!("CAST({there} AS text) COLLATE \"C\" IS DISTINCT FROM CAST({here} AS text) COLLATE \"C\"")
                }
                _ => format!("{there} IS DISTINCT FROM {here}"),
            }
        };
        let changed: Vec<_> = self.others().map(|(_, column)| changed(column)).collect();
        format!("ON CONFLICT ({}) DO UPDATE SET {} WHERE {}", self.key_names(), set.join(", "), changed.join(" OR "))
    }

    /// One statement, which is its own transaction.
    fn snowflake(&self) -> String {
        let (target, rows) = (&self.target, self.rows());
        if !self.job.relation.exists {
            let columns = self.list(|at, column| format!("s.{} AS {}", self.dialect.name(&staged(at)), self.dialect.column(column)));
            let named = if self.job.key.is_empty() {
                let values = self.list(|at, column| format!("{} AS {}", self.value(at, column), self.dialect.name(&staged(at))));
                format!("SELECT {values} FROM {}", self.stage)
            } else {
                rows
            };
            return format!("CREATE TABLE {target} AS SELECT {columns} FROM ({named}) AS s");
        }
        match self.job.mode {
            Mode::Append => format!("INSERT INTO {target} ({}) {rows}", self.names()),
            Mode::Replace => format!("INSERT OVERWRITE INTO {target} ({}) {rows}", self.names()),
            Mode::Upsert => {
                let staged = |at| format!("s.{}", self.dialect.name(&staged(at)));
                let pair =
                    |(at, column): (usize, &Column), between: &str| format!("t.{}{between}{}", self.dialect.column(column), staged(at));
                let same: Vec<_> = self.key().into_iter().map(|key| pair(key, " = ")).collect();
                let set: Vec<_> = self.others().map(|other| pair(other, " = ")).collect();
                // Of a column with a collation a change would not be seen.
                let is_seen = self.others().all(|(_, column)| !column.is_loosely_equal);
                let changed: Vec<_> = self.others().map(|other| pair(other, " IS DISTINCT FROM ")).collect();
                let changed = if is_seen { format!(" AND ({})", changed.join(" OR ")) } else { String::new() };
                let update =
                    if set.is_empty() { String::new() } else { format!(" WHEN MATCHED{changed} THEN UPDATE SET {}", set.join(", ")) };
                let values = self.list(|at, _| staged(at));
                format!(
                    "MERGE INTO {target} AS t USING ({rows}) AS s ON {}{update} WHEN NOT MATCHED THEN INSERT ({}) VALUES ({values})",
                    same.join(" AND "),
                    self.names()
                )
            }
        }
    }
}

/// Why a job cannot be written here, if it cannot.
pub(super) fn refusal(job: &Job, vendor: Vendor, product: &str) -> Option<String> {
    if matches!(vendor, Vendor::Other(_)) {
        return Some(format!(
            "nothing is known here of transactions and MERGE of {product}, so its tables are read only; Snowflake, PostgreSQL and SQLite are written"
        ));
    }
    let is_unwritten = |column: &&Column| match vendor {
        Vendor::Sqlite => column.is_cast && job.relation.exists,
        Vendor::Snowflake => ["MAP", "VECTOR"].iter().any(|word| column.sql_type.starts_with(word)),
        _ => matches!(column.data_type, DataType::List(_)),
    };
    let column = job.columns.iter().find(is_unwritten)?;
    let remedy = if vendor == Vendor::Sqlite { "; url = \"sqlite:FILE\" instead of the driver writes it" } else { "" };
    Some(format!("column \"{}\" is {}, which is not written by this driver{remedy}", crate::error::shown(&column.name), column.sql_type))
}
