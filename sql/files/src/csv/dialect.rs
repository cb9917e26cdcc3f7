//! Which byte separates cells, and what ends a line.
//!
//! In: the first bytes of a file. Out: the separator that splits every record there into equally many cells, more than one. If several do,
//! the author says which: a wrong guess is a table that nobody wrote. If none does, the one that splits the first record: the pass over the
//! whole file then finds the record that differs.

use super::mask::BLOCK;
use super::options::{CANDIDATES, Options};
use super::structure::{Cell, Dialect, Fault, LineEnd, Machine, Record, Sink};

/// What the first bytes show.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// And how many cells the first record has, where there is one.
    Dialect(Dialect, Option<usize>),
    /// No record is complete yet.
    NeedsMore,
    /// Both split all records evenly.
    Ambiguous(u8, u8),
}

/// How a separator splits the records.
#[derive(Debug, Default)]
struct Split {
    first: Option<usize>,
    records: usize,
    /// Records that have as many cells as the first.
    even: usize,
    line_end: Option<LineEnd>,
}

impl Sink for Split {
    fn cell(&mut self, _: Cell) {}

    fn record(&mut self, record: Record) -> Result<(), Fault> {
        let first = *self.first.get_or_insert(record.cells);
        self.records += 1;
        self.even += usize::from(first == record.cells);
        self.line_end.get_or_insert(record.ends_with);
        Ok(())
    }
}

/// Looks for the separator, which `stated` gives if it is known. `whole` says that there are no bytes but these.
pub(crate) fn detect(head: &[u8], whole: bool, stated: Option<u8>, options: &Options) -> Found {
    let mut data = head.to_vec();
    data.resize(head.len() + BLOCK, 0);
    let dialect = |delimiter, line_end| Dialect {
        delimiter,
        quote: options.quote.unwrap_or(b'"'),
        escape: options.escape,
        comment: options.comment,
        line_end,
    };
    let candidates = stated.as_ref().map_or(&CANDIDATES[..], std::slice::from_ref);
    let splits: Vec<_> = candidates
        .iter()
        .map(|delimiter| {
            let mut split = Split::default();
            let mut machine = Machine::new(dialect(*delimiter, LineEnd::Any), 1);
            let is_sound = machine.run(&data, head.len(), whole, &mut split).is_ok();
            (*delimiter, split, is_sound)
        })
        .collect();
    let has_faults = splits.iter().any(|(_, _, is_sound)| !is_sound);
    if !whole && !has_faults && splits.iter().all(|(_, split, _)| split.records == 0) {
        return Found::NeedsMore;
    }
    let mut even = splits.iter().filter(|(_, split, is_sound)| *is_sound && split.first > Some(1) && split.even == split.records);
    let chosen = match (even.next(), even.next()) {
        (Some((one, ..)), Some((other, ..))) => return Found::Ambiguous(*one, *other),
        (Some(one), None) => Some(one),
        // The first among equals, which a comma is. One that ends in a fault before the first record does is likelier than one that does
        // not split it.
        _ => splits.iter().rev().max_by_key(|(_, split, is_sound)| match split.first {
            // One that splits all before a fault evenly is likelier than one that does not, though it goes on.
            Some(2..) => (2, split.records > 1 && split.even == split.records, split.even, *is_sound, split.first),
            None if !is_sound => (1, false, 0, false, None),
            _ => (0, false, 0, false, None),
        }),
    };
    let (delimiter, line_end, cells) = chosen.map_or((b',', None, None), |(delimiter, split, _)| (*delimiter, split.line_end, split.first));
    Found::Dialect(dialect(delimiter, line_end.filter(|end| *end != LineEnd::Any).unwrap_or(LineEnd::Lf)), cells)
}

/// The separator of a first line `sep=;`, as Excel writes it, and the bytes of that line.
pub(crate) fn separator_line(head: &[u8]) -> Option<(u8, usize)> {
    let line_len = memchr::memchr2(b'\n', b'\r', head)?;
    let end = if head.get(line_len..line_len + 2) == Some(b"\r\n") { 2 } else { 1 };
    let line = head.get(..line_len)?;
    let inner = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match inner.strip_prefix(b"sep=").or_else(|| inner.strip_prefix(b"SEP="))? {
        [separator] => Some((*separator, line_len + end)),
        _ => None,
    }
}
