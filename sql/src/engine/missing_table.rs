//! A table that is not there, and the one that was probably meant.
//!
//! In: a statement and its error. Out: a hint, if the error is DataFusion's about a table of the statement.

use datafusion::{
    common::{DataFusionError, TableReference},
    prelude::SessionContext,
};

use super::rewrites::tables;
use crate::{failure::sentence, files::listing::reads_as, nearest::nearest};

/// The schema that DataFusion itself fills.
const INFORMATION_SCHEMA: &str = "information_schema";

/// What to add to `error`.
pub(super) fn hint(ctx: &SessionContext, text: &str, error: &DataFusionError) -> Option<String> {
    let state = ctx.state();
    let defaults = &state.config().options().catalog;
    let reason = sentence(error);
    let is_missing = |table: &TableReference| {
        let resolved = table.clone().resolve(&defaults.default_catalog, &defaults.default_schema);
        reason == format!("table '{resolved}' not found")
    };
    let missing = tables(text).into_iter().find(is_missing)?;

    if let Some(read) = reads_as(missing.table()) {
        return Some(format!("'{}' is a file, and its ending says nothing of its kind: {read}", missing.table()));
    }
    let catalog = ctx.catalog(&defaults.default_catalog)?;
    let mut known = Vec::new();
    for schema in catalog.schema_names().into_iter().filter(|schema| schema != INFORMATION_SCHEMA) {
        let names = catalog.schema(&schema).map(|schema| schema.table_names()).unwrap_or_default();
        let is_default = schema == defaults.default_schema;
        known.extend(
            names.into_iter().map(
                |name| {
                    if is_default { TableReference::bare(name) } else { TableReference::partial(schema.clone(), name) }
                },
            ),
        );
    }
    let of_other_schema = known.iter().find(|table| table.table().eq_ignore_ascii_case(missing.table()));
    let texts: Vec<String> = known.iter().map(ToString::to_string).collect();
    let meant = of_other_schema.or_else(|| {
        let name = nearest(&missing.to_string(), texts.iter().map(String::as_str))?;
        known.iter().find(|table| table.to_string() == name)
    });
    Some(match meant {
        Some(meant) => format!("{reason}. Did you mean {}? SHOW TABLES lists all", meant.to_quoted_string()),
        None => format!("{reason}. SHOW TABLES lists those that are there"),
    })
}
