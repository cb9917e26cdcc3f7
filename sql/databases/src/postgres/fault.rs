//! What PostgreSQL, or the way to it, says is wrong, in our words.
//!
//! In: an error of the client. Out: one of ours. Of the server's words those are kept that hold names alone; a message about a value, and every
//! DETAIL, may hold a cell.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::error::{Doing, Error, shown};
use crate::settings::{Address, Kind};
use crate::tls;

/// An error while connecting.
pub(super) fn of_connecting(error: &tokio_postgres::Error, address: &Address) -> Error {
    let place = address.place();
    let product = address.kind.product();
    if let Some(refusal) = error.as_db_error() {
        return of_server(refusal, &format!("{product} at {place}"), Doing::Reading);
    }
    if let Some(problem) = tls_problem(error) {
        return Error::Unavailable(format!("{product} at {place} was not trusted: {}", tls::words(problem, &address.host)));
    }
    match error.source().map(ToString::to_string).as_deref() {
        Some("password missing") => Error::Unauthorized(format!(
            "{product} at {place} wants a password; set password_env or password_file, or add a line to ~/.pgpass"
        )),
        Some("server does not support TLS") => Error::Unavailable(format!(
            "{product} at {place} does not speak TLS; sslmode=disable in the URL connects without, if the network is trusted"
        )),
        _ => Error::Unavailable(format!("{product} at {place} ended the connection while it was set up")),
    }
}

fn tls_problem(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    let mut source = error.source();
    while let Some(inner) = source {
        let found = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if found.is_some() {
            return found;
        }
        source = inner.source();
    }
    None
}

/// An error while a statement ran.
pub(super) fn of_statement(error: &tokio_postgres::Error, qualified: &str, doing: Doing) -> Error {
    of_statement_at(Kind::Postgres, error, qualified, doing)
}

/// An error while a statement ran at a server that speaks the same protocol.
pub(crate) fn of_statement_at(kind: Kind, error: &tokio_postgres::Error, qualified: &str, doing: Doing) -> Error {
    match error.as_db_error() {
        Some(refusal) => of_server(refusal, qualified, doing),
        None => {
            let (product, effect) = (kind.product(), doing.effect());
            Error::Unavailable(format!("{qualified}: the connection to {product} ended before the statement did{effect}"))
        }
    }
}

/// An error of preparing a query of the user's own.
pub(super) fn of_query(error: &tokio_postgres::Error, qualified: &str) -> Error {
    let Some(refusal) = error.as_db_error() else { return of_statement(error, qualified, Doing::Reading) };
    match refusal.code().code() {
        // What it stands near may be a value.
        "42601" => {
            let at = match refusal.position() {
                Some(ErrorPosition::Original(at)) => format!(", at character {at}"),
                _ => String::new(),
            };
            Error::Statement(format!("{qualified}: the query is no SQL that PostgreSQL understands{at}, or more than one statement"))
        }
        // A text in double quotes is a name to it, and would be repeated.
        "42703" => {
            Error::Statement(format!("{qualified}: a column of the query is not there; a text stands in single quotes (SQLSTATE 42703)"))
        }
        code if code.starts_with("42") && code != "42501" => {
            Error::Statement(format!("{qualified}: {} (SQLSTATE {code})", shown(refusal.message())))
        }
        _ => of_server(refusal, qualified, Doing::Reading),
    }
}

/// The row of a COPY that the server was at, from 1.
fn row(refusal: &DbError) -> Option<u64> {
    let (_, line) = refusal.where_()?.lines().next()?.split_once(", line ")?;
    line.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn of_server(refusal: &DbError, place: &str, doing: Doing) -> Error {
    let effect = doing.effect();
    let code = refusal.code().code();
    let name = |name: Option<&str>| name.map_or_else(|| "…".to_owned(), shown);
    let (constraint, column) = (name(refusal.constraint()), name(refusal.column()));
    let at = row(refusal).map_or_else(|| place.to_owned(), |row| format!("{place}, row {row} of the source"));
    let refused = |what: String| Error::Refused(format!("{at}: {what} (SQLSTATE {code}){effect}"));
    match code {
        "28P01" | "28000" => {
            Error::Unauthorized(format!("{place} refused the login ({}); look at user and password", shown(refusal.message())))
        }
        "3D000" => Error::Setting(format!("{place} has no database of this name: {}", shown(refusal.message()))),
        "23505" => {
            refused(format!("a row has a key that is there already, of constraint \"{constraint}\"; REPLACE INTO changes such rows"))
        }
        "23503" => refused(format!("a row refers to one that is not there, or is referred to, by constraint \"{constraint}\"")),
        "23514" => refused(format!("a row breaks constraint \"{constraint}\"")),
        "23502" => refused(format!("column \"{column}\" is NULL and is NOT NULL there; list it in the INSERT")),
        "23P01" => refused(format!("two rows exclude each other by constraint \"{constraint}\"")),
        "25006" => refused("the server or the session is read only; write to the primary".into()),
        "40P01" | "40001" | "55P03" => refused("another transaction was in the way, several times; run the statement again".into()),
        "42501" => refused(format!("the user may not do this: {}", shown(refusal.message()))),
        "3F000" => refused(format!("{}; CREATE SCHEMA in the database makes it", shown(refusal.message()))),
        "42P01" | "42703" => refused(format!("the table was changed meanwhile: {}; run the statement again", shown(refusal.message()))),
        "42P10" => refused("no unique index has the columns of the key".into()),
        "53100" => refused("the server's disk is full".into()),
        "57014" => refused("the server cancelled the statement; statement_timeout may be too short".into()),
        "57P01" | "57P02" | "57P03" => Error::Unavailable(format!("{at}: the server is stopping or starting{effect}")),
        // Data exceptions speak of values.
        code if code.starts_with("22") => refused("a value does not fit its column".into()),
        code if code.starts_with("23") => refused(format!("a row breaks constraint \"{constraint}\"")),
        code if code.starts_with("08") || code.starts_with("53") || code.starts_with("57") => {
            Error::Unavailable(format!("{at}: {} (SQLSTATE {code}){effect}", shown(refusal.message())))
        }
        code if code.starts_with("42") || code.starts_with("0A") || code.starts_with("55") => refused(shown(refusal.message())),
        _ => refused("the server refused the statement".into()),
    }
}

/// Whether the same statement may go through if it is tried again: a deadlock, or a row that another transaction changed.
pub(super) fn is_transient(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| matches!(code.code(), "40P01" | "40001"))
}

/// Whether a COMMIT that ended so has undone the transaction: the end of a session or of a connection says nothing of it.
pub(crate) fn is_settled(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| !code.code().starts_with("57P") && !code.code().starts_with("08") && code.code() != "40003")
}

/// Whether a value is what is wrong: a data exception, or a domain's own condition.
pub(super) fn is_of_a_value(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("22") || matches!(code.code(), "23502" | "23514"))
}
