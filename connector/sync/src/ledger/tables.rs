//! The ledger as SQL tables: `sync_runs`, `sync_rows`, `dead_letters`.
//!
//! In: a query. Out: the newest version at each scan, the last row of a key or a run; nothing before the tables are there. A filter on `sync`
//! opens the files of that sync alone.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::{BinaryExpr, ExprFunctionExt, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{Expr, ident, lit};
use datafusion::scalar::ScalarValue;
use futures::{StreamExt, TryStreamExt};

use super::Ledger;
use super::fault::travelling;
use super::files::Reader;
use super::log::RowFile;
use super::schema::{SYNC, Table};

/// The column that orders the rows of a key, and is not shown.
const SEQ: &str = "seq";

/// A table of the ledger, for SQL.
struct LedgerTable {
    ledger: Ledger,
    table: Table,
    schema: SchemaRef,
}

impl fmt::Debug for LedgerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerTable").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Ledger {
    /// `sync_runs`, `sync_rows` and `dead_letters`, to be registered with a session. Each scan sees the newest version.
    #[must_use]
    pub fn tables(&self) -> Vec<(&'static str, Arc<dyn TableProvider>)> {
        let table = |(name, table): (&'static str, Table)| {
            let shown = table.schema().fields().iter().filter(|field| field.name() != SEQ).cloned().collect::<Vec<_>>();
            let provider = LedgerTable { ledger: self.clone(), table, schema: Arc::new(Schema::new(shown)) };
            (name, Arc::new(provider) as Arc<dyn TableProvider>)
        };
        [("sync_runs", Table::Runs), ("sync_rows", Table::Rows), ("dead_letters", Table::DeadLetters)].into_iter().map(table).collect()
    }
}

/// The sync that a filter asks for.
fn sync_of(filter: &Expr) -> Option<&str> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) if column.name == SYNC => {
            match value {
                ScalarValue::Utf8(Some(sync)) | ScalarValue::Utf8View(Some(sync)) | ScalarValue::LargeUtf8(Some(sync)) => Some(sync),
                _ => None,
            }
        }
        _ => None,
    }
}

impl LedgerTable {
    /// By what the last row is the one that counts.
    fn key(&self) -> Option<&'static str> {
        match self.table {
            Table::Rows => Some("key"),
            Table::Runs => Some("run_id"),
            Table::DeadLetters => None,
        }
    }
}

#[async_trait]
impl TableProvider for LedgerTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let files = self.ledger.newest(self.table).await.map_err(travelling)?.map(|version| version.files(None));
        let asked: Vec<_> = filters.iter().filter_map(sync_of).collect();
        let mut files = files.unwrap_or_default();
        files.retain(|file| asked.iter().all(|sync| *sync == file.sync));
        if files.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let reader = Reader::new(&self.ledger.inner.place, self.table);
        let partitions = OfSyncs::split(&reader, files, state.config().target_partitions());
        let schema = Arc::new(self.table.schema());
        let mut rows = self.ledger.session().read_table(Arc::new(StreamingTable::try_new(schema, partitions)?))?;
        if let Some(key) = self.key() {
            let nth = row_number().partition_by(vec![ident(SYNC), ident(key)]).order_by(vec![ident(SEQ).sort(false, false)]).build()?;
            rows = rows.window(vec![nth.alias("nth")])?.filter(ident("nth").eq(lit(1_u64)))?;
        }
        let shown = self.schema.fields().iter().map(|field| field.name());
        let columns: Vec<Expr> = match projection {
            Some(columns) => columns.iter().filter_map(|at| self.schema.fields().get(*at)).map(|field| ident(field.name())).collect(),
            None => shown.map(ident).collect(),
        };
        state.create_physical_plan(rows.select(columns)?.logical_plan()).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match sync_of(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }
}

/// Files of some syncs, with their names.
#[derive(Debug)]
struct OfSyncs {
    reader: Reader,
    schema: SchemaRef,
    files: Vec<RowFile>,
}

impl OfSyncs {
    fn split(reader: &Reader, files: Vec<RowFile>, partitions: usize) -> Vec<Arc<dyn PartitionStream>> {
        let count = partitions.clamp(1, files.len().max(1));
        let mut split = vec![Vec::new(); count];
        for (at, file) in files.into_iter().enumerate() {
            if let Some(files) = split.get_mut(at % count) {
                files.push(file);
            }
        }
        let schema = Arc::new(reader.table.schema());
        let partition = |files| Arc::new(Self { reader: reader.clone(), schema: Arc::clone(&schema), files }) as Arc<dyn PartitionStream>;
        split.into_iter().map(partition).collect()
    }
}

impl PartitionStream for OfSyncs {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (reader, schema) = (self.reader.clone(), Arc::clone(&self.schema));
        let batches = futures::stream::iter(self.files.clone()).flat_map(move |file| {
            let (schema, sync) = (Arc::clone(&schema), file.sync.clone());
            reader.stream(vec![file]).and_then(move |batch| {
                let named = with_sync(&batch, &sync, &schema);
                async move { named }
            })
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

fn with_sync(batch: &RecordBatch, sync: &str, schema: &SchemaRef) -> DataFusionResult<RecordBatch> {
    let name = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(sync, batch.num_rows()))) as ArrayRef;
    let columns = std::iter::once(name).chain(batch.columns().iter().cloned()).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
