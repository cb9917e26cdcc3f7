//! Packing: records to bodies of `{"d":[record, …]}` or `{"identity":[key, …]}`, and parts of a body to smaller ones.
//!
//! In: records, which the encoder writes straight into the body that is begun; of keys, to a page from which each key is copied to
//! the body of its kind. Out: bodies of at most `rows_max` records and `bytes_max` bytes, records in input order. A record keeps
//! its byte range, so that a part of a body is cut out and never encoded again. A body that came to its end gives its buffer back.

use std::borrow::Cow;

use bytes::Bytes;

use crate::table::{BodyForm, Resend};
use crate::write::encode::{Page, Record};

/// Source: <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
const OPEN: &[u8] = b"{\"d\":[";
const CLOSE: &[u8] = b"]}";

/// Of a record that is a key and nothing else, what stands before its value, and the value: `{"identity":` and `"a"`.
fn split(record: &[u8]) -> (&[u8], &[u8]) {
    // The name of a key has no quotes in it.
    let colon = record.windows(2).position(|pair| pair == b"\":").map_or(0, |at| at + 2);
    (&record[..colon], &record[colon..record.len() - 1])
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
    pub(crate) resend: Resend,
    /// Hash of its identifier.
    pub(crate) identity: u64,
}

impl BodyRecord {
    /// Its bytes in those of its body.
    fn of<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        &body[self.start as usize..self.end as usize]
    }
}

impl Body {
    /// The record at `index` as it stands in the body.
    fn record(&self, index: usize) -> &[u8] {
        self.records[index].of(&self.bytes)
    }

    /// What stands before the first record.
    fn open(&self) -> &[u8] {
        &self.bytes[..self.records.first().map_or(0, |record| record.start as usize)]
    }

    /// The hashes of its records' identifiers.
    pub(crate) fn identities(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        self.records.iter().map(|record| record.identity)
    }

    /// The record at `index` as a JSON object, also where the body holds its key alone.
    pub(crate) fn object(&self, index: usize) -> Cow<'_, [u8]> {
        let (open, record) = (self.open(), self.record(index));
        if open == OPEN { Cow::Borrowed(record) } else { Cow::Owned([&open[..open.len() - 1], record, b"}"].concat()) }
    }

    /// The bytes of a body of the records at `indices`, which are in order.
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

/// Buffers that are kept for bodies to come: as many as may come back at once, from all uploads in flight. A new one would be pages of
/// the system, each to be cleared first.
const SPARE: usize = 16;

/// What a record is taken to have at least, where it is told how many have room.
const RECORD_BYTES_MIN: usize = 64;

/// A packer for each kind of body: a call takes identifiers of one kind.
///
/// Records are written at the end of [`Packers::page`], a comma behind each, [`Packers::room`] of them at most; then each is kept
/// or dropped, and [`Packers::pack`] hands out what is full.
#[derive(Debug)]
pub(crate) struct Packers {
    form: BodyForm,
    /// What the encoder writes to: the body begun, or, of keys, records of which the bodies take a part.
    written: Packer,
    /// Of keys, the bodies begun.
    kinds: Vec<Packer>,
}

impl Packers {
    pub(crate) fn new(form: BodyForm, rows_max: usize, bytes_max: usize) -> Self {
        Self { form, written: Packer::new(OPEN, rows_max, bytes_max), kinds: Vec::new() }
    }

    /// Bytes that a record may have at most, so that a body can hold it.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.written.bytes_max.saturating_sub(OPEN.len() + CLOSE.len())
    }

    /// Records that may be written next.
    pub(crate) fn room(&self) -> usize {
        self.written.room()
    }

    /// Where the next records are written.
    pub(crate) fn page(&mut self) -> &mut Page {
        self.written.page()
    }

    /// A record of the page, as JSON.
    pub(crate) fn json(&self, record: &Record) -> &[u8] {
        &self.written.page.written()[record.range()]
    }

    /// Takes a record of the page.
    #[inline]
    pub(crate) fn keep(&mut self, record: &Record, row: u64) {
        let Record { start, end, resend, identity } = *record;
        self.written.records.push(BodyRecord { row, start, end, resend, identity });
    }

    /// Leaves a record of the page out.
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

    /// Copies the key of a record to the body of its kind; hands out the body before it, if that is full.
    fn push_key(&mut self, json: &[u8], record: BodyRecord) -> Option<Body> {
        let (head, key) = split(json);
        let at = self.kinds.iter().position(|packer| packer.open.starts_with(head)).unwrap_or_else(|| {
            self.kinds.push(Packer::new(&[head, b"["].concat(), self.written.rows_max, self.written.bytes_max));
            self.kinds.len() - 1
        });
        self.kinds[at].push(key, record)
    }

    /// The bodies begun, once everything written is packed.
    pub(crate) fn finish(&mut self) -> Vec<Body> {
        match self.form {
            BodyForm::Records => self.written.finish().into_iter().collect(),
            BodyForm::Keys => self.kinds.iter_mut().filter_map(Packer::finish).collect(),
        }
    }

    /// Takes back the buffer of a body that came to its end, if nobody else holds it.
    pub(crate) fn recycle(&mut self, bytes: Bytes) {
        if bytes.is_unique() {
            self.written.spare(Vec::from(bytes));
        }
    }
}

/// Fills one body after the other.
#[derive(Debug)]
struct Packer {
    /// What stands before the first record.
    open: Vec<u8>,
    rows_max: usize,
    bytes_max: usize,
    /// What a record may take, by those so far.
    record_bytes: usize,
    page: Page,
    records: Vec<BodyRecord>,
    /// A record of the page was dropped.
    dropped: bool,
    spare: Vec<Vec<u8>>,
    /// Bytes of a new buffer: those of the largest body so far, and a quarter for what the encoder asks for beyond.
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

    /// Records that the body begun may still take: by their number, and by their bytes as far as these can be told beforehand.
    fn room(&self) -> usize {
        let bytes_left = self.bytes_max.saturating_sub(self.page.len() + CLOSE.len());
        let fit = (self.rows_max - self.records.len()).min(bytes_left / self.record_bytes);
        if self.records.is_empty() { fit.max(1) } else { fit }
    }

    /// Where the next records are written.
    fn page(&mut self) -> &mut Page {
        if self.page.len() == 0 {
            // From the allocator as zeros: fresh pages of the system are.
            self.page = Page::new(self.spare.pop().unwrap_or_else(|| vec![0; self.buffer_bytes]));
            self.page.push(&self.open);
        }
        &mut self.page
    }

    /// The bodies that are full.
    fn pack(&mut self) -> Vec<Body> {
        let mut bodies = Vec::new();
        if self.dropped || self.page.len() + CLOSE.len() - 1 > self.bytes_max {
            // Too many bytes, or not all of them wanted: the records move into pages of their own.
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

    /// Takes the page and those of its records that are kept.
    fn take(&mut self) -> (Page, Vec<BodyRecord>) {
        self.dropped = false;
        (std::mem::take(&mut self.page), std::mem::take(&mut self.records))
    }

    /// Copies a record to the page; hands out the body before it, if that is full.
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

    /// The body begun, if there is one.
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

    /// Keeps a buffer for a page to come.
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
            let mut packer = Packers::new(BodyForm::Records, rows_max, bytes_max);
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
                    prop_assert_eq!(&*body.object(index), records[of_body.row as usize - 1].as_bytes());
                    packed.push(of_body.row);
                }
            }
            let expected = (1..).zip(&records).filter(|(_, record)| record.len() + OPEN.len() + CLOSE.len() <= bytes_max);
            prop_assert_eq!(packed, expected.map(|(row, _)| row).collect::<Vec<_>>());
        }
    }

    #[test]
    fn once_records_are_known_no_more_are_written_than_a_body_takes() {
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
    fn keys_of_one_kind_share_a_body_and_each_can_be_told_as_an_object() {
        let records = [r#"{"identity":"a\":"}"#, r#"{"guid":"g"}"#, r#"{"identity":"b"}"#, r#"{"identity":"c"}"#].map(str::to_owned);
        for together in 1..=4 {
            let mut packer = Packers::new(BodyForm::Keys, 2, 1000);
            let full = pack(&mut packer, &records, 1, together);
            let bodies: Vec<Body> = full.into_iter().chain(packer.finish()).collect();
            let texts: Vec<_> = bodies.iter().map(|body| String::from_utf8_lossy(&body.bytes).into_owned()).collect();
            assert_eq!(texts, [r#"{"identity":["a\":","b"]}"#, r#"{"identity":["c"]}"#, r#"{"guid":["g"]}"#]);
            let rows: Vec<Vec<u64>> = bodies.iter().map(|body| body.records.iter().map(|record| record.row).collect()).collect();
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
                prop_assert!(body.records.is_sorted_by_key(|record| record.row));
                for (index, of_body) in body.records.iter().enumerate() {
                    prop_assert_eq!(&*body.object(index), records[of_body.row as usize - 1].as_bytes());
                    packed.push(of_body.row);
                }
            }
            packed.sort_unstable();
            let expected = (1..).zip(&records).filter(|(_, record)| record.len() + OPEN.len() + CLOSE.len() <= bytes_max);
            prop_assert_eq!(packed, expected.map(|(row, _)| row).collect::<Vec<_>>());
        }
    }
}
