//! A block of rows, column after column.
//!
//! In: passes, bound columns, the number of the first row. Out: the strips of a [`Block`]. The common kinds of column have a loop
//! each; what a loop hands back, and every other column, is written by the cell writers; a row that they refuse is left.

use super::bind::{Values, all, word};
use super::block::{Block, LEFT, bits};
use super::compile::Plan;
use super::field::{self, State};
use super::fragment::Bound;
use super::kernel::{Avx2, run};
use super::loops::{self, CHUNK, Close, Key, Offsets, Pieces, Quoted, Same, Sets, Texts, Truths, Views};
use super::numbers::{Numbers, cents, date, decimal32, decimal64, decimal128, seconds, signed, unsigned};
use super::passes::{Absent, FieldPass, Lead, Pass, Way};
use super::row;
use crate::table::Shape;

/// Writes the rows from `first` on into `block`, which was begun for them.
pub(super) fn write(
    avx2: Option<Avx2>,
    block: &mut Block,
    plan: &Plan,
    passes: &[Pass],
    columns: &[Bound],
    state: &mut State,
    first: usize,
) {
    for pass in passes {
        match pass {
            Pass::Bytes(lead) => run(avx2, Same { block, lead: *lead }),
            Pass::Open(lead) => {
                run(avx2, Same { block, lead: *lead });
                block.open();
            }
            Pass::Close(lead) => run(avx2, Close { block, lead: *lead }),
            Pass::Field(pass) => {
                let bound = &columns[pass.field];
                let writer = Writer { avx2, plan, pass, bound, first, valid: bound.column.valid(first, block.rows()) };
                // Keys of one piece or of two.
                let Lead { bytes, len } = pass.lead;
                match bytes.first_chunk::<CHUNK>() {
                    Some(bytes) if len <= CHUNK => writer.write(block, Key { bytes: *bytes, len }, state),
                    _ => writer.write(block, Key { bytes, len }, state),
                }
            }
        }
    }
}

/// One field of the rows of a block.
struct Writer<'a> {
    avx2: Option<Avx2>,
    plan: &'a Plan,
    pass: &'a FieldPass,
    bound: &'a Bound,
    /// The row of the batch that is the first of the block.
    first: usize,
    /// One bit for each row that has a value; with an index, for each row.
    valid: u64,
}

impl Writer<'_> {
    fn write<const K: usize>(&self, block: &mut Block, key: Key<K>, state: &mut State) {
        let column = &self.bound.column;
        let rows = self.first..self.first + block.rows();
        if let Some(index) = &column.index {
            match self.bound.fragments() {
                Some(fragments) => {
                    let absent = run(self.avx2, Pieces { block, fragments, index: &index[rows] });
                    self.absent(block, absent);
                }
                None => self.cells(block, state, block.all()),
            }
            return;
        }
        let hard = match (self.pass.way, &column.values) {
            (Way::Text { min, max }, Values::Text(array)) => {
                self.texts(block, key, Offsets(array.value_offsets(), array.value_data()), min, max)
            }
            (Way::Text { min, max }, Values::LargeText(array)) => {
                self.texts(block, key, Offsets(array.value_offsets(), array.value_data()), min, max)
            }
            (Way::Text { min, max }, Values::TextView(array)) => {
                let named = Views::named(array.views().inner(), array.data_buffers());
                self.texts(block, key, Views(array.views(), &named), min, max)
            }
            (Way::Truth, Values::Bool(array)) => {
                let (yes, no, truths) = (self.pass.lead, self.pass.other, word(array.values(), self.first, block.rows()));
                run(self.avx2, Truths { block, yes, no, truths, valid: self.valid })
            }
            (Way::Whole, Values::Int(array)) => self.numbers::<_, _, K, 0>(block, key, &array.values()[rows], (), signed),
            (Way::Whole, Values::UInt(array)) => self.numbers::<_, _, K, 0>(block, key, &array.values()[rows], (), unsigned),
            (Way::WholeQuoted, Values::Int(array)) => {
                self.identities(block, &array.values()[rows.clone()]);
                self.numbers::<_, _, K, b'"'>(block, key, &array.values()[rows], (), signed)
            }
            (Way::WholeQuoted, Values::UInt(array)) => {
                self.identities(block, &array.values()[rows.clone()]);
                self.numbers::<_, _, K, b'"'>(block, key, &array.values()[rows], (), unsigned)
            }
            (Way::Seconds, Values::Int(array)) => self.numbers::<_, _, K, 0>(block, key, &array.values()[rows], (), seconds),
            (Way::Seconds, Values::Seconds(values)) => self.numbers::<_, _, K, 0>(block, key, &values[rows], (), seconds),
            (Way::Date, Values::Seconds(values)) => self.numbers::<_, _, K, b'"'>(block, key, &values[rows], (), date),
            (Way::Decimal(point), Values::Decimal128(array)) => {
                self.numbers::<_, _, K, 0>(block, key, &array.values()[rows], point, decimal128)
            }
            (Way::Decimal(point), Values::Decimal64(array)) => {
                self.numbers::<_, _, K, 0>(block, key, &array.values()[rows], point, decimal64)
            }
            (Way::Decimal(point), Values::Decimal32(array)) => {
                self.numbers::<_, _, K, 0>(block, key, &array.values()[rows], point, decimal32)
            }
            (Way::Double(point), Values::Double(array)) => {
                let values = &array.values()[rows];
                let hard = self.numbers::<_, _, K, 0>(block, key, values, point, cents);
                Self::shortest(block, &key, values, hard)
            }
            (Way::Set { max }, Values::List(list)) if list.items.index.is_none() => match &list.items.values {
                Values::Text(array) => {
                    let texts = Offsets(array.value_offsets(), array.value_data());
                    run(self.avx2, Sets { block, key, list, texts, first: self.first, valid: self.valid, max })
                }
                Values::TextView(array) => {
                    let named = Views::named(array.views().inner(), array.data_buffers());
                    let texts = Views(array.views(), &named);
                    run(self.avx2, Sets { block, key, list, texts, first: self.first, valid: self.valid, max })
                }
                _ => self.valid,
            },
            (Way::EventName, values) => self.event_names(block, values, state),
            _ => self.valid,
        };
        if hard != 0 {
            self.cells(block, state, hard);
        }
        self.absent(block, all(block.rows()) & !self.valid);
    }

    /// What stands for NULL in the rows of these bits.
    fn absent(&self, block: &mut Block, rows: u64) {
        match &self.pass.absent {
            Absent::Nothing => {}
            Absent::Delete(lead) => block.put_each(rows, lead.text()),
            Absent::Refused => block.leave(rows),
        }
    }

    /// Whether the field says whose record a row is.
    fn identifies(&self) -> bool {
        self.plan.fields[self.pass.field].shape == Shape::Identifier
    }

    /// The rows of these bits, by the cell writers; those that they refuse, or remark on, are left.
    #[inline(never)]
    fn cells(&self, block: &mut Block, state: &mut State, rows: u64) {
        let mut out = std::mem::take(&mut state.cell);
        for at in bits(rows) {
            if block.ends[at] == LEFT {
                continue;
            }
            state.begin();
            out.clear();
            // What a comma follows.
            out.push(b'}');
            let written = row::write_field(self.plan, self.pass.field, self.bound, self.first + at, state, &mut out);
            if written.is_ok() && state.cuts.is_empty() {
                block.put(at, &[&self.pass.lead.bytes[..self.pass.head], &out[1..]]);
                block.duplicates |= u64::from(state.duplicates) << at;
                if self.identifies() {
                    block.identities[at] = state.identity;
                }
            } else {
                block.ends[at] = LEFT;
            }
        }
        state.cell = out;
    }

    fn texts<T: Texts + Copy, const K: usize>(&self, block: &mut Block, key: Key<K>, texts: T, min: usize, max: usize) -> u64 {
        if self.identifies() && self.plan.ordered {
            for at in 0..block.rows() {
                block.identities[at] = field::hash(texts.span(self.first + at).text());
            }
        }
        run(self.avx2, Quoted { block, key, texts, first: self.first, valid: self.valid, min, max })
    }

    fn numbers<T: Copy, W: Copy, const K: usize, const AFTER: u8>(
        &self,
        block: &mut Block,
        key: Key<K>,
        values: &[T],
        with: W,
        digits: impl Fn(T, W) -> (bool, Option<super::digits::Digits>),
    ) -> u64 {
        run(self.avx2, Numbers::<_, _, _, K, AFTER> { block, key, values, valid: self.valid, with, digits })
    }

    /// Doubles of any digits; what is not finite comes back.
    fn shortest<const K: usize>(block: &mut Block, key: &Key<K>, values: &[f64], rows: u64) -> u64 {
        let mut rest = 0;
        for at in bits(rows) {
            if values[at].is_finite() {
                loops::short(block, at, key, zmij::Buffer::new().format_finite(values[at]).as_bytes());
            } else {
                rest |= 1 << at;
            }
        }
        rest
    }

    /// Remembers whose records these are, if numbers say it.
    fn identities<T: itoa::Integer + Copy>(&self, block: &mut Block, values: &[T]) {
        if self.identifies() {
            for (identity, value) in block.identities.iter_mut().zip(values) {
                *identity = field::hash(itoa::Buffer::new().format(*value).as_bytes());
            }
        }
    }

    /// Names come in runs: that of the row before is copied.
    fn event_names(&self, block: &mut Block, values: &Values, state: &mut State) -> u64 {
        let mut known: Option<(&str, Vec<u8>)> = None;
        for at in bits(self.valid) {
            let name = values.text(self.first + at).and_then(Result::ok);
            match &known {
                Some((before, bytes)) if Some(*before) == name => block.put(at, &[bytes]),
                _ => {
                    let start = block.ends[at];
                    self.cells(block, state, 1 << at);
                    known = name.zip(block.tail(at, start).map(<[u8]>::to_vec));
                }
            }
        }
        0
    }
}
