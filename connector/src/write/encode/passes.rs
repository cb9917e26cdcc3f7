//! The steps of a plan as passes over columns: what is the same in each record is made ready here, once a statement.
//!
//! In: the steps and fields of a plan. Out: [`Pass`]es, or nothing where a row depends on more than its columns one by one: keys
//! that it unfolds, fields that are counted, items that only one event takes, a field that is the first in its record.

use arrow::datatypes::DataType;

use super::compile::{Field, Step};
use super::digits::Point;
use super::loops::CHUNK;
use super::reject::{IDENTIFIER_BYTES_MAX, TEXT_BYTES_MAX};
use super::types::{self, Role};
use super::value::{Long, Truth};
use crate::table::{Open, Shape};

/// Bytes that a [`Lead`] may have.
const LEAD_BYTES_MAX: usize = 64;

/// Bytes that begin a field, or are one, with what is needed to copy them in pieces of a fixed size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead {
    pub(super) bytes: [u8; LEAD_BYTES_MAX],
    pub(super) len: usize,
}

/// One pass over the rows of a block.
#[derive(Debug)]
pub(super) enum Pass {
    /// The same bytes.
    Bytes(Lead),
    /// The key of an object whose fields follow, each with a comma before it.
    Open(Lead),
    /// The end of the object, and what is the same after it.
    Close(Lead),
    /// A field.
    Field(Box<FieldPass>),
}

#[derive(Debug)]
pub(super) struct FieldPass {
    /// Which field of the plan.
    pub(super) field: usize,
    pub(super) way: Way,
    /// Bytes of the lead that are no part of the field: a cell writer does not write them.
    pub(super) head: usize,
    /// What stands before each value, by [`Way`]; for [`Way::Truth`] the whole field where it is true.
    pub(super) lead: Lead,
    /// For [`Way::Truth`], the whole field where it is false.
    pub(super) other: Lead,
    pub(super) absent: Absent,
}

/// What a NULL becomes.
#[derive(Debug)]
pub(super) enum Absent {
    /// Nothing.
    Nothing,
    /// A field that deletes the property.
    Delete(Lead),
    /// A reject.
    Refused,
}

/// How a column is written, where its values are as its type says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Text of so many bytes.
    Text { min: usize, max: usize },
    /// Booleans.
    Truth,
    /// Whole numbers.
    Whole,
    /// Whole numbers in quotes.
    WholeQuoted,
    /// Epoch seconds as a number.
    Seconds,
    /// Epoch seconds as `"$D_…"`.
    Date,
    /// Decimals.
    Decimal(Point),
    /// Doubles, many of which have two places.
    Double(Point),
    /// Lists of text.
    Set { max: usize },
    /// The name of an event, often that of the row before.
    EventName,
    /// A cell at a time.
    Cell,
}

impl Lead {
    fn new(parts: &[&[u8]]) -> Option<Self> {
        let all = parts.concat();
        let mut bytes = [0; LEAD_BYTES_MAX];
        bytes.get_mut(..all.len())?.copy_from_slice(&all);
        Some(Self { bytes, len: all.len() })
    }

    /// What it says.
    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Compiles `steps`; `types` has the type of each field's column.
pub(super) fn passes(steps: &[Step], fields: &[Field], types: &[DataType], open: Option<&Open>) -> Option<Vec<Pass>> {
    let counted = fields.iter().filter(|field| field.counted).count();
    let unfolds = |field: &Field| field.contested || matches!(field.role, Role::UnfoldMap(_) | Role::UnfoldText);
    let has = |role: &dyn Fn(&Role) -> bool| fields.iter().any(|field| role(&field.role));
    let items_by_name = has(&|role| *role == Role::EventName) && has(&|role| matches!(role, Role::Items | Role::ItemsText));
    // A pass begins its field with a comma: nothing may be first in the record but a key that every record has.
    let first_is_a_field = matches!(steps.first(), Some(Step::Bytes(head)) if head == b"{");
    if first_is_a_field || fields.iter().any(unfolds) || items_by_name || open.is_some_and(|open| counted > open.fields_warn) {
        return None;
    }
    let mut passes = Vec::new();
    for step in steps {
        match step {
            Step::Bytes(bytes) => match passes.last_mut() {
                Some(Pass::Close(end)) => *end = Lead::new(&[end.text(), bytes])?,
                _ => passes.push(Pass::Bytes(Lead::new(&[bytes])?)),
            },
            Step::Next(bytes) => passes.push(Pass::Bytes(Lead::new(&[b",", bytes])?)),
            Step::Open(key) => passes.push(Pass::Open(Lead::new(&[b",", key])?)),
            Step::Close => passes.push(Pass::Close(Lead::new(&[b"}"])?)),
            Step::Field(at) => {
                let mut pass = field_pass(*at, &fields[*at], &types[*at])?;
                // What is before a field that every row has is one piece with it.
                if let (Some(Pass::Bytes(head)), Way::Text { .. }, Absent::Refused) = (passes.last(), pass.way, &pass.absent)
                    && let Some(lead) = Lead::new(&[head.text(), pass.lead.text()])
                    && lead.len <= CHUNK
                {
                    (pass.lead, pass.head) = (lead, head.len);
                    passes.pop();
                }
                passes.push(Pass::Field(Box::new(pass)));
            }
        }
    }
    Some(passes)
}

fn field_pass(at: usize, field: &Field, data_type: &DataType) -> Option<FieldPass> {
    let absent = if field.deletes {
        Absent::Delete(Lead::new(&[b",", &field.key, b"{\"$delete\":1}"])?)
    } else if field.required || field.shape == Shape::Identifier {
        Absent::Refused
    } else {
        Absent::Nothing
    };
    let way = if field.refused.is_some() { Way::Cell } else { way(field, types::plain(data_type)) };
    let (before, other): (&[u8], &[u8]) = match way {
        Way::Text { .. } | Way::WholeQuoted => (b"\"", b""),
        Way::Date => (b"\"$D_", b""),
        Way::Set { .. } => (b"{\"$set\":[", b""),
        Way::Truth if field.style.truth == Truth::Letter => (b"\"Y\"", b"\"N\""),
        Way::Truth => (b"true", b"false"),
        _ => (b"", b""),
    };
    let lead = |rest: &[u8]| Lead::new(&[b",", &field.key, rest]);
    Some(FieldPass { field: at, way, head: 0, lead: lead(before)?, other: lead(other)?, absent })
}

fn way(field: &Field, data_type: &DataType) -> Way {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let max = if field.style.long == Long::Keep { usize::MAX } else { TEXT_BYTES_MAX };
    match (&field.role, data_type) {
        (Role::Scalar, text) if is_text(text) => Way::Text { min: 0, max },
        (Role::Identifier, text) if is_text(text) => Way::Text { min: 1, max: IDENTIFIER_BYTES_MAX },
        (Role::Identifier, _) => Way::WholeQuoted,
        (Role::EpochSeconds, _) => Way::Seconds,
        (Role::EventName, _) => Way::EventName,
        (Role::Scalar, DataType::Boolean) => Way::Truth,
        (Role::Scalar, integer) if integer.is_integer() => Way::Whole,
        (Role::Scalar, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) => Way::Date,
        (Role::Scalar, DataType::Float64) => Point::at(2).map_or(Way::Cell, Way::Double),
        (Role::Scalar, DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale)) => {
            Point::at(*scale).map_or(Way::Cell, Way::Decimal)
        }
        (Role::Set, _) => Way::Set { max },
        _ => Way::Cell,
    }
}
