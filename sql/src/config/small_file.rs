//! A file that is read whole, and of which nothing is waited for.
//!
//! In: a path, the most bytes that it may have. Out: what is known of the file that was opened, and its bytes: one more than the most where it
//! has more.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind, Read},
    path::Path,
};

/// Why there are no bytes.
pub(super) enum NotRead {
    /// Nothing has this name.
    Nothing,
    /// A folder, or a pipe, which would be waited for.
    NoFile,
    Failed(io::Error),
}

/// Reads it.
///
/// # Errors
/// Why not.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<(Metadata, Vec<u8>), NotRead> {
    match fs::metadata(path) {
        Ok(there) if there.is_file() => {}
        Ok(_) => return Err(NotRead::NoFile),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Err(NotRead::Nothing),
        Err(error) => return Err(NotRead::Failed(error)),
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        let there = file.metadata()?;
        file.take(bytes_max + 1).read_to_end(&mut bytes)?;
        Ok(there)
    });
    read.map(|there| (there, bytes)).map_err(NotRead::Failed)
}
