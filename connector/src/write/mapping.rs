//! Maps source columns to fields; a name that is probably a mistake is refused.
//!
//! In: a [`Table`], the schema of a source. Out: a [`Mapping`], or an error that names the column and the remedy. CleverTap never
//! forgets a property name, so doubtful names are refused here, before anything is sent.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use arrow::datatypes::{DataType, Schema};

use crate::error::{Error, Result};
use crate::table::{Open, Shape, Standard, Table, Target};
use crate::tables;

/// Longest name of a property, in bytes: <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
pub(crate) const NAME_BYTES_MAX: usize = 120;

/// Fields that EXPLAIN shows.
const SHOWN_MAX: usize = 12;

/// How the columns of a source become the fields of a record.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    pub(crate) table: &'static Table,
    /// The event of every row, if the table is `clevertap_events."Name"`.
    pub(crate) event: Option<String>,
    /// The table as it is registered: `clevertap.profiles`.
    qualified: String,
    /// In the order of the source.
    pub(crate) fields: Vec<MappedField>,
    pub(crate) identifier_choice: IdentifierChoice,
}

/// Which column identifies the person of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentifierChoice {
    /// The only identifier column.
    OneColumn,
    /// In each row, the first identifier that is not NULL: people found by a lookup may have no identity.
    FirstThere,
}

/// Where a column of the source comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceColumn {
    /// As EXPLAIN shows it: a column, or that it is an expression.
    pub(crate) shown: String,
    /// The only column of which it is made.
    pub(crate) column: Option<String>,
}

impl SourceColumn {
    /// A column under its own name.
    pub(crate) fn named(name: &str) -> Self {
        Self { shown: name.to_owned(), column: Some(name.to_owned()) }
    }

    /// An expression, with the only column of which it is made. Its text may hold a literal, and that a person.
    pub(crate) fn expression(column: Option<String>) -> Self {
        Self { shown: "expression".to_owned(), column }
    }
}

/// One source column and its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MappedField {
    /// Index in the source's schema.
    pub(crate) source: usize,
    /// Name in the source's schema.
    pub(crate) name: String,
    /// Name of the column for EXPLAIN: its own, or that of the column which it renames.
    pub(crate) origin: String,
    /// The column as remedies name it: of an expression over one column that one, which the source has.
    pub(crate) written_as: String,
    /// The object that contains the field (`profileData`); `None` for the record itself.
    pub(crate) parent: Option<&'static str>,
    /// The key in that object. Empty for [`Shape::Properties`]: the keys are in the values.
    pub(crate) key: String,
    pub(crate) shape: Shape,
    /// Of [`Shape::Properties`]: what is known of its keys before the rows are.
    keys: Option<String>,
    /// Whether a row without it is rejected.
    pub(crate) required: bool,
    pub(crate) class: Class,
}

/// The kind of a field, as EXPLAIN prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Identifies the person.
    Identifier,
    /// A predefined field of CleverTap.
    Standard,
    /// A property under its own name.
    Custom,
    /// Keys that become properties.
    Unfolded,
}

impl Mapping {
    /// Maps every column of `source`.
    ///
    /// # Errors
    /// [`Error::Unwritable`] names the column and the remedy.
    pub(crate) fn new(
        table: &'static Table,
        event: Option<&str>,
        qualified: String,
        source: &Schema,
        identifier_choice: IdentifierChoice,
    ) -> Result<Self> {
        let Some(open) = table.write.as_ref().map(|write| write.record_spec().open) else {
            return Err(Error::Unwritable(format!("{qualified} is only read: CleverTap has no call that writes it")));
        };
        let mut fields: Vec<MappedField> = Vec::with_capacity(source.fields().len());
        for (index, column) in source.fields().iter().enumerate() {
            let mut field = map_column(table, event, open, index, column.name(), &qualified)?;
            field.keys = open.filter(|_| field.shape == Shape::Properties).map(|open| keys(table, open, column.data_type()));
            if let Some(duplicate) = fields.iter().find(|f| f.shape != Shape::Properties && f.parent == field.parent && f.key == field.key)
            {
                return Err(Error::Unwritable(format!(
                    "{qualified}: columns \"{}\" and \"{}\" both become the field \"{}\"; leave one of them out",
                    duplicate.name, field.name, field.key
                )));
            }
            fields.push(field);
        }
        let mapping = Self { table, event: event.map(Into::into), qualified, fields, identifier_choice };
        mapping.check_identifier(&mapping.qualified)?;
        mapping.check_required(&mapping.qualified)?;
        Ok(mapping)
    }

    /// The table as it is registered: `clevertap.profiles`, `clevertap_events."Charged"`.
    pub(crate) fn qualified(&self) -> &str {
        &self.qualified
    }

    /// The same mapping, listed with the column names behind those of the source.
    pub(crate) fn with_origins(&self, sources: &[SourceColumn]) -> Self {
        let mut mapping = self.clone();
        for field in &mut mapping.fields {
            if let Some(origin) = sources.get(field.source) {
                field.origin.clone_from(&origin.shown);
                field.written_as.clone_from(origin.column.as_ref().unwrap_or(&field.name));
            }
        }
        mapping
    }

    /// The columns and their fields, of many the first: for EXPLAIN.
    pub(crate) fn shown(&self) -> String {
        let more = self.fields.len().saturating_sub(SHOWN_MAX);
        let mut shown = self.describe_fields(self.fields.iter().take(SHOWN_MAX), &BTreeSet::new());
        if more > 0 {
            let _infallible = write!(shown, ", … and {more} more");
        }
        shown
    }

    /// The columns and their fields; properties in `new`, which CleverTap does not have yet, are marked.
    pub(crate) fn describe(&self, new: &BTreeSet<String>) -> String {
        self.describe_fields(self.fields.iter(), new)
    }

    fn describe_fields<'f>(&self, fields: impl Iterator<Item = &'f MappedField>, new: &BTreeSet<String>) -> String {
        let field = |field: &MappedField| {
            let mark = if field.class == Class::Custom && new.contains(&field.key) { ", new" } else { "" };
            let keys = field.keys.as_deref().unwrap_or_default();
            format!("{} -> {} ({}{mark}{keys})", Name(&field.origin), Name(field.label()), field.class)
        };
        fields.map(field).collect::<Vec<_>>().join(", ")
    }

    /// The identifier field; if there are several, the first.
    pub(crate) fn identifier(&self) -> &MappedField {
        self.identifiers().next().expect("checked when the mapping was made")
    }

    /// The identifier fields.
    pub(crate) fn identifiers(&self) -> impl Iterator<Item = &MappedField> {
        self.fields.iter().filter(|field| field.shape == Shape::Identifier)
    }

    fn check_identifier(&self, qualified: &str) -> Result<()> {
        let identifiers: Vec<_> = self.fields.iter().filter(|f| f.shape == Shape::Identifier).map(|f| format!("\"{}\"", f.name)).collect();
        let names: Vec<_> = self.table.columns.iter().filter(|c| c.target.shape() == Some(Shape::Identifier)).map(|c| c.name).collect();
        match identifiers.len() {
            1 => Ok(()),
            _ if self.identifier_choice == IdentifierChoice::FirstThere && !identifiers.is_empty() => Ok(()),
            0 => Err(Error::Unwritable(format!(
                "{qualified} needs a column that says whose row it is, and this source has none; name one of its columns {}",
                names.join(" or ")
            ))),
            _ => Err(Error::Unwritable(format!(
                "{qualified} takes one identifier column, and this source has {}; write them in statements of their own",
                identifiers.join(" and ")
            ))),
        }
    }

    fn check_required(&self, qualified: &str) -> Result<()> {
        for column in self.table.columns {
            let Target::Required(pointer, _) = column.target else { continue };
            let (parent, key) = split(pointer);
            let by_table = self.event.is_some() && column.target.shape() == Some(Shape::EventName);
            if !by_table && !self.fields.iter().any(|field| field.parent == parent && field.key == key) {
                return Err(Error::Unwritable(format!(
                    "{qualified} needs a column \"{}\", and this source has none; add {} AS {}",
                    column.name,
                    example(column.name),
                    column.name
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Mapping {
    /// `user_id -> identity (identifier), tier -> Plan (custom)`, for EXPLAIN and a dry run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(&BTreeSet::new()))
    }
}

impl MappedField {
    /// The field as EXPLAIN names it.
    pub(crate) fn label(&self) -> &str {
        if self.shape == Shape::Properties { "its own keys" } else { &self.key }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identifier => "identifier",
            Self::Standard => "standard",
            Self::Custom => "custom",
            Self::Unfolded => "unfolded",
        })
    }
}

/// A name, quoted if a comma or an arrow in it could be misread.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains([',', '>', '(', '"']) { write!(f, "{:?}", self.0) } else { f.write_str(self.0) }
    }
}

fn map_column(
    table: &'static Table,
    event: Option<&str>,
    open: Option<&Open>,
    index: usize,
    name: &str,
    qualified: &str,
) -> Result<MappedField> {
    if let Some(column) = table.column_like(name) {
        let (pointer, shape, required) = match column.target {
            Target::Required(pointer, shape) => (pointer, shape, true),
            Target::Optional(pointer, shape) => (pointer, shape, false),
            Target::Nowhere { hint } => {
                return Err(Error::Unwritable(format!("{qualified}: column \"{name}\" is not written: {hint}")));
            }
        };
        if shape == Shape::EventName && event.is_some() {
            return Err(Error::Unwritable(format!(
                "{qualified}: column \"{name}\" names an event, and the table already does; leave it out, or insert into the table events"
            )));
        }
        if shape == Shape::Items && event.is_some_and(|event| event != tables::CHARGED) {
            return Err(Error::Unwritable(format!(
                "{qualified}: column \"{name}\" belongs to the event {} alone; give it another name to send it as a property",
                tables::CHARGED
            )));
        }
        let (parent, key) = if shape == Shape::Properties { (Some(step(pointer)), "") } else { split(pointer) };
        if shape == Shape::Standard(Standard::Consent) && name != key {
            return Err(Error::Unwritable(format!(
                "{qualified}: column \"{name}\" resembles {key}, by which people take back their consent; write AS \"{key}\" if it is that, or \
                 named_struct('{name}', …) AS properties to keep it apart as a custom property"
            )));
        }
        let class = match shape {
            Shape::Identifier => Class::Identifier,
            Shape::Properties => Class::Unfolded,
            _ => Class::Standard,
        };
        return Ok(MappedField {
            source: index,
            name: name.into(),
            origin: name.into(),
            written_as: name.into(),
            parent,
            key: key.into(),
            shape,
            keys: None,
            required,
            class,
        });
    }
    let Some(open) = open else {
        let names: Vec<_> = table.columns.iter().filter(|c| c.target.pointer().is_some()).map(|c| c.name).collect();
        return Err(Error::Unwritable(format!("{qualified} has no column \"{name}\"; its columns are {}", names.join(", "))));
    };
    check_not_generated(name)
        .and_then(|()| check_name(name, open))
        .map_err(|problem| Error::Unwritable(format!("{qualified}: column \"{name}\" {problem}")))?;
    Ok(MappedField {
        source: index,
        name: name.into(),
        origin: name.into(),
        written_as: name.into(),
        parent: Some(step(open.pointer)),
        key: name.into(),
        shape: Shape::Value,
        keys: None,
        required: false,
        class: Class::Custom,
    })
}

/// What becomes of the keys of a column that is unfolded: of a struct they are known, of a map and of JSON they come with the rows.
fn keys(table: &Table, open: &Open, data_type: &DataType) -> String {
    let DataType::Struct(fields) = data_type else {
        let has_email = standard_property(table, open, "email").is_some();
        return if has_email { ": a key like email becomes Email".into() } else { String::new() };
    };
    let standard = |name: &String| standard_property(table, open, name).map(|(field, _)| format!("{} -> {field} (standard)", Name(name)));
    let found: Vec<String> = fields.iter().filter_map(|field| standard(field.name())).collect();
    if found.is_empty() { String::new() } else { format!(": {}", found.join(", ")) }
}

/// The predefined field that a key of properties becomes, inside of the object that `open` describes, and its shape.
pub(crate) fn standard_property(table: &Table, open: &Open, key: &str) -> Option<(&'static str, Shape)> {
    let target = table.column_like(key)?.target;
    let name = target.pointer()?.strip_prefix(open.pointer)?.strip_prefix('/')?;
    // Nobody's consent is switched by a name that only resembles it.
    target.shape().map(|shape| (name, shape)).filter(|(name, shape)| *shape != Shape::Standard(Standard::Consent) || *name == key)
}

/// Refuses the names that DataFusion generates for the columns of VALUES.
fn check_not_generated(name: &str) -> Result<(), String> {
    match name.strip_prefix("column") {
        Some(number) if !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) => {
            Err("has a name that nobody chose; give it one with AS, or list the columns after the table's name".into())
        }
        _ => Ok(()),
    }
}

/// Checks that CleverTap accepts `name` as the name of a property; the error is the end of a sentence.
pub(crate) fn check_name(name: &str, open: &Open) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("has no name; give it one with AS".into());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("has a name of {} bytes; CleverTap takes {NAME_BYTES_MAX}", name.len()));
    }
    let found: Vec<char> = open.forbidden.chars().filter(|c| name.contains(*c)).collect();
    if !found.is_empty() {
        let mut listed = String::new();
        for c in found {
            let _infallible = write!(listed, " {c}");
        }
        return Err(format!("has characters in its name that CleverTap does not take:{listed}; give it another name with AS"));
    }
    Ok(())
}

/// Splits `/profileData/Email` into `profileData` and `Email`; `/identity` has no parent.
fn split(pointer: &'static str) -> (Option<&'static str>, &'static str) {
    let pointer = step(pointer);
    match pointer.split_once('/') {
        Some((parent, key)) => (Some(parent), key),
        None => (None, pointer),
    }
}

fn step(pointer: &'static str) -> &'static str {
    pointer.strip_prefix('/').unwrap_or(pointer)
}

fn example(column: &str) -> &'static str {
    match column {
        "event_name" => "'Charged'",
        "event_time" => "a timestamp, or now(),",
        _ => "it",
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn map(table: &str, event: Option<&str>, columns: &[&str]) -> Result<Mapping> {
        let fields: Vec<_> = columns.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        Mapping::new(
            tables::find(table).expect("a table"),
            event,
            format!("clevertap.{table}"),
            &Schema::new(fields),
            IdentifierChoice::OneColumn,
        )
    }

    #[test]
    fn standard_fields_are_matched_whatever_their_spelling_and_the_rest_are_custom() {
        let mapping = map("profiles", None, &["IDENTITY", "EMAIL", "customer_type", "MSG-email", "Plan", "properties"]).expect("maps");
        assert_eq!(
            mapping.to_string(),
            "IDENTITY -> identity (identifier), EMAIL -> Email (standard), customer_type -> Customer Type (standard), \
             MSG-email -> MSG-email (standard), Plan -> Plan (custom), properties -> its own keys (unfolded: a key like email becomes Email)"
        );
    }

    #[test]
    fn the_keys_of_a_struct_are_named_as_the_fields_that_they_become() {
        let fields: Vec<_> =
            ["dob", "EMAIL", "Plan", "msg_push", "MSG-sms"].iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        let source = [Field::new("identity", DataType::Utf8, true), Field::new("properties", DataType::Struct(fields.into()), true)];
        let mapping = Mapping::new(
            tables::find("profiles").expect("a table"),
            None,
            "clevertap.profiles".into(),
            &Schema::new(source.to_vec()),
            IdentifierChoice::OneColumn,
        );
        assert!(mapping.expect("maps").to_string().ends_with(
            "properties -> its own keys (unfolded: dob -> DOB (standard), EMAIL -> Email (standard), MSG-sms -> MSG-sms (standard))"
        ));
    }

    #[test]
    fn a_doubtful_name_is_refused_with_its_remedy() {
        let cases: &[(&str, Option<&str>, &[&str], &str)] = &[
            ("profiles", None, &["email"], "needs a column that says whose row it is"),
            (
                "profiles",
                None,
                &["identity", "object_id"],
                "takes one identifier column, and this source has \"identity\" and \"object_id\"",
            ),
            ("profiles", None, &["identity", "email", "EMAIL"], "both become the field \"Email\""),
            ("profiles", None, &["identity", "platforms"], "is not written: CleverTap keeps it by itself"),
            ("profiles", None, &["identity", "column2"], "has a name that nobody chose"),
            ("profiles", None, &["identity", "a.b#"], "does not take: . #"),
            ("events", None, &["identity", "event_time"], "needs a column \"event_name\""),
            ("events", None, &["identity", "event_name"], "needs a column \"event_time\""),
            ("events", Some("Viewed"), &["identity", "event_time", "event_name"], "and the table already does"),
            ("events", Some("Viewed"), &["identity", "event_time", "items"], "belongs to the event Charged alone"),
            ("events", Some("Viewed"), &["identity", "event_time", "platform"], "only reads have it"),
            ("device_tokens", None, &["object_id", "token", "token_type", "colour"], "its columns are object_id, token, token_type, keys"),
        ];
        for (table, event, columns, expected) in cases {
            let error = map(table, *event, columns).expect_err("refused").to_string();
            assert!(error.contains(expected), "{columns:?}: {error}");
        }
    }

    #[test]
    fn a_key_of_121_bytes_is_refused_and_one_of_120_is_not() {
        let long = "k".repeat(121);
        assert!(map("profiles", None, &["identity", &long]).is_err());
        assert!(map("profiles", None, &["identity", &"k".repeat(120)]).is_ok());
    }
}
