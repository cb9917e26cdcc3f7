//! The door for SQL text, and what `register` puts into a session.
//!
//! In: a statement. Out: a `DataFrame`. [`ClevertapSql::clevertap_sql`] plans `INSERT INTO clevertap.<table>` by the names of
//! the source's columns, which DataFusion's own planner would match by position against a fixed schema.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{
    DmlStatement, Explain, Expr, LogicalPlan, LogicalPlanBuilder, PlanType, Statement as PlanStatement, ToStringifiedPlan,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, ObjectName, SelectItem, SetExpr, TableObject};

use crate::account::Account;
use crate::catalog::{ClevertapTable, Door, EventTables, FixedTables, to_write};
use crate::copy::{ClevertapFormatFactory, ClevertapTableFactory, FORMAT};
use crate::error::Error;
use crate::options::Options;
use crate::read::copied::CopiesAreWhole;
use crate::read::identifiers::IdentifiersAreText;
use crate::read::instants::{ClocksAreSet, SecondsAreWhole};
use crate::read::late::{KeysBeforeLookups, KeysFromJoins};
use crate::rule::{AsWeWrite, not_updated};
use crate::write::plan::Operation;
use crate::{tables, update};

/// Bytes of the keys that a join hands on: as many as may be looked up, of 400 bytes each.
const JOIN_KEYS_BYTES: usize = 4 * 1024 * 1024;

/// The accounts of a context, by the names under which they were registered.
#[derive(Debug, Default)]
pub(crate) struct Accounts(RwLock<BTreeMap<String, Account>>);

impl Accounts {
    pub(crate) fn find(&self, name: &str) -> Option<Account> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn names(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect::<Vec<_>>().join(", ")
    }

    fn add(&self, name: &str, account: Account) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), account);
    }
}

/// Registers `account` in `ctx`: the schemas `<name>` and `<name>_events` in its default catalogue, the options
/// `clevertap.*`, the functions `ct_*`, and `STORED AS CLEVERTAP`.
///
/// Call it before state is cloned out of the context. Where the session has no time zone it gets the account's, or UTC, so that
/// `now()` is an instant. Several accounts have several names; options are shared.
///
/// ```
/// use datafusion::prelude::SessionContext;
/// use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Region, Secret, register};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let account = Account::open("ABC-12D-345Z", Secret::new("a-passcode"), Region::In1, AccountSettings::default())?;
/// let ctx = SessionContext::new();
/// register(&ctx, "clevertap", account)?;
/// // Nothing is sent: EXPLAIN shows which column becomes which field.
/// ctx.clevertap_sql("EXPLAIN INSERT INTO clevertap.profiles SELECT 'cust-1' AS identity, 'gold' AS \"Plan\"").await?.show().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Setting`] if the default catalogue takes no schemas.
pub fn register(ctx: &SessionContext, name: &str, account: Account) -> Result<(), Error> {
    let taken = |error: DataFusionError| Error::Setting(format!("\"{name}\" cannot be registered: {error}"));
    let state_ref = ctx.state_ref();
    let accounts = ctx.state().config().get_extension::<Accounts>();
    let accounts = match accounts {
        Some(accounts) => accounts,
        None => {
            let accounts = Arc::new(Accounts::default());
            let mut state = state_ref.write();
            let zone = account.time_zone().map_or("+00:00", |zone| zone.name());
            let mut builder = rebuild(state.clone(), |mut config| {
                let options = config.options_mut();
                if options.extensions.get::<Options>().is_none() {
                    options.extensions.insert(Options::default());
                }
                // A join hands on as many keys as may be looked up.
                let optimizer = &mut options.optimizer;
                optimizer.hash_join_inlist_pushdown_max_distinct_values =
                    optimizer.hash_join_inlist_pushdown_max_distinct_values.max(Options::default().lookups_max);
                optimizer.hash_join_inlist_pushdown_max_size = optimizer.hash_join_inlist_pushdown_max_size.max(JOIN_KEYS_BYTES);
                // Without a zone now() has none, and could not be an event_time.
                options.execution.time_zone.get_or_insert_with(|| zone.to_owned());
                config.with_extension(Arc::clone(&accounts))
            })
            .with_physical_optimizer_rule(Arc::new(KeysFromJoins))
            .with_physical_optimizer_rule(Arc::new(CopiesAreWhole))
            .with_table_factory(FORMAT.into(), Arc::new(ClevertapTableFactory));
            // Before DataFusion makes the sides of a comparison alike, and after all of its rules. The analyzer itself is kept: it also holds
            // what other crates rewrite, of which a new one would know nothing.
            // Before all of DataFusion's own, the first of which takes the casts of columns away.
            builder.optimizer().get_or_insert_default().rules.insert(0, Arc::new(SecondsAreWhole));
            KeysBeforeLookups::add_to(&mut builder.physical_optimizers().get_or_insert_default().rules);
            let analyzer = builder.analyzer().get_or_insert_default();
            analyzer.rules.splice(0..0, [Arc::new(IdentifiersAreText) as Arc<dyn AnalyzerRule + Send + Sync>, Arc::new(ClocksAreSet)]);
            analyzer.rules.push(Arc::new(AsWeWrite));
            let mut built = builder.build();
            built.register_file_format(Arc::new(ClevertapFormatFactory), true).map_err(taken)?;
            datafusion_clevertap_udfs::register(&mut built).map_err(taken)?;
            *state = built;
            accounts
        }
    };
    accounts.add(name, account.clone());
    let state = ctx.state();
    let default = &state.config_options().catalog.default_catalog;
    let catalog = state
        .catalog_list()
        .catalog(default)
        .ok_or_else(|| Error::Setting(format!("the session has no catalogue \"{default}\" to register \"{name}\" in")))?;
    catalog.register_schema(name, Arc::new(FixedTables { account: account.clone() })).map_err(taken)?;
    catalog.register_schema(&format!("{name}_events"), Arc::new(EventTables::new(account))).map_err(taken)?;
    Ok(())
}

/// The same state with another configuration. The builder's own configuration is changed: another one would have it put a new,
/// empty catalogue in the place of the session's.
fn rebuild(state: SessionState, change: impl FnOnce(SessionConfig) -> SessionConfig) -> SessionStateBuilder {
    let mut builder = SessionStateBuilder::new_from_existing(state);
    let changed = builder.config().take().map(change);
    *builder.config() = changed;
    builder
}

/// SQL with open INSERTs: columns are matched by name, and any column may be written.
#[async_trait]
pub trait ClevertapSql {
    /// Plans one statement, like `SessionContext::sql`, with INSERT INTO our tables and UPDATE of people planned by name; also inside of
    /// EXPLAIN and PREPARE. An INSERT or COPY whose source is only scans, filters and projections is planned in one partition, so that its
    /// rows keep the file's order.
    async fn clevertap_sql(&self, sql: &str) -> Result<DataFrame>;
}

#[async_trait]
impl ClevertapSql for SessionContext {
    async fn clevertap_sql(&self, sql: &str) -> Result<DataFrame> {
        let state = self.state();
        let statement = state.sql_to_statement(sql, &state.config_options().sql_parser.dialect)?;
        let plan = match open_write(&state, statement.clone(), sql).await? {
            Some(plan) => plan,
            None => told(state.statement_to_plan(statement).await?, sql)?,
        };
        if let LogicalPlan::Explain(explain) = &plan {
            check_explained(&state, explain).await?;
        }
        let frame = self.execute_logical_plan(plan).await?;
        // Of EXECUTE this is the plan that was prepared.
        if !keeps_order(frame.logical_plan()) {
            return Ok(frame);
        }
        let (state, plan) = frame.into_parts();
        let one_partition = rebuild(state, |config| config.with_target_partitions(1));
        Ok(DataFrame::new(one_partition.build(), plan))
    }
}

/// Plans what is explained, as EXPLAIN itself does: of what one of our rules refuses, it shows the first half of the plan and no error.
async fn check_explained(state: &SessionState, explain: &Explain) -> Result<()> {
    match state.create_physical_plan(&explain.plan).await {
        Err(DataFusionError::Context(rule, error)) if rule == KeysFromJoins.name() => Err(*error),
        _ => Ok(()),
    }
}

/// Plans `statement` by name, if it is an INSERT into one of our tables, an UPDATE of people, or an EXPLAIN or PREPARE of one.
async fn open_write(state: &SessionState, mut statement: Statement, sql: &str) -> Result<Option<LogicalPlan>> {
    // The statement is taken out and its query left in its place, so that DataFusion plans all that stands around it.
    let Some(slot) = write_in(&mut statement) else { return Ok(None) };
    if let Some(name) = update::returning(slot) {
        let table = ours(state, &table_reference(state, name)).await?;
        return table.map_or(Ok(None), |table| Err(update::returns_nothing("DELETE FROM", &table).into()));
    }
    let name = match &*slot {
        ast::Statement::Insert(ast::Insert { table: TableObject::TableName(name), .. }) => name,
        ast::Statement::Update(update) => match update::target(update) {
            Some(name) => name,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let reference = table_reference(state, name);
    let Some(mut table) = ours(state, &reference).await? else { return Ok(None) };
    let (source, columns, op) = match slot.clone() {
        ast::Statement::Insert(insert) => {
            let Some(source) = insert.source.clone() else {
                return Err(Error::Unwritable(format!("INSERT INTO {} has no rows: add SELECT … or VALUES …", table.qualified())).into());
            };
            let op = check_clauses(&insert, &table)?;
            if insert.columns.is_empty() {
                check_names(&source, &table)?;
            }
            (source, insert.columns.iter().map(column_name).collect::<Result<Vec<_>>>()?, op)
        }
        ast::Statement::Update(update) if std::ptr::eq(table.table, tables::profiles()) => {
            update::check_clauses(&update, &table)?;
            let source = update::query(state, update, &table)?;
            check_names(&source, &table)?;
            table.operation = Operation::Update;
            (source, Vec::new(), InsertOp::Append)
        }
        ast::Statement::Update(_) => return Err(not_updated(&table).into()),
        _ => return Ok(None),
    };
    *slot = ast::Statement::Query(source);
    table.door = Door::Open;
    table.statement = Some(sql.to_owned());
    let around = state.statement_to_plan(statement).await?;
    within(around, move |source| {
        if columns.is_empty() {
            check_planned_names(&source, &table)?;
        }
        let named = rename(source, &columns, &table)?;
        table.sources = sources(&named);
        LogicalPlanBuilder::insert_into(named, reference.clone(), provider_as_source(Arc::new(table.clone())), op)?.build()
    })
    .map(Some)
}

/// The INSERT, UPDATE or DELETE in a statement, itself or under EXPLAIN or PREPARE.
fn write_in(statement: &mut Statement) -> Option<&mut ast::Statement> {
    fn inside(statement: &mut ast::Statement) -> Option<&mut ast::Statement> {
        match statement {
            ast::Statement::Insert(_) | ast::Statement::Update(_) | ast::Statement::Delete(_) => Some(statement),
            ast::Statement::Prepare { statement, .. } | ast::Statement::Explain { statement, .. } => inside(statement),
            _ => None,
        }
    }
    match statement {
        Statement::Statement(statement) => inside(statement),
        Statement::Explain(explain) => write_in(&mut explain.statement),
        _ => None,
    }
}

/// The same plan, whose DELETE knows its own text.
fn told(plan: LogicalPlan, sql: &str) -> Result<LogicalPlan> {
    within(plan, |plan| {
        let LogicalPlan::Dml(dml) = &plan else { return Ok(plan) };
        let Some(table) = crate::rule::of_dml(dml) else { return Ok(plan) };
        let target = provider_as_source(Arc::new(ClevertapTable { statement: Some(sql.to_owned()), ..table.clone() }));
        Ok(LogicalPlan::Dml(DmlStatement { target, ..dml.clone() }))
    })
}

/// Applies `wrap` to the query's plan, which stands alone or under EXPLAIN or PREPARE.
fn within(plan: LogicalPlan, wrap: impl FnOnce(LogicalPlan) -> Result<LogicalPlan>) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Explain(mut explain) => {
            let inner = wrap(Arc::unwrap_or_clone(explain.plan))?;
            explain.stringified_plans = vec![inner.to_stringified(PlanType::InitialLogicalPlan)];
            explain.plan = Arc::new(inner);
            LogicalPlan::Explain(explain)
        }
        LogicalPlan::Analyze(mut analyze) => {
            analyze.input = Arc::new(wrap(Arc::unwrap_or_clone(analyze.input))?);
            LogicalPlan::Analyze(analyze)
        }
        LogicalPlan::Statement(PlanStatement::Prepare(mut prepare)) => {
            prepare.input = Arc::new(wrap(Arc::unwrap_or_clone(prepare.input))?);
            LogicalPlan::Statement(PlanStatement::Prepare(prepare))
        }
        query => wrap(query)?,
    })
}

fn table_reference(state: &SessionState, name: &ObjectName) -> TableReference {
    let normalize = state.config_options().sql_parser.enable_ident_normalization;
    let part = |part: &ast::ObjectNamePart| match part.as_ident() {
        Some(ident) if ident.quote_style.is_none() && normalize => ident.value.to_lowercase(),
        Some(ident) => ident.value.clone(),
        None => part.to_string(),
    };
    match &name.0[..] {
        [table] => TableReference::bare(part(table)),
        [schema, table] => TableReference::partial(part(schema), part(table)),
        [.., catalog, schema, table] => TableReference::full(part(catalog), part(schema), part(table)),
        [] => TableReference::bare(""),
    }
}

/// The table of this name, if it is one of ours that is reached by name.
async fn ours(state: &SessionState, reference: &TableReference) -> Result<Option<ClevertapTable>> {
    let Ok(schema) = state.schema_for_ref(reference.clone()) else { return Ok(None) };
    to_write(schema.as_ref(), reference.table()).await
}

/// Refuses the clauses of other systems' INSERTs.
fn check_clauses(insert: &ast::Insert, table: &ClevertapTable) -> Result<InsertOp> {
    let extra = [
        (insert.on.is_some(), "ON CONFLICT", "an INSERT of a profile is an upsert already"),
        (insert.returning.is_some(), "RETURNING", "read clevertap.runs and clevertap.failed_rows after it"),
        (insert.ignore, "IGNORE", "SET clevertap.on_reject = 'skip' goes on past rejects"),
        (insert.partitioned.is_some(), "PARTITION", "leave it out"),
    ];
    if let Some((_, clause, remedy)) = extra.into_iter().find(|(there, ..)| *there) {
        return Err(Error::NotAppend(format!("INSERT INTO {} takes no {clause}: {remedy}", table.qualified())).into());
    }
    Ok(match (insert.overwrite, insert.replace_into || insert.or.is_some()) {
        (true, _) => InsertOp::Overwrite,
        (_, true) => InsertOp::Replace,
        _ => InsertOp::Append,
    })
}

/// A listed column, as it is written.
fn column_name(name: &ObjectName) -> Result<String> {
    match &name.0[..] {
        [part] => Ok(part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone())),
        _ => Err(Error::Unwritable(format!("column {name} of the list has several parts; name it by one")).into()),
    }
}

/// Renames the source's columns to those of the list, by position.
fn rename(source: LogicalPlan, columns: &[String], table: &ClevertapTable) -> Result<LogicalPlan> {
    if columns.is_empty() {
        return Ok(source);
    }
    let fields = source.schema().columns();
    if fields.len() != columns.len() {
        return Err(Error::Unwritable(format!(
            "INSERT INTO {} lists {} columns, and its source has {}",
            table.qualified(),
            columns.len(),
            fields.len()
        ))
        .into());
    }
    let named = fields.into_iter().zip(columns).map(|(field, name)| Expr::Column(field).alias(name));
    LogicalPlanBuilder::from(source).project(named.collect::<Vec<_>>())?.build()
}

/// Where each column of `plan` comes from: the name of a column of its source, or `expression`.
fn sources(plan: &LogicalPlan) -> Vec<String> {
    fn origin(plan: &LogicalPlan, column: usize) -> String {
        match plan {
            LogicalPlan::Projection(projection) => match projection.expr[column].clone().unalias_nested().data {
                Expr::Column(inner) => match projection.input.schema().maybe_index_of_column(&inner) {
                    Some(index) => origin(&projection.input, index),
                    None => inner.name,
                },
                // Its text may hold a literal, and that a person.
                _ => "expression".to_owned(),
            },
            LogicalPlan::SubqueryAlias(alias) => origin(&alias.input, column),
            LogicalPlan::Filter(filter) => origin(&filter.input, column),
            LogicalPlan::Limit(limit) => origin(&limit.input, column),
            LogicalPlan::Sort(sort) => origin(&sort.input, column),
            plan => plan.schema().field(column).name().clone(),
        }
    }
    (0..plan.schema().fields().len()).map(|column| origin(plan, column)).collect()
}

/// "Names must be meant": looks at the outermost select list as it was typed.
fn check_names(source: &ast::Query, table: &ClevertapTable) -> Result<()> {
    let mut body = source.body.as_ref();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(query) => body = query.body.as_ref(),
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            SetExpr::Values(_) => {
                let name = table.qualified();
                let mut written = table.table.columns.iter().filter(|column| column.target.shape().is_some()).map(|column| column.name);
                let (first, more) = (written.next().unwrap_or_default(), if written.next().is_some() { ", …" } else { "" });
                return Err(Error::Unwritable(format!(
                    "{name}: VALUES have no names; list the columns, as in INSERT INTO {name} ({first}{more}) VALUES (…)"
                ))
                .into());
            }
            _ => return Ok(()),
        }
    };
    for (at, item) in select.projection.iter().enumerate() {
        let position = at + 1;
        match item {
            SelectItem::UnnamedExpr(ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)) => {}
            SelectItem::UnnamedExpr(_) => {
                return Err(Error::Unwritable(format!(
                    "{}: expression {position} of the select list has no name; give it one with AS, in double quotes if it holds capitals",
                    table.qualified()
                ))
                .into());
            }
            SelectItem::ExprWithAlias { alias, .. } if alias.quote_style.is_none() && alias.value.chars().any(char::is_uppercase) => {
                return Err(Error::Unwritable(format!(
                    "{}: AS {name} would become the property \"{lower}\", for ever; write AS \"{name}\", or AS {lower} if that is meant",
                    table.qualified(),
                    name = alias.value,
                    lower = alias.value.to_lowercase()
                ))
                .into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The same for what only looks like a column: `s.plan`, where `s` is a struct, is an expression and has no name of its own.
fn check_planned_names(source: &LogicalPlan, table: &ClevertapTable) -> Result<()> {
    match source {
        LogicalPlan::Projection(projection) => {
            match projection.expr.iter().find(|expr| !matches!(expr, Expr::Column(_) | Expr::Alias(_))) {
                Some(expr) => Err(Error::Unwritable(format!(
                    "{}: \"{}\" is an expression without a name; give it one with AS, in double quotes if it holds capitals",
                    table.qualified(),
                    expr.schema_name()
                ))
                .into()),
                None => Ok(()),
            }
        }
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Distinct(_) => {
            source.inputs().into_iter().try_for_each(|input| check_planned_names(input, table))
        }
        _ => Ok(()),
    }
}

/// Whether a plan writes to us what only scans, filters and projections feed: then one partition keeps the file's order.
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
        LogicalPlan::Dml(dml) => crate::rule::of_dml(dml).is_some() && simple(&dml.input),
        LogicalPlan::Copy(copy) => copy.output_url.starts_with("clevertap://") && simple(&copy.input),
        LogicalPlan::Explain(explain) => keeps_order(&explain.plan),
        LogicalPlan::Analyze(analyze) => keeps_order(&analyze.input),
        _ => false,
    }
}
