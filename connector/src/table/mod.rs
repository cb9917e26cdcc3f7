//! What a table is: data, checked when the crate is compiled.
//!
//! A [`Table`] names its columns, where a read finds each of them ([`Source`]) and where a write puts it ([`Target`]), and
//! the call behind each direction ([`Read`], [`Write`]). Schema, catalogue, mapping, encoding and `clevertap.tables` follow
//! from it. Wire names are JSON pointers and exist in `tables/` alone.

mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub(crate) use self::write::{Again, Completion, Form, List, Listing, Making, Open, Order, Write};

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

/// How a table is read: the shape of its call, and what a query must say for it to be made.
#[derive(Debug)]
pub(crate) enum Read {
    /// Pages of a cursor, one chain for each event name and window of days.
    Export(Export),
    /// One request a key, or, where the query has no key but an event and days, an export.
    People {
        /// By key.
        lookup: Lookup,
        /// By event.
        export: Export,
    },
    /// One request a key, one record a key at most.
    Lookup(Lookup),
    /// One request for each event name and range, whose answer is polled.
    Counts(Counts),
    /// One request for each slice of a range of days.
    Slices(Slices),
    /// The whole list, in one request or page after page.
    Whole(Whole),
}

/// One request a key.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// The path of the call.
    pub(crate) path: &'static str,
    /// Column of each key that may be asked, and the parameter that carries it.
    pub(crate) keys: &'static [(&'static str, &'static str)],
    /// Where the key stands in the request.
    pub(crate) ask: Ask,
    /// Where the record is in the answer.
    pub(crate) record: &'static str,
    /// Codes of a `fail` that may mean "there is no such record".
    pub(crate) nobody: &'static [i64],
    /// Words, in any case, of which one must be there for that; without any, the code is enough.
    pub(crate) nobody_says: &'static [&'static str],
}

impl Lookup {
    /// Whether a `fail` with one of the codes means "there is no such record".
    pub(crate) fn is_nobody(&self, words: Option<&str>) -> bool {
        let words = words.unwrap_or_default().to_lowercase();
        self.nobody_says.is_empty() || self.nobody_says.iter().any(|said| words.contains(said))
    }
}

/// Where a request carries its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// In the query of a GET.
    Query,
    /// In the body of a POST: a number where it is one.
    Body,
}

/// Pages of a cursor.
#[derive(Debug)]
pub(crate) struct Export {
    /// The path of the call.
    pub(crate) path: &'static str,
    /// Where the records of a page are.
    pub(crate) records: &'static str,
    /// Parameters that ask for a part of a record, with the columns that need it; the part is left out where no column does.
    pub(crate) parts: &'static [(&'static str, &'static [&'static str])],
    /// Where the time of a record is, and with it the day: a range of days can be cut there into windows, and its edges
    /// trimmed to the second. `None`: a record stands for the whole range, which is one chain.
    pub(crate) time: Option<&'static str>,
    /// Where the properties are that a query may compare: their object in a record.
    pub(crate) properties: Option<&'static str>,
}

/// Polled counts.
#[derive(Debug)]
pub(crate) struct Counts {
    /// The path of the call.
    pub(crate) path: &'static str,
    /// What is counted.
    pub(crate) of: CountOf,
}

/// What a polled count answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountOf {
    /// One number, for this column.
    Total(&'static str),
    /// A number for each day, week or month.
    Trend(Bucket),
    /// The most frequent values of a property.
    TopValues,
}

/// The grain of a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// One day.
    Day,
    /// Seven days, Monday first (ISO 8601).
    Week,
    /// A calendar month.
    Month,
}

/// One request for each slice of a range of days.
#[derive(Debug)]
pub(crate) struct Slices {
    /// The path of the call.
    pub(crate) path: &'static str,
    /// The column whose range is asked for.
    pub(crate) day: &'static str,
    /// The longest slice, in days.
    pub(crate) days_max: u32,
    /// Whether `from` and `to` are text instead of numbers.
    pub(crate) days_as_text: bool,
    /// Where the records are in the answer.
    pub(crate) records: &'static str,
}

/// A whole list.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The path of the call.
    pub(crate) path: &'static str,
    /// What the request says besides its page.
    pub(crate) say: Say,
    /// Where the records are; `None`: the answer itself is the one record.
    pub(crate) records: Option<&'static str>,
    /// A list in each record whose items are the rows, each with the keys of its record: its name, and the prefix of the keys of
    /// an item. A record without items is one row.
    pub(crate) items: Option<(&'static str, &'static str)>,
    /// How further pages are asked for.
    pub(crate) pages: Option<Pages>,
}

/// What a request for a whole list says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Say {
    /// A GET with this query.
    Query(&'static [(&'static str, &'static str)]),
    /// A POST of this JSON object.
    Body(&'static str),
}

/// Numbered pages, from 1; one that is not full is the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pages {
    /// The parameter of the page's number.
    pub(crate) number: &'static str,
    /// The parameter of its size.
    pub(crate) size: &'static str,
    /// Records of a page.
    pub(crate) rows_max: usize,
}

impl Table {
    /// Whether writing it erases.
    pub(crate) fn erases(&self) -> bool {
        self.write.as_ref().is_some_and(Write::erases)
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
