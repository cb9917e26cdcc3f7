//! What of a definition is for syncs out of CleverTap.
//!
//! In: a definition, the options of a run. Out: the mode; or the key that belongs to the other direction, and what to say in its place.

use super::{Definition, Mode, OnRemoved, RemovedMax, Retry, RunOptions, Window};
use crate::error::{Error, Result};

/// Prefixes of `into` that name a place.
pub(crate) const DELTA: &str = "delta:";
pub(crate) const PARQUET: &str = "parquet:";

/// Whether `into` names a place, and no table.
pub(crate) fn is_place(into: &str) -> bool {
    let into = into.trim();
    into.starts_with(DELTA) || into.starts_with(PARQUET)
}

/// The mode of a sync that leads out of CleverTap: `append`, or `upsert` if it has a key.
///
/// # Errors
/// [`Error::Definition`] with the key, the problem and the remedy.
pub(crate) fn check(definition: &Definition) -> Result<Mode> {
    let wrong = |problem: &str| Err(Error::Definition(format!("sync \"{}\": {problem}", definition.name)));
    let into = definition.into.trim();
    if [DELTA, PARQUET].iter().any(|prefix| into.strip_prefix(prefix).is_some_and(|place| place.trim().is_empty())) {
        return wrong("`into` names no place; say a folder or a URL: delta:s3://acme/charged, parquet:exports/charged/");
    }
    let mode = match definition.mode {
        None if definition.key.is_empty() => Mode::Append,
        None => Mode::Upsert,
        Some(mode @ (Mode::Append | Mode::Upsert | Mode::Replace)) => mode,
        Some(mode) => {
            let mode = mode.name();
            return wrong(&format!("mode = \"{mode}\" is of syncs into CleverTap; say append, upsert or replace"));
        }
    };
    if definition.on_removed != OnRemoved::Ignore || definition.removed_max != RemovedMax::default() {
        return wrong("on_removed and max_removed are of mirrors into CleverTap; leave them out");
    }
    if definition.retry != Retry::default() || definition.retry_max != 10 {
        return wrong("retry and retry_max are of rows that CleverTap rejects; leave them out of a sync that leads out of it");
    }
    if definition.source_age_max.is_some() {
        return wrong("source_age_max looks at the files of a source, and this one is CleverTap; leave it out");
    }
    if mode == Mode::Upsert && into.starts_with(PARQUET) {
        return wrong(
            "a folder of Parquet has no keys to tell rows apart by; leave `key` out, and each window is a file of its own, or say into = \"delta:…\"",
        );
    }
    if mode == Mode::Upsert && definition.key.is_empty() && into.starts_with(DELTA) {
        return wrong("mode = \"upsert\" needs a key; say key = [\"…\"], the columns that tell rows apart");
    }
    match &definition.window {
        Some(Window::Days(0)) => wrong("days = 0 reads nothing; say 1 for today alone"),
        Some(Window::Cursor { look_back, .. }) if mode == Mode::Append && !look_back.is_zero() => wrong(
            "look_back reads rows again, and mode = \"append\" adds them again; say key = [\"…\"], the columns that tell rows apart, or look_back = 0",
        ),
        _ => Ok(mode),
    }
}

/// What of a run's options is for this direction.
///
/// # Errors
/// [`Error::Definition`] for an option of the other one.
pub(crate) fn check_run(name: &str, options: &RunOptions) -> Result<()> {
    let given = [
        (options.full, "full", "to read an earlier window again, run it with from and to"),
        (options.retry, "retry", "nothing is rejected here"),
        (options.dry_run.is_some(), "dry_run", "plan and preview show what it would read"),
        (options.removed_max.is_some(), "removed_max", "nobody is removed"),
        (options.removes_at_first, "removes_at_first", "nobody is removed"),
    ];
    let found = given.into_iter().find(|(is_given, ..)| *is_given);
    found.map_or(Ok(()), |(_, option, remedy)| {
        Err(Error::Definition(format!("sync \"{name}\": {option} is of syncs into CleverTap; leave it out: {remedy}")))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn out(into: &str, change: impl Fn(&mut Definition)) -> std::result::Result<Mode, String> {
        let mut definition = Definition::new("charged", "SELECT 1", into);
        change(&mut definition);
        check(&definition).map_err(|error| error.to_string())
    }

    #[test]
    fn the_mode_is_append_unless_there_is_a_key() {
        assert_eq!(out("delta:x", |_| ()), Ok(Mode::Append));
        assert_eq!(out("delta:x", |sync| sync.key = vec!["id".into()]), Ok(Mode::Upsert));
        assert_eq!(out("shop.t", |sync| sync.mode = Some(Mode::Upsert)), Ok(Mode::Upsert));
        let cursor = |look_back| Some(Window::Cursor { column: "t".into(), look_back: Duration::from_secs(look_back) });
        assert_eq!(out("delta:x", |sync| sync.window = cursor(0)), Ok(Mode::Append));
        type Change<'c> = &'c dyn Fn(&mut Definition);
        let refused: [(&str, Change<'_>, &str); 9] = [
            ("delta: ", &|_| (), "names no place"),
            ("delta:x", &|sync| sync.mode = Some(Mode::Mirror), "mode = \"mirror\" is of syncs into CleverTap"),
            ("delta:x", &|sync| sync.mode = Some(Mode::Upsert), "needs a key"),
            ("parquet:x", &|sync| sync.key = vec!["id".into()], "leave `key` out"),
            ("delta:x", &|sync| sync.on_removed = OnRemoved::Delete, "on_removed"),
            ("delta:x", &|sync| sync.retry = Retry::Always, "retry"),
            ("delta:x", &|sync| sync.source_age_max = Some(Duration::ZERO), "source_age_max"),
            ("delta:x", &|sync| sync.window = Some(Window::Days(0)), "days = 0"),
            ("delta:x", &|sync| sync.window = cursor(60), "look_back = 0"),
        ];
        for (into, change, problem) in refused {
            let error = out(into, change).expect_err("refused");
            assert!(error.contains(problem), "{error}");
        }
    }
}
