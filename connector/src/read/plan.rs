//! Plans reads: from filters, projection and limit to the requests that fetch the rows.
//!
//! In: what DataFusion offers to push down. Out: the pushdown support of each filter, and a [`ReadPlan`], for which no request has been made.
//! If a filter is missing, that is its result: the join or subquery above may still have it when the query runs. If none has, it becomes a
//! plan error that names the filter and shows a WHERE clause that works, because a full export would be slow and rarely what the user wants.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};

use crate::error::Error;
use crate::read::export::{AHEAD, Asked, BEGINNING, ExportPlan};
use crate::read::late_filter::LateFilter;
use crate::read::lookup::{self, LookupPlan};
use crate::read::projection::{Constants, RowFilter};
use crate::read::pushdown::condition::PropertyColumns;
use crate::read::pushdown::keys::{KeyFilter, key_filter, lookup_keys};
use crate::read::pushdown::ranges::Bounds;
use crate::read::pushdown::{FilterCapabilities, PushedFilters, Range};
use crate::read::query::{DayRange, today};
use crate::read::report::{CountArguments, ReportPlan, ReportRequest, count_requests, slice_requests};
use crate::read::spec::Scan;
use crate::relation::Relation;
use crate::scope::FullScan;
use crate::table::{Bucket, CountOf, Counts, Export, Kind, Lookup, Read, Slices, Source, Table, ValueForm};
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
    /// Instead of the error, all people who can be listed are read.
    pub(crate) everybody: Option<Arc<ExportPlan>>,
}

impl Missing {
    /// The error: which filter is missing, why what is there is none, and what works. `cause` is what the plan around the scan says.
    pub(crate) fn refusal(&self, cause: Option<String>) -> Error {
        let cause = cause.or_else(|| self.cause.clone()).unwrap_or_else(|| "this query has none".into());
        Error::Filter(format!("{}, and {cause}. For example: {}", self.needs, self.remedy))
    }
}

/// Filter columns of counts, besides days.
const COUNT_FILTERS: &[(&str, &str)] = &[("event_name", ""), ("property", ""), ("property_type", ""), ("top_n", "")];
/// Filter columns of exports, besides days.
const EXPORT_FILTERS: &[(&str, &str)] = &[("event_name", "")];
/// Filter columns for the days of a request whose rows have no day of their own.
const RANGE_DAYS: &[&str] = &["event_date", "from_date", "to_date"];
/// The default and the maximum of `top_n`.
const TOP_N: (i64, i64) = (10, 100);

/// The typed columns that CleverTap compares in the same way as DataFusion, and whether they are numbers.
fn comparable_columns(relation: &Relation) -> Vec<(String, bool)> {
    let comparable = |form: &ValueForm| match form {
        ValueForm::Float64 | ValueForm::Int64 => Some(true),
        ValueForm::Text => Some(false),
        _ => None,
    };
    relation.typed.iter().filter_map(|column| Some((column.name.clone(), comparable(&column.form)?))).collect()
}

fn capabilities<'a>(table: &'a Table, typed: &'a [(String, bool)]) -> FilterCapabilities<'a> {
    let no_filters = FilterCapabilities { days: &[], bucket_starts: None, instant: None, pinned: &[], properties: None };
    match &table.read {
        Some(Read::Export(_)) => FilterCapabilities {
            days: &["event_date"],
            instant: Some("event_time"),
            pinned: EXPORT_FILTERS,
            properties: Some(PropertyColumns { json: "properties", typed }),
            ..no_filters
        },
        Some(Read::People { .. }) => FilterCapabilities { days: RANGE_DAYS, pinned: EXPORT_FILTERS, ..no_filters },
        Some(Read::Counts(counts)) => FilterCapabilities {
            days: RANGE_DAYS,
            bucket_starts: match counts.of {
                CountOf::Trend(Bucket::Week) => Some(("week_start", 7)),
                CountOf::Trend(Bucket::Month) => Some(("month_start", 31)),
                _ => None,
            },
            pinned: COUNT_FILTERS,
            ..no_filters
        },
        Some(Read::Slices(slices)) => FilterCapabilities { days: std::slice::from_ref(&slices.day), ..no_filters },
        Some(Read::Lookup(_) | Read::List(_)) | None => no_filters,
    }
}

/// The look-up keys of a table: column and parameter.
fn keys(table: &Table) -> &'static [(&'static str, &'static str)] {
    match &table.read {
        Some(Read::People { lookup, .. } | Read::Lookup(lookup)) => lookup.keys,
        _ => &[],
    }
}

/// The columns by which rows are looked up.
pub(crate) fn lookup_key_columns(table: &Table) -> impl Iterator<Item = &'static str> {
    keys(table).iter().map(|(column, _)| *column)
}

/// Whether rows are looked up by `column`.
pub(crate) fn is_lookup_key(table: &Table, column: &str) -> bool {
    lookup_key_columns(table).any(|key| key == column)
}

/// Whether filters on `column` say which events and days are asked for.
pub(crate) fn is_request_filter(table: &Table, column: &str) -> bool {
    let FilterCapabilities { days, bucket_starts, instant, pinned, properties: _ } = capabilities(table, &[]);
    let is = |name: &str| name == column;
    days.iter().any(|name| is(name))
        || bucket_starts.is_some_and(|(name, _)| is(name))
        || instant.is_some_and(is)
        || pinned.iter().any(|(name, _)| is(name))
}

/// Whether a filter on `column` is one by which rows are asked for.
pub(crate) fn is_asked_for_by(table: &Table, column: &str) -> bool {
    is_request_filter(table, column) || is_lookup_key(table, column)
}

/// Whether `column` holds a day of the request, which the rows do not have, so that it cannot be evaluated above the scan.
pub(crate) fn is_request_day(table: &Table, column: &str) -> bool {
    table.columns.iter().any(|found| found.name == column && found.kind == Kind::Day && found.source == Source::Filter)
}

/// Whether `filter` refers to days of the request.
fn refers_to_request_days(table: &Table, filter: &Expr) -> bool {
    filter.column_refs().iter().any(|column| is_request_day(table, &column.name))
}

/// The call of a read whose filters come late.
pub(crate) fn call(table: &Table, late: &[LateFilter]) -> String {
    let by_key = late.iter().filter_map(LateFilter::column).any(|column| is_lookup_key(table, column));
    match &table.read {
        Some(Read::Export(export)) => format!("POST {}", export.path),
        Some(Read::People { lookup, .. }) if late.is_empty() || by_key => lookup::call(lookup),
        Some(Read::People { export, .. }) => format!("POST {}", export.path),
        Some(Read::Lookup(lookup)) => lookup::call(lookup),
        Some(Read::Counts(counts)) => format!("POST {}", counts.path),
        Some(Read::Slices(slices)) => format!("POST {}", slices.path),
        Some(Read::List(_)) | None => "?".into(),
    }
}

/// The pushdown support of each filter.
///
/// # Errors
/// [`Error::Filter`] for a filter on the days of a request that is not a range.
pub(crate) fn pushdown(relation: &Relation, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>, Error> {
    let keys = keys(relation.table);
    let typed = comparable_columns(relation);
    let capabilities = capabilities(relation.table, &typed);
    let mut pushed = PushedFilters::default();
    let support = |filter: &&Expr| {
        if let Some(found) = key_filter(filter, keys) {
            // The key column holds the requested key, so the filter is exact and a LIMIT can stop the look-ups. Filters may come in several
            // passes, each without the others: the scan takes all of the first key, and leaves those of other keys to be evaluated again.
            let is_first = keys.first().is_some_and(|(first, _)| *first == found.column);
            return Ok(if is_first { TableProviderFilterPushDown::Exact } else { TableProviderFilterPushDown::Inexact });
        }
        let support = pushed.add(filter, capabilities);
        // The result of a subquery comes late, and the physical filter is pushed down then.
        let is_late = filter.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_)))).unwrap_or_default();
        if support != TableProviderFilterPushDown::Exact && !is_late && refers_to_request_days(relation.table, filter) {
            return Err(Error::Filter(format!(
                "{}: \"event_date\", \"from_date\" and \"to_date\" say which days are asked for, and take one range: \
                 event_date BETWEEN '2026-01-01' AND '2026-01-31'",
                relation.qualified()
            )));
        }
        Ok(support)
    };
    filters.iter().map(support).collect()
}

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
            ReadPlan::Report(Arc::new(ReportPlan::of(call.path, vec![ReportRequest::List(call)], scan, Constants::new(), RowFilter::All)?))
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
    // What comes back is looked at again: an answer may hold more than was asked for.
    let keep = RowFilter::Inside { seconds: pushed.instants().unwrap_or(Bounds::ALL), days: pushed.days().unwrap_or(Bounds::ALL) };
    let export = ExportPlan::plan(export, scan, Asked::any_of(asked), today, pushed.conditions, keep)?;
    Ok(ReadPlan::Export(Arc::new(export)))
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
            let refused = scan.relation.account.whose_scope(|ceilings| ceilings.full_scan == FullScan::Refused).is_some();
            let hint = if refused { "" } else { ". SET clevertap.full_scan = true reads everybody who can be listed, event by event" };
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
    let report = ReportPlan::of(call.path, count_requests(call, events, range, scan, &arguments), scan, constants, RowFilter::All)?;
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
    Ok(ReadPlan::Report(Arc::new(ReportPlan::of(call.path, slice_requests(call, range), scan, Constants::new(), keep)?)))
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
