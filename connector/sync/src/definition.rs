//! What a sync is.
//!
//! In: what an embedder sets. Out: a [`Definition`]. What can be said without the query is checked here;
//! the rest when it is planned.

use crate::error::{Error, Result};

/// A named sync: what moves where, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Definition {
    /// Its name: letters, digits, `_` and `-`. The ledger knows it by this name.
    pub name: String,
    /// SQL, of one SELECT.
    pub query: String,
    /// A table that takes people, tokens, subscriptions or events: `clevertap.profiles`, `clevertap_events."Charged"`.
    pub into: String,
    /// What is moved. Default: by the target.
    pub mode: Option<Mode>,
    /// Columns of the query that say which row is which. Default: the identifier of the table; events must name one.
    pub key: Vec<String>,
    /// Options `clevertap.*` of its statements, over those of the session: `("nulls", "delete")`.
    pub options: Vec<(String, String)>,
    /// What becomes of rows whose answer was lost and that cannot be repeated. Default: they are held.
    pub in_doubt: InDoubt,
    /// When a rejected row is tried again. Default: when its payload changed.
    pub retry: Retry,
    /// Whether it is not run.
    pub paused: bool,
}

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// New and changed rows.
    Upsert,
    /// Rows whose key was never sent: events.
    Insert,
    /// New and changed rows; who left the source is counted, and stays in CleverTap.
    Mirror,
    /// All rows, each time.
    Full,
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
        }
    }
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
            options: Vec::new(),
            in_doubt: InDoubt::default(),
            retry: Retry::default(),
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
            return wrong("it has no query; say a SELECT".to_owned());
        }
        if self.into.trim().is_empty() {
            return wrong("it has no target; say into = \"clevertap.profiles\"".to_owned());
        }
        Ok(())
    }
}

/// Whether a text is a name of a sync: it is a folder of the ledger, too.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
