//! What a sync is.
//!
//! In: what an embedder sets. Out: a [`Definition`]. What can be said without the query is checked here;
//! the rest when it is planned.

pub(crate) mod outward;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion_clevertap::options::DryRun;

use crate::error::{Error, Result};

/// A named sync: what moves where, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Definition {
    /// Its name: letters, digits, `_` and `-`. The ledger knows it by this name.
    pub name: String,
    /// SQL, of one SELECT. `$from`, `$to` and `$run_at` are instants that a run gives: of the window, if there is one, and of its start.
    pub query: String,
    /// A table that takes people, tokens, subscriptions or events: `clevertap.profiles`, `clevertap_events."Charged"`. Or where rows of
    /// CleverTap go: `delta:s3://acme/charged`, `parquet:exports/charged/`, a table of a database: `shop.public.charged`.
    pub into: String,
    /// What is moved. Default: by the target.
    pub mode: Option<Mode>,
    /// Columns of the query that say which row is which. Default: the identifier of the table; events must name one.
    pub key: Vec<String>,
    /// Of a mirror: what becomes of who left the source.
    pub on_removed: OnRemoved,
    /// Of a mirror: how many may leave in one run. Default: 10 % of those that were sent.
    pub removed_max: RemovedMax,
    /// Of a sync out of CleverTap: what of it a run reads.
    pub window: Option<Window>,
    /// Syncs that are run before it, where they are run together.
    pub after: Vec<String>,
    /// Options `clevertap.*` of its statements, over those of the session: `("nulls", "delete")`.
    pub options: Vec<(String, String)>,
    /// What becomes of rows whose answer was lost and that cannot be repeated. Default: they are held.
    pub in_doubt: InDoubt,
    /// When a rejected row is tried again. Default: when its payload changed.
    pub retry: Retry,
    /// How often a row is tried that is rejected each time. Default: 10; after that it is held until its payload changes.
    pub retry_max: u32,
    /// The newest file of the source must not be older: a source that stands still sends people who stand still.
    pub source_age_max: Option<Duration>,
    /// What it is for.
    pub description: Option<String>,
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
    /// New and changed rows; and what `on_removed` says, of who left the source.
    Mirror,
    /// All rows, each time.
    Full,
    /// Out of CleverTap: the rows of the window are added.
    Append,
    /// Out of CleverTap: the rows take the place of those that are there.
    Replace,
}

/// What becomes of people who left the source of a mirror. Only keys that this sync sent are ever removed.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum OnRemoved {
    /// They are counted, and stay in CleverTap.
    #[default]
    Ignore,
    /// They are erased from CleverTap: the account is opened for it.
    Delete,
    /// These properties are set, a text, a number, true or false each: `{ "Plan" = "churned" }`.
    Set(Vec<(String, serde_json::Value)>),
}

/// How many may leave a mirror in one run.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RemovedMax {
    /// So many.
    Rows(u64),
    /// So many of a hundred that were sent.
    Percent(f64),
}

impl Default for RemovedMax {
    fn default() -> Self {
        Self::Percent(10.0)
    }
}

impl RemovedMax {
    /// `500` or `5%`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).map(Self::Percent),
            None => text.trim().parse().ok().map(Self::Rows),
        }
    }

    /// Whether so many of `known` may leave.
    pub(crate) fn allows(self, removed: u64, known: u64) -> bool {
        match self {
            Self::Rows(rows) => removed <= rows,
            Self::Percent(percent) => removed as f64 * 100.0 <= known as f64 * percent,
        }
    }
}

impl fmt::Display for RemovedMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "{rows}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// What a run reads, of a sync out of CleverTap.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// The last days of the project, by its time zone, today among them. `$from` is the first midnight of them, `$to` the end of today.
    Days(u32),
    /// From where the last run ended: `$from` is the greatest value that was read of the column, less `look_back`; in mode `append`, what lies
    /// behind that value; in the first run, the year 2013, in which CleverTap began. `$to` is the start of the run, in whole seconds.
    Cursor {
        /// The column of the query that rises, an instant or a day: `event_time`.
        column: String,
        /// So much of what was read is read again, since events come late.
        look_back: Duration,
    },
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

impl InDoubt {
    /// `hold` or `resend`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "hold" => Some(Self::Hold),
            "resend" => Some(Self::Resend),
            _ => None,
        }
    }
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

impl Retry {
    /// `changed`, `always` or `never`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "changed" => Some(Self::Changed),
            "always" => Some(Self::Always),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
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
            removed_max: RemovedMax::default(),
            window: None,
            after: Vec::new(),
            options: Vec::new(),
            in_doubt: InDoubt::default(),
            retry: Retry::default(),
            retry_max: 10,
            source_age_max: None,
            description: None,
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
        // Of a name alone it is not known yet whose table it is.
        if outward::is_place(&self.into) { outward::check(self).map(drop) } else { Ok(()) }
    }
}

/// Whether a text is a name of a sync: it is a folder of the ledger, too.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// How a run differs from what its definition says.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RunOptions {
    /// All rows are sent, whatever the ledger has of them. Events that were sent are not sent again.
    pub full: bool,
    /// Rejected rows are tried again, once.
    pub retry: bool,
    /// Nothing is stored in CleverTap, and nothing is remembered: what would be rejected is told.
    pub dry_run: Option<DryRun>,
    /// How many may leave a mirror, in place of the definition's.
    pub removed_max: Option<RemovedMax>,
    /// A mirror removes who left the source also in its first run as one: else that run is a baseline, and removes nobody.
    pub removes_at_first: bool,
    /// Keys whose hashes stand in memory at once, about 50 to 100 bytes each. Default: 14.6 million, of which half may be new. More are compared in
    /// parts on the disk, where rows do not keep their order.
    pub keys_max: Option<u64>,
    /// The window, in place of the definition's; a cursor stays where it is. Out of CleverTap alone.
    pub from: Option<DateTime<Utc>>,
    /// Its end, which is not part of it.
    pub to: Option<DateTime<Utc>>,
}

/// Syncs by their names, in an order in which each comes behind those that it names in `after`; those are taken in.
///
/// # Errors
/// [`Error::Definition`] for a name that nobody has, and for syncs that wait for each other.
pub fn in_order<'d>(definitions: &'d [Definition], names: &[String]) -> Result<Vec<&'d Definition>> {
    fn visit<'d>(definitions: &'d [Definition], name: &str, path: &mut Vec<String>, order: &mut Vec<&'d Definition>) -> Result<()> {
        if order.iter().any(|definition| definition.name == name) {
            return Ok(());
        }
        if path.iter().any(|on_the_way| on_the_way == name) {
            return Err(Error::Definition(format!("syncs wait for each other: {} -> {name}; take one out of `after`", path.join(" -> "))));
        }
        let Some(definition) = definitions.iter().find(|definition| definition.name == name) else {
            let names: Vec<&str> = definitions.iter().map(|definition| definition.name.as_str()).collect();
            let there = if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) };
            return Err(Error::Definition(match path.last() {
                Some(waits) => format!("sync \"{waits}\" comes after \"{name}\", and no sync has this name; {there}"),
                None => format!("no sync has the name \"{name}\"; {there}"),
            }));
        };
        path.push(name.to_owned());
        for earlier in &definition.after {
            visit(definitions, earlier, path, order)?;
        }
        path.pop();
        order.push(definition);
        Ok(())
    }
    let mut order = Vec::new();
    for name in names {
        visit(definitions, name, &mut Vec::new(), &mut order)?;
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, after: &[&str]) -> Definition {
        let mut definition = Definition::new(name, "SELECT 1", "clevertap.profiles");
        definition.after = after.iter().map(ToString::to_string).collect();
        definition
    }

    #[test]
    fn syncs_come_behind_those_that_they_name() {
        let all = [named("lists", &["people", "events"]), named("events", &["people"]), named("people", &[])];
        let names = |of: &[&str]| {
            let of: Vec<String> = of.iter().map(ToString::to_string).collect();
            in_order(&all, &of).map(|order| order.iter().map(|one| one.name.clone()).collect::<Vec<_>>()).map_err(|error| error.to_string())
        };
        assert_eq!(names(&["lists"]).expect("an order"), ["people", "events", "lists"]);
        assert_eq!(names(&["events", "people", "events"]).expect("an order"), ["people", "events"]);
        assert!(names(&["nobody"]).expect_err("none").contains("there are lists, events, people"));
        let circle = [named("a", &["b"]), named("b", &["a"])];
        let error = in_order(&circle, &["a".to_owned()]).expect_err("a circle").to_string();
        assert!(error.contains("a -> b -> a"), "{error}");
        assert!(in_order(&[named("a", &["x"])], &["a".to_owned()]).is_err());
    }

    #[test]
    fn how_many_may_leave_is_a_count_or_a_part_of_those_that_were_sent() {
        assert_eq!(RemovedMax::parse("500"), Some(RemovedMax::Rows(500)));
        assert_eq!(RemovedMax::parse("5 %"), Some(RemovedMax::Percent(5.0)));
        assert_eq!((RemovedMax::parse("-1"), RemovedMax::parse("101%"), RemovedMax::parse("many")), (None, None, None));
        assert!(RemovedMax::Percent(5.0).allows(5, 100) && !RemovedMax::Percent(5.0).allows(6, 100));
        assert!(RemovedMax::Rows(6).allows(6, 6) && !RemovedMax::Rows(5).allows(6, 1000));
    }
}
