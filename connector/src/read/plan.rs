//! Plans reads: from filters, projection and limit to the requests that fetch the rows.
//!
//! In: the filters that were pushed down. Out: a [`ReadPlan`], for which no request has been made.
//! If a filter is missing, that is its result: the join or subquery above may still have it when the query runs. If none has, it becomes a
//! plan error that names the filter and shows a WHERE clause that works, because a full export would be slow and rarely what the user wants.

use std::sync::Arc;

use chrono::NaiveDate;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use crate::error::Error;
use crate::read::export::{AHEAD, Asked, BEGINNING, ExportPlan};
use crate::read::filter_columns::{RANGE_DAYS, capabilities, comparable_columns, keys};
use crate::read::lookup::LookupPlan;
use crate::read::projection::{Constants, RowFilter};
use crate::read::pushdown::keys::{KeyFilter, lookup_keys};
use crate::read::pushdown::ranges::Bounds;
use crate::read::pushdown::{PushedFilters, Range};
use crate::read::query::{DayRange, today};
use crate::read::report::{CountArguments, ReportCalls, ReportPlan, count_requests, slice_requests};
use crate::read::spec::Scan;
use crate::scope::FullScan;
use crate::table::{CountOf, Counts, Export, Lookup, Read, Slices, Source, Table};
use crate::tables::query::PROPERTY_TYPES;

/// The way in which the rows are fetched.
#[derive(Debug, Clone)]
pub(crate) enum ReadPlan {
    /// The filters contradict each other: there is no row.
    Nothing,
    /// One request for each key.
    Lookup(LookupPlan),
    /// Pages of an export.
    Export(Arc<ExportPlan>),
    /// A fixed list of requests, each with one small answer.
    Report(Arc<ReportPlan>),
    /// The filters do not say what to ask for.
    Missing(Missing),
}

impl ReadPlan {
    /// The number of keys that it looks up.
    pub(crate) fn looked_up(&self) -> usize {
        match self {
            Self::Lookup(lookup) => lookup.keys.values.len(),
            _ => 0,
        }
    }
}

/// What happens if no filter comes later.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    /// `clevertap.events needs a filter on "event_name" (= or IN) to be read`.
    needs: String,
    /// The columns of the filters that are missing.
    pub(crate) columns: Vec<&'static str>,
    /// What is wrong with the filter that is there.
    cause: Option<String>,
    /// A WHERE clause that works, and what else does.
    remedy: String,
    /// Instead of the error, all that can be listed are read: people, or events.
    pub(crate) everybody: Option<Arc<ExportPlan>>,
}

impl Missing {
    /// The error: which filter is missing, why what is there is none, and what works. `cause` is what the plan around the scan says.
    pub(crate) fn refusal(&self, cause: Option<String>) -> Error {
        let cause = cause.or_else(|| self.cause.clone()).unwrap_or_else(|| "this query has none".into());
        Error::Filter(format!("{}, and {cause}. For example: {}", self.needs, self.remedy))
    }
}

/// The default and the maximum of `top_n`.
const TOP_N: (i64, i64) = (10, 100);

/// How the rows of `scan` are fetched.
///
/// # Errors
/// [`Error::Filter`] if CleverTap cannot be asked for what the filters say, [`Error::Setting`] if the query needs a time zone and the account
/// has none.
pub(crate) fn read(scan: &Scan, filters: &[Expr]) -> Result<ReadPlan> {
    Ok(match &scan.relation.table.read {
        Some(Read::Export(export)) => plan_export(export, scan, filters)?,
        Some(Read::People { lookup, export }) => plan_people(lookup, export, scan, filters)?,
        Some(Read::Lookup(lookup)) => plan_lookup(lookup, scan, filters)?,
        Some(Read::Counts(counts)) => plan_counts(counts, scan, filters)?,
        Some(Read::Slices(slices)) => plan_slices(slices, scan, filters)?,
        Some(Read::List(call)) => {
            ReadPlan::Report(Arc::new(ReportPlan::of(call.path, ReportCalls::List(call), scan, Constants::new(), RowFilter::All)?))
        }
        None => return Err(Error::Filter(format!("{} is written, not read", scan.relation.qualified())).into()),
    })
}

/// A filter that a read needs: what it must be, and the columns that it may be on.
type Need = (&'static str, &'static [&'static str]);

/// The result for missing filters.
fn missing(scan: &Scan, needs: &[Need], example: &str) -> ReadPlan {
    let filters: Vec<&str> = needs.iter().map(|(filter, _)| *filter).collect();
    ReadPlan::Missing(Missing {
        needs: format!("{} needs a filter on {} to be read", scan.relation.qualified(), filters.join(" and one on ")),
        columns: needs.iter().flat_map(|(_, columns)| *columns).copied().collect(),
        cause: None,
        remedy: format!("WHERE {example}"),
        everybody: None,
    })
}

/// The same for a range of days that has only a last one.
fn no_first_day(scan: &Scan, need: Need, example: &str) -> ReadPlan {
    match missing(scan, &[need], example) {
        ReadPlan::Missing(missing) => {
            ReadPlan::Missing(Missing { cause: Some("the range of this query has no first day".into()), ..missing })
        }
        other => other,
    }
}

const NAME: Need = ("\"event_name\" (= or IN)", &["event_name"]);
const DAYS: Need = ("\"event_date\" (a range)", RANGE_DAYS);
const EVENT_DAYS: Need = ("\"event_time\" or \"event_date\" (a range with a first day)", &["event_time", "event_date"]);
const PROPERTY: Need = ("\"property\" (= or IN)", &["property"]);

fn plan_export(export: &'static Export, scan: &Scan, filters: &[Expr]) -> Result<ReadPlan> {
    let typed = comparable_columns(&scan.relation);
    let pushed = PushedFilters::of(filters, capabilities(scan.relation.table, &typed));
    let table_event = scan.relation.event.as_ref();
    let mut example = "event_date BETWEEN '2026-01-01' AND '2026-01-31'".to_owned();
    if table_event.is_none() {
        example = format!("event_name = 'Charged' AND {example}");
    }
    let today = today(&scan.relation.account);
    let until = today.checked_add_days(AHEAD).unwrap_or(today);
    let mut asked = Vec::new();
    for branch in pushed.each_alternative() {
        if branch.is_contradiction() {
            continue;
        }
        let mut missing_filters = Vec::new();
        missing_filters.extend((table_event.is_none() && branch.values("event_name").is_none()).then_some(NAME));
        missing_filters.extend((!branch.has_range()).then_some(EVENT_DAYS));
        if missing_filters == [NAME] && branch.has_range() {
            let every_event = every_event(export, scan, &pushed, today, until)?;
            let hint = if full_scan_is_refused(scan) {
                ""
            } else {
                ", or SET clevertap.full_scan = true, which reads every event that can be exported"
            };
            return Ok(match missing(scan, &missing_filters, &example) {
                ReadPlan::Missing(missing) => {
                    let remedy = format!("{}{hint}", missing.remedy);
                    ReadPlan::Missing(Missing { everybody: every_event, remedy, ..missing })
                }
                other => other,
            });
        }
        if !missing_filters.is_empty() {
            return Ok(missing(scan, &missing_filters, &example));
        }
        let events: Vec<&String> = match (table_event, branch.values("event_name")) {
            (Some(event), None) => vec![event],
            (Some(event), Some(values)) => values.iter().filter(|value| *value == event).collect(),
            (None, values) => values.unwrap_or_default().iter().collect(),
        };
        match branch.range(&scan.relation.account, until)? {
            Range::Days(range) => asked.extend(events.into_iter().map(|event| (event.clone(), range))),
            Range::Empty => {}
            Range::NoFirstDay => return Ok(no_first_day(scan, EVENT_DAYS, &example)),
        }
    }
    if asked.is_empty() {
        return Ok(ReadPlan::Nothing);
    }
    if pushed.instants().is_some() && scan.relation.account.time_zone().is_none() {
        return Err(Error::needs_time_zone().into());
    }
    let keep = inside(&pushed);
    let export = ExportPlan::plan(export, scan, Asked::any_of(asked), today, pushed.conditions, keep)?;
    Ok(ReadPlan::Export(Arc::new(export)))
}

/// The rows of an export of events that are inside the filter. What comes back is looked at again: an answer may hold more than was asked for.
fn inside(pushed: &PushedFilters) -> RowFilter {
    RowFilter::Inside { seconds: pushed.instants().unwrap_or(Bounds::ALL), days: pushed.days().unwrap_or(Bounds::ALL) }
}

/// The export of every event, of the days of all branches of the filter; `None` unless the session asks for a full scan.
fn every_event(
    export: &'static Export,
    scan: &Scan,
    pushed: &PushedFilters,
    today: NaiveDate,
    until: NaiveDate,
) -> Result<Option<Arc<ExportPlan>>> {
    if !scan.options.full_scan || (pushed.instants().is_some() && scan.relation.account.time_zone().is_none()) {
        return Ok(None);
    }
    let mut ranges = Vec::new();
    for branch in pushed.each_alternative().into_iter().filter(|branch| !branch.is_contradiction()) {
        match if branch.has_range() { branch.range(&scan.relation.account, until)? } else { Range::NoFirstDay } {
            Range::Days(range) => ranges.push((String::new(), range)),
            Range::Empty => {}
            Range::NoFirstDay => return Ok(None),
        }
    }
    let ranges = Asked::any_of(ranges).days();
    let export = ExportPlan::plan(export, scan, Asked::EveryEvent(ranges), today, pushed.conditions.clone(), inside(pushed))?;
    Ok(Some(Arc::new(export)))
}

/// Whether the scope of the account refuses `clevertap.full_scan`.
fn full_scan_is_refused(scan: &Scan) -> bool {
    scan.relation.account.whose_scope(|ceilings| ceilings.full_scan == FullScan::Refused).is_some()
}

fn plan_people(lookup: &'static Lookup, export: &'static Export, scan: &Scan, filters: &[Expr]) -> Result<ReadPlan> {
    let pushed = PushedFilters::of(filters, capabilities(scan.relation.table, &[]));
    if pushed.is_contradiction() {
        return Ok(ReadPlan::Nothing);
    }
    let by_event = pushed.values("event_name").is_some();
    if let Some(keys) = lookup_keys(filters, lookup.keys) {
        if by_event || pushed.has_range() {
            return Err(Error::Filter(format!(
                "{} is read by key or by event, not by both: take out either the filter on \"{}\" or those on \"event_name\" and its days",
                scan.relation.qualified(),
                keys.column
            ))
            .into());
        }
        return looked_up(lookup, keys, scan);
    }
    let example = "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'";
    let today = today(&scan.relation.account);
    match (pushed.values("event_name"), pushed.has_range()) {
        (Some(events), true) => {
            let range = match pushed.range(&scan.relation.account, today)? {
                Range::Days(range) => range,
                Range::Empty => return Ok(ReadPlan::Nothing),
                Range::NoFirstDay => return Ok(no_first_day(scan, DAYS, example)),
            };
            check_days(scan, range)?;
            let export = ExportPlan::plan(export, scan, Asked::events(events, range), today, Vec::new(), RowFilter::All)?;
            Ok(ReadPlan::Export(Arc::new(export)))
        }
        (Some(_), false) => Ok(missing(scan, &[DAYS], example)),
        (None, true) => Ok(missing(scan, &[NAME], example)),
        (None, false) => {
            let hint = if full_scan_is_refused(scan) {
                ""
            } else {
                ". SET clevertap.full_scan = true reads everybody who can be listed, event by event"
            };
            let everybody = match scan.options.full_scan {
                true => {
                    Some(ExportPlan::plan(export, scan, Asked::Everybody((BEGINNING, today)), today, Vec::new(), RowFilter::NewPeople)?)
                }
                false => None,
            };
            Ok(ReadPlan::Missing(Missing {
                remedy: format!("WHERE identity = 'cust-1001', WHERE {example}, or a join on one of them{hint}"),
                everybody: everybody.map(Arc::new),
                ..missing_key(lookup, scan)
            }))
        }
    }
}

/// Refuses `event_date` if rows cover several days. It would be NULL, so comparing it with a day, as in a join, would drop all rows. It is
/// allowed together with the first and the last day, as in `SELECT *`, because then the user sees which days a row covers.
fn check_days(scan: &Scan, range: DayRange) -> Result<(), Error> {
    let table = scan.relation.table;
    let is_projected = |name: &str| scan.schema.fields().iter().any(|field| field.name() == name);
    let bucket = capabilities(table, &[]).bucket_starts.map(|(start, _)| start);
    let is_request_day = table.columns.iter().any(|column| column.name == "event_date" && column.source == Source::Filter);
    if !is_request_day
        || !is_projected("event_date")
        || (is_projected("from_date") && is_projected("to_date"))
        || (range.0 == range.1 && bucket.is_none())
    {
        return Ok(());
    }
    let instead = bucket.map_or_else(
        || {
            format!(
                "from_date and to_date, ask for one day, or count day by day in {}; the days of a subquery are asked for by from_date = (…) \
                 AND to_date = (…)",
                scan.relation.sibling("trend_analysis_daily")
            )
        },
        |start| format!("\"{start}\""),
    );
    Err(Error::Filter(format!(
        "{}: a row is of all days from {} to {}, so that it has no \"event_date\" of its own to be shown or compared: select {instead}",
        scan.relation.qualified(),
        range.0,
        range.1
    )))
}

/// The look-up of `keys`.
fn looked_up(lookup: &'static Lookup, keys: KeyFilter, scan: &Scan) -> Result<ReadPlan> {
    let plan = LookupPlan::of(lookup, keys, scan)?;
    Ok(if plan.keys.values.is_empty() { ReadPlan::Nothing } else { ReadPlan::Lookup(plan) })
}

fn plan_lookup(lookup: &'static Lookup, scan: &Scan, filters: &[Expr]) -> Result<ReadPlan> {
    if let Some(keys) = lookup_keys(filters, lookup.keys) {
        return looked_up(lookup, keys, scan);
    }
    let key = lookup.keys.first().map(|(key, _)| *key).unwrap_or_default();
    Ok(ReadPlan::Missing(Missing { remedy: format!("WHERE {key} = '1767225600', or a join on it"), ..missing_key(lookup, scan) }))
}

/// What is missing without a key.
fn missing_key(lookup: &Lookup, scan: &Scan) -> Missing {
    let names: Vec<_> = lookup.keys.iter().map(|(column, _)| format!("\"{column}\"")).collect();
    Missing {
        needs: format!("{} needs a filter (= or IN) on {} to be read", scan.relation.qualified(), names.join(" or ")),
        columns: lookup.keys.iter().map(|(column, _)| *column).collect(),
        cause: None,
        remedy: String::new(),
        everybody: None,
    }
}

fn plan_counts(call: &'static Counts, scan: &Scan, filters: &[Expr]) -> Result<ReadPlan> {
    let pushed = PushedFilters::of(filters, capabilities(scan.relation.table, &[]));
    let is_top_values = call.of == CountOf::TopValues;
    let mut example = "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'".to_owned();
    let mut missing_filters = Vec::new();
    missing_filters.extend(pushed.values("event_name").is_none().then_some(NAME));
    missing_filters.extend((!pushed.has_range()).then_some(DAYS));
    if is_top_values {
        example.push_str(" AND property = 'Currency'");
        missing_filters.extend(pushed.values("property").is_none().then_some(PROPERTY));
    }
    if pushed.is_contradiction() {
        return Ok(ReadPlan::Nothing);
    }
    if !missing_filters.is_empty() {
        return Ok(missing(scan, &missing_filters, &example));
    }
    let range = match pushed.range(&scan.relation.account, today(&scan.relation.account))? {
        Range::Days(range) => range,
        Range::Empty => return Ok(ReadPlan::Nothing),
        Range::NoFirstDay => return Ok(no_first_day(scan, DAYS, &example)),
    };
    check_days(scan, range)?;
    let single_value = |column: &str| match pushed.values(column) {
        Some([_, _, ..]) => Err(Error::Filter(format!(
            "{} takes one value of \"{column}\" in a query, and this one has several",
            scan.relation.qualified()
        ))),
        values => Ok(values.and_then(|values| values.first()).cloned()),
    };
    let kind = single_value("property_type")?.unwrap_or_else(|| PROPERTY_TYPES[0].to_owned());
    if !PROPERTY_TYPES.contains(&kind.as_str()) {
        return Err(Error::Filter(format!("\"property_type\" is one of {}", PROPERTY_TYPES.join(", "))).into());
    }
    let top_n = single_value("top_n")?.map_or(Ok(TOP_N.0), |text| text.parse().ok().filter(|n| (1..=TOP_N.1).contains(n)).ok_or(()));
    let top_n = top_n.map_err(|()| Error::Filter(format!("\"top_n\" takes a number from 1 to {}", TOP_N.1)))?;
    let mut constants = Constants::new();
    if is_top_values {
        constants.insert("property_type", ScalarValue::Utf8View(Some(kind.clone())));
        constants.insert("top_n", ScalarValue::Int64(Some(top_n)));
    } else {
        constants.insert("property", ScalarValue::Utf8View(single_value("property")?));
    }
    let arguments = CountArguments { properties: pushed.values("property").unwrap_or_default().to_vec(), kind, top_n };
    let events = pushed.values("event_name").unwrap_or_default();
    let report = ReportPlan::of(
        call.path,
        ReportCalls::Each(count_requests(call, events, range, scan, &arguments)),
        scan,
        constants,
        RowFilter::All,
    )?;
    Ok(ReadPlan::Report(Arc::new(report)))
}

fn plan_slices(call: &'static Slices, scan: &Scan, filters: &[Expr]) -> Result<ReadPlan> {
    let pushed = PushedFilters::of(filters, capabilities(scan.relation.table, &[]));
    if pushed.is_contradiction() {
        return Ok(ReadPlan::Nothing);
    }
    // A campaign may be scheduled for next year.
    let today = today(&scan.relation.account);
    let range = match pushed.range(&scan.relation.account, today.checked_add_days(AHEAD).unwrap_or(today))? {
        Range::Days(range) => range,
        Range::Empty => return Ok(ReadPlan::Nothing),
        Range::NoFirstDay => {
            return Ok(ReadPlan::Missing(Missing {
                needs: format!("{} needs a filter on \"{}\" (a range with a first day) to be read", scan.relation.qualified(), call.day),
                columns: vec![call.day],
                cause: pushed.has_range().then(|| "the range of this query has no first day".into()),
                remedy: format!("WHERE {} BETWEEN '2026-01-01' AND '2026-01-31'", call.day),
                everybody: None,
            }));
        }
    };
    let keep = RowFilter::Inside { seconds: Bounds::ALL, days: pushed.days().unwrap_or(Bounds::ALL) };
    Ok(ReadPlan::Report(Arc::new(ReportPlan::of(call.path, ReportCalls::Each(slice_requests(call, range)), scan, Constants::new(), keep)?)))
}

impl Table {
    /// The filters that a read requires, as shown in `clevertap.tables`.
    pub(crate) fn required_filters(&self) -> Option<String> {
        let keys = || keys(self).iter().map(|(key, _)| *key).collect::<Vec<_>>().join(" or ");
        match self.read.as_ref()? {
            Read::Export(_) => Some("event_name (= or IN) and a range on event_time or event_date".into()),
            Read::People { .. } => Some(format!("{} (= or IN, or a join), or event_name and a range on event_date", keys())),
            Read::Lookup(_) => Some(format!("{} (= or IN, or a join)", keys())),
            Read::Counts(Counts { of: CountOf::TopValues, .. }) => {
                Some("event_name (= or IN), a range on event_date, property (= or IN)".into())
            }
            Read::Counts(_) => Some("event_name (= or IN) and a range on event_date".into()),
            Read::Slices(call) => Some(format!("a range on {}", call.day)),
            Read::List(_) => None,
        }
    }
}
