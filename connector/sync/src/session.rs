//! The session that a sync runs in.
//!
//! In: an embedder's session, a definition. Out: one like it, whose options are those of the definition: the embedder's stays as it is.

use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;

use crate::definition::{Definition, RunOptions};
use crate::error::Result;

/// A session like that of `ctx`, with the options of the definition.
pub(crate) fn session(ctx: &SessionContext, definition: &Definition, run: &RunOptions) -> Result<SessionContext> {
    // The builder's own configuration is changed: with another one it would put a new, empty catalogue in the place of the session's.
    let mut builder = SessionStateBuilder::new_from_existing(ctx.state());
    let mut config = builder.config().take().unwrap_or_default();
    let skip = ("on_reject".to_owned(), "skip".to_owned());
    let label = ("run_label".to_owned(), format!("sync {}", definition.name));
    let dry_run = run.dry_run.map(|dry_run| ("dry_run".to_owned(), dry_run.to_string()));
    for (name, value) in [skip, label].iter().chain(&definition.options).chain(&dry_run) {
        config.options_mut().set(&format!("clevertap.{name}"), value)?;
    }
    *builder.config() = Some(config);
    Ok(SessionContext::new_with_state(builder.build()))
}
