//! The types in which rows are written to files.
//!
//! In: a COPY, or `DataFrame::write_parquet` and its kin. Out: the same, over a projection where a type or a value would be lost:
//!
//! - an instant in seconds, which Parquet does not have, so that a reader would find plain numbers: in microseconds, with its zone;
//! - NULL in a column of PARTITIONED BY, which DataFusion writes as an empty text: under the name that Hive gives it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit, when};
use datafusion::optimizer::AnalyzerRule;

/// The name of a partition without a value: that of Hive, which Spark, Trino, DuckDB and Athena read as NULL.
pub const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Formats that have an instant's type; the others have its text.
const TYPED: [&str; 3] = ["parquet", "arrow", "avro"];

#[derive(Debug)]
pub(crate) struct CopyTypes;

impl AnalyzerRule for CopyTypes {
    fn name(&self) -> &'static str {
        "clevertap_copy_types"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_down(|plan| {
            let LogicalPlan::Copy(copy) = plan else { return Ok(Transformed::no(plan)) };
            let is_typed = TYPED.contains(&copy.file_type.get_ext().trim_start_matches('.'));
            let written = |column: Column, field: &FieldRef| {
                let name = column.name.clone();
                let is_partition = copy.partition_by.contains(&name);
                let micros = in_microseconds(field.data_type()).filter(|_| is_typed && !is_partition);
                let expr = Expr::Column(column);
                Ok(match micros {
                    Some(data_type) => (true, cast(expr, data_type).alias(name)),
                    None if is_partition && field.is_nullable() => (true, named(expr)?.alias(name)),
                    None => (false, expr),
                })
            };
            let columns: Vec<(bool, Expr)> = copy
                .input
                .schema()
                .columns()
                .into_iter()
                .zip(copy.input.schema().fields())
                .map(|(c, f)| written(c, f))
                .collect::<Result<_>>()?;
            if columns.iter().all(|(changed, _)| !changed) {
                return Ok(Transformed::no(LogicalPlan::Copy(copy)));
            }
            let columns = columns.into_iter().map(|(_, expr)| expr);
            let input = LogicalPlanBuilder::from(copy.input.as_ref().clone()).project(columns)?.build()?;
            Ok(Transformed::yes(LogicalPlan::Copy(CopyTo::new(
                Arc::new(input),
                copy.output_url,
                copy.partition_by,
                copy.file_type,
                copy.options,
            ))))
        })
        .map(|transformed| transformed.data)
    }
}

/// The text that names the partition of a value.
fn named(value: Expr) -> Result<Expr> {
    let null = lit(ScalarValue::Utf8View(Some(NULL_PARTITION.to_owned())));
    when(value.clone().is_null(), null).otherwise(cast(value, DataType::Utf8View))
}

/// The type with microseconds in the place of seconds, also inside of lists and structs. `None` if it has no seconds.
///
/// Parquet has no seconds, and its readers would take them for plain numbers.
pub fn in_microseconds(data_type: &DataType) -> Option<DataType> {
    let inner = |field: &FieldRef| in_microseconds(field.data_type()).map(|kind| Arc::new(field.as_ref().clone().with_data_type(kind)));
    match data_type {
        DataType::Timestamp(TimeUnit::Second, zone) => Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone())),
        DataType::List(field) => inner(field).map(DataType::List),
        DataType::LargeList(field) => inner(field).map(DataType::LargeList),
        DataType::FixedSizeList(field, size) => inner(field).map(|field| DataType::FixedSizeList(field, *size)),
        DataType::Map(entries, sorted) => inner(entries).map(|entries| DataType::Map(entries, *sorted)),
        DataType::Struct(fields) => {
            let changed: Vec<Option<FieldRef>> = fields.iter().map(inner).collect();
            changed.iter().any(Option::is_some).then(|| {
                DataType::Struct(
                    changed.into_iter().zip(fields).map(|(changed, field)| changed.unwrap_or_else(|| Arc::clone(field))).collect(),
                )
            })
        }
        _ => None,
    }
}
