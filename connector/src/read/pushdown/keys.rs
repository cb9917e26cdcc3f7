//! Extracts keys from filters.
//!
//! In: a filter that DataFusion offers to push down. Out: a key column and its values without duplicates. A filter that is not understood
//! here is evaluated above the scan, so it may cost requests but never gives a wrong row.

use std::collections::HashSet;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator};

/// The values to which a filter restricts a column: `=`, IN, or ORs of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyFilter {
    pub(crate) column: String,
    /// In query order, without duplicates.
    pub(crate) values: Vec<String>,
}

/// The column and values, if `filter` restricts one of `columns` to values.
pub(crate) fn key_filter(filter: &Expr, columns: &[(&'static str, &'static str)]) -> Option<KeyFilter> {
    let mut keys = collect(filter, columns)?;
    let mut seen = HashSet::new();
    keys.values.retain(|value| seen.insert(value.clone()));
    Some(keys)
}

/// The keys that a look-up asks for: those of the first of `columns` that a filter restricts, common to all filters on it. Each of these
/// may have been given up to the scan, in several passes of the optimizer.
pub(crate) fn lookup_keys(filters: &[Expr], columns: &[(&'static str, &'static str)]) -> Option<KeyFilter> {
    columns.iter().find_map(|column| {
        filters.iter().filter_map(|filter| key_filter(filter, std::slice::from_ref(column))).reduce(|mut keys, more| {
            keys.values.retain(|value| more.values.contains(value));
            keys
        })
    })
}

fn collect(filter: &Expr, columns: &[(&'static str, &'static str)]) -> Option<KeyFilter> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (column, value) = match (key(left, columns), key(right, columns)) {
                (Some(column), None) => (column, literal_text(right)?),
                (None, Some(column)) => (column, literal_text(left)?),
                _ => return None,
            };
            Some(KeyFilter { column, values: value.into_iter().collect() })
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            if is_null_or_false(left) || is_null_or_false(right) {
                return collect(if is_null_or_false(left) { right } else { left }, columns);
            }
            let (mut left, right) = (collect(left, columns)?, collect(right, columns)?);
            (left.column == right.column).then(|| {
                left.values.extend(right.values);
                left
            })
        }
        Expr::InList(list) if !list.negated => {
            let column = key(&list.expr, columns)?;
            let values = list.list.iter().map(literal_text).collect::<Option<Vec<_>>>()?;
            Some(KeyFilter { column, values: values.into_iter().flatten().collect() })
        }
        _ => None,
    }
}

/// A literal NULL or false. The simplifier turns `identity = NULL` into NULL.
fn is_null_or_false(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null, _))
}

/// The name of a key column, also below a cast to another text. A cast to a number is the author's, and means numbers: `0123` is 123.
fn key(expr: &Expr, columns: &[(&'static str, &'static str)]) -> Option<String> {
    match expr {
        Expr::Column(column) => columns.iter().find(|(name, _)| *name == column.name).map(|(name, _)| (*name).to_owned()),
        Expr::Cast(Cast { expr, field }) if field.data_type().is_string() => key(expr, columns),
        _ => None,
    }
}

/// The text of a literal. `None` if it cannot be a key, `Some(None)` for NULL, which equals nothing.
pub(crate) fn literal_text(expr: &Expr) -> Option<Option<String>> {
    let Expr::Literal(value, _) = expr else { return None };
    value_text(value)
}

/// The text of a value, with the same result as [`literal_text`].
pub(crate) fn value_text(value: &ScalarValue) -> Option<Option<String>> {
    if value.is_null() {
        return Some(None);
    }
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => Some(text.clone()),
        ScalarValue::Dictionary(_, value) => value_text(value),
        value if value.data_type().is_integer() => Some(Some(value.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    const COLUMNS: &[(&str, &str)] = &[("identity", "identity"), ("email", "email")];

    #[test]
    fn only_equalities_in_lists_and_ors_of_them_give_keys() {
        let parsed = |filter: Expr| key_filter(&filter, COLUMNS).map(|keys| (keys.column, keys.values.join(" ")));
        let found = |column: &str, values: &str| Some((column.to_owned(), values.to_owned()));
        assert_eq!(parsed(col("identity").eq(lit("a"))), found("identity", "a"));
        assert_eq!(parsed(lit("a").eq(col("email"))), found("email", "a"));
        assert_eq!(parsed(col("identity").in_list(vec![lit("b"), lit("a"), lit("b")], false)), found("identity", "b a"));
        assert_eq!(parsed(col("identity").eq(lit("a")).or(col("identity").eq(lit("c")))), found("identity", "a c"));
        assert_eq!(parsed(col("identity").eq(lit(42_i64))), found("identity", "42"));
        assert_eq!(parsed(col("identity").eq(lit(ScalarValue::Utf8(None)))), found("identity", ""));
        assert_eq!(parsed(col("identity").eq(lit("a")).or(col("email").eq(lit("b")))), None);
        assert_eq!(parsed(col("identity").in_list(vec![lit("b")], true)), None);
        assert_eq!(parsed(col("identity").gt(lit("a"))), None);
        assert_eq!(parsed(col("name").eq(lit("a"))), None);
    }
}
