//! Reads that consist of a few requests with small answers: counts, trends, reports, lists.
//!
//! In: the description of a table's call and the filters of a query. Out: the list of requests, which EXPLAIN shows, and one batch for
//! each. Requests run concurrently, as far as the account allows; their batches keep the order of the requests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::value::{RawValue, to_raw_value};

use crate::client::Lane;
use crate::error::Error;
use crate::read::counts::{self, TopValues, Trend};
use crate::read::lists::{self, ListPages};
use crate::read::projection::{BUILT_PAGE, Constants, PageProjection, RowFilter, day_constants};
use crate::read::query::DayRange;
use crate::read::spec::{Counters, Scan};
use crate::table::{CountOf, Counts, ListCall, Slices};
use crate::tables::query::GROUPS_MAX;

/// The unit of a report. Sends several HTTP requests only if it is polled, is paged, or needs people or sums besides occurrences.
#[derive(Debug, Clone)]
pub(crate) enum ReportRequest {
    /// One number.
    Total {
        call: &'static Counts,
        /// The column of the number.
        column: &'static str,
        event: String,
        range: DayRange,
    },
    /// A number for each bucket.
    Trend {
        call: &'static Counts,
        event: String,
        /// Whole buckets, at most a year.
        range: DayRange,
        trend: Trend,
    },
    /// The most frequent values of some properties.
    TopValues { call: &'static Counts, event: String, range: DayRange, top_values: TopValues },
    /// A slice of days.
    Slice { call: &'static Slices, range: DayRange },
}

/// What a report asks for.
#[derive(Debug)]
pub(crate) enum ReportCalls {
    /// Requests that do not depend on each other.
    Each(Vec<ReportRequest>),
    /// A whole list, page by page.
    List(&'static ListCall),
}

#[derive(Debug)]
pub(crate) struct ReportPlan {
    path: &'static str,
    calls: ReportCalls,
    projection: PageProjection,
    /// Values of the query's filters, which are the same in every row.
    constants: Constants,
    keep: RowFilter,
}

impl ReportPlan {
    /// # Errors
    /// `Error::Setting` if a column needs a time zone and the account has none.
    pub(crate) fn of(path: &'static str, calls: ReportCalls, scan: &Scan, constants: Constants, keep: RowFilter) -> Result<Self> {
        let projection = PageProjection::new(&scan.relation, &scan.schema, &scan.projection, BUILT_PAGE, keep)?;
        Ok(Self { path, calls, projection, constants, keep })
    }

    pub(crate) fn stream(self: Arc<Self>, scan: Scan, counters: Counters) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let lane = Arc::new(counts::lane(&scan, self.path));
        // The requests share the lane and its counts; each adds only what was not reported before.
        let reported = Arc::new(AtomicU64::new(0));
        let count = {
            let lane = Arc::clone(&lane);
            move || {
                let sent = lane.counts().requests;
                counters
                    .add("requests", usize::try_from(sent.saturating_sub(reported.fetch_max(sent, Ordering::Relaxed))).unwrap_or_default());
            }
        };
        Ok(match &self.calls {
            ReportCalls::Each(requests) => {
                let at_once = lane.in_flight_max();
                let requests = futures::stream::iter(requests.clone());
                let batches = requests.map(move |request| {
                    let (lane, scan, report, count) = (Arc::clone(&lane), scan.clone(), Arc::clone(&self), count.clone());
                    async move {
                        let records = report.fetch(&request, &scan, &lane).await?;
                        count();
                        report.projection.rows(&records, &report.constants_of(&request), &scan, report.path, report.keep)
                    }
                });
                batches.buffered(at_once).boxed()
            }
            ReportCalls::List(call) => {
                let pages = ListPages::new(call, scan.relation.table);
                futures::stream::try_unfold((pages, self), move |(mut pages, report)| {
                    let (lane, scan, count) = (Arc::clone(&lane), scan.clone(), count.clone());
                    async move {
                        let Some(records) = pages.next(&lane).await? else { return Ok(None) };
                        count();
                        // What cannot be looked into is shown all the same.
                        if pages.are_all_of_it()
                            && let Ok(values) = lists::values(report.path, &records)
                        {
                            scan.relation.account.project_schema().learn(scan.relation.table, &values);
                        }
                        let batch = report.projection.rows(&records, &report.constants, &scan, report.path, report.keep)?;
                        Ok(Some((batch, (pages, report))))
                    }
                })
                .boxed()
            }
        })
    }

    async fn fetch(&self, request: &ReportRequest, scan: &Scan, lane: &Lane) -> Result<Vec<Box<RawValue>>, Error> {
        let records = match request {
            ReportRequest::Total { call, column, event, range } => {
                let total = counts::total(scan, lane, call, event, *range).await?;
                vec![serde_json::json!({ *column: total })]
            }
            ReportRequest::Trend { call, event, range, trend } => counts::trend(scan, lane, call, event, *range, trend).await?,
            ReportRequest::TopValues { call, event, range, top_values } => {
                counts::top_values(scan, lane, call, event, *range, top_values).await?
            }
            ReportRequest::Slice { call, range } => return lists::slice(lane, call, scan.relation.table, *range).await,
        };
        let raw = |record| to_raw_value(&record).map_err(|error| Error::Internal(format!("a count cannot be written: {error}")));
        records.into_iter().map(raw).collect()
    }

    /// The constants of a request's rows.
    fn constants_of(&self, request: &ReportRequest) -> Constants {
        let mut constants = self.constants.clone();
        let (event, range) = match request {
            ReportRequest::Total { event, range, .. }
            | ReportRequest::Trend { event, range, .. }
            | ReportRequest::TopValues { event, range, .. } => (event, range),
            ReportRequest::Slice { .. } => return constants,
        };
        constants.extend(day_constants(*range));
        constants.insert("event_name", ScalarValue::Utf8View(Some(event.clone())));
        constants
    }
}

/// The requests of a count.
pub(crate) fn count_requests(
    call: &'static Counts,
    events: &[String],
    range: DayRange,
    scan: &Scan,
    arguments: &CountArguments,
) -> Vec<ReportRequest> {
    let is_projected = |column: &str| scan.schema.fields().iter().any(|field| field.name() == column);
    let mut requests = Vec::new();
    for event in events {
        let event = event.clone();
        match call.of {
            CountOf::Total(column) => requests.push(ReportRequest::Total { call, column, event, range }),
            CountOf::Trend(bucket) => {
                let sum_of = arguments.properties.first().filter(|_| is_projected("property_sum")).cloned();
                let people = is_projected("people");
                // At least one series is needed to know the buckets.
                let trend = Trend { bucket, events: is_projected("events") || (!people && sum_of.is_none()), people, sum_of };
                let request = |range| ReportRequest::Trend { call, event: event.clone(), range, trend: trend.clone() };
                requests.extend(counts::trend_ranges(range, bucket).into_iter().map(request));
            }
            CountOf::TopValues => {
                let request = |properties: &[String]| {
                    let top_values = TopValues { properties: properties.to_vec(), kind: arguments.kind.clone(), top_n: arguments.top_n };
                    ReportRequest::TopValues { call, event: event.clone(), range, top_values }
                };
                requests.extend(arguments.properties.chunks(GROUPS_MAX).map(request));
            }
        }
    }
    requests
}

/// The arguments of a count besides event and days.
#[derive(Debug, Clone)]
pub(crate) struct CountArguments {
    pub(crate) properties: Vec<String>,
    /// One of `PROPERTY_TYPES`.
    pub(crate) kind: String,
    /// Number of values per property.
    pub(crate) top_n: i64,
}

/// Splits a range into slices that the call allows.
pub(crate) fn slice_requests(call: &'static Slices, range: DayRange) -> Vec<ReportRequest> {
    let mut requests = Vec::new();
    let mut first = range.0;
    while first <= range.1 {
        let last = first.checked_add_days(chrono::Days::new(u64::from(call.days_max) - 1)).unwrap_or(range.1).min(range.1);
        requests.push(ReportRequest::Slice { call, range: (first, last) });
        let Some(next) = last.succ_opt() else { break };
        first = next;
    }
    requests
}

impl fmt::Display for ReportPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = match &self.calls {
            ReportCalls::Each(requests) => requests,
            ReportCalls::List(call) => {
                write!(f, "call={}, questions=1", self.path)?;
                return call.pages.map_or(Ok(()), |pages| write!(f, ", each=pages of {}", pages.rows_max));
            }
        };
        write!(f, "call={}, questions={}", self.path, requests.len())?;
        let mut events: Vec<&str> = Vec::new();
        let mut ranges = Vec::new();
        let mut each = Vec::new();
        for request in requests {
            match request {
                ReportRequest::Total { event, range, .. }
                | ReportRequest::Trend { event, range, .. }
                | ReportRequest::TopValues { event, range, .. } => {
                    events.push(event);
                    ranges.push(*range);
                }
                ReportRequest::Slice { range, .. } => ranges.push(*range),
            }
            if let ReportRequest::Trend { trend, .. } = request {
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
