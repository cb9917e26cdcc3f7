//! The files of a table, listed and learnt.
//!
//! In: what a source found. Out: the columns of a scan.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::{
    super::hive::Partitions,
    learn::{Layouts, TextFile},
    pieces::{Place, Writing},
};

/// The files of a table, known to the last cell.
#[derive(Debug)]
pub(super) struct TextFiles {
    pub(super) place: Place,
    pub(super) files: Vec<TextFile>,
    pub(super) writing: Writing,
    pub(super) layouts: Layouts,
    pub(super) partitions: Partitions,
    /// The columns of the files as they are read, of declared or learnt types.
    pub(super) columns: SchemaRef,
    /// For each of these, which one of the learnt columns it is.
    pub(super) learnt_at: Vec<usize>,
}

impl TextFiles {
    /// Columns of files, then those of folders.
    pub(super) fn schema(&self) -> SchemaRef {
        let fields = self.columns.fields().iter().chain(&self.partitions.fields);
        Arc::new(Schema::new(fields.cloned().collect::<Vec<FieldRef>>()))
    }

    /// The same with the types that were declared.
    pub(super) fn declared_schema(&self, declared: &Schema) -> SchemaRef {
        let schema = self.schema();
        let fields = schema.fields().iter().map(|field| match declared.field_with_name(field.name()) {
            Ok(declared) => Arc::new(declared.clone()),
            Err(_) => Arc::clone(field),
        });
        Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()))
    }
}
