//! Text in another encoding -> UTF-8.
//!
//! In: a stream of bytes, and the name of what they are. Out: a stream of UTF-8. Bytes that are no character there are an error: nothing is
//! replaced.

use std::io;

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
