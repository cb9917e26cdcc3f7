//! `clevertap-sql check --database NAME`: is the database there, and what may be done with it.
//!
//! In: the databases of the configuration, a name, a table or none. Out: one line a thing with `ok`, `open` or `refused`; exit code 1 if one was
//! refused.

use crate::{
    config::ConfiguredDatabase,
    failure::{Completion, Failure, Result},
    terminal::output::Output,
};
use clevertap_databases::Verdict;
use datafusion_clevertap::redact::without_secrets;

/// Tries the database and prints what was found.
///
/// # Errors
/// [`Failure::Usage`] if no such database is configured, or `table` is no name of one; [`Failure::Failed`] if something was refused.
pub(crate) async fn check_database(
    databases: &[ConfiguredDatabase],
    name: &str,
    table: Option<&str>,
    output: &mut Output,
) -> Result<Completion> {
    let Some(configured) = databases.iter().find(|database| database.name == name) else {
        let names: Vec<&str> = databases.iter().map(|database| database.name.as_str()).collect();
        return Err(Failure::Usage(match names.is_empty() {
            true => format!("no database is configured; [databases.{name}] of clevertap.toml makes one (sql/README.md, Configuration)"),
            false => format!("no database \"{name}\" is configured; these are: {}", names.join(", ")),
        }));
    };
    let database = configured.opened.as_ref().map_err(|why| Failure::Failed(why.clone()))?;
    let place = &configured.described;
    output.say(format_args!("database    {name}: {}", database.settings().kind().product()))?;
    output.say(format_args!("{:11} {}", place.key, without_secrets(&place.place.value)))?;
    let findings = database.check(table).await.map_err(|error| Failure::Usage(error.to_string()))?;
    let mut refused = 0;
    for finding in &findings {
        let word = match finding.verdict {
            Verdict::Good => "ok",
            Verdict::Refused => {
                refused += 1;
                "refused"
            }
            _ => "open",
        };
        output.say(format_args!("{word:11} {}: {}", finding.what, finding.says))?;
    }
    match refused {
        0 => Ok(Completion::Done),
        refused => Err(Failure::Failed(format!("{refused} of {} checks were refused", findings.len()))),
    }
}
