//! A table of a database, as it was described: its columns, their types here and there, its key.
//!
//! In: what a database says of a table. Out: an Arrow schema, and what reads, filters and writes need to know of each column.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::shown;

/// What a column's values mean on both sides: which filters on it the database may look at too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// None but IS NULL: its order or equality is another there.
    Never,
    /// Numbers without a fraction, booleans, decimals, days and instants: all comparisons.
    Exact,
    /// Numbers in floating point: comparisons that may let a zero of the other sign pass.
    Float,
    /// Text: equality alone. A collation may hold more for equal than there is here, never less, and it may order in any way.
    Text,
    /// Text of a set of characters that is not Unicode: equality with ASCII, since a literal that the set lacks is an error.
    NarrowText,
    /// A UUID, which is text here: equality with its canonical form.
    Uuid,
}

/// What fills a column that a write does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unnamed {
    Null,
    /// A default, a sequence.
    Default,
    /// An expression of other columns: it is never written.
    Generated,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Its name there, if it may be another: `ID` for `id`.
    pub(crate) stored: Option<String>,
    /// The type it is read as, and written from.
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
    /// The type as the database writes it, for casts and definitions.
    pub(crate) sql_type: String,
    /// Whether `data_type` is text for want of a better one: then it is cast to text to be read, and back to be written.
    pub(crate) is_cast: bool,
    /// Most characters of a text; of an instant, the digits of its fraction.
    pub(crate) chars_max: Option<usize>,
    pub(crate) unnamed: Unnamed,
    pub(crate) comparison: Comparison,
    /// Whether values that the database calls equal may differ, so that a change would be missed.
    pub(crate) is_loosely_equal: bool,
}

/// A table, or a view.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// The catalogue's name.
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// The columns of its primary key.
    pub(crate) key: Vec<String>,
    /// About how many rows it has.
    pub(crate) rows: Option<u64>,
    pub(crate) is_view: bool,
    /// Whether it is there. If it is not, a write makes it.
    pub(crate) exists: bool,
    /// Whether a write of it can be undone.
    pub(crate) is_transactional: bool,
}

impl Relation {
    /// `shop.public.orders`; of a table that is in no catalogue, its place.
    pub(crate) fn qualified(&self) -> String {
        let parts = [&self.database, &self.schema, &self.name].into_iter().filter(|part| !part.is_empty());
        parts.map(|part| shown(part)).collect::<Vec<_>>().join(".")
    }

    pub(crate) fn arrow_schema(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(&column.name, column.data_type.clone(), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// A name in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) is_view: bool,
}
