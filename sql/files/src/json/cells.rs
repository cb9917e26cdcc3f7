//! The values of one column, on their way into an array.
//!
//! In: values as they stand. Out: an array of the column's type. Lists and objects are built by arrow-json.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, StringViewBuilder, UInt64Builder, new_empty_array,
    },
    datatypes::{DataType, Field, Schema},
    json::ReaderBuilder,
};

use super::{
    form::Kind,
    layout::Column,
    members::{Origin, text},
    numbers::scaled,
};
use crate::TextError;

/// The values of a column of one batch.
#[derive(Debug)]
pub(super) enum Cells {
    /// Texts, and the digits and words of what is none.
    Text(StringViewBuilder),
    /// JSON as it stands.
    Json(StringViewBuilder),
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    UInt64(UInt64Builder),
    Float64(Float64Builder),
    Decimal {
        builder: Decimal128Builder,
        precision: u8,
        scale: i8,
    },
    /// Objects of one member, one a line.
    Nested {
        lines: Vec<u8>,
        rows: usize,
        schema: Arc<Schema>,
    },
}

/// The member of the objects of [`Cells::Nested`].
const MEMBER: &str = "v";

impl Cells {
    /// Cells of the column's type, or of text.
    pub(super) fn new(column: &Column, asked: &DataType) -> Self {
        match &column.data_type {
            _ if column.is_json => Self::Json(StringViewBuilder::new()),
            DataType::List(_) | DataType::Struct(_) if *asked == DataType::Utf8View => Self::Json(StringViewBuilder::new()),
            _ if *asked == DataType::Utf8View => Self::Text(StringViewBuilder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::UInt64 => Self::UInt64(UInt64Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                let builder = Decimal128Builder::new().with_data_type(column.data_type.clone());
                Self::Decimal { builder, precision: *precision, scale: *scale }
            }
            nested @ (DataType::List(_) | DataType::Struct(_)) => {
                let schema = Arc::new(Schema::new(vec![Field::new(MEMBER, nested.clone(), true)]));
                Self::Nested { lines: Vec::new(), rows: 0, schema }
            }
            _ => Self::Text(StringViewBuilder::new()),
        }
    }

    /// Adds a value.
    ///
    /// # Errors
    /// It is not of the column's type.
    pub(super) fn append(&mut self, value: &str, origin: &Origin) -> Result<(), TextError> {
        let Some(kind) = Kind::of(value) else {
            self.append_null();
            return Ok(());
        };
        let changed = || origin.changed();
        match self {
            Self::Text(builder) => match kind {
                Kind::Text => builder.append_value(text(value, origin)?),
                Kind::Number | Kind::Boolean => builder.append_value(value),
                Kind::List | Kind::Object => return Err(changed()),
            },
            Self::Json(builder) => builder.append_value(value),
            Self::Boolean(builder) if kind == Kind::Boolean => builder.append_value(value == "true"),
            Self::Boolean(_) => return Err(changed()),
            Self::Int64(builder) => builder.append_value(value.parse().map_err(|_| changed())?),
            Self::UInt64(builder) => builder.append_value(value.parse().map_err(|_| changed())?),
            Self::Float64(builder) if kind == Kind::Number => builder.append_value(value.parse().map_err(|_| changed())?),
            Self::Float64(_) => return Err(changed()),
            Self::Decimal { builder, precision, scale } => {
                let number = scaled(value, *scale).filter(|number| number.unsigned_abs() < 10_u128.pow(u32::from(*precision)));
                builder.append_value(number.ok_or_else(changed)?);
            }
            Self::Nested { lines, rows, .. } => {
                lines.extend_from_slice(b"{\"v\":");
                lines.extend_from_slice(value.as_bytes());
                lines.extend_from_slice(b"}\n");
                *rows += 1;
            }
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Text(builder) | Self::Json(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::UInt64(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Decimal { builder, .. } => builder.append_null(),
            Self::Nested { lines, rows, .. } => {
                lines.extend_from_slice(b"{}\n");
                *rows += 1;
            }
        }
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match self {
            Self::Text(builder) | Self::Json(builder) => builder.len(),
            Self::Boolean(builder) => builder.len(),
            Self::Int64(builder) => builder.len(),
            Self::UInt64(builder) => builder.len(),
            Self::Float64(builder) => builder.len(),
            Self::Decimal { builder, .. } => builder.len(),
            Self::Nested { rows, .. } => *rows,
        }
    }

    /// Adds NULL, if the record that makes it `rows` had no such member.
    pub(super) fn fill(&mut self, rows: usize) {
        if self.len() < rows {
            self.append_null();
        }
    }

    /// The array; the cells begin anew.
    ///
    /// # Errors
    /// Values that are not of the column's type.
    pub(super) fn finish(&mut self, origin: &Origin) -> Result<ArrayRef, TextError> {
        Ok(match self {
            Self::Text(builder) | Self::Json(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::UInt64(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal { builder, .. } => Arc::new(builder.finish()),
            Self::Nested { lines, rows, schema } => {
                let (lines, rows) = (std::mem::take(lines), std::mem::take(rows));
                nested(&lines, rows, schema).filter(|array| array.len() == rows).ok_or_else(|| origin.changed())?
            }
        })
    }
}

fn nested(lines: &[u8], rows: usize, schema: &Arc<Schema>) -> Option<ArrayRef> {
    // Numbers in a column of texts stay as they stand.
    let reader = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(rows.max(1)).with_coerce_primitive(true);
    let mut decoder = reader.build_decoder().ok()?;
    let mut rest = lines;
    while !rest.is_empty() {
        let read = decoder.decode(rest).ok()?;
        rest = rest.get(read..)?;
        if read == 0 {
            return None;
        }
    }
    match decoder.flush().ok()? {
        Some(batch) => Some(Arc::clone(batch.column(0))),
        None => Some(new_empty_array(schema.field(0).data_type())),
    }
}
