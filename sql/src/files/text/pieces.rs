//! The bytes of a file, in pieces, as text.
//!
//! In: a file of a store, and how it was written. Out: a stream of UTF-8. A file that was replaced since it was listed is an error.

use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;
use datafusion::{
    common::{DataFusionError, Result},
    execution::object_store::ObjectStoreUrl,
};
use encoding_rs::Encoding;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::{
    decompress::Compression,
    encoding::{self, Utf8Watch},
};

/// Bytes that are asked for at once.
const PIECE_BYTES: u64 = 4 << 20;
/// Pieces that are on their way while one is looked at.
const PIECES_AHEAD: usize = 2;

/// How the bytes of files were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Writing {
    pub(crate) compression: Option<Compression>,
    pub(crate) encoding: Option<&'static Encoding>,
}

impl Writing {
    /// Whether the file's own bytes are those that are read, so that a range of them is one of the text.
    pub(super) fn is_plain(self) -> bool {
        self == Self::default()
    }
}

/// Where files are.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) url: ObjectStoreUrl,
    /// Whether parts of files can be asked for: of a web server it is not known.
    pub(super) has_ranges: bool,
}

impl Place {
    /// All of a file, or the range of a plain one.
    pub(super) fn pieces(&self, file: &ObjectMeta, writing: Writing, range: Option<Range<u64>>) -> BoxStream<'static, Result<Bytes>> {
        self.read(file, writing, range, None)
    }

    /// All of a file, of which it is looked whether it is UTF-8 before it becomes that.
    pub(super) fn watched(&self, file: &ObjectMeta, writing: Writing, watch: &Utf8Watch) -> BoxStream<'static, Result<Bytes>> {
        self.read(file, writing, None, Some(watch.clone()))
    }

    fn read(
        &self,
        file: &ObjectMeta,
        writing: Writing,
        range: Option<Range<u64>>,
        watch: Option<Utf8Watch>,
    ) -> BoxStream<'static, Result<Bytes>> {
        let mut bytes = if self.has_ranges { self.by_ranges(file, range.unwrap_or(0..file.size)) } else { self.at_once(file) };
        if writing.is_plain() {
            return bytes;
        }
        let mut plain = bytes.map_err(io_error).boxed();
        if let Some(compression) = writing.compression {
            plain = compression.decompress(plain);
        }
        if let Some(of) = writing.encoding {
            if let Some(watch) = watch {
                plain = plain.inspect_ok(move |piece| watch.see(piece)).boxed();
            }
            plain = encoding::decode(plain, of);
        }
        bytes = plain.map_err(from_io).boxed();
        bytes
    }

    fn by_ranges(&self, file: &ObjectMeta, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let starts = (range.start..range.end).step_by(usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX));
        let (store, location, e_tag, end) = (Arc::clone(&self.store), file.location.clone(), file.e_tag.clone(), range.end);
        let read = move |start: u64| {
            let (store, location) = (Arc::clone(&store), location.clone());
            let range = GetRange::Bounded(start..end.min(start + PIECE_BYTES));
            let options = GetOptions { range: Some(range), if_match: e_tag.clone(), ..GetOptions::default() };
            async move {
                let read = store.get_opts(&location, options).await.map_err(changed)?;
                read.bytes().await.map_err(DataFusionError::from)
            }
        };
        stream::iter(starts).map(read).buffered(PIECES_AHEAD).boxed()
    }

    fn at_once(&self, file: &ObjectMeta) -> BoxStream<'static, Result<Bytes>> {
        let (store, location) = (Arc::clone(&self.store), file.location.clone());
        let read = async move { Ok::<_, DataFusionError>(store.get(&location).await?.into_stream().map_err(DataFusionError::from)) };
        stream::once(read).try_flatten().boxed()
    }
}

/// The object has another tag than when it was listed.
fn changed(error: object_store::Error) -> DataFusionError {
    match error {
        object_store::Error::Precondition { path, .. } => DataFusionError::Execution(format!("{path}: the file changed while it was read")),
        error => error.into(),
    }
}

fn io_error(error: DataFusionError) -> io::Error {
    io::Error::other(error)
}

/// The error of a store as it was, or that of a decoder.
fn from_io(error: io::Error) -> DataFusionError {
    match error.downcast::<DataFusionError>() {
        Ok(error) => error,
        Err(error) => DataFusionError::Execution(error.to_string()),
    }
}
