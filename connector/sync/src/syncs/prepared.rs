//! A definition, planned: what can be said before a row is read.
//!
//! In: a definition and a session. Out: the plan of its hashed rows, and how they are compared. Nothing is sent, and nothing is asked of CleverTap
//! but what planning asks.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono::Utc;
use datafusion::catalog::TableProvider;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion_clevertap::options::DryRun;
use datafusion_clevertap::payload::{PayloadEncoder, TableKind};
use datafusion_clevertap::{Account, ClevertapSql, Options, account_of, payload_encoder};

use super::{remove, source_age};
use crate::definition::{Definition, Mode, OnRemoved, RemovedMax, Retry, RunOptions};
use crate::diff::Rules;
use crate::error::{Error, Result};
use crate::hash;
use crate::outward::window;
use crate::session::session;
use crate::source::{HashedExec, NewEncoder};

/// The column of a list's name.
const LIST_NAME: &str = "list_name";

/// What becomes of who left the source.
#[derive(Debug)]
pub(super) struct Removals {
    pub(super) on_removed: OnRemoved,
    pub(super) removed_max: RemovedMax,
    pub(super) removes_at_first: bool,
    /// The column of the query that says whose row it is, which is the key.
    pub(super) identifier: String,
}

/// A sync into CleverTap, planned.
pub(super) struct Prepared {
    /// With the options of the definition.
    pub(super) session: SessionContext,
    pub(super) account: Account,
    /// Whether the key is a list, which is sent whole.
    pub(super) is_of_lists: bool,
    pub(super) rows: Arc<dyn ExecutionPlan>,
    /// The table that takes them.
    pub(super) into: String,
    pub(super) rules: Rules,
    /// Keys whose hashes stand in memory at once, where that was said.
    pub(super) keys_max: Option<u64>,
    /// How often a rejected row is tried.
    pub(super) retry_max: u32,
    pub(super) removals: Removals,
    /// The fields of a payload, in their order.
    pub(super) fields: Vec<String>,
    pub(super) query_hash: String,
    /// Rows of one request, at most.
    pub(super) body_rows_max: u64,
    /// The query, with its parameters put in.
    frame: DataFrame,
    /// The columns of the key.
    pub(super) key_names: Vec<String>,
    key: Vec<usize>,
    new_encoder: NewEncoder,
}

impl Prepared {
    /// Plans `definition` in a session like that of `ctx`.
    pub(super) async fn new(ctx: &SessionContext, definition: &Definition, run: &RunOptions) -> Result<Self> {
        definition.check()?;
        let wrong = |problem: String| Error::Definition(format!("sync \"{}\": {problem}", definition.name));
        if definition.window.is_some() {
            let problem = "days and cursor are of syncs out of CleverTap, and this one goes into it; leave them out, and say what is new in the query";
            return Err(wrong(problem.to_owned()));
        }
        let session = session(ctx, definition, run)?;
        let query = definition.query.trim().trim_end_matches(';');
        let options = session.state().config_options().extensions.get::<Options>().cloned().unwrap_or_default();
        if options.dry_run != DryRun::Off && run.dry_run.is_none() {
            return Err(wrong(
                "clevertap.dry_run is on, and what a dry run finds good was not sent; SET clevertap.dry_run = 'off'".to_owned(),
            ));
        }
        // Names that are not meant are refused as in an INSERT, which is planned here and never run.
        session.clevertap_sql(&format!("INSERT INTO {} {query}", definition.into)).await?;
        let provider = session.table_provider(definition.into.as_str()).await?;
        let zone = account_of(provider.as_ref()).and_then(Account::time_zone).unwrap_or_default();
        let frame =
            window::bind(session.clevertap_sql(query).await?, &definition.name, window::Span::of(run, Utc::now()), Utc::now(), zone)?;
        let plan = frame.clone().create_physical_plan().await?;
        if let Some(age_max) = definition.source_age_max {
            source_age::check(&plan, age_max, &definition.name)?;
        }
        let schema = plan.schema();
        let new_encoder = encoders(Arc::clone(&provider), &session, Arc::clone(&schema));
        let encoder = new_encoder()?;
        let mode = match (encoder.kind(), definition.mode) {
            (TableKind::Append, None | Some(Mode::Insert)) => Mode::Insert,
            (TableKind::Append, Some(mode)) => {
                return Err(wrong(format!(
                    "mode = \"{}\" sends rows again, and {} stores each once more; say mode = \"insert\"",
                    mode.name(),
                    encoder.table()
                )));
            }
            (TableKind::State, None) if run.full => Mode::Full,
            (TableKind::State, None) => Mode::Upsert,
            (TableKind::State, Some(_)) if run.full => Mode::Full,
            (TableKind::State, Some(mode @ (Mode::Append | Mode::Replace))) => {
                return Err(wrong(format!("mode = \"{}\" is of syncs out of CleverTap; say upsert, insert, mirror or full", mode.name())));
            }
            (TableKind::State, Some(mode)) => mode,
            (TableKind::List, None | Some(Mode::Mirror)) if run.full => Mode::Full,
            (TableKind::List, None | Some(Mode::Mirror)) => Mode::Mirror,
            (TableKind::List, Some(mode)) => {
                return Err(wrong(format!("mode = \"{}\" is not of lists, which are sent whole; say mode = \"mirror\"", mode.name())));
            }
            _ => return Err(wrong(format!("{} is not a target of syncs; INSERT INTO it", encoder.table()))),
        };
        let key = match definition.key.as_slice() {
            [] if encoder.kind() == TableKind::Append => {
                return Err(wrong(
                    "events have no key of their own; say key = [\"…\"], the columns that make an event the only one".to_owned(),
                ));
            }
            [] if encoder.kind() == TableKind::List => vec![
                schema
                    .index_of(LIST_NAME)
                    .map_err(|_| wrong(format!("the query has no column \"{LIST_NAME}\"; say which list each row is of")))?,
            ],
            _ if encoder.kind() == TableKind::List => {
                return Err(wrong("the key of lists is the list; leave `key` out".to_owned()));
            }
            [] => vec![encoder.identifier()],
            names => {
                let index = |name: &String| {
                    schema.index_of(name).map_err(|_| {
                        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                        wrong(format!("key names \"{name}\", and the query has the columns {}", columns.join(", ")))
                    })
                };
                names.iter().map(index).collect::<Result<_>>()?
            }
        };
        let is_of_lists = encoder.kind() == TableKind::List;
        if is_of_lists && definition.on_removed != OnRemoved::Ignore {
            return Err(wrong(
                "a list that left the source stays in CleverTap, which has no call to remove it; leave on_removed out".to_owned(),
            ));
        }
        let identifier = schema.field(encoder.identifier()).name().clone();
        if definition.on_removed != OnRemoved::Ignore {
            if definition.mode != Some(Mode::Mirror) {
                return Err(wrong("on_removed is of mode = \"mirror\"; say it, or leave on_removed out".to_owned()));
            }
            if key != [encoder.identifier()] {
                let problem = format!("on_removed names people by \"{identifier}\", and the key is another one; leave `key` out");
                return Err(wrong(problem));
            }
            remove::check(&session, definition, &identifier, encoder.account()).await?;
        }
        let rows = Arc::new(HashedExec::new(plan, key.clone(), Arc::clone(&new_encoder)));
        let retry = if run.retry { Retry::Always } else { definition.retry };
        let rules = Rules { mode, retry, in_doubt: definition.in_doubt };
        let (account, fields) = (encoder.account().clone(), encoder.fields().to_vec());
        let body_rows_max = encoder.body_rows_max() as u64;
        let query_hash = hash::shown(&hash::of_payload(query.as_bytes()));
        let retry_max = if run.retry { u32::MAX } else { definition.retry_max };
        let removed_max = run.removed_max.unwrap_or(definition.removed_max);
        let (into, on_removed, removes_at_first) = (definition.into.clone(), definition.on_removed.clone(), run.removes_at_first);
        let removals = Removals { on_removed, removed_max, removes_at_first, identifier };
        Ok(Self {
            session,
            account,
            is_of_lists,
            into,
            rows,
            rules,
            keys_max: run.keys_max,
            retry_max,
            removals,
            fields,
            query_hash,
            body_rows_max,
            frame,
            key_names: key.iter().map(|column| schema.field(*column).name().clone()).collect(),
            key,
            new_encoder,
        })
    }

    /// The plan of its rows once more: a plan runs once.
    pub(super) async fn rows_again(&self) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.frame.clone().create_physical_plan().await?;
        Ok(Arc::new(HashedExec::new(plan, self.key.clone(), Arc::clone(&self.new_encoder))))
    }

    /// Whose CleverTap it is.
    pub(super) fn owner(&self) -> String {
        format!("{}@{}", self.account.id(), self.account.host())
    }

    /// An encoder of its rows.
    pub(super) fn encoder(&self) -> Result<PayloadEncoder> {
        Ok((self.new_encoder)()?)
    }
}

fn encoders(provider: Arc<dyn TableProvider>, session: &SessionContext, schema: SchemaRef) -> NewEncoder {
    let state = session.state();
    Arc::new(move || match payload_encoder(provider.as_ref(), &state, &schema) {
        Some(encoder) => Ok(encoder?),
        None => {
            let problem = "`into` names no table of CleverTap; name one, such as clevertap.profiles";
            Err(datafusion::error::DataFusionError::External(Box::new(Error::Definition(problem.to_owned()))))
        }
    })
}
