//! Writes the value of one field in one row, by its role.
//!
//! In: the index of a value that is not NULL. Out: its bytes, and whether there are any. State of the row is kept in
//! [`RowState`](super::state::RowState).

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::bind::{List, Values};
use super::cell;
use super::context::Context;
use super::json_text;
use super::reject::{
    CHARGED_ITEMS_MAX, Checked, IDENTIFIER_BYTES_MAX, LEVELS_MAX, LIST_ITEMS_MAX, LONG_IDENTIFIER, NO_IDENTIFIER, NULL_MARK, is_null_mark,
    many_items, not_charged, problem,
};
use super::role::{Operator, Role, operand_refused};
use super::standard;
use super::state::Row;
use super::types;
use super::value::{self, Style, epoch_seconds, positive, quoted};
use crate::tables;

/// Writes the value at `at`; false if the field is left out. Keys are unfolded in `properties`.
pub(super) fn write(row: &mut Row<'_>, role: &Role, style: Style, values: &Values, at: usize, out: &mut Vec<u8>) -> Checked<bool> {
    let cut = &mut row.state.cut;
    match (role, values) {
        (Role::Scalar, _) => value::json(values, at, style, 0, out, cut)?,
        (Role::Identifier, Values::Int(array)) => identifier(itoa::Buffer::new().format(array.value(at)), out)?,
        (Role::Identifier, Values::UInt(array)) => identifier(itoa::Buffer::new().format(array.value(at)), out)?,
        (Role::Identifier, _) => match values.text(at) {
            Some(text) => text_identifier(text?, &row.plan.context, out)?,
            None => identifier(itoa::Buffer::new().format(value::whole(values, at).ok_or_else(not_whole)?), out)?,
        },
        (Role::EpochSeconds, _) => cell::integer(out, epoch_seconds(values, at)?),
        (Role::EventName, _) => {
            let name = text(values, at)?;
            types::event_name(name, row.plan.names.forbidden())?;
            row.state.charged = Some(name == tables::CHARGED);
            cell::text(out, name.as_bytes());
        }
        (Role::Standard(kind), _) => standard::write(*kind, values, at, &row.plan.context, out)?,
        (Role::Set, Values::List(list)) => set(Operator::Set, list, at, style, out, cut)?,
        (Role::Operator(operator), Values::Struct(members)) => {
            let Some((member, place)) = members.first().and_then(|member| Some((member, member.column.at(at)?))) else { return Ok(false) };
            operate(row, *operator, &member.column.values, place, style, out)?;
        }
        (Role::JsonText, _) => {
            let mut scratch = std::mem::take(&mut row.state.scratch);
            scratch.clear();
            let written = value::json(values, at, Style::INSIDE, usize::MAX, &mut scratch, cut)
                .and_then(|()| style.text(out, &String::from_utf8_lossy(&scratch), cut));
            row.state.scratch = scratch;
            written?;
        }
        (Role::Nested, _) => value::json(values, at, style, LEVELS_MAX, out, cut)?,
        (Role::Object, _) => value::json(values, at, style, usize::MAX, out, cut)?,
        (Role::ObjectText, _) => json_text::object_text(text(values, at)?, out)?,
        (Role::Items, Values::List(list)) => {
            if row.state.charged == Some(false) {
                return Err(not_charged());
            }
            let count = value::items(&list.items, list.range(at)).count();
            if count > CHARGED_ITEMS_MAX {
                return Err(many_items(count, CHARGED_ITEMS_MAX));
            }
            value::json(values, at, style, 2, out, cut)?;
        }
        (Role::ItemsText, _) => {
            if row.state.charged == Some(false) {
                return Err(not_charged());
            }
            json_text::items_text(text(values, at)?, style, out, cut)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Writes a NULL property: nothing, or the operator that deletes it.
pub(super) fn null(deletes: bool, out: &mut Vec<u8>) -> bool {
    if deletes {
        out.extend_from_slice(b"{\"$delete\":1}");
    }
    deletes
}

/// Writes an identifier that is text, unless it is a mark for no value.
pub(super) fn text_identifier(text: &str, context: &Context, out: &mut Vec<u8>) -> Checked<()> {
    if context.refuses_null_marks && is_null_mark(text.as_bytes()) {
        return Err(a_null_mark());
    }
    identifier(text, out)
}

/// Writes an identifier.
pub(super) fn identifier(text: &str, out: &mut Vec<u8>) -> Checked<()> {
    if text.is_empty() {
        return Err(problem(NO_IDENTIFIER, "is empty; expected an identifier. WHERE leaves such rows out"));
    }
    if text.len() > IDENTIFIER_BYTES_MAX {
        return Err(problem(LONG_IDENTIFIER, format!("has {} bytes; an identifier has {IDENTIFIER_BYTES_MAX} at most", text.len())));
    }
    cell::text(out, text.as_bytes());
    Ok(())
}

#[cold]
fn a_null_mark() -> Box<super::reject::Problem> {
    problem(
        NULL_MARK,
        "is a mark such as NULL or \\N, which stands for no value and names nobody; expected an identifier. OPTIONS (null '…') of CREATE \
         EXTERNAL TABLE names the mark of a text file, nullif(value, '…') makes it NULL, WHERE leaves such rows out; SET clevertap.null_marks = \
         'send' sends it",
    )
}

#[cold]
fn not_whole() -> Box<super::reject::Problem> {
    problem(NO_IDENTIFIER, "is no whole number, or has more digits than its type keeps; an identifier is text or a whole number")
}

/// Calls `then` with the identifier at `at` as text.
pub(super) fn with_identifier<T>(values: &Values, at: usize, then: impl FnOnce(&str) -> T) -> Option<T> {
    match values {
        Values::Int(array) => Some(then(itoa::Buffer::new().format(array.value(at)))),
        Values::UInt(array) => Some(then(itoa::Buffer::new().format(array.value(at)))),
        _ => match values.text(at) {
            Some(text) => text.ok().map(then),
            None => value::whole(values, at).map(|whole| then(itoa::Buffer::new().format(whole))),
        },
    }
}

/// Hash of an identifier: depends on its text only, not on its Arrow type.
pub(super) fn hash(identifier: &[u8]) -> u64 {
    FixedState::default().hash_one(identifier)
}

/// The text at `at`; empty if the values are not text.
pub(super) fn text(values: &Values, at: usize) -> Checked<&str> {
    values.text(at).unwrap_or(Ok(""))
}

fn set(operator: Operator, list: &List, at: usize, style: Style, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    let mut count = 0;
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(operator.key().as_bytes());
    out.extend_from_slice(b"\":[");
    for item in value::items(&list.items, list.range(at)) {
        cell::comma(out);
        quoted(&list.items.values, item, style, out, cut)?;
        count += 1;
    }
    out.extend_from_slice(b"]}");
    if count > LIST_ITEMS_MAX { Err(many_items(count, LIST_ITEMS_MAX)) } else { Ok(()) }
}

fn operate(row: &mut Row<'_>, operator: Operator, values: &Values, at: usize, style: Style, out: &mut Vec<u8>) -> Checked<()> {
    match (operator, values) {
        (Operator::Add | Operator::Remove | Operator::Set, Values::List(list)) => set(operator, list, at, style, out, &mut row.state.cut)?,
        (Operator::Incr | Operator::Decr, _) => {
            out.extend_from_slice(b"{\"");
            out.extend_from_slice(operator.key().as_bytes());
            out.extend_from_slice(b"\":");
            value::json(values, at, style, 0, out, &mut row.state.cut)?;
            out.push(b'}');
            if !positive(values, at) {
                return Err(operand_refused(operator));
            }
            row.state.duplicates = true;
        }
        (Operator::Delete, _) => {
            let is_one = match values {
                Values::Bool(array) => array.value(at),
                Values::Int(array) => array.value(at) == 1,
                Values::UInt(array) => array.value(at) == 1,
                _ => false,
            };
            if !is_one {
                return Err(operand_refused(operator));
            }
            null(true, out);
        }
        _ => return Err(operand_refused(operator)),
    }
    Ok(())
}
