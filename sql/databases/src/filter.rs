//! Which filters the database looks at too.
//!
//! In: the filters of a query. Out: SQL of those that let pass there whatever passes here, and perhaps more: every one is looked at again here,
//! so a filter may be wide and never narrow. What stands in the list is what means the same on both sides:
//!
//! | column | comparisons | since |
//! |---|---|---|
//! | whole numbers, decimals, booleans, days, instants | `= <> < <= > >= IN BETWEEN` | they have one order |
//! | floating point | `= < <= > >=` with a finite number | here -0 is less than 0 and there it is equal: `<` is sent as `<=`; NaN is the greatest on both sides |
//! | text | `=` `IN` | a collation may find more equal, and orders as it likes: `<>`, `<`, LIKE stay here |
//! | all | IS NULL, IS NOT NULL | |
//!
//! AND sends the part that it can; OR is sent whole or not at all; NOT is not sent, since the opposite of a wide filter is a narrow one.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use crate::dialect::Dialect;
use crate::relation::{Column, Comparison, Relation};

/// Most values of one IN that are sent.
const VALUES_MAX: usize = 1_000;

/// A condition as SQL, and as EXPLAIN shows it: without the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) sql: String,
    pub(crate) shown: String,
}

impl Condition {
    fn join(parts: &[Self], word: &str) -> Self {
        let all = |text: fn(&Self) -> &str| parts.iter().map(text).collect::<Vec<_>>().join(word);
        Self { sql: format!("({})", all(|part| &part.sql)), shown: format!("({})", all(|part| &part.shown)) }
    }
}

/// The condition that lets pass what `expr` does, and perhaps more. `None` if the database cannot help.
pub(crate) fn condition(expr: &Expr, relation: &Relation, dialect: &dyn Dialect) -> Option<Condition> {
    let column = |expr: &Expr| match expr {
        Expr::Column(column) => relation.column(&column.name),
        _ => None,
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let sides = [condition(left, relation, dialect), condition(right, relation, dialect)];
            match sides {
                [Some(left), Some(right)] => Some(Condition::join(&[left, right], " AND ")),
                [left, right] => left.or(right),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let sides = [condition(left, relation, dialect)?, condition(right, relation, dialect)?];
            Some(Condition::join(&sides, " OR "))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column(left), &**right, &**left, column(right)) {
            (Some(column), Expr::Literal(value, _), ..) => compared(column, *op, value, dialect),
            (_, _, Expr::Literal(value, _), Some(column)) => compared(column, op.swap()?, value, dialect),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let column = column(expr)?;
            let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&**low, &**high) else { return None };
            let low = compared(column, Operator::GtEq, low, dialect);
            let high = compared(column, Operator::LtEq, high, dialect);
            match (low, high) {
                (Some(low), Some(high)) => Some(Condition::join(&[low, high], " AND ")),
                (low, high) => low.or(high),
            }
        }
        Expr::InList(InList { expr, list, negated: false }) if list.len() <= VALUES_MAX => {
            let column = column(expr)?;
            if column.comparison == Comparison::Never {
                return None;
            }
            let mut values = Vec::with_capacity(list.len());
            for item in list {
                let Expr::Literal(value, _) = item else { return None };
                // NULL is equal to nothing.
                if !value.is_null() {
                    values.push(literal(column, value, dialect)?);
                }
            }
            let name = dialect.compared(column);
            (!values.is_empty()).then(|| Condition { sql: format!("{name} IN ({})", values.join(", ")), shown: format!("{name} IN (…)") })
        }
        Expr::IsNull(inner) => column(inner).filter(|column| dialect.tells_null(column)).map(|column| test(column, "IS NULL", dialect)),
        Expr::IsNotNull(inner) => {
            column(inner).filter(|column| dialect.tells_null(column)).map(|column| test(column, "IS NOT NULL", dialect))
        }
        Expr::Column(_) => boolean(column(expr)?, true, dialect),
        Expr::Not(inner) => boolean(column(inner)?, false, dialect),
        _ => None,
    }
}

fn test(column: &Column, test: &str, dialect: &dyn Dialect) -> Condition {
    let sql = format!("{} {test}", dialect.column(column));
    Condition { shown: sql.clone(), sql }
}

fn boolean(column: &Column, value: bool, dialect: &dyn Dialect) -> Option<Condition> {
    compared(column, Operator::Eq, &ScalarValue::Boolean(Some(value)), dialect)
}

fn compared(column: &Column, op: Operator, value: &ScalarValue, dialect: &dyn Dialect) -> Option<Condition> {
    let op = match (column.comparison, op) {
        (column, Operator::Eq) if column != Comparison::Never => "=",
        (Comparison::Exact, Operator::NotEq) => "<>",
        (Comparison::Exact, Operator::Lt) => "<",
        (Comparison::Exact, Operator::Gt) => ">",
        (Comparison::Exact | Comparison::Float, Operator::LtEq) | (Comparison::Float, Operator::Lt) => "<=",
        (Comparison::Exact | Comparison::Float, Operator::GtEq) | (Comparison::Float, Operator::Gt) => ">=",
        _ => return None,
    };
    let (name, value) = (dialect.compared(column), literal(column, value, dialect)?);
    Some(Condition { sql: format!("{name} {op} {value}"), shown: format!("{name} {op} …") })
}

/// The text of a value. Numbers of another type than the column's were cast by the planner, and a cast column is no column.
fn literal(column: &Column, value: &ScalarValue, dialect: &dyn Dialect) -> Option<String> {
    let is_finite = match value {
        ScalarValue::Float32(Some(number)) => number.is_finite(),
        ScalarValue::Float64(Some(number)) => number.is_finite(),
        value => !value.is_null(),
    };
    let text = match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => text.as_deref(),
        _ => None,
    };
    match (column.comparison, text) {
        (Comparison::Never, _) => None,
        (Comparison::Uuid, Some(text)) if !is_canonical_uuid(text) => None,
        (Comparison::NarrowText, Some(text)) if !text.is_ascii() => None,
        (Comparison::Text | Comparison::NarrowText | Comparison::Uuid, None) => None,
        (Comparison::Exact | Comparison::Float, Some(_)) => None,
        _ if !is_finite => None,
        (Comparison::Exact | Comparison::Float, None) if value.data_type() != column.data_type => None,
        _ => dialect.literal(value, column),
    }
}

fn is_canonical_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}
