//! The rows of the source, numbered, with their places in files.

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray, UInt64Array};
use arrow::datatypes::UInt64Type;

use crate::convert::Unmade;
use crate::origin::{Place, SourceRow};
use crate::runs::row_ranges::RowRanges;

/// Numbers the rows of batches.
#[derive(Debug)]
pub(crate) struct SourceRows {
    /// Whether the last column holds places.
    has_places: bool,
    /// Whether the column before says what could not be made.
    has_unmade: bool,
    /// Rows that an earlier run settled.
    settled: RowRanges,
    /// Rows so far.
    read: u64,
}

/// Rows of a batch that follow each other.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) batch: RecordBatch,
    /// The number of its first row.
    first: u64,
    places: Option<UInt64Array>,
    unmade: Option<StringViewArray>,
}

impl SourceRows {
    pub(crate) fn new(has_places: bool, has_unmade: bool, settled: RowRanges) -> Self {
        Self { has_places, has_unmade, settled, read: 0 }
    }

    /// The rows of the next batch that are not settled, without the columns that are not written.
    pub(super) fn parts(&mut self, batch: &RecordBatch) -> Vec<Part> {
        let mut batch = batch.clone();
        let places = self.has_places.then(|| batch.remove_column(batch.num_columns() - 1));
        let places = places.and_then(|places| places.as_primitive_opt::<UInt64Type>().cloned());
        let unmade = self.has_unmade.then(|| batch.remove_column(batch.num_columns() - 1));
        let unmade = unmade.filter(|unmade| unmade.null_count() < unmade.len());
        let unmade = unmade.and_then(|unmade| unmade.as_string_view_opt().cloned());
        let first = self.read + 1;
        self.read += batch.num_rows() as u64;
        let part = |(from, to): (u64, u64)| {
            let (at, rows) = ((from - first) as usize, (to - from + 1) as usize);
            let (places, unmade) = (places.as_ref().map(|all| all.slice(at, rows)), unmade.as_ref().map(|all| all.slice(at, rows)));
            Part { batch: batch.slice(at, rows), first: from, places, unmade }
        };
        self.settled.gaps(first, self.read).into_iter().map(part).collect()
    }
}

impl Part {
    /// The column of the row at `at` whose value could not be made, and why.
    pub(super) fn unmade(&self, at: usize) -> Option<(String, String)> {
        let unmade = Unmade::of(self.unmade.as_ref()?, at)?;
        let column = self.batch.schema_ref().fields().get(unmade.column)?.name().clone();
        Some((column, unmade.reason.to_owned()))
    }

    /// The row at `at`.
    pub(super) fn row(&self, at: usize) -> SourceRow {
        let place = self
            .places
            .as_ref()
            .filter(|places| places.is_valid(at))
            .map_or_else(Place::default, |places| Place::of_column(places.value(at)));
        SourceRow { number: self.first + at as u64, place }
    }
}
