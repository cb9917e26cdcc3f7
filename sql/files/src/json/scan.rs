//! The first pass.
//!
//! In: the bytes of a file, in pieces. Out: its layout.

use std::sync::Arc;

use super::{
    form::Form,
    layout::Layout,
    members::{Origin, members},
    records::Records,
};
use crate::TextError;
use crate::error::option;

/// Learns what the columns of a file are, over every byte.
#[derive(Debug)]
pub struct Scan {
    file: Arc<str>,
    records: Records,
    form: Form,
    rows: u64,
}

impl Scan {
    /// For a file of this name, which errors tell.
    #[must_use]
    pub fn new(file: &str) -> Self {
        let file: Arc<str> = file.into();
        Self { records: Records::new(&file), file, form: Form::default(), rows: 0 }
    }

    /// Looks at the next bytes.
    ///
    /// # Errors
    /// What is no JSON, with its line, never with its content.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TextError> {
        let Self { file, records, form, rows } = self;
        records.push(bytes, |record, line| {
            let origin = Origin { file: Arc::clone(file), line };
            *rows += 1;
            for (at, (name, value)) in members(utf8(record, &origin)?, &origin)?.into_iter().enumerate() {
                form.member(at, &name).see(value, &origin, 0)?;
            }
            Ok(())
        })
    }

    /// The end of the file.
    ///
    /// # Errors
    /// A record that is not closed.
    pub fn finish(self) -> Result<Layout, TextError> {
        self.records.finish()?;
        Ok(Layout::new(&self.file, self.form, self.rows))
    }
}

/// The text of a record.
///
/// # Errors
/// Bytes that are no UTF-8.
pub(super) fn utf8<'a>(record: &'a [u8], origin: &Origin) -> Result<&'a str, TextError> {
    simdutf8::compat::from_utf8(record).map_err(|error| {
        let before = record.get(..error.valid_up_to()).unwrap_or_default();
        let line = origin.line + memchr::memchr_iter(b'\n', before).count() as u64;
        let at = Origin { line, ..origin.clone() };
        at.error("these bytes are no UTF-8").remedy(format!("{} reads what Windows wrote", option("encoding", "'windows-1252'")))
    })
}
