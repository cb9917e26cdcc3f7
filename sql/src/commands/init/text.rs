//! The commented file.
//!
//! In: answers. Out: TOML, in which what was not answered is a comment that works when it is none.

use super::questions::{Answered, Passcode};

/// Where comments begin.
const COMMENT_AT: usize = 36;

/// What stands behind it, where this build has syncs.
#[cfg(feature = "syncs")]
const SYNCS: &str = "\n# Queries that send only what changed: clevertap-sql sync run people\n# \"Syncs\" in sql/README.md has an example of [syncs.people].\n";
#[cfg(not(feature = "syncs"))]
const SYNCS: &str = "";

/// The text of the file.
pub(super) fn file_text(answered: &Answered) -> String {
    let Answered { name, id, region, endpoint, time_zone, passcode } = answered;
    let passcode = match passcode {
        Passcode::InVariable(name) => entry("passcode_env", name, "or passcode_file, for you alone"),
        Passcode::Typed(_) => entry("passcode_file", &answered.passcode_file(), "or passcode_env, a variable"),
    };
    let endpoint = endpoint.as_ref().map(|endpoint| entry("endpoint", endpoint, "goes before the region")).unwrap_or_default();
    let [account_id, region, time_zone, access, users, on_reject] = [
        entry("account_id", id, ""),
        entry_or_example("region", region.as_ref(), "in1", "eu1 in1 sg1 us1 aps3 mec1"),
        entry_or_example("time_zone", time_zone.as_ref(), "Asia/Kolkata", "the project's"),
        entry_or_example("access", None, "read", "or write, erase"),
        entry_or_example("users", None, "data/users/", "a path, a folder or a URL"),
        entry_or_example("on_reject", None, "skip", "SET clevertap.on_reject = 'skip'"),
    ];
    format!(
        "# Of clevertap-sql: its accounts, and how statements run. \"Configuration\" in\n\
         # sql/README.md has all keys; clevertap-sql config shows what is in force.\n\
         \n\
         # Tables: {name}.profiles, {name}_events.\"Charged\"\n\
         [accounts.{name}]\n{account_id}{region}{endpoint}{time_zone}{passcode}{access}\n\
         # Files by name: SELECT * FROM users\n\
         # [files]\n{users}\n\
         # Options of statements: SELECT * FROM {name}.options\n\
         # [options]\n{on_reject}{SYNCS}"
    )
}

/// A line. A text of JSON is a text of TOML.
fn entry(key: &str, value: &str, about: &str) -> String {
    let entry = format!("{key} = {}", serde_json::Value::from(value));
    if about.is_empty() { format!("{entry}\n") } else { format!("{entry:<COMMENT_AT$}# {about}\n") }
}

fn entry_or_example(key: &str, value: Option<&String>, example: &str, about: &str) -> String {
    match value {
        Some(value) => entry(key, value, about),
        // As wide as the others.
        None => format!("# {}", entry(key, example, about)).replacen("  #", "#", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AccountFlags, Config, FILE_NAME, FoundFile, Origin};

    #[test]
    fn every_line_that_is_commented_out_works_when_it_is_not() {
        let answered = Answered {
            name: "shop".into(),
            id: "A\"B\\C".into(),
            region: None,
            endpoint: None,
            time_zone: None,
            passcode: Passcode::InVariable("A".into()),
        };
        let text = file_text(&answered);
        let is_entry = |line: &str| line.starts_with("# [") || line.starts_with("# ") && line.contains(" = \"");
        let entries: Vec<&str> = text.lines().map(|line| if is_entry(line) { line.trim_start_matches("# ") } else { line }).collect();
        let read = |text: &str| {
            let found = FoundFile { shown: FILE_NAME.into(), origin: Origin::Named, folder: "/".into(), text: text.into() };
            Config::of_file(Some(found), &AccountFlags::default(), &|_| None).unwrap_or_else(|failure| panic!("{failure}\n{text}"))
        };
        assert!(read(&text).files.is_empty());
        let config = read(&entries.join("\n"));
        assert_eq!((config.files.len(), config.options.len()), (1, 1), "{text}");
        let account = &config.described.accounts[0];
        assert_eq!(account.id.value, "A\"B\\C");
        assert!(account.region.is_some() && account.time_zone.is_some(), "{text}");
        assert_eq!(account.access.value, datafusion_clevertap::Access::Read);
        // A newcomer's terminal has 80 columns.
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
