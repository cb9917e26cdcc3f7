//! Writes one row by the steps of the plan, and explains a row that cannot be sent, on a second, slow path.
//!
//! In: bound columns and a row number. Out: the bytes of the record, or a [`Reject`] that names the first column at fault and holds
//! the record with the offending values as text.

use std::fmt::{self, Write as _};

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::bound::Bound;
use super::cell;
use super::field;
use super::properties::write_field_value;
use super::record_plan::{Field, Plan, Step};
use super::reject::{
    Checked, EVENT_NAME, EVIDENCE_BYTES_MAX, IDENTIFIER_BYTES_MAX, MANY_FIELDS, NO_IDENTIFIER, NO_TIME, Problem, REQUIRED, Reject, TWICE,
    problem,
};
use super::role::Role;
use super::state::{Row, RowState};
use crate::table::Shape;
use crate::write::mapping::IdentifierChoice;

/// Writes the row, or returns the first problem; the caller then truncates the output.
pub(super) fn write(plan: &Plan, columns: &[Bound], row: usize, state: &mut RowState, out: &mut Vec<u8>) -> Checked<()> {
    state.begin();
    for step in &plan.steps {
        match step {
            Step::Bytes(bytes) => out.extend_from_slice(bytes),
            Step::Next(bytes) => next(bytes, out),
            Step::Open(key) => open(key, out),
            Step::Close => out.push(b'}'),
            Step::Field(field) => write_field(plan, *field, &columns[*field], row, state, out)?,
        }
    }
    if !state.identified {
        return Err(missing(Shape::Identifier));
    }
    match plan.open {
        Some(open) if state.count > open.fields_max => Err(many_fields(state.count, open.fields_max)),
        _ => Ok(()),
    }
}

fn next(bytes: &[u8], out: &mut Vec<u8>) {
    cell::comma(out);
    out.extend_from_slice(bytes);
}

fn open(key: &[u8], out: &mut Vec<u8>) {
    next(key, out);
    out.push(b'{');
}

/// Writes the field with its key, unless the row has no value for it.
pub(super) fn write_field(plan: &Plan, at: usize, bound: &Bound, row: usize, state: &mut RowState, out: &mut Vec<u8>) -> Checked<()> {
    let field = &plan.fields[at];
    let place = bound.column.at(row);
    if place.is_none() && !field.deletes {
        let is_required = field.required || (field.shape == Shape::Identifier && plan.identifier_choice == IdentifierChoice::OneColumn);
        return if is_required { Err(missing(field.shape)) } else { Ok(()) };
    }
    if field.shape == Shape::Identifier && state.identified {
        return Ok(());
    }
    if let (Some(refused), Some(_)) = (&field.refused, place) {
        return Err(refused.clone());
    }
    if field.may_repeat && !state.unfolded.insert(field.name.clone()) {
        return Err(problem(TWICE, format!("has the key \"{}\", which the row has already; leave one of them out", field.name)));
    }
    let mark = out.len();
    state.cut = false;
    let unfolds = matches!(field.role, Role::UnfoldMap(_) | Role::UnfoldText);
    if !unfolds {
        next(&field.key, out);
    }
    let written = match place {
        None => field::null(true, out),
        Some(place) => match bound.fragment(place, state) {
            Some(fragment) => {
                out.extend_from_slice(fragment.map_err(|found| with_key(field, found))?);
                true
            }
            None => {
                write_field_value(&mut Row { plan, state }, at, &bound.column.values, place, out).map_err(|found| with_key(field, found))?
            }
        },
    };
    if !written {
        out.truncate(mark);
    }
    if state.cut {
        state.cuts.push(at);
    }
    if field.shape == Shape::Identifier
        && let Some(place) = place
    {
        state.identity = field::with_identifier(&bound.column.values, place, |text| field::hash(text.as_bytes())).unwrap_or_default();
        state.identified = true;
    }
    state.count += usize::from(field.counted && written);
    if state.warned.is_none() && plan.open.is_some_and(|open| state.count > open.fields_warn) {
        state.warned = Some(at);
    }
    Ok(())
}

fn with_key(field: &Field, found: Box<Problem>) -> Box<Problem> {
    if field.member.is_some() { found.at(&field.name) } else { found }
}

#[cold]
fn missing(shape: Shape) -> Box<Problem> {
    match shape {
        Shape::Identifier => problem(NO_IDENTIFIER, "is NULL; expected an identifier. WHERE leaves such rows out"),
        Shape::EpochSeconds => problem(
            NO_TIME,
            "is NULL; expected the time of the event. What ct_event_time or TRY_CAST does not read is NULL, too; WHERE leaves such rows out",
        ),
        Shape::EventName => problem(EVENT_NAME, "is NULL; expected the name of an event"),
        _ => problem(REQUIRED, "is NULL; every record has this field. WHERE leaves such rows out"),
    }
}

#[cold]
fn many_fields(count: usize, max: usize) -> Box<Problem> {
    problem(
        MANY_FIELDS,
        format!("brings the row to {count} fields; CleverTap takes {max}. Leave some out, or send them as one nested text"),
    )
}

/// Explains why [`write()`] refused a row.
#[cold]
pub(super) fn reject(plan: &Plan, columns: &[Bound], row: usize, state: &mut RowState) -> Reject {
    let mut record = Vec::new();
    let mut problems: Vec<(usize, Box<Problem>)> = Vec::new();
    state.begin();
    for step in &plan.steps {
        match step {
            Step::Bytes(bytes) => record.extend_from_slice(bytes),
            Step::Next(bytes) => next(bytes, &mut record),
            Step::Open(key) => open(key, &mut record),
            Step::Close => record.push(b'}'),
            Step::Field(field) => {
                let mark = record.len();
                if let Err(found) = write_field(plan, *field, &columns[*field], row, state, &mut record) {
                    record.truncate(mark);
                    problems.push((*field, found));
                    write_text(&plan.fields[*field], &columns[*field], row, &mut record);
                }
            }
        }
    }
    if problems.is_empty() && !state.identified {
        problems.push((plan.identifier, missing(Shape::Identifier)));
    }
    // Fields are in column order: report the leftmost column.
    let first = problems.into_iter().min_by_key(|(field, _)| *field);
    let (field, found) = first.unwrap_or_else(|| {
        let max = plan.open.map_or(0, |open| open.fields_max);
        (state.warned.unwrap_or(plan.identifier), many_fields(state.count, max))
    });
    let identifier = &columns[plan.identifier].column;
    let kept = |text: &str| (1..=IDENTIFIER_BYTES_MAX).contains(&text.len()).then(|| text.to_owned());
    let identifier = identifier.at(row).and_then(|at| field::with_identifier(&identifier.values, at, kept)).flatten();
    Reject {
        code: found.code,
        column: plan.fields[field].column.clone(),
        reason: found.reason,
        identifier,
        record: String::from_utf8(record).unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned()),
    }
}

/// The first [`EVIDENCE_BYTES_MAX`] of what is written to it, and an ellipsis where there is more.
#[derive(Default)]
struct Beginning {
    text: String,
    is_cut: bool,
}

impl fmt::Write for Beginning {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = EVIDENCE_BYTES_MAX - self.text.len();
        if more.len() <= room {
            self.text.push_str(more);
            return Ok(());
        }
        self.text.push_str(more.split_at(more.floor_char_boundary(room)).0);
        self.text.push('…');
        self.is_cut = true;
        // The rest is not even formatted.
        Err(fmt::Error)
    }
}

/// Writes the field with its value as text, whatever its type; nothing for NULL.
fn write_text(field: &Field, bound: &Bound, row: usize, out: &mut Vec<u8>) {
    if let Some(at) = bound.column.at(row) {
        next(&field.key, out);
        cell::text(out, text_of(&bound.column.array, at).as_bytes());
    }
}

/// The value as text, as far as evidence keeps it.
fn text_of(array: &ArrayRef, at: usize) -> String {
    let formatted = |array: &ArrayRef, at: usize| {
        // Else an error would be text.
        let options = FormatOptions::default().with_display_error(false);
        let formatter = ArrayFormatter::try_new(array, &options).ok()?;
        let mut text = Beginning::default();
        match write!(text, "{}", formatter.value(at)) {
            Err(_) if !text.is_cut => None,
            _ => Some(text.text),
        }
    };
    formatted(array, at).or_else(|| formatted(&cast(&array.slice(at, 1), &DataType::Int64).ok()?, 0)).unwrap_or_default()
}
