//! Turns rows into members of lists, each with its row number, ready to be sorted.
//!
//! In: batches of the source. Out: list, member, row number, and for a rejected row, which has no member, the reject as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewBuilder, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::sort_memory;
use crate::single_partition::over_one_partition;
use crate::write::encode::{Encoder, Page, Reject, Row};
use crate::write::job::Job;
use crate::write::mapping::Mapping;

/// Column with the name of the list; NULL if the row has none.
pub(super) const LIST: &str = "list";
/// Column with the member; NULL if the row is rejected.
pub(super) const MEMBER: &str = "member";

/// A reject, serialized for the sort.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rejected {
    pub(super) code: String,
    pub(super) column: String,
    pub(super) reason: String,
    pub(super) identifier: Option<String>,
    pub(super) record: String,
}

/// Encodes rows as list, member, row number and reject.
#[derive(Debug)]
pub(super) struct MembersExec {
    input: Arc<dyn ExecutionPlan>,
    job: Job,
    properties: Arc<PlanProperties>,
}

impl MembersExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, job: Job) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema()),
            Partitioning::UnknownPartitioning(1),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self { input, job, properties: Arc::new(properties) }
    }
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    Arc::new(Schema::new(vec![text(LIST), text(MEMBER), Field::new("row", DataType::UInt64, false), text("reject")]))
}

impl DisplayAs for MembersExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MembersExec")
    }
}

impl ExecutionPlan for MembersExec {
    over_one_partition!("MembersExec", input, |node, input| Self::new(input, node.job.clone()));

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 || self.input.output_partitioning().partition_count() != 1 {
            return Err(DataFusionError::Internal("MembersExec reads one partition".into()));
        }
        let Job { mapping, rules, .. } = &self.job;
        let mut encoder = Encoder::new(mapping, &self.input.schema(), rules)?;
        let keys = RecordKeys::of(mapping)?;
        let mut first = 1;
        let members = self.input.execute(0, sort_memory::unbounded(task))?.map(move |batch| {
            let batch = batch?;
            let members = encode(&mut encoder, &keys, &batch, first)?;
            first += batch.num_rows() as u64;
            Ok(members)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), members)))
    }
}

/// The two keys of an encoded record.
#[derive(Debug)]
struct RecordKeys {
    list: String,
    member: String,
}

impl RecordKeys {
    fn of(mapping: &Mapping) -> Result<Self> {
        let member = mapping.identifier().key.clone();
        let list = mapping.fields.iter().find(|field| field.required).map(|field| field.key.clone());
        let list = list.ok_or_else(|| DataFusionError::Internal("a custom list without a name".into()))?;
        Ok(Self { list, member })
    }
}

fn encode(encoder: &mut Encoder, keys: &RecordKeys, batch: &RecordBatch, first: u64) -> Result<RecordBatch> {
    let unread = |error: serde_json::Error| DataFusionError::Internal(format!("a record is not read back: {error}"));
    let mut bound = encoder.begin(batch)?;
    let (mut page, mut rows) = (Page::default(), Vec::new());
    encoder.write(&mut bound, batch.num_rows(), &mut page, &mut rows);
    let (mut lists, mut members, mut rejects) = (StringViewBuilder::new(), StringViewBuilder::new(), StringViewBuilder::new());
    let mut numbers = UInt64Builder::with_capacity(batch.num_rows());
    for (number, row) in (first..).zip(rows) {
        numbers.append_value(number);
        match row {
            Row::Record(record) => {
                let fields: BTreeMap<String, String> = serde_json::from_slice(&page.written()[record.range()]).map_err(unread)?;
                lists.append_option(fields.get(&keys.list));
                members.append_option(fields.get(&keys.member));
                rejects.append_null();
            }
            Row::Reject(reject) => {
                let Reject { code, column, reason, identifier, record } = *reject;
                let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(&record).map_err(unread)?;
                lists.append_option(fields.get(&keys.list).and_then(serde_json::Value::as_str));
                members.append_null();
                let rejected = Rejected { code: code.to_owned(), column, reason, identifier, record };
                rejects.append_value(serde_json::to_string(&rejected).map_err(unread)?);
            }
        }
    }
    let columns: Vec<ArrayRef> =
        vec![Arc::new(lists.finish()), Arc::new(members.finish()), Arc::new(numbers.finish()), Arc::new(rejects.finish())];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
