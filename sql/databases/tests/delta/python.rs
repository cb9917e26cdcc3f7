//! Python with `deltalake` and moto, in a folder below `target`, installed once.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with its programs. `None`, and a line that says why, where it cannot be installed.
pub(crate) fn python() -> Option<&'static Path> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    INSTALLED
        .get_or_init(|| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/delta.sh");
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("delta-python");
            let installed = Command::new("bash").arg(script).arg(&folder).output().expect("bash");
            let said = String::from_utf8_lossy(&installed.stderr).into_owned();
            if installed.status.code() == Some(3) {
                // To the stream itself, which is not captured: `.ci/run` counts these lines.
                writeln!(std::io::stderr(), "skipped: {}", said.trim()).expect("stderr");
                return None;
            }
            assert!(installed.status.success(), "{said}");
            Some(folder.join("bin"))
        })
        .as_deref()
}

/// Runs a script, whose answer is what it prints.
pub(crate) fn run(programs: &Path, script: &str) -> String {
    // The threads of the libraries can abort an interpreter that ends: it leaves without ending.
    let script = format!("{script}\nimport os, sys\nsys.stdout.flush()\nos._exit(0)");
    let ran = Command::new(programs.join("python")).args(["-c", &script]).output().expect("python");
    assert!(ran.status.success(), "{script}\n{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}
