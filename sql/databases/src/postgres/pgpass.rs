//! `.pgpass`, as libpq reads it: `host:port:database:user:password`, `*` for any, `\` before a colon or a backslash.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::settings::{Address, Password, is_private};

/// The password of the first line that fits: of the file that `PGPASSFILE` names, or `~/.pgpass`.
pub(super) fn password(address: &Address, user: &str) -> Option<Password> {
    let path = env::var_os("PGPASSFILE").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".pgpass")))?;
    if !is_private(&path) {
        tracing::warn!(file = %path.display(), "others may read this file of passwords, so it is not used; chmod 600 makes it private");
        return None;
    }
    find(&fs::read_to_string(path).ok()?, address, user)
}

fn find(text: &str, address: &Address, user: &str) -> Option<Password> {
    // libpq calls any socket in its own folder by this name, and any other by its folder.
    let host = if address.is_socket() && address.host == "/var/run/postgresql" { "localhost" } else { &address.host };
    let port = address.port.to_string();
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let [its_host, its_port, database, its_user, password] = &fields[..] else { return None };
        let fits = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        let all = fits(its_host, host) && fits(its_port, &port) && fits(database, &address.database) && fits(its_user, user);
        all.then(|| Password::new(password.as_str()))
    })
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let last = fields.len() - 1;
        match character {
            ':' if last < 4 => fields.push(String::new()),
            '\\' => fields[last].extend(characters.next()),
            character => fields[last].push(character),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::DatabaseSettings;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# a comment\nother:*:*:*:no\ndb.example:5432:shop:ann:a\\:b\\\\c\n*:*:*:*:any:thing\n";
        let found = |url: &str, user: &str| {
            let settings = DatabaseSettings::new("shop", url).expect("settings");
            find(text, &settings.address, user).map(|password| password.reveal().to_owned())
        };
        assert_eq!(found("postgres://db.example/shop", "ann").as_deref(), Some("a:b\\c"));
        assert_eq!(found("postgres://db.example/shop", "bob").as_deref(), Some("any:thing"));
        assert_eq!(find("", &DatabaseSettings::new("s", "postgres://h/d").expect("settings").address, "u"), None);
    }
}
