//! Every `SET clevertap.<name>`, once: name, default, sentence, and how its text becomes a value.
//!
//! In: the text of SET. Out: [`Options`], copied into a plan node when it is planned, so that a later SET changes nothing
//! that runs. Hand-written instead of by DataFusion's macro, which drops the prefix in SHOW. No option holds a secret.

use std::any::Any;
use std::fmt::Display;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::error::DataFusionError;

use crate::error::Error;
use crate::storage;

/// The options of a session, under `clevertap.` in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// What a rejected row does to its statement.
    pub on_reject: OnReject,
    /// With [`OnReject::Skip`]: more rejected and in-doubt rows than this stop the statement. `None`: no bound.
    pub failed_max: Option<u64>,
    /// What happens to an append whose answer was lost.
    pub in_doubt: InDoubt,
    /// A folder or bucket URL that gets every row that was not accepted, as Parquet.
    pub failed_rows_to: Option<String>,
    /// Rows that `clevertap.failed_rows` keeps.
    pub failed_rows_max: usize,
    /// Whether a write is only tried.
    pub dry_run: DryRun,
    /// What happens to what CleverTap's schema does not have, or has otherwise.
    pub schema_check: SchemaCheck,
    /// What a NULL in a property means.
    pub nulls: Nulls,
    /// Whether structs and maps are sent as objects instead of JSON text.
    pub nested: bool,
    /// What a timestamp without time zone means.
    pub naive_time: NaiveTime,
    /// What happens to a text over CleverTap's limit of 512 bytes.
    pub long_values: LongValues,
    /// What happens to an identifier that is a mark for no value, such as `NULL` and `\N`.
    pub null_marks: NullMarks,
    /// Whether people may be read without a key and without an event: a sweep over all events.
    pub full_scan: bool,
    /// Whether exports are compared with what CleverTap counts.
    pub verify_counts: bool,
    /// What happens to a value that is not of its column's type.
    pub type_mismatch: TypeMismatch,
    /// Which types the program `clevertap-sql` gives the columns of CSV files. The connector reads no files.
    pub csv_types: CsvTypes,
    /// Keys that one query may look up.
    pub lookups_max: usize,
    /// Rows that one statement may erase.
    pub delete_rows_max: u64,
    /// What an INSERT of a custom list does where a list of its name is there, or is not.
    pub list_mode: ListMode,
    /// The admin to whom CleverTap mails what became of a custom list.
    pub list_email: Option<String>,
    /// Whom CleverTap shows as the creator of a custom list; `None`: [`Options::list_email`].
    pub list_creator: Option<String>,
    /// With [`ListMode::Replace`]: whether the list is there is not asked first.
    pub list_assume_exists: bool,
    /// Uploads in flight that a statement of this session may have; never above the documented 15.
    pub upload_concurrency: usize,
    /// Requests in flight of any other call; never above the documented 3.
    pub read_concurrency: usize,
    /// Records in a body.
    pub body_rows_max: usize,
    /// Bytes in a body.
    pub body_bytes_max: usize,
    /// Milliseconds that one attempt may take.
    pub timeout_ms: u64,
    /// Milliseconds for which a request is tried.
    pub retry_for_ms: u64,
    /// Copied to `clevertap.runs`.
    pub run_label: String,
}

/// Declares an option whose value is one of a few words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }

        impl Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
        }
    };
}

/// A value that is one of a few words.
trait Word: Sized + Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

words! {
    /// `SET clevertap.on_reject`.
    OnReject {
        /// The first rejected row stops the statement.
        Stop = "stop",
        /// Rejected rows are kept as evidence and the statement goes on.
        Skip = "skip",
    }
}
words! {
    /// `SET clevertap.in_doubt`.
    InDoubt {
        /// It is not sent again.
        Hold = "hold",
        /// It is sent again, and may be stored twice.
        Resend = "resend",
    }
}
words! {
    /// `SET clevertap.csv_types`.
    CsvTypes {
        /// A column has the type of all its cells, if they come back from it as the same text.
        Exact = "exact",
        /// Every column is text.
        Text = "text",
    }
}
words! {
    /// `SET clevertap.dry_run`.
    DryRun {
        /// Rows are written.
        Off = "off",
        /// Rows are encoded and checked here.
        Local = "local",
        /// Rows are also checked by CleverTap (`dryRun=1`).
        Server = "server",
    }
}
words! {
    /// `SET clevertap.schema_check`.
    SchemaCheck {
        /// It is not looked at.
        Off = "off",
        /// It is a warning.
        Warn = "warn",
        /// It stops the statement before it is sent.
        Error = "error",
    }
}
words! {
    /// `SET clevertap.nulls`.
    Nulls {
        /// The property is left out, and so keeps its value.
        Omit = "omit",
        /// The property is deleted.
        Delete = "delete",
    }
}
words! {
    /// `SET clevertap.type_mismatch`.
    TypeMismatch {
        /// It reads as NULL, and is counted in `clevertap.warnings`.
        Null = "null",
        /// The query ends in an error.
        Error = "error",
    }
}
words! {
    /// `SET clevertap.naive_time`.
    NaiveTime {
        /// Refused as `event_time`, UTC elsewhere.
        Refuse = "refuse",
        /// UTC everywhere.
        Utc = "utc",
        /// The project's time zone everywhere.
        Project = "project",
    }
}
words! {
    /// `SET clevertap.long_values`.
    LongValues {
        /// The row is rejected.
        Reject = "reject",
        /// The text is cut at a character and counted as a warning.
        Cut = "cut",
    }
}

words! {
    /// `SET clevertap.null_marks`.
    NullMarks {
        /// The row is rejected: it names nobody.
        Reject = "reject",
        /// It is an identifier as any other.
        Send = "send",
    }
}
words! {
    /// `SET clevertap.list_mode`.
    ListMode {
        /// A new list; one of this name must not be there.
        Create = "create",
        /// New members for a list that is there.
        Replace = "replace",
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            on_reject: OnReject::Stop,
            failed_max: None,
            in_doubt: InDoubt::Hold,
            failed_rows_to: None,
            failed_rows_max: 100_000,
            dry_run: DryRun::Off,
            schema_check: SchemaCheck::Warn,
            nulls: Nulls::Omit,
            nested: false,
            naive_time: NaiveTime::Refuse,
            long_values: LongValues::Reject,
            null_marks: NullMarks::Reject,
            full_scan: false,
            verify_counts: false,
            type_mismatch: TypeMismatch::Null,
            csv_types: CsvTypes::Exact,
            lookups_max: 10_000,
            delete_rows_max: 1_000,
            list_mode: ListMode::Create,
            list_email: None,
            list_creator: None,
            list_assume_exists: false,
            upload_concurrency: 15,
            read_concurrency: 3,
            body_rows_max: 1_000,
            body_bytes_max: 5_000_000,
            timeout_ms: 60_000,
            retry_for_ms: 600_000,
            run_label: String::new(),
        }
    }
}

/// One option: how SQL names it, what it does, how its text is read and written.
struct Descriptor {
    name: &'static str,
    about: &'static str,
    read: fn(&Options) -> String,
    write: fn(&mut Options, &str) -> Result<(), String>,
}

macro_rules! option {
    ($name:ident, $parse:expr, $show:expr, $about:literal) => {
        Descriptor {
            name: stringify!($name),
            about: $about,
            read: |options| $show(&options.$name),
            write: |options, text| {
                options.$name = $parse(text)?;
                Ok(())
            },
        }
    };
}

const DESCRIPTORS: &[Descriptor] = &[
    option!(on_reject, word, shown, "stop: the first rejected row ends the statement; skip: go on and keep the rejects"),
    option!(failed_max, count_or_none, shown_or_empty, "with on_reject = skip: more rejected and in-doubt rows than this stop"),
    option!(in_doubt, word, shown, "hold: an event whose answer was lost is not sent again; resend: it is, and may be stored twice"),
    option!(failed_rows_to, text_or_none, shown_or_empty, "a folder or bucket URL for the rows that were not accepted, as Parquet"),
    option!(failed_rows_max, count, shown, "rows that clevertap.failed_rows keeps"),
    option!(dry_run, word, shown, "local: encode and check only; server: let CleverTap check too (dryRun=1)"),
    option!(schema_check, word, shown, "new names, other types and discarded events: warn; error stops before they are sent; off"),
    option!(nulls, word, shown, "omit: a NULL property keeps its value; delete: it is deleted"),
    option!(nested, flag, shown, "true: structs and maps are sent as objects; false: as JSON text"),
    option!(naive_time, word, shown, "a timestamp without zone: refuse as event_time and utc elsewhere; utc; project"),
    option!(long_values, word, shown, "a text over 512 bytes: reject the row; cut the text, with a warning"),
    option!(null_marks, word, shown, "an identifier such as NULL or \\N, which names nobody: reject the row; send it"),
    option!(
        full_scan,
        flag,
        shown,
        "true: clevertap.profiles may be read without a filter, by a sweep over all events, and clevertap.events without a name"
    ),
    option!(verify_counts, flag, shown, "true: the rows of an export are compared with CleverTap's own count"),
    option!(type_mismatch, word, shown, "a value that is not of its column's type: null, with a warning; error"),
    option!(csv_types, word, shown, "exact: a column of a CSV file has the type of all its cells; text: all are text"),
    option!(lookups_max, count, shown, "keys that one query may look up"),
    option!(delete_rows_max, count, shown, "rows that one DELETE, or one INSERT of demerges, may take"),
    option!(list_mode, word, shown, "create: a new custom list; replace: new members for a list that is there"),
    option!(list_email, text_or_none, shown_or_empty, "the admin to whom CleverTap mails what became of a custom list"),
    option!(list_creator, text_or_none, shown_or_empty, "whom CleverTap shows as the creator of a custom list; else list_email"),
    option!(list_assume_exists, flag, shown, "true: list_mode = replace does not ask first whether the list is there"),
    option!(upload_concurrency, slots::<15>, shown, "uploads in flight of one statement, 1 to 15"),
    option!(read_concurrency, slots::<3>, shown, "requests in flight of any other call, 1 to 3"),
    option!(body_rows_max, bounded::<1, 1_000>, shown, "records in a body, 1 to 1000"),
    option!(body_bytes_max, bounded::<1_000, 10_000_000>, shown, "bytes in a body, 1000 to 10000000"),
    option!(timeout_ms, millis, shown, "milliseconds that one attempt may take"),
    option!(retry_for_ms, millis, shown, "milliseconds for which a request is tried"),
    option!(run_label, label, shown, "copied to clevertap.runs"),
];

/// An option as `clevertap.options` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// `clevertap.on_reject`.
    pub name: String,
    /// As it is set.
    pub value: String,
    /// As it is when nobody sets it.
    pub default: String,
    /// One sentence.
    pub about: &'static str,
}

impl Options {
    /// Every option, with its value.
    pub fn settings(&self) -> Vec<Setting> {
        let defaults = Self::default();
        DESCRIPTORS
            .iter()
            .map(|option| Setting {
                name: format!("clevertap.{}", option.name),
                value: (option.read)(self),
                default: (option.read)(&defaults),
                about: option.about,
            })
            .collect()
    }

    /// The options that differ from their defaults, as `name = value`; a URL is shown without its user name, password and query.
    pub fn changed(&self) -> Vec<String> {
        let changed = |s: Setting| (s.value != s.default).then(|| format!("{} = '{}'", s.name, s.value));
        self.shown().into_iter().filter_map(changed).collect()
    }

    /// Every option, as it may be shown: a URL without its user name, password and query.
    pub(crate) fn shown(&self) -> Vec<Setting> {
        Self { failed_rows_to: self.failed_rows_to.as_deref().map(storage::shown), ..self.clone() }.settings()
    }

    /// The same options, if each has a value that SET would take: fields that are set by type may hold any. Planning asks for it.
    ///
    /// ```
    /// use datafusion_clevertap::Options;
    ///
    /// assert!(Options::default().validated().is_ok());
    /// let mut options = Options::default();
    /// options.upload_concurrency = 0;
    /// assert!(options.validated().is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] names the first option whose value SET would refuse, and the right values.
    pub fn validated(self) -> Result<Self, Error> {
        let mut checked = Self::default();
        self.settings().iter().try_for_each(|setting| checked.set_text(&setting.name, &setting.value))?;
        // As SET would have it: an empty text is none.
        Ok(checked)
    }

    /// Sets the option `name`, with or without its prefix.
    ///
    /// # Errors
    /// [`Error::Setting`] lists the right names or values.
    pub fn set_text(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let short = name.strip_prefix("clevertap.").unwrap_or(name);
        let Some(option) = DESCRIPTORS.iter().find(|option| option.name == short) else {
            let names: Vec<_> = DESCRIPTORS.iter().map(|option| option.name).collect();
            let likeness = |name: &&str| normalized_levenshtein(short, name);
            let nearest = names.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other))).unwrap_or_default();
            return Err(Error::Setting(format!(
                "option \"clevertap.{short}\" is not there, and the nearest name is \"{nearest}\"; expected one of {}",
                names.join(", ")
            )));
        };
        (option.write)(self, value.trim())
            .map_err(|expected| Error::Setting(format!("option \"clevertap.{short}\" is \"{value}\"; expected {expected}")))
    }
}

fn word<T: Word>(text: &str) -> Result<T, String> {
    T::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = T::WORDS.iter().map(|(word, _)| format!("'{word}'")).collect();
        words.join(" or ")
    })
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err("true or false".into()),
    }
}

fn count<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "a whole number, 0 or more".into())
}

fn count_or_none(text: &str) -> Result<Option<u64>, String> {
    if text.is_empty() { Ok(None) } else { count(text).map(Some) }
}

fn text_or_none(text: &str) -> Result<Option<String>, String> {
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn bounded<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (MIN..=MAX).contains(n)).ok_or_else(|| format!("a whole number from {MIN} to {MAX}"))
}

fn slots<const MAX: usize>(text: &str) -> Result<usize, String> {
    bounded::<1, MAX>(text)
}

fn millis(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|n| (1..=86_400_000).contains(n)).ok_or_else(|| "milliseconds, from 1 to 86400000".into())
}

fn label(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn shown<T: Display>(value: &T) -> String {
    value.to_string()
}

fn shown_or_empty<T: Display>(value: &Option<T>) -> String {
    value.as_ref().map(T::to_string).unwrap_or_default()
}

impl ConfigExtension for Options {
    const PREFIX: &'static str = "clevertap";
}

impl ExtensionOptions for Options {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), DataFusionError> {
        Ok(self.set_text(key, value)?)
    }

    /// SHOW and `information_schema.df_settings`.
    fn entries(&self) -> Vec<ConfigEntry> {
        self.shown().into_iter().map(|s| ConfigEntry { key: s.name, value: Some(s.value), description: s.about }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_can_be_set_as_it_is_shown() {
        let mut options = Options::default();
        for setting in Options::default().settings() {
            options.set_text(&setting.name, &setting.value).unwrap_or_else(|error| panic!("{}: {error}", setting.name));
        }
        assert_eq!(options, Options::default());
    }

    #[test]
    fn a_wrong_name_lists_the_names_and_a_wrong_value_the_values() {
        let mut options = Options::default();
        let name = options.set_text("clevertap.on_rejects", "skip").expect_err("no such option").to_string();
        assert!(name.contains("on_reject, failed_max"), "{name}");
        let value = options.set_text("on_reject", "never").expect_err("no such word").to_string();
        assert_eq!(value, "option \"clevertap.on_reject\" is \"never\"; expected 'stop' or 'skip' [CT-101]");
    }
}
