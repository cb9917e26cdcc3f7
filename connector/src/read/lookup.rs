//! Point look-ups: one request a key, one row a key at most.
//!
//! In: keys that the filters pin. Out: batches in the order of the keys. The column that was asked holds what was asked: a
//! person may be known by more names than the one that CleverTap shows first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringViewBuilder};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions};
use futures::{StreamExt, TryStreamExt};
use serde_json::value::RawValue;

use crate::account::Account;
use crate::client::{Answer, Api, Lane, LaneSettings, Request, has_status};
use crate::error::Error;
use crate::options::Options;
use crate::read::filter::Asked;
use crate::table::{Kind, Read, Source, Table};

/// Rows of a batch: look-ups are slow, so that a reader waits for few of them.
const BATCH_ROWS: usize = 64;

/// The code of a `fail` that means "no such person".
const NOT_FOUND: i64 = 404;

/// Looks keys up.
#[derive(Debug)]
pub(crate) struct LookupExec {
    account: Account,
    table: &'static Table,
    asked: Asked,
    /// Indices into the table's schema.
    projection: Vec<usize>,
    options: Options,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LookupExec {
    pub(crate) fn new(
        account: Account,
        table: &'static Table,
        asked: Asked,
        projection: Vec<usize>,
        options: Options,
        limit: Option<usize>,
    ) -> Result<Self> {
        if asked.values.len() > options.lookups_max {
            return Err(Error::Filter(format!(
                "clevertap.{} would be asked for {} keys, one request each, and clevertap.lookups_max is {}; ask for fewer, or raise it",
                table.name,
                asked.values.len(),
                options.lookups_max
            ))
            .into());
        }
        let schema = Arc::new(table.schema(account.time_zone().map(|zone| zone.name())).project(&projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self {
            account,
            table,
            asked,
            projection,
            options,
            limit,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

impl DisplayAs for LookupExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys are people: their number is shown, they are not.
        write!(f, "LookupExec: table=clevertap.{}, by={}, requests={}", self.table.name, self.asked.column, self.asked.values.len())
    }
}

impl ExecutionPlan for LookupExec {
    fn name(&self) -> &'static str {
        "LookupExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(Read::Lookup { path, keys, record }) = &self.table.read else {
            return Err(DataFusionError::Internal("a look-up of a table that has none".into()));
        };
        let Some((_, parameter)) = keys.iter().find(|(column, _)| *column == self.asked.column) else {
            return Err(DataFusionError::Internal("a look-up by a column that is not a key".into()));
        };
        let lane = Arc::new(Lane::new(&self.account, LaneSettings::new(Api::of(path), &self.options)));
        let requests = MetricBuilder::new(&self.metrics).counter("requests", partition);
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let values = self.asked.values.clone();
        let answers = futures::stream::iter(values).map(move |value| {
            let lane = Arc::clone(&lane);
            let requests = requests.clone();
            async move {
                requests.add(1);
                let request = Request::get(path).with(parameter, value.as_str()).understanding(&[NOT_FOUND]);
                let answer = lane.fetch(&request, has_status).await?;
                Ok::<_, Error>(found(&answer, path, record)?.map(|record| (value, record)))
            }
        });
        let found = answers
            .buffered(self.options.read_concurrency)
            .try_filter_map(|found| async { Ok(found) })
            .take(self.limit.unwrap_or(usize::MAX));
        let (table, column, projection, schema) = (self.table, self.asked.column.clone(), self.projection.clone(), self.schema());
        let batches = found.try_chunks(BATCH_ROWS).map(move |chunk| match chunk {
            Ok(records) => {
                rows.add(records.len());
                decode(table, &column, &projection, &schema, &records)
            }
            Err(broken) => Err(DataFusionError::from(broken.1)),
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The record of an answer; `None` for each of the three ways in which CleverTap says that there is no such person.
fn found(answer: &Answer, path: &str, pointer: &str) -> Result<Option<Box<RawValue>>, Error> {
    let unread =
        |what: &str| Error::Answer(format!("GET {path} was answered {what}, which this version does not read. Please report this."));
    let mut keys: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&answer.body).map_err(|_| unread("with something that is not a JSON object"))?;
    let status: String = match keys.remove("status").map(|status| serde_json::from_str(status.get())) {
        Some(Ok(status)) => status,
        _ => return Err(unread("without a status")),
    };
    if status != "success" && status != "fail" {
        let others: Vec<String> = keys.keys().map(|key| format!("\"{key}\"")).collect();
        return Err(unread(&format!("with \"status\": \"{status}\" beside {}", others.join(", "))));
    }
    Ok(keys.remove(pointer.trim_start_matches('/')).filter(|record| record.get() != "null"))
}

/// Records as a batch: the asked column holds what was asked.
fn decode(
    table: &Table,
    asked: &str,
    projection: &[usize],
    schema: &SchemaRef,
    records: &[(String, Box<RawValue>)],
) -> Result<RecordBatch> {
    let shown: Vec<_> = table.columns.iter().filter(|column| column.source != Source::Nowhere).collect();
    let parsed = records
        .iter()
        .map(|(_, record)| serde_json::from_str::<serde_json::Value>(record.get()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Error::Answer("a profile is not a JSON object. Please report this.".into()))?;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(projection.len());
    for &index in projection {
        let column = shown[index];
        let mut text = StringViewBuilder::with_capacity(records.len());
        for ((key, _), record) in records.iter().zip(&parsed) {
            let value = match column.source {
                Source::Asked(_) if column.name == asked => Some(serde_json::Value::String(key.clone())),
                Source::Asked(pointer) | Source::At(pointer) => record.pointer(pointer).filter(|value| !value.is_null()).cloned(),
                Source::Nowhere => None,
            };
            match value {
                None => text.append_null(),
                // A number where text is declared keeps its digits.
                Some(serde_json::Value::String(value)) if column.kind == Kind::Text => text.append_value(value),
                Some(value) => text.append_value(value.to_string()),
            }
        }
        columns.push(Arc::new(text.finish()));
    }
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &RecordBatchOptions::new().with_row_count(Some(records.len())))?)
}
