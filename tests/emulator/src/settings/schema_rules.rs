//! What a project's schema defines, and what happens to everything else (reference 4.6).

use std::collections::BTreeMap;

/// The defined part of a project and what happens to everything else. Whatever differs is an entry of the Error Stream, also
/// where it is accepted.
#[derive(Debug, Clone, Default)]
pub struct SchemaRules {
    /// The events that are defined, by name, and the properties of each.
    pub events: BTreeMap<String, BTreeMap<String, PropertyRule>>,
    /// The user properties that are defined, CleverTap's own left out.
    pub user_properties: BTreeMap<String, DataType>,
    /// An event that is not defined.
    pub undefined_event: Reaction,
    /// A defined event without a mandatory property.
    pub mandatory_missing: Reaction,
    /// A property of a defined event that is not defined itself.
    pub undefined_property: PropertyReaction,
    /// A property of another type.
    pub mistyped_property: PropertyReaction,
    /// A user property that is not defined.
    pub undefined_user_property: Reaction,
    /// A user property of another type.
    pub mistyped_user_property: Reaction,
}

/// How a property of an event is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyRule {
    /// Its type.
    pub kind: DataType,
    /// Whether the event must have it.
    pub need: Need,
}

/// Whether an event must have a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It may be missing.
    Optional,
    /// It may not.
    Mandatory,
}

/// The type of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// A text that is no date.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `$D_` and epoch seconds.
    Date,
    /// A multi-value, or the `Items` of `Charged`.
    List,
}

/// What happens to an event, or to a user property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reaction {
    /// It is kept.
    #[default]
    Accept,
    /// It is gone.
    Drop,
}

/// What happens to a property of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PropertyReaction {
    /// It is kept.
    #[default]
    Accept,
    /// It is gone, the event is kept.
    DropProperty,
    /// The event is gone.
    DropEvent,
}
