//! A value out of JSON as a type, and what it is compared with.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Int64Array, TimestampSecondArray};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TryCast,
    Volatility, cast, lit, try_cast,
};
use datafusion_functions_json::udfs::{json_as_text_udf, json_get_bool_udf, json_get_float_udf};

use super::value::{call, is_json_value};

/// Below it, no whole number shares its double with another one.
const EXACT: u64 = 1 << 53;

/// What holds every digit of a whole number, and of most others: several whole numbers beyond 2^53 are one double.
pub(super) const DIGITS: DataType = DataType::Decimal128(38, 12);

/// Whether `expr` takes a value out of JSON, by `->` or by `->>`.
pub(super) fn is_json(expr: &Expr, schema: &DFSchema) -> bool {
    call(expr).is_some() || is_json_value(expr, schema)
}

/// The value as a type; NULL where it is no such value. `strict`: a number that is not whole is an error where a whole one is meant.
pub(super) fn typed(json: &Expr, data_type: &DataType, field: Option<FieldRef>, strict: bool, zone: &str) -> Expr {
    let narrowed = |expr: Expr, from: &DataType| match &field {
        _ if from == data_type => expr,
        Some(field) if strict => Expr::Cast(Cast { expr: Box::new(expr), field: Arc::clone(field) }),
        Some(field) => Expr::TryCast(TryCast { expr: Box::new(expr), field: Arc::clone(field) }),
        None => cast(expr, data_type.clone()),
    };
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => narrowed(number(json), &DataType::Float64),
        DataType::Boolean => match call(json) {
            Some(call) => json_get_bool_udf().call(call.args.clone()),
            None => try_cast(text(json), DataType::Boolean),
        },
        kind if kind.is_integer() => {
            let (least, most) = bounds(kind);
            narrowed(json_whole().call(vec![text(json), lit(least), lit(most), lit(strict)]), &DataType::Int64)
        }
        kind if kind.is_string() => narrowed(text(json), &DataType::Utf8),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let as_written = try_cast(text(json), data_type.clone());
            let of_clevertap = cast(json_date(zone).call(vec![text(json)]), data_type.clone());
            coalesce(vec![as_written, of_clevertap])
        }
        // A decimal through a double would lose digits.
        kind => match field {
            Some(field) => Expr::TryCast(TryCast { expr: Box::new(text(json)), field }),
            None => try_cast(text(json), kind.clone()),
        },
    }
}

/// The value as a double.
pub(super) fn number(json: &Expr) -> Expr {
    match call(json) {
        Some(call) => json_get_float_udf().call(call.args.clone()),
        None => try_cast(text(json), DataType::Float64),
    }
}

/// The value as text that is no longer marked.
fn text(json: &Expr) -> Expr {
    match call(json) {
        Some(call) => json_as_text_udf().call(call.args.clone()),
        None => json.clone(),
    }
}

/// The least and the greatest value of a type of whole numbers, as far as Int64 holds it.
fn bounds(kind: &DataType) -> (i64, i64) {
    match kind {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, i64::MAX),
        _ => (i64::MIN, i64::MAX),
    }
}

/// `left op right`, where one of them is out of JSON and the other says as what it is compared. `None` if they are compared as texts.
///
/// With a date or an instant it is compared only where `zone` says whose clock shows CleverTap's `$D_` dates.
pub(super) fn compared(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema, zone: Option<&str>) -> Option<Expr> {
    match (is_json(left, schema), is_json(right, schema)) {
        (true, false) => as_type_of(right, schema).and_then(|kind| compare(left, op, right, &kind, zone)),
        (false, true) => as_type_of(left, schema).and_then(|kind| compare(right, op.swap()?, left, &kind, zone)),
        _ => None,
    }
}

/// The type as which a value is compared with `other`, unless that is text.
fn as_type_of(other: &Expr, schema: &DFSchema) -> Option<DataType> {
    type_beside_text(&other.get_type(schema).ok()?)
}

/// The type as which a value is compared with one of type `other`, unless that is text.
pub(super) fn type_beside_text(other: &DataType) -> Option<DataType> {
    let kind = match other {
        DataType::Dictionary(_, value) => value,
        kind => kind,
    };
    (kind.is_numeric() || kind.is_temporal() || *kind == DataType::Boolean).then(|| kind.clone())
}

fn compare(json: &Expr, op: Operator, other: &Expr, kind: &DataType, zone: Option<&str>) -> Option<Expr> {
    let with = |json: Expr, other: Expr| Some(Expr::BinaryExpr(BinaryExpr::new(json.into(), op, other.into())));
    match kind {
        kind if kind.is_temporal() => with(typed(json, kind, None, false, zone?), other.clone()),
        kind if !kind.is_numeric() => with(typed(json, kind, None, false, UTC), other.clone()),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => with(number(json), cast(other.clone(), DataType::Float64)),
        _ if is_exact(other) => with(number(json), cast(other.clone(), DataType::Float64)),
        _ => with(typed(json, &DIGITS, None, false, UTC), cast(other.clone(), DIGITS)),
    }
}

/// Whether a literal is exact as a double.
fn is_exact(expr: &Expr) -> bool {
    let Expr::Literal(value, _) = expr else { return false };
    matches!(value.cast_to(&DataType::Int64), Ok(ScalarValue::Int64(value)) if value.is_none_or(|value| value.unsigned_abs() < EXACT))
}

/// The clock of values that have none.
pub(super) const UTC: &str = "+00:00";

/// `json_date(text)`: the instant of a date as CleverTap writes it, `$D_1795209805`, on the clock of a zone; NULL for any other text.
fn json_date(zone: &str) -> ScalarUDF {
    JsonDate { zone: zone.into(), signature: Signature::any(1, Volatility::Immutable) }.into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonDate {
    zone: Arc<str>,
    signature: Signature,
}

impl ScalarUDFImpl for JsonDate {
    fn name(&self) -> &str {
        "json_date"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Second, Some(Arc::clone(&self.zone))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text] = take_function_args(self.name(), args.args)?;
        let is_scalar = matches!(text, ColumnarValue::Scalar(_));
        let texts = cast_array(&text.into_array(args.number_rows)?, &DataType::Utf8View)?;
        let second = |text: &str| text.strip_prefix("$D_").and_then(|digits| digits.parse().ok());
        let instants: TimestampSecondArray = texts.as_string_view().iter().map(|text| text.and_then(second)).collect();
        let instants: ArrayRef = Arc::new(instants.with_timezone(Arc::clone(&self.zone)));
        Ok(if is_scalar { ColumnarValue::Scalar(ScalarValue::try_from_array(&instants, 0)?) } else { ColumnarValue::Array(instants) })
    }
}

/// `json_whole(text, least, most, strict)`: the whole number that a text is, `1000.0` too; NULL for what is no number. A number that is not
/// whole or out of bounds is an error if `strict`, else NULL.
pub(super) fn json_whole() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(JsonWhole::new().into()));
    Arc::clone(&FUNCTION)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonWhole {
    signature: Signature,
}

impl JsonWhole {
    fn new() -> Self {
        Self { signature: Signature::any(4, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for JsonWhole {
    fn name(&self) -> &str {
        "json_whole"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, least, most, strict] = take_function_args(self.name(), args.args)?;
        let (
            ColumnarValue::Scalar(ScalarValue::Int64(Some(least))),
            ColumnarValue::Scalar(ScalarValue::Int64(Some(most))),
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(strict))),
        ) = (least, most, strict)
        else {
            return exec_err!("json_whole takes bounds and a boolean that are constant");
        };
        let numbers = |array: &ArrayRef| {
            let texts = cast_array(array, &DataType::Utf8View)?;
            let numbers = texts.as_string_view().iter().map(|text| text.map_or(Ok(None), |text| whole(text, least, most, strict)));
            numbers.collect::<Result<Int64Array>>()
        };
        Ok(match text {
            ColumnarValue::Array(array) => ColumnarValue::Array(Arc::new(numbers(&array)?)),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(ScalarValue::try_from_array(&numbers(&value.to_array()?)?, 0)?),
        })
    }
}

fn whole(text: &str, least: i64, most: i64, strict: bool) -> Result<Option<i64>> {
    let inside = |value: i64| (least..=most).contains(&value);
    if let Some(value) = text.parse().ok().filter(|value| inside(*value)) {
        return Ok(Some(value));
    }
    match text.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of less than 2^63")]
        Ok(value) if value.fract() == 0.0 && value.abs() < 9.2e18 && inside(value as i64) => Ok(Some(value as i64)),
        Ok(value) if strict && value.is_finite() => exec_err!(
            "a value of JSON is a number that this whole number cannot hold, with a fraction or too large; \
             read it as (properties -> 'Amount')::double, or as round((properties -> 'Amount')::double)::bigint"
        ),
        _ => Ok(None),
    }
}
