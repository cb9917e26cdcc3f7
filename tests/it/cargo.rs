//! Cargo inside of a test, on the target directory of the test run.

use std::path::Path;
use std::process::Command;

/// Held by whatever compiles in a test, and by what measures time: the first takes all cores from the second.
pub(crate) static CORES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
}

/// The target directory of this test run.
pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory")
}

/// Cargo in `folder`.
///
/// It does not see what `cargo test` has told this test of its package: the build script of ring looks at that, and all that stands on it
/// would be compiled again, DataFusion too.
pub(crate) fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|of_package| name.to_string_lossy().starts_with(of_package)) {
            command.env_remove(name);
        }
    }
    for name in ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR"] {
        command.env_remove(name);
    }
    command.current_dir(folder).env("CARGO_TARGET_DIR", target());
    command
}

/// Runs a command to its end, and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().expect("a program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
