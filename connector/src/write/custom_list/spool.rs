//! One list on disk: the file to PUT, and the rows with their members, to settle them when their fate is known.
//!
//! In: members in order. Out: the file, which can be read repeatedly, and the rows. Both are spill files of DataFusion, which bounds
//! and removes them. A row is stored as its number, the length of its member and the member.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use datafusion::execution::{SpillFile, SpillWriter, TaskContext};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::error::{Error, Result};
use crate::storage::on_disk;

/// Bytes after which a part goes to the disk.
const WRITE_BYTES: usize = 128 * 1024;

/// A list that is being spooled.
pub(super) struct Spool {
    pub(super) name: String,
    /// Distinct members.
    pub(super) members: u64,
    /// Size of the file.
    pub(super) bytes: u64,
    file: Part,
    rows: Part,
    last: Option<String>,
}

/// A file that is written, then read. Clones are one: work on the disk has its own.
#[derive(Clone)]
struct Part {
    file: Arc<dyn SpillFile>,
    open: Arc<Mutex<Open>>,
}

struct Open {
    writer: Box<dyn SpillWriter>,
    /// What is not written yet.
    buffered: Vec<u8>,
    /// Positioned at the row that is settled next.
    reader: Option<BufReader<File>>,
    /// Rows that are read and not taken: whoever waited for them may be gone.
    read: Vec<Member>,
}

/// The complete file of a list.
pub(super) struct SpooledFile {
    pub(super) name: String,
    pub(super) bytes: u64,
    file: Arc<dyn SpillFile>,
}

impl SpooledFile {
    /// Reads the file from the start.
    pub(super) fn read(&self) -> Result<BoxStream<'static, io::Result<Bytes>>> {
        let chunks = self.file.read_stream().map_err(|error| failed(&error))?;
        Ok(chunks.map(|chunk| chunk.map_err(io::Error::other)).boxed())
    }
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) row: u64,
    pub(super) id: String,
}

/// Waits for the disk, and is called where that holds nobody up.
impl Part {
    fn create(task: &TaskContext, what: &str) -> io::Result<Self> {
        let file = task.runtime_env().disk_manager.create_tmp_file(what).map_err(io::Error::other)?;
        let writer = file.open_writer().map_err(io::Error::other)?;
        Ok(Self { file, open: Arc::new(Mutex::new(Open { writer, buffered: Vec::new(), reader: None, read: Vec::new() })) })
    }

    /// Adds bytes, and says whether there are enough to write; it does not wait for the disk.
    fn push(&self, bytes: &[u8]) -> bool {
        let buffered = &mut self.open().buffered;
        buffered.extend_from_slice(bytes);
        buffered.len() >= WRITE_BYTES
    }

    fn write_out(&self) -> io::Result<()> {
        let Open { writer, buffered, .. } = &mut *self.open();
        writer.write_all(buffered)?;
        buffered.clear();
        Ok(())
    }

    fn finish(&self) -> io::Result<()> {
        self.write_out()?;
        let writer = &mut self.open().writer;
        writer.flush()?;
        writer.finish().map_err(io::Error::other)
    }

    /// Reads the next rows, at most `rows`, unless there are some that were not taken.
    fn read_rows(&self, rows: usize) -> io::Result<()> {
        if self.open().reader.is_none() {
            self.finish()?;
            let path = self.file.path().ok_or_else(|| io::Error::other("its temporary files are not on this machine"))?;
            self.open().reader = Some(BufReader::new(File::open(path)?));
        }
        let Open { reader: Some(reader), read, .. } = &mut *self.open() else { return Ok(()) };
        if !read.is_empty() {
            return Ok(());
        }
        while read.len() < rows {
            let (mut row, mut length) = ([0; 8], [0; 4]);
            match reader.read_exact(&mut row) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
            reader.read_exact(&mut length)?;
            let mut id = vec![0; u32::from_le_bytes(length) as usize];
            reader.read_exact(&mut id)?;
            read.push(Member { row: u64::from_le_bytes(row), id: String::from_utf8_lossy(&id).into_owned() });
        }
        Ok(())
    }

    fn take_rows(&self) -> Vec<Member> {
        std::mem::take(&mut self.open().read)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(why: &dyn std::fmt::Display) -> Error {
    Error::Storage(format!("a custom list is spooled to the session's temporary files before it is sent, and they do not take it ({why})"))
}

impl Spool {
    /// Starts an empty list, with the header line of its file.
    pub(super) async fn open(task: &Arc<TaskContext>, name: &str, header: &str) -> Result<Self> {
        let task = Arc::clone(task);
        let parts = on_disk(move || {
            let rows = Part::create(&task, "spooling the rows of a custom list")?;
            Ok((Part::create(&task, "spooling a custom list")?, rows))
        });
        let (file, rows) = parts.await.map_err(|error| failed(&error))?;
        file.push(header.as_bytes());
        Ok(Self { name: name.to_owned(), members: 0, bytes: header.len() as u64, file, rows, last: None })
    }

    /// Adds a row. Members are sorted, so a duplicate equals the last one.
    pub(super) async fn push(&mut self, kind: &str, member: &Member) -> Result<()> {
        let length = u32::try_from(member.id.len()).map_err(|error| failed(&error))?;
        let row = [&member.row.to_le_bytes()[..], &length.to_le_bytes(), member.id.as_bytes()].concat();
        let mut full = self.rows.push(&row);
        if self.last.as_deref() != Some(&member.id) {
            let line = format!("{kind},{}\n", field(&member.id));
            self.bytes += line.len() as u64;
            full |= self.file.push(line.as_bytes());
            self.members += 1;
            self.last = Some(member.id.clone());
        }
        if full {
            let (file, rows) = (self.file.clone(), self.rows.clone());
            on_disk(move || file.write_out().and_then(|()| rows.write_out())).await.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// Flushes and returns the file.
    pub(super) async fn finish_file(&mut self) -> Result<SpooledFile> {
        let file = self.file.clone();
        on_disk(move || file.finish()).await.map_err(|error| failed(&error))?;
        Ok(SpooledFile { name: self.name.clone(), bytes: self.bytes, file: Arc::clone(&self.file.file) })
    }

    /// The next rows to settle, at most `rows`.
    pub(super) async fn next_rows(&self, rows: usize) -> Result<Vec<Member>> {
        let part = self.rows.clone();
        on_disk(move || part.read_rows(rows)).await.map_err(|error| failed(&error))?;
        Ok(self.rows.take_rows())
    }

    /// The same where nothing can be awaited: when the stream is dropped.
    pub(super) fn next_rows_now(&self, rows: usize) -> Result<Vec<Member>> {
        self.rows.read_rows(rows).map_err(|error| failed(&error))?;
        Ok(self.rows.take_rows())
    }
}

/// A CSV field by RFC 4180: quoted if necessary, with quotes in it doubled.
fn field(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains([',', '"', '\r', '\n']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_member_is_written_once_and_each_of_its_rows_is_kept() {
        let task = Arc::new(TaskContext::default());
        let mut spool = Spool::open(&task, "VIP", "Type,Identity\n").await.expect("a spool");
        let rows = [(3, "a"), (1, "a"), (2, "b,\"c\"\n")].map(|(row, id)| Member { row, id: id.into() });
        for member in &rows {
            spool.push("i", member).await.expect("pushed");
        }
        let file: Vec<Bytes> = spool.finish_file().await.expect("flushed").read().expect("a reader").try_collect().await.expect("read");
        let expected = "Type,Identity\ni,a\ni,\"b,\"\"c\"\"\n\"\n";
        assert_eq!((file.concat(), spool.bytes, spool.members), (expected.as_bytes().to_vec(), expected.len() as u64, 2));
        assert_eq!(
            (spool.next_rows(2).await.expect("two"), spool.next_rows_now(9).expect("one")),
            (rows[..2].to_vec(), rows[2..].to_vec())
        );
    }
}
