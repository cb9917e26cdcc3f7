//! Logins and certificates.

use clevertap_databases::{Access, Database, DatabaseSettings, Password};

use crate::server::{refusal, rows, server, session, session_of, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_says_why_and_no_password() {
    let Some(server) = server() else { return };
    let peer = server.schema("login").await;
    peer.run("DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'right horse'; CREATE TABLE login.t AS SELECT 1 AS one").await;
    peer.run("GRANT USAGE ON SCHEMA login TO locked; GRANT SELECT ON login.t TO locked").await;
    let url = server.url().replace("test@", "locked@");
    let settings = |password: Option<&str>| DatabaseSettings::new("shop", &url).unwrap().with_password(password.map(Password::new));
    assert!(shown(&session_of(settings(Some("right horse"))), "SELECT * FROM shop.login.t").await.contains("| 1   |"));
    let error = refusal(&session_of(settings(Some("wrong horse"))), "SELECT * FROM shop.login.t").await;
    assert!(
        error.contains("refused the login (password authentication failed for user \"locked\")") && error.ends_with("[DB-301]"),
        "{error}"
    );
    assert!(!error.contains("horse"), "{error}");
    let error = refusal(&session_of(settings(None)), "SELECT * FROM shop.login.t").await;
    assert!(error.contains("wants a password; set password_env or password_file, or add a line to ~/.pgpass"), "{error}");
    let ctx = session(&server.url().replace("/postgres?", "/nowhere?"), Access::Read);
    let error = refusal(&ctx, "SELECT * FROM shop.login.t").await;
    assert!(error.contains("has no database of this name: database \"nowhere\" does not exist"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_looked_at_as_the_mode_says() {
    let Some(server) = server().filter(|server| server.has_tls) else { return };
    let peer = server.schema("tls").await;
    peer.run("CREATE VIEW tls.v AS SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await;
    let url = |host: &str, mode: &str, authority: &str| {
        let file = server.folder.join(format!("{authority}.crt"));
        format!("postgres://test@{host}:{}/postgres?{mode}&sslrootcert={}", server.port, file.display())
    };
    for (host, mode) in [
        ("localhost", "sslmode=verify-full"),
        ("localhost", ""),
        ("127.0.0.1", "sslmode=verify-ca"),
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", "sslmode=prefer"),
    ] {
        let read = shown(&session(&url(host, mode, "ca"), Access::Read), "SELECT * FROM shop.tls.v").await;
        assert!(read.contains("| true |"), "{host} {mode}: {read}");
    }
    let refused = [
        ("127.0.0.1", "verify-full", "ca", "its certificate is not for 127.0.0.1; connect by a name that it has"),
        (
            "localhost",
            "verify-full",
            "other",
            "is of an authority that is not trusted here; set sslrootcert to that authority's certificate",
        ),
        ("localhost", "verify-ca", "other", "is of an authority that is not trusted here"),
    ];
    for (host, mode, authority, problem) in refused {
        let error = refusal(&session(&url(host, &format!("sslmode={mode}"), authority), Access::Read), "SELECT * FROM shop.tls.v").await;
        assert!(error.contains("was not trusted: ") && error.contains(problem), "{error}");
    }
    // The server reads its certificate again. This one has lasted for the second in which it was made.
    let (certificate, good) = (server.folder.join("server.crt"), std::fs::read(server.folder.join("server.crt")).unwrap());
    std::fs::copy(server.folder.join("expired.crt"), &certificate).unwrap();
    peer.run("SELECT pg_reload_conf()").await;
    let mut error = String::new();
    for _ in 0..50 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let ctx = session(&url("localhost", "sslmode=verify-full", "ca"), Access::Read);
        if let Err(problem) = rows(&ctx, "SELECT * FROM shop.tls.v").await {
            error = problem.to_string();
            break;
        }
    }
    assert!(error.contains("was not trusted: its certificate has expired; whoever runs the server renews it"), "{error}");
    std::fs::write(&certificate, good).unwrap();
    peer.run("SELECT pg_reload_conf()").await;
    let missing = DatabaseSettings::new("shop", &url("localhost", "sslmode=verify-full", "missing")).unwrap();
    let error = Database::open(missing).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("missing.crt cannot be read: entity not found"), "{error}");
}
