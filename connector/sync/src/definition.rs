//! What a sync is.
//!
//! In: the values of `[syncs.NAME]`, or those that an embedder sets. Out: a [`Definition`]. What can be said without the query is checked here;
//! the rest when it is planned.

use std::time::Duration;

use crate::error::{Error, Result};

/// A named sync: what moves where, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Definition {
    /// Its name: letters, digits, `_` and `-`. The ledger knows it by this name.
    pub name: String,
    /// SQL; `$from`, `$to` and `$run_at` are given.
    pub query: String,
    /// A table of CleverTap that INSERT takes, `clevertap.profiles`; or a target: `delta:s3://…`, `parquet:exports/charged/`,
    /// `shop.public.charged`.
    pub into: String,
    /// What is moved. Default: by the target.
    pub mode: Option<Mode>,
    /// Columns of the query that say which row is which. Default: the identifier of the table; events must name one.
    pub key: Vec<String>,
    /// What becomes of a person who left the source, of a mirror. Default: nothing.
    pub on_removed: OnRemoved,
    /// More removals than that stop the run before anything leaves. Default: 10 %.
    pub max_removed: Ceiling,
    /// Which days each run takes out of CleverTap.
    pub window: Option<Window>,
    /// Options `clevertap.*` of its statements, over those of the session: `("nulls", "delete")`.
    pub options: Vec<(String, String)>,
    /// What becomes of rows whose answer was lost and that cannot be repeated. Default: they are held.
    pub in_doubt: InDoubt,
    /// When a rejected row is tried again. Default: when its payload changed.
    pub retry: Retry,
    /// Most attempts of one dead letter. Default: 10.
    pub retry_max: u32,
    /// Names of syncs that run before it, where they run together.
    pub after: Vec<String>,
    /// What it is for.
    pub description: String,
    /// Whether it is not run.
    pub paused: bool,
}

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// New and changed rows.
    Upsert,
    /// Rows whose key was never sent: events. Out of CleverTap: all that is read is appended (`append`).
    Insert,
    /// New and changed rows, and what left the source.
    Mirror,
    /// All rows, each time.
    Full,
    /// Out of CleverTap: all rows that are read, beside those that are there.
    Append,
    /// Out of CleverTap: all rows that are read, in place of those that are there.
    Replace,
}

impl Mode {
    /// The mode of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "upsert" => Self::Upsert,
            "insert" => Self::Insert,
            "mirror" => Self::Mirror,
            "full" => Self::Full,
            "append" => Self::Append,
            "replace" => Self::Replace,
            _ => return None,
        })
    }

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Insert => "insert",
            Self::Mirror => "mirror",
            Self::Full => "full",
            Self::Append => "append",
            Self::Replace => "replace",
        }
    }
}

/// What becomes of a person who left the source.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum OnRemoved {
    /// Nothing.
    #[default]
    Ignore,
    /// CleverTap is asked to delete them. The account must be opened with the right to erase.
    Delete,
    /// These properties are written: name and value, in the order of the names.
    Set(Vec<(String, Property)>),
}

/// A value of a property.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Property {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
}

/// A number of rows, or a share of those that are there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ceiling {
    /// So many rows.
    Rows(u64),
    /// So many percent of the keys that the ledger has.
    Percent(f64),
}

impl Ceiling {
    /// `500`, or `5%`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).map(Self::Percent),
            None => text.trim().parse().ok().map(Self::Rows),
        }
    }

    /// Whether `rows` of `all` are more.
    #[must_use]
    pub fn is_passed(self, rows: u64, all: u64) -> bool {
        match self {
            Self::Rows(most) => rows > most,
            Self::Percent(percent) => rows as f64 * 100.0 > all as f64 * percent,
        }
    }
}

/// Which days a run takes out of CleverTap.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// The last days of the project, today among them.
    Days(u32),
    /// From the greatest value of this column that was read, less a time that is read again.
    Cursor {
        /// The column.
        column: String,
        /// What is read again.
        look_back: Duration,
    },
}

/// What becomes of rows whose answer was lost and that cannot be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum InDoubt {
    /// They are not sent, and stay visible.
    #[default]
    Hold,
    /// They are sent again, and may be there twice.
    Resend,
}

/// When a rejected row is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Retry {
    /// When its payload changed.
    #[default]
    Changed,
    /// In each run.
    Always,
    /// Never.
    Never,
}

impl Definition {
    /// A sync with the defaults.
    ///
    /// ```
    /// use datafusion_clevertap_sync::Definition;
    ///
    /// let buyers = Definition::new("buyers", "SELECT id AS identity, plan AS \"Plan\" FROM users", "clevertap.profiles");
    /// assert!(buyers.check().is_ok());
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, query: impl Into<String>, into: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            query: query.into(),
            into: into.into(),
            mode: None,
            key: Vec::new(),
            on_removed: OnRemoved::default(),
            max_removed: Ceiling::Percent(10.0),
            window: None,
            options: Vec::new(),
            in_doubt: InDoubt::default(),
            retry: Retry::default(),
            retry_max: 10,
            after: Vec::new(),
            description: String::new(),
            paused: false,
        }
    }

    /// Looks at what can be said without the query.
    ///
    /// # Errors
    /// [`Error::Definition`] with the key, the problem and the remedy.
    pub fn check(&self) -> Result<()> {
        let wrong = |problem: String| Err(Error::Definition(format!("sync \"{}\": {problem}", self.name)));
        if !is_name(&self.name) {
            return wrong("its name has letters, digits, _ and - alone, and at most 64 of them".to_owned());
        }
        if self.query.trim().is_empty() {
            return wrong("it has no query; say query = \"SELECT …\" or query_file = \"…\"".to_owned());
        }
        if self.into.trim().is_empty() {
            return wrong("it has no target; say into = \"clevertap.profiles\"".to_owned());
        }
        if self.on_removed != OnRemoved::Ignore && self.mode != Some(Mode::Mirror) {
            return wrong("on_removed is of mode = \"mirror\" alone; say that mode, or leave on_removed out".to_owned());
        }
        if self.after.contains(&self.name) {
            return wrong("it runs after itself; take its own name out of `after`".to_owned());
        }
        Ok(())
    }
}

/// Whether a text is a name of a sync: it is a folder of the ledger, too.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
