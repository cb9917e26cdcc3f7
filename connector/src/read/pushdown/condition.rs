//! Pushes filters on event properties down to CleverTap.
//!
//! In: one filter. Out: conditions of CleverTap's query language that are implied by the filter. They are never exact: DataFusion checks
//! the returned rows again. A condition is sent only if CleverTap cannot drop a row that the filter would keep:
//!
//! - comparisons of a typed number column with a number: a property that is a string is NULL in the column and does not match at
//!   CleverTap either;
//! - equality with a text that is not a number, even if CleverTap ignores case.
//!
//! `<>` and ranges of text are not sent. Nor is a number that is extracted from the JSON column or cast from text: the cast takes a string
//! of digits for a number, and CleverTap does not.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator};
use serde_json::{Map, Value};

use crate::tables::query;

/// `Amount greater_than 50`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) property: String,
    /// The operator of CleverTap's query language.
    pub(crate) operator: &'static str,
    value: Value,
}

/// The columns through which a filter can refer to properties.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PropertyColumns<'a> {
    /// The JSON column of all properties.
    pub(crate) json: &'a str,
    /// Columns of one property each, and whether its values are numbers.
    pub(crate) typed: &'a [(String, bool)],
}

impl Condition {
    /// The JSON of the request.
    pub(crate) fn json(&self) -> Value {
        let mut condition = Map::new();
        condition.insert(query::NAME.into(), self.property.clone().into());
        condition.insert(query::OPERATOR.into(), self.operator.into());
        condition.insert(query::VALUE.into(), self.value.clone());
        Value::Object(condition)
    }

    /// The condition without its value, which may be personal data.
    pub(crate) fn redacted(&self) -> String {
        format!("\"{}\" {}", self.property, self.operator)
    }
}

/// The conditions that `filter` implies; `None` if CleverTap can evaluate no part of it.
pub(crate) fn conditions(filter: &Expr, columns: PropertyColumns<'_>) -> Option<Vec<Condition>> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            // An AND implies each of its sides.
            let both: Vec<_> = [left, right].into_iter().filter_map(|side| conditions(side, columns)).flatten().collect();
            (!both.is_empty()).then_some(both)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (property(left, columns), property(right, columns)) {
            (Some(property), None) => condition(property, *op, right),
            (None, Some(property)) => condition(property, op.swap()?, left),
            _ => None,
        }
        .map(|condition| vec![condition]),
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let of = |op, bound| condition(property(expr, columns)?, op, bound);
            let both: Vec<_> = [of(Operator::GtEq, low), of(Operator::LtEq, high)].into_iter().flatten().collect();
            (!both.is_empty()).then_some(both)
        }
        _ => None,
    }
}

/// A property and the type in which it is compared.
struct Property {
    name: String,
    is_number: bool,
}

fn property(expr: &Expr, columns: PropertyColumns<'_>) -> Option<Property> {
    match expr {
        Expr::Column(column) => {
            let (name, is_number) = columns.typed.iter().find(|(name, _)| *name == column.name)?;
            Some(Property { name: name.clone(), is_number: *is_number })
        }
        Expr::Cast(Cast { expr, field }) => {
            let inner = property(expr, columns)?;
            // A cast between numbers may round; only a cast to Float64 keeps the order.
            let is_kept = if inner.is_number { *field.data_type() == DataType::Float64 } else { field.data_type().is_string() };
            is_kept.then_some(inner)
        }
        Expr::ScalarFunction(call) => {
            if !matches!(call.func.name(), "json_get_str" | "json_as_text" | "json_value") {
                return None;
            }
            let [Expr::Column(column), key] = &call.args[..] else { return None };
            (column.name == columns.json).then_some(())?;
            Some(Property { name: text(key)?, is_number: false })
        }
        _ => None,
    }
}

fn condition(property: Property, op: Operator, literal: &Expr) -> Option<Condition> {
    let operator = match op {
        Operator::Eq => query::EQUALS,
        Operator::Gt => query::GREATER,
        Operator::GtEq => query::GREATER_OR_EQUAL,
        Operator::Lt => query::LESS,
        Operator::LtEq => query::LESS_OR_EQUAL,
        _ => return None,
    };
    let value = if property.is_number {
        number(literal)?
    } else {
        // A text that is valid JSON could equal the text of a property that is not a string.
        let text = text(literal).filter(|text| op == Operator::Eq && !text.is_empty() && text.trim() == text)?;
        (serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() && !text.starts_with(['{', '['])).then_some(())?;
        text.into()
    };
    Some(Condition { property: property.name, operator, value })
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text), _) => text.clone(),
        _ => None,
    }
}

/// A number literal that JSON represents exactly.
fn number(expr: &Expr) -> Option<Value> {
    /// 2^53: a Float64 cannot represent every integer above it.
    const EXACT: u64 = 1 << 53;
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::Float64(Some(value)) if value.abs() < EXACT as f64 => serde_json::Number::from_f64(*value).map(Value::Number),
        value if value.data_type().is_integer() => {
            let ScalarValue::Int64(Some(value)) = value.cast_to(&DataType::Int64).ok()? else { return None };
            (value.unsigned_abs() < EXACT).then(|| value.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{cast, not};
    use datafusion::prelude::{col, lit};

    use super::*;

    fn of(filter: &Expr) -> String {
        let typed = [("Amount".to_owned(), true), ("Plan".to_owned(), false)];
        let columns = PropertyColumns { json: "properties", typed: &typed };
        match conditions(filter, columns) {
            Some(conditions) => conditions.iter().map(|c| c.json().to_string()).collect::<Vec<_>>().join(" "),
            None => "no".into(),
        }
    }

    #[test]
    fn only_number_comparisons_and_text_equality_are_pushed_down() {
        let amount = || col("\"Amount\"");
        assert_eq!(of(&amount().gt(lit(50.5))), r#"{"name":"Amount","operator":"greater_than","value":50.5}"#);
        assert_eq!(of(&cast(amount(), DataType::Float64).gt(lit(50.5))), r#"{"name":"Amount","operator":"greater_than","value":50.5}"#);
        assert_eq!(of(&lit(50_i64).gt_eq(amount())), r#"{"name":"Amount","operator":"less_than_equals","value":50}"#);
        assert_eq!(of(&col("\"Plan\"").eq(lit("gold"))), r#"{"name":"Plan","operator":"equals","value":"gold"}"#);
        assert_eq!(
            of(&amount().between(lit(1.0), lit(2.0))),
            r#"{"name":"Amount","operator":"greater_than_equals","value":1.0} {"name":"Amount","operator":"less_than_equals","value":2.0}"#
        );
        assert_eq!(of(&amount().gt(lit(1.0)).and(col("x").eq(lit(1)))), r#"{"name":"Amount","operator":"greater_than","value":1.0}"#);
        for filter in [
            amount().not_eq(lit(50.0)),
            amount().gt(lit(i64::MAX)),
            amount().gt(lit(1.0)).or(amount().lt(lit(0.0))),
            not(amount().gt(lit(1.0))),
            col("\"Plan\"").gt(lit("gold")),
            col("\"Plan\"").eq(lit("12")),
            col("\"Plan\"").eq(lit("true")),
            col("\"Plan\"").eq(lit("")),
            col("\"Plan\"").eq(lit(" gold")),
            cast(amount(), DataType::Int64).eq(lit(50_i64)),
            cast(amount(), DataType::Float32).gt(lit(0.1_f32)),
            cast(col("\"Plan\""), DataType::Float64).gt(lit(2.5)),
            amount().gt(lit(9_007_199_254_740_992.0)),
            amount().eq(col("x")),
        ] {
            assert_eq!(of(&filter), "no", "{filter}");
        }
    }
}
