//! A stream whose reader may go away, as `| head` does.
//!
//! In: bytes. Out: the same bytes, and whether somebody was there to read them. Writers of CSV and Parquet report a closed pipe in words of
//! their own, so it is kept here.

use std::{
    io::{self, BufWriter, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The stream, buffered.
pub(super) struct Watched {
    to: Box<dyn Write + Send>,
    reader_gone: Arc<AtomicBool>,
}

impl Watched {
    pub(super) fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(BufWriter::new(to)), reader_gone: Arc::default() }
    }

    /// Whether the reader has gone, now or later.
    pub(super) fn reader_gone(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.reader_gone)
    }

    fn watch<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            self.reader_gone.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes);
        self.watch(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.watch(flushed)
    }
}
