//! The schemas `clevertap` and `clevertap_events`, and the provider behind each of their tables.
//!
//! In: names. Out: [`ClevertapTable`], which plans reads and writes and does nothing before they run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::account::Account;
use crate::error::Error;
use crate::local::LOCAL_TABLES;
use crate::options::Options;
use crate::read::decode::PageDecoder;
use crate::read::discover::TypedColumn;
use crate::read::plan;
use crate::table::{Read, Table, Write};
use crate::tables::{self, TABLES};
use crate::write::list;
use crate::write::plan::{Job, Operation, WriteExec};
use crate::write::settle::FateWatch;

/// A table of CleverTap.
#[derive(Debug, Clone)]
pub(crate) struct ClevertapTable {
    pub(crate) account: Account,
    pub(crate) table: &'static Table,
    /// The event that every row is, in `clevertap_events."Name"`.
    pub(crate) event: Option<String>,
    /// Its properties that are columns, behind the fixed ones.
    pub(crate) typed: Arc<[TypedColumn]>,
    pub(crate) door: Door,
    pub(crate) schema: SchemaRef,
    /// Options of this table alone, over those of the session.
    pub(crate) options: Vec<(String, String)>,
    /// Where each column of an INSERT's source comes from, where the door knows it: for EXPLAIN.
    pub(crate) sources: Vec<String>,
    /// The text that is being run, where the door knows it.
    pub(crate) statement: Option<String>,
    /// What the statement does, and where the keys of an UPDATE or a DELETE come from.
    pub(crate) operation: Operation,
    pub(crate) keys: Option<String>,
}

/// Through which door a table was reached: it decides what the names of an INSERT's columns mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// By its name in the catalogue: the planner matches columns by position, which is refused where names differ.
    Catalogue,
    /// Through `clevertap_sql`, which took the names as they were written.
    Open,
    /// CREATE EXTERNAL TABLE, which declared the columns.
    Declared,
}

impl ClevertapTable {
    pub(crate) fn new(account: &Account, table: &'static Table, event: Option<&str>) -> Self {
        let schema = table.schema(account.time_zone().map(|zone| zone.name()));
        Self {
            account: account.clone(),
            table,
            event: event.map(Into::into),
            typed: Arc::from([]),
            door: Door::Catalogue,
            schema,
            options: Vec::new(),
            sources: Vec::new(),
            statement: None,
            operation: Operation::Insert,
            keys: None,
        }
    }

    /// `clevertap_events."Name"` with a column for each property that is known of it.
    pub(crate) async fn discovered(account: &Account, event: &str) -> Self {
        let bare = Self::new(account, tables::events(), Some(event));
        let Some(Read::Export(export)) = &bare.table.read else { return bare };
        let taken: Vec<&str> = bare.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let typed = account.discovery().typed(account, export, event, &taken).await;
        let fields = PageDecoder::new(typed.iter().map(TypedColumn::slot).collect(), export.records, account.time_zone()).fields();
        let all: Vec<_> = bare.schema.fields().iter().cloned().chain(fields.into_iter().map(Arc::new)).collect();
        Self { schema: Arc::new(Schema::new(all)), typed, ..bare }
    }

    /// The session's options, under those of this table.
    pub(crate) fn effective(&self, session: &dyn Session) -> Result<Options, Error> {
        let mut options = session.config_options().extensions.get::<Options>().cloned().unwrap_or_default();
        for (name, value) in &self.options {
            options.set_text(name, value)?;
        }
        Ok(options)
    }

    /// `clevertap.profiles`.
    pub(crate) fn qualified(&self) -> String {
        match &self.event {
            Some(event) => format!("clevertap_events.\"{event}\""),
            None => format!("clevertap.{}", self.table.name),
        }
    }

    /// What a provider is told of a WHERE clause is not the whole of it: without the rule that reads all of it, nothing is sent.
    fn without_its_rule(&self, statement: &str) -> Result<Arc<dyn ExecutionPlan>> {
        Err(Error::Setting(format!(
            "{statement} {} was planned without the rule that reads its WHERE clause, and nothing was sent: call register on this session",
            self.qualified()
        ))
        .into())
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
        if op != InsertOp::Append {
            let said = if op == InsertOp::Replace { "REPLACE INTO" } else { "INSERT OVERWRITE" };
            return Err(Error::NotAppend(format!(
                "{} accepts INSERT INTO only, not {said}: CleverTap has no call that replaces what it stored",
                self.qualified()
            )));
        }
        let options = self.effective(session)?;
        let mut job =
            Job::new(self.operation, &self.account, self.table, self.event.as_deref(), &input.schema(), &options)?.told_from(&self.sources);
        job.statement.clone_from(&self.statement);
        job.keys.clone_from(&self.keys);
        job.watch = session.config().get_extension::<FateWatch>().map(|watch| watch.as_ref().clone());
        match self.table.write {
            Some(Write::List(_)) => list::committed(input, job),
            _ => Ok(WriteExec::committed(input, job)),
        }
    }
}

#[async_trait]
impl TableProvider for ClevertapTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
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
        if self.door == Door::Declared {
            return Err(Error::Filter(format!(
                "a table made by CREATE EXTERNAL TABLE is written, not read: SELECT … FROM {} reads what CleverTap has",
                self.qualified()
            ))
            .into());
        }
        plan::scan(self, session, projection, filters, limit)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(plan::pushdown(self, filters)?)
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

/// The schema `clevertap`: the tables of CleverTap and the local ones.
#[derive(Debug)]
pub(crate) struct FixedTables {
    pub(crate) account: Account,
}

#[async_trait]
impl SchemaProvider for FixedTables {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|table| table.name).chain(LOCAL_TABLES.iter().map(|table| table.name)).map(Into::into).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = tables::find(name) {
            return Ok(Some(Arc::new(ClevertapTable::new(&self.account, table, None))));
        }
        LOCAL_TABLES.iter().find(|table| table.name == name).map(|table| table.provider(&self.account)).transpose()
    }

    fn table_exist(&self, name: &str) -> bool {
        tables::find(name).is_some() || LOCAL_TABLES.iter().any(|table| table.name == name)
    }
}

/// The schema `clevertap_events`: any name is an event that can be written.
#[derive(Debug)]
pub(crate) struct EventTables {
    pub(crate) account: Account,
    /// The names that this session has used: listing all would cost a request.
    used: Mutex<BTreeSet<String>>,
}

impl EventTables {
    pub(crate) fn new(account: Account) -> Self {
        Self { account, used: Mutex::default() }
    }
}

#[async_trait]
impl SchemaProvider for EventTables {
    fn table_names(&self) -> Vec<String> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(Some(Arc::new(ClevertapTable::discovered(&self.account, name).await)))
    }

    async fn table_type(&self, _name: &str) -> Result<Option<TableType>> {
        Ok(Some(TableType::Base))
    }

    fn table_exist(&self, _name: &str) -> bool {
        true
    }
}

/// The table of this name to write to: nothing is asked about an event for that.
pub(crate) async fn to_write(schema: &dyn SchemaProvider, name: &str) -> Result<Option<ClevertapTable>> {
    if let Some(events) = schema.downcast_ref::<EventTables>() {
        return Ok(Some(ClevertapTable::new(&events.account, tables::events(), Some(name))));
    }
    let provider = schema.table(name).await?;
    Ok(provider.and_then(|provider| provider.downcast_ref::<ClevertapTable>().filter(|table| table.door == Door::Catalogue).cloned()))
}
