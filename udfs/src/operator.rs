//! A CleverTap operator as Arrow: a struct of exactly one field, whose name is the operator's.
//!
//! In comes the operator's argument, out goes the struct. A row whose argument is NULL is a NULL struct, not a struct
//! around a NULL: the property is then left out of the record, which is what NULL means everywhere else.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs};

/// The struct that carries `operator` around an argument of type `argument`.
///
/// The inner field is nullable although no valid row holds a NULL there: the engine pads NULL structs with NULLs.
pub(crate) fn type_of(operator: &str, argument: DataType) -> DataType {
    DataType::Struct(Fields::from(vec![Field::new(operator, argument, true)]))
}

/// The field that a function of one argument returns: nullable as its argument is.
pub(crate) fn return_field(name: &str, operator: DataType, args: &ReturnFieldArgs) -> FieldRef {
    let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
    Arc::new(Field::new(name, operator, nullable))
}

/// Wraps the rows of `argument`; `nulls` says which rows are NULL as a whole.
pub(crate) fn wrap(operator: &str, argument: ArrayRef, nulls: Option<NullBuffer>) -> Result<StructArray> {
    let field = Field::new(operator, argument.data_type().clone(), true);
    Ok(StructArray::try_new(Fields::from(vec![field]), vec![argument], nulls)?)
}

/// Applies `encode` to a column or a constant; a constant stays a constant.
pub(crate) fn apply(argument: ColumnarValue, encode: impl FnOnce(ArrayRef) -> Result<StructArray>) -> Result<ColumnarValue> {
    match argument {
        ColumnarValue::Array(rows) => Ok(ColumnarValue::Array(Arc::new(encode(rows)?))),
        ColumnarValue::Scalar(value) => {
            let row = encode(value.to_array_of_size(1)?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::Struct(Arc::new(row))))
        }
    }
}
