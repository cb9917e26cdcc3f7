//! Filters whose values are known only when the query runs: the keys of a join's other side, and the results of subqueries.
//!
//! In: expressions of a physical plan. Out: logical filters, in the form in which planning takes them, so that a value that comes late
//! asks for the same as one that was written into the query.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatchOptions;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, cast};
use datafusion::physical_expr::expressions::{self, CastExpr, Literal};
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_expr::{PhysicalExpr, utils::collect_columns};
use datafusion::physical_plan::ColumnarValue;

use crate::error::Error;
use crate::read::collect_keys::Collection;
use crate::read::lookup::fewer;
use crate::read::spec::Scan;

#[derive(Debug, Clone)]
pub(crate) struct LateFilter {
    /// A column of the scan, perhaps below casts.
    column: Expr,
    values: LateValues,
}

#[derive(Debug, Clone)]
enum LateValues {
    /// The column is one of these keys.
    Keys { collection: Arc<Collection>, index: usize },
    /// The column compares so with an expression without columns.
    Compared(Operator, Arc<dyn PhysicalExpr>),
}

impl LateFilter {
    /// `column` is one of the keys number `index` of `collection`.
    pub(crate) fn keys(column: Expr, collection: Arc<Collection>, index: usize) -> Self {
        Self { column, values: LateValues::Keys { collection, index } }
    }

    /// The comparison of a column with the result of a subquery; `None` if `filter` is something else.
    pub(crate) fn compared(filter: &Arc<dyn PhysicalExpr>) -> Option<Self> {
        let comparison = filter.downcast_ref::<expressions::BinaryExpr>().filter(|binary| is_bound(*binary.op()))?;
        let with = |column, op, value: &Arc<dyn PhysicalExpr>| {
            has_subquery(value).then(|| Self { column, values: LateValues::Compared(op, Arc::clone(value)) })
        };
        match (column_of(comparison.left()), column_of(comparison.right())) {
            (Some(column), None) => with(column, *comparison.op(), comparison.right()),
            (None, Some(column)) => with(column, comparison.op().swap()?, comparison.left()),
            _ => None,
        }
    }

    /// The name of the column.
    pub(crate) fn column(&self) -> Option<&str> {
        name(&self.column)
    }

    /// Whether it compares days as they are, so that nothing is left to be checked.
    pub(crate) fn is_exact_day(&self, schema: &Schema) -> bool {
        let is_day = self
            .column()
            .and_then(|column| schema.field_with_name(column).ok())
            .is_some_and(|field| *field.data_type() == DataType::Date32);
        is_day && matches!(self.column, Expr::Column(_))
    }

    /// The filter with a value that stands for those to come, to see whether it is one that can be asked for.
    pub(crate) fn stand_in(&self, schema: &Schema) -> Option<Expr> {
        /// A day on which an account may have existed, so that it contradicts few of the other filters.
        const DAY: i32 = 20_000;
        let data_type = match &self.column {
            Expr::Cast(cast) => cast.field.data_type().clone(),
            _ => schema.field_with_name(self.column()?).ok()?.data_type().clone(),
        };
        let value = match data_type {
            text if text.is_string() => ScalarValue::from("?").cast_to(&text).ok()?,
            DataType::Date32 => ScalarValue::Date32(Some(DAY)),
            DataType::Timestamp(_, ref zone) => {
                ScalarValue::TimestampSecond(Some(i64::from(DAY) * 86_400), zone.clone()).cast_to(&data_type).ok()?
            }
            _ => return None,
        };
        let op = match &self.values {
            LateValues::Keys { .. } => Operator::Eq,
            LateValues::Compared(op, _) => *op,
        };
        Some(self.compare(op, value))
    }

    /// The filter, once its values are known; `None` if no row can match it.
    ///
    /// # Errors
    /// [`Error::Filter`] if there are more keys than `clevertap.lookups_max`, and what the other side of the join or the subquery failed with.
    pub(crate) async fn filter(&self, scan: &Scan, context: &Arc<TaskContext>) -> Result<Option<Expr>> {
        match &self.values {
            LateValues::Keys { collection, index } => match collection.keys(*index, context).await? {
                Ok(keys) if keys.is_empty() => Ok(None),
                Ok(keys) => {
                    let keys = keys.into_iter().map(|key| Expr::Literal(key, None)).collect();
                    Ok(Some(self.column.clone().in_list(keys, false)))
                }
                Err(count) => Err(Error::Filter(format!(
                    "{} would be asked for {count} keys of \"{}\" from a join, and clevertap.lookups_max is {}; {}",
                    scan.relation.qualified(),
                    self.column().unwrap_or_default(),
                    collection.keys_max(),
                    count.parse().map_or_else(|_| "ask for fewer".into(), |count| fewer(scan, count)),
                ))
                .into()),
            },
            LateValues::Compared(op, value) => {
                let row = RecordBatch::try_new_with_options(
                    Arc::new(Schema::empty()),
                    Vec::new(),
                    &RecordBatchOptions::new().with_row_count(Some(1)),
                )?;
                let value = match value.evaluate(&row)? {
                    ColumnarValue::Scalar(value) => value,
                    ColumnarValue::Array(values) => ScalarValue::try_from_array(&values, 0)?,
                };
                Ok(Some(self.compare(*op, value)))
            }
        }
    }

    fn compare(&self, op: Operator, value: ScalarValue) -> Expr {
        Expr::BinaryExpr(BinaryExpr::new(self.column.clone().into(), op, Expr::Literal(value, None).into()))
    }
}

impl fmt::Display for LateFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.column().unwrap_or_default();
        match &self.values {
            LateValues::Keys { collection, .. } => write!(f, "{column} of the join, at most {} keys", collection.keys_max()),
            LateValues::Compared(op, _) => write!(f, "{column} {op} a subquery"),
        }
    }
}

/// Whether rows can be asked for by the comparison.
fn is_bound(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}

/// The logical form of a column, perhaps below casts; `None` if `expr` is anything else.
fn column_of(expr: &Arc<dyn PhysicalExpr>) -> Option<Expr> {
    match expr.downcast_ref::<CastExpr>() {
        Some(found) => {
            let inner = column_of(found.expr())?;
            Some(cast(inner, found.cast_type().clone()))
        }
        None => Some(Expr::Column(Column::from_name(expr.downcast_ref::<expressions::Column>()?.name()))),
    }
}

/// The name of the column in the form of [`column_of`].
fn name(column: &Expr) -> Option<&str> {
    match column {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) => name(&cast.expr),
        _ => None,
    }
}

/// Whether the value of `expr` comes from a subquery, and from no column.
fn has_subquery(expr: &Arc<dyn PhysicalExpr>) -> bool {
    fn any(expr: &Arc<dyn PhysicalExpr>) -> bool {
        expr.is::<ScalarSubqueryExpr>() || expr.children().into_iter().any(any)
    }
    collect_columns(expr).is_empty() && !expr.is::<Literal>() && any(expr)
}
