//! What is known of a database before anything is asked of it.
//!
//! In: a name, a URL and a password, each on its own, from whoever reads a configuration. Out: where the database is and how it is reached. A
//! URL with a password in it is refused: it would stand in a file, a history of commands or a list of processes.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::bigquery_url;
use crate::error::{Error, Result, shown};

/// What statements may do to a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Queries alone, the default: a statement that writes is refused when it is planned.
    #[default]
    Read,
    /// Queries and INSERTs.
    Write,
}

/// A password, which no Debug shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// PostgreSQL: `postgres://`, `postgresql://`.
    Postgres,
    /// MySQL or MariaDB: `mysql://`, `mariadb://`.
    Mysql,
    /// SQLite: `sqlite:file.db`.
    Sqlite,
    /// Whatever has an ADBC driver, such as Snowflake: [`DatabaseSettings::adbc`].
    Adbc,
    /// BigQuery: `bigquery://project`.
    Bigquery,
    /// Redshift: `redshift://`.
    Redshift,
}

impl Kind {
    /// The name of the product.
    #[must_use]
    pub fn product(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL or MariaDB",
            Self::Sqlite => "SQLite",
            Self::Adbc => "ADBC",
            Self::Bigquery => "BigQuery",
            Self::Redshift => "Redshift",
        }
    }
}

/// How the server proves who it is: `sslmode` of the URL, in libpq's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsMode {
    /// No encryption.
    Disable,
    /// Encrypted if the server can; its certificate is not looked at.
    Prefer,
    /// Encrypted; the certificate is not looked at.
    Require,
    /// Encrypted; the certificate is of an authority that is trusted, for whatever name.
    VerifyCa,
    /// Encrypted; the certificate is of an authority that is trusted, for this host. The default.
    #[default]
    VerifyFull,
}

/// A database as a configuration describes it. Its Debug shows no password and no value of an option.
#[derive(Clone)]
#[non_exhaustive]
pub struct DatabaseSettings {
    /// The name of the catalogue: `shop` in `shop.public.orders`.
    pub name: String,
    /// The password. Without one, `.pgpass` is looked at for PostgreSQL, and `my.cnf` for MySQL.
    pub password: Option<Password>,
    /// What statements may do. The default is [`Access::Read`].
    pub access: Access,
    /// Whether a write makes a table that is not there, with columns of the source's names and types. The default is `false`: a mistyped name is
    /// an error.
    pub create: bool,
    /// A file of certificates (PEM) of authorities to trust instead of the system's; `sslrootcert` of the URL names one too.
    pub root_certificates: Option<PathBuf>,
    /// How long connecting may take, TLS and login included. The default is 10 seconds.
    pub connect_timeout: Duration,
    /// Options of an ADBC driver, by their own names: `adbc.snowflake.sql.account`; of BigQuery the parameters of its URL.
    pub options: BTreeMap<String, String>,
    /// Options of an ADBC driver whose values are secrets.
    pub secret_options: BTreeMap<String, Password>,
    /// Where rows wait before the database loads them: the URL of a folder of a bucket, `s3://acme/tmp/`.
    pub staging: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) address: Address,
}

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("password", &self.password)
            .field("access", &self.access)
            .field("create", &self.create)
            .field("root_certificates", &self.root_certificates)
            .field("connect_timeout", &self.connect_timeout)
            // Somebody may have put a secret into a value.
            .field("options", &self.options.keys())
            .field("secret_options", &self.secret_options.keys())
            .field("has_staging", &self.staging.is_some())
            .finish()
    }
}

/// Where a database is, from its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) kind: Kind,
    /// A host, or the folder of a Unix socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    /// The database's name; of SQLite its file; of ADBC its driver.
    pub(crate) database: String,
    pub(crate) tls: TlsMode,
}

impl DatabaseSettings {
    /// Settings of the database at `url` under the name of a catalogue.
    ///
    /// ```
    /// # use clevertap_databases::{Access, DatabaseSettings};
    /// let shop = DatabaseSettings::new("shop", "postgres://loader@db.acme.example:5432/shop")?.with_access(Access::Write);
    /// assert!(DatabaseSettings::new("shop", "postgres://loader:secret@db.acme.example/shop").is_err());
    /// # Ok::<(), clevertap_databases::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] if the URL is of no known form, has a password, or has a parameter that is not known.
    pub fn new(name: impl Into<String>, url: &str) -> Result<Self> {
        let name = name.into();
        if let Some(rest) = url.strip_prefix("bigquery:") {
            let parsed = bigquery_url::parse(rest);
            let (project, options) = parsed.map_err(|problem| Error::Setting(format!("database \"{}\": {problem}", shown(&name))))?;
            let address =
                Address { kind: Kind::Bigquery, host: String::new(), port: 0, user: None, database: project, tls: TlsMode::default() };
            return Ok(Self { options, ..Self::of(name, address) });
        }
        let (address, root_certificates) = Address::parse(&name, url)?;
        let options = if address.kind == Kind::Redshift { redshift_options(url) } else { BTreeMap::new() };
        Ok(Self { root_certificates, options, ..Self::of(name, address) })
    }

    /// Settings of a database that is reached by an ADBC driver: the driver's name, the path of its library or of its manifest, or
    /// `profile://NAME`. What it is told besides are its options.
    ///
    /// ```
    /// # use clevertap_databases::{DatabaseSettings, Password};
    /// let warehouse = DatabaseSettings::adbc("wh", "snowflake")
    ///     .with_option("adbc.snowflake.sql.account", "AB-123")
    ///     .with_secret_option("adbc.snowflake.sql.auth_token", Password::new("…"));
    /// ```
    #[must_use]
    pub fn adbc(name: impl Into<String>, driver: &str) -> Self {
        let (host, database) = (String::new(), driver.to_owned());
        Self::of(name.into(), Address { kind: Kind::Adbc, host, port: 0, user: None, database, tls: TlsMode::default() })
    }

    fn of(name: String, address: Address) -> Self {
        Self {
            name,
            password: None,
            access: Access::default(),
            create: false,
            root_certificates: None,
            connect_timeout: Duration::from_secs(10),
            options: BTreeMap::new(),
            secret_options: BTreeMap::new(),
            staging: None,
            endpoint: None,
            address,
        }
    }

    /// Which database it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.address.kind
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<Option<Password>>) -> Self {
        self.password = password.into();
        self
    }

    /// The same with another access.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The same, making tables that are missing or not.
    #[must_use]
    pub fn with_create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// The same with authorities of its own.
    #[must_use]
    pub fn with_root_certificates(mut self, file: impl Into<Option<PathBuf>>) -> Self {
        self.root_certificates = file.into();
        self
    }

    /// The same with another limit of connecting.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The same with an option of the ADBC driver.
    #[must_use]
    pub fn with_option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(key.into(), value.into());
        self
    }

    /// The same with an option of the ADBC driver whose value is a secret.
    #[must_use]
    pub fn with_secret_option(mut self, key: impl Into<String>, value: Password) -> Self {
        self.secret_options.insert(key.into(), value);
        self
    }

    /// The same with a stand-in for Google's servers: `http://127.0.0.1:9050` of BigQuery's. Without a password none is sent there.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is on this machine, which keeps rows and tokens from going elsewhere.
    pub fn with_endpoint(mut self, url: &str) -> Result<Self> {
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
        let is_own = host.is_some_and(|host| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()));
        if !is_own {
            let name = shown(&self.name);
            return Err(Error::Setting(format!("database \"{name}\": its endpoint is not on this machine, such as http://127.0.0.1:9050")));
        }
        self.endpoint = Some(url.to_owned());
        Ok(self)
    }

    /// The same with a folder of a bucket for rows that wait to be loaded.
    #[must_use]
    pub fn with_staging(mut self, url: &str) -> Self {
        self.staging = Some(url.to_owned());
        self
    }
}

impl Address {
    fn parse(name: &str, url: &str) -> Result<(Self, Option<PathBuf>)> {
        let setting = |problem: String| Error::Setting(format!("database \"{}\": {problem}", shown(name)));
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        let kind = match scheme {
            "postgres" | "postgresql" => Kind::Postgres,
            "mysql" | "mariadb" => Kind::Mysql,
            "redshift" => Kind::Redshift,
            "sqlite" => Kind::Sqlite,
            _ => {
                return Err(setting(
                    "its URL begins with none of postgres:// mysql:// mariadb:// redshift:// sqlite: bigquery:// ; for example postgres://reader@db.acme.example/shop"
                        .into(),
                ));
            }
        };
        if kind == Kind::Sqlite {
            let file = rest.strip_prefix("//").unwrap_or(rest);
            if file.is_empty() {
                return Err(setting("its URL names no file; for example sqlite:/var/lib/shop.db".into()));
            }
            return Ok((Self { kind, host: String::new(), port: 0, user: None, database: file.to_owned(), tls: TlsMode::Disable }, None));
        }
        // Where the host is a socket, none stands behind the user. The parser's own message may repeat the URL.
        let parsed = Url::parse(&url.replacen("@/", "@localhost/", 1))
            .map_err(|_| setting(format!("its URL is no URL; for example {scheme}://reader@db.acme.example/shop")))?;
        if parsed.password().is_some() {
            return Err(setting("its URL has a password in it; leave it out, and set password_env or password_file".into()));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut parameters: BTreeMap<String, String> =
            parsed.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        let tls = match parameters.remove("sslmode").or_else(|| parameters.remove("ssl-mode")).as_deref() {
            None | Some("verify-full" | "VERIFY_IDENTITY") => TlsMode::VerifyFull,
            Some("verify-ca" | "VERIFY_CA") => TlsMode::VerifyCa,
            Some("require" | "REQUIRED") => TlsMode::Require,
            Some("prefer" | "PREFERRED") => TlsMode::Prefer,
            Some("disable" | "DISABLED") => TlsMode::Disable,
            Some(_) => return Err(setting("sslmode is none of verify-full verify-ca require prefer disable".into())),
        };
        let root_certificates = parameters.remove("sslrootcert").map(PathBuf::from);
        let folder = parameters.remove("host").or_else(|| parameters.remove("socket"));
        if kind == Kind::Redshift {
            parameters.remove(IAM_ROLE);
        }
        if let Some(key) = parameters.keys().next() {
            return Err(setting(format!("parameter \"{}\" of its URL is not known; these are: sslmode sslrootcert host", shown(key))));
        }
        let user = Some(parsed.username()).filter(|user| !user.is_empty()).map(decoded);
        let database = decoded(parsed.path().trim_start_matches('/'));
        if database.is_empty() {
            return Err(setting(format!("its URL names no database; for example {scheme}://reader@db.acme.example/shop")));
        }
        let host = folder.or_else(|| parsed.host_str().map(decoded)).filter(|host| !host.is_empty()).unwrap_or("localhost".to_owned());
        let port = parsed.port().unwrap_or(match kind {
            Kind::Postgres => 5_432,
            Kind::Redshift => 5_439,
            _ => 3_306,
        });
        Ok((Self { kind, host, port, user, database, tls }, root_certificates))
    }

    /// Whether the server is reached by a socket of this machine's file system.
    pub(crate) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// Whether what is sent stays on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.is_socket() || self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        match self.kind {
            Kind::Sqlite | Kind::Adbc | Kind::Bigquery => shown(&self.database),
            _ if self.is_socket() => shown(&self.host),
            _ => format!("{}:{}", shown(&self.host), self.port),
        }
    }
}

/// The parameter of a URL that names the role by which Redshift reads a bucket.
const IAM_ROLE: &str = "iam_role";

/// What a URL of Redshift says besides of where it is.
fn redshift_options(url: &str) -> BTreeMap<String, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == IAM_ROLE);
    pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

/// Whether a file of passwords may be read by nobody else.
pub(crate) fn is_private(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        !path.exists() || fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 == 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        DatabaseSettings::new("shop", url).expect("an address").address
    }

    #[test]
    fn a_url_says_where_a_database_is() {
        let found = address("postgres://ann%40acme@db.example:6000/my%20shop?sslmode=require");
        assert_eq!((found.host.as_str(), found.port, found.user.as_deref()), ("db.example", 6_000, Some("ann@acme")));
        assert_eq!((found.database.as_str(), found.tls), ("my shop", TlsMode::Require));
        assert_eq!(address("mariadb://db.example/shop").port, 3_306);
        assert_eq!(address("postgres://r@/shop?host=/run/postgresql").place(), "/run/postgresql");
        assert_eq!(address("postgres://db.example/shop").tls, TlsMode::VerifyFull);
        assert_eq!(address("sqlite:data/shop.db").database, "data/shop.db");
        assert_eq!(address("redshift://loader@cluster.example/dev").port, 5_439);
        let redshift = DatabaseSettings::new("wh", "redshift://cluster.example/dev?iam_role=arn:aws:iam::1:role/load").expect("settings");
        assert_eq!(redshift.options["iam_role"], "arn:aws:iam::1:role/load");
        assert_eq!(address("sqlite:///var/shop.db").database, "/var/shop.db");
    }

    #[test]
    fn a_url_that_is_none_is_refused_without_being_repeated() {
        for url in [
            "postgres://ann:hunter2@db.example/shop",
            "postgres://db.example",
            "oracle://hunter2/shop",
            "postgres://db.example/shop?sslmode=hunter2",
            "postgres://db.example:hunter2/shop",
            "postgres://db.example/shop?sslpassword=hunter2",
            "sqlite:",
        ] {
            let error = DatabaseSettings::new("shop", url).expect_err(url).to_string();
            assert!(error.starts_with("database \"shop\": ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn no_debug_shows_a_password() {
        let settings = DatabaseSettings::new("shop", "postgres://db.example/shop").expect("settings");
        let settings = settings.with_password(Password::new("hunter2")).with_option("a.key", "hunter2");
        let settings = settings.with_secret_option("a.secret", Password::new("hunter2")).with_staging("s3://key:hunter2@acme/tmp/");
        let shown = format!("{settings:?}");
        assert!(shown.contains("Password(…)") && shown.contains("a.key") && shown.contains("a.secret"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
