//! `properties -> 'Amount'`: a value out of JSON text, which is what the query makes of it.
//!
//! In: the operators `->` and `->>` as SQL has them, and the casts and comparisons around them. Out: calls of `json_value` and of the typed
//! functions of datafusion-functions-json. A value is text, as `->>` gives it, until something says otherwise:
//!
//! | expression | is |
//! |---|---|
//! | `properties -> 'Plan'` | `gold`, `150.5`, `true`, `["a"]`; NULL where there is none |
//! | `(properties -> 'Amount') > 100`, also BETWEEN, IN, JOIN | compared by number: `150`, `150.5`, `1000.0`, `"150"` |
//! | `(properties -> 'Active') = true` | compared as a boolean |
//! | `(properties -> 'Paid at') > DATE '2026-01-31'` | compared as a date: ISO text, and CleverTap's `$D_1795209805` on the session's clock |
//! | `(properties -> 'Amount')::double`, `::decimal(10,2)`, `::date`, `::boolean` … | the value; NULL where it is no such value |
//! | `(properties -> 'Amount')::bigint` and other whole numbers | the number; an error where that would lose its fraction |
//! | `sum(properties -> 'Amount')`, `avg`, `(properties -> 'Amount') * 2` | of numbers |
//! | `properties ->> 'Amount' > 50`, without parentheses | as PostgreSQL reads it, not DataFusion's generic dialect |
//! | `properties -> 'Amount' * 2`, `properties ->> 'Plan' || 'x'` | of the value, not of its name |
//! | `properties['Plan']`, `properties."Plan"` | the same as `properties -> 'Plan'` |
//!
//! The union type of `json_get` is what datafusion-functions-json has for a value. Little can be done with it: it cannot be compared,
//! written to Parquet or shown without its type. So `json_get` is `json_value` here, too.

mod planner;
mod rewrite;
mod typed;
mod value;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::registry::FunctionRegistry;

pub use planner::JsonOperators;
pub use value::is_json_value;

/// Registers the functions of datafusion-functions-json, the operators `->` and `->>`, and what makes a value of them.
///
/// A `SessionState` asks its planners of expressions in order. If datafusion-functions-json was registered before, [`JsonOperators`] must
/// be moved to the front.
///
/// # Errors
/// The registry's error if it cannot register functions.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    registry.register_expr_planner(Arc::new(JsonOperators))?;
    datafusion_functions_json::register_all(registry)?;
    registry.register_udf(value::json_value())?;
    registry.register_udf(typed::json_whole())?;
    registry.register_function_rewrite(Arc::new(rewrite::JsonValues))
}
