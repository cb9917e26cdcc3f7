//! What a driver says is wrong, in our words.
//!
//! Drivers hand on the server's whole message, which repeats statements and values. So of a statement that failed nothing is shown but its
//! state, a code of five characters that SQL defines, and the driver's own number. What is said while connecting holds options and places, and
//! is shown without the secrets.

use adbc_core::error::{Error as Fault, Status};
use arrow::error::ArrowError;

use super::vendor::{Product, Vendor};
use crate::error::{Doing, Error};

/// Most characters of what a driver says.
const SAID_MAX: usize = 400;

/// The state of SQL, if there is one.
pub(super) fn state(error: &Fault) -> Option<String> {
    let state: String = error.sqlstate.iter().map(|byte| char::from(byte.cast_unsigned())).collect();
    state.chars().all(|c| c.is_ascii_alphanumeric()).then_some(state).filter(|state| state != "00000")
}

/// An error while a driver was loaded or connected. `said` is its message without the secrets.
pub(super) fn of_connecting(error: &Fault, place: &str, said: &str) -> Error {
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX).collect();
    let what = format!("{place}: {}", said.trim());
    let is_login = error.status == Status::Unauthenticated || state(error).is_some_and(|state| state.starts_with("28"));
    match error.status {
        // Snowflake's numbers of logins that were refused.
        _ if is_login || (390_100..390_200).contains(&error.vendor_code) => {
            Error::Unauthorized(format!("{what}; look at user, password and rights"))
        }
        Status::NotFound | Status::InvalidArguments | Status::NotImplemented => Error::Setting(what),
        _ => Error::Unavailable(what),
    }
}

/// Whether there is no such table.
pub(super) fn is_absent(error: &Fault) -> bool {
    error.status == Status::NotFound || matches!(state(error).as_deref(), Some("42P01" | "42S02"))
}

/// Whether the server has answered: what it refused, it did not do.
pub(super) fn is_answer(error: &Fault, vendor: Vendor) -> bool {
    // SQLite is here, and its driver tells no states.
    vendor == Vendor::Sqlite || state(error).is_some_and(|state| !state.starts_with("08") && !state.starts_with("57P"))
}

/// Whether the same step may go through if it is tried again.
pub(super) fn is_transient(error: &Fault) -> bool {
    matches!(state(error).as_deref(), Some("40001" | "40P01"))
}

/// An error while a statement ran.
pub(super) fn of_statement(error: &Fault, qualified: &str, doing: Doing, product: &Product) -> Error {
    let (name, effect) = (&product.name, doing.effect());
    let state = state(error);
    let code = match (&state, error.vendor_code) {
        (Some(state), 0 | i32::MIN) => format!("{name} {state}"),
        (Some(state), code) => format!("{name} {state}, {code}"),
        (None, 0 | i32::MIN) => format!("{name}, {:?}", error.status),
        (None, code) => format!("{name}, {code}"),
    };
    let refused = |what: &str| Error::Refused(format!("{qualified}: {what} ({code}){effect}"));
    let changed = "the table was changed meanwhile, or the user may not see it; run the statement again";
    match (state.as_deref(), error.status) {
        _ if !is_answer(error, product.vendor) && matches!(error.status, Status::IO | Status::Timeout | Status::Cancelled) => {
            Error::Unavailable(format!("{qualified}: the connection to {name} ended before the statement did{effect}"))
        }
        (Some("23505"), _) => refused("a row has a key that is there already; REPLACE INTO changes such rows"),
        // 100072 is Snowflake's own.
        _ if state.as_deref() == Some("23502") || error.vendor_code == 100_072 => refused("a value is NULL and is NOT NULL there"),
        (Some("23503"), _) => refused("a row refers to one that is not there, or is referred to"),
        (Some("23514"), _) => refused("a row breaks a CHECK constraint"),
        (None, Status::Integrity) if product.vendor == Vendor::Sqlite => {
            // It names columns alone: `UNIQUE constraint failed: t.id`.
            let what = error.message.rsplit_once("failed: ").map_or("", |(_, what)| what);
            refused(&format!(
                "a row breaks a constraint: {}; REPLACE INTO changes rows whose key is there already",
                crate::error::shown(what)
            ))
        }
        (Some("22001"), _) => refused("a text is longer than its column"),
        (Some("22003" | "22008"), _) => refused("a value is out of the range of its column"),
        (Some("42P10"), _) => refused("no unique index has the columns of the key; CREATE UNIQUE INDEX in the database makes one"),
        (Some("42P01" | "42703" | "42S02" | "42S22"), _) | (_, Status::NotFound) => refused(changed),
        (Some("02000"), _) if matches!(error.vendor_code, 904 | 2003 | 2043) => refused(changed),
        (Some("42501"), _) | (_, Status::Unauthorized) => refused("the user may not do this"),
        (Some("25006"), _) => refused("the server or the session is read only; write to the primary"),
        (Some("40001" | "40P01" | "55P03"), _) => refused("another transaction was in the way, several times; run the statement again"),
        (Some("53100"), _) => refused("the server's disk is full"),
        (Some("57014"), _) => refused("the server ended the statement; its time limit may be too short"),
        (Some(state), _) if state.starts_with("22") => refused("a value has a form that its column does not take"),
        _ => refused("the driver or the server refused the statement"),
    }
}

/// An error while an answer was read. A stream has no codes, and its text may repeat values.
pub(super) fn of_answer(error: &ArrowError, qualified: &str, product: &Product) -> Error {
    if product.vendor == Vendor::Snowflake && error.to_string().contains("overflows when converted to nanoseconds") {
        return Error::Unreadable(format!(
            "{qualified}: an instant is before 1677 or after 2262; the option adbc.snowflake.sql.client_option.max_timestamp_precision = \
             \"microseconds\" reads it"
        ));
    }
    if product.vendor == Vendor::Sqlite {
        return Error::Unreadable(format!(
            "{qualified}: a column has values of several types, which the ADBC driver of SQLite cannot read; url = \"sqlite:FILE\" reads them"
        ));
    }
    Error::Unavailable(format!("{qualified}: the answer of {} ended before it was whole", product.name))
}
