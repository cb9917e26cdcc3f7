//! The session that statements run in: DataFusion, files by path, and the tables of accounts.
//!
//! In: accounts, one or several or none, the views and options of the configuration, the folder of failed rows. Out: a context; statements
//! enter by [`Session::sql`]. Each account is two schemas, `<name>` and `<name>_events`, and counts its runs by itself.

use std::{fmt, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
    util::display::array_value_to_string,
};
use datafusion::{
    catalog::{MemorySchemaProvider, TableProvider},
    common::{DataFusionError, Result as DataFusionResult, TableReference},
    execution::{SessionStateBuilder, runtime_env::RuntimeEnvBuilder},
    prelude::{DataFrame, SessionConfig, SessionContext},
};

use chrono_tz::Tz;

pub(crate) use super::settings::SessionSettings;
use super::{
    databases::{self, Databases},
    memory, missing_table,
    rewrites::{rewrite, shows_tables},
    wide_rows::NarrowBatches,
};
use crate::{
    config::{Accounts, NAME, OpenAccount, how_to_set_an_account},
    failure::{Failure, Result, sentence},
    files::{
        lakehouse::refuse_copies,
        listing::{CsvCells, enable_file_tables},
        object_stores::ObjectStores,
        text::learn::Learning,
        uploads::UploadError,
    },
    terminal::confirm::{Confirmation, Confirmations},
};
use datafusion_clevertap::{
    Account, Options,
    hooks::FateWatch,
    optimizer,
    redact::without_values,
    register,
    runs::{RunContext, fingerprint},
    storage::Folder,
};
use url::Url;

/// A session, and the accounts behind it. Clones are one session.
#[derive(Clone)]
pub(crate) struct Session {
    ctx: SessionContext,
    pub(super) accounts: Accounts,
    databases: Databases,
    confirmations: Option<Arc<Confirmations>>,
    upload_error: UploadError,
    learning: Arc<Learning>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl Session {
    /// A session over files, and over `account` if there is one, under the name [`NAME`].
    ///
    /// # Errors
    /// As [`Session::with`].
    pub(crate) fn open(account: Option<Account>, failed_rows: Option<&str>) -> Result<Self> {
        Self::with(account, failed_rows)
    }

    /// A session over files, and over the accounts if there are any; rows that are not accepted go to the folder `failed_rows` too.
    ///
    /// # Errors
    /// [`Failure::Usage`] for `failed_rows` without an account; [`Failure::Failed`] from DataFusion.
    pub(crate) fn with(settings: impl Into<SessionSettings>, failed_rows: Option<&str>) -> Result<Self> {
        Self::build(settings.into(), failed_rows, CsvCells::Typed)
    }

    /// A session that reads every cell of a CSV file as text: `00123` is not the person `123`.
    ///
    /// # Errors
    /// [`Failure::Failed`] from DataFusion.
    pub(crate) fn with_text_cells(account: OpenAccount) -> Result<Self> {
        Self::build(account.into(), None, CsvCells::Text)
    }

    fn build(settings: SessionSettings, failed_rows: Option<&str>, cells: CsvCells) -> Result<Self> {
        #[cfg(feature = "syncs")]
        let ledger = settings.ledger;
        let SessionSettings { accounts, databases, files, options, read_only, .. } = settings;
        let mut config = SessionConfig::new().with_information_schema(true);
        // The first account that is registered would set its own.
        if let Some(zone) = accounts.time_zone.or(accounts.open.first().map(|_| Tz::UTC)) {
            config.options_mut().execution.time_zone = Some(zone.name().to_owned());
        }
        let stores = ObjectStores::default();
        let upload_error = stores.upload_error();
        let mut runtime = RuntimeEnvBuilder::new()
            .with_object_store_registry(Arc::new(stores))
            // Every statement lists a folder again: the statement before may have written to it.
            .with_object_list_cache_limit(0);
        if let Some(bytes) = memory::half() {
            runtime = runtime.with_memory_limit(bytes, 1.0);
        }
        // What a query means does not hang on an account: how values out of JSON are compared, how files are written.
        let state =
            optimizer::install(SessionStateBuilder::new_with_default_features().with_config(config).with_runtime_env(runtime.build_arc()?))
                .with_physical_optimizer_rule(Arc::new(NarrowBatches));
        let files = files.into_iter().map(|files| (files.name, files.place.value)).collect();
        let access = if read_only { clevertap_databases::Access::Read } else { clevertap_databases::Access::Write };
        let (mut ctx, learning) = enable_file_tables(SessionContext::new_with_state(state.build()), cells, files, access);
        for OpenAccount { name, account, .. } in &accounts.open {
            register(&ctx, name, account)?;
        }
        #[cfg(feature = "syncs")]
        if let Some(place) = ledger {
            super::ledger::register(&ctx, accounts.default.as_deref().unwrap_or(NAME), &place)?;
        }
        match (accounts.open.is_empty(), failed_rows) {
            (true, Some(_)) => return Err(Failure::Usage(format!("--failed-rows needs an account:\n{}", not_open(&accounts)))),
            (true, None) => datafusion_clevertap_udfs::register(&mut ctx)?,
            (false, _) => {}
        }
        #[cfg(feature = "delta")]
        clevertap_databases::delta::register(&ctx, access);
        let databases = Databases::open(&ctx, databases, read_only);
        let of_file = options.iter().map(|option| (option.name.as_str(), option.value.value.as_str()));
        for (name, value) in of_file.chain(failed_rows.map(|folder| ("failed_rows_to", folder))) {
            ctx.state_ref().write().config_mut().options_mut().set(&format!("clevertap.{name}"), value)?;
        }
        Ok(Self { ctx, accounts, databases, confirmations: None, upload_error, learning })
    }

    /// The name of a table of the account that is used by default, as SQL takes it: `clevertap.profiles`.
    pub(crate) fn table(&self, name: &str) -> String {
        let schema = self.accounts.by_default().map_or(NAME, |account| account.name.as_str());
        TableReference::partial(schema, name).to_quoted_string()
    }

    /// Plans one statement; SET, CREATE, ATTACH and DETACH, which are executed while planning, are done afterwards.
    ///
    /// # Errors
    /// The statement's own, with a hint where it names the account's tables and no account is open.
    pub(crate) async fn sql(&self, text: &str) -> DataFusionResult<DataFrame> {
        // Of an earlier statement.
        self.upload_error.take();
        if self.databases.execute(&self.ctx, &self.accounts, text)?.is_some() {
            return self.ctx.read_empty();
        }
        let planned = match databases::plan(&self.ctx, &rewrite(text)).await {
            Ok(planned) => refuse_copies(planned.logical_plan(), &self.ctx.state()).await.map(|()| planned),
            refused => refused,
        };
        match planned {
            Err(error) => Err(match (self.closed_hint(text), missing_table::hint(&self.ctx, text, &error)) {
                (Some(hint), _) => DataFusionError::Plan(format!("{}\n{hint}", sentence(&error))),
                (None, Some(text)) => DataFusionError::Plan(text),
                (None, None) => error,
            }),
            planned => planned,
        }
    }

    /// Whether a statement has begun to write to CleverTap.
    pub(crate) fn has_written(&self) -> bool {
        self.accounts.open.iter().any(|opened| !opened.account.runs().is_empty())
    }

    /// Why the tables that `text` names are not there: their account or their database is not open.
    pub(super) fn closed_hint(&self, text: &str) -> Option<String> {
        if let Some(why) = self.databases.closed_hint(text) {
            return Some(why);
        }
        if let Some(closed) = self.accounts.closed.iter().find(|closed| names_tables_of(text, &closed.name)) {
            return Some(closed.why.clone());
        }
        let is_without = self.accounts.open.is_empty() && names_tables_of(text, NAME);
        is_without.then(|| format!("No account is open. To open one:\n{}", not_open(&self.accounts)))
    }

    /// The context that statements are planned in.
    #[cfg(feature = "syncs")]
    pub(super) fn context(&self) -> &SessionContext {
        &self.ctx
    }

    /// The failure of a statement: of one that writes files, what the disk or the bucket said.
    pub(crate) fn failure(&self, error: DataFusionError) -> Failure {
        match self.upload_error.take() {
            Some(why) if matches!(error.find_root(), DataFusionError::Internal(_)) => Failure::Failed(without_values(&why)),
            _ => Failure::from(error),
        }
    }

    /// What to add to the result of `text`: SHOW TABLES says how to list the tables of accounts that are not open.
    pub(crate) fn hint(&self, text: &str) -> Option<String> {
        let is_short = (self.accounts.open.is_empty() || !self.accounts.closed.is_empty()) && shows_tables(text);
        is_short.then(|| match self.accounts.open.is_empty() {
            true => format!("no account is open, and the tables of CleverTap are not listed. To open one:\n{}", not_open(&self.accounts)),
            false => not_open(&self.accounts),
        })
    }

    /// The one number that is the result of `text`.
    ///
    /// # Errors
    /// The statement's, or [`Failure::Failed`] if its result is anything else.
    pub(crate) async fn count(&self, text: &str) -> Result<u64> {
        let batches = self.sql(text).await?.collect().await?;
        let number = batches.iter().find(|batch| batch.num_rows() > 0).and_then(|batch| {
            let column = batch.column(0).as_primitive_opt::<Int64Type>()?;
            u64::try_from(column.value(0)).ok()
        });
        number.ok_or_else(|| Failure::Failed(format!("{text} did not answer with a count")))
    }

    /// The whole result of `text`; for results that are known to be small.
    ///
    /// # Errors
    /// The statement's.
    pub(crate) async fn rows(&self, text: &str) -> DataFusionResult<Vec<RecordBatch>> {
        self.sql(text).await?.collect().await
    }

    /// The last column of the result of `text`, as text; of EXPLAIN, the plans.
    ///
    /// # Errors
    /// The statement's.
    pub(crate) async fn texts(&self, text: &str) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for batch in self.sql(text).await?.collect().await? {
            let Some(column) = batch.columns().last() else { continue };
            for row in 0..batch.num_rows() {
                texts.push(array_value_to_string(column, row)?);
            }
        }
        Ok(texts)
    }

    /// Has statements that are planned from here on tell what becomes of their rows.
    pub(crate) fn watch_fates(&self, watch: FateWatch) {
        self.ctx.state_ref().write().config_mut().set_extension(Arc::new(watch));
    }

    /// Tells the next statements what they are a part of.
    pub(crate) fn set_run_context(&self, context: RunContext) {
        self.ctx.state_ref().write().config_mut().set_extension(Arc::new(context));
    }

    /// The store or the folder that `text` names.
    ///
    /// # Errors
    /// What is wrong with a URL, or that no store is there for it.
    pub(crate) fn folder(&self, text: &str) -> Result<Folder, String> {
        let store_of = |url: &Url| self.ctx.runtime_env().object_store_registry.get_store(url).map_err(|error| error.strip_backtrace());
        Folder::parse(text, store_of)
    }

    /// The same number for the same statement.
    pub(crate) fn fingerprint(text: &str) -> String {
        fingerprint(&rewrite(text))
    }

    /// Puts a table into a schema of this session, in the place of one of that name.
    ///
    /// # Errors
    /// DataFusion's.
    pub(crate) fn add_table(&self, schema: &str, name: &str, table: Arc<dyn TableProvider>) -> DataFusionResult<()> {
        let config = self.ctx.copied_config();
        if let Some(catalog) = self.ctx.catalog(&config.options().catalog.default_catalog)
            && catalog.schema(schema).is_none()
        {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
        }
        let name = TableReference::partial(schema, name);
        self.ctx.deregister_table(name.clone())?;
        self.ctx.register_table(name, table).map(drop)
    }

    /// Has a person confirm statements that erase.
    pub(crate) fn confirm_erasures(&mut self) {
        let (consent, confirmations) = Confirmations::new();
        self.ctx.state_ref().write().config_mut().set_extension(Arc::new(consent));
        self.confirmations = Some(Arc::new(confirmations));
    }

    /// Waits for the next statement that erases.
    pub(crate) async fn next_confirmation(&self) -> Confirmation {
        match &self.confirmations {
            Some(confirmations) => confirmations.next().await,
            None => std::future::pending().await,
        }
    }

    /// What is to be told of the files that were looked at since it was asked for last.
    pub(crate) fn take_file_notes(&self) -> Vec<String> {
        self.learning.take_notes()
    }

    /// How far files are looked at, while they are.
    pub(crate) fn files_progress(&self) -> Option<String> {
        self.learning.progress()
    }

    /// Whether rows that are not accepted go to a folder too.
    pub(crate) fn keeps_failed_rows(&self) -> bool {
        self.ctx.copied_config().options().extensions.get::<Options>().is_some_and(|options| options.failed_rows_to.is_some())
    }
}

/// `clevertap.profiles`, `clevertap_events."Charged"`, `SET clevertap.on_reject`; not a path that happens to hold the word.
fn names_tables_of(text: &str, schema: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let begins_a_word = |at: usize| !text.get(..at).unwrap_or_default().ends_with(|before: char| before.is_alphanumeric() || before == '_');
    [format!("{schema}."), format!("{schema}_events.")]
        .iter()
        .any(|name| text.match_indices(name.as_str()).any(|(at, _)| begins_a_word(at)))
}

/// How to open the accounts that are not.
fn not_open(accounts: &Accounts) -> String {
    if accounts.closed.is_empty() {
        return how_to_set_an_account();
    }
    accounts.closed.iter().map(|closed| closed.why.clone()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::MemoryLimit;

    use super::*;
    use crate::{literals::cell, world::World};

    /// One column of a result, as text.
    async fn column(session: &Session, text: &str, column: &str) -> Vec<String> {
        let batches = session.rows(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        let cells = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| cell(batch, column, row).unwrap().unwrap_or_default()));
        cells.collect()
    }

    #[tokio::test]
    async fn tables_and_functions_are_shown_with_and_without_an_account() {
        let world = World::new();
        for (account, has_tables) in [(None, false), (Some(world.account.clone()), true)] {
            let session = Session::open(account, None).unwrap();
            session.rows("CREATE VIEW mine AS SELECT 1 AS a").await.unwrap();
            let tables = column(&session, "SHOW TABLES", "table_name").await;
            assert!(tables.contains(&"mine".to_owned()), "{tables:?}");
            assert_eq!(tables.contains(&"profiles".to_owned()), has_tables, "{tables:?}");
            assert_eq!(session.hint("SHOW TABLES").is_none(), has_tables);
            assert!(session.hint("SELECT 1").is_none());
            let functions = column(&session, "SHOW FUNCTIONS LIKE 'ct_%'", "function_name").await;
            assert!(functions.len() >= 4 && functions.contains(&"ct_phone".to_owned()), "{functions:?}");
            assert_eq!(column(&session, "show functions like 'sum'", "function_type").await, ["AGGREGATE"]);
            assert!(column(&session, "SHOW FUNCTIONS", "function_name").await.len() > 200);
        }
    }

    #[tokio::test]
    async fn no_table_shows_what_a_url_keeps_secret() {
        let world = World::new();
        let session = Session::open(Some(world.account.clone()), None).unwrap();
        let url = "s3://usr:hush-1@acme/x.csv?sv=1&X-Amz-Signature=hush-2&sig=hush-3";
        for statement in [
            format!("CREATE VIEW v AS SELECT '{url}' AS place"),
            format!("CREATE OR REPLACE VIEW w AS SELECT 1 AS a WHERE '{url}' <> ''"),
            "SET clevertap.failed_rows_to = 'https://usr:hush-1@host/failed?X-Amz-Signature=hush-2&sig=hush-3'".to_owned(),
        ] {
            session.rows(&statement).await.unwrap();
        }
        for (query, shown) in [
            ("SHOW CREATE TABLE v", "s3://…@acme/x.csv?sv=1&X-Amz-Signature=…&sig=…"),
            ("SHOW CREATE TABLE w", "s3://…@acme/x.csv?sv=1&X-Amz-Signature=…&sig=…"),
            ("SELECT * FROM information_schema.views", "s3://…@acme"),
            ("SELECT * FROM clevertap.options WHERE name = 'clevertap.failed_rows_to'", "https://host/failed"),
            ("SHOW clevertap.failed_rows_to", "https://host/failed"),
            ("SELECT * FROM information_schema.df_settings", "https://host/failed"),
        ] {
            let batches = session.rows(query).await.unwrap();
            let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
            assert!(text.contains(shown) && !text.contains("hush"), "{query}: {text}");
        }
        // What is masked is its text alone.
        assert_eq!(column(&session, "SELECT place FROM v", "place").await, [url]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_asked_about_an_event_that_is_only_written_to() {
        let world = World::new();
        let session = Session::open(Some(world.account.clone()), None).unwrap();
        let insert = "INSERT INTO clevertap_events.\"New one\" SELECT 'a' AS identity, now() AS event_time, 5 AS \"Amount\"";
        session.rows("SET clevertap.schema_check = 'off'").await.unwrap();
        for statement in [&format!("EXPLAIN {insert}"), &format!("EXPLAIN VERBOSE {insert}"), &format!("PREPARE later AS {insert}")] {
            session.rows(statement).await.unwrap();
            assert_eq!(world.sent(), 0, "{statement}");
        }
        for (statement, why) in [
            ("DELETE FROM clevertap_events.\"New one\" WHERE identity = 'a'", "is not deleted from"),
            ("UPDATE clevertap_events.\"New one\" SET \"Amount\" = 6", "is not updated"),
        ] {
            let error = session.rows(&format!("EXPLAIN {statement}")).await.unwrap_err().to_string();
            assert!(error.contains(why) && world.sent() == 0, "{error}");
        }
        session.rows(insert).await.unwrap();
        assert_eq!((world.sent(), world.sent_to("/1/upload").len()), (1, 1));
        session.rows("EXPLAIN SELECT \"Amount\" FROM clevertap_events.\"New one\" WHERE event_date = '2026-01-01'").await.unwrap();
        assert!(world.sent() > 1, "one that is read has its columns");
    }

    #[tokio::test]
    async fn a_table_that_is_not_there_names_the_nearest_which_then_works() {
        let world = World::new();
        let session = Session::open(Some(world.account.clone()), None).unwrap();
        session.rows("CREATE VIEW \"My people\" AS SELECT 1 AS run_id").await.unwrap();
        for (typed, meant) in [
            ("clevertap.warning", "clevertap.warnings"),
            ("clevertp.runs", "clevertap.runs"),
            ("runs", "clevertap.runs"),
            ("\"My peple\"", "\"My people\""),
        ] {
            let error = session.rows(&format!("SELECT * FROM {typed}")).await.unwrap_err();
            let text = Failure::from(error).to_string();
            assert!(text.ends_with(&format!(" not found. Did you mean {meant}? SHOW TABLES lists all")), "{text}");
            session.rows(&format!("SELECT run_id FROM {meant}")).await.unwrap();
        }
        let text = Failure::from(session.rows("EXPLAIN SELECT * FROM moon").await.unwrap_err()).to_string();
        assert_eq!(text, "table 'datafusion.public.moon' not found. SHOW TABLES lists those that are there");
    }

    #[tokio::test]
    async fn memory_is_bounded_by_half_of_what_there_is_and_a_statement_sets_another_bound() {
        let session = Session::open(None, None).unwrap();
        let pool = || session.ctx.runtime_env().memory_pool.memory_limit();
        let bounded = |limit: MemoryLimit| if let MemoryLimit::Finite(bytes) = limit { Some(bytes) } else { None };
        assert_eq!(bounded(pool()), memory::half());
        session.rows("SET datafusion.runtime.memory_limit = '1M'").await.unwrap();
        assert_eq!(bounded(pool()), Some(1 << 20));
        let collected = "SELECT array_length(array_agg(concat(repeat('x', 1000), value))) FROM generate_series(1, 100000)";
        let error = Failure::from(session.rows(collected).await.unwrap_err()).to_string();
        assert!(error.contains("Resources exhausted"), "{error}");
    }

    #[tokio::test]
    async fn a_folder_in_quotes_needs_no_slash() {
        let folder = tempfile::Builder::new().prefix("folder-of-a-test-").tempdir_in(".").unwrap();
        std::fs::write(folder.path().join("a.csv"), "id\n1\n2\n").unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let session = Session::open(None, None).unwrap();
        for text in [format!("SELECT count(*) FROM '{name}'"), format!("SELECT count(*) FROM '{name}' a JOIN './{name}' b ON a.id = b.id")]
        {
            assert_eq!(session.count(&text).await.unwrap(), 2, "{text}");
        }
        // The name itself stays free.
        session.rows(&format!("CREATE VIEW \"{name}\" AS SELECT id FROM '{name}'")).await.unwrap();
        assert_eq!(session.count(&format!("SELECT count(*) FROM \"{name}\"")).await.unwrap(), 2);
    }
}
