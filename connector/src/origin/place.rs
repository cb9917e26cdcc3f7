//! The place of a row, and the files that places number.

use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::ObjectMeta;

use crate::redact::without_secrets;

/// The name of the column. No file has a column of this name.
pub(super) const PLACE: &str = "__clevertap_place";

/// Bits of a place that number the row.
const ROW_BITS: u32 = 40;

/// The file of a row, and its number in there; either may not be known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Place {
    /// Of the file at `file` in [`Source::files`]; `row` counts from 1.
    pub(super) fn new(file: usize, row: Option<u64>) -> Self {
        let (file, row) = (file as u64 + 1, row.unwrap_or(0));
        if file >> (u64::BITS - ROW_BITS) > 0 {
            return Self::default();
        }
        Self(file << ROW_BITS | if row >> ROW_BITS > 0 { 0 } else { row })
    }

    pub(crate) fn of_column(value: u64) -> Self {
        Self(value)
    }

    pub(super) fn to_column(self) -> u64 {
        self.0
    }

    fn file(self) -> Option<usize> {
        (self.0 >> ROW_BITS).checked_sub(1).map(|file| file as usize)
    }

    /// Its row in the file, from 1.
    pub(crate) fn row(self) -> Option<u64> {
        let row = self.0 & ((1 << ROW_BITS) - 1);
        (row > 0).then_some(row)
    }
}

/// A row as a statement reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceRow {
    /// From 1, in the order in which the statement read its rows.
    pub(crate) number: u64,
    pub(crate) place: Place,
}

impl From<u64> for SourceRow {
    fn from(number: u64) -> Self {
        Self { number, place: Place::default() }
    }
}

/// The files that a statement reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) files: Vec<SourceFile>,
    /// What decides which rows are read, and in which order, besides the statement's text: conditions and limits. `None` where another
    /// run may read other rows, or in another order.
    pub(crate) order: Option<String>,
}

/// A file as it was when the statement was planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Its path or URL, without secrets.
    pub(crate) name: Arc<str>,
    pub(crate) size: u64,
    /// Microseconds since 1970.
    pub(crate) modified: i64,
    pub(crate) etag: Option<String>,
}

impl Source {
    /// The name of a row's file.
    pub(crate) fn file_of(&self, place: Place) -> Option<Arc<str>> {
        self.files.get(place.file()?).map(|file| Arc::clone(&file.name))
    }
}

impl SourceFile {
    pub(super) fn new(store: &ObjectStoreUrl, meta: &ObjectMeta) -> Self {
        let store = store.as_str().trim_end_matches('/');
        // A path of this machine is shown as one.
        let store = if store == "file:" { "" } else { store };
        Self {
            name: without_secrets(&format!("{store}/{}", meta.location)).into(),
            size: meta.size,
            modified: meta.last_modified.timestamp_micros(),
            etag: meta.e_tag.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_does_not_fit_is_not_known() {
        for (file, row, expected) in [
            (0, Some(1), (Some(0), Some(1))),
            (7, None, (Some(7), None)),
            (7, Some((1 << 40) - 1), (Some(7), Some((1 << 40) - 1))),
            (7, Some(1 << 40), (Some(7), None)),
            ((1 << 24) - 2, Some(2), (Some((1 << 24) - 2), Some(2))),
            ((1 << 24) - 1, Some(2), (None, None)),
        ] {
            let place = Place::new(file, row);
            assert_eq!((place.file(), place.row()), expected);
        }
        assert_eq!((Place::default().file(), Place::default().row()), (None, None));
    }
}
