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

impl Column {
    /// What becomes of values whose kinds are mixed.
    fn becomes(&self) -> &'static str {
        if self.is_json { "all its values are read as the text of their JSON" } else { "all its values are read as text" }
    }
}

/// What was settled of a file.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) file: Arc<str>,
    pub(super) form: Form,
    rows: u64,
    columns: Arc<[Column]>,
    /// Of several files together; else they are those of the form.
    warnings: Option<Vec<TextError>>,
}

impl Layout {
    pub(super) fn new(file: &Arc<str>, form: Form, rows: u64) -> Self {
        let columns = form.members().iter().map(|(name, form)| {
            let data_type = form.data_type();
            Column { name: name.clone(), is_json: data_type.is_none(), data_type: data_type.unwrap_or(DataType::Utf8View) }
        });
        let columns = columns.collect();
        Self { file: Arc::clone(file), form, rows, columns, warnings: None }
    }

    /// The layout of several files together: all columns of any of them, each of a type that keeps the values of all. A column that a file
    /// does not have is NULL there, as one that a record does not have.
    #[must_use]
    pub fn merge(layouts: &[Self]) -> Option<Self> {
        let (first, others) = layouts.split_first()?;
        let mut form = first.form.clone();
        others.iter().for_each(|other| form.merge(other.form.clone()));
        let merged = Self::new(&first.file, form, layouts.iter().map(Self::rows).sum());
        let of_each = layouts.iter().flat_map(Self::warnings);
        let warnings = if others.is_empty() { None } else { Some(of_each.chain(merged.warnings_between(layouts)).collect()) };
        Some(Self { warnings, ..merged })
    }

    /// What to know of columns whose kinds are mixed, and in no file by itself.
    fn warnings_between(&self, layouts: &[Self]) -> Vec<TextError> {
        let mut warnings = Vec::new();
        for column in self.columns.iter() {
            // The first kind of each file that has the column.
            let kinds = layouts.iter().filter_map(|layout| {
                let (_, form) = layout.form.members().iter().find(|(name, _)| *name == column.name)?;
                let kinds: Vec<_> = form.kinds().collect();
                Some((layout, kinds))
            });
            let kinds: Vec<_> = kinds.filter(|(_, kinds)| !kinds.is_empty()).collect();
            if kinds.iter().any(|(_, kinds)| kinds.len() > 1) {
                continue;
            }
            let mut ones = kinds.iter().filter_map(|(layout, kinds)| kinds.first().map(|(kind, line)| (*layout, kind, *line)));
            let Some((first, kind, _)) = ones.next() else { continue };
            if let Some((other, other_kind, line)) = ones.find(|(_, other, _)| other.name() != kind.name()) {
                let what = format!("{} here, {} in {}: {}", other_kind.name(), kind.name(), first.file, column.becomes());
                warnings.push(TextError::new(&other.file, what).line(line).column(&column.name));
            }
        }
        warnings
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
        if let Some(warnings) = &self.warnings {
            return warnings.clone();
        }
        let mut warnings = Vec::new();
        for (at, (name, form)) in self.form.members().iter().enumerate() {
            let mut kinds: Vec<_> = form.kinds().collect();
            kinds.sort_by_key(|(_, line)| *line);
            if let [(first, first_line), (second, second_line), ..] = kinds.as_slice() {
                let becomes = self.columns.get(at).map_or("", Column::becomes);
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
