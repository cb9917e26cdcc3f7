//! The compiled plan: how rows of one schema become records, as steps, fields and, if columns can be written one after the other,
//! passes.
//!
//! Only data: `compile` creates it once per statement.

use super::context::Context;
use super::digits::Form;
use super::names::Names;
use super::reject::Problem;
use super::role::Role;
use super::value::Style;
use crate::table::{Open, Resend, Shape};
use crate::write::mapping::IdentifierChoice;

/// Everything that is compiled for one schema.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// The steps as passes over columns; `None` if rows are written one by one.
    pub(super) passes: Option<Vec<Pass>>,
    pub(super) fields: Vec<Field>,
    /// The identifier field; if there are several, the first.
    pub(super) identifier: usize,
    pub(super) identifier_choice: IdentifierChoice,
    pub(super) names: Names,
    pub(super) open: Option<Open>,
    pub(super) resend: Resend,
    /// Whether records of one identity must arrive in input order.
    pub(super) ordered: bool,
    pub(super) context: Context,
    /// The columns with times that have no zone and are read as UTC, which nobody has said: each with its name, and as remedies name it unless
    /// the times are inside of it.
    pub(super) naive: Vec<(String, Option<String>)>,
}

/// One part of a record.
#[derive(Debug)]
pub(super) enum Step {
    /// Constant bytes.
    Bytes(Vec<u8>),
    /// A constant field, with a comma before it if needed.
    Next(Vec<u8>),
    /// The key of an object that contains the following steps.
    Open(Vec<u8>),
    /// The end of the object.
    Close,
    /// A field with its key, unless the row has no value for it.
    Field(usize),
}

/// One column, or one field of an unfolded struct.
#[derive(Debug)]
pub(super) struct Field {
    /// Index of the column in the batch.
    pub(super) source: usize,
    /// Index of the field in the struct of that column.
    pub(super) member: Option<usize>,
    /// Name of the column, for messages.
    pub(super) column: String,
    /// The key in the record.
    pub(super) name: String,
    /// `"name":`.
    pub(super) key: Vec<u8>,
    pub(super) shape: Shape,
    pub(super) role: Role,
    pub(super) style: Style,
    pub(super) required: bool,
    /// Whether a NULL deletes the property.
    pub(super) deletes: bool,
    /// Whether it counts towards the limits of [`Open`].
    pub(super) counted: bool,
    /// Whether another column may unfold the same key.
    pub(super) may_repeat: bool,
    /// The problem, if no value of the field can be sent.
    pub(super) refused: Option<Box<Problem>>,
}

impl Plan {
    /// Estimated size of a record without long texts.
    pub(super) fn row_bytes(&self) -> usize {
        self.fields.iter().map(|field| field.key.len() + 24).sum::<usize>() + 128
    }
}

/// Maximum length of a [`Prefix`].
const PREFIX_BYTES_MAX: usize = 64;

/// Constant bytes, padded so that they are copied in chunks of fixed size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    pub(super) bytes: [u8; PREFIX_BYTES_MAX],
    pub(super) len: usize,
}

/// One pass over the rows of a block.
#[derive(Debug)]
pub(super) enum Pass {
    /// Constant bytes.
    Bytes(Prefix),
    /// The key of an object; each field that follows writes a leading comma.
    Open(Prefix),
    /// The end of the object, and constant bytes after it.
    Close(Prefix),
    Field(Box<FieldPass>),
}

#[derive(Debug)]
pub(super) struct FieldPass {
    /// Index in [`Plan::fields`].
    pub(super) field: usize,
    pub(super) kernel: Kernel,
    /// Bytes of the prefix that do not belong to the field: cell writers do not write them.
    pub(super) head: usize,
    /// Written before each value; for [`Kernel::Boolean`] the complete field if true.
    pub(super) prefix: Prefix,
    /// For [`Kernel::Boolean`], the complete field if false.
    pub(super) other: Prefix,
    pub(super) absent: Absent,
}

/// What a NULL becomes.
#[derive(Debug)]
pub(super) enum Absent {
    Nothing,
    /// A field that deletes the property.
    Delete(Prefix),
    Refused,
}

/// The kernel that writes the common values of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kernel {
    /// Text of `min` to `max` bytes.
    Text {
        min: usize,
        max: usize,
    },
    Boolean,
    Integer,
    QuotedInteger,
    /// Epoch seconds as a number.
    Seconds,
    /// Epoch seconds as `"$D_…"`.
    Date,
    Decimal(Form),
    /// Doubles, commonly of two places.
    Double(Form),
    /// Lists of text.
    Set {
        max: usize,
    },
    /// The name of an event, often the same as in the previous row.
    EventName,
    /// No kernel: cell by cell.
    Cell,
}

impl Prefix {
    pub(super) fn new(parts: &[&[u8]]) -> Option<Self> {
        let all = parts.concat();
        let mut bytes = [0; PREFIX_BYTES_MAX];
        bytes.get_mut(..all.len())?.copy_from_slice(&all);
        Some(Self { bytes, len: all.len() })
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
