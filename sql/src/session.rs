//! The session that statements run in: DataFusion, files by path, and an account's tables.
//!
//! In: an account or none, the folder of failed rows. Out: a context whose door for text is [`Session::sql`].

use std::{fmt, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
    util::display::array_value_to_string,
};
use datafusion::{
    common::{DataFusionError, Result as EngineResult},
    execution::{FunctionRegistry, runtime_env::RuntimeEnvBuilder},
    prelude::{DataFrame, SessionConfig, SessionContext},
};

use crate::{
    account::{Load, how_to_name_one},
    consent::{Question, Questions},
    failure::{Failure, Result},
    json_casts::CastsOfJson,
    stores::{self, CsvCells},
};
use datafusion_clevertap::{Account, ClevertapSql, FailedRow, RunWarning, register};

/// The name under which the account's tables are registered.
const NAME: &str = "clevertap";

/// A session, and the account behind it.
pub(crate) struct Session {
    ctx: SessionContext,
    account: Option<Account>,
    questions: Option<Questions>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Session {
    /// A session over files, and over `account` if there is one; rows that were not accepted go to `failed_rows` too.
    ///
    /// # Errors
    /// [`Failure::Usage`] where `failed_rows` has no account to come from; [`Failure::Failed`] from DataFusion.
    pub(crate) fn open(account: Option<Account>, failed_rows: Option<&str>) -> Result<Self> {
        Self::build(account, failed_rows, CsvCells::Inferred)
    }

    /// A session that reads every cell of a CSV file as text: `00123` is not the person `123`.
    ///
    /// # Errors
    /// [`Failure::Failed`] from DataFusion.
    pub(crate) fn of_text(account: Account) -> Result<Self> {
        Self::build(Some(account), None, CsvCells::Text)
    }

    fn build(account: Option<Account>, failed_rows: Option<&str>, cells: CsvCells) -> Result<Self> {
        let mut config = SessionConfig::new().with_information_schema(true);
        if let Some(zone) = account.as_ref().and_then(Account::time_zone) {
            config.options_mut().execution.time_zone = Some(zone.name().to_owned());
        }
        let runtime = RuntimeEnvBuilder::new()
            .with_object_store_registry(Arc::new(stores::Stores::default()))
            // A folder is listed anew by every statement: it may be the one that the statement before wrote to.
            .with_object_list_cache_limit(0)
            .build_arc()?;
        let mut ctx = stores::enable_paths(SessionContext::new_with_config_rt(config, runtime), cells);
        // `properties -> 'Amount'` and its kin.
        datafusion_functions_json::register_all(&mut ctx)?;
        let as_text = ctx.udf("json_as_text")?;
        ctx.register_function_rewrite(Arc::new(CastsOfJson { as_text }))?;
        match (&account, failed_rows) {
            (Some(account), _) => register(&ctx, NAME, account.clone())?,
            (None, Some(_)) => return Err(Failure::Usage(format!("--failed-rows needs an account:\n{}", how_to_name_one()))),
            (None, None) => datafusion_clevertap_udfs::register(&mut ctx)?,
        }
        if let Some(folder) = failed_rows {
            ctx.state_ref().write().config_mut().options_mut().set("clevertap.failed_rows_to", folder)?;
        }
        Ok(Self { ctx, account, questions: None })
    }

    /// Plans one statement; what DataFusion runs while planning (SET, CREATE) is done.
    ///
    /// # Errors
    /// The statement's own, with a hint where it asks for an account and there is none.
    pub(crate) async fn sql(&self, text: &str) -> EngineResult<DataFrame> {
        let planned = self.ctx.clevertap_sql(text).await;
        match planned {
            Err(error) if self.account.is_none() && asks_for_an_account(text) => {
                Err(DataFusionError::Plan(format!("{}\nNo account is open. To open one:\n{}", error.strip_backtrace(), how_to_name_one())))
            }
            planned => planned,
        }
    }

    /// The one number that `text` answers with.
    ///
    /// # Errors
    /// The statement's, or [`Failure::Failed`] if it answers with anything else.
    pub(crate) async fn count(&self, text: &str) -> Result<u64> {
        let batches = self.sql(text).await?.collect().await?;
        let number = batches.iter().find(|batch| batch.num_rows() > 0).and_then(|batch| {
            let column = batch.column(0).as_primitive_opt::<Int64Type>()?;
            u64::try_from(column.value(0)).ok()
        });
        number.ok_or_else(|| Failure::Failed(format!("{text} did not answer with a count")))
    }

    /// All that `text` answers with; for what is known to be small.
    ///
    /// # Errors
    /// The statement's.
    pub(crate) async fn rows(&self, text: &str) -> EngineResult<Vec<RecordBatch>> {
        self.sql(text).await?.collect().await
    }

    /// The cells of the last column of what `text` answers with; for a plan, its lines.
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

    /// Has a person confirm what erases.
    pub(crate) fn ask_before_erasing(&mut self) {
        let (consent, questions) = Questions::new();
        self.ctx.state_ref().write().config_mut().set_extension(Arc::new(consent));
        self.questions = Some(questions);
    }

    /// Waits for the next question of a statement that erases.
    pub(crate) async fn question(&self) -> Question {
        match &self.questions {
            Some(questions) => questions.next().await,
            None => std::future::pending().await,
        }
    }

    /// The runs that began after the run `last`, oldest first.
    pub(crate) fn loads_after(&self, last: u64) -> Vec<Load> {
        let runs = self.account.as_ref().map(Account::runs).unwrap_or_default();
        let mut loads: Vec<Load> = runs.into_iter().filter(|run| run.run_id > last).map(Load::from).collect();
        loads.sort_by_key(|load| load.run_id);
        loads
    }

    /// The rows of the runs after the run `last` that were not accepted.
    pub(crate) fn failed_after(&self, last: u64) -> Vec<FailedRow> {
        let rows = self.account.as_ref().map(Account::failed_rows).unwrap_or_default();
        rows.into_iter().filter(|row| row.run_id > last).collect()
    }

    /// The number of the last run; 0 where there is none.
    pub(crate) fn last_load(&self) -> u64 {
        self.loads_after(0).last().map_or(0, |load| load.run_id)
    }

    /// What was done to rows that were sent all the same, and what queries that read found odd, so far.
    pub(crate) fn warnings(&self) -> Vec<RunWarning> {
        self.account.as_ref().map(Account::warnings).unwrap_or_default()
    }

    /// Lets a run settle what is in flight and end.
    pub(crate) fn stop(&self, run_id: u64) -> bool {
        self.account.as_ref().is_some_and(|account| account.stop(run_id))
    }
}

/// `clevertap.profiles`, `clevertap_events."Charged"`, `SET clevertap.on_reject`; not a path that happens to hold the word.
fn asks_for_an_account(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains(&format!("{NAME}.")) || text.contains(&format!("{NAME}_events."))
}
