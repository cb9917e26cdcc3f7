//! The program as a process: signals, pipes that close, statements that break it. Each test starts it against an emulated CleverTap and
//! looks at what it says, what it leaves on the disk and what arrived.
//!
//! ```text
//! main       a program beside an emulator
//! signals    HUP, TERM and INT at any moment
//! erasures   erase and person under signals
//! broken     panics of libraries, statements that are too deep
//! terminal   what reaches a terminal and a closed one
//! config     clevertap.toml in the working folder, named, and asked for
//! syncs      sync run under signals, and its tables
//! ```
#![cfg(unix)]

mod broken;
mod config;
mod erasures;
mod signals;
#[cfg(feature = "syncs")]
mod syncs;
mod terminal;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use clevertap_emulator::{Emulator, Server, Settings};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use tokio::time::Instant;

/// An emulated CleverTap behind a socket, and a folder of its own.
struct World {
    emulator: Emulator,
    folder: tempfile::TempDir,
    server: Server,
    /// Serves as long as it is there.
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new(settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let emulator = Emulator::new(settings);
        let server = runtime.block_on(emulator.serve("127.0.0.1:0")).expect("a server");
        Self { emulator, folder: tempfile::tempdir().expect("a folder"), server, runtime }
    }

    fn pause(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    /// Waits until it is so.
    fn until(&self, is_so: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < Duration::from_secs(60), "it does not come to that");
            self.pause(Duration::from_millis(2));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, with the account of this world.
    fn program(&self, arguments: &[&str]) -> Command {
        let settings = self.emulator.settings();
        let program = std::env::var_os("CLEVERTAP_SQL_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_clevertap-sql").into());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("CLEVERTAP_ACCOUNT_ID", &settings.account_id)
            .env("CLEVERTAP_PASSCODE", &settings.passcode)
            .env("CLEVERTAP_ENDPOINT", self.server.url())
            .env("CLEVERTAP_TIME_ZONE", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Running(self.program(arguments).spawn().expect("a process")).wait(Duration::from_secs(120))
    }

    /// Files of the world's folder and below it whose names begin with a dot, or which DataFusion has not finished.
    fn hidden(&self) -> Vec<PathBuf> {
        files(self.folder.path()).into_iter().filter(|file| name(file).starts_with('.') || name(file).contains('#')).collect()
    }
}

/// Whatever a program left in the folder of a test, no byte of it is the passcode.
impl Drop for World {
    fn drop(&mut self) {
        let passcode = self.emulator.settings().passcode.as_bytes();
        if std::thread::panicking() {
            return;
        }
        for path in files(self.folder.path()) {
            // A folder of a test may hold pipes and links to nowhere.
            let Ok(true) = path.symlink_metadata().map(|there| there.is_file()) else { continue };
            let bytes = std::fs::read(&path).unwrap_or_default();
            assert!(memchr::memmem::find(&bytes, passcode).is_none(), "{} holds the passcode", path.display());
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A process that has not ended.
struct Running(Child);

/// One that has.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Running {
    fn signal(&self, signal: &str) {
        // It may have ended before.
        Command::new("kill").args([&format!("-{signal}"), &self.0.id().to_string()]).stderr(Stdio::null()).status().expect("kill");
    }

    fn wait(self, within: Duration) -> Ended {
        let pid = self.0.id().to_string();
        let (to, ended) = mpsc::channel();
        std::thread::spawn(move || to.send(self.0.wait_with_output()).ok());
        let Ok(output) = ended.recv_timeout(within) else {
            Command::new("kill").args(["-KILL", &pid]).status().expect("kill");
            panic!("the process did not end within {within:?}");
        };
        output.expect("an output").into()
    }
}

impl From<Output> for Ended {
    /// Whatever the test, there is no passcode on stdout and stderr, and nothing on stderr that a terminal would act on.
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(stdout), text(stderr));
        let passcode = Settings::default().passcode;
        for text in [&stdout, &stderr] {
            assert!(!text.contains(&passcode), "the passcode is shown: {}", text.replace(&passcode, "<passcode>"));
        }
        assert!(is_harmless(&stderr), "a terminal would act on this: {stderr:?}");
        Self { code: ExitStatus::code(&status), stdout, stderr }
    }
}

/// Whether a terminal would show the text and do nothing else.
fn is_harmless(text: &str) -> bool {
    let turns = |character| matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    !text.chars().any(|character| turns(character) || (character.is_control() && !matches!(character, '\n' | '\t')))
}

/// The four counts that a process told, and of how many rows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    accepted: u64,
    rejected: u64,
    in_doubt: u64,
    unsent: u64,
    read: u64,
}

/// The last counts on stderr: `1 accepted, 2 rejected, 3 in doubt, 4 unsent of 10 rows read`; progress is no such line.
fn counts(stderr: &str) -> Option<Counts> {
    let line = stderr.lines().rev().find(|line| line.contains(" unsent of "))?;
    let before = |word: &str| line.split_once(word)?.0.rsplit(' ').next()?.parse().ok();
    Some(Counts {
        accepted: before(" accepted")?,
        rejected: before(" rejected")?,
        in_doubt: before(" in doubt")?,
        unsent: before(" unsent")?,
        read: before(" rows read")?,
    })
}

/// The fate of each row that is in the folder of failed rows.
fn evidence(folder: &Path) -> BTreeMap<u64, String> {
    let mut fates = BTreeMap::new();
    for path in files(folder) {
        let batches = ParquetRecordBatchReader::try_new(File::open(&path).expect("a file"), 8_192).expect("Parquet");
        for batch in batches {
            let batch: RecordBatch = batch.expect("rows");
            let (rows, names) = (batch.column_by_name("row_number").expect("a column"), batch.column_by_name("fate").expect("a column"));
            let names = arrow::compute::cast(names, &arrow::datatypes::DataType::Utf8).expect("text");
            for (row, fate) in rows.as_primitive::<UInt64Type>().values().iter().zip(names.as_string::<i32>()) {
                let twice = fates.insert(*row, fate.expect("a fate").to_owned());
                assert_eq!(twice, None, "row {row} is told twice");
            }
        }
    }
    fates
}
