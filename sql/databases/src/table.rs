//! A table of a database, as DataFusion sees it.
//!
//! In: projection, filters and limit of a query, or the plan of an INSERT. Out: the plan nodes that read and write.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::driver::{Driver, Query};
use crate::error::Error;
use crate::filter::{Condition, condition};
use crate::options::WriteOptions;
use crate::relation::{Column, Comparison, Relation, Unnamed};
use crate::scan::ScanExec;
use crate::settings::Access;
use crate::write::exec::WriteExec;
use crate::write::job::{Job, Mode};

/// A table of a database.
pub(crate) struct DatabaseTable {
    pub(crate) relation: Arc<Relation>,
    driver: Arc<dyn Driver>,
    access: Access,
    schema: SchemaRef,
}

impl fmt::Debug for DatabaseTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseTable").field("table", &self.relation.qualified()).finish_non_exhaustive()
    }
}

impl DatabaseTable {
    pub(crate) fn new(relation: Relation, driver: Arc<dyn Driver>, access: Access) -> Self {
        Self { schema: relation.arrow_schema(), relation: Arc::new(relation), driver, access }
    }

    /// The same, which is not there, with the columns that a write is to make.
    pub(crate) fn with_columns_of(self, schema: SchemaRef) -> Self {
        Self { schema, ..self }
    }

    fn condition(&self, filter: &Expr) -> Option<Condition> {
        condition(filter, &self.relation, self.driver.dialect())
    }

    /// The relation that a write of this source makes, if it is not there.
    fn made(&self, source: &SchemaRef, key: &[String]) -> Result<Arc<Relation>> {
        if self.relation.exists {
            return Ok(Arc::clone(&self.relation));
        }
        let column = |field: &Arc<arrow::datatypes::Field>| {
            let is_key = key.contains(field.name());
            let made = if is_key { self.driver.made_key(field.data_type()) } else { self.driver.made(field.data_type()) };
            let (data_type, sql_type) = made?;
            Ok(Column {
                name: field.name().clone(),
                stored: None,
                data_type,
                nullable: true,
                sql_type,
                is_cast: false,
                chars_max: None,
                unnamed: Unnamed::Null,
                comparison: Comparison::Never,
                is_loosely_equal: true,
            })
        };
        let columns = source.fields().iter().map(column).collect::<Result<Vec<_>, Error>>()?;
        Ok(Arc::new(Relation { columns, ..Relation::clone(&self.relation) }))
    }
}

#[async_trait]
impl TableProvider for DatabaseTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        if self.relation.is_view { TableType::View } else { TableType::Base }
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let qualified = self.relation.qualified();
        if !self.relation.exists {
            return Err(Error::Statement(format!("{qualified} is not there yet; an INSERT makes it")).into());
        }
        let dialect = self.driver.dialect();
        let all: Vec<usize>;
        let projection = match projection {
            Some(projection) => projection,
            None => {
                all = (0..self.relation.columns.len()).collect();
                &all
            }
        };
        let select: Vec<_> = projection.iter().map(|at| dialect.read(&self.relation.columns[*at])).collect();
        let conditions: Vec<_> = filters.iter().filter_map(|filter| self.condition(filter)).collect();
        let text = |of: fn(&Condition) -> &str| {
            let mut sql = format!("SELECT {} FROM {}", dialect.select(&select), dialect.table(&self.relation));
            for (at, condition) in conditions.iter().enumerate() {
                sql.push_str(if at == 0 { " WHERE " } else { " AND " });
                sql.push_str(of(condition));
            }
            // A condition may be wider than its filter: rows that it lets pass would use the limit up.
            if let Some(limit) = limit.filter(|_| filters.is_empty() && dialect.takes_limit()) {
                sql.push_str(&format!(" LIMIT {limit}"));
            }
            sql
        };
        let query = Query { qualified, sql: text(|condition| &condition.sql), schema: Arc::new(self.schema.project(projection)?) };
        Ok(Arc::new(ScanExec::new(Arc::clone(&self.driver), query, text(|condition| &condition.shown), self.relation.rows)))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.condition(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn insert_into(&self, state: &dyn Session, input: Arc<dyn ExecutionPlan>, op: InsertOp) -> Result<Arc<dyn ExecutionPlan>> {
        let qualified = self.relation.qualified();
        if self.access != Access::Write {
            return Err(Error::Statement(format!(
                "{qualified} is read only: database \"{}\" has access \"read\"; set access = \"write\" to write to it",
                self.relation.database
            ))
            .into());
        }
        let upsert_key = match state.config_options().extensions.get::<WriteOptions>() {
            Some(options) => options.upsert_key.clone(),
            None => Vec::new(),
        };
        let mode = Mode::of(op);
        let relation = self.made(&input.schema(), if mode == Mode::Upsert { &upsert_key } else { &[] })?;
        let job = Job::plan(relation, &input.schema(), mode, &upsert_key)?;
        self.driver.check_job(&job)?;
        Ok(Arc::new(WriteExec::new(input, Arc::new(Arc::clone(&self.driver)), Arc::new(job))))
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

impl DatabaseTable {
    fn only_inserts(&self, statement: &str) -> datafusion::error::DataFusionError {
        Error::Statement(format!(
            "{} takes INSERT INTO, INSERT OVERWRITE and REPLACE INTO, and no {statement}: nothing was changed",
            self.relation.qualified()
        ))
        .into()
    }
}
