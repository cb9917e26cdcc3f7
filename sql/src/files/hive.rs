//! Columns that stand in the names of folders: `country=DE/city=Berlin/x.csv`.
//!
//! In: the folders of files. Out: columns, whole numbers where all of them come back as the same text; Hive's mark is NULL.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion_clevertap::copy::NULL_PARTITION;

use super::listed::ListedFile;

/// The partition columns of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Partitions {
    pub(super) fields: Vec<FieldRef>,
    /// Of each file, a value for each field.
    pub(super) values: Vec<Vec<ScalarValue>>,
}

impl Partitions {
    /// From the paths of files below the table's place.
    ///
    /// # Errors
    /// Folders of files do not name the same columns.
    pub(super) fn of(files: &[ListedFile]) -> Result<Self> {
        let pairs: Vec<Vec<(String, Option<String>)>> = files.iter().map(|file| folders(&file.below)).collect();
        let Some(first) = pairs.first() else { return Ok(Self::default()) };
        let names = |pairs: &[(String, Option<String>)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if let Some(other) = pairs.iter().find(|other| names(other) != names(first)) {
            let list = |pairs: &[(String, Option<String>)]| if pairs.is_empty() { "none".into() } else { names(pairs).join(", ") };
            return plan_err!("the folders of its files name different columns: {} and {}", list(first), list(other));
        }
        let mut fields = Vec::new();
        let mut values = vec![Vec::new(); files.len()];
        for (at, (name, _)) in first.iter().enumerate() {
            let texts = || pairs.iter().filter_map(|pairs| pairs.get(at)).map(|(_, text)| text.as_deref());
            let is_number = texts().flatten().all(|text| text.parse().is_ok_and(|number: i64| number.to_string() == text));
            let is_number = is_number && texts().any(|text| text.is_some());
            for (values, text) in values.iter_mut().zip(texts()) {
                values.push(match is_number {
                    true => ScalarValue::Int64(text.and_then(|text| text.parse().ok())),
                    false => ScalarValue::Utf8View(text.map(str::to_owned)),
                });
            }
            let data_type = if is_number { DataType::Int64 } else { DataType::Utf8View };
            fields.push(Arc::new(Field::new(name, data_type, true)));
        }
        Ok(Self { fields, values })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name() == name)
    }

    /// Leaves out the columns that the files have too, and says what is to be told of them.
    pub(super) fn without(&mut self, is_of_files: impl Fn(&str) -> bool) -> Vec<String> {
        let kept: Vec<bool> = self.fields.iter().map(|field| !is_of_files(field.name())).collect();
        let left_out = self.fields.iter().zip(&kept).filter(|(_, kept)| !**kept);
        let note =
            |name: &str| format!("column \"{name}\" stands in the files and in the names of their folders: that of the files is read");
        let notes = left_out.map(|(field, _)| note(field.name())).collect();
        for values in &mut self.values {
            let mut kept = kept.iter();
            values.retain(|_| kept.next().copied().unwrap_or(true));
        }
        let mut kept = kept.iter();
        self.fields.retain(|_| kept.next().copied().unwrap_or(true));
        notes
    }

    /// Gives the columns the types that were declared for them.
    ///
    /// # Errors
    /// A value is not of its type.
    pub(super) fn cast(&mut self, declared: &Schema) -> Result<()> {
        for (at, field) in self.fields.iter_mut().enumerate() {
            let Ok(wanted) = declared.field_with_name(field.name()) else { continue };
            for values in &mut self.values {
                if let Some(value) = values.get_mut(at) {
                    *value = value.cast_to(wanted.data_type())?;
                }
            }
            *field = Arc::new(wanted.clone());
        }
        Ok(())
    }
}

/// The columns that a path names, without those of Hive's NULL.
fn folders(path: &str) -> Vec<(String, Option<String>)> {
    let Some((folders, _)) = path.rsplit_once('/') else { return Vec::new() };
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = folders.split('/').filter_map(|folder| folder.split_once('='));
    pairs.map(|(name, value)| (decoded(name), (value != NULL_PARTITION).then(|| decoded(value)))).collect()
}
