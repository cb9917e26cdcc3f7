//! One list on disk: the file to PUT, and the rows with their members, to settle them when their fate is known.
//!
//! In: members in order. Out: the file, which can be read repeatedly, and the rows. Both are spill files of DataFusion, which bounds
//! and removes them. A row is stored as its number, the length of its member and the member.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::execution::{SpillFile, SpillWriter, TaskContext};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::error::{Error, Result};

/// A list that is being spooled.
pub(super) struct Spool {
    pub(super) name: String,
    /// Distinct members.
    pub(super) members: u64,
    /// Size of the file.
    pub(super) bytes: u64,
    file: Part,
    rows: Part,
    /// Positioned at the row that is settled next.
    reader: Option<BufReader<File>>,
    last: Option<String>,
}

struct Part {
    file: Arc<dyn SpillFile>,
    writer: BufWriter<Box<dyn SpillWriter>>,
}

/// The complete file of a list.
pub(super) struct SpooledFile {
    pub(super) name: String,
    pub(super) bytes: u64,
    file: Arc<dyn SpillFile>,
}

impl SpooledFile {
    /// Reads the file from the start.
    pub(super) fn read(&self) -> Result<BoxStream<'static, std::io::Result<Bytes>>> {
        let chunks = self.file.read_stream().map_err(|error| failed(&error))?;
        Ok(chunks.map(|chunk| chunk.map_err(std::io::Error::other)).boxed())
    }
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) row: u64,
    pub(super) id: String,
}

impl Part {
    fn open(task: &TaskContext, what: &str) -> Result<Self> {
        let file = task.runtime_env().disk_manager.create_tmp_file(what).map_err(|error| failed(&error))?;
        let writer = BufWriter::with_capacity(128 * 1024, file.open_writer().map_err(|error| failed(&error))?);
        Ok(Self { file, writer })
    }

    fn path(&self) -> Result<PathBuf> {
        self.file.path().map(Into::into).ok_or_else(|| failed(&"its temporary files are not on this machine"))
    }

    fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|error| failed(&error))?;
        self.writer.get_mut().finish().map_err(|error| failed(&error))
    }
}

fn failed(why: &dyn std::fmt::Display) -> Error {
    Error::Setting(format!("a custom list is spooled to the session's temporary files before it is sent, and they do not take it ({why})"))
}

impl Spool {
    /// Starts an empty list, with the header line of its file.
    pub(super) fn open(task: &TaskContext, name: &str, header: &str) -> Result<Self> {
        let file = Part::open(task, "spooling a custom list")?;
        let rows = Part::open(task, "spooling the rows of a custom list")?;
        rows.path()?;
        let mut spool = Self { name: name.to_owned(), members: 0, bytes: 0, file, rows, reader: None, last: None };
        spool.write_line(header.as_bytes())?;
        Ok(spool)
    }

    /// Adds a row. Members are sorted, so a duplicate equals the last one.
    pub(super) fn push(&mut self, kind: &str, member: &Member) -> Result<()> {
        let length = u32::try_from(member.id.len()).map_err(|error| failed(&error))?;
        let row = [&member.row.to_le_bytes()[..], &length.to_le_bytes(), member.id.as_bytes()].concat();
        self.rows.writer.write_all(&row).map_err(|error| failed(&error))?;
        if self.last.as_deref() != Some(&member.id) {
            self.write_line(format!("{kind},{}\n", field(&member.id)).as_bytes())?;
            self.members += 1;
            self.last = Some(member.id.clone());
        }
        Ok(())
    }

    fn write_line(&mut self, line: &[u8]) -> Result<()> {
        self.bytes += line.len() as u64;
        self.file.writer.write_all(line).map_err(|error| failed(&error))
    }

    /// Flushes and returns the file.
    pub(super) fn finish_file(&mut self) -> Result<SpooledFile> {
        self.file.flush()?;
        Ok(SpooledFile { name: self.name.clone(), bytes: self.bytes, file: Arc::clone(&self.file.file) })
    }

    /// The next rows to settle, at most `rows`.
    pub(super) fn next_rows(&mut self, rows: usize) -> Result<Vec<Member>> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            slot => {
                self.rows.flush()?;
                slot.insert(BufReader::new(File::open(self.rows.path()?).map_err(|error| failed(&error))?))
            }
        };
        let mut taken = Vec::with_capacity(rows);
        while taken.len() < rows {
            let mut head = [0; 12];
            match reader.read_exact(&mut head) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(failed(&error)),
            }
            let (row, length) = head.split_at(8);
            let row = u64::from_le_bytes(row.try_into().map_err(|_| failed(&"a row is cut"))?);
            let length = u32::from_le_bytes(length.try_into().map_err(|_| failed(&"a row is cut"))?);
            let mut id = vec![0; length as usize];
            reader.read_exact(&mut id).map_err(|error| failed(&error))?;
            taken.push(Member { row, id: String::from_utf8_lossy(&id).into_owned() });
        }
        Ok(taken)
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
        let task = TaskContext::default();
        let mut spool = Spool::open(&task, "VIP", "Type,Identity\n").expect("a spool");
        let rows = [(3, "a"), (1, "a"), (2, "b,\"c\"\n")].map(|(row, id)| Member { row, id: id.into() });
        rows.iter().for_each(|member| spool.push("i", member).expect("pushed"));
        let file: Vec<Bytes> = spool.finish_file().expect("flushed").read().expect("a reader").try_collect().await.expect("read");
        let expected = "Type,Identity\ni,a\ni,\"b,\"\"c\"\"\n\"\n";
        assert_eq!((file.concat(), spool.bytes, spool.members), (expected.as_bytes().to_vec(), expected.len() as u64, 2));
        assert_eq!((spool.next_rows(2).expect("two"), spool.next_rows(9).expect("one")), (rows[..2].to_vec(), rows[2..].to_vec()));
    }
}
