//! `clevertap-sql config`: what is in force, and where each value came from.
//!
//! In: the configuration as it was loaded. Out: its values in the sections of the file, each with its place, or one JSON object a line. A
//! passcode is `set` or `not set`.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};

use crate::{
    config::{Config, ConfiguredDatabase, Described, Origin, Source, shown},
    failure::{Completion, Result},
    terminal::{console::Console, output::Output},
};
use datafusion_clevertap::redact::without_secrets;

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFlags {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A value that is in force.
struct Row {
    /// `accounts.shop`; empty for what stands in front of all sections.
    section: String,
    key: String,
    value: String,
    /// `--region`, `CLEVERTAP_REGION`, `clevertap.toml:4`, `default`.
    from: String,
}

impl Row {
    fn new(section: &str, key: &str, value: impl AsRef<str>, from: impl AsRef<str>) -> Self {
        let value = without_secrets(value.as_ref()).into_owned();
        Self { section: section.to_owned(), key: key.to_owned(), value, from: from.as_ref().to_owned() }
    }
}

/// Prints what is in force; on stderr, why accounts are not open.
///
/// # Errors
/// Those of stdout.
pub(crate) fn config(
    flags: &ConfigFlags,
    config: &Config,
    variable: impl Fn(&str) -> Option<String>,
    output: &mut Output,
    console: &mut Console,
) -> Result<Completion> {
    let rows = rows(config, &variable);
    if flags.json {
        print_json(&rows, output)?
    } else {
        print(&rows, config, output)?
    }
    let databases = config.databases.iter().filter_map(|database| database.opened.as_ref().err());
    for why in config.accounts.closed.iter().map(|closed| &closed.why).chain(databases) {
        console.say(why);
    }
    if config.described.default.is_none() && config.described.accounts.len() > 1 {
        console.say("check, person, erase and resend are about one account: --account NAME says which");
    }
    Ok(Completion::Done)
}

/// As the file has it. The name of the file stands above, and not at every line.
fn print(rows: &[Row], config: &Config, output: &mut Output) -> Result<()> {
    let width = |text: fn(&Row) -> &String| rows.iter().map(|row| text(row).chars().count()).max().unwrap_or_default();
    let (keys, values) = (width(|row| &row.key), width(|row| &row.value).min(40));
    let mut section = "";
    for row in rows {
        if row.section != section {
            section = &row.section;
            output.say(format_args!("\n[{section}]"))?;
        }
        let from = match config.file.as_ref().and_then(|file| Some((file, Path::new(&file.shown).file_name()?.to_str()?))) {
            Some((file, name)) => row.from.replace(&format!("{}:", file.shown), &format!("{name}:")),
            None => row.from.clone(),
        };
        output.say(format_args!("{:keys$}  {:values$}  {from}", row.key, row.value))?;
    }
    if !rows.iter().any(|row| row.section == OPTIONS) {
        output.say(format_args!("\n[{OPTIONS}]"))?;
    }
    output.say(format_args!("all others have their defaults (sql/README.md, Options)"))
}

fn print_json(rows: &[Row], output: &mut Output) -> Result<()> {
    let schema = Schema::new(["key", "value", "from"].map(|name| Field::new(name, DataType::Utf8, false)).to_vec());
    let key = |row: &Row| if row.section.is_empty() { row.key.clone() } else { format!("{}.{}", row.section, row.key) };
    let column = |text: &dyn Fn(&Row) -> String| Arc::new(StringArray::from_iter_values(rows.iter().map(text))) as ArrayRef;
    let columns = vec![column(&key), column(&|row| row.value.clone()), column(&|row| row.from.clone())];
    let batch = RecordBatch::try_new(Arc::new(schema), columns)?;
    let mut result = output.begin(batch.schema())?;
    result.write(batch)?;
    result.finish()
}

const OPTIONS: &str = "options";

fn rows(config: &Config, variable: &dyn Fn(&str) -> Option<String>) -> Vec<Row> {
    let mut rows = vec![match &config.file {
        Some(file) => Row::new("", "file", &file.shown, found_by(file.origin)),
        None => Row::new("", "file", "none", "clevertap-sql init writes one"),
    }];
    if let Some(state) = &config.state {
        rows.push(Row::new("", "state", shown(state.value.as_ref(), variable), state.from.to_string()));
    }
    if let Some(default) = &config.described.default {
        rows.push(Row::new("", "account", &default.value, default.from.to_string()));
    }
    rows.push(match config.described.time_zone() {
        Some(zone) => Row::new("", "session time zone", zone.value.name(), zone.from.to_string()),
        None => Row::new("", "session time zone", "UTC", Source::Default.to_string()),
    });
    config.described.accounts.iter().for_each(|account| of_account(account, config, variable, &mut rows));
    config.databases.iter().for_each(|database| of_database(database, config, variable, &mut rows));
    let of_files = config.files.iter().map(|files| ("files", &files.name, shown(files.place.value.as_ref(), variable), &files.place.from));
    let of_options = config.options.iter().map(|option| (OPTIONS, &option.name, option.value.value.clone(), &option.value.from));
    rows.extend(of_files.chain(of_options).map(|(section, name, value, from)| Row::new(section, name, value, from.to_string())));
    #[cfg(feature = "syncs")]
    config.syncs.iter().for_each(|sync| of_sync(sync, &mut rows));
    rows
}

/// What the file says of a sync; of a query that has many words, the first of them.
#[cfg(feature = "syncs")]
fn of_sync(sync: &crate::config::ConfiguredSync, rows: &mut Vec<Row>) {
    const CHARS_MAX: usize = 60;
    let section = format!("syncs.{}", sync.definition.name);
    for (key, value) in &sync.described {
        let line = value.value.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = line.chars().take(CHARS_MAX).collect();
        let more = if shown.len() < line.len() { "…" } else { "" };
        rows.push(Row::new(&section, key, shown + more, value.from.to_string()));
    }
}

fn found_by(origin: Origin) -> &'static str {
    match origin {
        Origin::Named => "--config",
        Origin::WorkingFolder => "the working folder's",
        Origin::User => "your own",
    }
}

fn of_account(account: &Described, config: &Config, variable: &dyn Fn(&str) -> Option<String>, rows: &mut Vec<Row>) {
    let section = format!("accounts.{}", account.name);
    let mut push = |key, value: &str, from: String| rows.push(Row::new(&section, key, value, from));
    push("account_id", &account.id.value, account.id.from.to_string());
    if let Some(region) = account.region.as_ref().filter(|_| account.endpoint.is_none()) {
        push("region", region.value.name(), region.from.to_string());
    }
    if let Some(endpoint) = &account.endpoint {
        push("endpoint", &endpoint.value, endpoint.from.to_string());
    }
    if let Some(zone) = &account.time_zone {
        push("time_zone", zone.value.name(), zone.from.to_string());
    }
    let is_set = if config.accounts.has_passcode(&account.name) { "set" } else { "not set" };
    let from = match &account.passcode {
        Err(_) => "none is meant for this account".to_owned(),
        Ok(place) => match &place.from {
            Source::Variable(name) => (*name).to_owned(),
            from => format!("{}, {from}", shown_place(&place.value.to_string(), config, variable)),
        },
    };
    push("passcode", is_set, from);
    push("access", &account.access.value.to_string(), account.access.from.to_string());
}

/// Where a secret is: the name of a variable, or a file as it stands beside the configuration.
fn shown_place(place: &str, config: &Config, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let beside = config.file.as_ref().and_then(|file| Path::new(place).strip_prefix(&file.folder).ok());
    beside.map_or_else(|| shown(place.as_ref(), variable), |path| path.display().to_string())
}

fn of_database(database: &ConfiguredDatabase, config: &Config, variable: &dyn Fn(&str) -> Option<String>, rows: &mut Vec<Row>) {
    let section = format!("databases.{}", database.name);
    let described = &database.described;
    let mut push = |key: &str, value: &str, from: String| rows.push(Row::new(&section, key, value, from));
    let is_set = if database.opened.is_ok() { "set" } else { "not set" };
    push(described.key, &described.place.value, described.place.from.to_string());
    for (key, value) in &described.options {
        push(key, &value.value, value.from.to_string());
    }
    for (key, variable) in &described.secret_options {
        push(key, is_set, format!("{}, {}", variable.value, variable.from));
    }
    if let Some(place) = &described.password {
        push("password", is_set, format!("{}, {}", shown_place(&place.value.to_string(), config, variable), place.from));
    }
    let access = if described.access.value == clevertap_databases::Access::Write { "write" } else { "read" };
    push("access", access, described.access.from.to_string());
    if let Some(create) = &described.create {
        push("create", if create.value { "true" } else { "false" }, create.from.to_string());
    }
    if let Some(staging) = &described.staging {
        push("staging", &staging.value, staging.from.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{AccountFlags, FoundFile},
        files::atomic_file::FileAccess,
        terminal::format::Format,
        world::Stderr,
    };

    /// What is printed, and what is said on stderr.
    fn shown(text: &str, flags: &AccountFlags, format: Format) -> (String, String) {
        let variables = [("SHOP", "hush-1"), ("HOME", "/home/ada"), ("CLEVERTAP_TIME_ZONE", "UTC")];
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let file =
            FoundFile { shown: "/project/clevertap.toml".into(), origin: Origin::Named, folder: "/project".into(), text: text.into() };
        let loaded = Config::of_file(Some(file), flags, &variable).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("out");
        let mut output = Output::open(Some(format), Some(&to), FileAccess::Default).unwrap();
        let stderr = Stderr::default();
        let json = ConfigFlags { json: format == Format::Ndjson };
        config(&json, &loaded, variable, &mut output, &mut stderr.console()).unwrap();
        output.close(false).unwrap();
        (read(&to), stderr.text())
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    const FILE: &str = "[accounts.shop]\naccount_id = 'S-1'\nregion = 'in1'\npasscode_env = 'SHOP'\n\
                        [accounts.lab]\naccount_id = 'L-1'\nendpoint = 'https://lab.example'\npasscode_file = '/home/ada/lab'\naccess = 'read'\n\
                        [databases.crm]\nurl = 'postgres://reader@db.example/crm'\npassword_env = 'SHOP'\n\
                        [files]\nusers = 'https://ada:hush-2@h/x.csv?X-Amz-Signature=hush-3'\n[options]\nnulls = 'delete'\n";

    #[test]
    fn the_page_shows_what_is_printed_for_its_example() {
        let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
        let block = |begin: &str| page.split(begin).nth(1).and_then(|rest| rest.split("```").next()).unwrap().to_owned();
        let (example, expected) = (block("```toml\n"), block("```text\n$ clevertap-sql --account shop config\n"));
        let variable = |name: &str| match name {
            "HOME" => Some("/home/ada".to_owned()),
            "SHOP_PASSCODE" => Some("hush".to_owned()),
            _ => None,
        };
        let shown = "~/.config/clevertap-sql/clevertap.toml".to_owned();
        let file = FoundFile { shown, origin: Origin::User, folder: "/home/ada/.config/clevertap-sql".into(), text: example };
        let flags = AccountFlags { account: Some("shop".into()), ..AccountFlags::default() };
        let loaded = Config::of_file(Some(file), &flags, &variable).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("out");
        let mut output = Output::open(Some(Format::Table), Some(&to), FileAccess::Default).unwrap();
        config(&ConfigFlags { json: false }, &loaded, variable, &mut output, &mut Stderr::default().console()).unwrap();
        output.close(false).unwrap();
        let printed = read(&to);
        assert!(printed.starts_with(expected.trim_end().trim_end_matches('…')), "{printed}");
    }

    #[test]
    fn each_value_is_shown_with_its_place_and_no_secret() {
        let flags = AccountFlags { account: Some("shop".into()), region: Some("sg1".into()), read_only: true, ..AccountFlags::default() };
        let (printed, said) = shown(FILE, &flags, Format::Table);
        let expected = "
file               /project/clevertap.toml              --config
state              ~/.local/share/clevertap-sql         default
account            shop                                 --account
session time zone  UTC                                  CLEVERTAP_TIME_ZONE

[accounts.shop]
account_id         S-1                                  clevertap.toml:2
region             sg1                                  --region
time_zone          UTC                                  CLEVERTAP_TIME_ZONE
passcode           set                                  SHOP, clevertap.toml:4
access             read                                 --read-only

[accounts.lab]
account_id         L-1                                  clevertap.toml:6
endpoint           https://lab.example                  clevertap.toml:7
passcode           not set                              ~/lab, clevertap.toml:8
access             read                                 --read-only

[databases.crm]
url                postgres://…@db.example/crm          clevertap.toml:11
password           set                                  SHOP, clevertap.toml:12
access             read                                 --read-only

[files]
users              https://…@h/x.csv?X-Amz-Signature=…  clevertap.toml:14

[options]
nulls              delete                               clevertap.toml:16
all others have their defaults (sql/README.md, Options)
";
        assert_eq!(printed, expected.trim_start());
        assert!(
            said.starts_with("account lab (/project/clevertap.toml:5) is not open: its passcode_file /home/ada/lab is not there\n"),
            "{said}"
        );
        let (json, _) = shown(FILE, &flags, Format::Ndjson);
        assert!(json.contains(r#"{"key":"accounts.shop.passcode","value":"set","from":"SHOP, /project/clevertap.toml:4"}"#), "{json}");
        assert!(!format!("{printed}{said}{json}").contains("hush"));
    }

    #[cfg(feature = "syncs")]
    #[test]
    fn a_sync_is_shown_key_by_key_and_its_query_begins_a_line() {
        let text = "[syncs.people]\nquery = \"\"\"\nSELECT id AS identity,\n  plan AS \\\"Plan\\\"\nFROM users WHERE plan IS NOT NULL\"\"\"\n\
                    into = 'clevertap.profiles'\nmode = 'mirror'\non_removed = { Plan = 'churned' }\nafter = ['first']\n\
                    [syncs.first]\nquery = 'SELECT 1'\ninto = 'clevertap.profiles'\n";
        let (printed, _) = shown(text, &AccountFlags::default(), Format::Table);
        let begin = "[syncs.people]\nquery              SELECT id AS identity, plan AS \"Plan\" FROM users WHERE plan …  clevertap.toml:2\ninto               clevertap.profiles";
        assert!(printed.contains(begin) && printed.contains("on_removed         Plan = churned"), "{printed}");
    }
}
