//! Packing: records to bodies of `{"d":[record, …]}`, and parts of a body to smaller ones.
//!
//! In: what the encoder made of a batch. Out: bodies of at most `rows_max` records and `bytes_max` bytes, records in input
//! order. A record keeps its byte range, so that a part of a body is cut out and never encoded again.

use bytes::Bytes;

use crate::table::Again;

/// Source: <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
const OPEN: &[u8] = b"{\"d\":[";
const CLOSE: &[u8] = b"]}";

/// One request's worth of records.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    /// The bytes that are sent.
    pub(crate) bytes: Bytes,
    /// In input order.
    pub(crate) records: Vec<BodyRecord>,
}

/// A record of a [`Body`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyRecord {
    /// 1-based, in the order in which the statement read its rows.
    pub(crate) row: u64,
    /// Its first byte in the body.
    start: u32,
    /// The byte after its last.
    end: u32,
    /// What happens if it is stored twice.
    pub(crate) again: Again,
    /// Hash of its identifier.
    pub(crate) identity: u64,
}

impl Body {
    /// The record at `index`, as JSON.
    pub(crate) fn record(&self, index: usize) -> &[u8] {
        let record = &self.records[index];
        &self.bytes[record.start as usize..record.end as usize]
    }

    /// A body of the records at `indices`, which are in order.
    pub(crate) fn part(&self, indices: &[usize]) -> Self {
        if indices.len() == self.records.len() {
            return self.clone();
        }
        let mut packer = Packer::new(usize::MAX, usize::MAX);
        for &index in indices {
            let BodyRecord { row, again, identity, .. } = self.records[index];
            packer.push(self.record(index), row, again, identity);
        }
        packer.finish().unwrap_or(Self { bytes: Bytes::from_static(b"{\"d\":[]}"), records: Vec::new() })
    }
}

/// Fills one body after the other.
#[derive(Debug)]
pub(crate) struct Packer {
    rows_max: usize,
    bytes_max: usize,
    bytes: Vec<u8>,
    records: Vec<BodyRecord>,
    /// The largest body so far: what the next one reserves.
    reserve: usize,
}

impl Packer {
    pub(crate) fn new(rows_max: usize, bytes_max: usize) -> Self {
        Self { rows_max, bytes_max, bytes: Vec::new(), records: Vec::new(), reserve: 0 }
    }

    /// Bytes that a record may have at most, so that a body can hold it.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.bytes_max.saturating_sub(OPEN.len() + CLOSE.len())
    }

    /// Adds a record; hands out the body before it, if that is full.
    pub(crate) fn push(&mut self, record: &[u8], row: u64, again: Again, identity: u64) -> Option<Body> {
        let grown = self.bytes.len().saturating_add(1 + record.len() + CLOSE.len());
        let full =
            if !self.records.is_empty() && (self.records.len() >= self.rows_max || grown > self.bytes_max) { self.finish() } else { None };
        if self.records.is_empty() {
            self.bytes.reserve(self.reserve.max(OPEN.len() + record.len() + CLOSE.len()));
            self.bytes.extend_from_slice(OPEN);
        } else {
            self.bytes.push(b',');
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        // A body is far below 4 GiB: `bytes_max` is.
        self.records.push(BodyRecord { row, start: start as u32, end: self.bytes.len() as u32, again, identity });
        full
    }

    /// The body begun, if there is one.
    pub(crate) fn finish(&mut self) -> Option<Body> {
        if self.records.is_empty() {
            return None;
        }
        self.bytes.extend_from_slice(CLOSE);
        self.reserve = self.reserve.max(self.bytes.len() + self.bytes.len() / 16);
        let records = Vec::with_capacity(self.records.len());
        Some(Body { bytes: Bytes::from(std::mem::take(&mut self.bytes)), records: std::mem::replace(&mut self.records, records) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packing_loses_and_repeats_nothing_and_keeps_its_bounds(sizes in prop::collection::vec(2usize..60, 0..200), rows_max in 1usize..20, bytes_max in 80usize..400) {
            let mut packer = Packer::new(rows_max, bytes_max);
            let record = |size: usize| format!("\"{}\"", "x".repeat(size - 2));
            let mut bodies = Vec::new();
            for (at, size) in sizes.iter().enumerate() {
                bodies.extend(packer.push(record(*size).as_bytes(), at as u64 + 1, Again::Harmless, 0));
            }
            bodies.extend(packer.finish());
            let mut row = 0;
            for body in &bodies {
                prop_assert!(body.records.len() <= rows_max && body.bytes.len() <= bytes_max);
                let parsed: serde_json::Value = serde_json::from_slice(&body.bytes).unwrap();
                prop_assert_eq!(parsed["d"].as_array().unwrap().len(), body.records.len());
                for (index, of_body) in body.records.iter().enumerate() {
                    row += 1;
                    prop_assert_eq!(of_body.row, row);
                    let expected = record(sizes[row as usize - 1]);
                    prop_assert_eq!(body.record(index), expected.as_bytes());
                }
            }
            prop_assert_eq!(row as usize, sizes.len());
        }
    }

    #[test]
    fn a_part_of_a_body_holds_the_same_records() {
        let mut packer = Packer::new(10, 1000);
        for row in 1..=4 {
            assert!(packer.push(format!("{{\"n\":{row}}}").as_bytes(), row, Again::Harmless, row).is_none());
        }
        let part = packer.finish().expect("a body").part(&[1, 3]);
        assert_eq!(&part.bytes[..], br#"{"d":[{"n":2},{"n":4}]}"#);
        assert_eq!(part.records.iter().map(|r| r.row).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(part.record(1), br#"{"n":4}"#);
    }
}
