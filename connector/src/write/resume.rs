//! Going on with a run that ended early: which rows are left, and whether that can be known.
//!
//! In: the job, the files of its source, the log of the earlier run. Out: the rows that are settled, or why it cannot be gone on with.

use arrow::datatypes::{DataType, Schema};

use crate::client::check_timers;
use crate::error::{Error, Result};
use crate::options::{DryRun, InDoubt};
use crate::origin::Source;
use crate::runs::row_ranges::RowRanges;
use crate::runs::run_log::{LoggedFile, RunLog, fingerprint};
use crate::table::{Resend, Shape, Write};
use crate::write::encode::Operator;
use crate::write::job::Job;
use crate::write::mapping::MappedField;

/// The log of the run that `job` will be; nothing where its source is not files, or it stores nothing.
pub(super) fn log_of(job: &Job, source: Option<&Source>, columns: &Schema) -> Option<RunLog> {
    let source = source.filter(|_| job.options.dry_run == DryRun::Off)?;
    let files = source.files.iter().map(|file| LoggedFile::new(&file.name, file.size, file.modified, file.etag.clone()));
    Some(RunLog {
        account: job.relation.account.id().to_owned(),
        table: job.mapping.qualified().to_owned(),
        statement: fingerprint(job.statement.text.as_deref()?),
        script: job.context.script.clone(),
        files: files.collect(),
        order: source.order.as_deref().map(fingerprint),
        appends: appends(job, columns),
        continues: job.context.resume.as_ref().map(|resume| resume.run_uid.clone()),
        rejected: job.context.resume.as_ref().map_or(0, |resume| resume.rejected),
        in_doubt: job.context.resume.as_ref().map_or(0, |resume| resume.in_doubt),
        ..RunLog::default()
    })
}

/// Whether a row that is sent twice may count twice: an event, or a person with an operator that changes a number.
fn appends(job: &Job, columns: &Schema) -> bool {
    let changes = |field: &MappedField| match columns.field(field.source).data_type() {
        DataType::Struct(members) if field.shape != Shape::Properties => {
            members.iter().any(|member| matches!(Operator::named(member.name()), Some(Operator::Incr | Operator::Decr)))
        }
        // Its keys, and what they hold, come with the rows.
        data_type => field.shape == Shape::Properties || matches!(data_type, DataType::Map(..)),
    };
    let spec = job.mapping.table.write.as_ref().map(Write::record_spec);
    spec.is_some_and(|spec| {
        spec.resend == Resend::Appends || spec.open.is_some_and(|open| open.operators) && job.mapping.fields.iter().any(changes)
    })
}

/// The rows that are not sent: those that an earlier run settled.
///
/// # Errors
/// [`Error::Setting`] if the statement cannot go on with that run.
pub(super) fn settled_before(job: &Job, source: Option<&Source>, columns: &Schema) -> Result<RowRanges> {
    check_timers()?;
    let Some(before) = &job.context.resume else { return Ok(RowRanges::default()) };
    let refuse = |why: &str| {
        Err(Error::Setting(format!(
            "{} cannot go on with the run {}, and nothing was sent: {why}",
            job.mapping.qualified(),
            before.run_uid
        )))
    };
    if job.options.failed_rows_to.is_none() {
        return refuse("clevertap.failed_rows_to is not set, and what is left would not be known after this run either; set it");
    }
    let Some(now) = log_of(job, source, columns) else {
        return refuse("its rows are not those of files through filters, projections and limits, or it is a dry run");
    };
    if (&now.account, &now.table) != (&before.account, &before.table) {
        return refuse(&format!("that one wrote to {} of the account {}", before.table, before.account));
    }
    if now.statement != before.statement {
        return refuse("its text is another one");
    }
    if before.running {
        return refuse("that one still runs; wait for its end, or stop it with Ctrl-C, and go on then");
    }
    if before.complete {
        return refuse("every row of that one is settled; clevertap-sql resend sends what was not accepted");
    }
    if let Some((is, was)) = now.files.iter().zip(&before.files).find(|(is, was)| is != was) {
        let changed =
            if is.name == was.name { format!("{} has changed", is.name) } else { format!("{} is read where {} was", is.name, was.name) };
        return refuse(&format!("{changed} since, so that its rows may be others"));
    }
    if now.files.len() != before.files.len() {
        return refuse(&format!("{} files are read where {} were", now.files.len(), before.files.len()));
    }
    if now.order.is_none() || before.order.is_none() {
        return refuse("the order of its rows is not the same each time (ORDER BY, several partitions, or random())");
    }
    if now.order != before.order {
        return refuse("its conditions are others than they were; now() in a WHERE is one, and a literal in its place stays");
    }
    if !before.ended && (before.appends || now.appends) && job.options.in_doubt != InDoubt::Resend {
        return refuse(
            "that one was killed, so that rows after the last that is known of may be stored, too. SET clevertap.in_doubt = 'resend' if it is \
             acceptable that they are stored twice",
        );
    }
    if let Some((first, _)) = before.unwritten_in_doubt.first()
        && (before.appends || now.appends)
        && job.options.in_doubt != InDoubt::Resend
    {
        let rows: u64 = before.unwritten_in_doubt.iter().map(|(first, last)| last - first + 1).sum();
        return refuse(&format!(
            "{rows} rows in doubt of that one, from row {first} on, are not in its folder, which did not take them. SET clevertap.in_doubt = 'resend' \
             if it is acceptable that they are stored twice"
        ));
    }
    Ok(before.settled.iter().copied().collect())
}
