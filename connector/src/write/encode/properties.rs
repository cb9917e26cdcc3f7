//! Keys that become fields: of a map, of JSON text, of a struct.
//!
//! In: the keys of a value, row by row. Out: fields beside those of the columns. A key means what a column of its name means, so
//! that `email` is the field `Email` however it comes; a name that lasts for ever is checked before it is sent.

use std::collections::HashMap;
use std::sync::Arc;

use super::bind::Values;
use super::cell;
use super::compile::{Context, key_of};
use super::field::{self, Row};
use super::json::{self, Json};
use super::reject::{
    CHARGED_ITEMS_MAX, Checked, ITEMS, KEY, LEVELS_MAX, LIST_ITEMS_MAX, NO_IDENTIFIER, OPERAND, TWICE, depth, many_items, problem, twice,
};
use super::types::{self, Operator, Role};
use super::value::{Long, Style};
use crate::table::{Open, Shape, Table};
use crate::tables;
use crate::write::mapping::{Mapping, check_name};

/// Distinct keys that are remembered; an input with more is one whose keys are values.
const KEYS_MAX: usize = 10_000;

/// What a JSON text of properties should have been.
const OBJECT: &str = "a JSON object";
/// What a JSON text of items should have been.
const ITEM_LIST: &str = "a JSON list of objects without lists and objects in them";

/// The names that the fields of a record have.
#[derive(Debug)]
pub(super) struct Names {
    table: &'static Table,
    open: Option<Open>,
    event: Option<String>,
    /// Fields of the open object that columns have, and these columns.
    taken: Vec<(String, String)>,
    unfolded: usize,
}

/// A key, as it was understood.
#[derive(Debug)]
pub(super) struct Key {
    name: String,
    /// `"name":`.
    encoded: Vec<u8>,
    shape: Shape,
    /// How the values of a map are written under it.
    role: Role,
}

/// The keys that were met so far.
pub(super) type Keys = HashMap<String, Checked<Arc<Key>>>;

impl Names {
    pub(super) fn new(mapping: &Mapping, open: Option<&Open>) -> Self {
        let parent = open.map(|open| key_of(open.pointer));
        let fields = mapping.fields.iter().filter(|field| parent.is_some() && field.parent == parent);
        Self {
            table: mapping.table,
            open: open.copied(),
            event: mapping.event.clone(),
            taken: fields.clone().filter(|f| f.shape != Shape::Properties).map(|f| (f.key.clone(), f.name.clone())).collect(),
            unfolded: fields.filter(|field| field.shape == Shape::Properties).count(),
        }
    }

    /// The object whose keys these are.
    pub(super) fn parent(&self) -> Option<&'static str> {
        self.open.map(|open| key_of(open.pointer))
    }

    /// Characters that no name here may hold.
    pub(super) fn forbidden(&self) -> &'static str {
        self.open.map_or("", |open| open.forbidden)
    }

    /// Whether two columns unfold, and so may unfold one key twice.
    pub(super) fn contested(&self) -> bool {
        self.unfolded > 1
    }

    /// The field that a key becomes.
    pub(super) fn resolve(&self, key: &str) -> Checked<(String, Shape)> {
        let Some(open) = &self.open else { return Ok((key.to_owned(), Shape::Value)) };
        let inside = |pointer: &'static str| pointer.strip_prefix(open.pointer).and_then(|rest| rest.strip_prefix('/'));
        let standard = self.table.column_like(key).and_then(|column| Some((inside(column.target.pointer()?)?, column.target.shape()?)));
        let (name, shape) = match standard {
            Some((name, shape)) => (name.to_owned(), shape),
            None => {
                check_name(key, open).map_err(|reason| problem(KEY, format!("has the key \"{key}\", which {reason}")))?;
                (key.to_owned(), Shape::Value)
            }
        };
        if standard.is_none()
            && let Some(column) = self
                .table
                .columns
                .iter()
                .find(|c| c.target.shape() == Some(Shape::Identity) && c.target.pointer().and_then(inside) == Some(key))
        {
            return Err(problem(
                KEY,
                format!(
                    "has the key \"{key}\", which would link two people for ever; leave it out, or say so with the key \"{}\"",
                    column.name
                ),
            ));
        }
        if shape == Shape::Items && self.event.as_deref().is_some_and(|event| event != tables::CHARGED) {
            return Err(not_charged());
        }
        match self.taken.iter().find(|(taken, _)| *taken == name) {
            Some((_, column)) => Err(twice(&name, column)),
            None => Ok((name, shape)),
        }
    }

    fn key(&self, key: &str, values: Option<&arrow::datatypes::DataType>, context: &Context) -> Checked<Key> {
        let (name, shape) = self.resolve(key)?;
        let role = match values {
            None => Role::Scalar,
            Some(values) => types::role(shape, values, context)
                .map_err(|reason| problem(KEY, format!("has the key \"{key}\", whose value {}", reason.replace("{x}", "the value"))))?,
        };
        Ok(Key { encoded: cell::key(&name), name, shape, role })
    }
}

#[cold]
pub(super) fn not_charged() -> Box<super::reject::Problem> {
    problem(ITEMS, format!("has items, which the event {} takes alone; leave them NULL for other events", tables::CHARGED))
}

/// Looks `key` up, understanding it the first time.
fn known(row: &mut Row<'_>, field: usize, key: &str, values: Option<&arrow::datatypes::DataType>) -> Checked<Arc<Key>> {
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

/// The entries of a map beside the columns.
pub(super) fn unfold_map(row: &mut Row<'_>, field: usize, values: &Values, at: usize, out: &mut Vec<u8>) -> Checked<()> {
    let Values::Map(map) = values else { return Ok(()) };
    let Role::UnfoldMap(value_type) = &row.plan.fields[field].role else { return Ok(()) };
    for entry in map.range(at) {
        let Some(key) = map.keys.at(entry).and_then(|place| map.keys.values.text(place)) else { continue };
        let key = known(row, field, key?, Some(value_type))?;
        let style = row.plan.context.style(key.shape);
        let mark = out.len();
        cell::comma(out);
        out.extend_from_slice(&key.encoded);
        let written = match map.values.at(entry) {
            Some(place) => {
                field::write(row, field, &key.role, style, &map.values.values, place, out).map_err(|found| found.at(&key.name))?
            }
            None => field::null(row.plan.context.deletes(key.shape), out),
        };
        row.count(written, mark, out);
    }
    Ok(())
}

/// The keys of a JSON text beside the columns.
pub(super) fn unfold_text(row: &mut Row<'_>, field: usize, text: &str, out: &mut Vec<u8>) -> Checked<()> {
    let Json::Object(pairs) = json::parse(text, OBJECT)? else { return Err(json::not_json(OBJECT)) };
    for (key, value) in &pairs {
        let key = known(row, field, key, None)?;
        let mark = out.len();
        cell::comma(out);
        out.extend_from_slice(&key.encoded);
        let written = property(row, &key, value, out).map_err(|found| found.at(&key.name))?;
        row.count(written, mark, out);
    }
    Ok(())
}

/// One value of a JSON text as a property; false where it is none.
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
        (Shape::Identity, Json::Text(text)) => field::identifier(text, out)?,
        (Shape::Identity, Json::Number(digits)) => field::identifier(digits, out)?,
        (Shape::Identity, _) => return Err(problem(NO_IDENTIFIER, "is not text; an identifier is text or a whole number")),
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

/// The value as JSON text.
fn text(value: &Json<'_>, style: Style, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    let mut inner = Vec::new();
    value.write(Style::INSIDE, usize::MAX, &mut inner, cut)?;
    style.text(out, &String::from_utf8_lossy(&inner), cut)
}

/// The operator that an object of one key is.
fn operator<'a, 'j>(pairs: &'a [(String, Json<'j>)]) -> Option<(Operator, &'a Json<'j>)> {
    let [(name, operand)] = pairs else { return None };
    Some((Operator::named(name)?, operand))
}

fn operate(row: &mut Row<'_>, operator: Operator, operand: &Json<'_>, style: Style, out: &mut Vec<u8>) -> Checked<bool> {
    if !row.plan.context.operators {
        let key = operator.key();
        return Err(problem(KEY, format!("holds the operator {key}, which properties of clevertap.profiles take alone; send its value")));
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

#[cold]
pub(super) fn operand_refused(operator: Operator) -> Box<super::reject::Problem> {
    let expected = match operator {
        Operator::Add | Operator::Remove | Operator::Set => "a list of text",
        Operator::Incr | Operator::Decr => "a number above 0; $incr adds and $decr subtracts",
        Operator::Delete => "1; NULL leaves the property as it is",
    };
    problem(OPERAND, format!("has the operator {} with something else than {expected}", operator.key()))
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

/// `Items` of a Charged event from parsed JSON.
fn items(value: &Json<'_>, style: Style, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    let Json::List(list) = value else { return Err(json::not_json(ITEM_LIST)) };
    if list.len() > CHARGED_ITEMS_MAX {
        return Err(many_items(list.len(), CHARGED_ITEMS_MAX));
    }
    for item in list {
        let Json::Object(pairs) = item else { return Err(json::not_json(ITEM_LIST)) };
        if !pairs.iter().all(|(_, value)| value.is_scalar()) {
            return Err(depth(2));
        }
    }
    value.write(style, 2, out, cut)
}

/// `Items` from JSON text.
pub(super) fn items_text(text: &str, style: Style, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    items(&json::parse(text, ITEM_LIST)?, style, out, cut)
}

/// An object from JSON text.
pub(super) fn object_text(text: &str, out: &mut Vec<u8>) -> Checked<()> {
    let value = json::parse(text, OBJECT)?;
    let Json::Object(_) = value else { return Err(json::not_json(OBJECT)) };
    value.write(Style { long: Long::Keep, ..Style::INSIDE }, usize::MAX, out, &mut false)
}
