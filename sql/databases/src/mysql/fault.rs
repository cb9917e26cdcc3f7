//! What MySQL or MariaDB, or the way to it, says is wrong, in our words.
//!
//! Of the server's words those are kept that hold names alone: a message about a value repeats it.

use mysql_async::{IoError, ServerError};

use crate::error::{Doing, Error, shown};
use crate::settings::Address;

/// An error while connecting.
pub(super) fn of_connecting(error: &mysql_async::Error, address: &Address) -> Error {
    let place = address.place();
    match error {
        mysql_async::Error::Server(refusal) => match refusal.code {
            // The message has the user and the host that was connected from.
            1044 | 1045 | 1698 | 1524 => Error::Unauthorized(format!(
                "MySQL at {place} refused the login ({}); look at user, password and rights",
                shown(&refusal.message)
            )),
            1049 => Error::Setting(format!("MySQL at {place} has no database of this name: {}", shown(&refusal.message))),
            _ => Error::Unavailable(format!("MySQL at {place} refused the connection: {} ({})", shown(&refusal.message), refusal.code)),
        },
        mysql_async::Error::Io(IoError::Tls(problem)) => {
            let words = match rustls_error(problem) {
                Some(problem) => crate::tls::words(problem, &address.host),
                None => "the TLS handshake did not come about".into(),
            };
            Error::Unavailable(format!("MySQL at {place} was not trusted: {words}"))
        }
        mysql_async::Error::Io(IoError::Io(error)) => match rustls_error(error) {
            Some(problem) => Error::Unavailable(format!("MySQL at {place} was not trusted: {}", crate::tls::words(problem, &address.host))),
            None => Error::Unavailable(format!("MySQL at {place} cannot be reached: {}; look at host and port", error.kind())),
        },
        mysql_async::Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer) => Error::Unavailable(format!(
            "MySQL at {place} does not speak TLS; sslmode=disable in the URL connects without, if the network is trusted"
        )),
        _ => Error::Unavailable(format!("MySQL at {place} ended the connection while it was set up")),
    }
}

fn rustls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = error.downcast_ref::<rustls::Error>().or_else(|| inside.and_then(|inside| inside.downcast_ref()));
        if found.is_some() {
            return found;
        }
        next = error.source();
    }
    None
}

/// An error while a statement ran. `first_row` is the number of the first row that it carried.
pub(super) fn of_statement(error: &mysql_async::Error, qualified: &str, doing: Doing, first_row: Option<u64>) -> Error {
    match error {
        mysql_async::Error::Server(refusal) => of_server(refusal, qualified, doing, first_row),
        _ => Error::Unavailable(format!("{qualified}: the connection to MySQL ended before the statement did{}", doing.effect())),
    }
}

/// An error of preparing a query of the user's own.
pub(super) fn of_query(error: &mysql_async::Error, qualified: &str) -> Error {
    match error {
        mysql_async::Error::Server(refusal) => match refusal.code {
            // It repeats the text behind the place.
            1064 | 1149 | 1295 => {
                Error::Statement(format!("{qualified}: the query is no SQL that MySQL understands, or more than one statement"))
            }
            // These name tables, columns and functions.
            1046 | 1049 | 1051 | 1052 | 1054 | 1060 | 1146 | 1305 | 1630 => {
                Error::Statement(format!("{qualified}: {} (MySQL {})", shown(&refusal.message), refusal.code))
            }
            _ => of_server(refusal, qualified, Doing::Reading, None),
        },
        _ => of_statement(error, qualified, Doing::Reading, None),
    }
}

/// `x` of `column 'x'`, or of `` column `schema`.`table`.`x` ``.
fn column(message: &str) -> String {
    let after = message.rsplit_once("olumn ").map_or("…", |(_, after)| after);
    let named = after.rsplit_once(" at row ").map_or(after, |(named, _)| named);
    let name = named.rsplit_once("`.`").map_or(named, |(_, name)| name).trim_start_matches(['\'', '`']);
    shown(name.split(['\'', '`']).next().unwrap_or("…"))
}

/// What LOAD DATA warned of, where an INSERT fails: it has taken another value in the place of one that does not fit.
pub(super) fn of_warning(code: u16, message: String, qualified: &str, first_row: u64) -> Error {
    of_server(&ServerError { code, message, state: String::new() }, qualified, Doing::Writing, Some(first_row))
}

fn of_server(refusal: &ServerError, qualified: &str, doing: Doing, first_row: Option<u64>) -> Error {
    let (code, effect) = (refusal.code, doing.effect());
    let row = || refusal.message.rsplit_once("at row ")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok();
    let at = match first_row.and_then(|first| Some(first + row()? - 1)) {
        Some(row) => format!("{qualified}, row {row} of the source"),
        None => qualified.to_owned(),
    };
    let refused = |what: &str| Error::Refused(format!("{at}: {what} (MySQL {code}){effect}"));
    let value = |what: &str| Error::Value(format!("{at}: \"{}\" {what} (MySQL {code}){effect}", column(&refusal.message)));
    match code {
        1406 => value("is longer than its column"),
        1264 | 1690 => value("is out of the range of its column"),
        // A message about a cell that names no column has the cell alone.
        1292 | 1411 | 1525 if !refusal.message.contains("' for column ") => {
            refused("a value has a form that its column, or what is made of it, does not take")
        }
        1366 | 1292 | 1265 | 1411 | 1525 | 4025 | 3140 => value("has a form or a character that its column does not take"),
        1048 | 1263 | 1364 => value("is NULL and is NOT NULL there"),
        1062 | 1586 => refused("a row has a key that is there already; REPLACE INTO changes such rows"),
        1451 | 1452 | 1216 | 1217 => refused("a row refers to one that is not there, or is referred to"),
        3819 => refused("a row breaks a CHECK constraint"),
        1290 | 1792 | 1836 | 3032 => refused("the server or the session is read only; write to the primary"),
        1205 | 1213 => refused("another transaction was in the way; run the statement again"),
        1044 | 1142 | 1143 | 1227 => {
            refused("the user may not do this; a write needs INSERT, and but for an append UPDATE, DELETE and CREATE TEMPORARY TABLES")
        }
        1146 | 1054 | 1049 => refused(&format!("the table was changed meanwhile: {}; run the statement again", shown(&refusal.message))),
        1170 => refused("a column of the key is a TEXT or BLOB, of which MySQL makes no key; make it a VARCHAR"),
        1021 | 1114 => refused("the server's disk, or its space for temporary tables, is full"),
        1153 => refused("a row is longer than max_allowed_packet of the server"),
        1317 | 1969 | 3024 => refused("the server ended the statement; its time limit may be too short"),
        1053 | 1927 => Error::Unavailable(format!("{at}: the server is stopping, or ended the session{effect}")),
        _ => refused("the server refused the statement"),
    }
}

/// Whether the same step may go through if it is tried again.
pub(super) fn is_transient(error: &mysql_async::Error) -> bool {
    matches!(error, mysql_async::Error::Server(refusal) if matches!(refusal.code, 1205 | 1213))
}

#[cfg(test)]
mod tests {
    use super::column;

    #[test]
    fn a_column_is_found_in_what_the_server_says() {
        assert_eq!(column("Data too long for column 'v' at row 2"), "v");
        assert_eq!(column("Incorrect string value: '\\xE6' for column `fit`.`clevertap_stage_rows`.`l` at row 2"), "l");
        assert_eq!(column("Column 'id' cannot be null"), "id");
    }
}
