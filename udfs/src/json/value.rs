//! The function behind `->`: the text of a value, marked as one that came out of JSON.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, ExprSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_functions_json::udfs::json_as_text_udf;

/// The name of the function.
pub(super) const JSON_VALUE: &str = "json_value";

/// What the field of such a value has among its metadata.
const MARK: (&str, &str) = ("clevertap.json", "value");

/// The function. It is one and the same, so that calls of it can be compared.
pub(super) fn json_value() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(JsonValue::new().into()));
    Arc::clone(&FUNCTION)
}

/// Whether `expr` is a value out of JSON, whose type nothing has said yet: a call of `->`, or a column that is one.
pub fn is_json_value(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Alias(alias) => is_json_value(&alias.expr, schema),
        Expr::ScalarFunction(call) => call.func.name() == JSON_VALUE,
        Expr::Column(column) => {
            schema.field_from_column(column).is_ok_and(|field| field.metadata().get(MARK.0).is_some_and(|value| value == MARK.1))
        }
        _ => false,
    }
}

/// The call that `expr` is, if it takes a value out of JSON: of `->` or of `->>`.
pub(super) fn call(expr: &Expr) -> Option<&ScalarFunction> {
    match expr {
        Expr::Alias(alias) => call(&alias.expr),
        Expr::ScalarFunction(call) => matches!(call.func.name(), JSON_VALUE | "json_as_text").then_some(call),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonValue {
    signature: Signature,
}

impl JsonValue {
    fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for JsonValue {
    fn name(&self) -> &str {
        JSON_VALUE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        json_as_text_udf().return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = json_as_text_udf().return_field_from_args(args)?.as_ref().clone();
        Ok(Arc::new(field.with_nullable(true).with_metadata([(MARK.0.to_owned(), MARK.1.to_owned())].into())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        json_as_text_udf().invoke_with_args(args)
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        json_as_text_udf().placement(args)
    }
}
