//! The files of a table, listed and learnt.
//!
//! In: what a source found. Out: the columns of a scan.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use datafusion::common::Result;

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

    /// The same with one more column of the files for each of `texts`: of this column, under this name, the cells' own text.
    ///
    /// # Errors
    /// The files no longer have such a column.
    pub(super) fn with_texts(self, texts: &[(String, String)]) -> Result<Self> {
        let mut fields = self.columns.fields().to_vec();
        let mut learnt_at = self.learnt_at.clone();
        for (column, text) in texts {
            learnt_at.push(self.learnt_at[self.columns.index_of(column)?]);
            fields.push(Arc::new(Field::new(text, DataType::Utf8View, true)));
        }
        Ok(Self { columns: Arc::new(Schema::new(fields)), learnt_at, ..self })
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
