//! The plan node below a diff: the rows of a query, with the hashes of each one's key and payload.
//!
//! In: the plan of the query. Out: its columns, and behind them [`KEY`], [`KEY_HASH`], [`PAYLOAD_HASH`], [`APPENDS`]. Each partition is hashed on
//! its own; nothing is sent.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, FixedSizeBinaryBuilder, RecordBatch, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EvaluationType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};
use datafusion_clevertap::payload::{Payload, PayloadEncoder};
use futures::StreamExt;

use crate::hash;

/// The text of a row's key; NULL where a column of the key is.
pub(crate) const KEY: &str = "__clevertap_key";
/// Its hash, 16 bytes.
pub(crate) const KEY_HASH: &str = "__clevertap_key_hash";
/// The hash of what the row would send, 16 bytes.
pub(crate) const PAYLOAD_HASH: &str = "__clevertap_payload_hash";
/// Whether it would be stored twice, if it were sent twice.
pub(crate) const APPENDS: &str = "__clevertap_appends";

/// How many columns stand behind those of the query.
pub(crate) const HIDDEN: usize = 4;

/// Makes the encoder of a partition.
pub(crate) type NewEncoder = Arc<dyn Fn() -> Result<PayloadEncoder> + Send + Sync>;

/// Hashes keys and payloads.
pub(crate) struct HashedExec {
    input: Arc<dyn ExecutionPlan>,
    key: Vec<usize>,
    new_encoder: NewEncoder,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for HashedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashedExec").field("key", &self.key).finish_non_exhaustive()
    }
}

impl HashedExec {
    /// Over `input`, whose columns `key` say which row is which.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, key: Vec<usize>, new_encoder: NewEncoder) -> Self {
        let schema = hashed_schema(&input.schema());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        )
        .with_scheduling_type(SchedulingType::Cooperative)
        .with_evaluation_type(EvaluationType::Lazy);
        Self { input, key, new_encoder, schema, properties: Arc::new(properties) }
    }
}

fn hashed_schema(source: &Schema) -> SchemaRef {
    let hidden = [
        Field::new(KEY, DataType::Utf8, true),
        Field::new(KEY_HASH, DataType::FixedSizeBinary(16), false),
        Field::new(PAYLOAD_HASH, DataType::FixedSizeBinary(16), false),
        Field::new(APPENDS, DataType::Boolean, false),
    ];
    let fields: Vec<_> = source.fields().iter().cloned().chain(hidden.map(Arc::new)).collect();
    Arc::new(Schema::new_with_metadata(fields, source.metadata().clone()))
}

/// The texts of the keys of a batch: of one column its text, of several a JSON array of theirs.
fn keys(batch: &RecordBatch, columns: &[usize]) -> Result<StringArray> {
    let texts = columns.iter().map(|column| Ok(cast(batch.column(*column), &DataType::Utf8)?)).collect::<Result<Vec<ArrayRef>>>()?;
    if let [text] = texts.as_slice() {
        return Ok(text.as_string::<i32>().clone());
    }
    let texts: Vec<&StringArray> = texts.iter().map(|text| text.as_string::<i32>()).collect();
    let mut keys = StringBuilder::with_capacity(batch.num_rows(), batch.num_rows() * 24);
    for row in 0..batch.num_rows() {
        let parts: Option<Vec<&str>> = texts.iter().map(|text| text.is_valid(row).then(|| text.value(row))).collect();
        let joined = parts.map(|parts| serde_json::to_string(&parts)).transpose();
        keys.append_option(joined.map_err(|error| DataFusionError::External(Box::new(error)))?);
    }
    Ok(keys.finish())
}

fn hashed(batch: &RecordBatch, key: &[usize], encoder: &mut PayloadEncoder, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let keys = keys(batch, key)?;
    let mut key_hashes = FixedSizeBinaryBuilder::with_capacity(rows, 16);
    for row in 0..rows {
        key_hashes.append_value(if keys.is_valid(row) { hash::of_key(keys.value(row)) } else { hash::Hash::default() })?;
    }
    let mut payload_hashes = FixedSizeBinaryBuilder::with_capacity(rows, 16);
    let mut appends = BooleanBuilder::with_capacity(rows);
    let mut failed = Ok(());
    encoder.encode(batch, |payload| {
        let (hash, is_append) = match payload {
            Payload::Record { json, appends } => (hash::of_payload(json), appends),
            Payload::Rejected { code } => (hash::of_reject(code), false),
            _ => (hash::Hash::default(), true),
        };
        appends.append_value(is_append);
        if let Err(error) = payload_hashes.append_value(hash) {
            failed = Err(error);
        }
    })?;
    failed?;
    let hidden: [ArrayRef; HIDDEN] =
        [Arc::new(keys), Arc::new(key_hashes.finish()), Arc::new(payload_hashes.finish()), Arc::new(appends.finish())];
    Ok(RecordBatch::try_new(Arc::clone(schema), batch.columns().iter().cloned().chain(hidden).collect())?)
}

impl DisplayAs for HashedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.input.schema();
        let names: Vec<&str> = self.key.iter().map(|column| schema.field(*column).name().as_str()).collect();
        write!(f, "HashedExec: key=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for HashedExec {
    fn name(&self) -> &'static str {
        "HashedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.key.clone(), Arc::clone(&self.new_encoder))))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, task)?;
        let (key, schema, mut encoder) = (self.key.clone(), Arc::clone(&self.schema), (self.new_encoder)()?);
        let batches = input.map(move |batch| hashed(&batch?, &key, &mut encoder, &schema));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, Int64Array};
    use datafusion::physical_plan::collect;
    use datafusion::prelude::SessionContext;
    use datafusion_clevertap::{Account, AccountSettings, Region, Secret, payload_encoder, register};

    use super::*;

    /// A context with an account that is never asked: encoding makes no request.
    fn context() -> SessionContext {
        let settings = AccountSettings::new().with_time_zone("Asia/Kolkata".parse().expect("a zone"));
        let account = Account::open("ABC-12D-345Z", Secret::new("ABC-DEF-GHIJ"), Region::In1, settings).expect("an account");
        let ctx = SessionContext::new();
        register(&ctx, "clevertap", &account).expect("registered");
        ctx
    }

    /// Key, hash of the key, hash of the payload, whether it appends: of each row of a query into a table.
    async fn hashes(query: &str, table: &str, key: &[&str]) -> Vec<(Option<String>, Vec<u8>, Vec<u8>, bool)> {
        let ctx = context();
        let plan = ctx.sql(query).await.expect("a query").create_physical_plan().await.expect("a plan");
        let provider = ctx.table_provider(table).await.expect("a table");
        let (state, schema) = (ctx.state(), plan.schema());
        let columns = key.iter().map(|name| schema.index_of(name).expect("a column")).collect();
        let new_encoder: NewEncoder = Arc::new(move || {
            let encoder = payload_encoder(provider.as_ref(), &state, &schema).expect("a table of CleverTap");
            Ok(encoder?)
        });
        let hashed = Arc::new(HashedExec::new(plan, columns, new_encoder));
        let mut rows = Vec::new();
        for batch in collect(hashed, ctx.task_ctx()).await.expect("rows") {
            let at = batch.num_columns() - HIDDEN;
            let (keys, appends) = (batch.column(at).as_string::<i32>(), batch.column(at + 3).as_boolean());
            let of = |column: usize, row: usize| batch.column(column).as_fixed_size_binary().value(row).to_vec();
            for row in 0..batch.num_rows() {
                let key = keys.is_valid(row).then(|| keys.value(row).to_owned());
                rows.push((key, of(at + 1, row), of(at + 2, row), appends.value(row)));
            }
        }
        rows
    }

    async fn payload(query: &str) -> Vec<u8> {
        hashes(query, "clevertap.profiles", &["identity"]).await.remove(0).2
    }

    #[tokio::test]
    async fn rows_that_send_the_same_have_one_hash_whatever_their_types_and_the_order_of_their_columns() {
        let text = payload("SELECT '5' AS identity, 7 AS \"Visits\", 'gold' AS \"Plan\"").await;
        for same in [
            "SELECT 'gold' AS \"Plan\", arrow_cast(7, 'Int16') AS \"Visits\", 5 AS identity",
            "SELECT arrow_cast('5', 'LargeUtf8') AS identity, arrow_cast('gold', 'Dictionary(Int32, Utf8)') AS \"Plan\", 7 AS \"Visits\"",
            "SELECT '5' AS identity, 7 AS \"Visits\", 'gold' AS \"Plan\", arrow_cast(NULL, 'Utf8') AS \"City\"",
        ] {
            assert_eq!(payload(same).await, text, "{same}");
        }
        for other in [
            "SELECT '5' AS identity, 8 AS \"Visits\", 'gold' AS \"Plan\"",
            "SELECT '6' AS identity, 7 AS \"Visits\", 'gold' AS \"Plan\"",
            "SELECT '5' AS identity, '7' AS \"Visits\", 'gold' AS \"Plan\"",
            "SELECT '5' AS identity, 7 AS \"Visits\", 'gold' AS \"plan\"",
        ] {
            assert_ne!(payload(other).await, text, "{other}");
        }
    }

    #[tokio::test]
    async fn properties_are_hashed_in_the_order_of_their_names() {
        let one = payload("SELECT 'a' AS identity, '{\"x\":1,\"y\":\"2\"}' AS properties").await;
        let other = payload("SELECT 'a' AS identity, '{\"y\":\"2\", \"x\":1}' AS properties").await;
        assert_eq!(one, other);
    }

    #[tokio::test]
    async fn a_row_that_is_rejected_has_the_hash_of_its_reject_and_events_append() {
        let rows = hashes(
            "SELECT * FROM (VALUES ('a', 1), (NULL, 2)) AS t (identity, \"Visits\") ORDER BY \"Visits\"",
            "clevertap.profiles",
            &["identity"],
        )
        .await;
        assert_eq!(rows.iter().map(|row| (row.0.as_deref(), row.3)).collect::<Vec<_>>(), [(Some("a"), false), (None, false)]);
        assert_eq!(rows[0].1, hash::of_key("a"));
        let events = "SELECT 'Charged' AS event_name, 1767225600 AS event_time, 'a' AS identity, 7 AS id";
        let rows = hashes(events, "clevertap.events", &["identity", "id"]).await;
        assert_eq!((rows[0].0.as_deref(), rows[0].3), (Some("[\"a\",\"7\"]"), true));
    }

    #[test]
    fn integers_of_all_widths_are_one_key() {
        let schema = |data_type| Arc::new(Schema::new(vec![Field::new("id", data_type, true)]));
        let narrow = RecordBatch::try_new(schema(DataType::Int32), vec![Arc::new(Int32Array::from(vec![7]))]).expect("a batch");
        let wide = RecordBatch::try_new(schema(DataType::Int64), vec![Arc::new(Int64Array::from(vec![7]))]).expect("a batch");
        assert_eq!(keys(&narrow, &[0]).expect("keys"), keys(&wide, &[0]).expect("keys"));
    }
}
