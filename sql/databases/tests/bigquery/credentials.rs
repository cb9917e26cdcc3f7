//! Who asks: keys, tokens that end, keys that are refused. Against a server of the test's own, which grants tokens.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clevertap_databases::{Database, DatabaseSettings, Password};
use serde_json::json;

use crate::server::{refusal, session_of, settings, shown};
use crate::stub::{Reply, Request, Stub};

/// A private key of RSA. `None`, and a line that says why, where there is no openssl.
fn private_key() -> Option<String> {
    let made = Command::new("openssl").args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]).output();
    let key = made.ok().filter(|made| made.status.success()).map(|made| String::from_utf8_lossy(&made.stdout).into_owned());
    if key.is_none() {
        eprintln_skipped("openssl, which makes a key, is not here");
    }
    key
}

fn eprintln_skipped(why: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "skipped: {why}").expect("stderr");
}

fn key_file(key: &str, tokens: &str) -> Password {
    let file = json!({ "type": "service_account", "client_email": "loader@acme.iam.gserviceaccount.com", "private_key": key, "private_key_id": "k1",
        "token_uri": tokens });
    Password::new(file.to_string())
}

/// One table `d.t` with one row, for whoever has the token `granted-N` of the last grant.
fn answer(request: &Request, grants: usize) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer granted-{grants}")) {
        return Reply::json(
            401,
            r#"{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError","message":"Invalid Credentials"}]}}"#,
        );
    }
    let reference = r#""jobReference":{"projectId":"acme","jobId":"j","location":"EU"}"#;
    match (request.method.as_str(), request.path.split('?').next().unwrap_or_default()) {
        ("GET", "/bigquery/v2/projects/acme/datasets/d/tables/t") => {
            Reply::json(200, r#"{"type":"TABLE","schema":{"fields":[{"name":"id","type":"INTEGER"}]}}"#)
        }
        ("POST", "/bigquery/v2/projects/acme/jobs") => Reply::json(200, &format!("{{{reference},\"status\":{{\"state\":\"RUNNING\"}}}}")),
        ("GET", "/bigquery/v2/projects/acme/queries/j") => {
            assert!(
                request.path.contains("location=EU") && request.path.contains("formatOptions.useInt64Timestamp=true"),
                "{}",
                request.path
            );
            Reply::json(200, &format!("{{{reference},\"jobComplete\":true,\"totalRows\":\"1\",\"rows\":[{{\"f\":[{{\"v\":\"7\"}}]}}]}}"))
        }
        (method, path) => panic!("{method} {path}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_exchanged_for_a_token_which_is_kept_and_renewed_when_it_is_refused() {
    let Some(key) = private_key() else { return };
    let grants = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&grants);
    let stub = Stub::start(move |request| {
        let grants = Arc::clone(&counted);
        async move {
            if request.path != "/token" {
                return Some(answer(&request, grants.load(Ordering::SeqCst)));
            }
            let form = request.text();
            assert!(form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"), "{form}");
            assert_eq!(form.matches('.').count(), 2, "three parts");
            let grant = grants.fetch_add(1, Ordering::SeqCst) + 1;
            Some(Reply::json(200, &format!("{{\"access_token\":\"granted-{grant}\",\"expires_in\":3600,\"token_type\":\"Bearer\"}}")))
        }
    })
    .await;
    let ctx = session_of(settings(stub.port).with_password(key_file(&key, &format!("http://127.0.0.1:{}/token", stub.port))));
    for _ in 0..3 {
        assert!(shown(&ctx, "SELECT id FROM wh.d.t").await.contains("| 7  |"));
    }
    assert_eq!(grants.load(Ordering::SeqCst), 1);
    // The token was withdrawn: another is asked for, once.
    grants.fetch_add(1, Ordering::SeqCst);
    assert!(shown(&ctx, "SELECT id FROM wh.d.t").await.contains("| 7  |"));
    assert_eq!(grants.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_is_told_and_not_shown() {
    let Some(key) = private_key() else { return };
    let stub = Stub::start(async |request: Request| {
        assert_eq!(request.path, "/token");
        Some(Reply::json(400, r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature: hunter2"}"#))
    })
    .await;
    let settings = settings(stub.port).with_password(key_file(&key, &format!("http://127.0.0.1:{}/token", stub.port)));
    assert!(!format!("{settings:?}").contains("PRIVATE"));
    let error = refusal(&session_of(settings), "SELECT id FROM wh.d.t").await;
    assert!(
        error.contains("Google grants no token (invalid_grant); look at this machine's clock") && error.ends_with("[DB-301]"),
        "{error}"
    );
    assert!(!error.contains("hunter2") && !error.contains("eyJ"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_is_refused_at_once() {
    let plain = || DatabaseSettings::new("wh", "bigquery://acme").unwrap();
    let said = |settings| Database::open(settings).map(|_| ()).unwrap_err().to_string();
    let error = said(plain().with_password(Password::new("hunter2")));
    assert!(
        error.starts_with("database \"wh\": what password_file has is no key file of Google's") && !error.contains("hunter2"),
        "{error}"
    );
    let error = said(plain().with_password(key_file("hunter2", "https://oauth2.googleapis.com/token")));
    assert!(error.contains("is no RSA key in PEM; download the key file again") && !error.contains("hunter2"), "{error}");
    if let Some(key) = private_key() {
        let error = said(plain().with_password(key_file(&key, "https://evil.example/token")));
        assert!(error.contains("the token_uri of the key that password_file has is not https://oauth2.googleapis.com/token"), "{error}");
        assert!(error.ends_with("[DB-101]") && !error.contains("evil"), "{error}");
    }
    let error = plain().with_endpoint("https://evil.example").map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("its endpoint is not on this machine"), "{error}");
    for url in ["bigquery://", "bigquery://acme?project=x", "bigquery:acme"] {
        assert!(DatabaseSettings::new("wh", url).unwrap_err().to_string().ends_with("[DB-101]"), "{url}");
    }
}
