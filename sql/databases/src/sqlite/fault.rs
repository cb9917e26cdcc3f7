//! What SQLite says is wrong, in our words.

use rusqlite::ErrorCode;

use crate::error::{Doing, Error, shown};

/// An error of a statement.
pub(super) fn of(error: &rusqlite::Error, place: &str, doing: Doing) -> Error {
    let effect = doing.effect();
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        return Error::Refused(format!("{place}: SQLite answers in a form that this version does not read{effect}"));
    };
    let code = failure.extended_code;
    // These name tables, columns and constraints, and no values.
    let names = shown(message.as_deref().unwrap_or_default().rsplit_once("failed: ").map_or("…", |(_, names)| names));
    let refused = |what: String| Error::Refused(format!("{place}: {what} (SQLite {code}){effect}"));
    match (failure.code, code) {
        (ErrorCode::CannotOpen, _) => Error::Unavailable(format!("{place}: the file cannot be opened; look at its path and its rights")),
        (ErrorCode::NotADatabase, _) => Error::Setting(format!("{place}: the file is no SQLite database")),
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
            Error::Unavailable(format!("{place}: another process writes to the file, for longer than was waited{effect}"))
        }
        (ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _) => refused("the file is read only".into()),
        (ErrorCode::DiskFull, _) => refused("the disk is full".into()),
        (ErrorCode::DatabaseCorrupt, _) => refused("the file is damaged".into()),
        (ErrorCode::ConstraintViolation, 1_555 | 2_067) => {
            refused(format!("a row has a key that is there already, of {names}; REPLACE INTO changes such rows"))
        }
        (ErrorCode::ConstraintViolation, 1_299) => refused(format!("{names} is NULL and is NOT NULL there; list it in the INSERT")),
        (ErrorCode::ConstraintViolation, 787) => refused("a row refers to one that is not there, or is referred to".into()),
        (ErrorCode::ConstraintViolation, _) => refused(format!("a row breaks a constraint: {names}")),
        (ErrorCode::TooBig, _) => refused("a value is longer than SQLite's limit".into()),
        (ErrorCode::Unknown, 1) => {
            let message = message.as_deref().unwrap_or_default();
            if message.starts_with("ON CONFLICT clause") {
                refused("no unique index has the columns of the key; CREATE UNIQUE INDEX in the database makes one".into())
            } else if message.starts_with("no such ") || message.contains(" has no column named ") {
                refused(format!("the table was changed meanwhile: {}; run the statement again", shown(message)))
            } else {
                refused("SQLite refused the statement".into())
            }
        }
        _ => refused("SQLite refused the statement".into()),
    }
}

/// An error of preparing a query of the user's own.
pub(super) fn of_query(error: &rusqlite::Error, qualified: &str) -> Error {
    let message = match error {
        rusqlite::Error::SqliteFailure(failure, Some(message)) if failure.code == ErrorCode::Unknown => message.as_str(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.as_str(),
        rusqlite::Error::MultipleStatement => "",
        _ => return of(error, qualified, Doing::Reading),
    };
    // What a syntax error stands near may be a value.
    if message.starts_with("no such column") {
        // A text in double quotes is a name to it, and would be repeated.
        Error::Statement(format!("{qualified}: a column of the query is not there; a text stands in single quotes"))
    } else if ["no such ", "ambiguous column name"].iter().any(|known| message.starts_with(known)) {
        Error::Statement(format!("{qualified}: {}", shown(message)))
    } else {
        Error::Statement(format!("{qualified}: the query is no SQL that SQLite understands, or more than one statement"))
    }
}
