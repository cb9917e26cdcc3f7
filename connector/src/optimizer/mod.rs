//! Every rule of ours, one a file, and the order in which they stand among DataFusion's.
//!
//! | rule | kind | stands | because |
//! |---|---|---|---|
//! | `CoerceIdentifiers` | analyzer | first | DataFusion would make numbers of the identifiers that are compared with one |
//! | `ResolveLocalTime` | analyzer | behind it | times that a clock shows twice or never are instants before casts are made |
//! | `RewriteDml` | analyzer | last | it takes INSERT, UPDATE and DELETE as all other rules left them |
//! | `RewriteSubseconds` | optimizer | first | the first rule of DataFusion takes the casts of columns away |
//! | `SwapLookupSides` | physical | behind `join_selection` | a look-up must be read after the side that has its keys |
//! | `BindLookupFilters` | physical | last | a join's filter appears only in a plan that stands |
//! | `AtomicCopy` | physical | last | it wraps the writers of files as they will run |

mod atomic_copy;
mod identifier_casts;
mod lookup_joins;
mod timestamps;

use std::sync::Arc;

use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::optimizer::AnalyzerRule;

use crate::dml::rule::RewriteDml;
use crate::options::Options;
use atomic_copy::AtomicCopy;
use identifier_casts::CoerceIdentifiers;
use lookup_joins::{BindLookupFilters, SwapLookupSides};
use timestamps::{ResolveLocalTime, RewriteSubseconds};

pub(crate) use lookup_joins::BIND_LOOKUP_FILTERS;

/// Bytes of the keys that a join hands on: as many as may be looked up, of 400 bytes each.
const JOIN_KEYS_BYTES: usize = 4 * 1024 * 1024;

/// Adds the rules and the options `clevertap.*` to the state that `builder` makes. [`register`](crate::register) does this too; a
/// process that only runs parts of plans, such as the worker of a cluster, needs nothing else.
///
/// The rules, the analyzer and the configuration that the builder has are kept. Rules that are there already are not added again.
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
    // A join hands on as many keys as may be looked up.
    let optimizer = &mut options.optimizer;
    optimizer.hash_join_inlist_pushdown_max_distinct_values =
        optimizer.hash_join_inlist_pushdown_max_distinct_values.max(Options::default().lookups_max);
    optimizer.hash_join_inlist_pushdown_max_size = optimizer.hash_join_inlist_pushdown_max_size.max(JOIN_KEYS_BYTES);
    *builder.config() = Some(config);
    if builder.analyzer().as_ref().is_some_and(|analyzer| analyzer.rules.iter().any(|rule| rule.name() == RewriteDml.name())) {
        return builder;
    }
    // The analyzer itself is kept: it also holds what other crates rewrite, of which a new one would know nothing.
    let analyzer = builder.analyzer().get_or_insert_default();
    analyzer.rules.splice(0..0, [Arc::new(CoerceIdentifiers) as Arc<dyn AnalyzerRule + Send + Sync>, Arc::new(ResolveLocalTime)]);
    analyzer.rules.push(Arc::new(RewriteDml));
    builder.optimizer().get_or_insert_default().rules.insert(0, Arc::new(RewriteSubseconds));
    SwapLookupSides::add_to(&mut builder.physical_optimizers().get_or_insert_default().rules);
    builder.with_physical_optimizer_rule(Arc::new(BindLookupFilters)).with_physical_optimizer_rule(Arc::new(AtomicCopy))
}

/// Whether a state has the rules.
pub(crate) fn is_installed(state: &SessionState) -> bool {
    state.analyzer().rules.iter().any(|rule| rule.name() == RewriteDml.name())
}
