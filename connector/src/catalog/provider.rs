//! The provider behind a table: plans reads and writes, and does nothing before they run.
//!
//! In: what DataFusion's planner asks of a table. Out: the plan of a scan, or of a write.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::account::Account;
use crate::error::Error;
use crate::options::Options;
use crate::read::projection::typed_fields;
use crate::read::scan::ScanExec;
use crate::read::{filter_columns, schema_discovery};
use crate::relation::{Relation, SchemaName};
use crate::runs::RunContext;
use crate::table::{Read, Table, Write};
use crate::tables;
use crate::write::custom_list;
use crate::write::exec::WriteExec;
use crate::write::hooks::{EraseConsent, FateWatch};
use crate::write::job::{Job, WriteStatement};
use crate::write::payload::PayloadEncoder;

/// A table of CleverTap.
#[derive(Debug, Clone)]
pub(crate) struct ClevertapTable {
    pub(crate) relation: Relation,
    pub(crate) matching: ColumnMatching,
    /// Options of this table alone, over those of the session.
    pub(crate) options: Vec<(String, String)>,
    /// What is known of the statement that writes to it.
    pub(crate) statement: WriteStatement,
}

/// What the names of an INSERT's columns mean, by how the table was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnMatching {
    /// By its name in the catalogue: the planner matches columns by position, which is refused where names differ.
    ByPosition,
    /// Through `clevertap_sql`, which took the names as they were written.
    ByName,
    /// CREATE EXTERNAL TABLE, which declared the columns.
    Declared,
}

impl ClevertapTable {
    /// The table with its fixed columns.
    pub(crate) fn new(account: &Account, schema_name: &SchemaName, table: &'static Table, event: Option<&str>) -> Self {
        let relation = Relation::new(account, schema_name, table, event);
        Self { relation, matching: ColumnMatching::ByPosition, options: Vec::new(), statement: WriteStatement::default() }
    }

    /// `clevertap_events."Name"` with a column for each property that is known of it.
    pub(crate) async fn discovered(account: &Account, schema_name: &SchemaName, event: &str) -> Self {
        let bare = Self::new(account, schema_name, tables::events(), Some(event));
        let Some(Read::Export(export)) = &bare.relation.table.read else { return bare };
        let taken: Vec<&str> = bare.relation.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let typed = schema_discovery::typed_columns(account, export, event, &taken).await;
        let fields = typed_fields(&typed, export.records, account.time_zone());
        let all: Vec<_> = bare.relation.schema.fields().iter().cloned().chain(fields.into_iter().map(Arc::new)).collect();
        let relation = Relation { schema: Arc::new(Schema::new(all)), typed, ..bare.relation };
        Self { relation, ..bare }
    }

    /// The session's options, under those of this table.
    pub(crate) fn effective_options(&self, session: &dyn Session) -> Result<Options, Error> {
        let mut options = session.config_options().extensions.get::<Options>().cloned().unwrap_or_default();
        for (name, value) in &self.options {
            options.set_text(name, value)?;
        }
        self.relation.account.within_scope(options.validated()?)
    }

    /// `clevertap.profiles`.
    pub(crate) fn qualified(&self) -> String {
        self.relation.qualified()
    }

    fn check_append(&self, op: InsertOp) -> Result<(), Error> {
        if op == InsertOp::Append {
            return Ok(());
        }
        let statement = if op == InsertOp::Replace { "REPLACE INTO" } else { "INSERT OVERWRITE" };
        Err(Error::NotAppend(format!(
            "{} accepts INSERT INTO only, not {statement}: CleverTap has no call that replaces what it stored",
            self.qualified()
        )))
    }

    /// What a provider is told of a WHERE clause is not the whole of it: without the rule that reads all of it, nothing is sent.
    fn without_its_rule(&self, statement: &str) -> Result<Arc<dyn ExecutionPlan>> {
        Err(Error::Setting(format!(
            "{statement} {} was planned without the rule that reads its WHERE clause, and nothing was sent: call register on this session",
            self.qualified()
        ))
        .into())
    }

    /// The plan that writes the records of `input`, as they are.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub(crate) fn write_records(
        &self,
        session: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>, Error> {
        self.check_append(op)?;
        let job = Job::of_records(&self.relation, &self.effective_options(session)?)?;
        Ok(WriteExec::committed(input, with_hooks(job, session)))
    }

    /// The plan that writes `input`.
    ///
    /// # Errors
    /// [`Error::Unwritable`], [`Error::NotAppend`], [`Error::Unauthorized`] or [`Error::Setting`].
    pub(crate) fn write(
        &self,
        session: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>, Error> {
        self.check_append(op)?;
        let options = self.effective_options(session)?;
        let job = with_hooks(Job::new(&self.statement, &self.relation, &input.schema(), &options)?, session);
        match self.relation.table.write {
            Some(Write::List(_)) => custom_list::committed(input, job),
            _ => Ok(WriteExec::committed(input, job)),
        }
    }
}

/// What an INSERT into `table` would send, of a source with these columns; `None` if it is no table of CleverTap. The session's options
/// `clevertap.*` count, as they do for the INSERT.
///
/// # Errors
/// [`Error::Unwritable`] or [`Error::Unauthorized`], as an INSERT has them.
pub fn payload_encoder(table: &dyn TableProvider, session: &dyn Session, source: &Schema) -> Option<Result<PayloadEncoder, Error>> {
    let table = table.downcast_ref::<ClevertapTable>()?;
    let options = table.effective_options(session);
    Some(options.and_then(|options| PayloadEncoder::new(&table.relation, &options, source)))
}

/// The account that a table is of; `None` if it is no table of CleverTap. Tables that tell of the account itself, such as `clevertap.runs`, are none.
pub fn account_of(table: &dyn TableProvider) -> Option<&Account> {
    Some(&table.downcast_ref::<ClevertapTable>()?.relation.account)
}

/// The job with the callbacks of the session.
fn with_hooks(mut job: Job, session: &dyn Session) -> Job {
    job.context = session.config().get_extension::<RunContext>().unwrap_or_default();
    job.watch = session.config().get_extension::<FateWatch>().map(|watch| watch.as_ref().clone());
    job.consent = session.config().get_extension::<EraseConsent>().map(|consent| consent.as_ref().clone());
    job
}

#[async_trait]
impl TableProvider for ClevertapTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.relation.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.matching == ColumnMatching::Declared {
            return Err(Error::Filter(format!(
                "a table made by CREATE EXTERNAL TABLE is written, not read: SELECT … FROM {} reads what CleverTap has",
                self.qualified()
            ))
            .into());
        }
        ScanExec::plan(&self.relation, self.effective_options(session)?, projection, filters, limit)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filter_columns::pushdown(&self.relation, filters)?)
    }

    async fn delete_from(&self, _: &dyn Session, _: Vec<Expr>) -> Result<Arc<dyn ExecutionPlan>> {
        self.without_its_rule("DELETE FROM")
    }

    async fn update(&self, _: &dyn Session, _: Vec<(String, Expr)>, _: Vec<Expr>) -> Result<Arc<dyn ExecutionPlan>> {
        self.without_its_rule("UPDATE")
    }

    async fn truncate(&self, _: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        self.without_its_rule("TRUNCATE")
    }

    async fn insert_into(&self, session: &dyn Session, input: Arc<dyn ExecutionPlan>, op: InsertOp) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.write(session, input, op)?)
    }
}
