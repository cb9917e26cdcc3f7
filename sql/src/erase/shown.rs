//! Requests as a result: counted by state, or one row each.

use std::{path::PathBuf, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray, TimestampSecondArray, UInt64Array},
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use chrono::{DateTime, Utc};

use super::log::{Log, Request, State};
use crate::{
    failure::Result,
    output::{Format, More, Output},
    people::Key,
    whole::Readers,
};

/// How requests are shown.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ShownFlags {
    /// Show each person, in this format; without it, people are counted by state
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// Where that is written, in place of stdout
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Where requests are shown, open.
#[derive(Debug)]
pub(crate) struct Shown {
    output: Output,
    /// Each person, not how many.
    each: bool,
}

impl ShownFlags {
    /// Opens the output: before anybody is erased, so that a place that cannot be written hides no outcome.
    ///
    /// # Errors
    /// The output's.
    pub(crate) fn open(&self) -> Result<Shown> {
        let output = Output::open(self.format.unwrap_or(Format::Table), self.output.as_deref(), Readers::Owner)?;
        Ok(Shown { output, each: self.format.is_some() })
    }
}

impl Shown {
    /// Shows the requests for `keys`; whether there are more.
    ///
    /// # Errors
    /// The output's.
    pub(crate) fn show<'a>(mut self, log: &Log, keys: impl Iterator<Item = &'a Key>) -> Result<More> {
        let requests: Vec<(&Key, &Request)> = keys.filter_map(|key| Some((key, log.request(key)?))).collect();
        let batch = if self.each { rows(&requests)? } else { counts(&requests)? };
        let mut answer = self.output.begin(batch.schema());
        let more = answer.write(batch)?;
        answer.finish()?;
        self.output.close(false)?;
        Ok(more)
    }
}

fn rows(requests: &[(&Key, &Request)]) -> Result<RecordBatch> {
    let text = |of: fn(&Key, &Request) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(requests.iter().map(|(key, request)| of(key, request))))
    };
    let time = |of: fn(&Request) -> Option<DateTime<Utc>>| -> ArrayRef {
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

fn counts(requests: &[(&Key, &Request)]) -> Result<RecordBatch> {
    let counts = State::ALL.map(|state| (state, requests.iter().filter(|(_, request)| request.state() == state).count() as u64));
    let counted: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    let states: ArrayRef = Arc::new(StringArray::from_iter_values(counted.iter().map(|(state, _)| state.to_string())));
    let people: ArrayRef = Arc::new(UInt64Array::from_iter_values(counted.iter().map(|(_, count)| *count)));
    Ok(RecordBatch::try_from_iter([("state", states), ("people", people)])?)
}
