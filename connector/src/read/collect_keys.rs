//! Reads one side of a join whole, to learn its keys before the other side asks CleverTap for them.
//!
//! In: the plan of that side and the expressions of its keys. Out: the same rows, each partition in its order, and each distinct key once, as
//! [`Collection::keys`]. Whoever comes first, the rows or the keys, reads the input; so it does not matter which side a join reads first,
//! nor which kind of join it is. Rows wait in memory up to a bound, and on disk beyond it.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EmissionType, apply_expression_roots};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::spill_pool::{SpillPoolSink, spsc_channel};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
    SpillManager, Statistics, StatisticsArgs,
};
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt, TryStreamExt};

/// Bytes of rows that a partition keeps in memory; further ones go to disk.
const HELD_BYTES_MAX: usize = 16 << 20;

/// Bytes of a file on disk. It is deleted once its rows have been handed on.
const FILE_BYTES: usize = 64 << 20;

/// Keys that are counted for a message, once there are more of them than may be used.
const COUNTED_MAX: usize = 1_000_000;

/// A key of one side of a join.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Over the rows of that side.
    pub(crate) value: Arc<dyn PhysicalExpr>,
    /// The column that takes it: `clevertap.profiles.identity`.
    pub(crate) taken_by: String,
}

/// What has been read.
type Collected = Shared<BoxFuture<'static, Result<Arc<Rows>, Arc<DataFusionError>>>>;

/// The rows of a side of a join and its distinct keys, read once, when the first of those who need it comes.
#[derive(Debug)]
pub(crate) struct Collection {
    /// More distinct keys than this are only counted.
    keys_max: usize,
    metrics: ExecutionPlanMetricsSet,
    state: Mutex<State>,
}

struct State {
    /// The plan whose rows are collected.
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Key>,
    collected: Option<Collected>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("is_read", &self.collected.is_some()).finish_non_exhaustive()
    }
}

/// The rows of each partition, until they are taken, and the keys of all.
struct Rows {
    partitions: Vec<Mutex<Option<Held>>>,
    keys: Vec<Distinct>,
}

impl Collection {
    /// The distinct values of key number `index`, without NULL.
    ///
    /// # Errors
    /// Those of the input, and the number of keys, as text, if there are too many.
    pub(crate) async fn keys(&self, index: usize, context: &Arc<TaskContext>) -> Result<Result<Vec<ScalarValue>, String>> {
        let rows = self.collected(context).await.map_err(DataFusionError::Shared)?;
        Ok(rows.keys[index].values())
    }

    pub(crate) fn keys_max(&self) -> usize {
        self.keys_max
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collected(&self, context: &Arc<TaskContext>) -> Collected {
        let mut state = self.state();
        let State { input, keys, collected } = &mut *state;
        let start = || {
            let (input, context) = (Arc::clone(input), Arc::clone(context));
            let (keys, keys_max, metrics) = (keys.clone(), self.keys_max, self.metrics.clone());
            async move { read(input, context, &keys, keys_max, &metrics).await.map(Arc::new).map_err(Arc::new) }.boxed().shared()
        };
        collected.get_or_insert_with(start).clone()
    }
}

/// Reads all partitions of `input` at the same time.
async fn read(
    input: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    keys: &[Key],
    keys_max: usize,
    metrics: &ExecutionPlanMetricsSet,
) -> Result<Rows> {
    let distinct: Arc<Vec<Mutex<Distinct>>> = Arc::new(keys.iter().map(|_| Mutex::new(Distinct::new(keys_max))).collect());
    let mut reads = JoinSet::new();
    for partition in 0..input.output_partitioning().partition_count() {
        let mut batches = input.execute(partition, Arc::clone(&context))?;
        let keys: Vec<_> = keys.iter().map(|key| Arc::clone(&key.value)).collect();
        let mut holding = Holding::new(&input, &context, SpillMetrics::new(metrics, partition), partition);
        let distinct = Arc::clone(&distinct);
        reads.spawn(async move {
            while let Some(batch) = batches.try_next().await? {
                for (key, distinct) in keys.iter().zip(distinct.iter()) {
                    let values = key.evaluate(&batch)?.into_array(batch.num_rows())?;
                    let mut distinct = distinct.lock().unwrap_or_else(PoisonError::into_inner);
                    for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
                        distinct.add(ScalarValue::try_from_array(&values, row)?);
                    }
                }
                holding.add(batch)?;
            }
            Ok::<_, DataFusionError>((partition, holding.finish()))
        });
    }
    let mut partitions = Vec::new();
    while let Some(read) = reads.join_next().await {
        partitions.push(read.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
    }
    partitions.sort_by_key(|(partition, _)| *partition);
    let keys: Vec<_> = distinct.iter().map(|keys| std::mem::take(&mut *keys.lock().unwrap_or_else(PoisonError::into_inner))).collect();
    MetricBuilder::new(metrics).global_counter("keys").add(keys.iter().map(|keys| keys.in_order.len() + keys.beyond.len()).sum());
    Ok(Rows { partitions: partitions.into_iter().map(|(_, held)| Mutex::new(Some(held))).collect(), keys })
}

/// Distinct values, in the order in which they came.
#[derive(Debug, Default)]
struct Distinct {
    max: usize,
    seen: HashSet<ScalarValue>,
    in_order: Vec<ScalarValue>,
    /// Hashes of those beyond `max`, for their number.
    beyond: HashSet<u64>,
}

impl Distinct {
    fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    fn add(&mut self, value: ScalarValue) {
        if self.seen.contains(&value) {
            return;
        }
        if self.in_order.len() < self.max {
            self.in_order.push(value.clone());
            self.seen.insert(value);
        } else if self.beyond.len() < COUNTED_MAX {
            self.beyond.insert(std::hash::BuildHasher::hash_one(self.seen.hasher(), &value));
        }
    }

    /// The values, or, if there are more than `max`, their number as text.
    fn values(&self) -> Result<Vec<ScalarValue>, String> {
        match self.beyond.len() {
            0 => Ok(self.in_order.clone()),
            more if more < COUNTED_MAX => Err((self.in_order.len() + more).to_string()),
            _ => Err(format!("more than {COUNTED_MAX}")),
        }
    }
}

/// Rows of a partition while they come in.
struct Holding {
    batches: Vec<RecordBatch>,
    bytes: usize,
    reservation: MemoryReservation,
    disk: Arc<SpillManager>,
    spilled: Option<(SpillPoolSink, SendableRecordBatchStream)>,
}

/// Rows of a partition, whole.
enum Held {
    InMemory(Vec<RecordBatch>, MemoryReservation),
    OnDisk(SendableRecordBatchStream),
}

impl Holding {
    fn new(input: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>, metrics: SpillMetrics, partition: usize) -> Self {
        let consumer = MemoryConsumer::new(format!("CollectKeysExec[{partition}]")).with_can_spill(true);
        Self {
            batches: Vec::new(),
            bytes: 0,
            reservation: consumer.register(context.memory_pool()),
            disk: Arc::new(SpillManager::new(context.runtime_env(), metrics, input.schema())),
            spilled: None,
        }
    }

    fn add(&mut self, batch: RecordBatch) -> Result<()> {
        if let Some((file, _)) = &self.spilled {
            return file.push_batch(&batch);
        }
        let bytes = get_record_batch_memory_size(&batch);
        if self.bytes + bytes <= HELD_BYTES_MAX && self.reservation.try_grow(bytes).is_ok() {
            self.bytes += bytes;
            self.batches.push(batch);
            return Ok(());
        }
        let (file, _) = self.spilled.insert(spsc_channel(FILE_BYTES, Arc::clone(&self.disk)));
        for batch in self.batches.drain(..).chain([batch]) {
            file.push_batch(&batch)?;
        }
        self.reservation.free();
        Ok(())
    }

    fn finish(self) -> Held {
        match self.spilled {
            None => Held::InMemory(self.batches, self.reservation),
            // The end of the rows is that of their sink.
            Some((_, rows)) => Held::OnDisk(rows),
        }
    }
}

impl Held {
    fn stream(self) -> futures::stream::BoxStream<'static, Result<RecordBatch>> {
        match self {
            // The reservation is dropped with the stream.
            Self::InMemory(batches, reservation) => futures::stream::iter(batches)
                .map(move |batch| {
                    let _ = &reservation;
                    Ok(batch)
                })
                .boxed(),
            Self::OnDisk(batches) => batches.boxed(),
        }
    }
}

/// Hands on the rows of its input, once all of them have been read for their keys.
#[derive(Debug)]
pub(crate) struct CollectKeysExec {
    input: Arc<dyn ExecutionPlan>,
    collection: Arc<Collection>,
    properties: Arc<PlanProperties>,
}

impl CollectKeysExec {
    /// Collects keys of the rows of `input`, and at most `keys_max` distinct ones of each.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, keys_max: usize) -> Self {
        let state = Mutex::new(State { input: Arc::clone(&input), keys: Vec::new(), collected: None });
        Self::over(input, Arc::new(Collection { keys_max, metrics: ExecutionPlanMetricsSet::new(), state }))
    }

    /// Collects this key too, and returns its number.
    pub(crate) fn add(&self, key: Key) -> usize {
        let mut state = self.collection.state();
        state.keys.push(key);
        state.keys.len() - 1
    }

    fn over(input: Arc<dyn ExecutionPlan>, collection: Arc<Collection>) -> Self {
        let properties = Arc::new(input.properties().as_ref().clone().with_emission_type(EmissionType::Final));
        Self { input, collection, properties }
    }

    pub(crate) fn collection(&self) -> &Arc<Collection> {
        &self.collection
    }
}

impl DisplayAs for CollectKeysExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.collection.state().keys.iter().map(|key| format!("{} -> {}", key.value, key.taken_by)).collect();
        write!(f, "CollectKeysExec: keys=[{}]", keys.join(", "))
    }
}

impl ExecutionPlan for CollectKeysExec {
    fn name(&self) -> &'static str {
        "CollectKeysExec"
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

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        let keys: Vec<_> = self.collection.state().keys.iter().map(|key| Arc::clone(&key.value)).collect();
        apply_expression_roots(&keys, f)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.swap_remove(0);
        // The scans that wait for the keys know the collection, so it is told where its rows come from now.
        self.collection.state().input = Arc::clone(&input);
        Ok(Arc::new(Self::over(input, Arc::clone(&self.collection))))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        self.collection.state().collected = None;
        Ok(self)
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(inputs.first().map_or_else(|| Arc::new(Statistics::new_unknown(&self.schema())), Arc::clone))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let collected = self.collection.collected(&context);
        let rows = async move {
            let rows = collected.await.map_err(DataFusionError::Shared)?;
            let held = rows.partitions.get(partition).and_then(|held| held.lock().unwrap_or_else(PoisonError::into_inner).take());
            held.map(Held::stream).ok_or_else(|| DataFusionError::Internal(format!("partition {partition} of a join is read twice")))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::once(rows).try_flatten())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.collection.metrics.clone_inner())
    }
}
