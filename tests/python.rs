//! Python with `deltalake`, `boto3` and moto, in a folder below `target`, installed once.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with its programs: `python`, `moto_server`.
#[derive(Debug)]
pub struct Python(PathBuf);

impl Python {
    /// Installs it below `target_tmp`, which is `env!("CARGO_TARGET_TMPDIR")` of a test. `None`, and a line that says why, where it cannot be installed.
    pub fn installed(target_tmp: &str) -> Option<&'static Self> {
        static INSTALLED: OnceLock<Option<Python>> = OnceLock::new();
        let install = || {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/delta.sh");
            let folder = Path::new(target_tmp).join("delta-python");
            let installed = Command::new("bash").arg(script).arg(&folder).output().expect("bash");
            let said = String::from_utf8_lossy(&installed.stderr).into_owned();
            if installed.status.code() == Some(3) {
                // To the stream itself, which is not captured: `.ci/run` counts these lines.
                writeln!(std::io::stderr(), "skipped: {}", said.trim()).expect("stderr");
                return None;
            }
            assert!(installed.status.success(), "{said}");
            Some(Self(folder.join("bin")))
        };
        INSTALLED.get_or_init(install).as_ref()
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.0.join(name))
    }

    /// Runs a script, whose answer is what it prints.
    ///
    /// # Panics
    /// With what the script said, if it fails.
    pub fn run(&self, script: &str) -> String {
        // The threads of the libraries can abort an interpreter that ends: it leaves without ending.
        let script = format!("{script}\nimport os, sys\nsys.stdout.flush()\nos._exit(0)");
        let ran = self.program("python").args(["-c", &script]).output().expect("python");
        assert!(ran.status.success(), "{script}\n{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }
}
