//! A CleverTap operator as Arrow: a struct with exactly one field, named after the operator.
//!
//! In: the operator's argument. Out: the struct. If the argument is NULL, the struct is NULL and not a struct around a
//! NULL, so the property is left out of the record. That is what NULL means in all other columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs};

/// The struct type of `operator` with an argument of type `argument`.
///
/// The inner field is nullable although no valid row holds a NULL there: the engine pads NULL structs with NULLs.
pub(crate) fn type_of(operator: &str, argument: DataType) -> DataType {
    DataType::Struct(Fields::from(vec![Field::new(operator, argument, true)]))
}

/// The return field of a function with one argument: nullable if the argument is.
pub(crate) fn return_field(name: &str, operator: DataType, args: &ReturnFieldArgs) -> FieldRef {
    let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
    Arc::new(Field::new(name, operator, nullable))
}

/// Wraps `argument` in a struct; `nulls` is the null buffer of the struct.
pub(crate) fn wrap(operator: &str, argument: ArrayRef, nulls: Option<NullBuffer>) -> Result<StructArray> {
    let field = Field::new(operator, argument.data_type().clone(), true);
    Ok(StructArray::try_new(Fields::from(vec![field]), vec![argument], nulls)?)
}

/// Applies `encode` to an array or a scalar; a scalar stays a scalar.
pub(crate) fn apply(argument: ColumnarValue, encode: impl FnOnce(ArrayRef) -> Result<StructArray>) -> Result<ColumnarValue> {
    match argument {
        ColumnarValue::Array(rows) => Ok(ColumnarValue::Array(Arc::new(encode(rows)?))),
        ColumnarValue::Scalar(value) => {
            let row = encode(value.to_array_of_size(1)?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::Struct(Arc::new(row))))
        }
    }
}
