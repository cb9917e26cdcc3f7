//! SQL functions for CleverTap: operators that change a profile property, phone numbers in CleverTap's format, and dates that were written in another.
//!
//! In: SQL values. Out: a column that `INSERT INTO clevertap.profiles` understands:
//!
//! | Function | CleverTap gets | Arrow type |
//! |---|---|---|
//! | `ct_add(list or text)` | `{"$add": […]}` | `Struct("$add": List(Utf8View))` |
//! | `ct_remove(list or text)` | `{"$remove": […]}` | `Struct("$remove": List(Utf8View))` |
//! | `ct_set(list or text)` | `{"$set": […]}` | `Struct("$set": List(Utf8View))` |
//! | `ct_incr(number)` | `{"$incr": n}` | `Struct("$incr": the type of the number)` |
//! | `ct_decr(number)` | `{"$decr": n}` | `Struct("$decr": the type of the number)` |
//! | `ct_delete()` | `{"$delete": 1}` | `Struct("$delete": Int64)` |
//! | `ct_phone(text [, region])` (feature `phone`, default) | `"+919812345678"` | `Utf8View` |
//! | `ct_date(text, 'dd/mm/yyyy')` | `"$D_662601600"` | `Date32` |
//! | `ct_event_time(text [, format] [, zone])` | `1767607200` | `Timestamp(Second, "+00:00")` |
//!
//! And the operators `->` and `->>`, for reads: [`json`].
//!
//! An operator is a struct with exactly one field, so it needs no extension type and works with every engine and file
//! format that supports Arrow. NULL in, NULL out: a NULL row leaves the property out.
//!
//! One column holds one operator. `CASE WHEN new THEN ct_add(tag) ELSE ct_remove(tag) END` would mix two and is refused
//! at plan time or at run time: write two `INSERT`s.
//!
//! This crate cannot reach the network and knows nothing about the connector.
//!
//! ```
//! # use datafusion::error::Result;
//! # use datafusion::prelude::SessionContext;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let mut ctx = SessionContext::new();
//! datafusion_clevertap_udfs::register(&mut ctx)?;
//! let rows = ctx.sql("SELECT ct_incr(5) AS points, ct_phone('098123 45678', 'IN') AS phone").await?;
//! datafusion::assert_batches_eq!(
//!     [
//!         "+------------+---------------+",
//!         "| points     | phone         |",
//!         "+------------+---------------+",
//!         "| {$incr: 5} | +919812345678 |",
//!         "+------------+---------------+",
//!     ],
//!     &rows.collect().await?
//! );
//! # Ok(())
//! # }
//! ```

mod delete;
#[cfg(feature = "phone")]
mod e164;
#[cfg(feature = "json")]
pub mod json;
mod list;
mod number;
mod operator;
#[cfg(feature = "phone")]
mod phone;
mod written;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::logical_expr::{DocSection, ScalarUDF};

/// The section of DataFusion's generated documentation that lists these functions.
const SECTION: DocSection = DocSection {
    include: true,
    label: "CleverTap Functions",
    description: Some("Operators on CleverTap profile properties, phone numbers, and dates as people write them."),
};

/// All functions of this crate, sorted by name.
///
/// ```
/// let names: Vec<String> = datafusion_clevertap_udfs::all().iter().map(|f| f.name().to_owned()).collect();
/// assert_eq!(names, ["ct_add", "ct_date", "ct_decr", "ct_delete", "ct_event_time", "ct_incr", "ct_phone", "ct_remove", "ct_set"]);
/// ```
pub fn all() -> Vec<ScalarUDF> {
    vec![
        list::add().into(),
        written::date::Date::new().into(),
        number::decr().into(),
        delete::Delete::new().into(),
        written::event_time::EventTime::new().into(),
        number::incr().into(),
        #[cfg(feature = "phone")]
        phone::Phone::new().into(),
        list::remove().into(),
        list::set().into(),
    ]
}

/// Registers all functions of this crate, and the operators `->` and `->>` of JSON (feature `json`, default), with `registry`, such as a `SessionContext` or a `SessionState`.
///
/// Replaces functions that have the same names.
///
/// # Errors
///
/// The registry's error if it cannot register functions, such as a read-only one.
///
/// ```
/// use datafusion::logical_expr::registry::FunctionRegistry;
/// use datafusion::prelude::SessionContext;
///
/// let mut ctx = SessionContext::new();
/// datafusion_clevertap_udfs::register(&mut ctx)?;
/// assert!(ctx.udf("ct_add").is_ok());
/// # Ok::<(), datafusion::error::DataFusionError>(())
/// ```
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for function in all() {
        registry.register_udf(Arc::new(function))?;
    }
    #[cfg(feature = "json")]
    json::register(registry)?;
    Ok(())
}

/// README.md of this crate, so that its Rust blocks run as tests.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
#[derive(Debug)]
pub struct CrateReadme;
