//! What is looked at: `sync list`, `check`, `plan`, `preview`, `history`, `failed`.
//!
//! In: names. Out: results on stdout. Nothing is sent, and nothing is written. Values of people are shown by `preview` and `failed` alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, SecondsFormat, Utc};

use super::{
    SyncWork,
    flags::MovedFlags,
    lines::{FailedLine, HistoryLine, PlanLine, PreviewLine, changes_text},
};
use crate::{
    failure::{Completion, Failure, Result},
    literals::literal,
};
use datafusion::{common::TableReference, prelude::SessionContext};
use datafusion_clevertap_sync::{Definition, RunReport};

impl SyncWork<'_> {
    /// The syncs of the configuration, with the last run of each.
    ///
    /// # Errors
    /// The ledger's; stdout's.
    pub(super) async fn list(&mut self, json: bool) -> Result<Completion> {
        let syncs = self.syncs.clone();
        let (runs, paused) = self
            .read({
                let names: Vec<String> = self.definitions.iter().map(|definition| definition.name.clone()).collect();
                async move {
                    let runs = syncs.history(None).await?;
                    let mut paused = Vec::new();
                    for name in names {
                        paused.push(syncs.ledger().is_paused(&name).await?);
                    }
                    Ok((runs, paused))
                }
            })
            .await?;
        if self.definitions.is_empty() {
            self.console.say("no sync is defined; [syncs.NAME] in clevertap.toml defines one");
        }
        let mut rows = Vec::new();
        for (definition, is_paused) in self.definitions.iter().zip(paused) {
            let Definition { name, into, mode, after, description, paused, .. } = definition;
            let is_paused = is_paused || *paused;
            let last = runs.iter().find(|run| run.sync == *name);
            let (status, started_at) = (last.map(|run| run.status.name()), last.map(|run| run.started_at));
            if json {
                self.output.json(&serde_json::json!({
                    "sync": name, "into": into, "mode": mode.map(|mode| mode.name()), "after": after, "paused": is_paused,
                    "last_status": status, "last_started_at": started_at, "description": description,
                }))?;
                continue;
            }
            let paused = if is_paused { "paused" } else { "" };
            rows.push([
                Some(name.clone()),
                Some(into.clone()),
                Some(mode.map_or("", |mode| mode.name()).to_owned()),
                Some(after.join(", ")),
                Some(status.unwrap_or("never run").to_owned()),
                started_at.map(second),
                Some(paused.to_owned()),
                description.clone(),
            ]);
        }
        if !json {
            self.table(["sync", "into", "mode", "after", "last run", "at", "paused", "description"], &rows)?;
        }
        Ok(Completion::Done)
    }

    /// Plans syncs, of which no row is read.
    ///
    /// # Errors
    /// [`Failure::Failed`] if one was refused.
    pub(super) async fn check(&mut self, names: &[String]) -> Result<Completion> {
        let definitions = match names {
            [] => self.definitions.clone(),
            names => names.iter().map(|name| self.definition(name)).collect::<Result<_>>()?,
        };
        let mut refused = 0;
        for definition in &definitions {
            let syncs = self.syncs.clone();
            match self.interrupts.or(syncs.preview(definition, 0)).await? {
                Ok(_) => self.output.say(format_args!("ok          {}: into {}", definition.name, definition.into))?,
                Err(error) => {
                    refused += 1;
                    let why = self.session.failure_of_sync(definition, &error);
                    self.output.say(format_args!("refused     {}: {why}", definition.name))?;
                }
            }
        }
        match (definitions.len(), refused) {
            (0, _) => Err(Failure::Failed("no sync is defined; [syncs.NAME] in clevertap.toml defines one".into())),
            (_, 0) => Ok(Completion::Done),
            (all, refused) => Err(Failure::Failed(format!("{refused} of {all} syncs were refused"))),
        }
    }

    /// What a run would send.
    ///
    /// # Errors
    /// The sync's; a signal.
    pub(super) async fn plan(&mut self, name: &str, moved: &MovedFlags, json: bool) -> Result<Completion> {
        let (definition, options, syncs) = (self.definition(name)?, moved.options(self.time_zone)?, self.syncs.clone());
        let planned = {
            let definition = definition.clone();
            self.watch(None, async move { Box::pin(syncs.plan_with(&definition, &options)).await }).await?.result
        };
        let plan = planned.map_err(|error| self.session.failure_of_sync(&definition, &error))?;
        if json {
            self.output.json(&PlanLine::new(&plan))?;
            return Ok(Completion::Done);
        }
        let width = name.chars().count();
        if let Some(requests) = plan.requests {
            self.output.say(format_args!("{name}  {}", changes_text(&plan.changes)))?;
            let seconds = plan.seconds.map(|seconds| format!(", about {seconds:.1} s, by the last run")).unwrap_or_default();
            self.output.say(format_args!("{:width$}  {requests} requests{seconds}", ""))?;
        } else {
            self.output.say(format_args!("{name}  how much it is, is known when it is read"))?;
        }
        for why in &plan.why {
            self.output.say(format_args!("{:width$}  {why}", ""))?;
        }
        Ok(Completion::Done)
    }

    /// The first rows of a source, and what each would send.
    ///
    /// # Errors
    /// The sync's; a signal.
    pub(super) async fn preview(&mut self, name: &str, rows: usize, json: bool) -> Result<Completion> {
        let (definition, syncs) = (self.definition(name)?, self.syncs.clone());
        let preview = self.interrupts.or(syncs.preview(&definition, rows)).await?;
        let preview = preview.map_err(|error| self.session.failure_of_sync(&definition, &error))?;
        if json {
            for row in &preview.payloads {
                self.output.json(&PreviewLine::new(row))?;
            }
            return Ok(Completion::Done);
        }
        if let Some(first) = preview.rows.first() {
            let mut result = self.output.begin(first.schema())?;
            for batch in &preview.rows {
                result.write(batch.clone())?;
            }
            result.finish()?;
        } else {
            self.console.say("the source has no rows");
        }
        for row in &preview.payloads {
            match (&row.payload, &row.code) {
                (Some(payload), _) => self.output.say(format_args!("{payload}"))?,
                (None, Some(code)) => self.output.say(format_args!("would be rejected: {code}"))?,
                (None, None) => self.output.say(format_args!("would not be sent"))?,
            }
        }
        Ok(Completion::Done)
    }

    /// What runs did.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a name that nobody knows; the ledger's.
    pub(super) async fn history(&mut self, name: Option<&str>, last: Option<usize>, json: bool) -> Result<Completion> {
        if let Some(name) = name {
            self.prove_name(name).await?;
        }
        let syncs = self.syncs.clone();
        let mut runs = self.read(syncs.history(name)).await?;
        runs.truncate(last.unwrap_or(usize::MAX));
        if json {
            for run in &runs {
                self.output.json(&HistoryLine::new(run))?;
            }
            return Ok(Completion::Done);
        }
        let count = |count: u64| Some(count.to_string());
        let row = |run: &RunReport| {
            let changes = &run.changes;
            let took = run.finished_at.map(|at| format!("{:.1}", (at - run.started_at).as_seconds_f64()));
            [
                Some(run.sync.clone()),
                Some(second(run.started_at)),
                took,
                Some(run.status.name().to_owned()),
                count(changes.rows),
                count(changes.new),
                count(changes.changed),
                count(changes.removed),
                count(changes.unchanged),
                count(run.accepted),
                count(run.rejected),
                count(run.in_doubt),
                count(run.unsent),
                count(changes.held),
                run.error.clone(),
            ]
        };
        let names = [
            "sync",
            "started_at",
            "seconds",
            "status",
            "rows",
            "new",
            "changed",
            "removed",
            "unchanged",
            "accepted",
            "rejected",
            "in_doubt",
            "unsent",
            "held",
            "error",
        ];
        let rows: Vec<_> = runs.iter().map(row).collect();
        self.table(names, &rows)?;
        Ok(Completion::Done)
    }

    /// The rows of a sync that were rejected, and those in doubt.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a name that nobody knows; the ledger's.
    pub(super) async fn failed(&mut self, name: &str, json: bool) -> Result<Completion> {
        self.prove_name(name).await?;
        let syncs = self.syncs.clone();
        let mut lines: Vec<FailedLine> = self.read(syncs.failed(name)).await?.into_iter().map(FailedLine::from).collect();
        lines.extend(self.in_doubt(name).await?);
        if json {
            for line in &lines {
                self.output.json(line)?;
            }
            return Ok(Completion::Done);
        }
        if lines.is_empty() {
            self.console.say("no row is rejected, and none is in doubt");
        }
        let row = |line: &FailedLine| {
            [
                Some(line.key.clone()),
                Some(line.fate.to_owned()),
                line.code.clone(),
                Some(line.reason.clone()),
                line.attempts.map(|attempts| attempts.to_string()),
                line.first_at.map(second),
                Some(second(line.last_at)),
                line.record.as_ref().map(|record| record.get().to_owned()),
            ]
        };
        let rows: Vec<_> = lines.iter().map(row).collect();
        self.table(["key", "fate", "code", "reason", "attempts", "first_at", "last_at", "record"], &rows)?;
        Ok(Completion::Done)
    }

    /// Rows whose answer was lost, by the ledger's own table.
    async fn in_doubt(&mut self, name: &str) -> Result<Vec<FailedLine>> {
        let ctx = SessionContext::new();
        for (table, provider) in self.syncs.ledger().tables() {
            ctx.register_table(TableReference::bare(table), provider)?;
        }
        let of_sync = literal(name);
        let query = format!("SELECT key, code, updated_at FROM sync_rows WHERE sync = {of_sync} AND fate = 'in_doubt' ORDER BY key");
        let reading = async { ctx.sql(&query).await?.collect().await };
        let batches: Vec<RecordBatch> = self.interrupts.or(reading).await??;
        let mut lines = Vec::new();
        for batch in &batches {
            let (keys, codes) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
            let at = batch.column(2).as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                lines.push(FailedLine {
                    key: keys.value(row).to_owned(),
                    fate: "in_doubt",
                    code: codes.iter().nth(row).flatten().map(str::to_owned),
                    reason: "its answer was lost: it may be stored or not".to_owned(),
                    attempts: None,
                    first_at: None,
                    last_at: DateTime::from_timestamp_micros(at.value(row)).unwrap_or_default(),
                    record: None,
                });
            }
        }
        Ok(lines)
    }

    /// Texts as a result, a column each.
    fn table<const N: usize>(&mut self, names: [&str; N], rows: &[[Option<String>; N]]) -> Result<()> {
        let column = |at: usize| Arc::new(rows.iter().map(|row| row.get(at).cloned().flatten()).collect::<StringArray>()) as ArrayRef;
        let columns = names.iter().enumerate().map(|(at, name)| (*name, column(at), true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns)?;
        let mut result = self.output.begin(batch.schema())?;
        let written = result.write(batch)?;
        result.finish()?;
        if written.left_out().is_some() {
            self.console.say("only the first rows are shown; --json writes all");
        }
        Ok(())
    }
}

fn second(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
