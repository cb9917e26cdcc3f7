//! Packing: records to bodies of `{"d":[record, …]}`, and parts of a body to smaller ones.
//!
//! In: records, which the encoder writes straight into the body that is begun. Out: bodies of at most `rows_max` records and
//! `bytes_max` bytes, records in input order. A record keeps its byte range, so that a part of a body is cut out and never
//! encoded again. A body that came to its end gives its buffer back.

use bytes::Bytes;

use crate::table::Again;
use crate::write::encode::{Page, Record};

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
            packer.push(self.record(index), self.records[index]);
        }
        packer.finish().unwrap_or(Self { bytes: Bytes::from_static(b"{\"d\":[]}"), records: Vec::new() })
    }
}

/// Buffers that are kept for bodies to come: those that one answer more than expected gives back.
const SPARE: usize = 4;

/// Fills one body after the other.
///
/// Records are written at the end of [`Packer::page`], a comma behind each, [`Packer::room`] of them at most; then each is kept or
/// dropped, and [`Packer::pack`] hands out what is full.
#[derive(Debug)]
pub(crate) struct Packer {
    rows_max: usize,
    bytes_max: usize,
    page: Page,
    records: Vec<BodyRecord>,
    /// A record of the page was dropped.
    dropped: bool,
    spare: Vec<Vec<u8>>,
}

impl Packer {
    pub(crate) fn new(rows_max: usize, bytes_max: usize) -> Self {
        Self { rows_max, bytes_max, page: Page::default(), records: Vec::new(), dropped: false, spare: Vec::new() }
    }

    /// Bytes that a record may have at most, so that a body can hold it.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.bytes_max.saturating_sub(OPEN.len() + CLOSE.len())
    }

    /// Records that the body begun may still take.
    pub(crate) fn room(&self) -> usize {
        self.rows_max - self.records.len()
    }

    /// Where the next records are written.
    pub(crate) fn page(&mut self) -> &mut Page {
        if self.page.len() == 0 {
            self.page = Page::new(self.spare.pop().unwrap_or_default());
            self.page.push(OPEN);
        }
        &mut self.page
    }

    /// A record of the page, as JSON.
    pub(crate) fn json(&self, record: &Record) -> &[u8] {
        &self.page.written()[record.range()]
    }

    /// Takes a record of the page.
    #[inline]
    pub(crate) fn keep(&mut self, record: &Record, row: u64) {
        let Record { start, end, again, identity } = *record;
        self.records.push(BodyRecord { row, start, end, again, identity });
    }

    /// Leaves a record of the page out.
    pub(crate) fn drop(&mut self) {
        self.dropped = true;
    }

    /// The bodies that are full.
    pub(crate) fn pack(&mut self) -> Vec<Body> {
        if !self.dropped && self.page.len() + CLOSE.len() - 1 <= self.bytes_max {
            return if self.room() == 0 { self.finish().into_iter().collect() } else { Vec::new() };
        }
        // Too many bytes, or not all of them wanted: the records move into pages of their own.
        let page = std::mem::take(&mut self.page);
        let records = std::mem::take(&mut self.records);
        self.dropped = false;
        let json = |record: &BodyRecord| &page.written()[record.start as usize..record.end as usize];
        let bodies = records.iter().filter_map(|record| self.push(json(record), *record)).collect();
        self.spare(page.into_bytes());
        bodies
    }

    /// Copies a record to the page; hands out the body before it, if that is full.
    fn push(&mut self, json: &[u8], record: BodyRecord) -> Option<Body> {
        let grown = self.page.len().saturating_add(json.len() + CLOSE.len());
        let full = if !self.records.is_empty() && (self.room() == 0 || grown > self.bytes_max) { self.finish() } else { None };
        let page = self.page();
        let start = page.len();
        page.push(json);
        let end = page.len();
        page.push(b",");
        self.records.push(BodyRecord { start: start as u32, end: end as u32, ..record });
        full
    }

    /// The body begun, if there is one.
    pub(crate) fn finish(&mut self) -> Option<Body> {
        if self.records.is_empty() {
            return None;
        }
        let mut page = std::mem::take(&mut self.page);
        page.truncate(page.len() - 1);
        page.push(CLOSE);
        let records = Vec::with_capacity(self.records.len());
        Some(Body { bytes: Bytes::from(page.into_bytes()), records: std::mem::replace(&mut self.records, records) })
    }

    /// Takes back the buffer of a body that came to its end, if nobody else holds it.
    pub(crate) fn recycle(&mut self, bytes: Bytes) {
        if bytes.is_unique() {
            self.spare(Vec::from(bytes));
        }
    }

    fn spare(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes records as the encoder does, `together` at once, and drops those of more bytes than a body takes.
    fn pack(packer: &mut Packer, records: &[String], first: u64, together: usize) -> Vec<Body> {
        let mut bodies = Vec::new();
        let mut at = 0;
        while at < records.len() {
            let count = packer.room().min(together).min(records.len() - at);
            let page = packer.page();
            let mut written = Vec::new();
            for record in &records[at..at + count] {
                let start = page.len();
                page.push(record.as_bytes());
                written.push(Record::new(start, page.len(), Again::Harmless, 0));
                page.push(b",");
            }
            for (row, record) in (first + at as u64..).zip(&written) {
                if packer.json(record).len() > packer.record_bytes_max() { packer.drop() } else { packer.keep(record, row) }
            }
            bodies.extend(packer.pack());
            at += count;
        }
        bodies
    }

    proptest! {
        #[test]
        fn packing_loses_and_repeats_nothing_and_keeps_its_bounds(
            sizes in prop::collection::vec(2usize..90, 0..200),
            rows_max in 1usize..20,
            bytes_max in 80usize..400,
            together in 1usize..30,
        ) {
            let mut packer = Packer::new(rows_max, bytes_max);
            let records: Vec<String> = sizes.iter().map(|size| format!("\"{}\"", "x".repeat(size - 2))).collect();
            let mut bodies = Vec::new();
            let half = records.len() / 2;
            bodies.extend(pack(&mut packer, &records[..half], 1, together));
            if let Some(body) = bodies.pop() {
                // A buffer that comes back must not show what it held.
                let bytes = Bytes::from(body.bytes.to_vec());
                packer.recycle(bytes);
                bodies.push(body);
            }
            bodies.extend(pack(&mut packer, &records[half..], 1 + half as u64, together));
            bodies.extend(packer.finish());
            let mut packed = Vec::new();
            for body in &bodies {
                prop_assert!(body.records.len() <= rows_max && body.bytes.len() <= bytes_max);
                let parsed: serde_json::Value = serde_json::from_slice(&body.bytes).unwrap();
                prop_assert_eq!(parsed["d"].as_array().unwrap().len(), body.records.len());
                for (index, of_body) in body.records.iter().enumerate() {
                    prop_assert_eq!(body.record(index), records[of_body.row as usize - 1].as_bytes());
                    packed.push(of_body.row);
                }
            }
            let expected = (1..).zip(&records).filter(|(_, record)| record.len() + OPEN.len() + CLOSE.len() <= bytes_max);
            prop_assert_eq!(packed, expected.map(|(row, _)| row).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_part_of_a_body_holds_the_same_records() {
        let mut packer = Packer::new(10, 1000);
        let records: Vec<String> = (1..=4).map(|row| format!("{{\"n\":{row}}}")).collect();
        assert!(pack(&mut packer, &records, 1, 4).is_empty());
        let part = packer.finish().expect("a body").part(&[1, 3]);
        assert_eq!(&part.bytes[..], br#"{"d":[{"n":2},{"n":4}]}"#);
        assert_eq!(part.records.iter().map(|r| r.row).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(part.record(1), br#"{"n":4}"#);
    }
}
