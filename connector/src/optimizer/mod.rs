//! Our analyzer, optimizer and physical rules, and where they run among DataFusion's.
//!
//! In: a [`SessionStateBuilder`]. Out: the same builder with the rules installed. Each position has a reason:
//!
//! | rule | kind | position | because |
//! |---|---|---|---|
//! | `LocalInstants` | analyzer | first | type coercion would take a DATE for midnight UTC |
//! | `CoerceIdentifiers` | analyzer | second | type coercion would cast identifiers that are compared with a number to numbers |
//! | `ResolveLocalTime` | analyzer | third | ambiguous and skipped local times must be instants before type coercion casts them |
//! | `CopyPlaces` | analyzer | before the last | COPY and INSERT as they are written, before anything is asked for |
//! | `CopyTypes` | analyzer | before the last | other rules may have changed the types of what is written |
//! | `JsonOrder` | analyzer | before the last | whichever way a value out of JSON came there, its field is marked |
//! | `ThreeValuedFilters` | analyzer | before the last | its comparisons need coerced types, and a DELETE is still a DELETE |
//! | `RewriteDml` | analyzer | last | it rewrites INSERT, UPDATE and DELETE as analyzed by all other rules |
//! | `RewriteSubseconds` | optimizer | first | the first rule of DataFusion removes the casts of columns |
//! | `HoldSelectLists` | physical | first | a later rule evaluates select lists in the scans of files |
//! | `SwapLookupSides` | physical | after `join_selection` | that rule does not swap sides of unknown size |
//! | `KeepLossyCasts` | physical | before `EnsureRequirements` | that rule leaves constants out of sorts |
//! | `KeepOffset` | physical | before `EnsureRequirements` | that rule pushes sorts below limits |
//! | `BindKeys` | physical | last | filters are pushed down at the end of physical optimization |
//! | `AtomicCopy` | physical | last | it wraps the file writers of the final plan |
//! | `RowConversions` | physical | last | no rule may take its node for one that passes columns on |
//! | `RowPlaces` | physical | last | it reads files as the final plan does |

mod atomic_copy;
mod bind_keys;
mod compared;
mod conversions;
mod identifier_casts;
mod instant_plus;
mod instants;
#[cfg(feature = "json")]
mod json_order;
mod keep_offset;
mod lossy_casts;
mod row_places;
mod three_valued;
mod timestamps;
mod why_missing;
mod zoned_texts;

use std::sync::Arc;

use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_optimizer::PhysicalOptimizerRule;

use crate::copy::places::CopyPlaces;
use crate::copy::types::CopyTypes;
use crate::dml::rewrite::RewriteDml;
use crate::options::Options;
use atomic_copy::AtomicCopy;
use bind_keys::{BindKeys, SwapLookupSides};
use conversions::{HoldSelectLists, RowConversions};
use identifier_casts::CoerceIdentifiers;
use instants::LocalInstants;
use keep_offset::KeepOffset;
use lossy_casts::KeepLossyCasts;
use row_places::RowPlaces;
use three_valued::ThreeValuedFilters;
use timestamps::{ResolveLocalTime, RewriteSubseconds};

pub(crate) use bind_keys::BIND_KEYS;

/// Adds the rules and the options `clevertap.*` to `builder`. [`register`](crate::register()) does this too. A process that only runs
/// parts of plans, such as a worker of a cluster, needs nothing else.
///
/// Existing rules and configuration of the builder are kept. Rules that are there already are not added again.
///
/// ```
/// use datafusion::execution::SessionStateBuilder;
/// use datafusion_clevertap::optimizer;
///
/// let state = optimizer::install(SessionStateBuilder::new().with_default_features()).build();
/// assert!(state.config_options().entries().iter().any(|option| option.key == "clevertap.on_reject"));
/// ```
#[must_use]
pub fn install(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let mut config = builder.config().take().unwrap_or_default();
    let options = config.options_mut();
    if options.extensions.get::<Options>().is_none() {
        options.extensions.insert(Options::default());
    }
    *builder.config() = Some(config);
    if builder.analyzer().as_ref().is_some_and(|analyzer| analyzer.rules.iter().any(|rule| rule.name() == RewriteDml.name())) {
        return builder;
    }
    // The existing analyzer is extended, because it also holds the function rewrites that other crates registered.
    let analyzer = builder.analyzer().get_or_insert_default();
    analyzer.rules.splice(
        0..0,
        [Arc::new(LocalInstants) as Arc<dyn AnalyzerRule + Send + Sync>, Arc::new(CoerceIdentifiers), Arc::new(ResolveLocalTime)],
    );
    #[cfg(feature = "json")]
    analyzer.rules.push(Arc::new(json_order::JsonOrder));
    analyzer.rules.push(Arc::new(CopyPlaces));
    analyzer.rules.push(Arc::new(CopyTypes));
    analyzer.rules.push(Arc::new(ThreeValuedFilters));
    analyzer.rules.push(Arc::new(RewriteDml));
    builder.optimizer().get_or_insert_default().rules.insert(0, Arc::new(RewriteSubseconds));
    let physical = &mut builder.physical_optimizers().get_or_insert_default().rules;
    let at = |rules: &[Arc<dyn PhysicalOptimizerRule + Send + Sync>], name: &str| rules.iter().position(|rule| rule.name() == name);
    physical.insert(at(physical, SwapLookupSides::AFTER).map_or(0, |index| index + 1), Arc::new(SwapLookupSides));
    physical.insert(0, Arc::new(HoldSelectLists));
    let before_orders = at(physical, KeepOffset::BEFORE).unwrap_or(0);
    physical.splice(
        before_orders..before_orders,
        [Arc::new(KeepLossyCasts) as Arc<dyn PhysicalOptimizerRule + Send + Sync>, Arc::new(KeepOffset)],
    );
    builder
        .with_physical_optimizer_rule(Arc::new(BindKeys))
        .with_physical_optimizer_rule(Arc::new(AtomicCopy))
        .with_physical_optimizer_rule(Arc::new(RowConversions))
        .with_physical_optimizer_rule(Arc::new(RowPlaces))
}

/// Whether a state has the rules.
pub(crate) fn is_installed(state: &SessionState) -> bool {
    state.analyzer().rules.iter().any(|rule| rule.name() == RewriteDml.name())
}
