//! `[options]`: what `SET clevertap.<name>` would set, before the first statement.
//!
//! In: the section. Out: names and values that SET takes, each checked where it stands.

use super::{
    reader::{Reader, SENDS_ROWS},
    section::{Located, Section},
    value::Sourced,
};
use crate::nearest::nearest;
use datafusion_clevertap::{Error, Options};

/// The option that names a place, which may be relative to the file.
const PLACE: &str = "failed_rows_to";
/// The options that the file of the working folder may not set, and why.
const NOT_FROM_WORKING_FOLDER: [(&str, &str); 4] = [
    (PLACE, SENDS_ROWS),
    ("list_email", "CleverTap mails there what became of a list"),
    ("list_creator", "it speaks in somebody's name"),
    ("delete_rows_max", "it moves a bound of what a statement erases"),
];

/// One option of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptionValue {
    /// `on_reject`.
    pub(crate) name: String,
    pub(crate) value: Sourced<String>,
}

impl OptionValue {
    pub(super) fn read_all(section: Section<'_, '_>, reader: &Reader<'_>) -> Vec<Self> {
        let names = Self::names();
        let mut checked = Options::default();
        let mut options = Vec::new();
        for (name, value) in section.into_texts() {
            if !names.contains(&name.value) {
                let hint = match nearest(&name.value, names.iter().map(String::as_str)) {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => "SHOW ALL lists them, as clevertap.…".to_owned(),
                };
                reader.faults.add(&name.span, format!("\"{}\" is no option; {hint}", name.value));
                continue;
            }
            options.extend(Self::check(&name, value, &mut checked, reader));
        }
        options
    }

    /// The names of all options, without `clevertap.`.
    pub(super) fn names() -> Vec<String> {
        let settings = Options::default().settings();
        settings.iter().map(|setting| setting.name.trim_start_matches("clevertap.").to_owned()).collect()
    }

    /// One that is known by its name; `None` for a value that SET does not take, which is a fault.
    pub(super) fn check(name: &Located<String>, value: Located<String>, checked: &mut Options, reader: &Reader<'_>) -> Option<Self> {
        if let Some((_, why)) = NOT_FROM_WORKING_FOLDER.iter().find(|(refused, _)| *refused == name.value) {
            reader.refuse_in_working_folder(&name.span, &name.value, why);
        }
        let mut text = value.value;
        if name.value == PLACE && !text.is_empty() {
            text = reader.place(&text);
        }
        match checked.set_text(&name.value, &text) {
            Ok(()) => return Some(Self { name: name.value.clone(), value: reader.sourced(text, &value.span) }),
            Err(Error::Setting(why)) => reader.faults.add(&value.span, why),
            Err(other) => reader.faults.add(&value.span, other.to_string()),
        }
        None
    }
}
