//! Compressed bytes -> bytes.
//!
//! In: a stream. Out: a stream, by a decoder on a thread of its own. Several streams in one file, as `cat` and parallel compressors make
//! them, are all read.

use std::io::{self, Read};

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use tokio::sync::mpsc::{Receiver, channel};

/// How a file is compressed, by its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// Bytes of a piece that is handed on.
const PIECE_BYTES: usize = 1 << 20;
/// Pieces that wait on either side of the decoder.
const PIECES: usize = 2;

impl Compression {
    pub(crate) const ALL: [(&str, Self); 6] =
        [("gz", Self::Gzip), ("gzip", Self::Gzip), ("zst", Self::Zstd), ("zstd", Self::Zstd), ("bz2", Self::Bzip2), ("xz", Self::Xz)];

    /// The compression that is called so, in an ending or an option.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, compression)| *compression)
    }

    fn decoder(self, from: PieceReader) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(from)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(from)?),
            Self::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(from)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new(from, true)),
        })
    }

    /// Decompresses a stream. Its errors are told by those of the stream that is returned.
    pub(super) fn decompress(self, mut from: BoxStream<'static, io::Result<Bytes>>) -> BoxStream<'static, io::Result<Bytes>> {
        let (compressed, reads) = channel(PIECES);
        let (decoded, pieces) = channel(PIECES);
        let feeding = SpawnedTask::spawn(async move {
            while let Some(piece) = from.next().await {
                if compressed.send(piece).await.is_err() {
                    break;
                }
            }
        });
        let decoding = SpawnedTask::spawn_blocking(move || {
            let read = self.decoder(PieceReader { from: reads, piece: Bytes::new() }).and_then(|mut decoder| {
                loop {
                    let mut piece = Vec::with_capacity(PIECE_BYTES);
                    let read = decoder.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
                    if read == 0 || decoded.blocking_send(Ok(Bytes::from(piece))).is_err() {
                        return Ok(());
                    }
                }
            });
            if let Err(error) = read {
                decoded.blocking_send(Err(error)).ok();
            }
        });
        // Both end with the stream.
        stream::try_unfold((pieces, feeding, decoding), |(mut pieces, feeding, decoding)| async move {
            let piece = pieces.recv().await.transpose()?;
            Ok(piece.map(|piece| (piece, (pieces, feeding, decoding))))
        })
        .map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the compressed file ends too early: it is not whole"),
            kind => {
                io::Error::new(kind, format!("its ending says that it is compressed, and it is not so ({error}); name it by what it is"))
            }
        })
        .boxed()
    }
}

/// The ending of a name with that of its compression: `csv`, `csv.gz`.
pub(crate) fn ending(name: &str) -> Option<&str> {
    let (stem, last) = name.rsplit_once('.')?;
    let of_both = Compression::named(last).and_then(|_| stem.rsplit_once('.')).map(|(stem, _)| stem.len() + 1);
    Some(of_both.and_then(|start| name.get(start..)).unwrap_or(last))
}

/// How a file of this name is compressed.
pub(crate) fn compression_of(name: &str) -> Option<Compression> {
    name.rsplit_once('.').and_then(|(_, last)| Compression::named(last))
}

/// Pieces of a channel as a reader.
struct PieceReader {
    from: Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for PieceReader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.from.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let taken = self.piece.split_to(self.piece.len().min(to.len()));
        to[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}
