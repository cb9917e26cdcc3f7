//! `clevertap.profiles`, reduced to the people whose keys are known: read by looking each of them up.
//!
//! In: keys, from the statement or from a query. Out: the columns of `clevertap.profiles`, one row for each key that somebody has.
//! All keys are known and counted before the first request.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::StringViewArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties};
use futures::TryStreamExt;

use super::predicate::{KeySource, key_column};
use crate::catalog::ClevertapTable;
use crate::options::Options;
use crate::read::lookup::LookupPlan;
use crate::read::plan::ReadPlan;
use crate::read::pushdown::keys::KeyFilter;
use crate::read::scan::ScanExec;
use crate::read::spec::Scan;
use crate::relation::Relation;
use crate::single_partition::over_one_partition;
use crate::table::Read;

/// The people behind keys.
#[derive(Debug)]
pub(super) struct LookupTable {
    table: ClevertapTable,
    column: &'static str,
    keys: LookupInput,
}

#[derive(Debug)]
enum LookupInput {
    Listed(Vec<String>),
    Queried(Box<LogicalPlan>),
}

impl LookupTable {
    pub(super) fn new(table: ClevertapTable, column: &'static str, keys: KeySource) -> Result<Self> {
        let keys = match keys {
            KeySource::Listed(keys) => LookupInput::Listed(keys),
            KeySource::Queried(plan) => {
                let key = key_column(&plan, column)?.alias(column);
                LookupInput::Queried(Box::new(LogicalPlanBuilder::from(plan).project([key])?.build()?))
            }
        };
        Ok(Self { table, column, keys })
    }
}

#[async_trait]
impl TableProvider for LookupTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.relation.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.table.relation.schema.fields().len()).collect());
        let look_up = LookupSpec {
            column: self.column,
            options: self.table.effective_options(session)?,
            relation: self.table.relation.clone(),
            schema: Arc::new(self.table.relation.schema.project(&projection)?),
            projection,
            limit,
        };
        match &self.keys {
            LookupInput::Listed(keys) if keys.is_empty() => Ok(Arc::new(EmptyExec::new(look_up.schema))),
            LookupInput::Listed(keys) => Ok(Arc::new(look_up.of(keys.clone())?)),
            LookupInput::Queried(plan) => {
                let keys = session.create_physical_plan(plan).await?;
                Ok(Arc::new(LookupQueriedExec::new(keys, look_up)))
            }
        }
    }
}

/// How keys are looked up.
#[derive(Debug, Clone)]
struct LookupSpec {
    relation: Relation,
    column: &'static str,
    projection: Vec<usize>,
    schema: SchemaRef,
    options: Options,
    limit: Option<usize>,
}

impl LookupSpec {
    /// Looks up these keys.
    fn of(&self, values: Vec<String>) -> Result<ScanExec> {
        let Some(Read::People { lookup, .. }) = &self.relation.table.read else {
            return Err(DataFusionError::Internal("people are looked up, and this table is not".into()));
        };
        let scan = Scan {
            relation: self.relation.clone(),
            options: self.options.clone(),
            projection: self.projection.clone(),
            schema: Arc::clone(&self.schema),
            limit: self.limit,
        };
        let work = LookupPlan::of(lookup, KeyFilter { column: self.column.to_owned(), values }, &scan)?;
        Ok(ScanExec::new(scan, ReadPlan::Lookup(work)))
    }
}

/// Looks up the keys of a query, once all of them are known.
#[derive(Debug)]
struct LookupQueriedExec {
    keys: Arc<dyn ExecutionPlan>,
    look_up: LookupSpec,
    properties: Arc<PlanProperties>,
}

impl LookupQueriedExec {
    fn new(keys: Arc<dyn ExecutionPlan>, look_up: LookupSpec) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&look_up.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { keys, look_up, properties: Arc::new(properties) }
    }
}

impl DisplayAs for LookupQueriedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LookupSpec { column, options, relation, .. } = &self.look_up;
        write!(f, "LookupQueriedExec: table={}, by={column}, requests=one a key, at most {}", relation.qualified(), options.lookups_max)
    }
}

impl ExecutionPlan for LookupQueriedExec {
    over_one_partition!("LookupQueriedExec", keys, |node, keys| Self::new(keys, node.look_up.clone()));

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 || self.keys.output_partitioning().partition_count() != 1 {
            return Err(DataFusionError::Internal("LookupQueriedExec has one partition".into()));
        }
        let keys = self.keys.execute(0, Arc::clone(&task))?;
        let look_up = self.look_up.clone();
        let found = futures::stream::once(async move {
            let keys = distinct(keys).await?;
            if keys.is_empty() {
                return EmptyExec::new(look_up.schema).execute(0, task);
            }
            look_up.of(keys)?.execute(0, task)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), found.try_flatten())))
    }
}

/// The keys of a query, each once, in its order; NULL is nobody.
async fn distinct(mut batches: SendableRecordBatchStream) -> Result<Vec<String>> {
    let (mut seen, mut keys) = (HashSet::new(), Vec::new());
    while let Some(batch) = batches.try_next().await? {
        let column = cast(batch.column(0), &DataType::Utf8View)?;
        let Some(texts) = column.as_any().downcast_ref::<StringViewArray>() else {
            return Err(DataFusionError::Internal("keys are not text".into()));
        };
        for text in texts.iter().flatten() {
            if seen.insert(text.to_owned()) {
                keys.push(text.to_owned());
            }
        }
    }
    Ok(keys)
}
