//! Compares what is about to be sent with the schema of the project: `SET clevertap.schema_check`.
//!
//! In: the columns of a statement and its first records of each event, as they are sent. Out: warnings, or the error that stops the
//! statement before any of these records is sent: a name that differs from another in case alone is one. CleverTap answers success to a record that its schema rules drop, and never forgets
//! property names, so this is the only place to report either. The schema is fetched once per session, in one attempt; if that fails,
//! a warning says so and the statement goes on, or it stops where it was to stop for differences.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde_json::{Map, Value};

use crate::account::Account;
use crate::error::Error;
use crate::options::{DryRun, SchemaCheck};
use crate::project_schema::{Events, Properties, form};
use crate::read::schema_discovery::{self, is_date};
use crate::relation::Relation;
use crate::runs::Warning;
use crate::table::{Shape, Table, ValueForm};
use crate::write::encode::Operator;
use crate::write::job::{Job, Operation};
use crate::write::mapping::{Class, Mapping};

/// The schema is not available.
const UNAVAILABLE: &str = "CT-630";
/// A new event or property.
const NEW: &str = "CT-631";
/// A name that differs from an existing one only in case.
const CASE: &str = "CT-632";
/// A value of a type other than that of the property.
const TYPE: &str = "CT-633";
/// An event that CleverTap discards.
const DISCARDED: &str = "CT-634";

/// Records checked per event.
const RECORDS_INSPECTED_MAX: u32 = 1_000;

/// Events checked per statement.
const EVENTS_MAX: usize = 1_000;

/// Findings per statement: a column of arbitrary keys can unfold to any number of names.
const FINDINGS_MAX: usize = 1_000;

/// Findings listed in an error.
const FINDINGS_IN_ERROR_MAX: usize = 5;

/// More differences exist than are reported.
const MORE: &str = "CT-635";

/// The type of a value in CleverTap's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueType {
    Text,
    Number,
    Boolean,
    Date,
    List,
}

/// The schema that records are compared with.
#[derive(Debug)]
enum KnownSchema {
    Events(Arc<Events>),
    People(Arc<Properties>),
}

/// What was checked of one event. For profiles there is one of these.
#[derive(Debug, Default)]
struct Inspected {
    records: u32,
    /// Properties by name, and whether a value with a known type was seen.
    names: HashMap<String, bool>,
}

/// The check of one statement.
#[derive(Debug)]
pub(crate) struct Checker {
    account: Account,
    mapping: Arc<Mapping>,
    /// Of an attempt at a request, by the session.
    timeout: Duration,
    /// Whether every difference is refused.
    refuses: bool,
    updates: bool,
    dry: bool,
    known: Option<KnownSchema>,
    is_fetched: bool,
    inspected: HashMap<String, Inspected>,
    /// Findings that were not taken yet.
    pending: Vec<Warning>,
    /// Number of findings so far.
    finding_count: usize,
    new: BTreeSet<String>,
    /// Names that this statement creates, so that the next one of the session knows them: events, and properties of declared.
    creates: Vec<(String, String)>,
    /// Selected rows of the current batch, the next one last.
    rows: Vec<usize>,
}

impl Checker {
    /// The check of a job, if its options and its table call for one.
    pub(crate) fn of(job: &Job) -> Option<Self> {
        let Job { relation: Relation { account, .. }, mapping, options, .. } = job;
        let open = mapping.fields.iter().any(|field| matches!(field.class, Class::Custom | Class::Unfolded));
        let is_enabled = options.schema_check != SchemaCheck::Off && mapping.table.write.as_ref()?.record_spec().open.is_some();
        (is_enabled && (open || mapping.table.is_of_events())).then(|| Self {
            account: account.clone(),
            mapping: Arc::clone(mapping),
            timeout: Duration::from_millis(options.timeout_ms),
            updates: job.statement.operation == Operation::Update,
            refuses: options.schema_check == SchemaCheck::Error,
            dry: options.dry_run != DryRun::Off,
            known: None,
            is_fetched: false,
            inspected: HashMap::new(),
            pending: Vec::new(),
            finding_count: 0,
            new: BTreeSet::new(),
            creates: Vec::new(),
            rows: Vec::new(),
        })
    }

    /// Fetches the schema the first time, and compares the columns. For a statement with several events only records are compared,
    /// since an event is sent with those of its columns that are not NULL.
    pub(crate) async fn fetch(&mut self) {
        if std::mem::replace(&mut self.is_fetched, true) {
            return;
        }
        let known = if self.mapping.table.is_of_events() {
            schema_discovery::events_to_write(&self.account, self.timeout).await.map(KnownSchema::Events)
        } else {
            schema_discovery::people_to_write(&self.account, self.timeout).await.map(KnownSchema::People)
        };
        match known {
            Ok(known) => self.known = Some(known),
            Err(why) => {
                let message = format!("the columns were not compared with the project's schema, which is not known: {why}");
                self.record(UNAVAILABLE, String::new(), message);
                return;
            }
        }
        let event = match (&self.mapping.event, self.mapping.table.is_of_events()) {
            (None, true) => return,
            (event, _) => event.clone().unwrap_or_default(),
        };
        let mut inspected = Inspected::default();
        let mapping = Arc::clone(&self.mapping);
        self.event(&event);
        for field in mapping.fields.iter().filter(|field| field.class == Class::Custom) {
            self.property(&mut inspected, &event, &field.key, None);
        }
        self.inspected.insert(event, inspected);
    }

    /// Selects the rows of a batch to check: the first ones of each event.
    pub(crate) fn begin(&mut self, batch: &RecordBatch) {
        self.rows.clear();
        if self.known.is_none() || self.finding_count >= FINDINGS_MAX {
            return;
        }
        let names = self.mapping.fields.iter().find(|field| field.shape == Shape::EventName);
        let Some(names) = names.map(|field| batch.column(field.source)) else {
            let inspected = self.inspected.values().next().map_or(0, |inspected| inspected.records);
            let rows_left = usize::try_from(RECORDS_INSPECTED_MAX.saturating_sub(inspected)).unwrap_or_default();
            self.rows.extend((0..batch.num_rows().min(rows_left)).rev());
            return;
        };
        // A name that is not text is refused when it is encoded.
        let Ok(names) = cast(names, &DataType::Utf8) else { return };
        self.select_by_event(names.as_string());
    }

    fn select_by_event(&mut self, names: &StringArray) {
        let mut selected: HashMap<&str, u32> = HashMap::new();
        for row in (0..names.len()).filter(|row| names.is_valid(*row)) {
            let name = names.value(row);
            let inspected = self.inspected.get(name).map_or(0, |inspected| inspected.records);
            if inspected >= RECORDS_INSPECTED_MAX || (inspected == 0 && self.inspected.len() + selected.len() >= EVENTS_MAX) {
                continue;
            }
            let chosen = selected.entry(name).or_default();
            if inspected + *chosen < RECORDS_INSPECTED_MAX {
                *chosen += 1;
                self.rows.push(row);
            }
        }
        self.rows.reverse();
    }

    /// Whether this row of the batch is selected. Call with ascending rows.
    pub(crate) fn is_selected(&mut self, row: usize) -> bool {
        while self.rows.last().is_some_and(|next| *next < row) {
            self.rows.pop();
        }
        self.rows.last() == Some(&row)
    }

    /// Checks a record.
    pub(crate) fn inspect(&mut self, json: &[u8]) {
        let Ok(record) = serde_json::from_slice::<Value>(json) else { return };
        let table = self.mapping.table;
        let event = match (&self.mapping.event, name_of(table, &record)) {
            (Some(event), _) => event.clone(),
            (None, name) => name.unwrap_or_default().to_owned(),
        };
        let place = table.write.as_ref().and_then(|write| write.record_spec().open).map_or("", |open| open.pointer);
        let mut inspected = match self.inspected.remove(&event) {
            Some(inspected) => inspected,
            None => {
                self.event(&event);
                Inspected::default()
            }
        };
        inspected.records += 1;
        let nothing = Map::new();
        for (name, value) in record.pointer(place).and_then(Value::as_object).unwrap_or(&nothing) {
            if !is_standard(table, place, name) {
                self.property(&mut inspected, &event, name, Some(value));
            }
        }
        self.inspected.insert(event, inspected);
    }

    /// Checks the name of an event.
    fn event(&mut self, event: &str) {
        let Some(KnownSchema::Events(events)) = &self.known else { return };
        let (code, message) = match events.get(event) {
            Some(known) if known.discarded => {
                (DISCARDED, format!("event \"{event}\" is discarded in CleverTap, which drops its records after an answer of success"))
            }
            Some(_) => return,
            None => match find_ignoring_case(events.keys(), event) {
                Some(known) => (
                    CASE,
                    format!(
                        "event \"{event}\" differs from the event \"{known}\" in case alone, and would be another one; write '{known}'"
                    ),
                ),
                None => (NEW, format!("event \"{event}\" is new: the names of events last for ever in CleverTap")),
            },
        };
        self.record(code, event.to_owned(), message);
    }

    fn record(&mut self, code: &'static str, column: String, message: String) {
        self.finding_count += 1;
        let (code, column, message) = match self.finding_count.cmp(&FINDINGS_MAX) {
            Ordering::Less => (code, column, message),
            Ordering::Equal => {
                (MORE, String::new(), format!("{FINDINGS_MAX} differences to the schema were found, and no more are looked for"))
            }
            Ordering::Greater => return,
        };
        self.pending.push(Warning { code, column, rows: 0, message });
    }

    /// Checks a property, with a value of it, or as a column.
    fn property(&mut self, inspected: &mut Inspected, event: &str, name: &str, value: Option<&Value>) {
        if self.finding_count >= FINDINGS_MAX {
            return;
        }
        let kind = value.and_then(type_of);
        let is_first = match inspected.names.get_mut(name) {
            Some(true) => return,
            Some(typed) => {
                *typed = kind.is_some();
                false
            }
            None => {
                inspected.names.insert(name.to_owned(), kind.is_some());
                true
            }
        };
        let (known, of) = match &self.known {
            Some(KnownSchema::People(people)) => (Some(&**people), "property of people".to_owned()),
            // Properties of a new event are new as well, and reported with it.
            Some(KnownSchema::Events(events)) => {
                (events.get(event).map(|event| &event.properties), format!("property of the event \"{event}\""))
            }
            None => return,
        };
        if is_first && !known.is_some_and(|known| known.contains_key(name)) {
            self.creates.push((event.to_owned(), name.to_owned()));
        }
        let Some(known) = known else { return };
        let column = self.mapping.fields.iter().find(|field| field.key == name).map_or(name, |field| &field.name).to_owned();
        let finding = match known.get(name) {
            Some(word) => {
                let declared = word.as_deref().and_then(declared_type);
                kind.zip(declared).filter(|(sent, declared)| sent != declared).map(|(sent, _)| {
                    let word = word.as_deref().unwrap_or_default();
                    let message = format!(
                        "\"{name}\" is sent as {}, and CleverTap has it as {word}: its schema rules may drop it after an answer of success",
                        sent.name()
                    );
                    (TYPE, message)
                })
            }
            None if !is_first => None,
            None => Some(match find_ignoring_case(known.keys().chain(inspected.names.keys()), name) {
                Some(other) => (
                    CASE,
                    format!("\"{name}\" differs from the {of} \"{other}\" in case alone, and would be another one; {}", self.remedy(other)),
                ),
                None => {
                    self.new.insert(name.to_owned());
                    (NEW, format!("\"{name}\" is a new {of}: names last for ever in CleverTap"))
                }
            }),
        };
        if let Some((code, message)) = finding {
            self.record(code, column, message);
        }
    }

    /// How to write the name that the project has.
    fn remedy(&self, other: &str) -> String {
        if self.updates { format!("write SET \"{other}\" = …") } else { format!("write AS \"{other}\"") }
    }

    /// The new findings, as warnings or as the error that stops the statement.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a name that differs from another in case alone, and with `SET clevertap.schema_check = 'error'` for
    /// anything; with that also [`Error::Unavailable`], if there was no schema to compare with.
    pub(crate) fn take_findings(&mut self) -> Result<Vec<Warning>, Error> {
        let found = std::mem::take(&mut self.pending);
        if let Some(unavailable) = found.iter().find(|finding| self.refuses && finding.code == UNAVAILABLE) {
            // The next statement asks again.
            self.account.project_schema().known().unavailable = None;
            return Err(Error::Unavailable(format!(
                "{}: {}. SET clevertap.schema_check = 'warn' sends it all the same",
                self.mapping.qualified(),
                unavailable.message
            )));
        }
        let is_refused = |finding: &&Warning| finding.code == CASE || self.refuses;
        let known: Vec<&str> = found.iter().filter(is_refused).map(|finding| finding.message.as_str()).collect();
        if !known.is_empty() {
            let allowed = if found.iter().any(|finding| finding.code == CASE) { "off" } else { "warn" };
            let more = known.len().saturating_sub(FINDINGS_IN_ERROR_MAX);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            return Err(Error::Unwritable(format!(
                "{}: {}{more}. SET clevertap.schema_check = '{allowed}' sends it all the same",
                self.mapping.qualified(),
                known[..known.len().min(FINDINGS_IN_ERROR_MAX)].join("; "),
            )));
        }
        let creates = std::mem::take(&mut self.creates);
        if !self.dry && !creates.is_empty() {
            self.account.project_schema().created(self.mapping.table.is_of_events(), creates);
        }
        Ok(found)
    }

    /// The mapping as a dry run shows it, with new properties marked.
    pub(crate) fn mapping(&self) -> String {
        self.mapping.describe(&self.new)
    }
}

/// The event name of a record.
fn name_of<'a>(table: &Table, record: &'a Value) -> Option<&'a str> {
    let column = table.columns.iter().find(|column| column.target.shape() == Some(Shape::EventName))?;
    record.pointer(column.target.pointer()?)?.as_str()
}

/// Whether a key is a standard field of CleverTap.
fn is_standard(table: &Table, place: &str, key: &str) -> bool {
    let field = |pointer: &str| pointer.strip_prefix(place).and_then(|rest| rest.strip_prefix('/')) == Some(key);
    table.columns.iter().filter_map(|column| column.target.pointer()).any(field)
}

/// A name that differs only in case.
fn find_ignoring_case<'a>(names: impl Iterator<Item = &'a String>, name: &str) -> Option<&'a str> {
    let folded = name.to_lowercase();
    names.map(String::as_str).find(|known| *known != name && known.to_lowercase() == folded)
}

/// The type of a value as it is sent; `None` if it has none.
fn type_of(value: &Value) -> Option<ValueType> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => ValueType::Boolean,
        Value::Number(_) => ValueType::Number,
        Value::String(text) if is_date(text) => ValueType::Date,
        Value::String(_) => ValueType::Text,
        Value::Array(_) => ValueType::List,
        Value::Object(object) => match Operator::named(object.keys().next()?)? {
            Operator::Set | Operator::Add | Operator::Remove => ValueType::List,
            Operator::Incr | Operator::Decr => ValueType::Number,
            Operator::Delete => return None,
        },
    })
}

/// The type that CleverTap declares by this word.
fn declared_type(word: &str) -> Option<ValueType> {
    Some(match form(word) {
        Some(ValueForm::Text) => ValueType::Text,
        Some(ValueForm::Int64 | ValueForm::Float64) => ValueType::Number,
        Some(ValueForm::Boolean) => ValueType::Boolean,
        Some(ValueForm::Date) => ValueType::Date,
        _ => match word.to_lowercase().as_str() {
            "list" | "array" | "multi-value" | "multivalue" => ValueType::List,
            _ => return None,
        },
    })
}

impl ValueType {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Date => "a date",
            Self::List => "a list",
        }
    }
}
