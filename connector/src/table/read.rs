//! How a table may be read: the few shapes of a call, and what each must be told.
//!
//! In: nothing, these are data. Out: what `read/plan` turns into work. A shape says where a record is and how a request carries what
//! a query asks; the words of the query language that all of them share are in `tables`.

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
    Whole(ListCall),
}

/// One request a key.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// The path of the call.
    pub(crate) path: &'static str,
    /// Column of each key that may be asked, and the parameter that carries it.
    pub(crate) keys: &'static [(&'static str, &'static str)],
    /// Where the key stands in the request.
    pub(crate) key_location: KeyLocation,
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
pub(crate) enum KeyLocation {
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
pub(crate) struct ListCall {
    /// The path of the call.
    pub(crate) path: &'static str,
    /// What the request says besides its page.
    pub(crate) request: ListRequest,
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
pub(crate) enum ListRequest {
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
