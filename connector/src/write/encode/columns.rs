//! A block of rows, column after column.
//!
//! In: passes, bound columns, the number of the first row. Out: the strips of a [`Block`]. The common kinds of column have a loop
//! each; what a loop hands back, and every other column, is written by the cell writers; a row that they refuse is left.

use super::avx2::run;
use super::bind::{Values, all, word};
use super::block::{Block, LEFT, ROWS_MAX, bits};
use super::bound::Bound;
use super::digits::Form;
use super::field;
use super::kernels::{self, Booleans, CHUNK, Close, Constant, Key, Offsets, Pieces, Quoted, Sets, Texts, Views, WIDE};
use super::numbers::{Numbers, Parts, cents, date, decimal32, decimal64, decimal128, seconds, signed, unsigned};
use super::plan::{Absent, FieldPass, Kernel, Pass, Plan, Prefix};
use super::row;
use super::state::RowState;
use crate::cpu::Avx2;
use crate::table::Shape;

/// Writes the rows from `first` on into `block`, which was begun for them.
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
                // Keys of one piece or of two.
                let Prefix { bytes, len } = pass.prefix;
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
    fn write<const K: usize>(&self, block: &mut Block, key: Key<K>, state: &mut RowState) {
        let column = &self.bound.column;
        let rows = self.first..self.first + block.rows();
        if let Some(index) = &column.index {
            match self.bound.fragments() {
                Some(fragments) => {
                    let index = &index[rows];
                    let absent = if fragments.longest > CHUNK {
                        run(self.avx2, Pieces::<WIDE> { block, fragments, index })
                    } else {
                        run(self.avx2, Pieces::<CHUNK> { block, fragments, index })
                    };
                    self.absent(block, absent);
                }
                None => self.cells(block, state, block.all()),
            }
            return;
        }
        let hard = match (self.pass.kernel, &column.values) {
            (Kernel::Text { min, max }, Values::Text(array)) => {
                self.texts(block, key, Offsets(array.value_offsets(), array.value_data()), min, max)
            }
            (Kernel::Text { min, max }, Values::LargeText(array)) => {
                self.texts(block, key, Offsets(array.value_offsets(), array.value_data()), min, max)
            }
            (Kernel::Text { min, max }, Values::TextView(array)) => {
                let named = Views::named(array.views().inner(), array.data_buffers());
                self.texts(block, key, Views(array.views(), &named), min, max)
            }
            (Kernel::Boolean, Values::Bool(array)) => {
                let (yes, no, truths) = (self.pass.prefix, self.pass.other, word(array.values(), self.first, block.rows()));
                run(self.avx2, Booleans { block, yes, no, truths, valid: self.valid })
            }
            (Kernel::Whole, Values::Int(array)) => self.numbers::<_, K, 0, false>(block, key, &array.values()[rows], Form::WHOLE, signed),
            (Kernel::Whole, Values::UInt(array)) => {
                self.numbers::<_, K, 0, false>(block, key, &array.values()[rows], Form::WHOLE, unsigned)
            }
            (Kernel::WholeQuoted, Values::Int(array)) => {
                self.identities(block, &array.values()[rows.clone()]);
                self.numbers::<_, K, b'"', false>(block, key, &array.values()[rows], Form::WHOLE, signed)
            }
            (Kernel::WholeQuoted, Values::UInt(array)) => {
                self.identities(block, &array.values()[rows.clone()]);
                self.numbers::<_, K, b'"', false>(block, key, &array.values()[rows], Form::WHOLE, unsigned)
            }
            (Kernel::Seconds, Values::Int(array)) => {
                self.numbers::<_, K, 0, false>(block, key, &array.values()[rows], Form::WHOLE, seconds)
            }
            (Kernel::Seconds, Values::Seconds(values)) => self.numbers::<_, K, 0, false>(block, key, &values[rows], Form::WHOLE, seconds),
            (Kernel::Date, Values::Seconds(values)) => self.numbers::<_, K, b'"', false>(block, key, &values[rows], Form::WHOLE, date),
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
                let hard = self.numbers::<_, K, 0, true>(block, key, values, point, cents);
                Self::shortest(block, &key, values, hard)
            }
            (Kernel::Set { max }, Values::List(list)) if list.items.index.is_none() => match &list.items.values {
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
            (Kernel::EventName, values) => self.event_names(block, values, state),
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
            Absent::Delete(prefix) => block.put_each(rows, prefix.text()),
            Absent::Refused => block.leave(rows),
        }
    }

    /// Whether the field says whose record a row is.
    fn identifies(&self) -> bool {
        self.plan.fields[self.pass.field].shape == Shape::Identifier
    }

    /// The rows of these bits, by the cell writers; those that they refuse, or remark on, are left.
    #[inline(never)]
    fn cells(&self, block: &mut Block, state: &mut RowState, rows: u64) {
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
                block.put(at, &[&self.pass.prefix.bytes[..self.pass.head], &out[1..]]);
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

    /// Doubles of any digits; what is not finite comes back.
    fn shortest<const K: usize>(block: &mut Block, key: &Key<K>, values: &[f64], rows: u64) -> u64 {
        let rest = bits(rows).filter(|at| !values[*at].is_finite()).fold(0, |rest, at| rest | 1 << at);
        let rows = rows & !rest;
        // All of them first: a text that has just been written in small parts cannot be read in large ones without a wait.
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

    /// Remembers whose records these are, if numbers say it.
    fn identities<T: itoa::Integer + Copy>(&self, block: &mut Block, values: &[T]) {
        if self.identifies() {
            for (identity, value) in block.identities.iter_mut().zip(values) {
                *identity = field::hash(itoa::Buffer::new().format(*value).as_bytes());
            }
        }
    }

    /// Names come in runs: that of the row before is copied.
    fn event_names(&self, block: &mut Block, values: &Values, state: &mut RowState) -> u64 {
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
