//! Packing: records to bodies of `{"d":[record, …]}` or `{"identity":[key, …]}`, and parts of a body to smaller ones.
//!
//! In: what the encoder made of a batch. Out: bodies of at most `rows_max` records and `bytes_max` bytes, records in input
//! order. A record keeps its byte range, so that a part of a body is cut out and never encoded again.

use std::borrow::Cow;

use bytes::Bytes;

use crate::table::{Again, Form};

/// Source: <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
const OPEN: &[u8] = b"{\"d\":[";
const CLOSE: &[u8] = b"]}";

/// How a body of this form begins, and what of a record it holds: of `{"identity":"a"}` it is `{"identity":[` and `"a"`.
fn split(form: Form, record: &[u8]) -> (&[u8], &[u8]) {
    // A key has no quotes in it.
    let colon = match form {
        Form::Records => None,
        Form::Keys => record.windows(2).position(|pair| pair == b"\":").map(|at| at + 2),
    };
    match colon {
        Some(colon) => (&record[..colon], &record[colon..record.len() - 1]),
        None => (OPEN, record),
    }
}

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
    /// The record at `index` as it stands in the body.
    fn record(&self, index: usize) -> &[u8] {
        let record = &self.records[index];
        &self.bytes[record.start as usize..record.end as usize]
    }

    /// What stands before the first record.
    fn open(&self) -> &[u8] {
        &self.bytes[..self.records.first().map_or(0, |record| record.start as usize)]
    }

    /// The record at `index` as a JSON object, also where the body holds its key alone.
    pub(crate) fn object(&self, index: usize) -> Cow<'_, [u8]> {
        let (open, record) = (self.open(), self.record(index));
        if open == OPEN { Cow::Borrowed(record) } else { Cow::Owned([&open[..open.len() - 1], record, b"}"].concat()) }
    }

    /// A body of the records at `indices`, which are in order.
    pub(crate) fn part(&self, indices: &[usize]) -> Self {
        if indices.len() == self.records.len() {
            return self.clone();
        }
        let mut packer = Packer::new(self.open(), usize::MAX, usize::MAX);
        for &index in indices {
            let BodyRecord { row, again, identity, .. } = self.records[index];
            packer.push(self.record(index), row, again, identity);
        }
        packer.finish().unwrap_or(Self { bytes: Bytes::from_static(b"{\"d\":[]}"), records: Vec::new() })
    }
}

/// A packer for each kind of body: a call takes identifiers of one kind.
#[derive(Debug)]
pub(crate) struct Packers {
    form: Form,
    rows_max: usize,
    bytes_max: usize,
    kinds: Vec<Packer>,
}

impl Packers {
    pub(crate) fn new(form: Form, rows_max: usize, bytes_max: usize) -> Self {
        Self { form, rows_max, bytes_max, kinds: Vec::new() }
    }

    /// Bytes that a record may have at most, so that a body can hold it.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.bytes_max.saturating_sub(OPEN.len() + CLOSE.len())
    }

    /// Adds a record, which is an object; hands out the body before it, if that is full.
    pub(crate) fn push(&mut self, record: &[u8], row: u64, again: Again, identity: u64) -> Option<Body> {
        let (head, record) = split(self.form, record);
        let at = self.kinds.iter().position(|packer| packer.open.starts_with(head)).unwrap_or_else(|| {
            let open = if self.form == Form::Keys { [head, b"["].concat() } else { head.to_vec() };
            self.kinds.push(Packer::new(&open, self.rows_max, self.bytes_max));
            self.kinds.len() - 1
        });
        self.kinds[at].push(record, row, again, identity)
    }

    /// The bodies begun.
    pub(crate) fn finish(&mut self) -> Vec<Body> {
        self.kinds.iter_mut().filter_map(Packer::finish).collect()
    }
}

/// Fills one body after the other.
#[derive(Debug)]
struct Packer {
    /// What stands before the first record.
    open: Vec<u8>,
    rows_max: usize,
    bytes_max: usize,
    bytes: Vec<u8>,
    records: Vec<BodyRecord>,
    /// The largest body so far: what the next one reserves.
    reserve: usize,
}

impl Packer {
    fn new(open: &[u8], rows_max: usize, bytes_max: usize) -> Self {
        Self { open: open.to_vec(), rows_max, bytes_max, bytes: Vec::new(), records: Vec::new(), reserve: 0 }
    }

    /// Adds a record; hands out the body before it, if that is full.
    fn push(&mut self, record: &[u8], row: u64, again: Again, identity: u64) -> Option<Body> {
        let grown = self.bytes.len().saturating_add(1 + record.len() + CLOSE.len());
        let full =
            if !self.records.is_empty() && (self.records.len() >= self.rows_max || grown > self.bytes_max) { self.finish() } else { None };
        if self.records.is_empty() {
            self.bytes.reserve(self.reserve.max(self.open.len() + record.len() + CLOSE.len()));
            self.bytes.extend_from_slice(&self.open);
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
    fn finish(&mut self) -> Option<Body> {
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
            let mut packer = Packers::new(Form::Records, rows_max, bytes_max);
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
                    prop_assert_eq!(&*body.object(index), expected.as_bytes());
                }
            }
            prop_assert_eq!(row as usize, sizes.len());
        }
    }

    #[test]
    fn a_part_of_a_body_holds_the_same_records() {
        let mut packer = Packers::new(Form::Records, 10, 1000);
        for row in 1..=4 {
            assert!(packer.push(format!("{{\"n\":{row}}}").as_bytes(), row, Again::Harmless, row).is_none());
        }
        let part = packer.finish().remove(0).part(&[1, 3]);
        assert_eq!(&part.bytes[..], br#"{"d":[{"n":2},{"n":4}]}"#);
        assert_eq!(part.records.iter().map(|r| r.row).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(&*part.object(1), br#"{"n":4}"#);
    }

    #[test]
    fn keys_of_one_kind_share_a_body_and_each_can_be_told_as_an_object() {
        let mut packer = Packers::new(Form::Keys, 2, 1000);
        let records = [r#"{"identity":"a\":"}"#, r#"{"guid":"g"}"#, r#"{"identity":"b"}"#, r#"{"identity":"c"}"#];
        let full: Vec<_> =
            (1..).zip(records).filter_map(|(row, record)| packer.push(record.as_bytes(), row, Again::Harmless, row)).collect();
        let bodies: Vec<Body> = full.into_iter().chain(packer.finish()).collect();
        let texts: Vec<_> = bodies.iter().map(|body| String::from_utf8_lossy(&body.bytes).into_owned()).collect();
        assert_eq!(texts, [r#"{"identity":["a\":","b"]}"#, r#"{"identity":["c"]}"#, r#"{"guid":["g"]}"#]);
        assert_eq!(&*bodies[0].object(0), records[0].as_bytes());
        assert_eq!(&bodies[0].part(&[1]).bytes[..], br#"{"identity":["b"]}"#);
    }
}
