//! Text in another encoding -> UTF-8.
//!
//! In: a stream of bytes, and the name of what they are. Out: a stream of UTF-8. Bytes that are no character there are an error: nothing is
//! replaced. Bytes that are UTF-8 already are told, since they become other characters.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use encoding_rs::{DecoderResult, Encoding};
use futures::{StreamExt, stream, stream::BoxStream};

/// The encoding of this name, by the web's list, or `utf-16` for what a byte order mark tells. `None` for UTF-8.
///
/// # Errors
/// The name is not known.
pub(super) fn named(name: &str) -> Result<Option<&'static Encoding>, String> {
    let found = Encoding::for_label(name.trim().as_bytes());
    let Some(encoding) = found else {
        return Err(format!("encoding '{name}' is not known; expected utf-8, utf-16, utf-16be, windows-1252, iso-8859-15, shift_jis …"));
    };
    Ok((encoding != encoding_rs::UTF_8).then_some(encoding))
}

/// Looks whether the bytes of a file are UTF-8, whatever was said of them. Clones look at one file.
#[derive(Debug, Clone, Default)]
pub(super) struct Utf8Watch(Arc<Mutex<Utf8Seen>>);

#[derive(Debug, Default)]
struct Utf8Seen {
    /// The start of a character whose rest has not come.
    begun: Vec<u8>,
    is_begun: bool,
    is_broken: bool,
    has_letters: bool,
}

impl Utf8Watch {
    /// The next bytes.
    pub(super) fn see(&self, piece: &[u8]) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A mark says by itself what the file is, and is believed.
        seen.is_broken |= !seen.is_begun && [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| piece.starts_with(mark));
        seen.is_begun = true;
        if seen.is_broken {
            return;
        }
        let mut bytes = std::mem::take(&mut seen.begun);
        bytes.extend_from_slice(piece);
        seen.has_letters |= !bytes.is_ascii();
        if let Err(error) = std::str::from_utf8(&bytes) {
            seen.is_broken = error.error_len().is_some();
            seen.begun = bytes.split_off(error.valid_up_to());
        }
    }

    /// Whether the file was UTF-8, with letters beyond ASCII.
    pub(super) fn is_utf8(&self) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.has_letters && !seen.is_broken && seen.begun.is_empty()
    }
}

/// Turns a stream into UTF-8.
pub(super) fn decode(from: BoxStream<'static, io::Result<Bytes>>, encoding: &'static Encoding) -> BoxStream<'static, io::Result<Bytes>> {
    // A byte order mark says which UTF-16 it is, whatever the name.
    let state = (from, encoding.new_decoder(), false);
    stream::try_unfold(state, move |(mut from, mut decoder, is_over)| async move {
        if is_over {
            return Ok(None);
        }
        let piece = from.next().await.transpose()?;
        let is_last = piece.is_none();
        let piece = piece.unwrap_or_default();
        let mut text = vec![0; decoder.max_utf8_buffer_length_without_replacement(piece.len()).unwrap_or(piece.len() * 3 + 16)];
        let (result, _, written) = decoder.decode_to_utf8_without_replacement(&piece, &mut text, is_last);
        if result != DecoderResult::InputEmpty {
            let what = format!("the file holds bytes that are no {}", encoding.name());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        text.truncate(written);
        Ok(Some((Bytes::from(text), (from, decoder, is_last))))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_is_known_in_pieces_of_any_size() {
        for (bytes, expected) in [
            ("id,Zoë 😀".as_bytes(), true),
            (b"id,Zoe", false),
            (b"id,Zo\xeb", false),
            (b"id,\xc3\xab\xeb", false),
            (b"id,Zo\xc3", false),
            ("\u{feff}id,Zoë".as_bytes(), false),
        ] {
            for size in [1, 2, 3, 64] {
                let watch = Utf8Watch::default();
                bytes.chunks(size).for_each(|piece| watch.see(piece));
                // A mark in pieces is one character more.
                assert_eq!(watch.is_utf8(), expected || size < 3 && bytes.starts_with(b"\xef"), "{bytes:?} {size}");
            }
        }
    }
}
