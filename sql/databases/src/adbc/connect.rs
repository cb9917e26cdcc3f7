//! A driver, found and loaded once, and its connections.
//!
//! In: the driver's name or path, and its options. Out: connections, and what is at their other end. A driver waits while it works, so all of it
//! runs on threads that may wait.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use adbc_core::error::{Error as Fault, Status};
use adbc_core::options::{AdbcVersion, InfoCode, OptionDatabase, OptionValue};
use adbc_core::{Connection, Database, Driver, LOAD_FLAG_SEARCH_ENV, LOAD_FLAG_SEARCH_SYSTEM, LOAD_FLAG_SEARCH_USER, LoadFlags, Statement};
use adbc_driver_manager::{ManagedConnection, ManagedDatabase, ManagedDriver};
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::runtime::SpawnedTask;
use percent_encoding::percent_decode_str;
use tokio::sync::OnceCell;
use url::Url;

use super::fault;
use super::missing::missing;
use super::vendor::{Product, Vendor};
use crate::error::{Error, Result, shown};
use crate::settings::DatabaseSettings;

/// Not the working folder: what is loaded runs.
const SEARCHED: LoadFlags = LOAD_FLAG_SEARCH_ENV | LOAD_FLAG_SEARCH_USER | LOAD_FLAG_SEARCH_SYSTEM;

/// Of Snowflake's driver: what becomes of a time that nanoseconds do not reach.
const TIMES: &str = "adbc.snowflake.sql.client_option.max_timestamp_precision";
const TIMES_OR_ERROR: &str = "nanoseconds_error_on_overflow";

const LOGIN_TIMEOUT: &str = "adbc.snowflake.sql.client_option.login_timeout";

/// A driver with its options.
pub(super) struct Connector {
    name: String,
    driver: String,
    options: Vec<(String, String)>,
    secrets: Vec<String>,
    timeout: Duration,
    database: OnceCell<ManagedDatabase>,
    product: OnceLock<Product>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.options.iter().map(|(name, _)| name).collect();
        f.debug_struct("Connector").field("driver", &self.driver).field("options", &names).finish_non_exhaustive()
    }
}

/// Runs what waits where waiting is no harm.
pub(super) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    match SpawnedTask::spawn_blocking(work).join().await {
        Ok(result) => result,
        Err(_) => Err(Error::Unavailable("the thread of an ADBC driver ended before its work did".into())),
    }
}

impl Connector {
    /// Loads nothing.
    ///
    /// # Errors
    /// [`Error::Setting`] if the driver is neither a name, an absolute path nor a profile; if a secret stands among the plain options; or if an
    /// option would let times become others.
    pub(super) fn new(settings: &DatabaseSettings) -> Result<Self> {
        let driver = settings.address.database.clone();
        let setting = |problem: String| Error::Setting(format!("database \"{}\": {problem}", shown(&settings.name)));
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let is_known = match driver.strip_prefix("profile://") {
            Some(profile) => is_name(profile) || Path::new(profile).is_absolute(),
            None => is_name(&driver) || Path::new(&driver).is_absolute(),
        };
        if !is_known {
            return Err(setting(format!(
                "driver \"{}\" is neither a name like snowflake, the absolute path of a driver's library, nor profile://NAME",
                shown(&driver)
            )));
        }
        for (key, value) in &settings.options {
            const SECRETS: [&str; 9] = [
                "password",
                "auth_token",
                "access_token",
                "pkcs8_value",
                "client_secret",
                "passcode",
                "authorization_header",
                "auth_credentials",
                "passphrase",
            ];
            if holds_password(value) || SECRETS.iter().any(|end| key.ends_with(end)) {
                return Err(setting(format!(
                    "option \"{}\" is a secret or holds one; secret_options_env names the variable that it is in",
                    shown(key)
                )));
            }
        }
        let mut options: Vec<_> = settings.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut secrets: Vec<_> = settings.secret_options.iter().map(|(key, value)| (key.clone(), value.reveal().to_owned())).collect();
        secrets.extend(settings.password.iter().map(|password| ("password".to_owned(), password.reveal().to_owned())));
        let file = Path::new(&driver).file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
        let is_snowflake = !driver.starts_with("profile:") && file.is_some_and(|file| file.contains("snowflake"));
        match settings.options.get(TIMES).map(String::as_str) {
            Some(TIMES_OR_ERROR | "microseconds") => {}
            Some(_) => {
                return Err(setting(format!(
                    "option \"{TIMES}\" lets a time before 1677 or after 2262 become another; \"{TIMES_OR_ERROR}\" makes it an error and \
                     \"microseconds\" reads it"
                )));
            }
            None if is_snowflake => options.push((TIMES.into(), TIMES_OR_ERROR.into())),
            None => {}
        }
        if is_snowflake && !settings.options.contains_key(LOGIN_TIMEOUT) {
            // A login that nobody waits for any more ends.
            options.push((LOGIN_TIMEOUT.into(), format!("{}s", settings.connect_timeout.as_secs().max(1))));
        }
        let mut known: Vec<_> = secrets.iter().flat_map(|(_, value)| parts(value)).collect();
        // What holds another goes first.
        known.sort_by_key(|part| std::cmp::Reverse(part.len()));
        options.extend(secrets);
        Ok(Self {
            name: settings.name.clone(),
            driver,
            options,
            secrets: known,
            timeout: settings.connect_timeout,
            database: OnceCell::new(),
            product: OnceLock::new(),
        })
    }

    /// What is at the other end, as far as it is known: not before the first connection.
    pub(super) fn vendor(&self) -> Vendor {
        self.product.get().map_or(Vendor::Other('"'), |product| product.vendor)
    }

    /// Its name, for messages.
    pub(super) fn product(&self) -> String {
        self.product.get().map_or_else(|| "this database".to_owned(), |product| product.name.clone())
    }

    /// Where it is, for messages.
    fn place(&self) -> String {
        format!("database \"{}\", reached by the ADBC driver {}", shown(&self.name), shown(&self.driver))
    }

    /// What a driver says while it connects, without what must not be shown.
    fn refused(&self, error: &Fault) -> Error {
        let said = self.secrets.iter().fold(error.message.clone(), |text, secret| text.replace(secret, "…"));
        fault::of_connecting(error, &self.place(), &said)
    }

    /// A new connection.
    ///
    /// # Errors
    /// [`Error::Setting`] if the driver is missing or refuses its options, [`Error::Unauthorized`], [`Error::Unavailable`].
    pub(super) async fn connect(self: &Arc<Self>) -> Result<Link> {
        let (opener, connector) = (Arc::clone(self), Arc::clone(self));
        let connect = async {
            let database = self.database.get_or_try_init(|| blocking(move || opener.open())).await?.clone();
            blocking(move || connector.link(&database)).await
        };
        match tokio::time::timeout(self.timeout, connect).await {
            Ok(link) => link,
            Err(_) => Err(Error::Unavailable(format!("{} did not answer within {} s", self.place(), self.timeout.as_secs()))),
        }
    }

    fn open(&self) -> Result<ManagedDatabase> {
        let file = Path::new(&self.driver);
        if file.is_absolute() && !file.exists() {
            return Err(missing(&self.name, &self.driver));
        }
        let options = || {
            let option = |(key, value): &(String, String)| (OptionDatabase::from(key.as_str()), OptionValue::String(value.clone()));
            self.options.iter().map(option).collect::<Vec<_>>()
        };
        let refused = |error: Fault| self.refused(&error);
        let is_old = |error: &Fault| error.status == Status::NotImplemented;
        if self.driver.starts_with("profile://") {
            let open = |version| ManagedDatabase::from_uri_with_opts(&self.driver, None, version, SEARCHED, None, options());
            return open(AdbcVersion::V110).map_err(refused);
        }
        let load = |version| ManagedDriver::load_from_name(&self.driver, None, version, SEARCHED, None);
        let loaded = load(AdbcVersion::V110).or_else(|error| if is_old(&error) { load(AdbcVersion::V100) } else { Err(error) });
        let mut driver = loaded.map_err(|error| match error.status {
            Status::NotFound => missing(&self.name, &self.driver),
            _ => refused(error),
        })?;
        driver.new_database_with_opts(options()).map_err(refused)
    }

    fn link(&self, database: &ManagedDatabase) -> Result<Link> {
        let connection = database.new_connection().map_err(|error| self.refused(&error))?;
        let product = match self.product.get() {
            Some(product) => product.clone(),
            None => {
                let name = vendor_name(&connection).unwrap_or_else(|| "an unnamed database".into());
                self.product.get_or_init(|| Product { vendor: Vendor::of(&name), name: shown(&name) }).clone()
            }
        };
        if product.vendor == Vendor::Snowflake && !self.options.iter().any(|(key, _)| key == TIMES) {
            return Err(Error::Setting(format!(
                "database \"{}\": Snowflake by a profile or a manifest needs the option \"{TIMES}\" = \"{TIMES_OR_ERROR}\" here, so that no time becomes another",
                shown(&self.name)
            )));
        }
        Ok(Link { connection, product })
    }
}

/// Whether a value is a URL, or what another driver takes for one, with a password in it: `ann:hunter2@host`, `password = hunter2`.
fn holds_password(value: &str) -> bool {
    let words: String = value.to_ascii_lowercase().split_whitespace().collect();
    let login = value.split_once("://").map_or(value, |(_, rest)| rest).split_once('@').map(|(login, _)| login);
    words.contains("password=") || login.is_some_and(|login| login.contains(':') && !login.contains('/'))
}

/// What is not shown of a secret: all of it, of a URL its password and its parameters, of anything else its words. Drivers repeat parts.
fn parts(secret: &str) -> Vec<String> {
    const CHARS_MIN: usize = 4;
    let mut parts = vec![secret.to_owned()];
    match Url::parse(secret).ok().filter(Url::has_host) {
        Some(url) => {
            parts.extend(url.password().map(|password| percent_decode_str(password).decode_utf8_lossy().into_owned()));
            parts.extend(url.password().map(str::to_owned));
            parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        }
        None => parts.extend(secret.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() >= CHARS_MIN).map(str::to_owned)),
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn vendor_name(connection: &ManagedConnection) -> Option<String> {
    let reader = connection.get_info(Some(HashSet::from([InfoCode::VendorName]))).ok()?;
    let batches = reader.collect::<Result<Vec<_>, _>>().ok()?;
    let batch = batches.into_iter().find(|batch| batch.num_rows() > 0)?;
    let value = batch.column(1).as_union_opt()?.value(0);
    let name = value.as_string_opt::<i32>()?;
    (!name.is_empty() && name.is_valid(0)).then(|| name.value(0).to_owned())
}

/// A connection, which waits: it is used on threads that may.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) connection: ManagedConnection,
    pub(super) product: Product,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("product", &self.product).finish_non_exhaustive()
    }
}

impl Link {
    /// Runs a statement.
    pub(super) fn execute(&mut self, sql: &str) -> Result<(), Fault> {
        let mut statement = self.connection.new_statement()?;
        statement.set_sql_query(sql)?;
        statement.execute_update().map(|_| ())
    }

    /// A small answer, whole.
    pub(super) fn query(&mut self, sql: &str) -> Result<Vec<RecordBatch>, Fault> {
        let mut statement = self.connection.new_statement()?;
        statement.set_sql_query(sql)?;
        let reader = statement.execute()?;
        Ok(reader.collect::<Result<Vec<_>, _>>()?)
    }

    /// A small answer as texts: of each row, the columns of these names, whatever their case.
    pub(super) fn texts<const N: usize>(&mut self, sql: &str, names: [&str; N]) -> Result<Vec<[Option<String>; N]>, Fault> {
        let mut rows = Vec::new();
        for batch in self.query(sql)? {
            let schema = batch.schema();
            let column = |name: &str| {
                let at = schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name))?;
                cast(batch.column(at), &DataType::Utf8).ok()?.as_any().downcast_ref::<StringArray>().cloned()
            };
            let columns = names.map(column);
            for at in 0..batch.num_rows() {
                let cell = |column: &Option<StringArray>| {
                    column.as_ref().filter(|column| column.is_valid(at)).map(|column| column.value(at).to_owned())
                };
                rows.push(columns.each_ref().map(cell));
            }
        }
        Ok(rows)
    }

    /// One number.
    pub(super) fn number(&mut self, sql: &str) -> Result<Option<u64>, Fault> {
        let batches = self.query(sql)?;
        let cell = batches.iter().find(|batch| batch.num_rows() == 1).and_then(|batch| cast(batch.column(0), &DataType::UInt64).ok());
        Ok(cell.and_then(|cell| {
            cell.as_primitive_opt::<arrow::datatypes::UInt64Type>().filter(|cell| cell.is_valid(0)).map(|cell| cell.value(0))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn what_a_driver_may_repeat_of_a_secret_is_known() {
        assert_eq!(parts("hunter2 x"), ["hunter2 x", "hunter2"]);
        let url = "postgresql://ann:p%40ss@db.example/shop?sslpassword=hunter2";
        assert_eq!(parts(url), [url, "p@ss", "p%40ss", "hunter2"]);
        assert!(parts("").is_empty());
    }
}
