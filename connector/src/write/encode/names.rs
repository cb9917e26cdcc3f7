//! Names of the fields of a record, and how keys are resolved to them.
//!
//! A key means what a column of its name means: `email` becomes the field `Email` either way. CleverTap never forgets a property
//! name, so each is checked before it is sent.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;

use super::cell;
use super::context::Context;
use super::reject::{Checked, KEY, not_charged, problem, twice};
use super::role::Role;
use super::types;
use crate::table::{Open, Shape, Table};
use crate::tables;
use crate::write::mapping::{Mapping, check_name, standard_property};

/// The field names of a statement.
#[derive(Debug)]
pub(super) struct Names {
    table: &'static Table,
    open: Option<Open>,
    event: Option<String>,
    /// Fields of the open object that are columns, with the column names.
    taken: Vec<(String, String)>,
    /// Number of columns that unfold.
    unfolded: usize,
}

/// A resolved key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    /// `"name":`.
    pub(super) encoded: Vec<u8>,
    pub(super) shape: Shape,
    /// How values of a map are written under it.
    pub(super) role: Role,
}

/// The resolved keys so far.
pub(super) type KnownKeys = HashMap<String, Checked<Arc<Key>>>;

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

    /// The key of the object that holds the properties.
    pub(super) fn parent(&self) -> Option<&'static str> {
        self.open.map(|open| key_of(open.pointer))
    }

    /// Characters that no name may contain.
    pub(super) fn forbidden(&self) -> &'static str {
        self.open.map_or("", |open| open.forbidden)
    }

    /// Whether several columns unfold, so that a key may come from two of them.
    pub(super) fn may_repeat(&self) -> bool {
        self.unfolded > 1
    }

    /// The field that a key becomes.
    pub(super) fn resolve(&self, key: &str) -> Checked<(String, Shape)> {
        let Some(open) = &self.open else { return Ok((key.to_owned(), Shape::Value)) };
        let inside = |pointer: &'static str| pointer.strip_prefix(open.pointer).and_then(|rest| rest.strip_prefix('/'));
        let standard = standard_property(self.table, open, key);
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

    pub(super) fn key(&self, key: &str, values: Option<&DataType>, context: &Context) -> Checked<Key> {
        let (name, shape) = self.resolve(key)?;
        let role = match values {
            None => Role::Scalar,
            Some(values) => types::role(shape, values, context)
                .map_err(|reason| problem(KEY, format!("has the key \"{key}\", whose value {}", reason.replace("{x}", "the value"))))?,
        };
        Ok(Key { encoded: cell::key(&name), name, shape, role })
    }
}

/// `evtData` of `/evtData`.
pub(super) fn key_of(pointer: &'static str) -> &'static str {
    pointer.strip_prefix('/').unwrap_or(pointer)
}
