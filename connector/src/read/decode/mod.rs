//! Decodes a page of records to Arrow arrays, in one pass over its bytes.
//!
//! In: the slots, once per scan; then the body of each answer. Out: [`Page`], or `PageError`. No network, plan or table is known here.
//!
//! ```text
//! slots -> Tree        all paths as one tree of expected keys            once per scan
//! body  -> StringMap   where strings end (strings, simd)                 32 bytes at a time
//!       -> Walk        (object, compact) checks the JSON and
//!                      keeps the byte span of each needed value (span)   64 records at a time
//!       -> Column      (value, text, list, number, time) makes values    one column at a time
//!       -> Page
//! ```
//!
//! There is no DOM and no tape: a record is reduced to eight bytes for each needed value. The walk knows no types and the columns know no
//! JSON, so each loop does one thing. If a key is repeated in an object, the last one wins by overwriting the span. A page is accepted if
//! and only if serde_json accepts it; `tests/oracle.rs` compares both.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod column;
mod compact;
mod escape;
mod fault;
mod list;
mod number;
mod object;
mod simd;
mod span;
mod strings;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod tree;
mod value;
mod walk;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use bytes::Bytes;
use chrono_tz::Tz;

pub(crate) use self::column::Slot;
use self::column::{Block, Column};
pub(crate) use self::fault::PageError;
use self::fault::{Fault, FaultKind};
use self::object::Record;
use self::simd::{CpuFeatures, Lanes, Words};
use self::span::{BLOCK, ByteSpan, JsonKind, PAGE_BYTES_MAX};
use self::strings::StringMap;
pub(crate) use self::time::is_time_value;
use self::tree::Tree;
use self::walk::Walk;
use crate::client::{is_otherwise, says_error, says_more};

/// Reads the pages of one scan.
#[derive(Debug)]
pub(crate) struct PageDecoder {
    records_key: String,
    tree: Tree,
    columns: Vec<Column>,
    /// The spans of a block of records, grouped by node.
    spans: Vec<ByteSpan>,
    /// The buffer of the [`StringMap`], reused for each page.
    bits: Vec<u8>,
    cpu: CpuFeatures,
}

/// Most records of a page: CleverTap was seen to give 50,000. Each takes memory in every column, however small it is.
const PAGE_ROWS_MAX: usize = 1_000_000;

/// A decoded page.
#[derive(Debug)]
pub(crate) struct Page {
    /// In the order of the slots.
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) rows: usize,
    /// `next_cursor`; `None` if absent or empty. Unescaped as JSON, but never percent-decoded.
    pub(crate) next_cursor: Option<String>,
    /// `cursor`, the same way.
    pub(crate) cursor: Option<String>,
    pub(crate) status: Option<String>,
    /// Per slot, the number of values that did not fit its form and became NULL.
    pub(crate) mismatches: Vec<u64>,
    /// What makes it no page of an export, although it can be read.
    pub(crate) oddity: Option<&'static str>,
}

/// A key outside the records that means something.
#[derive(Debug, Clone, Copy)]
enum EnvelopeKey {
    Status,
    NextCursor,
    Cursor,
    Records,
}

/// What the walk finds outside the records.
#[derive(Debug, Default)]
struct Envelope {
    status: ByteSpan,
    next_cursor: ByteSpan,
    cursor: ByteSpan,
    /// How often each [`EnvelopeKey`] is there.
    seen: [u32; 4],
    /// Whether a key that means nothing holds an object or a list.
    other_container: bool,
    /// Whether a key that means nothing says that there is more.
    says_more: bool,
    /// Whether the page names an error.
    says_error: bool,
    /// Whether a key says something else than the ones that are read.
    says_otherwise: bool,
    rows: usize,
    /// The record being walked, for error messages.
    record: Option<usize>,
    /// Valid JSON that is not a page. Reported only at the end: the rest may be invalid JSON, and a second `records` may replace it.
    shape_error: Option<PageError>,
}

impl Envelope {
    /// Keeps the value of a key of `page`.
    fn note(&mut self, key: &str, value: ByteSpan, page: &str, records_key: &str) {
        let json = || page.get(value.written().start()..value.written().end());
        let (place, known) = match key {
            "status" => (&mut self.status, EnvelopeKey::Status),
            "next_cursor" => (&mut self.next_cursor, EnvelopeKey::NextCursor),
            "cursor" => (&mut self.cursor, EnvelopeKey::Cursor),
            "error" => return self.says_error |= says_error(json(), None),
            "code" => return self.says_error |= says_error(None, json()),
            _ => {
                self.other_container |= value.kind() == JsonKind::Nested;
                let json = json().unwrap_or_default();
                self.says_otherwise |= is_otherwise(key, json, &["next_cursor", "cursor", records_key]);
                self.says_more |= value.is_value() && says_more(key, json);
                return;
            }
        };
        *place = value;
        self.seen[known as usize] += 1;
    }

    /// A page that names its records, its cursor or its status under another key, or twice, is not taken for one that has none; and one that
    /// names an error not for a whole one.
    fn oddity(&self) -> Option<&'static str> {
        if self.seen.iter().any(|times| *times > 1) {
            return Some("a key is there twice");
        }
        if self.says_error {
            return Some("it names an error");
        }
        if self.says_otherwise {
            return Some("a key says something else than the ones that are read");
        }
        let has_records = self.seen[EnvelopeKey::Records as usize] > 0;
        if !has_records && self.other_container {
            return Some("its records stand under another key");
        }
        // The opening answer names its page by `cursor`, and has no records.
        let names_next = self.next_cursor.is_value() || (self.cursor.is_value() && !has_records);
        (self.says_more && !names_next).then_some("it says that there is more, and its cursor stands under another key")
    }
}

impl PageDecoder {
    /// A decoder of pages with their records under `records_key`. `zone` is the project's time zone.
    pub(crate) fn new(slots: Vec<Slot>, records_key: &str, zone: Option<Tz>) -> Self {
        let (tree, nodes) = Tree::new(slots.iter().flat_map(|slot| slot.paths.iter().map(Vec::as_slice)));
        let mut nodes = nodes.into_iter();
        let column = |slot: Slot| {
            let nodes = nodes.by_ref().take(slot.paths.len()).collect();
            Column::new(slot, nodes, zone)
        };
        let columns = slots.into_iter().map(column).collect();
        let spans = vec![ByteSpan::ABSENT; tree.spans()];
        Self { records_key: records_key.to_owned(), tree, columns, spans, bits: Vec::new(), cpu: CpuFeatures::detect() }
    }

    /// The fields of the columns, in slot order. All are nullable.
    pub(crate) fn fields(&self) -> Vec<Field> {
        self.columns.iter().map(Column::field).collect()
    }

    /// # Errors
    /// The page is not JSON, or not an object with a list of records.
    pub(crate) fn decode(&mut self, body: &Bytes) -> Result<Page, PageError> {
        self.columns.iter_mut().for_each(Column::clear);
        if self.columns.iter().any(Column::is_zoneless) {
            return Err(PageError::new("has times that need the project's time zone", 0));
        }
        if body.len() > PAGE_BYTES_MAX {
            return Err(PageError::new("is larger than 512 MiB", PAGE_BYTES_MAX));
        }
        let body = simdutf8::compat::from_utf8(body).map_err(|error| PageError::new("is not UTF-8", error.valid_up_to()))?;
        self.tree.begin_page();
        let mut envelope = Envelope::default();
        let result = match self.cpu {
            CpuFeatures::Words => self.walk(body, Words, &mut envelope),
            #[cfg(target_arch = "x86_64")]
            CpuFeatures::Avx2(avx2) => self.walk(body, avx2, &mut envelope),
        };
        result.map_err(|fault| fault.into_page_error(envelope.record))?;
        for cursor in [envelope.next_cursor, envelope.cursor] {
            if cursor.is_value() && !is_text(cursor) {
                return Err(PageError::new("has a cursor that is not text", cursor.start()));
            }
        }
        if let Some(error) = envelope.shape_error {
            return Err(error);
        }
        let (columns, mismatches) = self.columns.iter_mut().map(Column::take).unzip();
        let cursor = |span| text(body, span).filter(|cursor| !cursor.is_empty());
        Ok(Page {
            columns,
            rows: envelope.rows,
            next_cursor: cursor(envelope.next_cursor),
            cursor: cursor(envelope.cursor),
            status: text(body, envelope.status),
            mismatches,
            oddity: envelope.oddity(),
        })
    }

    /// Walks the page with the given instructions.
    fn walk<L: Lanes>(&mut self, body: &str, lanes: L, envelope: &mut Envelope) -> Result<(), Fault> {
        let mut bits = std::mem::take(&mut self.bits);
        let result = self.page(&Walk { map: StringMap::new(body, &mut bits, lanes), ..Walk::new(body, lanes) }, envelope);
        self.bits = bits;
        result
    }

    /// Walks the page, which must be one object.
    fn page<L: Lanes>(&mut self, walk: &Walk<'_, L>, envelope: &mut Envelope) -> Result<(), Fault> {
        let mut at = walk.blanks(0);
        if walk.byte(at).is_some_and(|byte| byte != b'{') {
            return Err(Fault { kind: FaultKind::NotObject, at });
        }
        at = walk.enter(b'{', at, 0)?;
        let mut is_open = walk.byte(at) != Some(b'}');
        while is_open {
            let (end, escaped) = walk.text(at)?;
            let key = ByteSpan::new(if escaped { JsonKind::Escaped } else { JsonKind::Plain }, at, end);
            at = walk.blanks(walk.expect(b':', walk.blanks(end))?);
            let key = text(walk.page, key).unwrap_or_default();
            at = if key == self.records_key {
                envelope.seen[EnvelopeKey::Records as usize] += 1;
                self.records(walk, at, envelope)?
            } else {
                let (kind, end) = walk.value(at, 1)?;
                envelope.note(&key, ByteSpan::new(kind, at, end), walk.page, &self.records_key);
                end
            };
            at = walk.blanks(at);
            is_open = walk.byte(at) == Some(b',');
            at = if is_open { walk.blanks(at + 1) } else { at };
        }
        at = walk.blanks(walk.expect(b'}', at)?);
        if at == walk.page.len() { Ok(()) } else { Err(Fault { kind: FaultKind::Syntax, at }) }
    }

    /// Walks the value of the records key. If the key is repeated, the last value counts.
    fn records<L: Lanes>(&mut self, walk: &Walk<'_, L>, at: usize, envelope: &mut Envelope) -> Result<usize, Fault> {
        self.columns.iter_mut().for_each(Column::clear);
        (envelope.rows, envelope.shape_error) = (0, None);
        if walk.byte(at) != Some(b'[') {
            let (kind, end) = walk.value(at, 1)?;
            if kind != JsonKind::Null {
                envelope.shape_error = Some(PageError::new("has records that are not a list", at));
            }
            return Ok(end);
        }
        self.spans.fill(ByteSpan::ABSENT);
        let mut at = walk.enter(b'[', at, 1)?;
        let mut is_open = walk.byte(at) != Some(b']');
        while is_open {
            envelope.record = Some(envelope.rows);
            if envelope.rows == PAGE_ROWS_MAX {
                return Err(Fault { kind: FaultKind::TooMany, at });
            }
            let row = &mut self.spans[envelope.rows % BLOCK..];
            let end = if walk.byte(at) == Some(b'{') {
                walk.object(&mut Record { tree: &mut self.tree, row }, 0, at, 2)?
            } else {
                let end = walk.value(at, 2)?.1;
                envelope.shape_error.get_or_insert_with(|| PageError::new(format!("record {} is not a JSON object", envelope.rows), at));
                end
            };
            self.spans[envelope.rows % BLOCK] = ByteSpan::new(JsonKind::Nested, at, end);
            envelope.rows += 1;
            if envelope.rows.is_multiple_of(BLOCK) {
                self.flush(walk, BLOCK);
            }
            at = walk.blanks(end);
            is_open = walk.byte(at) == Some(b',');
            at = if is_open { walk.blanks(at + 1) } else { at };
        }
        envelope.record = None;
        self.flush(walk, envelope.rows % BLOCK);
        walk.expect(b']', at)
    }

    /// Passes a block of records to the columns.
    fn flush<L: Lanes>(&mut self, walk: &Walk<'_, L>, records: usize) {
        let block = Block { page: walk.page, spans: &self.spans, records };
        self.columns.iter_mut().for_each(|column| column.push(&block, walk.lanes));
        self.spans.fill(ByteSpan::ABSENT);
    }
}

fn is_text(span: ByteSpan) -> bool {
    matches!(span.kind(), JsonKind::Plain | JsonKind::Escaped)
}

/// The unescaped text, if the value is a string.
fn text(body: &str, span: ByteSpan) -> Option<String> {
    is_text(span).then(|| span.text(body, &mut String::new()).to_owned())
}
