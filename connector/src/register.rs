//! What `register` puts into a session.
//!
//! In: a context and an account. Out: the context with the account's schemas, the rules, the options, the functions and
//! `STORED AS CLEVERTAP`.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::account::Account;
use crate::accounts::Accounts;
use crate::catalog::format::{ClevertapFormatFactory, ClevertapTableFactory, FORMAT};
use crate::catalog::{EventTables, FixedTables};
use crate::error::Error;
use crate::optimizer;

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
    let accounts = ctx.state().config().get_extension::<Accounts>();
    let accounts = match accounts {
        Some(accounts) => accounts,
        None => prepare(ctx, &account).map_err(taken)?,
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

/// Puts in what the first account of a context brings: rules, options, functions, the format.
fn prepare(ctx: &SessionContext, account: &Account) -> Result<Arc<Accounts>, DataFusionError> {
    let accounts = Arc::new(Accounts::default());
    let state_ref = ctx.state_ref();
    let mut state = state_ref.write();
    let zone = account.time_zone().map_or("+00:00", |zone| zone.name());
    let builder = with_config(state.clone(), |mut config| {
        // Without a zone now() has none, and could not be an event_time.
        config.options_mut().execution.time_zone.get_or_insert_with(|| zone.to_owned());
        config.with_extension(Arc::clone(&accounts))
    });
    let mut built = optimizer::install(builder).with_table_factory(FORMAT.into(), Arc::new(ClevertapTableFactory)).build();
    built.register_file_format(Arc::new(ClevertapFormatFactory), true)?;
    datafusion_clevertap_udfs::register(&mut built)?;
    *state = built;
    Ok(accounts)
}

/// The same state with another configuration. The builder's own configuration is changed: another one would have it put a new,
/// empty catalogue in the place of the session's.
pub(crate) fn with_config(state: SessionState, change: impl FnOnce(SessionConfig) -> SessionConfig) -> SessionStateBuilder {
    let mut builder = SessionStateBuilder::new_from_existing(state);
    let changed = builder.config().take().map(change);
    *builder.config() = changed;
    builder
}
