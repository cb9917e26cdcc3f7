//! Runs as text: the line of progress, the line at the end, where failed rows are.
//!
//! In: the connector's [`Run`]. Out: [`RunView`], and one line each for `console`.

use std::{sync::Arc, time::Duration};

use datafusion_clevertap::{Options, Run, Tally};

/// A run as this program shows it: the one place that reads the connector's [`Run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunView {
    pub(crate) run_id: u64,
    /// Unique, whatever the account.
    pub(crate) run_uid: Arc<str>,
    /// The schema of its account: `clevertap`.
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) status: String,
    pub(crate) tally: Tally,
    /// Rows that a dry run checked.
    pub(crate) checked: u64,
    /// Of the rows that were not accepted, those that are in files.
    pub(crate) failed_rows_written: u64,
    /// `clevertap.on_reject = 'skip'`.
    pub(crate) changed_options: Vec<String>,
    /// Source column -> field, one a line.
    pub(crate) mapping: String,
    /// Records as a dry run would have sent them.
    pub(crate) samples: Vec<String>,
}

impl RunView {
    /// Whether its statement has not ended.
    pub(crate) fn is_running(&self) -> bool {
        self.status == "running"
    }

    /// Whether its statement runs under `clevertap.dry_run`.
    pub(crate) fn has_dry_run_option(&self) -> bool {
        self.changed_options.iter().any(|option| option.starts_with("clevertap.dry_run = "))
    }

    /// Whether it ended as a dry run.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.status == "dry_run"
    }
}

#[cfg(test)]
impl RunView {
    /// A run of ten rows, two of them rejected.
    pub(super) fn sample(status: &str) -> Self {
        Self {
            run_id: 3,
            run_uid: "a-run".into(),
            schema: "clevertap".into(),
            table: "clevertap.profiles".into(),
            status: status.into(),
            tally: Tally { read: 10, accepted: 8, rejected: 2, in_doubt: 0, unsent: 0 },
            checked: 8,
            failed_rows_written: 2,
            changed_options: vec!["clevertap.failed_rows_to = '/tmp/failed'".into()],
            mapping: "email -> Email (standard)\n".into(),
            samples: vec!["{}".into()],
        }
    }
}

impl RunView {
    /// A run of the account whose schema is `schema`.
    pub(crate) fn new(schema: &str, run: Run) -> Self {
        let Run {
            run_id, run_uid, table_name: table, status, changed_options, mapping, samples, checked, tally, failed_rows_written, ..
        } = run;
        let (schema, status) = (schema.to_owned(), status.to_string());
        Self { run_id, run_uid, schema, table, status, tally, checked, failed_rows_written, changed_options, mapping, samples }
    }
}

pub(super) fn progress_line(run: &RunView, elapsed: Duration) -> String {
    let Tally { read, accepted, rejected, in_doubt, .. } = run.tally;
    let rate = rows_a_second(accepted.max(run.checked), elapsed);
    format!("{}: {read} rows read, {accepted} accepted, {rejected} rejected, {in_doubt} in doubt, {rate} rows/s", run.table)
}

pub(super) fn end_line(run: &RunView, elapsed: Duration) -> String {
    let RunView { run_id, table, tally, .. } = run;
    if run.is_dry_run() {
        return format!(
            "{table}: {} of {} rows were found good, {} would be rejected (run {run_id}, a dry run).",
            run.checked, tally.read, tally.rejected
        );
    }
    let rate = rows_a_second(tally.accepted, elapsed);
    format!("{table}: {tally} (run {run_id}, {:.1} s, {rate} rows/s).", elapsed.as_secs_f64())
}

/// Where the rows that were not accepted can be read; `None` where every row was accepted.
pub(super) fn failed_rows_line(run: &RunView) -> Option<String> {
    let RunView { run_id, tally, .. } = run;
    let is_complete = if run.is_dry_run() { tally.rejected == 0 } else { tally.accepted == tally.read };
    if is_complete {
        return None;
    }
    let option = |name: &str| run.changed_options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix(" = "));
    let rows = tally.rejected + tally.in_doubt + tally.unsent;
    let kept = match (option("clevertap.failed_rows_to"), run.failed_rows_written) {
        (Some(folder), written) if written == rows => format!("as Parquet in {folder}"),
        (Some(folder), written) => format!("until this session ends: of {rows} only {written} are as Parquet in {folder}"),
        (None, _) => "until this session ends (--failed-rows DIR keeps them)".to_owned(),
    };
    let rows_max = option("clevertap.failed_rows_max").and_then(|max| max.trim_matches('\'').parse().ok());
    let rows_max = rows_max.unwrap_or(Options::default().failed_rows_max as u64);
    let last = if rows > rows_max { format!(" (the last {rows_max} of {rows})") } else { String::new() };
    Some(format!("rows that were not accepted: {}.failed_rows WHERE run_id = {run_id}{last}, {kept}", run.schema))
}

/// Rows a second, rounded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rate for people")]
pub(crate) fn rows_a_second(rows: u64, elapsed: Duration) -> u64 {
    (rows as f64 / elapsed.as_secs_f64().max(0.001)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_no_file_has_are_not_told_to_be_in_one() {
        assert!(failed_rows_line(&RunView::sample("partial")).unwrap().ends_with("as Parquet in '/tmp/failed'"));
        let few = RunView { failed_rows_written: 1, ..RunView::sample("partial") };
        let line = failed_rows_line(&few).unwrap();
        assert!(line.ends_with("until this session ends: of 2 only 1 are as Parquet in '/tmp/failed'"), "{line}");
    }

    #[test]
    fn failed_rows_that_are_no_longer_kept_are_counted() {
        let few = RunView { changed_options: vec!["clevertap.failed_rows_max = '1'".into()], ..RunView::sample("partial") };
        assert!(failed_rows_line(&few).unwrap().contains("run_id = 3 (the last 1 of 2), until this session ends"));
        assert!(!failed_rows_line(&RunView::sample("partial")).unwrap().contains("the last"));
    }
}
