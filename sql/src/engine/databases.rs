//! The databases of a session: those of the configuration, ATTACH and DETACH, and INSERTs into tables that are not there.
//!
//! In: the configuration, statements. Out: catalogues of the context; why one is not there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use datafusion::{
    common::{DataFusionError, Result as DataFusionResult},
    execution::context::SQLOptions,
    prelude::{DataFrame, SessionContext},
};

use super::{
    attach::{self, Attach, DatabaseStatement},
    rewrites::tables,
};
use crate::config::{Accounts, ConfiguredDatabase, parse_name};
use clevertap_databases::{Access, Database, DatabaseSettings, MissingTarget, Password};
use datafusion_clevertap::{ClevertapSql, session::ClevertapPlan};

/// A database that is not there, and why.
#[derive(Debug, Clone)]
enum Closed {
    /// One of the configuration that could not be opened.
    Configured(String),
    Detached,
}

/// The databases of a session, besides those that its context has. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Databases {
    closed: Arc<Mutex<BTreeMap<String, Closed>>>,
    /// Whether none may be written.
    read_only: bool,
}

impl Databases {
    /// Registers those that are open. With `read_only` ATTACH gives no right to write.
    pub(super) fn open(ctx: &SessionContext, databases: Vec<ConfiguredDatabase>, read_only: bool) -> Self {
        let own = Self { closed: Arc::default(), read_only };
        for ConfiguredDatabase { name, opened, .. } in databases {
            match opened {
                Ok(database) => database.register(ctx),
                Err(why) => {
                    own.closed().insert(name, Closed::Configured(why));
                }
            }
        }
        own
    }

    fn closed(&self) -> MutexGuard<'_, BTreeMap<String, Closed>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the tables that `text` names are not there: their database is not open.
    pub(super) fn closed_hint(&self, text: &str) -> Option<String> {
        let tables = tables(text);
        let closed = self.closed();
        let (name, closed) = closed.iter().find(|(name, _)| tables.iter().any(|table| table.catalog() == Some(name)))?;
        Some(match closed {
            Closed::Configured(why) => why.clone(),
            Closed::Detached => format!("database {name} was detached; ATTACH '…' AS {name} attaches one of this name"),
        })
    }

    /// Does what an ATTACH or DETACH says. `None` for every other statement.
    ///
    /// # Errors
    /// Why it cannot be done; then nothing is changed.
    pub(super) fn execute(&self, ctx: &SessionContext, accounts: &Accounts, text: &str) -> DataFusionResult<Option<()>> {
        let done = match attach::parse(text) {
            None => return Ok(None),
            Some(Err(why)) => Err(why),
            Some(Ok(DatabaseStatement::Attach(attach))) => self.attach(ctx, accounts, attach),
            Some(Ok(DatabaseStatement::Detach { name, if_exists })) => self.detach(ctx, &name, if_exists),
        };
        done.map(Some).map_err(DataFusionError::Plan)
    }

    fn attach(&self, ctx: &SessionContext, accounts: &Accounts, attach: Attach) -> Result<(), String> {
        let Attach { url, name, if_not_exists, access, create, password } = attach;
        parse_name(&name)?;
        if self.read_only && access == Access::Write {
            return Err(format!("ATTACH of {name}: --read-only refuses what could be written; READ_ONLY attaches it"));
        }
        if Database::attached(ctx, &name).is_some() {
            let taken = format!("a database {name} is attached already; DETACH {name} takes it away, or choose another name");
            return if if_not_exists { Ok(()) } else { Err(taken) };
        }
        let is_detached = match self.closed().get(&name) {
            Some(Closed::Configured(why)) => return Err(format!("{why}. DETACH {name} frees its name")),
            Some(Closed::Detached) => true,
            None => false,
        };
        let open = accounts.open.iter().map(|account| &account.name);
        let mut of_accounts = open.chain(accounts.closed.iter().map(|account| &account.name));
        if let Some(account) = of_accounts.find(|account| **account == name || format!("{account}_events") == name) {
            return Err(format!("{name} is a schema of the account {account}; choose another name"));
        }
        if !is_detached && ctx.catalog(&name).is_some() {
            return Err(format!("{name} is a catalogue that is there already; choose another name"));
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let secret = password.map(|place| place.text("password", &variable)).transpose();
        let secret = secret.map_err(|why| format!("database {name} is not attached: {why}"))?;
        let settings = DatabaseSettings::new(&name, &url).map_err(|error| error.to_string())?;
        let settings = settings.with_access(access).with_create(create).with_password(secret.map(Password::new));
        Database::open(settings).map_err(|error| error.to_string())?.register(ctx);
        self.closed().remove(&name);
        Ok(())
    }

    fn detach(&self, ctx: &SessionContext, name: &str, if_exists: bool) -> Result<(), String> {
        let mut closed = self.closed();
        let is_configured = matches!(closed.get(name), Some(Closed::Configured(_)));
        if Database::detach(ctx, name).is_some() || is_configured {
            closed.insert(name.to_owned(), Closed::Detached);
            return Ok(());
        }
        let known = parse_name(name).is_ok();
        let name = if known { format!(" {name}") } else { String::new() };
        if if_exists { Ok(()) } else { Err(format!("no database{name} is attached; DETACH IF EXISTS says that this is no matter")) }
    }
}

/// Plans a statement, and of an INSERT into a table that is not there the table too.
///
/// # Errors
/// The statement's own.
pub(super) async fn plan(ctx: &SessionContext, sql: &str) -> DataFusionResult<DataFrame> {
    let Some(missing) = MissingTarget::find(ctx, sql).await? else { return ctx.clevertap_sql(sql).await };
    let source = ctx.state().clevertap_plan(missing.source(), SQLOptions::new()).await?;
    missing.context(ctx, &source)?.clevertap_sql(sql).await
}
