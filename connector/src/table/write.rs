//! What the file of a table says of its writes: the call, what its bodies look like, what a second copy of a record would do.

/// How a table is written.
#[derive(Debug)]
pub(crate) enum Write {
    /// Rows in bodies.
    Batch {
        /// The path of the call.
        path: &'static str,
        /// What a body looks like, and what its answer tells.
        form: BodyForm,
        /// Records that one body may hold, by the API.
        rows_max: usize,
        /// Keys that every record carries, with their JSON values.
        fixed: &'static [(&'static str, &'static str)],
        /// Where columns that the table does not name are put, if it takes them: `/profileData`.
        open: Option<Open>,
        /// What happens if a record is stored twice.
        resend: Resend,
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
pub(crate) struct RecordSpec {
    /// Keys that every record carries, with their JSON values.
    pub(crate) fixed: &'static [(&'static str, &'static str)],
    /// Where columns that the table does not name are put.
    pub(crate) open: Option<&'static Open>,
    /// What happens if a record is stored twice.
    pub(crate) resend: Resend,
    /// Whether records of one identity must arrive in input order.
    pub(crate) order: Order,
}

/// What a body looks like, and what its answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyForm {
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
pub(crate) enum Resend {
    /// The same end state: it may be sent again after a lost answer.
    Idempotent,
    /// A second copy, for ever: a lost answer leaves it in doubt.
    Appends,
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
        matches!(self, Self::Batch { form: BodyForm::Keys, .. })
    }

    /// What its records are made with.
    pub(crate) const fn record_spec(&'static self) -> RecordSpec {
        match self {
            Self::Batch { fixed, open, resend, order, .. } => RecordSpec { fixed, open: open.as_ref(), resend: *resend, order: *order },
            Self::List(_) => RecordSpec { fixed: &[], open: None, resend: Resend::Appends, order: Order::Any },
        }
    }
}
