//! The tables of a ledger and their columns.
//!
//! In: nothing. Out: names and types, as Spark, Trino, DuckDB and pandas see them: text, binary, 64-bit numbers, instants of UTC. Each table is
//! partitioned by `sync`.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The column of partitions.
pub(super) const SYNC: &str = "sync";

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// What was sent: the last row of a key, by `seq`, counts.
    Rows,
    /// What each run did: the last row of a run, by `seq`, counts.
    Runs,
    /// Rows that were refused.
    DeadLetters,
}

impl Table {
    pub(super) const ALL: [Self; 3] = [Self::Rows, Self::Runs, Self::DeadLetters];

    /// Its folder.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Runs => "runs",
            Self::DeadLetters => "dead_letters",
        }
    }

    /// What it is for, as other engines show it.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Rows => "What each sync sent: the row of a key with the greatest seq counts.",
            Self::Runs => "What each run of a sync did: the row of a run_id with the greatest seq counts.",
            Self::DeadLetters => "Rows that were refused, and why.",
        }
    }

    /// The columns of its files: all but `sync`.
    pub(super) fn file_schema(self) -> &'static SchemaRef {
        match self {
            Self::Rows => &ROWS,
            Self::Runs => &RUNS,
            Self::DeadLetters => &DEAD_LETTERS,
        }
    }

    /// All columns, `sync` first.
    pub(super) fn schema(self) -> Schema {
        let sync = Arc::new(Field::new(SYNC, DataType::Utf8, false));
        Schema::new(std::iter::once(sync).chain(self.file_schema().fields().iter().cloned()).collect::<Vec<_>>())
    }
}

pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn schema(columns: &[(&str, DataType, Null)]) -> SchemaRef {
    let field = |(name, data_type, null): &(&str, DataType, Null)| Field::new(*name, data_type.clone(), *null == Null::Yes);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Null {
    Yes,
    No,
}

static ROWS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("key", DataType::Utf8, Null::No),
        ("key_hash", DataType::Binary, Null::No),
        ("payload_hash", DataType::Binary, Null::No),
        ("fate", DataType::Utf8, Null::No),
        ("code", DataType::Utf8, Null::Yes),
        ("run_id", DataType::Utf8, Null::No),
        ("seq", DataType::Int64, Null::No),
        ("updated_at", instant(), Null::No),
        ("removed", DataType::Boolean, Null::No),
    ])
});

static RUNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("run_id", DataType::Utf8, Null::No),
        ("seq", DataType::Int64, Null::No),
        ("status", DataType::Utf8, Null::No),
        ("mode", DataType::Utf8, Null::No),
        ("rows", DataType::Int64, Null::No),
        ("new", DataType::Int64, Null::No),
        ("changed", DataType::Int64, Null::No),
        ("removed", DataType::Int64, Null::No),
        ("unchanged", DataType::Int64, Null::No),
        ("held", DataType::Int64, Null::No),
        ("accepted", DataType::Int64, Null::No),
        ("rejected", DataType::Int64, Null::No),
        ("in_doubt", DataType::Int64, Null::No),
        ("unsent", DataType::Int64, Null::No),
        ("started_at", instant(), Null::No),
        ("finished_at", instant(), Null::Yes),
        ("error", DataType::Utf8, Null::Yes),
        ("notes", DataType::Utf8, Null::No),
        ("fields", DataType::Utf8, Null::No),
        ("query_hash", DataType::Utf8, Null::No),
        ("account", DataType::Utf8, Null::No),
        ("into", DataType::Utf8, Null::No),
        ("key", DataType::Utf8, Null::No),
        ("hash_version", DataType::Int64, Null::No),
        ("window_from", DataType::Utf8, Null::Yes),
        ("window_to", DataType::Utf8, Null::Yes),
        ("cursor", DataType::Utf8, Null::Yes),
    ])
});

static DEAD_LETTERS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("key", DataType::Utf8, Null::No),
        ("key_hash", DataType::Binary, Null::No),
        ("payload_hash", DataType::Binary, Null::No),
        ("record", DataType::Utf8, Null::No),
        ("code", DataType::Utf8, Null::Yes),
        ("reason", DataType::Utf8, Null::No),
        ("attempts", DataType::Int64, Null::No),
        ("first_at", instant(), Null::No),
        ("last_at", instant(), Null::No),
        ("run_id", DataType::Utf8, Null::No),
    ])
});
