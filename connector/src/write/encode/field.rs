//! The value of one field in one row, by its role.
//!
//! In: the place of a value that is there. Out: its bytes, and whether there are any; what the row must remember is kept in
//! [`State`].

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::bind::{List, Values};
use super::cell;
use super::compile::Plan;
use super::fragment::Dictionary;
use super::properties::{self, Keys, not_charged, operand_refused};
use super::reject::{
    CHARGED_ITEMS_MAX, Checked, IDENTIFIER_BYTES_MAX, LEVELS_MAX, LIST_ITEMS_MAX, LONG_IDENTIFIER, NO_IDENTIFIER, many_items, problem,
};
use super::time::Almanac;
use super::types::{self, Operator, Role};
use super::value::{self, Style, epoch_seconds, positive, quoted};
use crate::tables;

/// What is known of the row that is being written, and what is worth keeping between rows.
#[derive(Debug, Default)]
pub(super) struct State {
    /// A text of the field was cut.
    pub(super) cut: bool,
    /// The row has an operator that must not be carried out twice.
    pub(super) duplicates: bool,
    /// Whether the row is the event that takes items; `None` where the table says so.
    pub(super) charged: Option<bool>,
    /// Fields whose text was cut in this row.
    pub(super) cuts: Vec<usize>,
    /// The field that brought the row over the number that draws a warning.
    pub(super) warned: Option<usize>,
    /// Fields of the open object so far.
    pub(super) count: usize,
    /// Keys that columns unfolded into this row.
    pub(super) unfolded: HashSet<String>,
    /// Whether an identifier was written.
    pub(super) identified: bool,
    /// Hash of the row's identifier.
    pub(super) identity: u64,
    /// For each field, the keys that it unfolded so far.
    pub(super) keys: Vec<Keys>,
    /// Where JSON is written before it becomes text.
    scratch: Vec<u8>,
    /// Where a cell, or a whole row, is written before it is copied to its place.
    pub(super) cell: Vec<u8>,
    /// When days begin.
    pub(super) almanac: Almanac,
    /// For each field, the dictionary that was written last.
    pub(super) dictionaries: Vec<Option<Dictionary>>,
}

/// A row that is being written.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) plan: &'a Plan,
    pub(super) state: &'a mut State,
}

impl Row<'_> {
    /// Counts a field of the open object, or takes it back.
    pub(super) fn count(&mut self, written: bool, mark: usize, out: &mut Vec<u8>) {
        if written {
            self.state.count += 1;
        } else {
            out.truncate(mark);
        }
    }
}

impl State {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            almanac: Almanac::new(plan.context.clock),
            keys: vec![Keys::new(); plan.fields.len()],
            dictionaries: vec![None; plan.fields.len()],
            ..Self::default()
        }
    }

    /// Forgets the row before.
    pub(super) fn begin(&mut self) {
        self.cut = false;
        self.cuts.clear();
        self.warned = None;
        self.duplicates = false;
        self.charged = None;
        self.count = 0;
        self.unfolded.clear();
        self.identity = 0;
        self.identified = false;
    }
}

/// Writes the value at `at`; false where the field is to be left out.
pub(super) fn write(
    row: &mut Row<'_>,
    field: usize,
    role: &Role,
    style: Style,
    values: &Values,
    at: usize,
    out: &mut Vec<u8>,
) -> Checked<bool> {
    let cut = &mut row.state.cut;
    match (role, values) {
        (Role::Scalar, _) => value::json(values, at, style, 0, out, cut)?,
        (Role::Identifier, Values::Int(array)) => identifier(itoa::Buffer::new().format(array.value(at)), out)?,
        (Role::Identifier, Values::UInt(array)) => identifier(itoa::Buffer::new().format(array.value(at)), out)?,
        (Role::Identifier, _) => identifier(text(values, at)?, out)?,
        (Role::EpochSeconds, _) => cell::integer(out, epoch_seconds(values, at)?),
        (Role::EventName, _) => {
            let name = text(values, at)?;
            types::event_name(name, row.plan.names.forbidden())?;
            row.state.charged = Some(name == tables::CHARGED);
            cell::text(out, name.as_bytes());
        }
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
        (Role::ObjectText, _) => properties::object_text(text(values, at)?, out)?,
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
            properties::items_text(text(values, at)?, style, out, cut)?;
        }
        (Role::UnfoldMap(_), _) => properties::unfold_map(row, field, values, at, out)?,
        (Role::UnfoldText, _) => properties::unfold_text(row, field, text(values, at)?, out)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// What a NULL property is: nothing, or the operator that deletes it.
pub(super) fn null(deletes: bool, out: &mut Vec<u8>) -> bool {
    if deletes {
        out.extend_from_slice(b"{\"$delete\":1}");
    }
    deletes
}

/// Text that says who somebody is.
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

/// The identifier at `at` as text, for people and for [`hash`].
pub(super) fn with_identifier<T>(values: &Values, at: usize, then: impl FnOnce(&str) -> T) -> Option<T> {
    match values {
        Values::Int(array) => Some(then(itoa::Buffer::new().format(array.value(at)))),
        Values::UInt(array) => Some(then(itoa::Buffer::new().format(array.value(at)))),
        _ => values.text(at)?.ok().map(then),
    }
}

/// Of an identifier: the same for the same text, whatever Arrow type it had.
pub(super) fn hash(identifier: &[u8]) -> u64 {
    FixedState::default().hash_one(identifier)
}

fn text(values: &Values, at: usize) -> Checked<&str> {
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
            let meant = match values {
                Values::Bool(array) => array.value(at),
                Values::Int(array) => array.value(at) == 1,
                Values::UInt(array) => array.value(at) == 1,
                _ => false,
            };
            if !meant {
                return Err(operand_refused(operator));
            }
            null(true, out);
        }
        _ => return Err(operand_refused(operator)),
    }
    Ok(())
}
