//! A connection to MySQL or MariaDB.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use rustls::crypto::CryptoProvider;

use super::{fault, my_cnf};
use crate::error::{Error, Result};
use crate::settings::{Address, DatabaseSettings, Password, TlsMode};

/// How long nothing may be heard of a server before it is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A session in which texts are UTF-8, instants are UTC, a value that does not fit is an error, and a backslash in a literal is one of two.
const SESSION: &str = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', \
     sql_notes = 1, max_error_count = 64, SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";

/// What connects.
pub(super) struct Connector {
    pub(super) address: Address,
    password: Option<Password>,
    timeout: Duration,
    tls: Option<SslOpts>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("place", &self.address.place()).finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(settings: &DatabaseSettings) -> Result<Self> {
        let address = settings.address.clone();
        let tls = match address.tls {
            _ if address.is_socket() => None,
            TlsMode::Disable => None,
            // The client has no such modes.
            TlsMode::Prefer | TlsMode::VerifyCa => {
                return Err(Error::Setting(format!(
                    "database \"{}\": sslmode is verify-full, require or disable for MySQL",
                    settings.name
                )));
            }
            mode => Some(tls(mode, settings.root_certificates.clone())),
        };
        Ok(Self { address, password: settings.password.clone(), timeout: settings.connect_timeout, tls })
    }

    fn options(&self) -> Opts {
        let login = my_cnf::login();
        let user = self.address.user.clone().or(login.user);
        let password = self.password.clone().or(login.password);
        let builder = OptsBuilder::default()
            .user(user)
            .pass(password.as_ref().map(Password::reveal))
            .db_name(Some(self.address.database.as_str()))
            .ssl_opts(self.tls.clone())
            .prefer_socket(false)
            .stmt_cache_size(0)
            .tcp_keepalive(Some(KEEPALIVE));
        if self.address.is_socket() {
            builder.socket(Some(self.address.host.as_str())).prefer_socket(true).into()
        } else {
            builder.ip_or_hostname(self.address.host.as_str()).tcp_port(self.address.port).into()
        }
    }

    pub(super) async fn connect(&self) -> Result<Conn> {
        use mysql_async::prelude::Queryable;
        let place = self.address.place();
        let connected = async {
            let mut connection = Conn::new(self.options()).await?;
            for set in SESSION.split(", SESSION ").zip(["", "SET SESSION "]) {
                connection.query_drop(format!("{}{}", set.1, set.0)).await?;
            }
            Ok(connection)
        };
        match tokio::time::timeout(self.timeout, connected).await {
            Ok(connected) => connected.map_err(|error| fault::of_connecting(&error, &self.address)),
            Err(_) => Err(Error::Unavailable(format!(
                "MySQL at {place} did not answer within {} s; look at host, port and firewall",
                self.timeout.as_secs()
            ))),
        }
    }

    /// Ends a session from outside, in the background: a client that is dropped would read the rest of its answer first.
    pub(super) fn kill(self: std::sync::Arc<Self>, session: u32) {
        use mysql_async::prelude::Queryable;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Ok(mut connection) = self.connect().await {
                connection.query_drop(format!("KILL {session}")).await.ok();
            }
        });
    }
}

/// The client takes the process's provider of cryptography. Where two are compiled in, as Delta Lake's library brings aws-lc beside ring, rustls
/// chooses none and the client would panic.
fn ensure_provider() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been first.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
}

fn tls(mode: TlsMode, roots: Option<PathBuf>) -> SslOpts {
    ensure_provider();
    let options = SslOpts::default().with_disable_built_in_roots(true);
    let options = match roots {
        Some(path) => options.with_root_certs(vec![path.into()]),
        None => {
            let system = rustls_native_certs::load_native_certs().certs;
            options.with_root_certs(system.into_iter().map(|root| root.to_vec().into()).collect())
        }
    };
    match mode {
        TlsMode::VerifyFull => options,
        _ => options.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_finds_one_provider_of_cryptography() {
        Connector::new(&DatabaseSettings::new("shop", "mysql://reader@127.0.0.1/shop").expect("settings")).expect("a connector");
        // As mysql_async calls it: this panics where none is chosen.
        let builder = rustls::ClientConfig::builder();
        assert!(!builder.crypto_provider().cipher_suites.is_empty());
    }
}
