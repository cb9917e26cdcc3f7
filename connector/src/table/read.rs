//! How a table is read: one type for each shape of a read call.
//!
//! In: nothing, these are data. Out: what `read/plan` turns into requests. A shape says where the records of an answer are and which
//! parameters carry the filters of a query. The query language that the calls share is in `tables`.

use super::answer::AnswerForm;

/// The shape of a table's read call. It decides which filters a query needs.
#[derive(Debug)]
pub(crate) enum Read {
    /// Pages of a cursor: one chain of pages for each event name and window of days.
    Export(Export),
    /// A look-up if the query has keys, an export if it has an event and days.
    People {
        lookup: Lookup,
        export: Export,
    },
    Lookup(Lookup),
    /// One request for each event name and range of days; the answer is polled.
    Counts(Counts),
    /// One request for each slice of a range of days.
    Slices(Slices),
    /// The whole list, in one request or in numbered pages.
    List(ListCall),
}

/// One request for each key; the answer has at most one record.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) path: &'static str,
    /// The key columns, each with the request parameter that carries its value.
    pub(crate) keys: &'static [(&'static str, &'static str)],
    pub(crate) key_location: KeyLocation,
    /// The answer for a key that is there.
    pub(crate) answer: AnswerForm,
    /// Codes of a `fail` that may mean that the record does not exist; it does if its text contains one of
    /// [`not_found_words`](Self::not_found_words).
    pub(crate) not_found_codes: &'static [i64],
    /// In lower case.
    pub(crate) not_found_words: &'static [&'static str],
    /// Words of a `fail`, in lower case, for a key that no record can have. To a read they are a refusal.
    pub(crate) no_key_words: &'static [&'static str],
    /// HTTP statuses that mean it whatever the answer says.
    pub(crate) not_found_statuses: &'static [u16],
    /// Where a record holds the keys by which it is found: a record that does not name the one that was asked for is another one.
    pub(crate) found_by: &'static [(&'static str, FoundBy)],
}

/// How a record shows that it is the one of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundBy {
    /// JSON pointers of the key. `*` is every element of a list.
    pub(crate) pointers: &'static [&'static str],
    /// Whether capitals do not matter.
    pub(crate) any_case: bool,
    /// JSON pointers of a text or list of several keys.
    pub(crate) several: &'static [&'static str],
}

impl Lookup {
    /// Whether the text of a `fail`, in lower case, means that the record does not exist: these words and no others, which could say that it is
    /// not known yet.
    pub(crate) fn is_not_found(&self, words: &str) -> bool {
        self.not_found_words.contains(&words.trim_matches(|c: char| c == '.' || c.is_whitespace()))
    }
}

/// Where a request carries its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyLocation {
    /// The query string of a GET.
    Query,
    /// The JSON body of a POST. A key that is a number is sent as one.
    Body,
}

/// Pages that a cursor walks through.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) path: &'static str,
    /// The key of the records in a page.
    pub(crate) records: &'static str,
    /// Parameters that request a part of the record, each with the columns that need it. Parts that no projected column needs are
    /// not requested.
    pub(crate) parts: &'static [(&'static str, &'static [&'static str])],
    /// JSON pointer of the record's time. With it, a range of days can be split into windows and its edges trimmed to the second.
    /// `None`: a record covers the whole range, so the range is one chain.
    pub(crate) time: Option<&'static str>,
    /// JSON pointer of the object of properties that a query may filter on.
    pub(crate) properties: Option<&'static str>,
}

/// Counts that CleverTap computes while the client polls.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) path: &'static str,
    pub(crate) of: CountOf,
    /// The answer when the count is ready, or not yet.
    pub(crate) answer: AnswerForm,
}

/// What a count returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountOf {
    /// One number, which fills this column.
    Total(&'static str),
    /// A number for each day, week or month.
    Trend(Bucket),
    /// The most frequent values of a property.
    TopValues,
}

/// The bucket size of a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    Day,
    /// Seven days, Monday first (ISO 8601).
    Week,
    Month,
}

/// One request for each slice of a range of days.
#[derive(Debug)]
pub(crate) struct Slices {
    pub(crate) path: &'static str,
    /// The column that the query filters by a range of days.
    pub(crate) day: &'static str,
    /// The longest slice, in days.
    pub(crate) days_max: u32,
    /// Whether `from` and `to` are sent as strings instead of numbers.
    pub(crate) days_as_text: bool,
    /// The answer, with the list of records.
    pub(crate) answer: AnswerForm,
}

/// A call that returns a whole list.
#[derive(Debug)]
pub(crate) struct ListCall {
    pub(crate) path: &'static str,
    /// The request without its page parameters.
    pub(crate) request: ListRequest,
    /// The answer: a list of records, or the only record itself.
    pub(crate) answer: AnswerForm,
    /// Set if each record holds a list whose items become rows: the key of that list, and the key under which a row holds its item.
    /// A row also keeps the other keys of its record. A record without items is one row.
    pub(crate) items: Option<(&'static str, &'static str)>,
    /// `None`: the answer is not paged.
    pub(crate) pages: Option<Pages>,
}

/// The request for a whole list.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ListRequest {
    /// A GET with this query string.
    Query(&'static [(&'static str, &'static str)]),
    /// A POST with this JSON object as body.
    Body(&'static str),
}

/// Numbered pages, starting at 1. The answer's totals say which is the last; without any, it is the first that is not full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pages {
    /// The parameter for the page number.
    pub(crate) number: &'static str,
    /// The parameter for the page size.
    pub(crate) size: &'static str,
    pub(crate) rows_max: usize,
    /// The key of the number of all pages in an answer.
    pub(crate) count: Option<&'static str>,
}
