//! Keys that become fields: of a map, of JSON text, of a struct.
//!
//! In: the keys of a value, row by row. Out: fields beside those of the columns. A key means what a column of its name means: `email`
//! becomes the field `Email` either way. CleverTap never forgets a property name, so each is checked before it is sent.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::bind::Values;
use super::cell;
use super::field;
use super::json::{self, Json};
use super::json_text::{OBJECT, items};
use super::names::Key;
use super::reject::{Checked, KEY, LEVELS_MAX, LIST_ITEMS_MAX, NO_IDENTIFIER, TWICE, many_items, not_charged, problem};
use super::role::{Operator, Role, operand_refused};
use super::standard;
use super::state::Row;
use super::value::Style;
use crate::table::Shape;

/// Distinct keys that are cached. An input with more has values as its keys.
const KEYS_MAX: usize = 10_000;

/// Resolves `key`, from the cache after the first time.
fn resolve(row: &mut Row<'_>, field: usize, key: &str, values: Option<&DataType>) -> Checked<Arc<Key>> {
    let keys = &mut row.state.keys[field];
    let found = match keys.get(key) {
        Some(found) => found.clone(),
        None => {
            if keys.len() >= KEYS_MAX {
                keys.clear();
            }
            let found = row.plan.names.key(key, values, &row.plan.context).map(Arc::new);
            keys.insert(key.to_owned(), found.clone());
            found
        }
    }?;
    if !row.state.unfolded.insert(found.name.clone()) {
        return Err(problem(TWICE, format!("has the key \"{}\", which the row has already; leave one of them out", found.name)));
    }
    Ok(found)
}

/// Writes the entries of a map as fields.
fn unfold_map(row: &mut Row<'_>, field: usize, values: &Values, at: usize, out: &mut Vec<u8>) -> Checked<()> {
    let Values::Map(map) = values else { return Ok(()) };
    let Role::UnfoldMap(value_type) = &row.plan.fields[field].role else { return Ok(()) };
    for entry in map.range(at) {
        let Some(key) = map.keys.at(entry).and_then(|place| map.keys.values.text(place)) else { continue };
        let key = resolve(row, field, key?, Some(value_type))?;
        let style = row.plan.context.style(key.shape);
        let mark = out.len();
        cell::comma(out);
        out.extend_from_slice(&key.encoded);
        let written = match map.values.at(entry) {
            Some(place) => field::write(row, &key.role, style, &map.values.values, place, out).map_err(|found| found.at(&key.name))?,
            None => field::null(row.plan.context.deletes(key.shape), out),
        };
        row.count(written, mark, out);
    }
    Ok(())
}

/// Writes the keys of a JSON text as fields.
fn unfold_text(row: &mut Row<'_>, field: usize, text: &str, out: &mut Vec<u8>) -> Checked<()> {
    let Json::Object(pairs) = json::parse(text, OBJECT)? else { return Err(json::not_json(OBJECT)) };
    for (key, value) in &pairs {
        let key = resolve(row, field, key, None)?;
        let mark = out.len();
        cell::comma(out);
        out.extend_from_slice(&key.encoded);
        let written = property(row, &key, value, out).map_err(|found| found.at(&key.name))?;
        row.count(written, mark, out);
    }
    Ok(())
}

/// Writes one value of a JSON text as a property; false if the field is left out.
fn property(row: &mut Row<'_>, key: &Key, value: &Json<'_>, out: &mut Vec<u8>) -> Checked<bool> {
    let context = &row.plan.context;
    let style = context.style(key.shape);
    let cut = &mut row.state.cut;
    match (key.shape, value) {
        (_, Json::Null) => return Ok(field::null(context.deletes(key.shape), out)),
        (Shape::Object, Json::Object(_)) => value.write(style, usize::MAX, out, cut)?,
        (Shape::Object, _) => return Err(json::not_json(OBJECT)),
        (Shape::Items, _) => {
            if row.state.charged == Some(false) {
                return Err(not_charged());
            }
            items(value, style, out, cut)?;
        }
        (Shape::Identity, Json::Text(text)) => field::text_identifier(text, context, out)?,
        (Shape::Identity, Json::Number(digits)) => field::identifier(digits, out)?,
        (Shape::Identity, _) => return Err(problem(NO_IDENTIFIER, "is not text; an identifier is text or a whole number")),
        (Shape::Standard(_), Json::Object(pairs)) if operator(pairs).is_some() => {
            return operator(pairs).map_or(Ok(false), |(operator, operand)| operate(row, operator, operand, style, out));
        }
        (Shape::Standard(kind), value) => standard::json(kind, value, context, out)?,
        (_, Json::List(list)) if list.iter().all(Json::is_scalar) => {
            if context.operators {
                set(Operator::Set, list, style, out, cut)?;
            } else {
                text(value, style, out, cut)?;
            }
        }
        (_, Json::Object(pairs)) if operator(pairs).is_some() => {
            return operator(pairs).map_or(Ok(false), |(operator, operand)| operate(row, operator, operand, style, out));
        }
        (_, Json::List(_) | Json::Object(_)) if context.nested => value.write(style, LEVELS_MAX, out, cut)?,
        (_, Json::List(_) | Json::Object(_)) => text(value, style, out, cut)?,
        _ => value.write(style, 0, out, cut)?,
    }
    Ok(true)
}

/// Writes the value as a JSON string of its JSON text.
fn text(value: &Json<'_>, style: Style, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    let mut inner = Vec::new();
    value.write(Style::INSIDE, usize::MAX, &mut inner, cut)?;
    style.text(out, &String::from_utf8_lossy(&inner), cut)
}

/// The operator and operand, if the object has one key and that is an operator.
fn operator<'a, 'j>(pairs: &'a [(String, Json<'j>)]) -> Option<(Operator, &'a Json<'j>)> {
    let [(name, operand)] = pairs else { return None };
    Some((Operator::named(name)?, operand))
}

fn operate(row: &mut Row<'_>, operator: Operator, operand: &Json<'_>, style: Style, out: &mut Vec<u8>) -> Checked<bool> {
    if !row.plan.context.operators {
        let key = operator.key();
        return Err(problem(KEY, format!("holds the operator {key}, which properties of people take alone; send its value")));
    }
    match (operator, operand) {
        (_, Json::Null) => return Ok(false),
        (Operator::Add | Operator::Remove | Operator::Set, Json::List(list)) if list.iter().all(Json::is_scalar) => {
            set(operator, list, style, out, &mut row.state.cut)?;
        }
        (Operator::Incr | Operator::Decr, Json::Number(digits))
            if digits.parse::<f64>().is_ok_and(|number| number > 0.0 && number.is_finite()) =>
        {
            out.extend_from_slice(format!("{{\"{}\":{digits}}}", operator.key()).as_bytes());
            row.state.duplicates = true;
        }
        (Operator::Delete, Json::Number("1") | Json::Bool(true)) => {
            field::null(true, out);
        }
        _ => return Err(operand_refused(operator)),
    }
    Ok(true)
}

fn set(operator: Operator, list: &[Json<'_>], style: Style, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    let mut count = 0;
    out.extend_from_slice(format!("{{\"{}\":[", operator.key()).as_bytes());
    for item in list.iter().filter(|item| **item != Json::Null) {
        cell::comma(out);
        match item {
            Json::Text(text) => style.text(out, text, cut)?,
            other => {
                out.push(b'"');
                other.write(Style::INSIDE, 0, out, cut)?;
                out.push(b'"');
            }
        }
        count += 1;
    }
    out.extend_from_slice(b"]}");
    if count > LIST_ITEMS_MAX { Err(many_items(count, LIST_ITEMS_MAX)) } else { Ok(()) }
}

/// Writes the value at `at` of a field of the plan, unfolding its keys if its role says so; false if the field is left out.
pub(super) fn write_field_value(row: &mut Row<'_>, field_index: usize, values: &Values, at: usize, out: &mut Vec<u8>) -> Checked<bool> {
    let field = &row.plan.fields[field_index];
    match &field.role {
        Role::UnfoldMap(_) => unfold_map(row, field_index, values, at, out).map(|()| true),
        Role::UnfoldText => unfold_text(row, field_index, field::text(values, at)?, out).map(|()| true),
        role => field::write(row, role, field.style, values, at, out),
    }
}
