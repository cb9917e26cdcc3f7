//! Compiles the steps of a plan to passes over columns; the constant bytes of a record are prepared here, once per statement.
//!
//! In: the steps and fields of a plan. Out: [`Pass`]es, or `None` if a row cannot be written one column at a time: because keys are
//! unfolded, fields are counted, items depend on the event name, or a record begins with a field.

use arrow::datatypes::DataType;

use super::digits::Form;
use super::kernels::CHUNK;
use super::record_plan::{Absent, Field, FieldPass, Kernel, Pass, Prefix, Step};
use super::reject::{IDENTIFIER_BYTES_MAX, TEXT_BYTES_MAX};
use super::role::{self, Role};
use super::value::{BooleanForm, LongText};
use crate::table::{Open, Shape};

/// Compiles `steps`; `types` has the type of each field's column.
pub(super) fn passes(steps: &[Step], fields: &[Field], types: &[DataType], open: Option<&Open>) -> Option<Vec<Pass>> {
    let counted = fields.iter().filter(|field| field.counted).count();
    let unfolds = |field: &Field| field.may_repeat || matches!(field.role, Role::UnfoldMap(_) | Role::UnfoldText);
    let has = |role: &dyn Fn(&Role) -> bool| fields.iter().any(|field| role(&field.role));
    let items_by_name = has(&|role| *role == Role::EventName) && has(&|role| matches!(role, Role::Items | Role::ItemsText));
    // A pass writes its field with a leading comma, so the record must begin with a constant key.
    let first_is_a_field = matches!(steps.first(), Some(Step::Bytes(head)) if head == b"{");
    if first_is_a_field || fields.iter().any(unfolds) || items_by_name || open.is_some_and(|open| counted > open.fields_warn) {
        return None;
    }
    let mut passes = Vec::new();
    for step in steps {
        match step {
            Step::Bytes(bytes) => match passes.last_mut() {
                Some(Pass::Close(end)) => *end = Prefix::new(&[end.text(), bytes])?,
                _ => passes.push(Pass::Bytes(Prefix::new(&[bytes])?)),
            },
            Step::Next(bytes) => passes.push(Pass::Bytes(Prefix::new(&[b",", bytes])?)),
            Step::Open(key) => passes.push(Pass::Open(Prefix::new(&[b",", key])?)),
            Step::Close => passes.push(Pass::Close(Prefix::new(&[b"}"])?)),
            Step::Field(at) => {
                let mut pass = field_pass(*at, &fields[*at], &types[*at])?;
                // The constant bytes before a required field are merged with its prefix.
                if let (Some(Pass::Bytes(head)), Kernel::Text { .. }, Absent::Refused) = (passes.last(), pass.kernel, &pass.absent)
                    && let Some(prefix) = Prefix::new(&[head.text(), pass.prefix.text()])
                    && prefix.len <= CHUNK
                {
                    (pass.prefix, pass.head) = (prefix, head.len);
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
        Absent::Delete(Prefix::new(&[b",", &field.key, b"{\"$delete\":1}"])?)
    } else if field.required || field.shape == Shape::Identifier {
        Absent::Refused
    } else {
        Absent::Nothing
    };
    let kernel = if field.refused.is_some() { Kernel::Cell } else { kernel_of(field, role::plain(data_type)) };
    let (before, other): (&[u8], &[u8]) = match kernel {
        Kernel::Text { .. } | Kernel::QuotedInteger => (b"\"", b""),
        Kernel::Date => (b"\"$D_", b""),
        Kernel::Set { .. } => (b"{\"$set\":[", b""),
        Kernel::Boolean if field.style.boolean == BooleanForm::Letter => (b"\"Y\"", b"\"N\""),
        Kernel::Boolean => (b"true", b"false"),
        _ => (b"", b""),
    };
    let prefix = |rest: &[u8]| Prefix::new(&[b",", &field.key, rest]);
    Some(FieldPass { field: at, kernel, head: 0, prefix: prefix(before)?, other: prefix(other)?, absent })
}

fn kernel_of(field: &Field, data_type: &DataType) -> Kernel {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let max = if field.style.long == LongText::Keep { usize::MAX } else { TEXT_BYTES_MAX };
    match (&field.role, data_type) {
        (Role::Scalar, text) if is_text(text) => Kernel::Text { min: 0, max },
        (Role::Identifier, text) if is_text(text) => Kernel::Text { min: 1, max: IDENTIFIER_BYTES_MAX },
        (Role::Identifier, integer) if integer.is_integer() => Kernel::QuotedInteger,
        (Role::EpochSeconds, _) => Kernel::Seconds,
        (Role::EventName, _) => Kernel::EventName,
        (Role::Scalar, DataType::Boolean) => Kernel::Boolean,
        (Role::Scalar, integer) if integer.is_integer() => Kernel::Integer,
        (Role::Scalar, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) => Kernel::Date,
        (Role::Scalar, DataType::Float64) => Form::point(2).map_or(Kernel::Cell, Kernel::Double),
        (Role::Scalar, DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale)) => {
            Form::point(*scale).map_or(Kernel::Cell, Kernel::Decimal)
        }
        (Role::Set, _) => Kernel::Set { max },
        _ => Kernel::Cell,
    }
}
