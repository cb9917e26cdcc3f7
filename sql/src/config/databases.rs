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
use crate::files::object_stores::ObjectStores;
use clevertap_databases::{Access, Database, DatabaseSettings, Password};
use datafusion::execution::object_store::ObjectStoreRegistry as _;
use url::Url;

/// The catalogue that DataFusion has by itself.
const TAKEN: &str = "datafusion";

/// Ends of the names of options whose values are secrets.
const SECRETS: [&str; 6] = ["password", "passphrase", "token", "secret", "pkcs8_value", "access_key"];

/// A section.
#[derive(Debug, Clone)]
pub(super) struct DatabaseSection {
    at: Source,
    described: DescribedDatabase,
    settings: DatabaseSettings,
}

/// What the file says of a database, with where it stands.
#[derive(Debug, Clone)]
pub(crate) struct DescribedDatabase {
    /// `url` or `driver`.
    pub(crate) key: &'static str,
    pub(crate) place: Sourced<String>,
    /// Where its password is; without one, `.pgpass` and `my.cnf` are looked at.
    pub(crate) password: Option<Sourced<PasscodePlace>>,
    pub(crate) access: Sourced<Access>,
    /// Whether an INSERT makes a table that is missing.
    pub(crate) create: Option<Sourced<bool>>,
    /// Where rows wait before the database loads them.
    pub(crate) staging: Option<Sourced<String>>,
    /// Options of the driver.
    pub(crate) options: Vec<(String, Sourced<String>)>,
    /// Options of the driver whose values are in variables, by the names of these.
    pub(crate) secret_options: Vec<(String, Sourced<String>)>,
}

/// A database of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct ConfiguredDatabase {
    /// The name of the catalogue.
    pub(crate) name: String,
    pub(crate) described: DescribedDatabase,
    /// The database, or a sentence that says why it is not open.
    pub(crate) opened: Result<Database, String>,
}

impl DatabaseSection {
    pub(super) fn read_all(section: Section<'_, '_>, reader: &Reader<'_>) -> Vec<Self> {
        section.into_sections().into_iter().filter_map(|(name, section)| Self::read(&name, section, reader)).collect()
    }

    /// `None` without a place that can be read, which is a fault.
    fn read(name: &Located<String>, mut section: Section<'_, '_>, reader: &Reader<'_>) -> Option<Self> {
        if let Err(why) = parse_name(&name.value) {
            reader.faults.add(&name.span, why);
        } else if name.value == TAKEN {
            reader.faults.add(&name.span, format!("\"{TAKEN}\" is the catalogue of everything else; choose another name"));
        }
        for (key, why) in [
            ("password_env", "it would be sent to the server of the url"),
            ("password_file", "it would be sent to the server of the url"),
            ("driver", "it is code, and would run"),
            ("options", "they say where a driver goes and what it runs"),
            ("secret_options_env", "they would be sent to a server of the driver's choice"),
            ("staging", SENDS_ROWS),
        ] {
            if let Some(span) = section.key(key) {
                reader.refuse_in_working_folder(&span, key, why);
            }
        }
        let url = section.text("url");
        let driver = section.text("driver");
        let in_variable = section.parsed("password_env", parse_password_variable);
        let in_file = section.text("password_file");
        let access = section.parsed("access", parse_access);
        let create = section.flag("create");
        let staging = section.text("staging");
        let options = section.section("options").map(Section::into_texts).unwrap_or_default();
        let secret_options = section.section("secret_options_env").map(Section::into_texts).unwrap_or_default();
        section.finish();

        if let Some(access) = access.as_ref().filter(|access| access.value == Access::Write) {
            reader.refuse_in_working_folder(&access.span, "access = \"write\"", SENDS_ROWS);
        }
        let is_written = access.as_ref().is_some_and(|access| access.value == Access::Write);
        if let Some(create) = create.as_ref().filter(|create| create.value && !is_written) {
            reader.faults.add(&create.span, "create = true makes tables, which takes access = \"write\" beside it");
        }
        for (key, _) in &options {
            if SECRETS.iter().any(|end| key.value.to_ascii_lowercase().ends_with(end)) {
                let hint = format!("secret_options_env = {{ \"{}\" = \"A_VARIABLE\" }} names one that holds it", key.value);
                reader.faults.add(&key.span, format!("the value of \"{}\" is a secret, and none stands in this file; {hint}", key.value));
            }
        }
        for (_, variable) in &secret_options {
            if parse_variable(&variable.value).is_err() {
                reader
                    .faults
                    .add(&variable.span, "this is not the name of a variable; expected one, as WH_KEY, and the secret in the variable");
            }
        }
        let password = reader.secret("password", in_variable, in_file);
        let (key, place, settings) = match (url, driver) {
            (Some(url), None) => {
                for (option, _) in options.iter().chain(&secret_options) {
                    reader.faults.add(&option.span, format!("\"{}\" is an option of a driver, and the database has a url", option.value));
                }
                let settings = DatabaseSettings::new(&name.value, &beside(&url.value, reader));
                ("url", url.clone(), settings.map_err(|error| reader.faults.add(&url.span, error.to_string())).ok()?)
            }
            (None, Some(driver)) => {
                let is_path = driver.value.contains(['/', '\\']) && !driver.value.contains("://");
                let named = if is_path { reader.place(&driver.value) } else { driver.value.clone() };
                ("driver", driver, DatabaseSettings::adbc(&name.value, &named))
            }
            (Some(_), Some(driver)) => {
                reader.faults.add(&driver.span, "url and driver are two ways to a database; name one");
                return None;
            }
            (None, None) => {
                let example = "such as postgres://reader@db.acme.example/shop";
                reader.faults.add(&name.span, format!("[databases.{}] has no url, {example}, and no driver", name.value));
                return None;
            }
        };
        let staging = staging.map(|staging| reader.sourced(reader.place(&staging.value), &staging.span));
        let described = DescribedDatabase {
            key,
            place: reader.located(place),
            password,
            access: access.map_or(Sourced::new(Access::Read, Source::Default), |access| reader.located(access)),
            create: create.map(|create| reader.located(create)),
            staging,
            options: options.into_iter().map(|(key, value)| (key.value, reader.located(value))).collect(),
            secret_options: secret_options.into_iter().map(|(key, value)| (key.value, reader.located(value))).collect(),
        };
        Some(Self { at: reader.source(&name.span), settings: described.apply(settings), described })
    }

    /// The database, not connected to; with `read_only`, for queries alone.
    pub(super) fn open(self, read_only: bool, variable: &dyn Fn(&str) -> Option<String>) -> ConfiguredDatabase {
        let Self { at, mut described, mut settings } = self;
        if read_only {
            described.access = Sourced::new(Access::Read, Source::Flag("--read-only"));
            settings = settings.with_access(Access::Read);
        }
        let name = settings.name.clone();
        let opened = described.with_secrets(settings, variable).and_then(open);
        let opened = opened.map_err(|why| format!("database {name} ({at}) is not open: {why}"));
        ConfiguredDatabase { name, described, opened }
    }
}

/// The database, and the bucket of its staging, whose credentials are the environment's.
fn open(settings: DatabaseSettings) -> Result<Database, String> {
    let opened = match &settings.staging {
        None => Database::open(settings),
        Some(staging) => {
            let url = Url::parse(staging).map_err(|_| "its staging is no URL, such as s3://acme-tmp/clevertap/".to_owned())?;
            let store = ObjectStores::default().get_store(&url).map_err(|error| error.to_string())?;
            Database::open_with_store(settings, store)
        }
    };
    opened.map_err(|error| error.to_string())
}

impl DescribedDatabase {
    /// All that is no secret.
    fn apply(&self, settings: DatabaseSettings) -> DatabaseSettings {
        let create = self.create.as_ref().is_some_and(|create| create.value);
        let settings = settings.with_access(self.access.value).with_create(create);
        let settings = self.options.iter().fold(settings, |settings, (key, value)| settings.with_option(key, &value.value));
        match &self.staging {
            Some(staging) => settings.with_staging(&staging.value),
            None => settings,
        }
    }

    fn with_secrets(&self, settings: DatabaseSettings, variable: &dyn Fn(&str) -> Option<String>) -> Result<DatabaseSettings, String> {
        let password = self.password.as_ref().map(|place| place.value.text("password", variable)).transpose()?;
        let mut settings = settings.with_password(password.map(Password::new));
        for (key, name) in &self.secret_options {
            let secret = PasscodePlace::Variable(name.value.clone()).text(key, variable)?;
            settings = settings.with_secret_option(key, Password::new(secret));
        }
        Ok(settings)
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
