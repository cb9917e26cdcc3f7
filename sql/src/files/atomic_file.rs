//! A file that takes its name when it is finished: until then an older file of that name stays, which may be the one that is read.
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
pub(crate) enum FileAccess {
    /// Its owner alone: it is about people.
    OwnerOnly,
    /// The permissions of the file that is replaced, or what the user's umask gives.
    Default,
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    to: BufWriter<NamedTempFile>,
    path: PathBuf,
    access: FileAccess,
    is_empty: bool,
}

impl AtomicFile {
    /// A file that will be at `path`, or where `path` links to.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn create(path: &Path, access: FileAccess) -> Result<Self> {
        let folder = |path: &Path| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        // The target of a link may not exist yet.
        let target = || fs::read_link(path).map(|to| folder(path).join(to));
        let path = fs::canonicalize(path).or_else(|_| target()).unwrap_or_else(|_| path.to_owned());
        let mut builder = Builder::new();
        builder.prefix(".clevertap-sql-");
        #[cfg(unix)]
        if access == FileAccess::Default {
            // The umask is applied to these.
            let usual = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            builder.permissions(path.metadata().map_or(usual, |there| there.permissions()));
        }
        let beside = builder.tempfile_in(folder(&path));
        // In a folder that takes no new file, an existing one may still be writable. The temporary folder gives 0600.
        let file = if beside.is_err() && path.is_file() { NamedTempFile::new() } else { beside };
        let file = file.map_err(|error| Failure::file(&path, &error))?;
        Ok(Self { to: BufWriter::new(file), path, access, is_empty: true })
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path.clone();
        self.persist_at(&path)
    }

    /// Keeps what was written under the name with `.partial` behind it, and returns that path.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn keep_partial(self) -> Result<PathBuf> {
        let mut name = self.path.clone().into_os_string();
        name.push(".partial");
        let path = PathBuf::from(name);
        self.persist_at(&path)?;
        Ok(path)
    }

    fn persist_at(self, path: &Path) -> Result<()> {
        let file = self.to.into_inner().map_err(|error| Failure::file(path, error.error()))?;
        file.as_file().sync_all().map_err(|error| Failure::file(path, &error))?;
        let Err(kept) = file.persist(path) else { return Ok(()) };
        // Some names cannot be replaced, such as that of a mounted file: then the bytes are written into it.
        if let Err(error) = overwrite(&kept.file, path, self.access) {
            let kept = kept.file.keep().map_err(|error| Failure::file(path, &error.error))?.1;
            return Err(Failure::Failed(format!("{}: {error}; what was to be written is in {}", path.display(), kept.display())));
        }
        Ok(())
    }
}

/// Copies a file into another, which keeps its permissions unless only its owner may read it.
fn overwrite(from: &NamedTempFile, path: &Path, access: FileAccess) -> io::Result<()> {
    let mut to = fs::File::options().write(true).truncate(true).open(path)?;
    #[cfg(unix)]
    if access == FileAccess::OwnerOnly {
        to.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    }
    io::copy(&mut from.reopen()?, &mut to)?;
    to.sync_all()
}

impl Write for AtomicFile {
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
    fn the_name_is_taken_at_the_end_and_an_older_file_stays_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a.csv"), folder.path().join("link.csv"));
        fs::write(&path, "older").unwrap();
        drop(AtomicFile::create(&path, FileAccess::Default).unwrap());
        let mut file = AtomicFile::create(&path, FileAccess::Default).unwrap();
        assert!(file.is_empty());
        file.write_all(b"newer").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "older");
        file.finish().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), fs::read_dir(folder.path()).unwrap().count()), ("newer", 1));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&path, &link).unwrap();
            let mut file = AtomicFile::create(&link, FileAccess::Default).unwrap();
            file.write_all(b"newest").unwrap();
            file.finish().unwrap();
            assert!(link.is_symlink() && fs::read_to_string(&path).unwrap() == "newest");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_overwritten_where_its_name_cannot_be_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("there");
        fs::write(&path, "older and longer").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let mut from = NamedTempFile::new().unwrap();
        from.write_all(b"newer").unwrap();
        for (access, mode) in [(FileAccess::Default, 0o644), (FileAccess::OwnerOnly, 0o600)] {
            overwrite(&from, &path, access).unwrap();
            assert_eq!(
                (fs::read_to_string(&path).unwrap().as_str(), path.metadata().unwrap().permissions().mode() & 0o777),
                ("newer", mode)
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_the_older_file_or_the_default_or_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str, access| {
            let path = folder.path().join(name);
            AtomicFile::create(&path, access).unwrap().finish().unwrap();
            path.metadata().unwrap().permissions().mode() & 0o777
        };
        fs::write(folder.path().join("plain"), "").unwrap();
        let plain = folder.path().join("plain").metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("usual", FileAccess::Default), plain);
        assert_eq!(
            (mode("own", FileAccess::OwnerOnly), mode("own", FileAccess::Default), mode("plain", FileAccess::OwnerOnly)),
            (0o600, 0o600, 0o600)
        );
    }
}
