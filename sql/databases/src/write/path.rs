//! The path of every write: rows into a table of our own, as many as were sent, the last of each key, one SQL step.
//!
//! In: a session with an open transaction, the steps of its database's SQL, the rows. Out: the number of rows. The caller commits; whatever
//! fails before leaves the target as it was.

use async_trait::async_trait;
use datafusion::error::Result;

use crate::error::Error;
use crate::write::job::Job;
use crate::write::rows::Rows;

/// What stands at the beginning of each staging table's name.
pub(crate) const STAGE_PREFIX: &str = "clevertap_stage_";

/// The SQL of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Makes the staging table, and the target if it is not there.
    pub(crate) before: Vec<String>,
    /// Where the rows go.
    pub(crate) ingest: String,
    /// Whether each row is led by its number.
    pub(crate) numbered: bool,
    /// What commits, and so stands between the rows and the merge.
    pub(crate) between: Vec<String>,
    /// From the staging table to the target.
    pub(crate) merge: Vec<String>,
}

impl Steps {
    /// All, in order, for EXPLAIN.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.before.iter().chain([&self.ingest]).chain(&self.between).chain(&self.merge).cloned().collect()
    }
}

/// A connection with an open transaction.
#[async_trait]
pub(crate) trait Session: Send {
    /// Runs a statement.
    async fn execute(&mut self, sql: &str) -> Result<()>;

    /// Sends all rows, and says how many the server took.
    async fn ingest(&mut self, steps: &Steps, rows: &mut Rows) -> Result<u64>;

    /// Runs the steps from the staging table to the target.
    async fn merge(&mut self, steps: &Steps) -> Result<()>;
}

/// Writes; the caller commits.
pub(crate) async fn load(session: &mut dyn Session, job: &Job, steps: &Steps, rows: &mut Rows) -> Result<u64> {
    for sql in &steps.before {
        session.execute(sql).await?;
    }
    let taken = session.ingest(steps, rows).await?;
    if taken != rows.sent {
        return Err(Error::Refused(format!(
            "{}: {} rows were sent and the server took {taken}; nothing was changed. A trigger or a rule may drop rows",
            job.relation.qualified(),
            rows.sent
        ))
        .into());
    }
    for sql in &steps.between {
        session.execute(sql).await?;
    }
    session.merge(steps).await?;
    Ok(taken)
}
