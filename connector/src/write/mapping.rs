//! Which source column becomes which field: "names must be meant".
//!
//! In: a [`Table`], the schema of a source. Out: a [`Mapping`], or an error that names the column and the remedy. Property
//! names last for ever in CleverTap, so what is doubtful is refused here, before anything is sent.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use arrow::datatypes::Schema;

use crate::error::{Error, Result};
use crate::table::{Open, Shape, Table, Target};
use crate::tables;

/// Longest name of a property, in bytes: <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
pub(crate) const NAME_BYTES_MAX: usize = 120;

/// How the columns of a source become the fields of a record.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    /// Where the records go.
    pub(crate) table: &'static Table,
    /// The event that every row is, where the table is `clevertap_events."Name"`.
    pub(crate) event: Option<String>,
    /// The table as it is registered: `clevertap.profiles`.
    qualified: String,
    /// In the order of the source.
    pub(crate) fields: Vec<MappedField>,
    /// Which column says whose row it is.
    pub(crate) identifier_choice: IdentifierChoice,
}

/// Which column says whose row it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentifierChoice {
    /// The one identifier column that there is.
    OneColumn,
    /// In each row, the first that has a value: of people who were looked up, some have no identity.
    FirstThere,
}

/// One source column and the field it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MappedField {
    /// Index in the source's schema.
    pub(crate) source: usize,
    /// Name in the source's schema.
    pub(crate) name: String,
    /// Where the column comes from, for people: its own name, or that of the column which it renames.
    pub(crate) origin: String,
    /// The object of the record that holds the field, as one key (`profileData`); `None`: the record itself.
    pub(crate) parent: Option<&'static str>,
    /// The key in that object. For [`Shape::Properties`] it is empty: the keys are in the values.
    pub(crate) key: String,
    /// The shape of the value.
    pub(crate) shape: Shape,
    /// Whether a row without it is rejected.
    pub(crate) required: bool,
    /// How EXPLAIN calls it.
    pub(crate) class: Class,
}

/// What a field is to CleverTap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Says whose record it is.
    Identifier,
    /// A field that CleverTap knows.
    Standard,
    /// A property under its own name.
    Custom,
    /// Unfolded into properties.
    Unfolded,
}

impl Mapping {
    /// Maps every column of `source` or says why one cannot be.
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
            let field = map_column(table, event, open, index, column.name(), &qualified)?;
            if let Some(twin) = fields.iter().find(|f| f.shape != Shape::Properties && f.parent == field.parent && f.key == field.key) {
                return Err(Error::Unwritable(format!(
                    "{qualified}: columns \"{}\" and \"{}\" both become the field \"{}\"; leave one of them out",
                    twin.name, field.name, field.key
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

    /// The same, told from the columns behind the source's own.
    pub(crate) fn with_origins(&self, sources: &[String]) -> Self {
        let mut mapping = self.clone();
        for field in &mut mapping.fields {
            if let Some(origin) = sources.get(field.source) {
                field.origin.clone_from(origin);
            }
        }
        mapping
    }

    /// The columns and their fields, with a mark at the properties of these names: CleverTap does not have them yet.
    pub(crate) fn describe(&self, new: &BTreeSet<String>) -> String {
        let field = |field: &MappedField| {
            let mark = if field.class == Class::Custom && new.contains(&field.key) { ", new" } else { "" };
            format!("{} -> {} ({}{mark})", Name(&field.origin), Name(field.label()), field.class)
        };
        self.fields.iter().map(field).collect::<Vec<_>>().join(", ")
    }

    /// The field that says whose record a row is; where several may, the first of them.
    pub(crate) fn identifier(&self) -> &MappedField {
        self.identifiers().next().expect("checked when the mapping was made")
    }

    /// The fields that may say whose record a row is.
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
    /// `user_id -> identity (identifier), tier -> Plan (custom)`: what EXPLAIN and a dry run print.
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

/// A name, in quotes where a comma or an arrow in it could be misread.
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
        let class = match shape {
            Shape::Identifier => Class::Identifier,
            Shape::Properties => Class::Unfolded,
            _ => Class::Standard,
        };
        return Ok(MappedField { source: index, name: name.into(), origin: name.into(), parent, key: key.into(), shape, required, class });
    }
    let Some(open) = open else {
        let names: Vec<_> = table.columns.iter().filter(|c| c.target.pointer().is_some()).map(|c| c.name).collect();
        return Err(Error::Unwritable(format!("{qualified} has no column \"{name}\"; its columns are {}", names.join(", "))));
    };
    is_chosen(name)
        .and_then(|()| check_name(name, open))
        .map_err(|problem| Error::Unwritable(format!("{qualified}: column \"{name}\" {problem}")))?;
    Ok(MappedField {
        source: index,
        name: name.into(),
        origin: name.into(),
        parent: Some(step(open.pointer)),
        key: name.into(),
        shape: Shape::Value,
        required: false,
        class: Class::Custom,
    })
}

/// Whether a column has the name that DataFusion gives to one of VALUES.
fn is_chosen(name: &str) -> Result<(), String> {
    match name.strip_prefix("column") {
        Some(number) if !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) => {
            Err("has a name that nobody chose; give it one with AS, or list the columns after the table's name".into())
        }
        _ => Ok(()),
    }
}

/// Whether CleverTap takes `name` as the name of a property; else what is wrong with it, as the end of a sentence.
pub(crate) fn check_name(name: &str, open: &Open) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("has no name; give it one with AS".into());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("has a name of {} bytes; CleverTap takes {NAME_BYTES_MAX}", name.len()));
    }
    let bad: Vec<char> = open.forbidden.chars().filter(|c| name.contains(*c)).collect();
    if !bad.is_empty() {
        let mut shown = String::new();
        for c in bad {
            let _infallible = write!(shown, " {c}");
        }
        return Err(format!("has characters in its name that CleverTap does not take:{shown}; give it another name with AS"));
    }
    Ok(())
}

/// `/profileData/Email` is `Email` in `profileData`; `/identity` is `identity` in the record itself.
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
        let mapping = map("profiles", None, &["IDENTITY", "EMAIL", "customer_type", "Msg-Email", "Plan", "properties"]).expect("maps");
        assert_eq!(
            mapping.to_string(),
            "IDENTITY -> identity (identifier), EMAIL -> Email (standard), customer_type -> Customer Type (standard), \
             Msg-Email -> MSG-email (standard), Plan -> Plan (custom), properties -> its own keys (unfolded)"
        );
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
