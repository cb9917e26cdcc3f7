//! A Delta table, as DataFusion sees it.
//!
//! In: projection, filters and limit of a query, or the plan of an INSERT. Out: the plan nodes that read and write. Which files are read at all
//! is settled by the library, by partitions and by what the log says of each file.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use deltalake_core::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake_core::kernel::EagerSnapshot;

use super::describe::writable;
use super::fault::of_plan;
use super::place::Place;
use super::scan::SnapshotExec;
use super::snapshot::{AsOf, Snapshots};
use super::upsert::refuse_key;
use super::writer::DeltaWriter;
use crate::error::{Error, shown};
use crate::options::WriteOptions;
use crate::relation::Unnamed;
use crate::settings::Access;
use crate::write::exec::WriteExec;
use crate::write::job::{Job, Mode};

/// A table of Delta Lake.
pub struct DeltaTableProvider {
    snapshots: Snapshots,
    access: Access,
    /// As it was opened: columns and partitions that a statement is planned with.
    opened: Arc<EagerSnapshot>,
    reader: DeltaScanNext,
}

impl fmt::Debug for DeltaTableProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeltaTableProvider").field("table", &self.place().shown()).finish_non_exhaustive()
    }
}

impl DeltaTableProvider {
    /// Opens the table in the folder at `location`, a path or URL, in the store that the session has for it.
    ///
    /// ```no_run
    /// # use clevertap_databases::Access;
    /// # use clevertap_databases::delta::{AsOf, DeltaTableProvider};
    /// # use datafusion::prelude::SessionContext;
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = SessionContext::new();
    /// clevertap_databases::delta::register(&ctx, Access::Write);
    /// let users = DeltaTableProvider::open("/data/users/", AsOf::Latest, Access::Write, &ctx.state()).await?;
    /// ctx.register_table("users", std::sync::Arc::new(users))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Statement`] if there is no table, not this version of it, or one that cannot be read here; [`Error::Unavailable`],
    /// [`Error::Unauthorized`] from the store.
    pub async fn open(location: &str, as_of: AsOf, access: Access, state: &dyn Session) -> Result<Self> {
        let (snapshots, opened) = Snapshots::open(Place::new(location, state)?, as_of).await?;
        let reader = reader(&opened, state).map_err(|error| of_plan(&snapshots.place().shown(), error))?;
        Ok(Self { snapshots, access, opened, reader })
    }

    fn place(&self) -> &Place {
        self.snapshots.place()
    }

    /// The snapshot of a statement, whose columns are those that the statement was planned with.
    async fn snapshot(&self, state: &dyn Session) -> Result<Arc<EagerSnapshot>, Error> {
        let snapshot = self.snapshots.of_statement(state).await?;
        let is_same = snapshot.schema() == self.opened.schema()
            && snapshot.metadata().partition_columns() == self.opened.metadata().partition_columns();
        if is_same {
            return Ok(snapshot);
        }
        Err(Error::Statement(format!(
            "{}: its columns are others since version {}, when it was opened; open it again, by its path or by CREATE OR REPLACE EXTERNAL TABLE",
            self.place().shown(),
            snapshot.version()
        )))
    }

    fn only_inserts(&self, statement: &str) -> datafusion::error::DataFusionError {
        Error::Statement(format!(
            "{} takes INSERT INTO, INSERT OVERWRITE and REPLACE INTO, and no {statement}: nothing was changed",
            self.place().shown()
        ))
        .into()
    }
}

/// The library's scan. Columns of partitions are of their own types, as in a file.
fn reader(snapshot: &Arc<EagerSnapshot>, state: &dyn Session) -> Result<DeltaScanNext> {
    let config = DeltaScanConfig::new_from_session(state).with_wrap_partition_values(false);
    DeltaScanNext::new(Arc::clone(snapshot), config)
}

/// Why a column cannot be one of partitions.
fn refuse_partitions(job: &Job, partitions: &[String]) -> Option<String> {
    let column = job.relation.columns.iter().find(|column| partitions.contains(&column.name) && column.data_type == DataType::Binary)?;
    Some(format!("\"{}\" is binary and of the partitions, whose names the library writes with other bytes", shown(&column.name)))
}

/// The versions of the table that a plan reads, and of each whether it is the latest that its statement saw.
fn read_of(plan: &dyn ExecutionPlan, place: &Place) -> Vec<(u64, bool)> {
    let own = plan.downcast_ref::<SnapshotExec>().and_then(|scan| scan.version_of(place));
    own.into_iter().chain(plan.children().into_iter().flat_map(|child| read_of(child.as_ref(), place))).collect()
}

#[async_trait]
impl TableProvider for DeltaTableProvider {
    fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = self.snapshot(state).await?;
        let table = self.place().shown();
        let told = |error| of_plan(&table, error);
        let scan = reader(&snapshot, state).map_err(told)?.scan(state, projection, filters, limit).await.map_err(told)?;
        Ok(Arc::new(SnapshotExec::new(scan, self.place().clone(), snapshot.version(), self.snapshots.as_of() == AsOf::Latest)))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.reader.supports_filters_pushdown(filters)
    }

    async fn insert_into(&self, state: &dyn Session, input: Arc<dyn ExecutionPlan>, op: InsertOp) -> Result<Arc<dyn ExecutionPlan>> {
        let table = self.place().shown();
        if self.access != Access::Write {
            return Err(Error::Statement(format!("{table} is read only: it was opened with access \"read\"")).into());
        }
        if self.snapshots.as_of() != AsOf::Latest {
            return Err(Error::Statement(format!(
                "{table} is read at version {}, and only the latest is written; leave OPTIONS (version …) or (timestamp …) out",
                self.opened.version()
            ))
            .into());
        }
        let snapshot = self.snapshot(state).await?;
        let relation = writable(self.place(), &snapshot)?;
        let options = state.config_options().extensions.get::<WriteOptions>().cloned().unwrap_or_default();
        let job = Job::plan(Arc::new(relation), &input.schema(), Mode::of(op), &options.upsert_key)?;
        if let Some(why) = refuse_key(&job).or_else(|| refuse_partitions(&job, snapshot.metadata().partition_columns())) {
            return Err(Error::Statement(format!("{table}: {why}")).into());
        }
        if job.mode == Mode::Upsert && job.relation.columns.iter().any(|column| column.unnamed == Unnamed::Generated) {
            let problem = "it has generated columns, which a merge leaves as they were in rows that change; INSERT OVERWRITE computes them";
            return Err(Error::Statement(format!("{table}: {problem}")).into());
        }
        let read = read_of(input.as_ref(), self.place());
        // Two names of one table, or a statement beside this one, may have brought another version.
        if read.iter().any(|(version, is_latest)| *is_latest && *version != snapshot.version()) {
            let problem = "another writer changed it while the statement was planned. Nothing was changed; run the statement again";
            return Err(Error::Refused(format!("{table}: {problem}")).into());
        }
        let reads_itself = !read.is_empty();
        let writer = DeltaWriter { place: self.place().clone(), snapshot, overwrite: options.overwrite, reads_itself };
        Ok(Arc::new(WriteExec::new(input, Arc::new(writer), Arc::new(job))))
    }

    async fn delete_from(&self, _: &dyn Session, _: Vec<Expr>) -> Result<Arc<dyn ExecutionPlan>> {
        Err(self.only_inserts("DELETE"))
    }

    async fn update(&self, _: &dyn Session, _: Vec<(String, Expr)>, _: Vec<Expr>) -> Result<Arc<dyn ExecutionPlan>> {
        Err(self.only_inserts("UPDATE"))
    }

    async fn truncate(&self, _: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        Err(self.only_inserts("TRUNCATE"))
    }
}
