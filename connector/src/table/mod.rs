//! What a table is: data, checked when the crate is compiled.
//!
//! A [`Table`] names its columns, where a read finds each of them ([`Source`]) and where a write puts it ([`Target`]), and
//! the call behind each direction ([`Read`], [`Write`]). Schema, catalogue, mapping, encoding and `clevertap.tables` follow
//! from it. Wire names are JSON pointers and exist in `tables/` alone.

mod read;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub(crate) use read::{Ask, Bucket, CountOf, Counts, Export, Lookup, Pages, Read, Say, Slices, Whole};

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

/// How a table is written.
#[derive(Debug)]
pub(crate) enum Write {
    /// Rows in bodies.
    Batch {
        /// The path of the call.
        path: &'static str,
        /// What a body looks like, and what its answer tells.
        form: Form,
        /// Records that one body may hold, by the API.
        rows_max: usize,
        /// Keys that every record carries, with their JSON values.
        fixed: &'static [(&'static str, &'static str)],
        /// Where columns that the table does not name are put, if it takes them: `/profileData`.
        open: Option<Open>,
        /// What happens if a record is stored twice.
        again: Again,
        /// Whether records of one identity must arrive in input order.
        order: Order,
    },
    /// Rows in files, one file a list: put at a URL that CleverTap gives out, and named in a last call.
    List(&'static List),
}

/// The calls that make a custom list of a file.
#[derive(Debug)]
pub(crate) struct List {
    /// Gives out the URL for a file.
    pub(crate) url_path: &'static str,
    /// Where the URL is in its answer.
    pub(crate) url: &'static str,
    /// The first line of the file.
    pub(crate) header: &'static str,
    /// How the file says what kind of identifier a column holds.
    pub(crate) kinds: &'static [(&'static str, &'static str)],
    /// The largest file.
    pub(crate) bytes_max: u64,
    /// Takes the word that the file is there.
    pub(crate) completion_path: &'static str,
    /// The keys of its body.
    pub(crate) completion: Completion,
    /// Its error where the name is taken.
    pub(crate) taken: &'static str,
    /// Tells which lists there are, page by page. Nobody documents it.
    pub(crate) listing_path: &'static str,
    /// The keys of its body and of its answer.
    pub(crate) listing: Listing,
}

/// The keys of a completion's body.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) name: &'static str,
    pub(crate) email: &'static str,
    pub(crate) file_name: &'static str,
    pub(crate) creator: &'static str,
    pub(crate) url: &'static str,
    pub(crate) replace: &'static str,
}

/// The keys of a list of lists.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) page: &'static str,
    pub(crate) limit: &'static str,
    pub(crate) limit_max: u64,
    pub(crate) lists: &'static str,
    pub(crate) name: &'static str,
    pub(crate) pages: &'static str,
}

/// What a write's records are made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Making {
    /// Keys that every record carries, with their JSON values.
    pub(crate) fixed: &'static [(&'static str, &'static str)],
    /// Where columns that the table does not name are put.
    pub(crate) open: Option<&'static Open>,
    /// What happens if a record is stored twice.
    pub(crate) again: Again,
}

/// What a body looks like, and what its answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{"d":[record, …]}`; the answer has a word on each record.
    Records,
    /// Identifiers alone, of one kind, under the key of their column: `{"identity":["a", …]}`. The answer has a status and no
    /// word on any of them. Such a call erases, and cannot be undone.
    Keys,
}

/// Where columns go that a table does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    /// The JSON pointer of the object that takes them.
    pub(crate) pointer: &'static str,
    /// Characters that a name there may not hold, by the API.
    pub(crate) forbidden: &'static str,
    /// Fields above which a row draws a warning.
    pub(crate) fields_warn: usize,
    /// Fields above which a row is rejected.
    pub(crate) fields_max: usize,
    /// Whether a list of text is a multi-value property and operators are understood; else both are JSON text.
    pub(crate) operators: bool,
}

/// What happens if a request is carried out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The same end state: it may be sent again after a lost answer.
    Harmless,
    /// A second copy, for ever: a lost answer leaves it in doubt.
    Duplicates,
}

/// Whether two records of one identity may overtake each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// A body waits while a body in flight holds one of its identities.
    ByIdentity,
    /// Records carry their own time.
    Any,
}

impl Write {
    /// Whether it erases: then the account must have been opened for that, and the rows are bounded.
    pub(crate) const fn erases(&self) -> bool {
        matches!(self, Self::Batch { form: Form::Keys, .. })
    }

    /// What its records are made with.
    pub(crate) const fn making(&'static self) -> Making {
        match self {
            Self::Batch { fixed, open, again, .. } => Making { fixed, open: open.as_ref(), again: *again },
            Self::List(_) => Making { fixed: &[], open: None, again: Again::Duplicates },
        }
    }
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
