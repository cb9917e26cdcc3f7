//! A server of databases for all tests of one binary, each in a schema of its own.
//!
//! It ends, by its process id, when this process has: a script of the workspace watches it.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The server.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    /// Whether it speaks TLS: there is an openssl that makes certificates.
    pub(crate) has_tls: bool,
}

/// Starts it by a script of the workspace. `None`, and a line that says why, where it cannot be installed.
pub(crate) fn start(script: &str) -> Option<Server> {
    let folder = tempfile::tempdir().expect("a folder").keep();
    // The server has a user of its own.
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    let has_tls = crate::certificates::make_certificates(&folder);
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers").join(script);
    let arguments = [port.to_string(), std::process::id().to_string()];
    let mut start = Command::new("bash");
    // What no package of the system has is installed there, once.
    start.arg(script).arg(&folder).args(arguments).env("CLEVERTAP_TEST_TOOLS", env!("CARGO_TARGET_TMPDIR"));
    let started = start.output().expect("bash");
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    if started.status.code() == Some(3) {
        // To the stream itself, which is not captured: `.ci/run` counts these lines.
        writeln!(std::io::stderr(), "skipped: {}", said.trim()).expect("stderr");
        return None;
    }
    assert!(started.status.success(), "{said}");
    Some(Server { port, folder, has_tls })
}
