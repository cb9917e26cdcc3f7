//! User and password of `~/.my.cnf`, section `[client]`.

use std::env;
use std::fs;

use crate::settings::{Password, is_private};

/// What a client is to log in with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Password>,
}

pub(super) fn login() -> Login {
    let Some(path) = env::home_dir().map(|home| home.join(".my.cnf")).filter(|path| path.exists()) else { return Login::default() };
    if !is_private(&path) {
        tracing::warn!(file = %path.display(), "others may read this file of passwords, so it is not used; chmod 600 makes it private");
        return Login::default();
    }
    fs::read_to_string(path).map(|text| parse(&text)).unwrap_or_default()
}

fn parse(text: &str) -> Login {
    let mut login = Login::default();
    let mut is_client = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_client = matches!(section.trim_end_matches(']'), "client" | "client-server");
        }
        let Some((key, value)) = line.split_once('=').filter(|_| is_client && !line.starts_with(['#', ';'])) else { continue };
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let value = quoted.unwrap_or(value);
        match key.trim() {
            "user" => login.user = Some(value.to_owned()),
            "password" => login.password = Some(Password::new(value)),
            _ => {}
        }
    }
    login
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_of_clients_is_read() {
        let login = parse("[mysqld]\npassword=no\n[client]\n# password = no\nuser = ann\npassword = \"a=b \"\n[mysql]\nuser=bob\n");
        assert_eq!(login.user.as_deref(), Some("ann"));
        assert_eq!(login.password.as_ref().map(Password::reveal), Some("a=b "));
    }
}
