//! What the first pass settles of a file: its columns, their types, how many rows.
//!
//! In: the form of all records. Out: a schema, and warnings about columns of mixed kinds.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::form::Form;
use crate::TextError;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether each value is kept as its JSON.
    pub is_json: bool,
}

/// What was settled of a file.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) file: Arc<str>,
    pub(super) form: Form,
    rows: u64,
    columns: Arc<[Column]>,
}

impl Layout {
    pub(super) fn new(file: &Arc<str>, form: Form, rows: u64) -> Self {
        let columns = form.members().iter().map(|(name, form)| {
            let data_type = form.data_type();
            Column { name: name.clone(), is_json: data_type.is_none(), data_type: data_type.unwrap_or(DataType::Utf8View) }
        });
        let columns = columns.collect();
        Self { file: Arc::clone(file), form, rows, columns }
    }

    /// The layout of several files together: all columns of any of them, each of a type that keeps the values of all. A column that a file
    /// does not have is NULL there, as one that a record does not have.
    #[must_use]
    pub fn merge(layouts: &[Self]) -> Option<Self> {
        let (first, others) = layouts.split_first()?;
        let mut form = first.form.clone();
        others.iter().for_each(|other| form.merge(other.form.clone()));
        Some(Self::new(&first.file, form, layouts.iter().map(Self::rows).sum()))
    }

    /// Records of the file.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns in the order in which they first came.
    #[must_use]
    pub fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// The columns as a schema; each may be NULL.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// What to know of the columns: kinds that are mixed, names that differ in case alone.
    #[must_use]
    pub fn warnings(&self) -> Vec<TextError> {
        let mut warnings = Vec::new();
        for (at, (name, form)) in self.form.members().iter().enumerate() {
            let mut kinds: Vec<_> = form.kinds().collect();
            kinds.sort_by_key(|(_, line)| *line);
            if let [(first, first_line), (second, second_line), ..] = kinds.as_slice() {
                let is_json = self.columns.get(at).is_some_and(|column| column.is_json);
                let becomes = if is_json { "all its values are read as the text of their JSON" } else { "all its values are read as text" };
                let what = format!("{} here, {} in line {first_line}: {becomes}", second.name(), first.name());
                warnings.push(TextError::new(&self.file, what).line(*second_line).column(name));
            }
            let twin = self.columns.iter().take(at).find(|other| other.name.to_lowercase() == name.to_lowercase());
            if let Some(twin) = twin {
                let what = format!("its name differs from \"{}\" in case alone: they are two columns", twin.name);
                warnings.push(TextError::new(&self.file, what).column(name));
            }
        }
        warnings
    }
}
