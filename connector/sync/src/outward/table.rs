//! A table of the session: of a database, or any other that takes an INSERT.
//!
//! In: rows. Out: an INSERT INTO, an INSERT OVERWRITE or a REPLACE INTO, as the session plans it, with columns by their names. What a table makes of it
//! is its own: those of clevertap-databases take all rows or none.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Schema, UInt64Type};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionContext, ident};

use super::query::Query;
use super::target::Write;
use crate::definition::Mode;
use crate::error::{Error, Result};

/// By which a database is told the columns that tell rows apart.
const UPSERT_KEY: &str = "database.upsert_key";

/// A table of the session.
#[derive(Debug)]
pub(super) struct SessionTable {
    into: String,
    sync: String,
}

impl SessionTable {
    pub(super) fn new(into: &str, sync: &str) -> Self {
        Self { into: into.to_owned(), sync: sync.to_owned() }
    }

    fn wrong(&self, problem: &str) -> Error {
        Error::Definition(format!("sync \"{}\": {problem}", self.sync))
    }

    async fn provider(&self, session: &SessionContext) -> Result<Arc<dyn TableProvider>> {
        Ok(session.table_provider(self.into.as_str()).await?)
    }

    /// # Errors
    /// [`Error::Definition`] if it lacks a column of the query, or cannot be told the key.
    pub(super) async fn check(&self, schema: &Schema, query: &Query) -> Result<()> {
        let session = self.session(query)?;
        let there = self.provider(&session).await?.schema();
        // One without columns is not there yet, and is made by its first write: a database with `create`.
        if there.fields().is_empty() {
            return Ok(());
        }
        let lacks = schema.fields().iter().find(|field| there.index_of(field.name()).is_err());
        let Some(field) = lacks else { return Ok(()) };
        let columns: Vec<&str> = there.fields().iter().map(|field| field.name().as_str()).collect();
        Err(self.wrong(&format!(
            "{} has no column \"{}\", it has {}; add it there, name another by AS, or leave it out",
            self.into,
            field.name(),
            columns.join(", ")
        )))
    }

    /// A session that keeps the order of rows, of which the last of a key counts, and says the key.
    fn session(&self, query: &Query) -> Result<SessionContext> {
        let mut builder = SessionStateBuilder::new_from_existing(query.session.state());
        let mut config = builder.config().take().unwrap_or_default().with_target_partitions(1);
        let key = &query.definition.key;
        if query.mode == Mode::Upsert && !key.is_empty() {
            config.options_mut().set(UPSERT_KEY, &key.join(",")).map_err(|_| {
                self.wrong(&format!(
                    "the session has no option {UPSERT_KEY}, by which {} is told the key; leave `key` out, and say mode = \"upsert\" for the table's own",
                    self.into
                ))
            })?;
        }
        *builder.config() = Some(config);
        Ok(SessionContext::new_with_state(builder.build()))
    }

    async fn plan(&self, write: &Write<'_>, session: &SessionContext) -> Result<Arc<dyn ExecutionPlan>> {
        let provider = self.provider(session).await?;
        let rows = write.rows.schema();
        let there = Some(provider.schema()).filter(|there| !there.fields().is_empty()).unwrap_or_else(|| Arc::clone(rows));
        let columns = there.fields().iter().filter_map(|field| {
            let own = rows.field_with_name(field.name()).ok()?;
            let column = ident(field.name());
            Some(if is_same_kind(own.data_type(), field.data_type()) {
                renamed(cast(column, field.data_type().clone()), field.name())
            } else {
                column
            })
        });
        let (_, source) = session.read_table(write.rows.table()?)?.select(columns.collect::<Vec<_>>())?.into_parts();
        let op = match write.query.mode {
            Mode::Replace => InsertOp::Overwrite,
            Mode::Upsert => InsertOp::Replace,
            _ => InsertOp::Append,
        };
        let plan =
            LogicalPlanBuilder::insert_into(source, TableReference::from(self.into.as_str()), provider_as_source(provider), op)?.build()?;
        Ok(session.state().create_physical_plan(&plan).await?)
    }

    /// # Errors
    /// The table's.
    pub(super) async fn write(&self, write: &Write<'_>, begins: impl AsyncFnOnce() -> Result<()>) -> Result<u64> {
        if write.rows.rows == 0 && write.query.mode != Mode::Replace {
            return Ok(0);
        }
        let session = self.session(write.query)?;
        let plan = self.plan(write, &session).await?;
        if write.query.mode == Mode::Append {
            begins().await?;
        }
        let counts = collect(plan, session.task_ctx()).await?;
        let count =
            counts.iter().filter(|batch| batch.num_columns() == 1).filter_map(|batch| batch.column(0).as_primitive_opt::<UInt64Type>());
        Ok(count.filter_map(arrow::compute::sum).sum())
    }
}

fn renamed(expr: Expr, name: &str) -> Expr {
    expr.alias(name)
}

/// Whether a value of one type is the same value in the other. What is not, the table itself converts or refuses.
fn is_same_kind(one: &DataType, other: &DataType) -> bool {
    let is_text = |of: &DataType| matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_bytes = |of: &DataType| matches!(of, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    let is_instant = |of: &DataType| matches!(of, DataType::Timestamp(_, Some(_)));
    let is_wider = one.is_signed_integer() && other.is_signed_integer() && one.primitive_width() <= other.primitive_width();
    one != other && (is_text(one) && is_text(other) || is_bytes(one) && is_bytes(other) || is_instant(one) && is_instant(other) || is_wider)
}
