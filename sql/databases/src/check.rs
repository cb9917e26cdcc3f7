//! What is found when a database is tried: one sentence a thing, and whether statements can live with it.
//!
//! In: what a driver finds. Out: [`Finding`]s in the order in which a person asks: is it there, who am I, is it private, what may I do.

use std::time::Duration;

use crate::error::Error;
use crate::relation::Relation;
use crate::settings::Access;

/// Whether statements can live with what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// They can.
    Good,
    /// Some may not; or it could not be told.
    Open,
    /// They cannot.
    Refused,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about: `reached`, `login`, `database`, `TLS`, `server`, `access`, `rights`, `clock`, `staging`, `local_infile`, `table`, `key`.
    pub what: &'static str,
    /// Whether statements can live with it.
    pub verdict: Verdict,
    /// What was found, with a remedy where one is needed. It holds names and numbers, and no value of a table.
    pub says: String,
}

impl Finding {
    pub(crate) fn good(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Good, says: says.into() }
    }

    pub(crate) fn open(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Open, says: says.into() }
    }

    pub(crate) fn refused(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Refused, says: says.into() }
    }

    /// The way to the server, TLS and login included.
    pub(crate) fn reached(place: &str, after: Duration) -> Self {
        Self::good("reached", format!("{place} in {} ms", after.as_millis()))
    }

    /// Why there is no connection. A server that refuses a login was reached.
    pub(crate) fn unreached(place: &str, error: &Error) -> Vec<Self> {
        match error {
            Error::Unauthorized(_) => vec![Self::good("reached", place), Self::refused("login", error.to_string())],
            Error::Setting(_) => vec![Self::good("reached", place), Self::refused("database", error.to_string())],
            _ => vec![Self::refused("reached", error.to_string())],
        }
    }

    /// Whether what is sent can be read on the way. `version` is that of TLS, if it is spoken.
    pub(crate) fn tls(version: Option<&str>, is_local: bool) -> Self {
        match version.filter(|version| !version.is_empty()) {
            Some(version) => Self::good("TLS", version),
            None if is_local => Self::good("TLS", "off, on this machine"),
            None => {
                Self::open("TLS", "off: rows, and perhaps the password, can be read on the way; sslmode=verify-full in the URL turns it on")
            }
        }
    }

    /// How far the server's clock is from this machine's, both in seconds since 1970.
    pub(crate) fn clock(there: f64, here: f64) -> Self {
        const SECONDS_MAX: f64 = 5.0;
        let apart = there - here;
        let says = format!("{:.1} s {} this machine's", apart.abs(), if apart < 0.0 { "behind" } else { "ahead of" });
        if apart.abs() <= SECONDS_MAX {
            Self::good("clock", says)
        } else {
            Self::open("clock", format!("{says}: now() means another instant there than here"))
        }
    }

    /// Staging tables that nobody took away, by their names.
    pub(crate) fn staging(left: &[String]) -> Self {
        match left {
            [] => Self::good("staging", "no table of an earlier write is left"),
            left => Self::open(
                "staging",
                format!("{} are left of earlier writes: {}; DROP TABLE in the database takes them away", left.len(), left.join(", ")),
            ),
        }
    }
}

/// What the user may do with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) select: bool,
    pub(crate) insert: bool,
    pub(crate) update: bool,
    pub(crate) delete: bool,
}

impl Rights {
    /// What of it a table of this access lacks.
    pub(crate) fn finding(self, access: Access) -> Finding {
        let all = [("SELECT", self.select), ("INSERT", self.insert), ("UPDATE", self.update), ("DELETE", self.delete)];
        let list = |is: bool| all.iter().filter(|(_, has)| *has == is).map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let (has, lacks) = (list(true), list(false));
        let has = if has.is_empty() { "none".to_owned() } else { has };
        match access {
            Access::Read if self.select => Finding::good("rights", has),
            Access::Write if lacks.is_empty() => Finding::good("rights", has),
            Access::Write if self.select && self.insert => Finding::open(
                "rights",
                format!("{has}; for INSERT OVERWRITE and REPLACE INTO {lacks} is missing: GRANT it in the database"),
            ),
            Access::Read => Finding::refused("rights", format!("{has}; SELECT is missing: GRANT it in the database")),
            Access::Write => Finding::refused("rights", format!("{has}; {lacks} is missing: GRANT it in the database")),
        }
    }
}

/// What a table is: its columns and its key.
pub(crate) fn of_table(relation: &Relation, access: Access) -> Vec<Finding> {
    let (qualified, columns) = (relation.qualified(), relation.columns.len());
    let what = if relation.is_view { "a view" } else { "a table" };
    let mut findings = vec![Finding::good("table", format!("{qualified} is {what} of {columns} columns"))];
    findings.push(match (relation.key.is_empty(), access) {
        (false, _) => Finding::good("key", relation.key.join(", ")),
        (true, Access::Read) => Finding::good("key", "no primary key"),
        (true, Access::Write) => {
            Finding::open("key", "no primary key: REPLACE INTO needs SET database.upsert_key = 'id', and a unique index of its columns")
        }
    });
    if access == Access::Write && !relation.is_transactional {
        findings.push(Finding::refused(
            "table",
            "its engine has no transactions, so it is not written; ALTER TABLE … ENGINE = InnoDB changes that",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_judged_by_what_the_access_needs() {
        let reads = Rights { select: true, insert: false, update: false, delete: false };
        assert_eq!(reads.finding(Access::Read), Finding::good("rights", "SELECT"));
        let refused = reads.finding(Access::Write);
        assert_eq!(refused.verdict, Verdict::Refused);
        assert_eq!(refused.says, "SELECT; INSERT, UPDATE, DELETE is missing: GRANT it in the database");
        let appends = Rights { insert: true, ..reads }.finding(Access::Write);
        assert_eq!(appends.verdict, Verdict::Open);
        assert_eq!(Rights { select: false, ..reads }.finding(Access::Read).verdict, Verdict::Refused);
    }

    #[test]
    fn a_clock_that_is_far_off_and_a_login_that_was_refused_are_told_apart() {
        assert_eq!(Finding::clock(100.0, 101.5), Finding::good("clock", "1.5 s behind this machine's"));
        assert_eq!(Finding::clock(200.0, 100.0).verdict, Verdict::Open);
        let of = |error| Finding::unreached("db:1", &error).iter().map(|finding| (finding.what, finding.verdict)).collect::<Vec<_>>();
        assert_eq!(of(Error::Unauthorized("x".into())), [("reached", Verdict::Good), ("login", Verdict::Refused)]);
        assert_eq!(of(Error::Unavailable("x".into())), [("reached", Verdict::Refused)]);
    }
}
