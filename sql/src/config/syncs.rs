//! `[syncs.NAME]`: named queries that are run again and again, and move only what changed.
//!
//! In: sections of the file, the files of their queries. Out: definitions that were checked each by itself and among each other; the rest is
//! found when one is planned. The file of the working folder may define syncs into tables, but none that writes rows to a place of its choice
//! or that erases.

use std::{ops::Range, time::Duration};

use datafusion::common::TableReference;
use datafusion_clevertap_sync::{
    Definition,
    definition::{InDoubt, Mode, OnRemoved, RemovedMax, Retry, Window, in_order},
};

use super::{
    options::OptionValue,
    reader::{Reader, SENDS_ROWS},
    section::{Located, Section},
    small_file::{self, NotRead},
    value::{Source, Sourced},
};
use crate::nearest::nearest;
use datafusion_clevertap::Options;

/// Keys of scheduled runs, which this version does not have.
const SCHEDULED: [&str; 5] = ["schedule", "start", "time_zone", "retries", "notify"];
/// Options that a sync says in another way.
const NOT_OF_SYNCS: [(&str, &str); 2] =
    [("dry_run", "clevertap-sql sync run NAME --dry-run tries a sync out"), ("run_label", "a run is labelled with the name of its sync")];
/// A query has some kB. More is none.
const QUERY_BYTES_MAX: u64 = 1 << 20;

/// A sync of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct ConfiguredSync {
    pub(crate) definition: Definition,
    /// Where its name stands.
    pub(crate) at: Source,
    /// What the file says of it, key by key.
    pub(crate) described: Vec<(String, Sourced<String>)>,
}

impl ConfiguredSync {
    pub(super) fn read_all(section: Section<'_, '_>, reader: &Reader<'_>) -> Vec<Self> {
        let sections = section.into_sections();
        let names: Vec<String> = sections.iter().map(|(name, _)| name.value.clone()).collect();
        let mut syncs = Vec::new();
        let mut is_whole = true;
        for (name, section) in sections {
            match Self::read(&name, section, &names, reader) {
                Some((sync, after_is_there)) => {
                    is_whole &= after_is_there;
                    syncs.push((name.span, sync));
                }
                None => is_whole = false,
            }
        }
        if is_whole {
            refuse_circles(&syncs, reader);
        }
        syncs.into_iter().map(|(_, sync)| sync).collect()
    }

    /// The sync, and whether all that it comes after is there. `None` without a query or a target, which is a fault.
    fn read(name: &Located<String>, mut section: Section<'_, '_>, names: &[String], reader: &Reader<'_>) -> Option<(Self, bool)> {
        let path = format!("[syncs.{}]", name.value);
        let described = section.shown().into_iter().map(|(key, value)| (key.value, reader.sourced(value, &key.span))).collect();
        for key in SCHEDULED {
            let why = "and this version runs no sync by itself; leave it out, and have cron run clevertap-sql sync run NAME";
            section.refuse(key, &format!("\"{key}\" is of scheduled runs, {why}"));
        }
        for (key, why) in NOT_OF_SYNCS {
            section.refuse(key, &format!("\"{key}\" is not of a sync: {why}"));
        }
        let query = read_query(&mut section, name, &path, reader);
        let into_at = section.key("into");
        let into = section.text("into");
        if into_at.is_none() {
            reader.faults.add(&name.span, format!("{path} has no into, such as \"clevertap.profiles\""));
        }
        if let Some(into) = into.as_ref().filter(|into| !is_table(&into.value)) {
            reader.refuse_in_working_folder(&into.span, &format!("into = \"{}\"", into.value), SENDS_ROWS);
        }
        let mode = section.parsed("mode", parse_mode);
        let key = section.texts("key");
        let on_removed = read_on_removed(&mut section, reader);
        let removed_max = section.value("max_removed").and_then(|max| {
            let parsed = RemovedMax::parse(&max.value);
            if parsed.is_none() {
                reader
                    .faults
                    .add(&max.span, format!("max_removed is \"{}\"; expected a number of rows, or a part such as \"5%\"", max.value));
            }
            parsed
        });
        let window = read_window(&mut section, reader);
        let after = section.texts("after").unwrap_or_default();
        let in_doubt = section
            .parsed("in_doubt", |text| InDoubt::parse(text).ok_or_else(|| format!("in_doubt is \"{text}\"; expected hold or resend")));
        let retry = section
            .parsed("retry", |text| Retry::parse(text).ok_or_else(|| format!("retry is \"{text}\"; expected changed, always or never")));
        let retry_max = section.number("retry_max");
        let source_age_max = section.parsed("source_age_max", |text| parse_duration("source_age_max", text));
        let description = section.text("description");
        let paused = section.flag("paused");
        let of_keys = ["in_doubt", "dry_run", "run_label"];
        let mut checked = Options::default();
        let values = section.values_of(OptionValue::names().into_iter().filter(|name| !of_keys.contains(&name.as_str())).collect());
        let options: Vec<OptionValue> =
            values.into_iter().filter_map(|(name, value)| OptionValue::check(&name, value, &mut checked, reader)).collect();
        section.finish();

        let mut after_is_there = true;
        for earlier in after.iter().filter(|earlier| !names.contains(&earlier.value)) {
            after_is_there = false;
            let hint = nearest(&earlier.value, names.iter().map(String::as_str)).map(|name| format!("; did you mean {name}?"));
            reader.faults.add(&earlier.span, format!("no sync has the name \"{}\"{}", earlier.value, hint.unwrap_or_default()));
        }
        let mut definition = Definition::new(&name.value, query?, into?.value);
        definition.mode = mode.map(|mode| mode.value);
        definition.key = key.unwrap_or_default().into_iter().map(|column| column.value).collect();
        definition.on_removed = on_removed.unwrap_or_default();
        definition.removed_max = removed_max.unwrap_or_default();
        definition.window = window;
        definition.after = after.into_iter().map(|earlier| earlier.value).collect();
        definition.options = options.into_iter().map(|option| (option.name, option.value.value)).collect();
        definition.in_doubt = in_doubt.map(|in_doubt| in_doubt.value).unwrap_or_default();
        definition.retry = retry.map(|retry| retry.value).unwrap_or_default();
        definition.retry_max = retry_max.map_or(definition.retry_max, |max| max.value);
        definition.source_age_max = source_age_max.map(|age| age.value);
        definition.description = description.map(|description| description.value);
        definition.paused = paused.is_some_and(|paused| paused.value);
        if let Err(error) = definition.check() {
            reader.faults.add(&name.span, error.to_string());
        }
        Some((Self { definition, at: reader.source(&name.span), described }, after_is_there))
    }
}

/// Syncs that wait for each other: the first such circle.
fn refuse_circles(syncs: &[(Range<usize>, ConfiguredSync)], reader: &Reader<'_>) {
    let definitions: Vec<Definition> = syncs.iter().map(|(_, sync)| sync.definition.clone()).collect();
    for (at, sync) in syncs {
        if let Err(error) = in_order(&definitions, std::slice::from_ref(&sync.definition.name)) {
            return reader.faults.add(at, error.to_string());
        }
    }
}

/// `query`, or what the file `query_file` has.
fn read_query(section: &mut Section<'_, '_>, name: &Located<String>, path: &str, reader: &Reader<'_>) -> Option<String> {
    let is_said = section.key("query").is_some() || section.key("query_file").is_some();
    match (section.text("query"), section.text("query_file")) {
        (Some(query), None) => Some(query.value),
        (None, Some(file)) => {
            let query = read_file(&reader.place(&file.value));
            query.map_err(|why| reader.faults.add(&file.span, format!("query_file {} {why}", file.value))).ok()
        }
        (Some(_), Some(file)) => {
            reader.faults.add(&file.span, "query and query_file are two places of one query; name one");
            None
        }
        (None, None) => {
            if !is_said {
                reader.faults.add(&name.span, format!("{path} has no query, and no query_file that has one"));
            }
            None
        }
    }
}

fn read_file(path: &str) -> Result<String, String> {
    let (_, bytes) = small_file::read(path.as_ref(), QUERY_BYTES_MAX).map_err(|why| match why {
        NotRead::Nothing => "is not there".to_owned(),
        NotRead::NoFile => "is not a file".to_owned(),
        NotRead::Failed(error) => format!("was not read: {error}"),
    })?;
    if bytes.len() as u64 > QUERY_BYTES_MAX {
        return Err("has more than 1 MiB, and is no query".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
    if text.is_empty() { Err("is empty; expected a SELECT".to_owned()) } else { Ok(text.to_owned()) }
}

/// Whether `into` is a table of a schema, by its spelling; else it may be a place.
fn is_table(into: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    match TableReference::parse_str(into) {
        TableReference::Bare { .. } => false,
        TableReference::Partial { schema, .. } => is_name(&schema),
        TableReference::Full { catalog, schema, .. } => is_name(&catalog) && is_name(&schema),
    }
}

fn read_on_removed(section: &mut Section<'_, '_>, reader: &Reader<'_>) -> Option<OnRemoved> {
    if section.is_section("on_removed") {
        let at = section.key("on_removed")?;
        let properties = section.section("on_removed")?.into_json();
        if properties.is_empty() {
            reader.faults.add(&at, "on_removed sets no property; expected { \"Plan\" = \"churned\" }");
        }
        return Some(OnRemoved::Set(properties.into_iter().map(|(name, value)| (name.value, value)).collect()));
    }
    let word = section.parsed("on_removed", |text| match text {
        "ignore" => Ok(OnRemoved::Ignore),
        "delete" => Ok(OnRemoved::Delete),
        _ => Err(format!("on_removed is \"{text}\"; expected ignore, delete, or properties that are set: {{ \"Plan\" = \"churned\" }}")),
    })?;
    if word.value == OnRemoved::Delete {
        reader.refuse_in_working_folder(&word.span, "on_removed = \"delete\"", "it permits to erase people");
    }
    Some(word.value)
}

fn read_window(section: &mut Section<'_, '_>, reader: &Reader<'_>) -> Option<Window> {
    let days = section.number("days");
    let cursor = section.text("cursor");
    let look_back = section.parsed("look_back", |text| parse_duration("look_back", text));
    if let Some(days) = days.as_ref().filter(|days| days.value == 0) {
        reader.faults.add(&days.span, "days is 0; expected 1 or more: today is one of them");
    }
    if let Some(look_back) = look_back.as_ref().filter(|_| cursor.is_none()) {
        reader.faults.add(&look_back.span, "look_back is of a cursor; say cursor = \"event_time\" beside it, or leave it out");
    }
    match (days, cursor) {
        (Some(_), Some(cursor)) => {
            reader.faults.add(&cursor.span, "days and cursor are two windows of one sync; name one");
            None
        }
        (Some(days), None) => Some(Window::Days(days.value)),
        (None, Some(cursor)) => {
            Some(Window::Cursor { column: cursor.value, look_back: look_back.map(|look_back| look_back.value).unwrap_or_default() })
        }
        (None, None) => None,
    }
}

fn parse_mode(text: &str) -> Result<Mode, String> {
    const MODES: [&str; 6] = ["upsert", "insert", "mirror", "full", "append", "replace"];
    Mode::parse(text).ok_or_else(|| {
        let hint = nearest(text, MODES).map(|mode| format!(". Did you mean {mode}?")).unwrap_or_default();
        format!("mode is \"{text}\"; expected one of {}{hint}", MODES.join(", "))
    })
}

/// `2d`, `36h`, `1h 30m`.
fn parse_duration(key: &str, text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("{key} is \"{text}\"; expected a time such as 2d, 36h or 90m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AccountFlags, Config, FILE_NAME, FoundFile, Origin};

    fn load(origin: Origin, text: &str) -> crate::failure::Result<Config> {
        let found = FoundFile { shown: FILE_NAME.into(), origin, folder: "/project".into(), text: text.into() };
        Config::of_file(Some(found), &AccountFlags::default(), &|_| None)
    }

    fn faults(origin: Origin, text: &str) -> String {
        load(origin, text).unwrap_err().to_string()
    }

    #[test]
    fn every_key_of_a_sync_reaches_its_definition() {
        let text = "[syncs.people]\nquery = 'SELECT id AS identity FROM users'\ninto = 'clevertap.profiles'\nmode = 'mirror'\nkey = 'identity'\n\
                    on_removed = { Plan = 'churned', Score = 1.5, Gone = true }\nmax_removed = '5%'\nsource_age_max = '36h'\n\
                    retry = 'always'\nretry_max = 3\nin_doubt = 'resend'\non_reject = 'stop'\nnulls = 'delete'\nfailed_max = 10\n\
                    description = 'who they are'\npaused = true\n\
                    [syncs.charged]\nquery = 'SELECT 1'\ninto = 'shop.public.charged'\nkey = ['a', 'b']\ncursor = 'event_time'\nlook_back = '2d'\n\
                    after = ['people']\nmax_removed = 500\n\
                    [syncs.week]\nquery = 'SELECT 1'\ninto = 'delta:s3://acme/week'\ndays = 7\n\
                    [syncs.leavers]\nquery = 'SELECT 1'\ninto = 'clevertap.profiles'\nmode = 'mirror'\non_removed = 'delete'\n";
        let config = load(Origin::Named, text).unwrap();
        let definitions: Vec<Definition> = config.syncs.into_iter().map(|sync| sync.definition).collect();
        let mut people = Definition::new("people", "SELECT id AS identity FROM users", "clevertap.profiles");
        people.mode = Some(Mode::Mirror);
        people.key = vec!["identity".into()];
        people.on_removed =
            OnRemoved::Set(vec![("Plan".into(), "churned".into()), ("Score".into(), 1.5.into()), ("Gone".into(), true.into())]);
        people.removed_max = RemovedMax::Percent(5.0);
        people.source_age_max = Some(Duration::from_secs(36 * 3600));
        (people.retry, people.retry_max, people.in_doubt) = (Retry::Always, 3, InDoubt::Resend);
        people.options = [("on_reject", "stop"), ("nulls", "delete"), ("failed_max", "10")].map(|(k, v)| (k.into(), v.into())).to_vec();
        people.description = Some("who they are".into());
        people.paused = true;
        let mut charged = Definition::new("charged", "SELECT 1", "shop.public.charged");
        charged.key = vec!["a".into(), "b".into()];
        charged.window = Some(Window::Cursor { column: "event_time".into(), look_back: Duration::from_secs(2 * 86_400) });
        charged.after = vec!["people".into()];
        charged.removed_max = RemovedMax::Rows(500);
        let mut week = Definition::new("week", "SELECT 1", "delta:s3://acme/week");
        week.window = Some(Window::Days(7));
        let mut leavers = Definition::new("leavers", "SELECT 1", "clevertap.profiles");
        (leavers.mode, leavers.on_removed) = (Some(Mode::Mirror), OnRemoved::Delete);
        assert_eq!(definitions, [people, charged, week, leavers]);
    }

    #[test]
    fn every_fault_of_a_sync_has_its_place_and_a_remedy() {
        let text = "[syncs.a]\nquerry = 'SELECT 1'\ninto = 'clevertap.profiles'\n\
                    [syncs.b]\nquery = 'SELECT 1'\nquery_file = 'x.sql'\nmode = 'miror'\nnull = 'delete'\nnulls = 'x'\n\
                    [syncs.c]\nquery = 'SELECT 1'\ninto = 'clevertap.profiles'\nschedule = '@daily'\ndry_run = 'local'\non_removed = 'drop'\n\
                    max_removed = 'many'\nretry_max = '3'\nlook_back = '2d'\nsource_age_max = 'long'\nafter = ['B']\nretry = 1\n\
                    [syncs.'d e']\nquery_file = 'nowhere.sql'\ninto = 'clevertap.profiles'\n\
                    [syncs.'f g']\nquery = 'SELECT 1'\ninto = 'clevertap.profiles'\ndays = 0\ncursor = 'x'\non_removed = {}\n";
        let expected = [
            "1:8: [syncs.a] has no query, and no query_file that has one",
            "2:1: \"querry\" is no key of [syncs.a]; did you mean query?",
            "4:8: [syncs.b] has no into, such as \"clevertap.profiles\"",
            "6:14: query and query_file are two places of one query; name one",
            "7:8: mode is \"miror\"; expected one of upsert, insert, mirror, full, append, replace. Did you mean mirror?",
            "8:1: \"null\" is no key of [syncs.b]; did you mean nulls?",
            "9:9: option \"clevertap.nulls\"",
            "13:1: \"schedule\" is of scheduled runs, and this version runs no sync by itself; leave it out, and have cron run",
            "14:1: \"dry_run\" is not of a sync: clevertap-sql sync run NAME --dry-run tries a sync out",
            "15:14: on_removed is \"drop\"; expected ignore, delete, or properties that are set: { \"Plan\" = \"churned\" }",
            "16:15: max_removed is \"many\"; expected a number of rows, or a part such as \"5%\"",
            "17:13: \"retry_max\" is no whole number of 0 or more; expected one, without quotes",
            "18:13: look_back is of a cursor; say cursor = \"event_time\" beside it, or leave it out",
            "19:18: source_age_max is \"long\"; expected a time such as 2d, 36h or 90m",
            "20:10: no sync has the name \"B\"; did you mean b?",
            "21:9: \"retry\" is a number; expected a text in quotes",
            "23:14: query_file nowhere.sql is not there",
            "25:8: sync \"f g\": its name has letters, digits, _ and - alone",
            "28:8: days is 0; expected 1 or more: today is one of them",
            "29:10: days and cursor are two windows of one sync; name one",
            "30:1: on_removed sets no property; expected { \"Plan\" = \"churned\" }",
        ];
        let found = faults(Origin::Named, text);
        let lines: Vec<&str> = found.lines().collect();
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("clevertap.toml:{expected}")), "{line}\n{expected}");
        }
        assert_eq!(lines.len(), expected.len(), "{found}");
    }

    #[test]
    fn syncs_that_wait_for_each_other_are_refused_once() {
        let sync =
            |name: &str, after: &str| format!("[syncs.{name}]\nquery = 'SELECT 1'\ninto = 'clevertap.profiles'\nafter = '{after}'\n");
        let found = faults(Origin::Named, &(sync("a", "b") + &sync("b", "a")));
        assert!(found.starts_with("clevertap.toml:1:8: syncs wait for each other: a -> b -> a") && found.lines().count() == 1, "{found}");
    }

    #[test]
    fn a_query_file_stands_beside_the_file_and_is_read_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("people.sql"), "\u{feff}SELECT 1 AS identity;\n").unwrap();
        let text = "[syncs.people]\nquery_file = 'people.sql'\ninto = 'clevertap.profiles'\n".to_owned();
        let found = FoundFile { shown: FILE_NAME.into(), origin: Origin::Named, folder: folder.path().into(), text };
        let config = Config::of_file(Some(found), &AccountFlags::default(), &|_| None).unwrap();
        assert_eq!(config.syncs[0].definition.query, "SELECT 1 AS identity;");
    }

    #[test]
    fn the_working_folders_file_may_define_syncs_but_none_that_sends_rows_elsewhere_or_erases() {
        let sync = |rest: &str| format!("[syncs.a]\nquery = 'SELECT 1'\n{rest}\n");
        let into = |into: &str| sync(&format!("into = '{into}'"));
        for table in ["clevertap.profiles", "clevertap_events.\"Any/thing: new\"", "shop.public.charged"] {
            load(Origin::WorkingFolder, &into(table)).unwrap_or_else(|refused| panic!("{table}: {refused}"));
        }
        for place in ["delta:s3://acme/x", "parquet:exports/", "s3://acme/x/", "exports/x.parquet", "''x.parquet''", "x", "delta:x.y"] {
            let text = into(&place.replace("''", "\""));
            let found = faults(Origin::WorkingFolder, &text);
            assert!(found.starts_with("clevertap.toml:3:8: into = ") && found.contains(SENDS_ROWS), "{place}: {found}");
            load(Origin::Named, &text).unwrap();
        }
        for (rest, why) in [
            ("on_removed = 'delete'", "4:14: on_removed = \"delete\" is not taken"),
            ("failed_rows_to = 's3://x/'", "4:1: failed_rows_to is not taken"),
            ("delete_rows_max = 9", "4:1: delete_rows_max is not taken"),
        ] {
            let text = sync(&format!("into = 'clevertap.profiles'\n{rest}"));
            let found = faults(Origin::WorkingFolder, &text);
            assert!(found.starts_with(&format!("clevertap.toml:{why}")), "{found}");
            load(Origin::User, &text).unwrap();
        }
    }
}
