//! `[databases.NAME]`: databases as catalogues, `shop.public.orders`.
//!
//! In: sections of the file, a look-up of variables. Out: databases that nobody has connected to yet; or why one is not open, which stops nothing
//! but what uses it. Of the file of the working folder, which may come from somebody else, a database is read, and by no password that it
//! names: its URL could send the password, and rows about people, to a server of its choice.

use super::{
    passcode::PasscodePlace,
    reader::{Reader, SENDS_ROWS},
    section::{Located, Section},
    value::{Source, Sourced, parse_name, parse_variable},
};
use clevertap_databases::{Access, Database, DatabaseSettings, Password};

/// The catalogue that DataFusion has by itself.
const TAKEN: &str = "datafusion";

/// A section.
#[derive(Debug, Clone)]
pub(super) struct DatabaseSection {
    at: Source,
    url: Sourced<String>,
    password: Option<Sourced<PasscodePlace>>,
    access: Sourced<Access>,
    settings: DatabaseSettings,
}

/// A database of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct ConfiguredDatabase {
    /// The name of the catalogue.
    pub(crate) name: String,
    pub(crate) url: Sourced<String>,
    /// Where its password is; without one, `.pgpass` and `my.cnf` are looked at.
    pub(crate) password: Option<Sourced<PasscodePlace>>,
    pub(crate) access: Sourced<Access>,
    /// The database, or a sentence that says why it is not open.
    pub(crate) opened: Result<Database, String>,
}

impl DatabaseSection {
    pub(super) fn read_all(section: Section<'_, '_>, reader: &Reader<'_>) -> Vec<Self> {
        section.into_sections().into_iter().filter_map(|(name, section)| Self::read(&name, section, reader)).collect()
    }

    /// `None` without a URL that can be read, which is a fault.
    fn read(name: &Located<String>, mut section: Section<'_, '_>, reader: &Reader<'_>) -> Option<Self> {
        if let Err(why) = parse_name(&name.value) {
            reader.faults.add(&name.span, why);
        } else if name.value == TAKEN {
            reader.faults.add(&name.span, format!("\"{TAKEN}\" is the catalogue of everything else; choose another name"));
        }
        for key in ["password_env", "password_file"] {
            if let Some(span) = section.key(key) {
                reader.refuse_in_working_folder(&span, key, "it would be sent to the server of the url");
            }
        }
        if section.key("url").is_none() {
            reader.faults.add(&name.span, format!("[databases.{}] has no url, such as postgres://reader@db.acme.example/shop", name.value));
        }
        let url = section.text("url");
        let in_variable = section.parsed("password_env", parse_password_variable);
        let in_file = section.text("password_file");
        let access = section.parsed("access", parse_access);
        section.finish();

        if let Some(access) = access.as_ref().filter(|access| access.value == Access::Write) {
            reader.refuse_in_working_folder(&access.span, "access = \"write\"", SENDS_ROWS);
        }
        let password = reader.secret("password", in_variable, in_file);
        let url = url?;
        let settings = match DatabaseSettings::new(&name.value, &beside(&url.value, reader)) {
            Ok(settings) => settings,
            Err(error) => {
                reader.faults.add(&url.span, error.to_string());
                return None;
            }
        };
        let access = access.map_or(Sourced::new(Access::Read, Source::Default), |access| reader.located(access));
        let settings = settings.with_access(access.value);
        Some(Self { at: reader.source(&name.span), url: reader.located(url), password, access, settings })
    }

    /// The database, not connected to.
    pub(super) fn open(self, variable: &dyn Fn(&str) -> Option<String>) -> ConfiguredDatabase {
        let Self { at, url, password, access, settings } = self;
        let name = settings.name.clone();
        let secret = password.as_ref().map(|place| place.value.text("password", variable)).transpose();
        let opened =
            secret.and_then(|secret| Database::open(settings.with_password(secret.map(Password::new))).map_err(|error| error.to_string()));
        let opened = opened.map_err(|why| format!("database {name} ({at}) is not open: {why}"));
        ConfiguredDatabase { name, url, password, access, opened }
    }
}

/// A URL of a file of SQLite is one beside the configuration, unless its path is whole.
fn beside(url: &str, reader: &Reader<'_>) -> String {
    let file = url.strip_prefix("sqlite:").map(|file| file.strip_prefix("//").unwrap_or(file)).filter(|file| !file.is_empty());
    file.map_or_else(|| url.to_owned(), |file| format!("sqlite:{}", reader.place(file)))
}

fn parse_access(text: &str) -> Result<Access, String> {
    match text {
        "read" => Ok(Access::Read),
        "write" => Ok(Access::Write),
        _ => Err(format!("access is \"{text}\"; expected read or write")),
    }
}

/// The name of a variable. A password in its place is not shown.
fn parse_password_variable(text: &str) -> Result<String, String> {
    let refused = "password_env is not the name of a variable; expected one, as SHOP_PASSWORD, and the password in the variable";
    parse_variable(text).map_err(|_| refused.to_owned())
}
