//! How a table is written: the call, the form of its bodies, and the effect of sending a record twice.
//!
//! In: nothing, these are data. Out: what `write` turns into requests.

use super::read::ListCall;

#[derive(Debug)]
pub(crate) enum Write {
    /// Requests whose bodies hold many records.
    Batch {
        path: &'static str,
        form: BodyForm,
        /// Most records in one body, by the API.
        rows_max: usize,
        /// Keys that every record has, with their JSON values.
        fixed: &'static [(&'static str, &'static str)],
        /// Where columns that the table does not name are written, such as `/profileData`. `None`: they are an error.
        open: Option<Open>,
        resend: Resend,
        order: Order,
    },
    /// A file for each list: uploaded to a URL that CleverTap returns, and announced by a final call.
    List(&'static List),
}

/// The calls that turn a file into a custom list.
#[derive(Debug)]
pub(crate) struct List {
    /// Returns the upload URL for a file.
    pub(crate) url_path: &'static str,
    /// JSON pointer of the URL in that answer.
    pub(crate) url: &'static str,
    /// The first line of the file.
    pub(crate) header: &'static str,
    /// The identifier columns, each with the code that marks it in the file.
    pub(crate) kinds: &'static [(&'static str, &'static str)],
    pub(crate) bytes_max: u64,
    /// Announces that the file has been uploaded.
    pub(crate) completion_path: &'static str,
    pub(crate) completion: Completion,
    /// The error of that call if a list of this name exists.
    pub(crate) taken: &'static str,
    /// Lists the existing lists. CleverTap does not document it.
    pub(crate) existing: &'static ListCall,
    /// JSON pointers of the name of an existing list.
    pub(crate) existing_name: &'static [&'static str],
}

/// The keys in the body of [`List::completion_path`].
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) name: &'static str,
    pub(crate) email: &'static str,
    pub(crate) file_name: &'static str,
    pub(crate) creator: &'static str,
    pub(crate) url: &'static str,
    pub(crate) replace: &'static str,
}

/// What all records of a write have in common. The fields are those of [`Write::Batch`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordSpec {
    pub(crate) fixed: &'static [(&'static str, &'static str)],
    pub(crate) open: Option<&'static Open>,
    pub(crate) resend: Resend,
    pub(crate) order: Order,
}

/// The form of a request body and of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyForm {
    /// `{"d":[record, …]}`. The answer names the records that were refused.
    Records,
    /// Only identifiers of one kind, under the key of their column: `{"identity":["a", …]}`. The answer has a status for the whole
    /// request and nothing about single identifiers. Such a call erases data and cannot be undone.
    Keys,
}

/// The object that takes columns which the table does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    /// Its JSON pointer.
    pub(crate) pointer: &'static str,
    /// Characters that a name in it must not contain, by the API.
    pub(crate) forbidden: &'static str,
    /// A row with more fields causes a warning.
    pub(crate) fields_warn: usize,
    /// A row with more fields is rejected.
    pub(crate) fields_max: usize,
    /// Whether a list of text is sent as a multi-value property and operators are sent as such. If not, both become JSON text.
    pub(crate) operators: bool,
}

/// The effect of sending the same request twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resend {
    /// The end state is the same: the request may be resent after a lost answer.
    Idempotent,
    /// A permanent second copy is stored: after a lost answer the rows are in doubt.
    Appends,
}

/// Whether records of one identity must arrive in input order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// A body waits while another body in flight has a record of one of its identities.
    ByIdentity,
    /// Records carry their own time, so their order does not matter.
    Any,
}

impl Write {
    /// Whether the call erases data. If so, the account must allow it and the number of rows is bounded.
    pub(crate) const fn erases(&self) -> bool {
        matches!(self, Self::Batch { form: BodyForm::Keys, .. })
    }

    pub(crate) const fn record_spec(&'static self) -> RecordSpec {
        match self {
            Self::Batch { fixed, open, resend, order, .. } => RecordSpec { fixed, open: open.as_ref(), resend: *resend, order: *order },
            Self::List(_) => RecordSpec { fixed: &[], open: None, resend: Resend::Appends, order: Order::Any },
        }
    }
}
