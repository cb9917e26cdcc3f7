//! A PostgreSQL of a test's own, and what it answers.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// NULL in an answer.
pub(super) const NULL: &str = "∅";

/// The server, which ends with it.
pub(super) struct Postgres {
    folder: tempfile::TempDir,
    pid: String,
}

impl Postgres {
    /// Starts it. `None`, and a line that says why, where it cannot be installed.
    pub(super) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        // The server has a user of its own.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/postgresql.sh");
        let started = Command::new("bash").arg(script).arg(folder.path()).output().expect("bash");
        let said = String::from_utf8_lossy(&started.stderr).into_owned();
        if started.status.code() == Some(3) {
            // To the stream itself, which is not captured: `.ci/run` counts these lines.
            writeln!(std::io::stderr(), "skipped: {}", said.trim()).expect("stderr");
            return None;
        }
        assert!(started.status.success(), "{said}");
        Some(Self { folder, pid: String::from_utf8_lossy(&started.stdout).trim().to_owned() })
    }

    /// Runs statements in one session: for each its rows, sorted, or the error.
    pub(super) fn answers(&self, setup: &str, statements: &[String]) -> Vec<Result<Vec<String>, String>> {
        const END: &str = "-- the end of a statement --";
        let script: String = statements.iter().map(|statement| format!("{statement};\n\\echo {END}\n\\warn {END}\n")).collect();
        let folder = self.folder.path().display().to_string();
        let mut psql = Command::new("psql")
            .args(["-h", &folder, "-U", "test", "-d", "postgres", "-X", "-q", "-A", "-t", "-P", &format!("null={NULL}"), "-F", "|"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql");
        let mut input = psql.stdin.take().expect("its input");
        let sent = format!("SET client_min_messages = warning; {setup}\n\\echo {END}\n\\warn {END}\n{script}");
        let writer = std::thread::spawn(move || input.write_all(sent.as_bytes()).expect("written"));
        let answered = psql.wait_with_output().expect("psql");
        writer.join().expect("written");
        let (rows, errors) = (String::from_utf8_lossy(&answered.stdout), String::from_utf8_lossy(&answered.stderr));
        let mut each = rows.split(END).zip(errors.split(END));
        let set_up = each.next().expect("the setup").1.trim().to_owned();
        assert_eq!(set_up, "", "the setup");
        let answer = |(rows, error): (&str, &str)| match error.trim() {
            "" => {
                let mut rows: Vec<String> = rows.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
                rows.sort();
                Ok(rows)
            }
            error => Err(error.to_owned()),
        };
        let answers: Vec<_> = each.take(statements.len()).map(answer).collect();
        assert_eq!(answers.len(), statements.len());
        answers
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its files are removed after it.
        let end = "kill -INT $0 && while kill -0 $0 2>/dev/null; do sleep 0.05; done";
        let ended = Command::new("bash").args(["-c", end, &self.pid]).status();
        assert!(ended.is_ok_and(|status| status.success()), "PostgreSQL {} does not end", self.pid);
    }
}
