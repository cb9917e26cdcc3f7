//! What `register` puts into a session.
//!
//! In: a context, or the builder of a state, and an account. Out: the same with the account's schemas, the rules, the options, the
//! functions and `STORED AS CLEVERTAP`.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::catalog::SchemaProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::account::Account;
use crate::catalog::format::{ClevertapFormatFactory, ClevertapTableFactory, FORMAT};
use crate::catalog::{EventTables, FixedTables, Registered};
use crate::error::{Error, Result};
use crate::optimizer;
use crate::relation::SchemaName;

/// Held while names are looked at and taken: contexts may share a catalogue.
static REGISTERING: Mutex<()> = Mutex::new(());

/// Registers `account` in `ctx`: the schemas `<name>` and `<name>_events` in its default catalogue, the options
/// `clevertap.*`, the functions `ct_*`, and `STORED AS CLEVERTAP`.
///
/// The account belongs to that catalogue: every context and every cloned state that has the catalogue reaches it, and one that is given
/// another catalogue does not. Several accounts have several names; the options are those of the session.
///
/// Call it before state is cloned out of the context, and before statements are prepared: the first account of a context replaces the
/// state behind it, which keeps all but prepared statements (DataFusion gives no access to them). The session's id stays. Where the
/// session has no time zone it gets the account's, or UTC, so that `now()` is an instant.
///
/// ```
/// use datafusion::prelude::SessionContext;
/// use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Region, Secret, register};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let account = Account::open("ABC-12D-345Z", Secret::new("a-passcode"), Region::In1, AccountSettings::default())?;
/// let ctx = SessionContext::new();
/// register(&ctx, "clevertap", &account)?;
/// // Nothing is sent: EXPLAIN shows which column becomes which field.
/// ctx.clevertap_sql("EXPLAIN INSERT INTO clevertap.profiles SELECT 'cust-1' AS identity, 'gold' AS \"Plan\"").await?.show().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Setting`] if the name is empty or taken, or if the default catalogue takes no schemas.
pub fn register(ctx: &SessionContext, name: &str, account: &Account) -> Result<()> {
    let _one = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
    let state_ref = ctx.state_ref();
    let mut state = state_ref.write();
    check_name(&state, name)?;
    if !is_prepared(&state) {
        *state = prepare(state.clone(), account).map_err(|error| not_registered(name, &error))?;
    }
    add_schemas(&state, name, account)
}

/// As [`register`], for who builds states without a context, such as a service that makes one for each request.
///
/// The state that the builder makes has the account in the default catalogue of the builder's catalogue list, which is made where there
/// is none.
///
/// ```
/// use datafusion::execution::SessionStateBuilder;
/// use datafusion::prelude::SessionContext;
/// use datafusion_clevertap::{Account, AccountSettings, Region, Secret, register::register_in};
///
/// let account = Account::open("ABC-12D-345Z", Secret::new("a-passcode"), Region::In1, AccountSettings::default())?;
/// let builder = SessionStateBuilder::new().with_default_features();
/// let ctx = SessionContext::new_with_state(register_in(builder, "shop", &account)?.build());
/// assert!(ctx.table_exist("shop.profiles")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`register`].
pub fn register_in(builder: SessionStateBuilder, name: &str, account: &Account) -> Result<SessionStateBuilder> {
    let _one = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut state = builder.build();
    check_name(&state, name)?;
    if !is_prepared(&state) {
        state = prepare(state, account).map_err(|error| not_registered(name, &error))?;
    }
    add_schemas(&state, name, account)?;
    Ok(with_config(state, |config| config))
}

/// Takes an account out of the default catalogue of `ctx`: no statement that is planned from then on reaches it. Statements that run go
/// on. The rules and options stay, and do nothing where no account is registered. Whether there was one of this name.
///
/// # Errors
/// [`Error::Setting`] if the catalogue gives up no schemas, as the one of `SessionContext::enable_url_table`: the context from which that
/// was made has the same catalogue, and can.
pub fn unregister(ctx: &SessionContext, name: &str) -> Result<bool> {
    let _one = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
    let state = ctx.state();
    let Some(registered) = Registered::in_state(&state) else { return Ok(false) };
    let Some((_, schema_name)) = registered.find(name) else { return Ok(false) };
    for schema in [name.to_owned(), schema_name.of_events()] {
        let removed = registered.catalog().deregister_schema(&schema, true);
        removed.map_err(|error| Error::Setting(format!("\"{name}\" cannot be taken out of the catalogue: {}", error.strip_backtrace())))?;
    }
    Ok(true)
}

/// The tables of `account` as a schema, for who puts it into a catalogue by hand. `name` is what errors and EXPLAIN call it.
///
/// A session needs the rules too: see [`optimizer::install`]. COPY and CREATE EXTERNAL TABLE find the account where the schema has that
/// name in the session's default catalogue.
pub fn schema_provider(account: &Account, name: &str) -> Arc<dyn SchemaProvider> {
    Arc::new(FixedTables { account: account.clone(), schema_name: SchemaName::new(name) })
}

/// The events of `account` as a schema, one table an event: what [`register`] puts beside [`schema_provider`] as `<name>_events`.
pub fn event_schema_provider(account: &Account, name: &str) -> Arc<dyn SchemaProvider> {
    Arc::new(EventTables::new(account.clone(), SchemaName::new(name)))
}

fn not_registered(name: &str, error: &DataFusionError) -> Error {
    Error::Setting(format!("\"{name}\" cannot be registered: {}", error.strip_backtrace()))
}

/// Refuses a name that is none, or that a schema of the default catalogue has.
fn check_name(state: &SessionState, name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::Setting("an account is registered under a name, and this one is empty".into()));
    }
    if name.eq_ignore_ascii_case("information_schema") {
        return Err(Error::Setting(format!("\"{name}\" cannot be registered: DataFusion has a schema of this name; choose another name")));
    }
    let registered = catalog_of(state, name)?;
    for schema in [name.to_owned(), SchemaName::new(name).of_events()] {
        if registered.catalog().schema(&schema).is_some() {
            let hint = match registered.find(name) {
                Some(_) => "unregister takes the account of this name out first",
                None => "choose another name",
            };
            return Err(Error::Setting(format!("\"{name}\" cannot be registered: the catalogue has a schema \"{schema}\"; {hint}")));
        }
    }
    Ok(())
}

fn catalog_of(state: &SessionState, name: &str) -> Result<Registered> {
    Registered::in_state(state).ok_or_else(|| {
        let default = &state.config_options().catalog.default_catalog;
        Error::Setting(format!("the session has no catalogue \"{default}\" to register \"{name}\" in"))
    })
}

fn add_schemas(state: &SessionState, name: &str, account: &Account) -> Result<()> {
    let registered = catalog_of(state, name)?;
    let catalog = registered.catalog();
    let schema_name = SchemaName::new(name);
    let events = event_schema_provider(account, name);
    catalog.register_schema(name, schema_provider(account, name)).map_err(|error| not_registered(name, &error))?;
    catalog.register_schema(&schema_name.of_events(), events).map_err(|error| not_registered(name, &error))?;
    Ok(())
}

/// Whether a state has what the first account brings.
fn is_prepared(state: &SessionState) -> bool {
    state.table_factories().contains_key(FORMAT) && optimizer::is_installed(state)
}

/// Puts in what the first account brings: rules, options, functions, the format.
fn prepare(state: SessionState, account: &Account) -> Result<SessionState, DataFusionError> {
    let creates_default = state.config_options().catalog.create_default_catalog_and_schema;
    let zone = account.time_zone().map_or("+00:00", |zone| zone.name());
    let builder = with_config(state, |mut config| {
        // Without a zone now() has none, and could not be an event_time.
        config.options_mut().execution.time_zone.get_or_insert_with(|| zone.to_owned());
        config
    });
    let mut state = optimizer::install(builder).with_table_factory(FORMAT.into(), Arc::new(ClevertapTableFactory)).build();
    state.register_file_format(Arc::new(ClevertapFormatFactory), true)?;
    datafusion_clevertap_udfs::register(&mut state)?;
    let mut state = with_json_operators_first(state);
    // The builder has switched it off, so as not to make another one.
    state.config_mut().options_mut().catalog.create_default_catalog_and_schema = creates_default;
    Ok(state)
}

/// The planners of a state are asked in order, and datafusion-functions-json may have been registered before.
fn with_json_operators_first(state: SessionState) -> SessionState {
    let mut builder = with_config(state, |config| config);
    if let Some(planners) = builder.expr_planners() {
        planners.sort_by_key(|planner| format!("{planner:?}") != "JsonOperators");
    }
    builder.build()
}

/// The same state, with its id, with another configuration. The builder's own configuration is changed: another one would have it put a
/// new, empty catalogue in the place of the session's.
pub(crate) fn with_config(state: SessionState, change: impl FnOnce(SessionConfig) -> SessionConfig) -> SessionStateBuilder {
    let id = state.session_id().to_owned();
    let mut builder = SessionStateBuilder::new_from_existing(state).with_session_id(id);
    let changed = builder.config().take().map(change);
    *builder.config() = changed;
    builder
}
