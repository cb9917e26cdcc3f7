//! A file that takes its name when it is finished: until then what had the name before stays, which may be what is being read.
//!
//! In: bytes. Out: the file, renamed from a temporary name in the same folder when its last byte is on the disk. Dropped before that, it
//! leaves nothing.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

use crate::failure::{Failure, Result};

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone: it is about people.
    Owner,
    /// Whoever may read the file that is there, or else what this user's files mostly allow.
    AsUsual,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct WholeFile {
    to: BufWriter<NamedTempFile>,
    path: PathBuf,
    readers: Readers,
    is_empty: bool,
}

impl WholeFile {
    /// A file that will be at `path`; a link leads to it.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn begin(path: &Path, readers: Readers) -> Result<Self> {
        let folder = |path: &Path| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        // A link may lead to what is not there yet.
        let led = || fs::read_link(path).map(|to| folder(path).join(to));
        let path = fs::canonicalize(path).or_else(|_| led()).unwrap_or_else(|_| path.to_owned());
        let mut builder = Builder::new();
        builder.prefix(".clevertap-sql-");
        #[cfg(unix)]
        if readers == Readers::AsUsual {
            // The system takes from these what the user's mask says.
            let usual = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            builder.permissions(path.metadata().map_or(usual, |there| there.permissions()));
        }
        let beside = builder.tempfile_in(folder(&path));
        // In a folder that takes no file, one that is there may be written all the same. Elsewhere nobody but its owner reads it.
        let file = if beside.is_err() && path.is_file() { NamedTempFile::new() } else { beside };
        let file = file.map_err(|error| Failure::file(&path, &error))?;
        Ok(Self { to: BufWriter::new(file), path, readers, is_empty: true })
    }

    /// Whether nothing was written.
    pub(crate) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path.clone();
        self.put(&path)
    }

    /// Puts what there is beside its place, under a name that says so, which comes back.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn give_up(self) -> Result<PathBuf> {
        let mut name = self.path.clone().into_os_string();
        name.push(".partial");
        let path = PathBuf::from(name);
        self.put(&path)?;
        Ok(path)
    }

    fn put(self, path: &Path) -> Result<()> {
        let file = self.to.into_inner().map_err(|error| Failure::file(path, error.error()))?;
        file.as_file().sync_all().map_err(|error| Failure::file(path, &error))?;
        let Err(kept) = file.persist(path) else { return Ok(()) };
        // Some names cannot be given anew, as that of a mounted file: then the bytes are written into it.
        if let Err(error) = written_into(&kept.file, path, self.readers) {
            let place = kept.file.keep().map_err(|error| Failure::file(path, &error.error))?.1;
            return Err(Failure::Failed(format!("{}: {error}; what was to be written is in {}", path.display(), place.display())));
        }
        Ok(())
    }
}

/// Writes a file into another, which keeps its rights unless its owner alone may read it.
fn written_into(from: &NamedTempFile, path: &Path, readers: Readers) -> io::Result<()> {
    let mut to = fs::File::options().write(true).truncate(true).open(path)?;
    #[cfg(unix)]
    if readers == Readers::Owner {
        to.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    }
    io::copy(&mut from.reopen()?, &mut to)?;
    to.sync_all()
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_empty &= bytes.is_empty();
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_taken_at_the_end_and_what_was_there_stays_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a.csv"), folder.path().join("link.csv"));
        fs::write(&path, "older").unwrap();
        drop(WholeFile::begin(&path, Readers::AsUsual).unwrap());
        let mut file = WholeFile::begin(&path, Readers::AsUsual).unwrap();
        assert!(file.is_empty());
        file.write_all(b"newer").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "older");
        file.finish().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), fs::read_dir(folder.path()).unwrap().count()), ("newer", 1));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&path, &link).unwrap();
            let mut file = WholeFile::begin(&link, Readers::AsUsual).unwrap();
            file.write_all(b"newest").unwrap();
            file.finish().unwrap();
            assert!(link.is_symlink() && fs::read_to_string(&path).unwrap() == "newest");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_written_into_where_its_name_cannot_be_given_anew() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("there");
        fs::write(&path, "older and longer").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let mut from = NamedTempFile::new().unwrap();
        from.write_all(b"newer").unwrap();
        for (readers, mode) in [(Readers::AsUsual, 0o644), (Readers::Owner, 0o600)] {
            written_into(&from, &path, readers).unwrap();
            assert_eq!(
                (fs::read_to_string(&path).unwrap().as_str(), path.metadata().unwrap().permissions().mode() & 0o777),
                ("newer", mode)
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn readers_are_who_they_were_or_as_usual_or_the_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str, readers| {
            let path = folder.path().join(name);
            WholeFile::begin(&path, readers).unwrap().finish().unwrap();
            path.metadata().unwrap().permissions().mode() & 0o777
        };
        fs::write(folder.path().join("plain"), "").unwrap();
        let plain = folder.path().join("plain").metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("usual", Readers::AsUsual), plain);
        assert_eq!((mode("own", Readers::Owner), mode("own", Readers::AsUsual), mode("plain", Readers::Owner)), (0o600, 0o600, 0o600));
    }
}
