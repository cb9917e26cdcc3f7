//! How rows of one schema become records: steps, fields, and, where columns can be written one after the other, passes.
//!
//! Data alone: `compile` makes it once a statement, and all that write rows read it.

use super::context::Context;
use super::digits::Form;
use super::names::Names;
use super::reject::Problem;
use super::role::Role;
use super::value::Style;
use crate::table::{Open, Resend, Shape};
use crate::write::mapping::IdentifierChoice;

/// How rows of one schema become records.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// The steps as passes over columns; `None` where rows are written one by one.
    pub(super) passes: Option<Vec<Pass>>,
    pub(super) fields: Vec<Field>,
    /// Which of the fields says whose record it is; where several may, the first of them.
    pub(super) identifier: usize,
    pub(super) identifier_choice: IdentifierChoice,
    pub(super) names: Names,
    pub(super) open: Option<Open>,
    pub(super) resend: Resend,
    /// Whether records of one identity must arrive in input order.
    pub(super) ordered: bool,
    pub(super) context: Context,
}

/// One piece of a record.
#[derive(Debug)]
pub(super) enum Step {
    /// The same in every record.
    Bytes(Vec<u8>),
    /// The same too, as the next thing in its object.
    Next(Vec<u8>),
    /// The key of an object that holds what follows.
    Open(Vec<u8>),
    /// The end of that object.
    Close,
    /// The value of this field, with its key, unless the row has none.
    Field(usize),
}

/// One column, or one field of a struct that is unfolded.
#[derive(Debug)]
pub(super) struct Field {
    /// The column of the batch.
    pub(super) source: usize,
    /// Which field of the struct in that column.
    pub(super) member: Option<usize>,
    /// The column's name, for people.
    pub(super) column: String,
    /// The key in the record.
    pub(super) name: String,
    /// `"name":`.
    pub(super) key: Vec<u8>,
    pub(super) shape: Shape,
    pub(super) role: Role,
    pub(super) style: Style,
    pub(super) required: bool,
    /// A NULL deletes it.
    pub(super) deletes: bool,
    /// It is one of the fields that [`Open`] bounds.
    pub(super) counted: bool,
    /// Its key is one that another column may unfold too.
    pub(super) contested: bool,
    /// No value of it can be sent.
    pub(super) refused: Option<Box<Problem>>,
}

impl Plan {
    /// About how many bytes a record has, without long texts.
    pub(super) fn row_bytes(&self) -> usize {
        self.fields.iter().map(|field| field.key.len() + 24).sum::<usize>() + 128
    }
}

/// Bytes that a [`Prefix`] may have.
const PREFIX_BYTES_MAX: usize = 64;

/// Bytes that begin a field, or are one, with what is needed to copy them in pieces of a fixed size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    pub(super) bytes: [u8; PREFIX_BYTES_MAX],
    pub(super) len: usize,
}

/// One pass over the rows of a block.
#[derive(Debug)]
pub(super) enum Pass {
    /// The same bytes.
    Bytes(Prefix),
    /// The key of an object whose fields follow, each with a comma before it.
    Open(Prefix),
    /// The end of the object, and what is the same after it.
    Close(Prefix),
    /// A field.
    Field(Box<FieldPass>),
}

#[derive(Debug)]
pub(super) struct FieldPass {
    /// Which field of the plan.
    pub(super) field: usize,
    pub(super) kernel: Kernel,
    /// Bytes of the prefix that are no part of the field: a cell writer does not write them.
    pub(super) head: usize,
    /// What stands before each value, by [`Kernel`]; for [`Kernel::Boolean`] the whole field where it is true.
    pub(super) prefix: Prefix,
    /// For [`Kernel::Boolean`], the whole field where it is false.
    pub(super) other: Prefix,
    pub(super) absent: Absent,
}

/// What a NULL becomes.
#[derive(Debug)]
pub(super) enum Absent {
    /// Nothing.
    Nothing,
    /// A field that deletes the property.
    Delete(Prefix),
    /// A reject.
    Refused,
}

/// How a column is written, where its values are as its type says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kernel {
    /// Text of so many bytes.
    Text { min: usize, max: usize },
    /// Booleans.
    Boolean,
    /// Whole numbers.
    Whole,
    /// Whole numbers in quotes.
    WholeQuoted,
    /// Epoch seconds as a number.
    Seconds,
    /// Epoch seconds as `"$D_…"`.
    Date,
    /// Decimals.
    Decimal(Form),
    /// Doubles, many of which have two places.
    Double(Form),
    /// Lists of text.
    Set { max: usize },
    /// The name of an event, often that of the row before.
    EventName,
    /// A cell at a time.
    Cell,
}

impl Prefix {
    pub(super) fn new(parts: &[&[u8]]) -> Option<Self> {
        let all = parts.concat();
        let mut bytes = [0; PREFIX_BYTES_MAX];
        bytes.get_mut(..all.len())?.copy_from_slice(&all);
        Some(Self { bytes, len: all.len() })
    }

    /// What it says.
    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
