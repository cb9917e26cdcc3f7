//! Writes a block of rows, column by column.
//!
//! In: passes, bound columns, the number of the first row. Out: the strips of a [`Block`]. Each common kind of column has a kernel.
//! Rows that a kernel returns, and all other columns, go through the cell writers. A row that these refuse, or that needs a warning,
//! is deferred.

use std::ops::Range;

use super::avx2::run;
use super::bind::{Values, low_bits, word};
use super::block::{Block, DEFERRED, ROWS_MAX, bits};
use super::bound::Bound;
use super::digits::Form;
use super::field;
use super::kernels::{self, Booleans, CHUNK, Close, Constant, Key, Offsets, Pieces, Quoted, Sets, Texts, Views, WIDE};
use super::numbers::{Numbers, Parts, cents, date, decimal32, decimal64, decimal128, seconds, signed, unsigned, whole_seconds};
use super::record_plan::{Absent, FieldPass, Kernel, Pass, Plan, Prefix};
use super::reject::is_null_mark;
use super::role::Role;
use super::row;
use super::state::RowState;
use crate::cpu::Avx2;
use crate::table::Shape;

/// Writes the rows from `first` on into `block`, on which `begin` was called for them.
pub(super) fn write(
    avx2: Option<Avx2>,
    block: &mut Block,
    plan: &Plan,
    passes: &[Pass],
    columns: &[Bound],
    state: &mut RowState,
    first: usize,
) {
    for pass in passes {
        match pass {
            Pass::Bytes(prefix) => run(avx2, Constant { block, prefix: *prefix }),
            Pass::Open(prefix) => {
                run(avx2, Constant { block, prefix: *prefix });
                block.open();
            }
            Pass::Close(prefix) => run(avx2, Close { block, prefix: *prefix }),
            Pass::Field(pass) => {
                let bound = &columns[pass.field];
                let writer = Writer { avx2, plan, pass, bound, first, valid: bound.column.valid(first, block.rows()) };
                // The key is copied in one chunk if it fits, else in two.
                let Prefix { bytes, len } = pass.prefix;
                match bytes.first_chunk::<CHUNK>() {
                    Some(bytes) if len <= CHUNK => writer.write(block, Key { bytes: *bytes, len }, state),
                    _ => writer.write(block, Key { bytes, len }, state),
                }
            }
        }
    }
}

/// Writes one field of all rows of a block.
struct Writer<'a> {
    avx2: Option<Avx2>,
    plan: &'a Plan,
    pass: &'a FieldPass,
    bound: &'a Bound,
    /// The row of the batch at which the block starts.
    first: usize,
    /// One bit per row that has a value; all bits set if the column has an index.
    valid: u64,
}

impl Writer<'_> {
    fn write<const K: usize>(&self, block: &mut Block, key: Key<K>, state: &mut RowState) {
        let column = &self.bound.column;
        let rows = self.first..self.first + block.rows();
        if let Some(index) = &column.index {
            return self.indexed(block, &index[rows], state);
        }
        let slow = match (self.pass.kernel, &column.values) {
            (Kernel::Text { min, max }, Values::Text(array)) => {
                self.texts(block, key, Offsets(array.value_offsets(), array.value_data()), min, max)
            }
            (Kernel::Text { min, max }, Values::LargeText(array)) => {
                self.texts(block, key, Offsets(array.value_offsets(), array.value_data()), min, max)
            }
            (Kernel::Text { min, max }, Values::TextView(array)) => {
                let buffers = Views::buffers(array.views().inner(), array.data_buffers());
                self.texts(block, key, Views(array.views(), &buffers), min, max)
            }
            (Kernel::Boolean, Values::Bool(array)) => {
                let (yes, no, values) = (self.pass.prefix, self.pass.other, word(array.values(), self.first, block.rows()));
                run(self.avx2, Booleans { block, yes, no, values, valid: self.valid })
            }
            (Kernel::Set { max }, Values::List(list)) if list.items.index.is_none() => match &list.items.values {
                Values::Text(array) => {
                    let texts = Offsets(array.value_offsets(), array.value_data());
                    run(self.avx2, Sets { block, key, list, texts, first: self.first, valid: self.valid, max })
                }
                Values::TextView(array) => {
                    let buffers = Views::buffers(array.views().inner(), array.data_buffers());
                    let texts = Views(array.views(), &buffers);
                    run(self.avx2, Sets { block, key, list, texts, first: self.first, valid: self.valid, max })
                }
                _ => self.valid,
            },
            (Kernel::EventName, values) => self.event_names(block, values, state),
            _ => self.number(block, key, rows),
        };
        if slow != 0 {
            self.cells(block, state, slow);
        }
        self.absent(block, low_bits(block.rows()) & !self.valid);
    }

    /// A column with an index: copies the fragment of each row, if the values were written beforehand.
    fn indexed(&self, block: &mut Block, index: &[usize], state: &mut RowState) {
        let Some(fragments) = self.bound.fragments() else { return self.cells(block, state, block.all_rows()) };
        let absent = if fragments.longest > CHUNK {
            run(self.avx2, Pieces::<WIDE> { block, fragments, index })
        } else {
            run(self.avx2, Pieces::<CHUNK> { block, fragments, index })
        };
        self.absent(block, absent);
    }

    /// Columns of numbers, dates and instants. Returns the rows that are left to the cell writers; all of them if there is no kernel.
    #[inline(always)]
    fn number<const K: usize>(&self, block: &mut Block, key: Key<K>, rows: Range<usize>) -> u64 {
        match (self.pass.kernel, &self.bound.column.values) {
            (Kernel::Integer, Values::Int(array)) => {
                self.numbers::<_, K, 0, false>(block, key, &array.values()[rows], Form::INTEGER, signed)
            }
            (Kernel::Integer, Values::UInt(array)) => {
                self.numbers::<_, K, 0, false>(block, key, &array.values()[rows], Form::INTEGER, unsigned)
            }
            (Kernel::QuotedInteger, Values::Int(array)) => {
                self.hash_identifiers(block, &array.values()[rows.clone()]);
                self.numbers::<_, K, b'"', false>(block, key, &array.values()[rows], Form::INTEGER, signed)
            }
            (Kernel::QuotedInteger, Values::UInt(array)) => {
                self.hash_identifiers(block, &array.values()[rows.clone()]);
                self.numbers::<_, K, b'"', false>(block, key, &array.values()[rows], Form::INTEGER, unsigned)
            }
            (Kernel::Seconds, Values::Int(array)) => {
                self.numbers::<_, K, 0, false>(block, key, &array.values()[rows], Form::INTEGER, whole_seconds)
            }
            (Kernel::Seconds, Values::Seconds(values)) => self.numbers::<_, K, 0, false>(block, key, &values[rows], Form::INTEGER, seconds),
            (Kernel::Date, Values::Seconds(values)) => self.numbers::<_, K, b'"', false>(block, key, &values[rows], Form::INTEGER, date),
            (Kernel::Decimal(point), Values::Decimal128(array)) => {
                self.numbers::<_, K, 0, false>(block, key, &array.values()[rows], point, decimal128)
            }
            (Kernel::Decimal(point), Values::Decimal64(array)) => {
                self.numbers::<_, K, 0, false>(block, key, &array.values()[rows], point, decimal64)
            }
            (Kernel::Decimal(point), Values::Decimal32(array)) => {
                self.numbers::<_, K, 0, false>(block, key, &array.values()[rows], point, decimal32)
            }
            (Kernel::Double(point), Values::Double(array)) => {
                let values = &array.values()[rows];
                let slow = self.numbers::<_, K, 0, true>(block, key, values, point, cents);
                Self::shortest(block, &key, values, slow)
            }
            _ => self.valid,
        }
    }

    /// Writes what NULL becomes in the rows of these bits.
    fn absent(&self, block: &mut Block, rows: u64) {
        match &self.pass.absent {
            Absent::Nothing => {}
            Absent::Delete(prefix) => block.put_each(rows, prefix.text()),
            Absent::Refused => block.defer(rows),
        }
    }

    /// Whether the field is the identifier.
    fn identifies(&self) -> bool {
        self.plan.fields[self.pass.field].shape == Shape::Identifier
    }

    /// Writes the rows of these bits with the cell writers. Rows that they refuse, or that had a text cut, are deferred.
    #[inline(never)]
    fn cells(&self, block: &mut Block, state: &mut RowState, rows: u64) {
        let mut out = std::mem::take(&mut state.cell);
        for at in bits(rows) {
            if block.ends[at] == DEFERRED {
                continue;
            }
            state.begin();
            out.clear();
            // So that the field starts with a comma.
            out.push(b'}');
            let written = row::write_field(self.plan, self.pass.field, self.bound, self.first + at, state, &mut out);
            if written.is_ok() && state.cuts.is_empty() {
                block.put(at, &[&self.pass.prefix.bytes[..self.pass.head], &out[1..]]);
                block.duplicates |= u64::from(state.duplicates) << at;
                if self.identifies() {
                    block.identities[at] = state.identity;
                }
            } else {
                block.ends[at] = DEFERRED;
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
        let marks = self.null_marks(block.rows(), &texts);
        run(self.avx2, Quoted { block, key, texts, first: self.first, valid: self.valid, min, max }) | marks
    }

    /// The rows whose identifier stands for no value: the cell writers refuse them.
    fn null_marks<T: Texts>(&self, rows: usize, texts: &T) -> u64 {
        if !self.plan.context.refuses_null_marks || self.plan.fields[self.pass.field].role != Role::Identifier {
            return 0;
        }
        let is_mark = |at: usize| is_null_mark(texts.span(self.first + at).text());
        (0..rows).filter(|at| is_mark(*at)).fold(0, |marks, at| marks | 1 << at) & self.valid
    }

    fn numbers<T: Copy, const K: usize, const AFTER: u8, const TRIMMED: bool>(
        &self,
        block: &mut Block,
        key: Key<K>,
        values: &[T],
        form: Form,
        part: impl Fn(T) -> Parts,
    ) -> u64 {
        run(self.avx2, Numbers::<_, _, K, AFTER, TRIMMED> { block, key, values, valid: self.valid, form, part })
    }

    /// Doubles of any number of digits. Returns the rows that are not finite.
    fn shortest<const K: usize>(block: &mut Block, key: &Key<K>, values: &[f64], rows: u64) -> u64 {
        let rest = bits(rows).filter(|at| !values[*at].is_finite()).fold(0, |rest, at| rest | 1 << at);
        let rows = rows & !rest;
        // Format all of them first: reading a text in large chunks just after it was stored in small ones stalls the processor.
        let mut buffers: [_; ROWS_MAX] = std::array::from_fn(|_| zmij::Buffer::new());
        let mut texts = [""; ROWS_MAX];
        for ((text, buffer), at) in texts.iter_mut().zip(&mut buffers).zip(bits(rows)) {
            *text = buffer.format_finite(values[at]);
        }
        for (text, at) in texts.iter().zip(bits(rows)) {
            kernels::short(block, at, key, text.as_bytes());
        }
        rest
    }

    /// Hashes the identifiers of an integer column.
    fn hash_identifiers<T: itoa::Integer + Copy>(&self, block: &mut Block, values: &[T]) {
        if self.identifies() {
            for (identity, value) in block.identities.iter_mut().zip(values) {
                *identity = field::hash(itoa::Buffer::new().format(*value).as_bytes());
            }
        }
    }

    /// Event names often repeat: the bytes of the previous row are copied if the name is the same.
    fn event_names(&self, block: &mut Block, values: &Values, state: &mut RowState) -> u64 {
        let mut previous: Option<(&str, Vec<u8>)> = None;
        for at in bits(self.valid) {
            let name = values.text(self.first + at).and_then(Result::ok);
            match &previous {
                Some((previous, bytes)) if Some(*previous) == name => block.put(at, &[bytes]),
                _ => {
                    let start = block.ends[at];
                    self.cells(block, state, 1 << at);
                    previous = name.zip(block.tail(at, start).map(<[u8]>::to_vec));
                }
            }
        }
        0
    }
}
