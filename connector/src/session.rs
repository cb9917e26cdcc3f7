//! SQL text with names that are meant: [`ClevertapSql::clevertap_sql`].
//!
//! In: a statement. Out: a `DataFrame`. INSERT INTO our tables is planned by the names of the source's columns, which DataFusion's own
//! planner would match by position against a fixed schema.

use std::borrow::Cow;

use async_trait::async_trait;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::{SQLOptions, SessionState};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{DdlStatement, Explain, LogicalPlan, WriteOp};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;

use crate::balance::balanced;
use crate::copy;
use crate::dml::alias::resolve_alias;
use crate::dml::insert::{plan_by_name, with_statement_text};
use crate::dml::rewrite::target_of;
use crate::error::{Error, ErrorKind};
use crate::optimizer::BIND_KEYS;
use crate::options::Options;
use crate::read::schema_discovery;
use crate::redact::without_secrets;
use crate::register::with_config;

/// SQL whose INSERTs are matched by name: columns keep the names that they were given, and any column may be written.
#[async_trait]
pub trait ClevertapSql {
    /// Plans one statement, like `SessionContext::sql`, with INSERT INTO our tables and UPDATE of people planned by name; also inside of
    /// EXPLAIN and PREPARE. COPY to a folder that has files needs `OPTIONS (append true)` or `OPTIONS (overwrite true)`. An INSERT or COPY whose source is only scans, filters and projections is planned in one partition, so that its
    /// rows keep the file's order.
    async fn clevertap_sql(&self, sql: &str) -> Result<DataFrame> {
        self.clevertap_sql_with_options(sql, SQLOptions::new()).await
    }

    /// The same, refusing what `options` do not allow (DDL, DML, SET), like `SessionContext::sql_with_options`.
    ///
    /// ```
    /// # use datafusion::prelude::SessionContext;
    /// use datafusion::execution::context::SQLOptions;
    /// use datafusion_clevertap::ClevertapSql;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let ctx = SessionContext::new();
    /// let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    /// assert!(ctx.clevertap_sql_with_options("SET datafusion.execution.batch_size = 1", read_only).await.is_err());
    /// # }
    /// ```
    async fn clevertap_sql_with_options(&self, sql: &str, options: SQLOptions) -> Result<DataFrame>;

    /// The same for a statement that was parsed before.
    async fn clevertap_statement(&self, statement: Statement, options: SQLOptions) -> Result<DataFrame>;
}

#[async_trait]
impl ClevertapSql for SessionContext {
    async fn clevertap_sql_with_options(&self, sql: &str, options: SQLOptions) -> Result<DataFrame> {
        let state = self.state();
        let statement = state.sql_to_statement(sql, &state.config_options().sql_parser.dialect)?;
        run(self, plan_statement(&state, statement, sql, options).await?).await
    }

    async fn clevertap_statement(&self, statement: Statement, options: SQLOptions) -> Result<DataFrame> {
        let state = self.state();
        run(self, state.clevertap_plan(statement, options).await?).await
    }
}

/// The same for who has a state and no context, such as a service that plans for its own scheduler.
#[async_trait]
pub trait ClevertapPlan {
    /// Plans one statement as [`ClevertapSql::clevertap_statement`] does, and runs nothing. Whoever runs it sets
    /// `datafusion.execution.target_partitions` to 1 where the order of the source is to be kept.
    async fn clevertap_plan(&self, statement: Statement, options: SQLOptions) -> Result<LogicalPlan>;
}

#[async_trait]
impl ClevertapPlan for SessionState {
    async fn clevertap_plan(&self, statement: Statement, options: SQLOptions) -> Result<LogicalPlan> {
        let sql = statement.to_string();
        plan_statement(self, statement, &sql, options).await
    }
}

async fn plan_statement(state: &SessionState, statement: Statement, sql: &str, options: SQLOptions) -> Result<LogicalPlan> {
    let session = state.config_options().extensions.get::<Options>().cloned().unwrap_or_default();
    schema_discovery::within(&session, plan(state, statement, sql, options)).await
}

async fn plan(state: &SessionState, statement: Statement, sql: &str, options: SQLOptions) -> Result<LogicalPlan> {
    let statement = resolve_alias(balanced(statement))?;
    let plan = match plan_by_name(state, statement.clone(), sql).await? {
        Some(plan) => plan,
        None => with_statement_text(state.statement_to_plan(statement).await?, sql)?,
    };
    options.verify_plan(&plan)?;
    let plan = without_secrets_in_definition(copy::folder::look_first(plan)?);
    if let LogicalPlan::Explain(explain) = &plan {
        check_explained(state, explain).await?;
    }
    Ok(plan)
}

/// The text of a view or a table of files, which SHOW CREATE TABLE and `information_schema.views` show, without what its URLs keep secret.
fn without_secrets_in_definition(mut plan: LogicalPlan) -> LogicalPlan {
    let definition = match &mut plan {
        LogicalPlan::Ddl(DdlStatement::CreateView(view)) => view.definition.as_mut(),
        LogicalPlan::Ddl(DdlStatement::CreateExternalTable(table)) => table.definition.as_mut(),
        _ => None,
    };
    if let Some(definition) = definition
        && let Cow::Owned(masked) = without_secrets(definition)
    {
        *definition = masked;
    }
    plan
}

async fn run(ctx: &SessionContext, plan: LogicalPlan) -> Result<DataFrame> {
    let frame = ctx.execute_logical_plan(plan).await?;
    // Of EXECUTE this is the plan that was prepared.
    if !keeps_order(frame.logical_plan()) {
        return Ok(frame);
    }
    let (state, plan) = frame.into_parts();
    let one_partition = with_config(state, |config| config.with_target_partitions(1));
    Ok(DataFrame::new(one_partition.build(), plan))
}

/// Plans what is explained, as EXPLAIN itself does: of a query that is refused, it shows the first half of the plan and no error.
async fn check_explained(state: &SessionState, explain: &Explain) -> Result<()> {
    match state.create_physical_plan(&explain.plan).await {
        Err(DataFusionError::Context(rule, error)) if rule == BIND_KEYS => Err(*error),
        Err(error) if Error::find(&error).is_some_and(|error| error.kind() == ErrorKind::Filter) => Err(error),
        _ => Ok(()),
    }
}

/// Whether a plan writes what only scans, filters and projections feed, to us or where of rows with one key the last one counts (REPLACE INTO,
/// INSERT OVERWRITE): then one partition keeps the file's order.
fn keeps_order(plan: &LogicalPlan) -> bool {
    fn simple(plan: &LogicalPlan) -> bool {
        let itself = matches!(
            plan,
            LogicalPlan::TableScan(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::Projection(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::EmptyRelation(_)
        );
        itself && plan.inputs().into_iter().all(simple)
    }
    match plan {
        LogicalPlan::Dml(dml) => {
            let last_counts = matches!(dml.op, WriteOp::Insert(InsertOp::Replace | InsertOp::Overwrite));
            (last_counts || target_of(dml).is_some()) && simple(&dml.input)
        }
        LogicalPlan::Copy(copy) => copy.output_url.starts_with("clevertap://") && simple(&copy.input),
        LogicalPlan::Explain(explain) => keeps_order(&explain.plan),
        LogicalPlan::Analyze(analyze) => keeps_order(&analyze.input),
        _ => false,
    }
}
