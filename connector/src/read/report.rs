//! Reads of a few requests with small answers: counts, trends, reports, lists.
//!
//! In: the shape of a table's call and what a query wants. Out: the list of requests, which EXPLAIN shows, and a batch for each,
//! in their order, as many at once as the account allows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::client::Lane;
use crate::error::Error;
use crate::read::counts::{self, Tops, Trend};
use crate::read::lists;
use crate::read::projection::{Constants, MADE, PageProjection, RowFilter, of_days};
use crate::read::query::DayRange;
use crate::read::spec::{Counters, Scan};
use crate::table::{CountOf, Counts, ListCall, Slices};
use crate::tables::query::GROUPS_MAX;

/// One question: several requests only where it is polled, has pages, or asks for people and sums beside occurrences.
#[derive(Debug, Clone)]
pub(crate) enum ReportRequest {
    /// One number.
    Total {
        /// The column that it fills.
        column: &'static str,
        /// The event.
        event: String,
        /// The days.
        range: DayRange,
    },
    /// A number for each bucket.
    Trend {
        /// The event.
        event: String,
        /// The days, whole buckets, at most a year.
        range: DayRange,
        /// What is counted.
        trend: Trend,
    },
    /// The most frequent values of some properties.
    Tops {
        /// The event.
        event: String,
        /// The days.
        range: DayRange,
        /// Of what.
        tops: Tops,
    },
    /// A slice of days.
    Slice {
        /// The call.
        call: &'static Slices,
        /// The days.
        range: DayRange,
    },
    /// A whole list.
    Whole(&'static ListCall),
}

/// A report, planned.
#[derive(Debug)]
pub(crate) struct ReportPlan {
    path: &'static str,
    questions: Vec<ReportRequest>,
    shape: PageProjection,
    /// Values that the query asked for and every row shows.
    shown: Constants,
}

impl ReportPlan {
    /// A report of these questions.
    ///
    /// # Errors
    /// DataFusion's, if a column cannot be made.
    pub(crate) fn of(path: &'static str, questions: Vec<ReportRequest>, scan: &Scan, shown: Constants) -> Result<Self> {
        let shape = PageProjection::new(&scan.relation, &scan.schema, &scan.projection, MADE, RowFilter::All)?;
        Ok(Self { path, questions, shape, shown })
    }

    /// Runs it.
    pub(crate) fn stream(self: Arc<Self>, scan: Scan, counters: Counters) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let lane = Arc::new(counts::lane(&scan, self.path));
        let at_once = lane.in_flight_max();
        let report = Arc::clone(&self);
        // Questions share the lane: what it has sent is told once.
        let counted = Arc::new(AtomicU64::new(0));
        let answered = futures::stream::iter(self.questions.clone()).map(move |question| {
            let (lane, scan, report) = (Arc::clone(&lane), scan.clone(), Arc::clone(&report));
            let (counters, counted) = (counters.clone(), Arc::clone(&counted));
            async move {
                let records = report.answer(&question, &scan, &lane).await?;
                let sent = lane.counts().requests;
                counters
                    .add("requests", usize::try_from(sent.saturating_sub(counted.fetch_max(sent, Ordering::Relaxed))).unwrap_or_default());
                report.shape.rows(&records, &report.constants(&question), &scan, report.path)
            }
        });
        Ok(answered.buffered(at_once).boxed())
    }

    async fn answer(&self, question: &ReportRequest, scan: &Scan, lane: &Lane) -> Result<Vec<serde_json::Value>, Error> {
        match question {
            ReportRequest::Total { column, event, range } => {
                let total = counts::total(scan, lane, self.path, event, *range).await?;
                Ok(vec![serde_json::json!({ *column: total })])
            }
            ReportRequest::Trend { event, range, trend } => counts::trend(scan, lane, self.path, event, *range, trend).await,
            ReportRequest::Tops { event, range, tops } => counts::tops(scan, lane, self.path, event, *range, tops).await,
            ReportRequest::Slice { call, range } => lists::slice(lane, call, scan.relation.table, *range).await,
            ReportRequest::Whole(call) => {
                let records = lists::whole(lane, call, scan.relation.table).await?;
                scan.relation.account.project_schema().learn(scan.relation.table, &records);
                Ok(records)
            }
        }
    }

    /// What a question's rows have in common.
    fn constants(&self, question: &ReportRequest) -> Constants {
        let mut constants = self.shown.clone();
        let (event, range) = match question {
            ReportRequest::Total { event, range, .. }
            | ReportRequest::Trend { event, range, .. }
            | ReportRequest::Tops { event, range, .. } => (event, range),
            ReportRequest::Slice { .. } | ReportRequest::Whole(_) => return constants,
        };
        constants.extend(of_days(*range));
        constants.insert("event_name", ScalarValue::Utf8View(Some(event.clone())));
        constants
    }
}

/// The questions of a count.
pub(crate) fn questions(
    call: &'static Counts,
    events: &[String],
    range: DayRange,
    scan: &Scan,
    arguments: &CountArguments,
) -> Vec<ReportRequest> {
    let wants = |column: &str| scan.schema.fields().iter().any(|field| field.name() == column);
    let mut questions = Vec::new();
    for event in events {
        let event = event.clone();
        match call.of {
            CountOf::Total(column) => questions.push(ReportRequest::Total { column, event, range }),
            CountOf::Trend(bucket) => {
                let sum_of = arguments.properties.first().filter(|_| wants("property_sum")).cloned();
                let people = wants("people");
                // Something must say which buckets there are.
                let trend = Trend { bucket, events: wants("events") || (!people && sum_of.is_none()), people, sum_of };
                let of = |range| ReportRequest::Trend { event: event.clone(), range, trend: trend.clone() };
                questions.extend(counts::years(range, bucket).into_iter().map(of));
            }
            CountOf::TopValues => {
                let of = |properties: &[String]| {
                    let tops = Tops { properties: properties.to_vec(), kind: arguments.kind.clone(), top_n: arguments.top_n };
                    ReportRequest::Tops { event: event.clone(), range, tops }
                };
                questions.extend(arguments.properties.chunks(GROUPS_MAX).map(of));
            }
        }
    }
    questions
}

/// What a query may ask of a count besides event and days.
#[derive(Debug, Clone)]
pub(crate) struct CountArguments {
    /// Properties of the event.
    pub(crate) properties: Vec<String>,
    /// The kind of property.
    pub(crate) kind: String,
    /// Values of each.
    pub(crate) top_n: i64,
}

/// A range cut into slices.
pub(crate) fn slices(call: &'static Slices, range: DayRange) -> Vec<ReportRequest> {
    let mut questions = Vec::new();
    let mut first = range.0;
    while first <= range.1 {
        let last = first.checked_add_days(chrono::Days::new(u64::from(call.days_max) - 1)).unwrap_or(range.1).min(range.1);
        questions.push(ReportRequest::Slice { call, range: (first, last) });
        let Some(next) = last.succ_opt() else { break };
        first = next;
    }
    questions
}

impl fmt::Display for ReportPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call={}, questions={}", self.path, self.questions.len())?;
        let mut events: Vec<&str> = Vec::new();
        let mut ranges = Vec::new();
        let mut each = Vec::new();
        for question in &self.questions {
            match question {
                ReportRequest::Total { event, range, .. }
                | ReportRequest::Trend { event, range, .. }
                | ReportRequest::Tops { event, range, .. } => {
                    events.push(event);
                    ranges.push(*range);
                }
                ReportRequest::Slice { range, .. } => ranges.push(*range),
                ReportRequest::Whole(call) => each.extend(call.pages.map(|pages| format!("pages of {}", pages.rows_max))),
            }
            if let ReportRequest::Trend { trend, .. } = question {
                each.extend(trend.events.then(|| "events".to_owned()));
                each.extend(trend.people.then(|| "people".to_owned()));
                each.extend(trend.sum_of.as_ref().map(|property| format!("sum of \"{property}\"")));
            }
        }
        events.dedup();
        each.sort();
        each.dedup();
        if !events.is_empty() {
            write!(f, ", events=[{}]", events.join(", "))?;
        }
        if let (Some(first), Some(last)) = (ranges.iter().map(|range| range.0).min(), ranges.iter().map(|range| range.1).max()) {
            write!(f, ", days={first}..{last}")?;
        }
        if each.is_empty() { Ok(()) } else { write!(f, ", each={}", each.join(" + ")) }
    }
}
