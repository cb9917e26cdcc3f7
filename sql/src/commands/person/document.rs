//! The answer to an access request: one JSON document that is complete or absent.
//!
//! In: the person, their events one after the other, the figures of the export. Out: a file that only its owner can read; for stdout,
//! the same by way of a temporary file. Half an answer would look like an answer.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, Write},
    path::Path,
};

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    failure::{Failure, Result},
    files::atomic_file::{AtomicFile, FileAccess},
    terminal::output::for_whom,
};

/// A person who was found.
#[derive(Debug, Serialize)]
pub(super) struct Person {
    pub(super) identity: Option<String>,
    pub(super) object_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) all_identities: Option<String>,
    pub(super) properties: Option<Box<RawValue>>,
    pub(super) platforms: Option<Box<RawValue>>,
    #[serde(skip)]
    pub(super) summary: Option<String>,
}

/// An event as the document has it.
#[derive(Debug, Serialize)]
pub(super) struct Event<'a> {
    pub(super) event_name: &'a str,
    pub(super) event_time: Option<String>,
    pub(super) identity: Option<String>,
    pub(super) object_id: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) properties: Option<Box<RawValue>>,
    pub(super) session: Option<Box<RawValue>>,
}

/// What was found of one event name.
#[derive(Debug, Serialize)]
pub(super) struct EventOutcome {
    pub(super) event_name: String,
    pub(super) counted: u64,
    pub(super) found: u64,
    /// Events after the look-up: in the document, but not in the count of the summary.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) done_since: u64,
    pub(super) first_seen: String,
    pub(super) last_seen: String,
    pub(super) from_date: NaiveDate,
    pub(super) to_date: NaiveDate,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) left_out_as_of_others: u64,
}

/// An event name that CleverTap refuses to export.
#[derive(Debug, Serialize)]
pub(super) struct NotExported {
    pub(super) event_name: String,
    pub(super) counted: u64,
    pub(super) reason: String,
}

/// The end of the document.
#[derive(Debug, Serialize)]
pub(super) struct DocumentTail {
    pub(super) exported_at: String,
    pub(super) summary: Vec<EventOutcome>,
    pub(super) not_exported: Vec<NotExported>,
    pub(super) complete: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde calls")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A document that is being written.
#[derive(Debug)]
pub(crate) struct Document {
    file: DocumentFile,
    events: u64,
}

#[derive(Debug)]
enum DocumentFile {
    Named(AtomicFile),
    /// For stdout: copied there at the end.
    Temporary(BufWriter<File>),
}

impl Document {
    /// A document for the file at `path`, or for stdout.
    ///
    /// # Errors
    /// [`Failure::Usage`] if something else than a file has that name; the disk's.
    pub(crate) fn begin(path: Option<&Path>) -> Result<Self> {
        let file = match path {
            None => DocumentFile::Temporary(BufWriter::new(tempfile::tempfile()?)),
            Some(path) => {
                if path.metadata().is_ok_and(|there| !there.is_file()) {
                    return Err(Failure::Usage(format!("{} is no file: -o takes the name of one, and stdout needs none", path.display())));
                }
                DocumentFile::Named(AtomicFile::create(path, FileAccess::OwnerOnly)?)
            }
        };
        Ok(Self { file, events: 0 })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.file {
            DocumentFile::Named(to) => to,
            DocumentFile::Temporary(to) => to,
        }
    }

    /// Writes the person.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn person(&mut self, person: &impl Serialize) -> Result<()> {
        self.writer().write_all(b"{\n\"person\": ")?;
        json(self.writer(), person)?;
        Ok(self.writer().write_all(b",\n\"events\": [")?)
    }

    /// Writes one event.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn event(&mut self, event: &impl Serialize) -> Result<()> {
        let comma: &[u8] = if self.events == 0 { b"\n" } else { b",\n" };
        self.writer().write_all(comma)?;
        self.events += 1;
        json(self.writer(), event)
    }

    /// Writes the fields of `tail`, and gives the file its name or copies it to stdout.
    ///
    /// # Errors
    /// The disk's, or [`Failure::ReaderGone`].
    pub(crate) fn finish(mut self, tail: &impl Serialize) -> Result<()> {
        let tail = serde_json::to_string(tail).map_err(io::Error::from)?;
        let fields = tail.strip_prefix('{').and_then(|fields| fields.strip_suffix('}')).unwrap_or_default();
        writeln!(self.writer(), "\n],\n{fields}\n}}")?;
        match self.file {
            DocumentFile::Named(file) => file.finish()?,
            DocumentFile::Temporary(to) => {
                let mut file = to.into_inner().map_err(|error| error.into_error())?;
                file.rewind()?;
                let mut stdout = for_whom(io::stdout());
                io::copy(&mut file, &mut stdout)?;
                stdout.flush()?;
            }
        }
        Ok(())
    }
}

fn json(to: &mut dyn Write, value: &impl Serialize) -> Result<()> {
    Ok(serde_json::to_writer(to, value).map_err(io::Error::from)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_finished_document_is_json_that_only_its_owner_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ada.json");
        let mut document = Document::begin(Some(&path)).unwrap();
        document.person(&json!({"name": "Ada"})).unwrap();
        document.event(&json!({"n": 1})).unwrap();
        document.event(&json!({"n": 2})).unwrap();
        assert!(!path.exists());
        document.finish(&json!({"complete": true})).unwrap();
        let read: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, json!({"person": {"name": "Ada"}, "events": [{"n": 1}, {"n": 2}], "complete": true}));
        assert_eq!(files(folder.path()), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_dropped_document_leaves_no_file_and_an_older_one_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ada.json");
        std::fs::write(&path, "older").unwrap();
        let mut document = Document::begin(Some(&path)).unwrap();
        document.person(&json!({})).unwrap();
        drop(document);
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), files(folder.path())), ("older", 1));
    }

    #[test]
    fn a_folder_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Document::begin(Some(folder.path())).unwrap_err().code(), 2);
        assert_eq!(Document::begin(Some(&folder.path().join("nowhere/ada.json"))).unwrap_err().code(), 1);
    }
}
