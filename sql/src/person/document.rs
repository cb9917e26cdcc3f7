//! The answer to an access request, as one JSON document that is there whole or not at all.
//!
//! In: the person, their events one after the other, what became of the export. Out: a file that nobody but its owner reads; or, for
//! stdout, the same out of a file without a name. Half an answer would look like an answer.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, Write},
    path::Path,
};

use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    whole::{Readers, WholeFile},
};

/// A document that is being written.
#[derive(Debug)]
pub(crate) struct Document {
    paper: Paper,
    events: u64,
}

#[derive(Debug)]
enum Paper {
    /// A file.
    Named(WholeFile),
    /// For stdout.
    Nameless(BufWriter<File>),
}

impl Document {
    /// A document for the file at `path`, or for stdout.
    ///
    /// # Errors
    /// [`Failure::Usage`] if something else than a file has that name; the disk's.
    pub(crate) fn begin(path: Option<&Path>) -> Result<Self> {
        let paper = match path {
            None => Paper::Nameless(BufWriter::new(tempfile::tempfile()?)),
            Some(path) => {
                if path.metadata().is_ok_and(|there| !there.is_file()) {
                    return Err(Failure::Usage(format!("{} is no file: -o takes the name of one, and stdout needs none", path.display())));
                }
                Paper::Named(WholeFile::begin(path, Readers::Owner)?)
            }
        };
        Ok(Self { paper, events: 0 })
    }

    fn to(&mut self) -> &mut dyn Write {
        match &mut self.paper {
            Paper::Named(to) => to,
            Paper::Nameless(to) => to,
        }
    }

    /// Writes who it is about.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn person(&mut self, person: &impl Serialize) -> Result<()> {
        self.to().write_all(b"{\n\"person\": ")?;
        json(self.to(), person)?;
        Ok(self.to().write_all(b",\n\"events\": [")?)
    }

    /// Writes one event.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn event(&mut self, event: &impl Serialize) -> Result<()> {
        let comma: &[u8] = if self.events == 0 { b"\n" } else { b",\n" };
        self.to().write_all(comma)?;
        self.events += 1;
        json(self.to(), event)
    }

    /// Writes what became of the export, an object, and puts the document where it belongs.
    ///
    /// # Errors
    /// The disk's, or [`Failure::ReaderGone`].
    pub(crate) fn finish(mut self, ending: &impl Serialize) -> Result<()> {
        let ending = serde_json::to_string(ending).map_err(io::Error::from)?;
        let fields = ending.strip_prefix('{').and_then(|fields| fields.strip_suffix('}')).unwrap_or_default();
        writeln!(self.to(), "\n],\n{fields}\n}}")?;
        match self.paper {
            Paper::Named(file) => file.finish()?,
            Paper::Nameless(to) => {
                let mut file = to.into_inner().map_err(|error| error.into_error())?;
                file.rewind()?;
                let mut stdout = io::stdout().lock();
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
    fn a_document_is_json_private_and_there_when_it_is_finished() {
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
    fn a_document_that_is_dropped_leaves_nothing_and_an_older_one_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ada.json");
        std::fs::write(&path, "older").unwrap();
        let mut document = Document::begin(Some(&path)).unwrap();
        document.person(&json!({})).unwrap();
        drop(document);
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), files(folder.path())), ("older", 1));
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Document::begin(Some(folder.path())).unwrap_err().code(), 2);
        assert_eq!(Document::begin(Some(&folder.path().join("nowhere/ada.json"))).unwrap_err().code(), 1);
    }
}
