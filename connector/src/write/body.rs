//! Packs records into bodies of `{"d":[record, …]}` or `{"identity":[key, …]}`, and cuts parts of a body.
//!
//! In: records, which the encoder writes directly into the current body; for keys, a page, from which each key is copied to the body
//! of its kind. Out: bodies of at most `rows_max` records and `bytes_max` bytes, records in input order. A record keeps its byte
//! range, so that a part of a body is cut out and never encoded again. The buffer of an ended body is reused.

use std::borrow::Cow;

use bytes::Bytes;

use crate::origin::SourceRow;
use crate::table::{BodyForm, Resend};
use crate::write::encode::{Page, Record};

/// Source: <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
const OPEN: &[u8] = b"{\"d\":[";
const CLOSE: &[u8] = b"]}";

/// Splits a record that is only a key into what precedes its value, and the value: `{"identity":` and `"a"`.
fn split_key(record: &[u8]) -> (&[u8], &[u8]) {
    // The name of a key contains no quotes.
    let colon = record.windows(2).position(|pair| pair == b"\":").map_or(0, |at| at + 2);
    (&record[..colon], &record[colon..record.len() - 1])
}

/// The records of one request.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// In input order.
    pub(crate) records: Vec<BodyRecord>,
}

/// A record of a [`Body`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyRecord {
    pub(crate) row: SourceRow,
    /// Byte offset in the body.
    start: u32,
    /// Exclusive.
    end: u32,
    /// What happens if it is stored twice.
    pub(crate) resend: Resend,
    /// Hash of its identifier.
    pub(crate) identity: u64,
}

impl BodyRecord {
    /// Its bytes in `body`.
    fn of<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        &body[self.start as usize..self.end as usize]
    }
}

impl Body {
    /// The bytes of the record at `index`.
    fn record(&self, index: usize) -> &[u8] {
        self.records[index].of(&self.bytes)
    }

    /// The bytes before the first record.
    fn open(&self) -> &[u8] {
        &self.bytes[..self.records.first().map_or(0, |record| record.start as usize)]
    }

    /// Identifier hashes of the records.
    pub(crate) fn identities(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        self.records.iter().map(|record| record.identity)
    }

    /// The record at `index` as a JSON object, also for a body of keys.
    pub(crate) fn object(&self, index: usize) -> Cow<'_, [u8]> {
        let (open, record) = (self.open(), self.record(index));
        if open == OPEN { Cow::Borrowed(record) } else { Cow::Owned([&open[..open.len() - 1], record, b"}"].concat()) }
    }

    /// The bytes of a body with only the records at `indices`, which are ascending.
    pub(crate) fn part(&self, indices: &[usize]) -> Bytes {
        if indices.len() == self.records.len() {
            return self.bytes.clone();
        }
        let mut packer = Packer::new(self.open(), usize::MAX, usize::MAX);
        for &index in indices {
            packer.push(self.record(index), self.records[index]);
        }
        packer.finish().map_or_else(|| Bytes::from_static(b"{\"d\":[]}"), |body| body.bytes)
    }
}

/// Buffers kept for reuse: as many as uploads may be in flight. A new buffer would be fresh pages of the operating system, which are
/// cleared on first use.
const SPARE_BUFFERS_MAX: usize = 16;

/// Minimum size assumed per record when estimating how many fit.
const RECORD_BYTES_MIN: usize = 64;

/// One packer per kind of body, since a call takes identifiers of one kind.
///
/// At most [`Packers::room`] records are appended to [`Packers::page`], each followed by a comma; then each is kept or dropped, and
/// [`Packers::pack`] returns the full bodies.
#[derive(Debug)]
pub(crate) struct Packers {
    form: BodyForm,
    /// The encoder writes here: the current body, or for keys, records to copy from.
    written: Packer,
    /// For keys, the current body of each kind.
    kinds: Vec<Packer>,
}

impl Packers {
    pub(crate) fn new(form: BodyForm, rows_max: usize, bytes_max: usize) -> Self {
        Self { form, written: Packer::new(OPEN, rows_max, bytes_max), kinds: Vec::new() }
    }

    /// Maximum size of a record that fits a body.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.written.bytes_max.saturating_sub(OPEN.len() + CLOSE.len())
    }

    /// How many records may be written next.
    pub(crate) fn room(&self) -> usize {
        self.written.room()
    }

    /// Where the next records are written.
    pub(crate) fn page(&mut self) -> &mut Page {
        self.written.page()
    }

    /// A record of the page.
    pub(crate) fn json(&self, record: &Record) -> &[u8] {
        &self.written.page.written()[record.range()]
    }

    /// Keeps a record of the page.
    #[inline]
    pub(crate) fn keep(&mut self, record: &Record, row: SourceRow) {
        let Record { start, end, resend, identity } = *record;
        self.written.records.push(BodyRecord { row, start, end, resend, identity });
    }

    /// Drops a record of the page.
    pub(crate) fn drop(&mut self) {
        self.written.dropped = true;
    }

    /// The bodies that are full.
    pub(crate) fn pack(&mut self) -> Vec<Body> {
        match self.form {
            BodyForm::Records => self.written.pack(),
            BodyForm::Keys => {
                let (page, records) = self.written.take();
                let bodies = records.iter().filter_map(|record| self.push_key(record.of(page.written()), *record)).collect();
                self.written.spare(page.into_bytes());
                bodies
            }
        }
    }

    /// Copies the key of a record to the body of its kind; returns the previous body if it was full.
    fn push_key(&mut self, json: &[u8], record: BodyRecord) -> Option<Body> {
        let (head, key) = split_key(json);
        let at = self.kinds.iter().position(|packer| packer.open.starts_with(head)).unwrap_or_else(|| {
            self.kinds.push(Packer::new(&[head, b"["].concat(), self.written.rows_max, self.written.bytes_max));
            self.kinds.len() - 1
        });
        self.kinds[at].push(key, record)
    }

    /// The unfinished bodies, after everything written is packed.
    pub(crate) fn finish(&mut self) -> Vec<Body> {
        match self.form {
            BodyForm::Records => self.written.finish().into_iter().collect(),
            BodyForm::Keys => self.kinds.iter_mut().filter_map(Packer::finish).collect(),
        }
    }

    /// Reuses the buffer of an ended body, if nothing else holds it.
    pub(crate) fn recycle(&mut self, bytes: Bytes) {
        if bytes.is_unique() {
            self.written.spare(Vec::from(bytes));
        }
    }
}

/// Fills one body after the other.
#[derive(Debug)]
struct Packer {
    /// The bytes before the first record.
    open: Vec<u8>,
    rows_max: usize,
    bytes_max: usize,
    /// Estimated size of a record, from those so far.
    record_bytes: usize,
    page: Page,
    records: Vec<BodyRecord>,
    /// Whether a record of the page was dropped.
    dropped: bool,
    spare: Vec<Vec<u8>>,
    /// Size of a new buffer: the largest body so far plus a quarter, since the encoder reserves more than it uses.
    buffer_bytes: usize,
}

impl Packer {
    fn new(open: &[u8], rows_max: usize, bytes_max: usize) -> Self {
        Self {
            open: open.to_vec(),
            rows_max,
            bytes_max,
            record_bytes: RECORD_BYTES_MIN,
            page: Page::default(),
            records: Vec::new(),
            dropped: false,
            spare: Vec::new(),
            buffer_bytes: 0,
        }
    }

    /// Records that still fit the current body: by their number, and by their estimated size.
    fn room(&self) -> usize {
        let bytes_left = self.bytes_max.saturating_sub(self.page.len() + CLOSE.len());
        let fit = (self.rows_max - self.records.len()).min(bytes_left / self.record_bytes);
        if self.records.is_empty() { fit.max(1) } else { fit }
    }

    /// Where the next records are written.
    fn page(&mut self) -> &mut Page {
        if self.page.len() == 0 {
            // `vec!` gets zeroed pages from the operating system and does not clear them again.
            self.page = Page::new(self.spare.pop().unwrap_or_else(|| vec![0; self.buffer_bytes]));
            self.page.push(&self.open);
        }
        &mut self.page
    }

    /// The bodies that are full.
    fn pack(&mut self) -> Vec<Body> {
        let mut bodies = Vec::new();
        if self.dropped || self.page.len() + CLOSE.len() - 1 > self.bytes_max {
            // Too many bytes, or some records were dropped: the records move to pages of their own.
            let (page, records) = self.take();
            bodies.extend(records.iter().filter_map(|record| self.push(record.of(page.written()), *record)));
            self.spare(page.into_bytes());
        }
        if let Some(mean) = self.page.len().checked_div(self.records.len()) {
            self.record_bytes = (mean + mean / 8).max(RECORD_BYTES_MIN);
        }
        if self.room() == 0 {
            bodies.extend(self.finish());
        }
        bodies
    }

    /// Takes the page and its kept records.
    fn take(&mut self) -> (Page, Vec<BodyRecord>) {
        self.dropped = false;
        (std::mem::take(&mut self.page), std::mem::take(&mut self.records))
    }

    /// Copies a record to the page; returns the previous body if it was full.
    fn push(&mut self, json: &[u8], record: BodyRecord) -> Option<Body> {
        let grown = self.page.len().saturating_add(json.len() + CLOSE.len());
        let is_full = self.records.len() == self.rows_max || grown > self.bytes_max;
        let full = if is_full { self.finish() } else { None };
        let page = self.page();
        let start = page.len();
        page.push(json);
        let end = page.len();
        page.push(b",");
        self.records.push(BodyRecord { start: start as u32, end: end as u32, ..record });
        full
    }

    /// The unfinished body, if any.
    fn finish(&mut self) -> Option<Body> {
        if self.records.is_empty() {
            return None;
        }
        let mut page = std::mem::take(&mut self.page);
        page.truncate(page.len() - 1);
        page.push(CLOSE);
        self.buffer_bytes = self.buffer_bytes.max(page.len() + page.len() / 4);
        let records = Vec::with_capacity(self.records.len());
        Some(Body { bytes: Bytes::from(page.into_bytes()), records: std::mem::replace(&mut self.records, records) })
    }

    /// Keeps a buffer for reuse.
    fn spare(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes records as the encoder does, up to `together` at once, and drops those larger than a body.
    fn pack(packer: &mut Packers, records: &[String], first: u64, together: usize) -> Vec<Body> {
        let mut bodies = Vec::new();
        let mut at = 0;
        while at < records.len() {
            let count = packer.room().min(together).min(records.len() - at);
            let page = packer.page();
            let mut written = Vec::new();
            for record in &records[at..at + count] {
                let start = page.len();
                page.push(record.as_bytes());
                written.push(Record::new(start, page.len(), Resend::Idempotent, 0));
                page.push(b",");
            }
            for (row, record) in (first + at as u64..).zip(&written) {
                if packer.json(record).len() > packer.record_bytes_max() { packer.drop() } else { packer.keep(record, row.into()) }
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
            let mut packer = Packers::new(BodyForm::Records, rows_max, bytes_max);
            let records: Vec<String> = sizes.iter().map(|size| format!("\"{}\"", "x".repeat(size - 2))).collect();
            let mut bodies = Vec::new();
            let half = records.len() / 2;
            bodies.extend(pack(&mut packer, &records[..half], 1, together));
            if let Some(body) = bodies.pop() {
                // A reused buffer must not show its previous content.
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
                    prop_assert_eq!(&*body.object(index), records[of_body.row.number as usize - 1].as_bytes());
                    packed.push(of_body.row.number);
                }
            }
            let expected = (1..).zip(&records).filter(|(_, record)| record.len() + OPEN.len() + CLOSE.len() <= bytes_max);
            prop_assert_eq!(packed, expected.map(|(row, _)| row).collect::<Vec<_>>());
        }
    }

    #[test]
    fn once_record_sizes_are_known_no_more_are_written_than_fit_a_body() {
        let mut packer = Packers::new(BodyForm::Records, 100, 1_000);
        let records = vec![format!("\"{}\"", "x".repeat(98)); 50];
        let mut bodies = pack(&mut packer, &records, 1, 50);
        for _ in 0..20 {
            let room = packer.room();
            assert!(packer.page().len() + 101 * room + CLOSE.len() <= 1_000, "{room} records");
            bodies.extend(pack(&mut packer, &records[..room], 1, room));
        }
        assert!(bodies.iter().all(|body| body.records.len() > 7), "nor many fewer");
    }

    #[test]
    fn a_part_of_a_body_holds_the_same_records() {
        let mut packer = Packers::new(BodyForm::Records, 10, 1000);
        let records: Vec<String> = (1..=4).map(|row| format!("{{\"n\":{row}}}")).collect();
        assert!(pack(&mut packer, &records, 1, 4).is_empty());
        let body = packer.finish().remove(0);
        assert_eq!(&body.part(&[1, 3])[..], br#"{"d":[{"n":2},{"n":4}]}"#);
        assert_eq!(body.part(&[0, 1, 2, 3]), body.bytes);
    }

    #[test]
    fn keys_of_one_kind_share_a_body_and_each_can_be_shown_as_an_object() {
        let records = [r#"{"identity":"a\":"}"#, r#"{"guid":"g"}"#, r#"{"identity":"b"}"#, r#"{"identity":"c"}"#].map(str::to_owned);
        for together in 1..=4 {
            let mut packer = Packers::new(BodyForm::Keys, 2, 1000);
            let full = pack(&mut packer, &records, 1, together);
            let bodies: Vec<Body> = full.into_iter().chain(packer.finish()).collect();
            let texts: Vec<_> = bodies.iter().map(|body| String::from_utf8_lossy(&body.bytes).into_owned()).collect();
            assert_eq!(texts, [r#"{"identity":["a\":","b"]}"#, r#"{"identity":["c"]}"#, r#"{"guid":["g"]}"#]);
            let rows: Vec<Vec<u64>> = bodies.iter().map(|body| body.records.iter().map(|record| record.row.number).collect()).collect();
            assert_eq!(rows, [vec![1, 3], vec![4], vec![2]]);
            assert_eq!(&*bodies[0].object(0), records[0].as_bytes());
            assert_eq!(&bodies[0].part(&[1])[..], br#"{"identity":["b"]}"#);
            assert!(packer.finish().is_empty());
        }
    }

    proptest! {
        #[test]
        fn packing_keys_loses_and_repeats_nothing_and_keeps_its_bounds(
            keys in prop::collection::vec((any::<bool>(), 0usize..90), 0..200),
            rows_max in 1usize..20,
            bytes_max in 80usize..400,
            together in 1usize..30,
        ) {
            let mut packer = Packers::new(BodyForm::Keys, rows_max, bytes_max);
            let record = |(guid, size): &(bool, usize)| format!("{{\"{}\":\"{}\"}}", if *guid { "guid" } else { "identity" }, "x".repeat(*size));
            let records: Vec<String> = keys.iter().map(record).collect();
            let mut bodies = pack(&mut packer, &records, 1, together);
            bodies.extend(packer.finish());
            let mut packed = Vec::new();
            for body in &bodies {
                prop_assert!(body.records.len() <= rows_max && body.bytes.len() <= bytes_max);
                let parsed: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&body.bytes).unwrap();
                prop_assert_eq!(parsed.values().map(|keys| keys.as_array().unwrap().len()).collect::<Vec<_>>(), [body.records.len()]);
                prop_assert!(body.records.is_sorted_by_key(|record| record.row.number));
                for (index, of_body) in body.records.iter().enumerate() {
                    prop_assert_eq!(&*body.object(index), records[of_body.row.number as usize - 1].as_bytes());
                    packed.push(of_body.row.number);
                }
            }
            packed.sort_unstable();
            let expected = (1..).zip(&records).filter(|(_, record)| record.len() + OPEN.len() + CLOSE.len() <= bytes_max);
            prop_assert_eq!(packed, expected.map(|(row, _)| row).collect::<Vec<_>>());
        }
    }
}
