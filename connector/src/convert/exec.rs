//! The node that evaluates a select list, row by row where it must.
//!
//! In: batches. Out: the same rows, and one more column, the last: what could not be made of a row, if anything. A batch over which an expression
//! fails is evaluated in halves down to the rows that fail: there the column is NULL.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringViewArray, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, SchedulingType};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

/// The column that says what could not be made.
pub(super) const UNMADE: &str = "__clevertap_unmade";

/// Whether it is more than a column or a constant.
pub(super) fn may_fail(expr: &Arc<dyn PhysicalExpr>) -> bool {
    !(expr.is::<Column>() || expr.is::<Literal>())
}

/// A select list.
#[derive(Debug, Clone)]
pub(crate) struct ConvertExec {
    input: Arc<dyn ExecutionPlan>,
    exprs: Arc<[ProjectionExpr]>,
    /// Whether the last column of the input is passed on behind the others.
    has_last: bool,
    properties: Arc<PlanProperties>,
}

impl ConvertExec {
    /// The list of `projection` over another input.
    ///
    /// # Errors
    /// The input has other columns.
    pub(super) fn new(projection: &ProjectionExec, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        Self::over(projection.expr().into(), false, input)
    }

    fn over(exprs: Arc<[ProjectionExpr]>, has_last: bool, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let read = input.schema();
        let made = exprs.iter().map(|made| {
            let field = made.expr.return_field(&read)?;
            // Of a row that fails it is NULL.
            Ok(Arc::new(field.as_ref().clone().with_name(&made.alias).with_nullable(true)))
        });
        let mut fields: Vec<FieldRef> = made.collect::<Result<_>>()?;
        fields.push(Arc::new(Field::new(UNMADE, DataType::Utf8View, true)));
        fields.extend(read.fields().last().filter(|_| has_last).cloned());
        let schema = Arc::new(Schema::new_with_metadata(fields, read.metadata().clone()));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Ok(Self { input, exprs, has_last, properties: Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative)) })
    }

    /// The same over an input with a further column, which is passed on behind the others.
    ///
    /// # Errors
    /// The input has other columns.
    pub(crate) fn with_last_of(&self, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        Self::over(Arc::clone(&self.exprs), true, input)
    }

    /// The rows of a batch, none left out.
    fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut unmade: Vec<Option<String>> = Vec::new();
        let mut arrays = Vec::new();
        for (at, made) in self.exprs.iter().enumerate() {
            arrays.push(match made.expr.evaluate(batch).and_then(|value| value.into_array(batch.num_rows())) {
                Ok(array) => array,
                Err(error) if !is_of_a_value(&error) => return Err(error),
                Err(_) => {
                    unmade.resize(batch.num_rows(), None);
                    let data_type = made.expr.data_type(&batch.schema())?;
                    let parts = halves(&made.expr, &data_type, batch, 0, &mut |row, reason| {
                        if let Some(of_row) = unmade.get_mut(row) {
                            of_row.get_or_insert_with(|| format!("{at} {reason}"));
                        }
                    })?;
                    concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?
                }
            });
        }
        arrays.push(match unmade.is_empty() {
            true => new_null_array(&DataType::Utf8View, batch.num_rows()),
            false => Arc::new(StringViewArray::from_iter(unmade)),
        });
        arrays.extend(batch.columns().last().filter(|_| self.has_last).cloned());
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema(), arrays, &options)?)
    }
}

/// Whether an error may be that of one value: not of the memory, the plan or a store.
fn is_of_a_value(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ArrowError(..) | DataFusionError::Execution(_))
}

/// Evaluates rows that fail together in halves. Those that fail alone are NULL, and told.
fn halves(
    expr: &Arc<dyn PhysicalExpr>,
    data_type: &DataType,
    batch: &RecordBatch,
    first: usize,
    told: &mut impl FnMut(usize, String),
) -> Result<Vec<ArrayRef>> {
    match expr.evaluate(batch).and_then(|value| value.into_array(batch.num_rows())) {
        Ok(array) => Ok(vec![array]),
        Err(error) if !is_of_a_value(&error) => Err(error),
        Err(_) if batch.num_rows() <= 1 => {
            told(first, reason(expr, batch));
            Ok(vec![new_null_array(data_type, batch.num_rows())])
        }
        Err(_) => {
            let half = batch.num_rows() / 2;
            let mut parts = halves(expr, data_type, &batch.slice(0, half), first, told)?;
            parts.extend(halves(expr, data_type, &batch.slice(half, batch.num_rows() - half), first + half, told)?);
            Ok(parts)
        }
    }
}

/// Why an expression fails over one row, without its value, which the error of a library would say.
fn reason(expr: &Arc<dyn PhysicalExpr>, row: &RecordBatch) -> String {
    if let Some(inner) = expr.children().into_iter().find(|inner| inner.evaluate(row).is_err()) {
        return reason(inner, row);
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let from = cast.expr().data_type(&row.schema()).map_or_else(|_| "its type".to_owned(), |from| from.to_string());
        return format!("cannot be made: CAST of this {from} to {} fails; TRY_CAST makes it NULL", cast.cast_type());
    }
    match expr.downcast_ref::<ScalarFunctionExpr>().map(ScalarFunctionExpr::name) {
        Some(name @ ("to_date" | "date_parse")) => {
            format!("cannot be made: {name} does not read this text; ct_date(text, 'dd/mm/yyyy') makes it NULL")
        }
        Some(name) if name.starts_with("to_timestamp") => {
            format!("cannot be made: {name} does not read this value; ct_event_time(text, 'dd/mm/yyyy hh:mi', 'UTC') makes it NULL")
        }
        Some(name) => format!("cannot be made: {name} fails on this row; WHERE leaves such rows out"),
        None => "cannot be made: its expression fails on this row; WHERE leaves such rows out".to_owned(),
    }
}

impl DisplayAs for ConvertExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.exprs.iter().filter(|made| may_fail(&made.expr));
        let made: Vec<_> = made.map(|made| format!("{} as {}", made.expr, made.alias)).collect();
        write!(f, "ConvertExec: [{}], each row by itself where one fails", made.join(", "))
    }
}

impl ExecutionPlan for ConvertExec {
    fn name(&self) -> &'static str {
        "ConvertExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        let mut recursion = TreeNodeRecursion::Continue;
        for made in self.exprs.iter() {
            recursion = recursion.visit_sibling(|| f(&made.expr))?;
        }
        Ok(recursion)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::over(Arc::clone(&self.exprs), self.has_last, children.swap_remove(0))?))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (converter, input) = (self.clone(), self.input.execute(partition, task)?);
        let batches = input.map(move |batch| converter.convert(&batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}
