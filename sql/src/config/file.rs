//! What `clevertap.toml` says: one struct a section.
//!
//! In: the text of the file that was found. Out: [`FileConfig`], or all faults at once, each with line and column.
//!
//! A section that is added is a struct that reads itself from a [`Section`], and a field here. A file of the working folder may have come with a
//! repository: what would send a passcode or rows to a place of its choice, name a secret of its choice or permit to erase is refused there,
//! and taken from a file that the user names or keeps.

use std::collections::HashMap;

use chrono_tz::Tz;

#[cfg(feature = "syncs")]
use super::syncs::ConfiguredSync;
use super::{
    databases::DatabaseSection,
    found::FoundFile,
    options::OptionValue,
    passcode::PasscodePlace,
    reader::{Reader, SENDS_ROWS},
    section::{Faults, Located, Section, parse},
    value::{Source, Sourced, parse_access, parse_name, parse_region, parse_time_zone, parse_variable, with_scheme},
};
use crate::failure::Result;
use datafusion_clevertap::{Access, Region};

/// Sections of other builds.
const OTHERS: &[&str] = if cfg!(feature = "syncs") { &["serve", "cluster"] } else { &["syncs", "serve", "cluster"] };
/// How the names of variables begin that the file of the working folder may name.
pub(crate) const VARIABLES: &str = "CLEVERTAP_PASSCODE";

/// The whole file.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileConfig {
    /// What is to be remembered between runs: a path or a URL.
    pub(crate) state: Option<Sourced<String>>,
    /// `[accounts.NAME]`, in the order of the file.
    pub(super) accounts: Vec<AccountSection>,
    /// `[databases.NAME]`, in the order of the file.
    pub(super) databases: Vec<DatabaseSection>,
    /// `[files]`, in the order of the file.
    pub(crate) files: Vec<NamedPlace>,
    /// `[options]`, in the order of the file.
    pub(crate) options: Vec<OptionValue>,
    /// `[syncs.NAME]`, in the order of the file.
    #[cfg(feature = "syncs")]
    pub(crate) syncs: Vec<ConfiguredSync>,
}

/// `[accounts.NAME]`.
#[derive(Debug, Clone)]
pub(super) struct AccountSection {
    pub(super) name: String,
    /// Where its name stands.
    pub(super) at: Source,
    pub(super) id: Sourced<String>,
    pub(super) region: Option<Sourced<Region>>,
    pub(super) endpoint: Option<Sourced<String>>,
    pub(super) time_zone: Option<Sourced<Tz>>,
    pub(super) passcode: Option<Sourced<PasscodePlace>>,
    pub(super) access: Option<Sourced<Access>>,
}

/// An entry of `[files]`: a view, and the files that it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPlace {
    pub(crate) name: String,
    /// An absolute path or a URL, of a file, a folder, or with `*`.
    pub(crate) place: Sourced<String>,
}

impl FileConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Failure::Usage`](crate::failure::Failure::Usage) with a line for each fault.
    pub(crate) fn read(file: &FoundFile) -> Result<Self> {
        let faults = Faults::new(&file.shown, &file.text);
        let table = parse(&file.text, &faults)?;
        let reader = Reader::new(file, &faults);
        let config = Self::read_sections(Section::new(String::new(), &table, &faults), &reader);
        faults.none_or_all()?;
        Ok(config)
    }

    fn read_sections(mut file: Section<'_, '_>, reader: &Reader<'_>) -> Self {
        if let Some(span) = file.key("state") {
            reader.refuse_in_working_folder(&span, "state", SENDS_ROWS);
        }
        let config = Self {
            state: file.text("state").map(|state| reader.sourced(reader.place(&state.value), &state.span)),
            accounts: file.section("accounts").map(|section| AccountSection::read_all(section, reader)).unwrap_or_default(),
            databases: file.section("databases").map(|section| DatabaseSection::read_all(section, reader)).unwrap_or_default(),
            files: file.section("files").map(|section| NamedPlace::read_all(section, reader)).unwrap_or_default(),
            options: file.section("options").map(|section| OptionValue::read_all(section, reader)).unwrap_or_default(),
            #[cfg(feature = "syncs")]
            syncs: file.section("syncs").map(|section| ConfiguredSync::read_all(section, reader)).unwrap_or_default(),
        };
        for section in OTHERS {
            file.refuse(section, &format!("[{section}] is a section that this build of clevertap-sql does not know"));
        }
        file.finish();
        config
    }

    /// The account of this name.
    pub(super) fn account(&self, name: &str) -> Option<&AccountSection> {
        self.accounts.iter().find(|account| account.name == name)
    }
}

impl AccountSection {
    fn read_all(section: Section<'_, '_>, reader: &Reader<'_>) -> Vec<Self> {
        let sections = section.into_sections();
        let are_several = sections.len() > 1;
        let names: Vec<String> = sections.iter().map(|(name, _)| name.value.clone()).collect();
        let mut variables: HashMap<String, (String, String)> = HashMap::new();
        let mut accounts = Vec::new();
        for (name, section) in sections {
            if let Err(why) = parse_name(&name.value) {
                reader.faults.add(&name.span, why);
            }
            if let Some(other) = names.iter().find(|other| format!("{other}_events") == name.value) {
                reader
                    .faults
                    .add(&name.span, format!("\"{}\" is the schema of the events of [accounts.{other}]; choose another name", name.value));
            }
            let Some(account) = Self::read(&name, section, reader) else { continue };
            match &account.passcode {
                Some(Sourced { value: PasscodePlace::Variable(variable), .. }) => {
                    let (of, id) = variables.entry(variable.clone()).or_insert_with(|| (account.name.clone(), account.id.value.clone()));
                    if *id != account.id.value {
                        reader.faults.add(
                            &name.span,
                            format!(
                                "[accounts.{}] names {variable} as [accounts.{of}] does, and they are two accounts; a passcode is of one",
                                name.value
                            ),
                        );
                    }
                }
                None if are_several => {
                    reader
                        .faults
                        .add(&name.span, format!("[accounts.{}] is one of several, and says passcode_env or passcode_file", name.value));
                }
                _ => {}
            }
            accounts.push(account);
        }
        accounts
    }

    /// `None` without an id, which is a fault.
    fn read(name: &Located<String>, mut section: Section<'_, '_>, reader: &Reader<'_>) -> Option<Self> {
        for (key, why) in
            [("endpoint", "it is sent the passcode"), ("passcode_file", "it could name any file of yours, which would be sent")]
        {
            if let Some(span) = section.key(key) {
                reader.refuse_in_working_folder(&span, key, why);
            }
        }
        if section.key("account_id").is_none() {
            reader.faults.add(&name.span, format!("[accounts.{}] has no account_id (dashboard, Settings > Project)", name.value));
        }
        let id = section.text("account_id");
        let region = section.parsed("region", parse_region);
        let endpoint = section.text("endpoint");
        let time_zone = section.parsed("time_zone", parse_time_zone);
        let in_variable = section.parsed("passcode_env", parse_variable);
        let in_file = section.text("passcode_file");
        let access = section.parsed("access", parse_access);
        section.finish();

        if let Some(variable) = in_variable.as_ref().filter(|variable| !variable.value.starts_with(VARIABLES)) {
            let what = format!("passcode_env = \"{}\"", variable.value);
            reader.refuse_in_working_folder(&variable.span, &what, &format!("it could name any secret, unless it begins with {VARIABLES}"));
        }
        if let Some(access) = access.as_ref().filter(|access| access.value == Access::Erase) {
            reader.refuse_in_working_folder(&access.span, "access = \"erase\"", "it permits to erase people");
        }
        let passcode = reader.secret("passcode", in_variable, in_file);
        Some(Self {
            name: name.value.clone(),
            at: reader.source(&name.span),
            id: reader.located(id?),
            region: region.map(|region| reader.located(region)),
            endpoint: endpoint.map(|endpoint| reader.sourced(with_scheme(endpoint.value), &endpoint.span)),
            time_zone: time_zone.map(|zone| reader.located(zone)),
            passcode,
            access: access.map(|access| reader.located(access)),
        })
    }
}

impl NamedPlace {
    fn read_all(section: Section<'_, '_>, reader: &Reader<'_>) -> Vec<Self> {
        let mut files = Vec::new();
        for (name, place) in section.into_texts() {
            if let Err(why) = parse_name(&name.value) {
                reader.faults.add(&name.span, why);
            }
            if place.value.is_empty() {
                reader.faults.add(&place.span, format!("\"{}\" is empty; expected a path, a folder or a URL of files", name.value));
            }
            files.push(Self { name: name.value, place: reader.sourced(reader.place(&place.value), &place.span) });
        }
        files
    }
}
