//! Files as people have them, in a folder of their own, and a session that reads them.
//!
//! In: names and bytes. Out: what a statement shows, in one line.

use std::path::Path;

use arrow::{array::RecordBatch, util::pretty::pretty_format_batches};

use crate::engine::session::Session;
use datafusion_clevertap::Account;

/// A folder of these files, and a session.
pub(super) struct Files {
    folder: tempfile::TempDir,
    pub(super) session: Session,
}

impl Files {
    pub(super) fn new(files: &[(&str, &[u8])]) -> Self {
        Self::of(files, None)
    }

    pub(super) fn of(files: &[(&str, &[u8])], account: Option<Account>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        Self { folder, session: Session::open(account, None).unwrap() }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `text`, in which `@` is the folder, and shows names with types and then the rows; or the error.
    pub(super) async fn run(&self, text: &str) -> String {
        match self.session.rows(&text.replace('@', &self.path().display().to_string())).await {
            Ok(rows) => shown(&rows),
            Err(error) => self.session.failure(error).to_string().replace(&self.path().display().to_string(), "@"),
        }
    }

    /// All rows of a file or folder.
    pub(super) async fn read(&self, name: &str) -> String {
        self.run(&format!("SELECT * FROM '@/{name}' ORDER BY 1")).await
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.session.take_file_notes()
    }
}

fn shown(rows: &[RecordBatch]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let types = first.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect::<Vec<_>>();
    let table = pretty_format_batches(rows).unwrap().to_string();
    let cells = table.lines().skip(3).filter(|line| line.starts_with('|'));
    let cells = cells.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned());
    [types.join(", ")].into_iter().chain(cells).collect::<Vec<_>>().join("; ")
}
