//! A definition, planned: what can be said before a row is read.
//!
//! In: a definition and a session. Out: the plan of its hashed rows, and how they are compared. Nothing is sent, and nothing is asked of CleverTap
//! but what planning asks.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::options::DryRun;
use datafusion_clevertap::payload::{PayloadEncoder, TableKind};
use datafusion_clevertap::{Account, ClevertapSql, Options, payload_encoder};

use crate::definition::{Definition, Mode};
use crate::diff::Rules;
use crate::error::{Error, Result};
use crate::hash;
use crate::source::{HashedExec, NewEncoder};

/// A sync into CleverTap, planned.
pub(super) struct Prepared {
    /// With the options of the definition.
    pub(super) session: SessionContext,
    pub(super) account: Account,
    pub(super) rows: Arc<dyn ExecutionPlan>,
    pub(super) rules: Rules,
    /// The fields of a payload, in their order.
    pub(super) fields: Vec<String>,
    pub(super) query_hash: String,
    /// Rows of one request, at most.
    pub(super) body_rows_max: u64,
    new_encoder: NewEncoder,
}

impl Prepared {
    /// Plans `definition` in a session like that of `ctx`.
    pub(super) async fn new(ctx: &SessionContext, definition: &Definition) -> Result<Self> {
        definition.check()?;
        let wrong = |problem: String| Error::Definition(format!("sync \"{}\": {problem}", definition.name));
        let session = session(ctx, definition)?;
        let query = definition.query.trim().trim_end_matches(';');
        let options = session.state().config_options().extensions.get::<Options>().cloned().unwrap_or_default();
        if options.dry_run != DryRun::Off {
            return Err(wrong(
                "clevertap.dry_run is on, and what a dry run finds good was not sent; SET clevertap.dry_run = 'off'".to_owned(),
            ));
        }
        // Names that are not meant are refused as in an INSERT, which is planned here and never run.
        session.clevertap_sql(&format!("INSERT INTO {} {query}", definition.into)).await?;
        let provider = session.table_provider(definition.into.as_str()).await?;
        let plan = session.clevertap_sql(query).await?.create_physical_plan().await?;
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
            (TableKind::State, None) => Mode::Upsert,
            (TableKind::State, Some(mode)) => mode,
            _ => return Err(wrong(format!("{} is not a target of syncs; INSERT INTO it", encoder.table()))),
        };
        let key = match definition.key.as_slice() {
            [] if encoder.kind() == TableKind::Append => {
                return Err(wrong(
                    "events have no key of their own; say key = [\"…\"], the columns that make an event the only one".to_owned(),
                ));
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
        let rows = Arc::new(HashedExec::new(plan, key, Arc::clone(&new_encoder)));
        let rules = Rules { mode, retry: definition.retry, in_doubt: definition.in_doubt };
        let (account, fields) = (encoder.account().clone(), encoder.fields().to_vec());
        let body_rows_max = encoder.body_rows_max() as u64;
        let query_hash = hash::shown(&hash::of_payload(query.as_bytes()));
        Ok(Self { session, account, rows, rules, fields, query_hash, body_rows_max, new_encoder })
    }

    /// An encoder of its rows.
    pub(super) fn encoder(&self) -> Result<PayloadEncoder> {
        Ok((self.new_encoder)()?)
    }
}

/// A session like that of `ctx`, with the options of the definition.
fn session(ctx: &SessionContext, definition: &Definition) -> Result<SessionContext> {
    // The builder's own configuration is changed: with another one it would put a new, empty catalogue in the place of the session's.
    let mut builder = SessionStateBuilder::new_from_existing(ctx.state());
    let mut config = builder.config().take().unwrap_or_default();
    let skip = ("on_reject".to_owned(), "skip".to_owned());
    let label = ("run_label".to_owned(), format!("sync {}", definition.name));
    for (name, value) in [skip, label].iter().chain(&definition.options) {
        config.options_mut().set(&format!("clevertap.{name}"), value)?;
    }
    *builder.config() = Some(config);
    Ok(SessionContext::new_with_state(builder.build()))
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
