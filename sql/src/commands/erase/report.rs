//! Requests as a result: counted by state, or one row each.
//!
//! In: the log, keys. Out: one batch to `terminal/output`.

use std::{path::PathBuf, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray, TimestampSecondArray, UInt64Array},
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use chrono::{DateTime, Utc};
use datafusion::common::runtime::SpawnedTask;

use super::{
    super::person_key::PersonKey,
    log::{ErasureLog, ErasureRequest, RequestState},
};
use crate::{
    failure::{Failure, Result},
    files::atomic_file::FileAccess,
    terminal::{
        format::Format,
        output::{Output, RowsWritten},
    },
};

/// How requests are reported.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ReportFlags {
    /// Show each person, in this format, or in that of the ending of -o; without both, people are counted by state
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// Where that is written, in place of stdout
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// A report with its output open.
#[derive(Debug)]
pub(crate) struct Report {
    output: Output,
    rows: ReportRows,
}

#[derive(Debug)]
enum ReportRows {
    EachPerson,
    CountsByState,
}

impl ReportFlags {
    /// Opens the output. This happens before anybody is erased, so that an output that cannot be written hides no outcome.
    ///
    /// # Errors
    /// The output's.
    pub(crate) fn open(&self) -> Result<Report> {
        let format = match (self.format, &self.output) {
            (None, Some(path)) => Format::of_path(path)?,
            (format, _) => format,
        };
        let output = Output::open(format, self.output.as_deref(), FileAccess::OwnerOnly)?;
        let rows = if format.is_some() { ReportRows::EachPerson } else { ReportRows::CountsByState };
        Ok(Report { output, rows })
    }
}

impl Report {
    /// Writes the requests for `keys`, on a thread of its own: its reader may not read.
    ///
    /// # Errors
    /// The output's.
    pub(crate) async fn write<'a>(mut self, log: &ErasureLog, keys: impl Iterator<Item = &'a PersonKey>) -> Result<RowsWritten> {
        let requests: Vec<(&PersonKey, &ErasureRequest)> = keys.filter_map(|key| Some((key, log.request(key)?))).collect();
        let batch = match self.rows {
            ReportRows::EachPerson => each_person(&requests)?,
            ReportRows::CountsByState => counts_by_state(&requests)?,
        };
        let writing = SpawnedTask::spawn_blocking(move || {
            let mut result = self.output.begin(batch.schema())?;
            let written = result.write(batch)?;
            result.finish()?;
            self.output.close(false)?;
            Ok(written)
        });
        writing.await.unwrap_or_else(|_| Err(Failure::by_panic()))
    }
}

fn each_person(requests: &[(&PersonKey, &ErasureRequest)]) -> Result<RecordBatch> {
    let text = |of: fn(&PersonKey, &ErasureRequest) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(requests.iter().map(|(key, request)| of(key, request))))
    };
    let time = |of: fn(&ErasureRequest) -> Option<DateTime<Utc>>| -> ArrayRef {
        let times = requests.iter().map(|(_, request)| of(request).map(|time| time.timestamp()));
        Arc::new(TimestampSecondArray::from_iter(times).with_timezone("UTC"))
    };
    let columns: [(&str, ArrayRef); 6] = [
        ("key_kind", text(|key, _| key.kind.column().to_owned())),
        ("key", text(|key, _| key.value.clone())),
        ("state", text(|_, request| request.state().to_string())),
        ("requested_at", time(|request| request.requested_at)),
        ("checked_at", time(|request| request.checked_at)),
        ("gone_at", time(|request| request.gone_at)),
    ];
    let instant = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
    let fields = columns.iter().map(|(name, _)| {
        if name.ends_with("_at") { Field::new(*name, instant.clone(), true) } else { Field::new(*name, DataType::Utf8, false) }
    });
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        columns.iter().map(|(_, column)| Arc::clone(column)).collect(),
    )?)
}

fn counts_by_state(requests: &[(&PersonKey, &ErasureRequest)]) -> Result<RecordBatch> {
    let counts = RequestState::ALL.map(|state| (state, requests.iter().filter(|(_, request)| request.state() == state).count() as u64));
    let counted: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    let states: ArrayRef = Arc::new(StringArray::from_iter_values(counted.iter().map(|(state, _)| state.to_string())));
    let people: ArrayRef = Arc::new(UInt64Array::from_iter_values(counted.iter().map(|(_, count)| *count)));
    Ok(RecordBatch::try_from_iter([("state", states), ("people", people)])?)
}
