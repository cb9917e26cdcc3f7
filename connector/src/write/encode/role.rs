//! How a field is written, given its type. Decided once per statement.

use arrow::datatypes::{DataType, Fields};

use super::reject::{OPERAND, Problem, problem};
use crate::table::Standard;

/// How the values of a field are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Role {
    /// Text or integer that identifies the person.
    Identifier,
    /// Integer epoch seconds.
    EpochSeconds,
    EventName,
    Scalar,
    /// A value of another type that may be what the field holds.
    Standard(Standard),
    /// A multi-value property: `{"$set":["a"]}`.
    Set,
    /// A struct of one field, named for the operator: `{"$incr":1}`.
    Operator(Operator),
    /// A list, struct or map as JSON text.
    JsonText,
    /// A list, struct or map as nested JSON.
    Nested,
    /// A struct or map as an object.
    Object,
    /// JSON text of an object.
    ObjectText,
    /// A list of flat structs.
    Items,
    /// JSON text of a list of flat objects.
    ItemsText,
    /// A map with keys that become fields; holds the type of its values.
    UnfoldMap(DataType),
    /// JSON text with keys that become fields.
    UnfoldText,
}

/// How a property changes: <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Remove,
    Set,
    Incr,
    Decr,
    Delete,
}

impl Operator {
    const ALL: [(&'static str, Self); 6] = [
        ("$add", Self::Add),
        ("$remove", Self::Remove),
        ("$set", Self::Set),
        ("$incr", Self::Incr),
        ("$decr", Self::Decr),
        ("$delete", Self::Delete),
    ];

    /// The operator with this key.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(key, _)| *key == name).map(|(_, operator)| *operator)
    }

    pub(super) fn key(self) -> &'static str {
        Self::ALL.iter().find(|(_, operator)| *operator == self).map_or("", |(key, _)| key)
    }

    pub(super) fn of(fields: &Fields) -> Option<(Self, &DataType)> {
        let [field] = fields.as_ref() else { return None };
        Some((Self::named(field.name())?, plain(field.data_type())))
    }
}

/// The value type of dictionaries and runs; other types as they are.
pub(super) fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        other => other,
    }
}

/// The problem with an operand that the operator does not accept.
#[cold]
pub(super) fn operand_refused(operator: Operator) -> Box<Problem> {
    let expected = match operator {
        Operator::Add | Operator::Remove | Operator::Set => "a list of text",
        Operator::Incr | Operator::Decr => "a number above 0; $incr adds and $decr subtracts",
        Operator::Delete => "1; NULL leaves the property as it is",
    };
    problem(OPERAND, format!("has the operator {} with something else than {expected}", operator.key()))
}
