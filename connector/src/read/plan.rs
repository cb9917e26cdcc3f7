//! From the filters of a query to the work that answers it.
//!
//! In: what DataFusion offers to push down. Out: how much of it is taken, and a leaf that makes no request before it runs. What a
//! table cannot be asked without is an error that names just that and shows a WHERE that works.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::error::Error;
use crate::options::Options;
use crate::read::export::{AHEAD, BEGINNING, ExportPlan};
use crate::read::lookup::{LookupKeys, LookupPlan};
use crate::read::projection::{Constants, RowFilter};
use crate::read::pushdown::condition::PropertyColumns;
use crate::read::pushdown::keys::key_filter;
use crate::read::pushdown::{FilterCapabilities, PushedFilters};
use crate::read::query::{DayRange, today};
use crate::read::report::{CountArguments, ReportPlan, ReportRequest, questions, slices};
use crate::read::scan::{ReadPlan, ScanExec, WithoutKeys};
use crate::read::spec::Scan;
use crate::relation::Relation;
use crate::table::{Bucket, CountOf, Counts, Export, Kind, Lookup, Read, Slices, Source, Table, ValueForm};
use crate::tables::query::PROPERTY_TYPES;

/// Columns by which a count is asked for, besides its days.
const COUNT_ASKS: &[(&str, &str)] = &[("event_name", ""), ("property", ""), ("property_type", ""), ("top_n", "")];
/// The column by which an export is asked for, besides its days.
const EVENT: &[(&str, &str)] = &[("event_name", "")];
/// Columns that say the days of a request, where its rows have none of their own.
const RANGE_DAYS: &[&str] = &["event_date", "from_date", "to_date"];
/// Values of a property where nobody says how many, and the most there may be.
const TOP_N: (i64, i64) = (10, 100);

/// Typed columns as a filter may name them: those whose values CleverTap compares as this does.
fn comparable_columns(relation: &Relation) -> Vec<(String, bool)> {
    let comparable = |form: &ValueForm| match form {
        ValueForm::Float64 | ValueForm::Int64 => Some(true),
        ValueForm::Text => Some(false),
        _ => None,
    };
    relation.typed.iter().filter_map(|column| Some((column.name.clone(), comparable(&column.form)?))).collect()
}

/// How a table may be asked.
fn capabilities<'a>(table: &'a Table, typed: &'a [(String, bool)]) -> FilterCapabilities<'a> {
    let none = FilterCapabilities { days: &[], bucket_starts: None, instant: None, pinned: &[], properties: None };
    match &table.read {
        Some(Read::Export(_)) => FilterCapabilities {
            days: &["event_date"],
            instant: Some("event_time"),
            pinned: EVENT,
            properties: Some(PropertyColumns { json: "properties", typed }),
            ..none
        },
        Some(Read::People { .. }) => FilterCapabilities { days: RANGE_DAYS, pinned: EVENT, ..none },
        Some(Read::Counts(counts)) => FilterCapabilities {
            days: RANGE_DAYS,
            bucket_starts: match counts.of {
                CountOf::Trend(Bucket::Week) => Some(("week_start", 7)),
                CountOf::Trend(Bucket::Month) => Some(("month_start", 31)),
                _ => None,
            },
            pinned: COUNT_ASKS,
            ..none
        },
        Some(Read::Slices(slices)) => FilterCapabilities { days: std::slice::from_ref(&slices.day), ..none },
        Some(Read::Lookup(_) | Read::Whole(_)) | None => none,
    }
}

/// The keys by which a table is looked up.
fn keys(table: &Table) -> &'static [(&'static str, &'static str)] {
    match &table.read {
        Some(Read::People { lookup, .. } | Read::Lookup(lookup)) => lookup.keys,
        _ => &[],
    }
}

/// Whether `filter` speaks of days that rows do not have, so that it cannot be checked again.
fn is_only_asked(table: &Table, filter: &Expr) -> bool {
    let only =
        |name: &str| table.columns.iter().any(|column| column.name == name && column.kind == Kind::Day && column.source == Source::Filter);
    filter.column_refs().iter().any(|column| only(&column.name))
}

/// How much of each filter is taken.
///
/// # Errors
/// [`Error::Filter`] for a condition on the days of a request that is no range.
pub(crate) fn pushdown(relation: &Relation, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>, Error> {
    let keys = keys(relation.table);
    let keyed = filters.iter().filter(|filter| key_filter(filter, keys).is_some()).count();
    let typed = comparable_columns(relation);
    let capabilities = capabilities(relation.table, &typed);
    let mut pushed = PushedFilters::default();
    let of = |filter: &&Expr| {
        if key_filter(filter, keys).is_some() {
            // The asked column holds what was asked, so that a LIMIT may end the look-ups. Only one filter becomes requests.
            let exactly = if keyed == 1 { TableProviderFilterPushDown::Exact } else { TableProviderFilterPushDown::Inexact };
            return Ok(exactly);
        }
        let taken = pushed.add(filter, capabilities);
        if taken != TableProviderFilterPushDown::Exact && is_only_asked(relation.table, filter) {
            return Err(Error::Filter(format!(
                "{}: \"event_date\", \"from_date\" and \"to_date\" say which days are asked for, and take one range: \
                 event_date BETWEEN '2026-01-01' AND '2026-01-31'",
                relation.qualified()
            )));
        }
        Ok(taken)
    };
    filters.iter().map(of).collect()
}

/// The leaf that reads `table`.
///
/// # Errors
/// [`Error::Filter`] where the query lacks a filter, [`Error::Setting`] where it needs a time zone.
pub(crate) fn scan(
    relation: &Relation,
    options: Options,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let projection = projection.cloned().unwrap_or_else(|| (0..relation.schema.fields().len()).collect());
    let schema = Arc::new(relation.schema.project(&projection)?);
    let scan = Scan { relation: relation.clone(), options, projection, schema, limit };
    let work = match &relation.table.read {
        Some(Read::Export(export)) => exported(export, &scan, filters)?,
        Some(Read::People { lookup, export }) => people(lookup, export, &scan, filters)?,
        Some(Read::Lookup(lookup)) => Some(looked_up(lookup, &scan, filters)?),
        Some(Read::Counts(counts)) => counted(counts, &scan, filters)?,
        Some(Read::Slices(slices)) => sliced(slices, &scan, filters)?,
        Some(Read::Whole(call)) => {
            Some(ReadPlan::Report(Arc::new(ReportPlan::of(call.path, vec![ReportRequest::Whole(call)], &scan, Constants::new())?)))
        }
        None => return Err(Error::Filter(format!("{} is written, not read", relation.qualified())).into()),
    };
    Ok(match work {
        Some(ReadPlan::Lookup(LookupPlan { keys: LookupKeys::Given(asked), .. })) if asked.values.is_empty() => nothing(&scan),
        Some(work) => Arc::new(ScanExec::new(scan, work)),
        None => nothing(&scan),
    })
}

/// What a contradiction leaves.
fn nothing(scan: &Scan) -> Arc<dyn ExecutionPlan> {
    Arc::new(EmptyExec::new(Arc::clone(&scan.schema)))
}

/// The error about filters that are missing.
fn missing(scan: &Scan, lacks: &[&str], example: &str) -> Error {
    Error::Filter(format!(
        "{} needs a filter on {} to be read, and this query has none. For example: WHERE {example}",
        scan.relation.qualified(),
        lacks.join(" and one on ")
    ))
}

const NAME: &str = "\"event_name\" (= or IN)";
const DAYS: &str = "\"event_date\" (a range)";

fn exported(export: &'static Export, scan: &Scan, filters: &[Expr]) -> Result<Option<ReadPlan>> {
    let typed = comparable_columns(&scan.relation);
    let pushed = PushedFilters::of(filters, capabilities(scan.relation.table, &typed));
    let own = scan.relation.event.as_ref();
    let days = "\"event_time\" or \"event_date\" (a range with a first day)";
    let mut lacks = Vec::new();
    let mut example = "event_date BETWEEN '2026-01-01' AND '2026-01-31'".to_owned();
    if own.is_none() {
        example = format!("event_name = 'Charged' AND {example}");
        lacks.extend(pushed.values("event_name").is_none().then_some(NAME));
    }
    lacks.extend((!pushed.has_range()).then_some(days));
    if !lacks.is_empty() && !pushed.is_nothing() {
        return Err(missing(scan, &lacks, &example).into());
    }
    let events: Vec<String> = match (own, pushed.values("event_name")) {
        (Some(own), None) => vec![own.clone()],
        (Some(own), Some(values)) => values.iter().filter(|value| *value == own).cloned().collect(),
        (None, values) => values.unwrap_or_default().to_vec(),
    };
    if events.is_empty() || pushed.is_nothing() {
        return Ok(None);
    }
    let today = today(&scan.relation.account);
    let until = today.checked_add_days(AHEAD).unwrap_or(today);
    let Some(range) = pushed.range(&scan.relation.account, until, &|| missing(scan, &[days], &example))? else { return Ok(None) };
    let keep = match pushed.instants() {
        Some(_) if scan.relation.account.time_zone().is_none() => return Err(Error::needs_time_zone().into()),
        Some(span) => RowFilter::Inside(span),
        None => RowFilter::All,
    };
    let work = ExportPlan::plan(export, scan, Some(&events), range, today, pushed.conditions, keep)?;
    Ok(Some(ReadPlan::Export(Arc::new(work))))
}

fn people(lookup: &'static Lookup, export: &'static Export, scan: &Scan, filters: &[Expr]) -> Result<Option<ReadPlan>> {
    let pushed = PushedFilters::of(filters, capabilities(scan.relation.table, &[]));
    let by_event = pushed.values("event_name").is_some();
    if let Some(asked) = filters.iter().find_map(|filter| key_filter(filter, lookup.keys)) {
        if by_event || pushed.has_range() {
            return Err(Error::Filter(format!(
                "{} is read by key or by event, not by both: take out either the filter on \"{}\" or those on \"event_name\" and its days",
                scan.relation.qualified(),
                asked.column
            ))
            .into());
        }
        return Ok(Some(ReadPlan::Lookup(LookupPlan::of(lookup, asked, scan)?)));
    }
    if pushed.is_nothing() {
        return Ok(None);
    }
    let example = "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'";
    let today = today(&scan.relation.account);
    match (pushed.values("event_name"), pushed.has_range()) {
        (Some(events), true) => {
            let Some(range) = pushed.range(&scan.relation.account, today, &|| missing(scan, &[DAYS], example))? else { return Ok(None) };
            check_days(scan, range)?;
            let work = ExportPlan::plan(export, scan, Some(events), range, today, Vec::new(), RowFilter::All)?;
            Ok(Some(ReadPlan::Export(Arc::new(work))))
        }
        (Some(_), false) => Err(missing(scan, &[DAYS], example).into()),
        (None, true) => Err(missing(scan, &[NAME], example).into()),
        (None, false) => {
            let otherwise = if scan.options.full_scan {
                let range: DayRange = (BEGINNING, today);
                WithoutKeys::Sweep(Arc::new(ExportPlan::plan(export, scan, None, range, today, Vec::new(), RowFilter::NewPeople)?))
            } else {
                let missing = keyless(lookup, scan, "identity = 'cust-1001'");
                WithoutKeys::Refuse(format!(
                    "{missing}, WHERE {example}, or a join on one of them. SET clevertap.full_scan = true reads everybody who can be listed, \
                     event by event"
                ))
            };
            Ok(Some(ReadPlan::DeferredLookup { lookup: LookupPlan { call: lookup, keys: LookupKeys::OfJoin }, otherwise }))
        }
    }
}

/// Refuses to show as NULL the day of rows that are of several days: compared with a day, as in a join, it would leave out all of them.
/// Who selects the first and the last day as well, as `*` does, sees what the row is of.
fn check_days(scan: &Scan, range: DayRange) -> Result<(), Error> {
    let table = scan.relation.table;
    let shown = |name: &str| scan.schema.fields().iter().any(|field| field.name() == name);
    let bucket = capabilities(table, &[]).bucket_starts.map(|(start, _)| start);
    let is_asked = table.columns.iter().any(|column| column.name == "event_date" && column.source == Source::Filter);
    if !is_asked || !shown("event_date") || (shown("from_date") && shown("to_date")) || (range.0 == range.1 && bucket.is_none()) {
        return Ok(());
    }
    let instead = bucket.map_or_else(
        || format!("from_date and to_date, ask for one day, or count day by day in {}", scan.relation.sibling("trend_analysis_daily")),
        |start| format!("\"{start}\""),
    );
    Err(Error::Filter(format!(
        "{}: a row is of all days from {} to {}, so that it has no \"event_date\" of its own to be shown or compared: select {instead}",
        scan.relation.qualified(),
        range.0,
        range.1
    )))
}

fn looked_up(lookup: &'static Lookup, scan: &Scan, filters: &[Expr]) -> Result<ReadPlan> {
    if let Some(asked) = filters.iter().find_map(|filter| key_filter(filter, lookup.keys)) {
        return Ok(ReadPlan::Lookup(LookupPlan::of(lookup, asked, scan)?));
    }
    let key = lookup.keys.first().map(|(key, _)| *key).unwrap_or_default();
    let missing = format!("{}, or a join on it", keyless(lookup, scan, &format!("{key} = '1767225600'")));
    Ok(ReadPlan::DeferredLookup { lookup: LookupPlan { call: lookup, keys: LookupKeys::OfJoin }, otherwise: WithoutKeys::Refuse(missing) })
}

/// The error about a key that is missing.
fn keyless(lookup: &Lookup, scan: &Scan, example: &str) -> String {
    let names: Vec<_> = lookup.keys.iter().map(|(column, _)| format!("\"{column}\"")).collect();
    format!(
        "{} needs a filter (= or IN) on {} to be read, and this query has none. For example: WHERE {example}",
        scan.relation.qualified(),
        names.join(" or ")
    )
}

fn counted(call: &'static Counts, scan: &Scan, filters: &[Expr]) -> Result<Option<ReadPlan>> {
    let pushed = PushedFilters::of(filters, capabilities(scan.relation.table, &[]));
    let tops = call.of == CountOf::TopValues;
    let mut example = "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'".to_owned();
    let mut lacks = Vec::new();
    lacks.extend(pushed.values("event_name").is_none().then_some(NAME));
    lacks.extend((!pushed.has_range()).then_some(DAYS));
    if tops {
        example.push_str(" AND property = 'Currency'");
        lacks.extend(pushed.values("property").is_none().then_some("\"property\" (= or IN)"));
    }
    if pushed.is_nothing() {
        return Ok(None);
    }
    if !lacks.is_empty() {
        return Err(missing(scan, &lacks, &example).into());
    }
    let Some(range) = pushed.range(&scan.relation.account, today(&scan.relation.account), &|| missing(scan, &[DAYS], &example))? else {
        return Ok(None);
    };
    check_days(scan, range)?;
    let one = |column: &str| match pushed.values(column) {
        Some([_, _, ..]) => Err(Error::Filter(format!(
            "{} takes one value of \"{column}\" in a query, and this one has several",
            scan.relation.qualified()
        ))),
        values => Ok(values.and_then(|values| values.first()).cloned()),
    };
    let kind = one("property_type")?.unwrap_or_else(|| PROPERTY_TYPES[0].to_owned());
    if !PROPERTY_TYPES.contains(&kind.as_str()) {
        return Err(Error::Filter(format!("\"property_type\" is \"{kind}\"; expected one of {}", PROPERTY_TYPES.join(", "))).into());
    }
    let top_n = one("top_n")?.map_or(Ok(TOP_N.0), |text| text.parse().ok().filter(|n| (1..=TOP_N.1).contains(n)).ok_or(()));
    let top_n = top_n.map_err(|()| Error::Filter(format!("\"top_n\" takes a number from 1 to {}", TOP_N.1)))?;
    let mut shown = Constants::new();
    if tops {
        shown.insert("property_type", ScalarValue::Utf8View(Some(kind.clone())));
        shown.insert("top_n", ScalarValue::Int64(Some(top_n)));
    } else {
        shown.insert("property", ScalarValue::Utf8View(one("property")?));
    }
    let arguments = CountArguments { properties: pushed.values("property").unwrap_or_default().to_vec(), kind, top_n };
    let events = pushed.values("event_name").unwrap_or_default();
    let work = ReportPlan::of(call.path, questions(call, events, range, scan, &arguments), scan, shown)?;
    Ok(Some(ReadPlan::Report(Arc::new(work))))
}

fn sliced(call: &'static Slices, scan: &Scan, filters: &[Expr]) -> Result<Option<ReadPlan>> {
    let pushed = PushedFilters::of(filters, capabilities(scan.relation.table, &[]));
    if pushed.is_nothing() {
        return Ok(None);
    }
    let lacks = format!("\"{}\" (a range with a first day)", call.day);
    let error = || missing(scan, &[&lacks], &format!("{} BETWEEN '2026-01-01' AND '2026-01-31'", call.day));
    // What is planned for next year is a campaign too.
    let today = today(&scan.relation.account);
    let Some(range) = pushed.range(&scan.relation.account, today.checked_add_days(AHEAD).unwrap_or(today), &error)? else {
        return Ok(None);
    };
    Ok(Some(ReadPlan::Report(Arc::new(ReportPlan::of(call.path, slices(call, range), scan, Constants::new())?))))
}

impl Table {
    /// The filters without which a read is refused, as `clevertap.tables` shows them.
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
            Read::Whole(_) => None,
        }
    }
}
