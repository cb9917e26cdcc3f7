//! A driver that is missing, options that are refused, secrets that are not shown.

use std::time::Duration;

use clevertap_databases::{Database, DatabaseSettings, Password};

use crate::server::{driver, postgres, refusal, session_of, shown, snowflake};

fn refused(settings: DatabaseSettings) -> String {
    Database::open(settings).map(|_| ()).expect_err("a refusal").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_is_missing_is_told_with_the_places_and_how_it_is_got() {
    let error = refusal(&session_of(DatabaseSettings::adbc("wh", "flightsql")), "SELECT * FROM wh.s.t").await;
    assert!(error.contains("database \"wh\": there is no ADBC driver \"flightsql\" in ADBC_DRIVER_PATH (not set), "), "{error}");
    assert!(
        error.contains("/adbc/drivers, /etc/adbc/drivers; pip install adbc-driver-flightsql brings …/site-packages/adbc_driver_flightsql/"),
        "{error}"
    );
    assert!(error.contains("whose absolute path is then the driver, or dbc install flightsql puts it"), "{error}");
    // PyPI has none of it.
    let error = refusal(&session_of(DatabaseSettings::adbc("wh", "mssql")), "SELECT * FROM wh.s.t").await;
    assert!(error.contains("; dbc install mssql puts it where it is looked for") && !error.contains("pip"), "{error}");
    let error = refusal(&session_of(DatabaseSettings::adbc("wh", "/nowhere/libadbc.so")), "SELECT * FROM wh.s.t").await;
    assert!(error.contains("there is no file /nowhere/libadbc.so; pip install adbc-driver-NAME"), "{error}");
    let text = tempfile::NamedTempFile::with_suffix(".so").expect("a file");
    let error = refusal(&session_of(DatabaseSettings::adbc("wh", &text.path().display().to_string())), "SELECT * FROM wh.s.t").await;
    assert!(error.contains("reached by the ADBC driver /") && error.contains("file too short"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_is_never_taken_from_the_working_folder() {
    for driver in ["./evil.so", "evil.so", "../evil", "a/b", "profile://../evil", "profile://a/b.toml", ""] {
        let error = refused(DatabaseSettings::adbc("wh", driver));
        assert!(error.contains("is neither a name like snowflake, the absolute path") && error.ends_with("[DB-101]"), "{error}");
    }
}

#[test]
fn a_secret_among_the_plain_options_is_refused_without_being_repeated() {
    let wh = || DatabaseSettings::adbc("wh", "snowflake");
    for (key, value) in [
        ("uri", "postgresql://ann:hunter2@db.example/shop"),
        ("uri", "host=db.example password=hunter2"),
        ("uri", "host=db.example password = hunter2"),
        ("uri", "ann:hunter2@acme/db"),
        ("adbc.flight.sql.authorization_header", "hunter2"),
        ("password", "hunter2"),
        ("adbc.snowflake.sql.client_option.auth_token", "hunter2"),
        ("adbc.snowflake.sql.client_option.jwt_private_key_pkcs8_value", "hunter2"),
    ] {
        let error = refused(wh().with_option(key, value));
        assert!(
            error.contains(&format!("option \"{key}\" is a secret or holds one; secret_options_env")) && !error.contains("hunter2"),
            "{error}"
        );
        Database::open(wh().with_secret_option(key, Password::new(value))).expect("the remedy");
    }
    let times = "adbc.snowflake.sql.client_option.max_timestamp_precision";
    let error = refused(wh().with_option(times, "nanoseconds"));
    assert!(error.contains("lets a time before 1677 or after 2262 become another"), "{error}");
    Database::open(wh().with_option(times, "microseconds")).expect("the remedy");
    let shown =
        format!("{:?}", Database::open(wh().with_secret_option("uri", Password::new("hunter2")).with_password(Password::new("hunter2"))));
    assert!(shown.contains("\"uri\"") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_driver_says_of_a_connection_is_shown_without_secrets() {
    let Some((server, driver)) = postgres() else { return };
    let settings = |uri: String| DatabaseSettings::adbc("shop", &driver).with_secret_option("uri", Password::new(uri));
    let port = server.port;
    let error =
        refusal(&session_of(settings(format!("postgresql://locked:hunter2@127.0.0.1:{port}/postgres"))), "SELECT * FROM shop.s.t").await;
    assert!(error.contains("password authentication failed for user \"locked\"") && !error.contains("hunter2"), "{error}");
    // The whole value is a secret: a driver that repeats it shows nothing.
    let error = refusal(&session_of(settings("hunter2 and more".into())), "SELECT * FROM shop.s.t").await;
    assert!(error.contains("reached by the ADBC driver /") && !error.contains("hunter2"), "{error}");
    let error = refusal(&session_of(server.settings_at(&driver, 1)), "SELECT * FROM shop.s.t").await;
    assert!(error.contains("Connection refused") && error.ends_with("[DB-302]"), "{error}");
    let error = refusal(&session_of(server.settings(&driver).with_option("adbc.nope", "1")), "SELECT * FROM shop.s.t").await;
    assert!(error.contains("Unknown database option adbc.nope") && error.ends_with("[DB-101]"), "{error}");
    // One that says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = server.settings_at(&driver, silent.local_addr().unwrap().port()).with_connect_timeout(Duration::from_secs(1));
    let error = refusal(&session_of(settings), "SELECT * FROM shop.s.t").await;
    assert!(error.contains("did not answer within 1 s") && error.ends_with("[DB-302]"), "{error}");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_is_a_manifest_or_a_profile_too() {
    let Some(library) = driver("sqlite") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("mine.toml"), format!("manifest_version = 1\nname = \"mine\"\n[Driver]\nshared = \"{library}\"\n")).unwrap();
    let uri = path("shop.db");
    rusqlite::Connection::open(&uri).unwrap().execute_batch("CREATE TABLE t AS SELECT 7 AS id").unwrap();
    let settings = DatabaseSettings::adbc("shop", &path("mine.toml")).with_option("uri", &uri);
    let read = shown(&session_of(settings), "SELECT * FROM shop.main.t").await;
    assert!(read.contains("| 7  |"), "{read}");
    std::fs::write(path("profile.toml"), format!("profile_version = 1\ndriver = \"{library}\"\n[Options]\nuri = \"{uri}\"\n")).unwrap();
    let settings = DatabaseSettings::adbc("shop", &format!("profile://{}", path("profile.toml")));
    let read = shown(&session_of(settings), "SELECT * FROM shop.main.t").await;
    assert!(read.contains("| 7  |"), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_snowflake_refuses_shows_no_password() {
    let Some(server) = snowflake() else { return };
    let error = refusal(&session_of(server.settings_at(1).with_connect_timeout(Duration::from_secs(3))), "SELECT * FROM wh.s.t").await;
    assert!(error.ends_with("[DB-302]") && !error.contains("right horse"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_driver_of_postgresql_trusts_the_authority_that_its_options_name_alone() {
    let Some((server, driver)) = postgres() else { return };
    if !server.has_tls {
        return;
    }
    server.schema("tls", "CREATE VIEW t AS SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    let session = |authority: &str| {
        let file = server.folder.join(format!("{authority}.crt"));
        let uri = format!("postgresql://test@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}", server.port, file.display());
        session_of(DatabaseSettings::adbc("shop", &driver).with_option("uri", uri))
    };
    assert!(shown(&session("ca"), "SELECT * FROM shop.tls.t").await.contains("| true |"));
    let error = refusal(&session("other"), "SELECT * FROM shop.tls.t").await;
    assert!(error.contains("certificate verify failed") && error.ends_with("[DB-302]"), "{error}");
}
