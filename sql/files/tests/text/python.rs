//! Files that others write: Python, pandas, polars, DuckDB, by the scripts in `python/`.
//!
//! In: a script and its arguments. Out: the cases that it sends, field by field; nothing, and a line that says why, where Python or the
//! libraries cannot be installed.

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running script. Fields are read in the order in which it sends them.
pub(crate) struct Script {
    child: Child,
    out: BufReader<ChildStdout>,
}

/// Of a field that is NULL.
const NULL: u32 = u32::MAX;

impl Script {
    pub(crate) fn start(script: &str, arguments: &[String]) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/text/python");
        let installed = Command::new("bash").arg(folder.join("install.sh")).arg(env!("CARGO_TARGET_TMPDIR")).output().expect("bash");
        let said = String::from_utf8_lossy(&installed.stderr);
        if installed.status.code() == Some(3) {
            // To the stream itself, which is not captured: `.ci/run` counts these lines.
            writeln!(std::io::stderr(), "skipped: {}", said.trim()).expect("stderr");
            return None;
        }
        assert!(installed.status.success(), "{said}");
        let python = String::from_utf8_lossy(&installed.stdout).trim().to_owned();
        let mut command = Command::new(python);
        command.arg("-B").arg(folder.join(script)).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the script");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        Some(Self { child, out })
    }

    /// The name of the next case; `None` at the end of all.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut first = [0];
        if self.out.read(&mut first).expect("the script's output") == 0 {
            assert!(self.child.wait().expect("the script's end").success());
            return None;
        }
        let mut others = [0; 3];
        self.out.read_exact(&mut others).expect("the script's output");
        let [a] = first;
        let [b, c, d] = others;
        let name = self.bytes(u32::from_le_bytes([a, b, c, d])).expect("a name");
        Some(String::from_utf8(name).expect("a name"))
    }

    fn number(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.out.read_exact(&mut bytes).expect("the script's output");
        u32::from_le_bytes(bytes)
    }

    fn bytes(&mut self, len: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; if len == NULL { return None } else { len as usize }];
        self.out.read_exact(&mut bytes).expect("the script's output");
        Some(bytes)
    }

    pub(crate) fn data(&mut self) -> Vec<u8> {
        let len = self.number();
        self.bytes(len).expect("bytes")
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8(self.data()).expect("text")
    }

    /// The byte of a field that has one, or none.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.data().first().copied()
    }

    pub(crate) fn cell(&mut self) -> Option<String> {
        let len = self.number();
        self.bytes(len).map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    pub(crate) fn texts(&mut self) -> Vec<String> {
        (0..self.number()).map(|_| self.text()).collect()
    }

    pub(crate) fn cells(&mut self) -> Vec<Option<String>> {
        (0..self.number()).map(|_| self.cell()).collect()
    }
}
