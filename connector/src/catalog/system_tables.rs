//! The system tables: what this process knows of its runs, failed rows, limits, options and tables.
//!
//! In: an account and a session. Out: one batch, made when the query runs, so that a prepared query shows what is true then.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringViewArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

use crate::account::Account;
use crate::options::Options;
use crate::relation::SchemaName;
use crate::runs::failed_rows;
use crate::tables::TABLES;

/// One system table.
#[derive(Debug)]
pub(crate) struct SystemTable {
    /// Its name in SQL.
    pub(crate) name: &'static str,
    /// One sentence.
    pub(crate) about: &'static str,
    rows: fn(&Context<'_>) -> Result<RecordBatch>,
}

/// What a system table is made of.
struct Context<'a> {
    account: &'a Account,
    schema_name: &'a SchemaName,
    options: &'a Options,
}

/// All of them, in the order in which `clevertap.tables` shows them.
pub(crate) static SYSTEM_TABLES: &[SystemTable] = &[
    SystemTable { name: "runs", about: "Statements that wrote, with their four counts.", rows: |of| runs(of.account) },
    SystemTable {
        name: "failed_rows",
        about: "Rows that were read and not accepted, with the record and the reason.",
        rows: |of| Ok(failed_rows::batch(&of.account.failed_rows())?),
    },
    SystemTable {
        name: "warnings",
        about: "What was done to rows that were sent all the same, and what reads found odd.",
        rows: |of| warnings(of.account),
    },
    SystemTable { name: "limits", about: "The account's budget of requests in flight, one row an API.", rows: |of| limits(of.account) },
    SystemTable { name: "options", about: "Every SET clevertap.<name>.", rows: |of| settings(of.options) },
    SystemTable { name: "tables", about: "This list.", rows: |of| tables(of.schema_name) },
];

impl SystemTable {
    /// The table over `account`, in the schema of this name.
    pub(crate) fn provider(&'static self, account: &Account, schema_name: &SchemaName) -> Result<Arc<dyn TableProvider>> {
        let schema = (self.rows)(&Context { account, schema_name, options: &Options::default() })?.schema();
        let (account, schema_name) = (account.clone(), schema_name.clone());
        let rows = Rows { table: self, account, schema_name, schema: Arc::clone(&schema) };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(rows)])?))
    }
}

#[derive(Debug)]
struct Rows {
    table: &'static SystemTable,
    account: Account,
    schema_name: SchemaName,
    schema: SchemaRef,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, task: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (table, account, schema_name) = (self.table, self.account.clone(), self.schema_name.clone());
        let rows = futures::stream::once(async move {
            let options = task.session_config().options().extensions.get::<Options>().cloned().unwrap_or_default();
            (table.rows)(&Context { account: &account, schema_name: &schema_name, options: &options })
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

fn runs(account: &Account) -> Result<RecordBatch> {
    let runs = account.runs();
    table(vec![
        ("run_id", numbers(runs.iter().map(|run| run.run_id))),
        ("run_uid", texts(runs.iter().map(|run| Some(&run.run_uid)))),
        ("label", texts(runs.iter().map(|run| Some(&run.label)))),
        ("account", texts(runs.iter().map(|run| Some(&run.account)))),
        ("table_name", texts(runs.iter().map(|run| Some(&run.table_name)))),
        ("operation", texts(runs.iter().map(|run| Some(run.operation)))),
        ("statement", texts(runs.iter().map(|run| run.statement.as_ref()))),
        ("started_at", instants(runs.iter().map(|run| Some(run.started_at)))),
        ("finished_at", instants(runs.iter().map(|run| run.finished_at))),
        ("status", texts(runs.iter().map(|run| Some(run.status.to_string())))),
        ("input_complete", Arc::new(runs.iter().map(|run| Some(run.input_complete)).collect::<BooleanArray>())),
        ("settled_through", numbers(runs.iter().map(|run| run.settled_through))),
        ("rows_read", numbers(runs.iter().map(|run| run.tally.read))),
        ("accepted", numbers(runs.iter().map(|run| run.tally.accepted))),
        ("rejected", numbers(runs.iter().map(|run| run.tally.rejected))),
        ("in_doubt", numbers(runs.iter().map(|run| run.tally.in_doubt))),
        ("unsent", numbers(runs.iter().map(|run| run.tally.unsent))),
        ("checked", numbers(runs.iter().map(|run| run.checked))),
        ("requests", numbers(runs.iter().map(|run| run.requests))),
        ("retries", numbers(runs.iter().map(|run| run.retries))),
        ("bytes_sent", numbers(runs.iter().map(|run| run.bytes_sent))),
        ("error_code", texts(runs.iter().map(|run| run.error_code.as_ref()))),
        ("error", texts(runs.iter().map(|run| run.error.as_ref()))),
    ])
}

fn warnings(account: &Account) -> Result<RecordBatch> {
    let warnings = account.warnings();
    table(vec![
        ("run_id", Arc::new(warnings.iter().map(|warning| warning.run_id).collect::<UInt64Array>())),
        ("code", texts(warnings.iter().map(|warning| Some(&warning.code)))),
        ("column_name", texts(warnings.iter().map(|warning| Some(&warning.column_name)))),
        ("rows", numbers(warnings.iter().map(|warning| warning.rows))),
        ("message", texts(warnings.iter().map(|warning| Some(&warning.message)))),
    ])
}

fn limits(account: &Account) -> Result<RecordBatch> {
    let limits = account.limits();
    table(vec![
        ("account", texts(limits.iter().map(|limit| Some(&limit.account)))),
        ("api", texts(limits.iter().map(|limit| Some(limit.api)))),
        ("limit_now", numbers(limits.iter().map(|limit| limit.limit_now as u64))),
        ("limit_max", numbers(limits.iter().map(|limit| limit.limit_max as u64))),
        ("in_flight", numbers(limits.iter().map(|limit| limit.in_flight as u64))),
        ("waiting", numbers(limits.iter().map(|limit| limit.waiting as u64))),
        ("requests", numbers(limits.iter().map(|limit| limit.requests))),
        ("throttled", numbers(limits.iter().map(|limit| limit.throttled))),
    ])
}

fn settings(options: &Options) -> Result<RecordBatch> {
    let settings = options.shown();
    table(vec![
        ("name", texts(settings.iter().map(|setting| Some(&setting.name)))),
        ("value", texts(settings.iter().map(|setting| Some(&setting.value)))),
        ("default", texts(settings.iter().map(|setting| Some(&setting.default)))),
        ("description", texts(settings.iter().map(|setting| Some(setting.about)))),
    ])
}

fn tables(schema_name: &SchemaName) -> Result<RecordBatch> {
    struct Line {
        name: &'static str,
        reads: bool,
        writes: bool,
        filters: Option<String>,
        about: &'static str,
    }
    let remote = TABLES.iter().map(|table| Line {
        name: table.name,
        reads: table.read.is_some(),
        writes: table.write.is_some(),
        filters: table.required_filters(),
        about: table.about,
    });
    let local = SYSTEM_TABLES.iter().map(|table| Line { name: table.name, reads: true, writes: false, filters: None, about: table.about });
    let lines: Vec<Line> = remote.chain(local).collect();
    table(vec![
        ("table_name", texts(lines.iter().map(|line| Some(schema_name.table(line.name))))),
        ("reads", Arc::new(lines.iter().map(|line| Some(line.reads)).collect::<BooleanArray>())),
        ("writes", Arc::new(lines.iter().map(|line| Some(line.writes)).collect::<BooleanArray>())),
        ("required_filters", texts(lines.iter().map(|line| line.filters.as_ref()))),
        ("description", texts(lines.iter().map(|line| Some(line.about)))),
    ])
}

fn table(columns: Vec<(&'static str, ArrayRef)>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true)))?)
}

fn texts<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.collect::<StringViewArray>())
}

fn numbers(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(values))
}

fn instants(values: impl Iterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    Arc::new(values.map(|value| value.map(|at| at.timestamp_micros())).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}
