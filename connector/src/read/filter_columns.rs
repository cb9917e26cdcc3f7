//! The columns by which a table is asked for.
//!
//! In: a table and filters that DataFusion offers to push down. Out: which columns are keys of look-ups, which say events and days, and the
//! pushdown support of each filter. What is said here is what `plan` makes requests of.

use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};

use crate::error::Error;
use crate::read::late_filter::LateFilter;
use crate::read::lookup;
use crate::read::pushdown::condition::PropertyColumns;
use crate::read::pushdown::keys::key_filter;
use crate::read::pushdown::{FilterCapabilities, PushedFilters};
use crate::relation::Relation;
use crate::table::{Bucket, CountOf, Kind, Read, Source, Table, ValueForm};

/// Filter columns of counts, besides days.
const COUNT_FILTERS: &[(&str, &str)] = &[("event_name", ""), ("property", ""), ("property_type", ""), ("top_n", "")];
/// Filter columns of exports, besides days.
const EXPORT_FILTERS: &[(&str, &str)] = &[("event_name", "")];
/// Filter columns for the days of a request whose rows have no day of their own.
pub(super) const RANGE_DAYS: &[&str] = &["event_date", "from_date", "to_date"];

/// The typed columns that CleverTap compares in the same way as DataFusion, and whether they are numbers.
pub(super) fn comparable_columns(relation: &Relation) -> Vec<(String, bool)> {
    let comparable = |form: &ValueForm| match form {
        ValueForm::Float64 | ValueForm::Int64 => Some(true),
        ValueForm::Text => Some(false),
        _ => None,
    };
    relation.typed.iter().filter_map(|column| Some((column.name.clone(), comparable(&column.form)?))).collect()
}

pub(super) fn capabilities<'a>(table: &'a Table, typed: &'a [(String, bool)]) -> FilterCapabilities<'a> {
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
pub(super) fn keys(table: &Table) -> &'static [(&'static str, &'static str)] {
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
