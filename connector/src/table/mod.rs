//! What a table is: data, checked when the crate is compiled.
//!
//! A [`Table`] names its columns, where a read finds each of them ([`Source`]) and where a write puts it ([`Target`]), and
//! the call behind each direction ([`Read`], [`Write`]). Schema, catalog, mapping, encoding and `clevertap.tables` are derived
//! from it. Wire names are JSON pointers and are spelled in `tables/` only.

mod answer;
mod read;
mod value_form;
mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub(crate) use self::answer::{AnswerForm, Payload};
pub(crate) use self::read::{Bucket, CountOf, Counts, Export, FoundBy, KeyLocation, ListCall, ListRequest, Lookup, Pages, Read, Slices};
pub use self::value_form::ValueForm;
pub(crate) use self::write::{BodyForm, Completion, List, Open, Order, RecordSpec, Resend, Write};

/// A table: each file of `tables/` holds one as a `static`.
#[derive(Debug)]
pub(crate) struct Table {
    /// SQL name: snake case, plural.
    pub(crate) name: &'static str,
    /// One sentence: what a row is.
    pub(crate) about: &'static str,
    /// In the order of `SELECT *`.
    pub(crate) columns: &'static [Column],
    /// `None`: the table cannot be read.
    pub(crate) read: Option<Read>,
    /// `None`: the table cannot be written.
    pub(crate) write: Option<Write>,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) source: Source,
    pub(crate) target: Target,
}

/// The type of a column's values in reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `Utf8View`.
    Text,
    /// JSON text, `Utf8View`.
    Json,
    /// An instant in the project's time zone, whole seconds.
    Instant,
    /// A calendar day in the project's time zone.
    Day,
    /// `Int64`.
    Count,
    /// `Float64`.
    Number,
}

/// Where a read finds a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The column does not exist in reads.
    Nowhere,
    /// At this JSON pointer in the record.
    At(&'static str),
    /// The value of the key filter if the look-up was by this column, else the first of these JSON pointers that has a value.
    LookupKey(&'static [&'static str]),
    /// The first of these JSON pointers that has a value.
    Either(&'static [&'static str]),
    /// The value that the query filtered on: the same in every row of a request. NULL without such a filter.
    Filter,
    /// The keys of the record that no other column takes, as a JSON object.
    Rest,
}

/// Where a write puts a column: a JSON pointer of one or two steps, and the shape of the value there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The column cannot be written.
    Nowhere {
        /// A sentence that says what to do instead.
        hint: &'static str,
    },
    /// A row without a value is rejected.
    Required(&'static str, Shape),
    /// Left out of the record if the row has no value.
    Optional(&'static str, Shape),
}

impl Target {
    /// `None` if the column cannot be written.
    pub(crate) const fn pointer(&self) -> Option<&'static str> {
        match self {
            Self::Nowhere { .. } => None,
            Self::Required(pointer, _) | Self::Optional(pointer, _) => Some(pointer),
        }
    }

    /// `None` if the column cannot be written.
    pub(crate) const fn shape(&self) -> Option<Shape> {
        match self {
            Self::Nowhere { .. } => None,
            Self::Required(_, shape) | Self::Optional(_, shape) => Some(*shape),
        }
    }
}

/// What a standard field of people holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standard {
    /// Whether somebody may be written to: `true`, `false`. Nothing is taken for it that is not named so.
    Consent,
    /// A date.
    BirthDate,
    /// A whole number.
    Age,
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// `Y`, `N`.
    YesNo,
}

/// The shape of a written value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Identifies the person of the record: always text; a statement uses exactly one such column.
    Identifier,
    /// Identifies a person, but not the one of this record (`link_identity`): always text.
    Identity,
    EpochSeconds,
    EventName,
    /// Any value, encoded by its Arrow type.
    Value,
    /// A standard field of people, whose values are of one kind.
    Standard(Standard),
    /// A JSON object, written as an object and never as a string.
    Object,
    /// A list of flat objects: `Items` of the event `Charged`.
    Items,
    /// A struct, map or JSON text. Its keys become fields next to the other columns.
    Properties,
}

impl Table {
    /// Whether a write erases data.
    pub(crate) fn erases(&self) -> bool {
        self.write.as_ref().is_some_and(Write::erases)
    }

    /// Whether each row is an event.
    pub(crate) fn is_of_events(&self) -> bool {
        self.columns.iter().any(|column| column.target.shape() == Some(Shape::EventName))
    }

    /// The SQL schema: the columns of a read, or the columns of a write if the table cannot be read.
    pub(crate) fn schema(&self, time_zone: Option<&str>) -> SchemaRef {
        let is_visible = |column: &&Column| match self.read {
            Some(_) => column.source != Source::Nowhere,
            None => column.target.pointer().is_some(),
        };
        Arc::new(Schema::new(self.columns.iter().filter(is_visible).map(|column| column.field(time_zone)).collect::<Vec<_>>()))
    }

    /// The columns of a read, in schema order.
    pub(crate) fn read_columns(&self) -> impl Iterator<Item = &'static Column> + use<> {
        self.columns.iter().filter(|column| column.source != Source::Nowhere)
    }

    /// Finds a column by name, ignoring case, spaces, `_` and `-`.
    pub(crate) fn column_like(&self, name: &str) -> Option<&'static Column> {
        let name = normalized(name);
        self.columns.iter().find(|column| normalized(column.name) == name)
    }

    /// Fails to compile if the table contradicts itself.
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

/// Field metadata that marks an identifier. Identifiers are text and are compared with text only; reads and writes both rely on it.
pub(crate) const IDENTIFIER: (&str, &str) = ("clevertap.identifier", "text");

impl Column {
    /// The Arrow field, with [`IDENTIFIER`] as metadata on identifiers.
    pub(crate) fn field(&self, time_zone: Option<&str>) -> Field {
        let field = Field::new(self.name, self.kind.data_type(time_zone), true);
        if self.is_identifier() { field.with_metadata([(IDENTIFIER.0.to_owned(), IDENTIFIER.1.to_owned())].into()) } else { field }
    }

    /// Whether the column holds identifiers: an integer compared with it is cast to text.
    pub(crate) fn is_identifier(&self) -> bool {
        self.kind == Kind::Text && (self.target.shape() == Some(Shape::Identifier) || self.name.ends_with("_id"))
    }
}

impl Kind {
    /// The Arrow type. An instant is in the project's time zone, or has none if the account has none.
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

/// The name in lower case, without spaces, `_` and `-`: spellings that people mix up compare equal.
fn normalized(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// A column in one line.
pub(crate) const fn column(name: &'static str, kind: Kind, source: Source, target: Target) -> Column {
    Column { name, kind, source, target }
}

/// A column of a table that cannot be written.
pub(crate) const fn read_only(name: &'static str, kind: Kind, source: Source) -> Column {
    column(name, kind, source, Target::Nowhere { hint: "the table is only read" })
}
