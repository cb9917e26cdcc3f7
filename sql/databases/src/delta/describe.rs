//! A table as a write sees it: its columns, or why it cannot be written.
//!
//! In: a snapshot. Out: a [`Relation`], as of any database.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::EagerSnapshot;
use deltalake_core::kernel::transaction::PROTOCOL;

use super::fault::fault;
use super::place::Place;
use crate::error::{Doing, Result};
use crate::relation::{Column, Comparison, Relation, Unnamed};

/// What a write needs to know of a table.
///
/// # Errors
/// [`crate::Error::Statement`] if it has features that cannot be written.
pub(super) fn writable(place: &Place, snapshot: &EagerSnapshot) -> Result<Relation> {
    PROTOCOL.can_write_to(snapshot).map_err(|error| fault(&place.shown(), Doing::Writing, &DeltaTableError::from(error)))?;
    Ok(Relation {
        database: String::new(),
        schema: String::new(),
        name: place.shown(),
        columns: snapshot.arrow_schema().fields().iter().map(|field| column(field)).collect(),
        key: Vec::new(),
        rows: None,
        is_view: false,
        exists: true,
        is_transactional: true,
    })
}

fn column(field: &Field) -> Column {
    let is_generated = field.metadata().contains_key("delta.generationExpression");
    Column {
        name: field.name().clone(),
        stored: None,
        data_type: field.data_type().clone(),
        nullable: field.is_nullable(),
        sql_type: type_name(field.data_type()),
        is_cast: false,
        chars_max: chars_max(field.metadata()),
        unnamed: if is_generated { Unnamed::Generated } else { Unnamed::Null },
        comparison: Comparison::Exact,
        is_loosely_equal: false,
    }
}

/// Most characters of a column that Spark has declared as `varchar(10)`.
fn chars_max(metadata: &HashMap<String, String>) -> Option<usize> {
    let declared = metadata.get("__CHAR_VARCHAR_TYPE_STRING")?;
    let digits = declared.trim_matches('"').strip_prefix("varchar(").or_else(|| declared.trim_matches('"').strip_prefix("char("))?;
    digits.strip_suffix(')')?.parse().ok()
}

/// A type by Delta's name.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int8 => "byte".into(),
        DataType::Int16 => "short".into(),
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "long".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Utf8 => "string".into(),
        DataType::Binary => "binary".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp".into(),
        DataType::Timestamp(_, None) => "timestamp_ntz".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::List(element) => format!("array of {}", type_name(element.data_type())),
        DataType::Struct(_) => "struct".into(),
        DataType::Map(..) => "map".into(),
        other => other.to_string(),
    }
}
