//! A definition, planned up to its window.
//!
//! In: a definition and a session. Out: its query, whose parameters are not known yet; the project that it reads, with its clock and its zone; and, for
//! a window, the plan.

use std::sync::Arc;

use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion_clevertap::chrono_tz::Tz;
use datafusion_clevertap::{Account, ClevertapSql, account_of};

use super::spool::CursorColumn;
use super::window::{Again, Span, bind};
use crate::definition::outward as rules;
use crate::definition::{Definition, Mode, RunOptions, Window};
use crate::error::{Error, Result};
use crate::hash;
use crate::session::session;

/// A query without its window.
pub(super) struct Query {
    /// With the options of the definition.
    pub(super) session: SessionContext,
    pub(super) definition: Definition,
    pub(super) mode: Mode,
    pub(super) query_hash: String,
    /// The project's; UTC of a query that reads none.
    pub(super) zone: Tz,
    frame: DataFrame,
    accounts: Vec<Account>,
}

/// A query with its window.
pub(super) struct Bound {
    pub(super) plan: Arc<dyn ExecutionPlan>,
    pub(super) cursor: Option<CursorColumn>,
}

impl Query {
    /// # Errors
    /// [`Error::Definition`], or the query's.
    pub(super) async fn new(ctx: &SessionContext, definition: &Definition, options: &RunOptions) -> Result<Self> {
        definition.check()?;
        let mode = rules::check(definition)?;
        rules::check_run(&definition.name, options)?;
        let session = session(ctx, definition, options)?;
        let only_reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let query = definition.query.trim().trim_end_matches(';');
        let frame = session.clevertap_sql_with_options(query, only_reads).await?;
        let mut accounts = Vec::new();
        find_accounts(frame.logical_plan(), &mut accounts)?;
        let zone = accounts.iter().find_map(Account::time_zone).unwrap_or(Tz::UTC);
        let query_hash = hash::shown(&hash::of_payload(query.as_bytes()));
        Ok(Self { session, definition: definition.clone(), mode, query_hash, zone, frame, accounts })
    }

    fn wrong(&self, problem: impl std::fmt::Display) -> Error {
        Error::Definition(format!("sync \"{}\": {problem}", self.definition.name))
    }

    /// Whose CleverTap it reads, as the ledger has it; nobody's of a query that reads none.
    pub(super) fn owner(&self) -> String {
        self.accounts.first().map_or_else(String::new, |account| format!("{}@{}", account.id(), account.host()))
    }

    /// By the clock of the project.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.accounts.first().map_or_else(Utc::now, |account| account.clock().now())
    }

    /// What a run reads now.
    ///
    /// # Errors
    /// [`Error::Definition`] if the days of the project are not known.
    pub(super) fn span(&self, options: &RunOptions, cursor: Option<DateTime<Utc>>) -> Result<Option<Span>> {
        if let Some(span) = Span::of(options, self.now()) {
            return span.check(&self.definition.name, self.zone).map(Some);
        }
        match &self.definition.window {
            None => Ok(None),
            Some(Window::Days(days)) => {
                let mut zones: Vec<Option<Tz>> = self.accounts.iter().map(Account::time_zone).collect();
                zones.dedup();
                match zones.as_slice() {
                    [] | [Some(_)] => Ok(Some(Span::of_days(*days, self.now(), self.zone))),
                    [None] => {
                        Err(self
                            .wrong("days are the project's, and the account has no time zone; give it one, time_zone = \"Asia/Kolkata\""))
                    }
                    _ => Err(self.wrong("days are the project's, and its query reads projects of several time zones; make a sync of each")),
                }
            }
            Some(Window::Cursor { look_back, .. }) => {
                let again = if self.mode == Mode::Append { Again::Never } else { Again::From(*look_back) };
                Ok(Some(Span::of_cursor(cursor, again, self.now())))
            }
        }
    }

    /// The plan of a window.
    ///
    /// # Errors
    /// [`Error::Definition`], or the query's.
    pub(super) async fn bound(&self, span: Option<Span>, run_at: DateTime<Utc>) -> Result<Bound> {
        let name = &self.definition.name;
        let frame = bind(self.frame.clone(), name, span, run_at, self.zone)?;
        let plan = frame.create_physical_plan().await?;
        let schema = plan.schema();
        for key in &self.definition.key {
            if schema.index_of(key).is_err() {
                let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                return Err(self.wrong(format_args!("key names \"{key}\", and the query has the columns {}", columns.join(", "))));
            }
        }
        let cursor = match &self.definition.window {
            Some(Window::Cursor { column, .. }) => Some(CursorColumn::of(column, &schema, self.zone, name)?),
            _ => None,
        };
        Ok(Bound { plan, cursor })
    }
}

impl Bound {
    pub(super) fn schema(&self) -> Arc<Schema> {
        self.plan.schema()
    }
}

/// The accounts that a plan reads, in the order of its tables.
fn find_accounts(plan: &LogicalPlan, accounts: &mut Vec<Account>) -> DataFusionResult<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(table) = source_as_provider(&scan.source)
        {
            accounts.extend(account_of(table.as_ref()).cloned());
            if let Some(view) = table.get_logical_plan() {
                find_accounts(&view, accounts)?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(drop)
}
