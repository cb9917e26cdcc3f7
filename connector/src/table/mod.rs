//! What a table is: data, checked when the crate is compiled.
//!
//! A [`Table`] names its columns, where a read finds each of them ([`Source`]) and where a write puts it ([`Target`]), and
//! the call behind each direction ([`Read`], [`Write`]). Schema, catalogue, mapping, encoding and `clevertap.tables` follow
//! from it. Wire names are JSON pointers and exist in `tables/` alone.

mod read;
mod value_form;
mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub(crate) use self::read::{Bucket, CountOf, Counts, Export, KeyLocation, ListCall, ListRequest, Lookup, Pages, Read, Slices};
pub use self::value_form::ValueForm;
pub(crate) use self::write::{BodyForm, Completion, List, Listing, Open, Order, RecordSpec, Resend, Write};

/// One table, one `static` a file of `tables/`.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in SQL: snake case, plural.
    pub(crate) name: &'static str,
    /// One sentence: what a row is.
    pub(crate) about: &'static str,
    /// In the order in which `SELECT *` shows them.
    pub(crate) columns: &'static [Column],
    /// How it is read, if it can be.
    pub(crate) read: Option<Read>,
    /// How it is written, if it can be.
    pub(crate) write: Option<Write>,
}

/// One column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its name in SQL.
    pub(crate) name: &'static str,
    /// What its values are, as a read shows them.
    pub(crate) kind: Kind,
    /// Where a read finds it.
    pub(crate) source: Source,
    /// Where a write puts it.
    pub(crate) target: Target,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, `Utf8View`.
    Text,
    /// JSON as text, `Utf8View`.
    Json,
    /// An instant in the project's time zone, whole seconds.
    Instant,
    /// A day of the project's calendar.
    Day,
    /// How many: `Int64`.
    Count,
    /// A number that may have a fraction.
    Number,
}

/// Where a read finds a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Reads do not have it.
    Nowhere,
    /// At this JSON pointer of a record.
    At(&'static str),
    /// What the filter asked for, where it asked for this column; else at the first of these JSON pointers where something is.
    Asked(&'static [&'static str]),
    /// At the first of these JSON pointers of a record where something is.
    Either(&'static [&'static str]),
    /// What the query asked for: the same in every row of a request. NULL where it did not ask.
    Filter,
    /// What no other column of the record took, as a JSON object.
    Rest,
}

/// Where a write puts a column: a JSON pointer of one or two steps, and the shape of the value there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Writes do not take it: `hint` says what to do instead.
    Nowhere {
        /// The remedy, as a sentence.
        hint: &'static str,
    },
    /// A row without it is rejected.
    Required(&'static str, Shape),
    /// A row without it is sent without it.
    Optional(&'static str, Shape),
}

impl Target {
    /// The JSON pointer, if writes take the column.
    pub(crate) const fn pointer(&self) -> Option<&'static str> {
        match self {
            Self::Nowhere { .. } => None,
            Self::Required(pointer, _) | Self::Optional(pointer, _) => Some(pointer),
        }
    }

    /// The shape of the value, if writes take the column.
    pub(crate) const fn shape(&self) -> Option<Shape> {
        match self {
            Self::Nowhere { .. } => None,
            Self::Required(_, shape) | Self::Optional(_, shape) => Some(*shape),
        }
    }
}

/// The shape of a written value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Says whose record it is: always text, exactly one such column a statement.
    Identifier,
    /// Text that names a person but not this record (`link_identity`): always text.
    Identity,
    /// Integer epoch seconds.
    EpochSeconds,
    /// The name of an event.
    EventName,
    /// Any value, by the rules of design.md 3.2.
    Value,
    /// As `Value`, but a boolean is `Y` or `N`.
    YesNo,
    /// A JSON object as it is, never as text.
    Object,
    /// A list of flat objects: `Items` of the event Charged.
    Items,
    /// Struct, map or JSON text whose keys become fields beside the other columns.
    Properties,
}

impl Table {
    /// Whether writing it erases.
    pub(crate) fn erases(&self) -> bool {
        self.write.as_ref().is_some_and(Write::erases)
    }

    /// Whether each of its rows is an event.
    pub(crate) fn is_of_events(&self) -> bool {
        self.columns.iter().any(|column| column.target.shape() == Some(Shape::EventName))
    }

    /// The columns that SQL sees: those that a read has, or, where there is no read, those that a write takes.
    pub(crate) fn schema(&self, time_zone: Option<&str>) -> SchemaRef {
        let shown = |column: &&Column| match self.read {
            Some(_) => column.source != Source::Nowhere,
            None => column.target.pointer().is_some(),
        };
        Arc::new(Schema::new(self.columns.iter().filter(shown).map(|column| column.field(time_zone)).collect::<Vec<_>>()))
    }

    /// The columns that a read has, in the order of its schema.
    pub(crate) fn read_columns(&self) -> impl Iterator<Item = &'static Column> + use<> {
        self.columns.iter().filter(|column| column.source != Source::Nowhere)
    }

    /// The column of this name as a write means it: case, blanks, `_` and `-` do not count.
    pub(crate) fn column_like(&self, name: &str) -> Option<&'static Column> {
        let wanted = loose(name);
        self.columns.iter().find(|column| loose(column.name) == wanted)
    }

    /// Refuses, when the crate is compiled, a table that contradicts itself.
    #[must_use]
    pub(crate) const fn checked(self) -> Self {
        assert!(!self.name.is_empty() && !self.about.is_empty(), "a table has a name and a sentence");
        assert!(self.read.is_some() || self.write.is_some(), "a table is read or written");
        let mut at = 0;
        let mut identifiers = 0;
        while at < self.columns.len() {
            let column = &self.columns[at];
            assert!(!column.name.is_empty(), "a column has a name");
            if let Some(pointer) = column.target.pointer() {
                assert!(pointer.as_bytes()[0] == b'/', "a target is a JSON pointer");
                assert!(self.write.is_some(), "only a table that is written has targets");
            }
            if let Some(Shape::Identifier) = column.target.shape() {
                identifiers += 1;
            }
            at += 1;
        }
        assert!(self.write.is_none() || identifiers > 0, "a written record says whose it is");
        self
    }
}

/// The metadata of a field that names a person or a thing: such text is compared with text alone (`write` and `read` agree).
pub(crate) const IDENTIFIER: (&str, &str) = ("clevertap.identifier", "text");

impl Column {
    /// The column as a field, marked where it is an identifier.
    pub(crate) fn field(&self, time_zone: Option<&str>) -> Field {
        let field = Field::new(self.name, self.kind.data_type(time_zone), true);
        if self.is_identifier() { field.with_metadata([(IDENTIFIER.0.to_owned(), IDENTIFIER.1.to_owned())].into()) } else { field }
    }

    /// Whether its text identifies: a number on the other side of a comparison is made text.
    pub(crate) fn is_identifier(&self) -> bool {
        self.kind == Kind::Text && (self.target.shape() == Some(Shape::Identifier) || self.name.ends_with("_id"))
    }
}

impl Kind {
    /// The Arrow type of the column; an instant is in the project's time zone, or without one where none is set.
    pub(crate) fn data_type(self, time_zone: Option<&str>) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8View,
            Self::Instant => DataType::Timestamp(TimeUnit::Second, time_zone.map(Into::into)),
            Self::Day => DataType::Date32,
            Self::Count => DataType::Int64,
            Self::Number => DataType::Float64,
        }
    }
}

/// A name without what people spell differently: case, blanks, `_` and `-`.
pub(crate) fn loose(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// A column, in one line of a table.
pub(crate) const fn column(name: &'static str, kind: Kind, source: Source, target: Target) -> Column {
    Column { name, kind, source, target }
}

/// A column that only reads have, of a table that is only read.
pub(crate) const fn read_only(name: &'static str, kind: Kind, source: Source) -> Column {
    column(name, kind, source, Target::Nowhere { hint: "the table is only read" })
}
