//! What the first pass learnt of a file.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use super::facts::Facts;
use super::options::{Options, Types};
use super::settle::{Settled, plain, settle};
use super::structure::Dialect;
use crate::error::TextError;

/// A column. Whatever its type, it is read as text too, with its cells' own characters: `1.5` in a column of decimals that also has `1.10`.
///
/// A type is that of every cell that is not empty:
///
/// | type | cells |
/// |---|---|
/// | `Int64` | `0`, `-7`; not `007`, `+7`, `-0`, `1E5` |
/// | `Decimal128` | with a point, or beyond `Int64`; up to 38 digits |
/// | `Boolean` | `true false`, or `True False`, or `TRUE FALSE` |
/// | `Date32` | `2026-01-05`, real days |
/// | `Timestamp` | `2026-01-05 10:00:00[.fff]`, also with `T`; all without a zone, or all with one: `Z`, `+05:30`, ` UTC`, ` Europe/Berlin` |
/// | `Utf8View` | all others, days mixed with times among them, and columns without a value |
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Column {
    /// From the header.
    pub name: String,
    /// The type of all cells.
    pub data_type: DataType,
    /// Why it is text, where its author may have thought otherwise; and marks for no value that are read as text.
    pub warnings: Vec<TextError>,
    /// The column's place in its file.
    pub(crate) source: usize,
    pub(crate) facts: Facts,
}

impl Column {
    /// Settles what the column is. What is told of it calls it `told_as`.
    pub(crate) fn settle(name: String, told_as: &str, source: usize, facts: Facts, types: Types) -> Self {
        let settled = match types {
            Types::Exact => settle(told_as, &facts),
            Types::Text => plain(told_as, &facts),
        };
        let Settled { data_type, warnings } = settled;
        Self { name, data_type, warnings, source, facts }
    }
}

/// Where a record begins: the second pass may start there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Bytes before it.
    pub offset: u64,
    /// Rows before it.
    pub row: u64,
    /// Its line, the first being 1.
    pub line: u64,
}

/// What a file is: made by [`Scan`](super::Scan), needed by [`Rows`](super::Rows).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Layout {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Its columns; none if the file is empty.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Where ranges begin that may be read at the same time. The first is the first row's; each next one is at least 8 MiB behind.
    pub splits: Vec<Split>,
    /// What to know of its structure and its names. What to know of a type stands at its [`Column`].
    pub warnings: Vec<TextError>,
    pub(crate) dialect: Dialect,
    /// Cells of a record.
    pub(crate) cells: usize,
    /// The names are somebody's, as far as one can see, and no part of messages.
    pub(crate) names_are_a_row: bool,
    pub(crate) options: Options,
}

impl Layout {
    /// The columns as Arrow has them.
    pub fn schema(&self) -> Schema {
        schema(&self.columns)
    }

    /// The byte between cells.
    pub fn delimiter(&self) -> u8 {
        self.dialect.delimiter
    }

    /// The bytes of some of the [`splits`](Self::splits), as the second pass wants them. All of them are the file without what stands before
    /// its first row.
    pub fn byte_range(&self, splits: Range<usize>) -> Range<u64> {
        self.start(splits.start).offset..self.start(splits.end).offset
    }

    /// Where a split begins; behind the last, the end of the file.
    pub(crate) fn start(&self, split: usize) -> Split {
        let end = Split { offset: self.bytes, row: self.rows, line: 0 };
        self.splits.get(split).copied().unwrap_or(end)
    }
}

pub(crate) fn schema(columns: &[Column]) -> Schema {
    Schema::new(columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true)).collect::<Vec<_>>())
}
