//! Who a record is about: the kinds of identifier, and the one that a record has.

use std::borrow::Cow;

use crate::json::Json;
use crate::upload::codes::Reason;

/// Characters of an identity.
const IDENTITY_CHARS_MAX: usize = 1024;

/// The kinds of identifier, in the order in which a record's are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentifierKind {
    /// CleverTap's id of a device.
    ObjectId,
    /// The customer's own id of a person.
    Identity,
    /// Facebook's.
    Facebook,
    /// Google Plus's.
    Google,
}

impl IdentifierKind {
    pub(crate) const ALL: [Self; 4] = [Self::ObjectId, Self::Identity, Self::Facebook, Self::Google];

    const fn key(self) -> &'static str {
        match self {
            Self::ObjectId => "objectId",
            Self::Identity => "identity",
            Self::Facebook => "FBID",
            Self::Google => "GPID",
        }
    }
}

/// The person that a record names.
#[derive(Debug)]
pub(crate) struct RecordIdentifier<'r> {
    pub(crate) kind: IdentifierKind,
    pub(crate) id: Cow<'r, str>,
}

/// The first identifier that is present; a null is absent.
///
/// # Errors
///
/// None is present, or the first one is no identifier.
pub(crate) fn find<'r>(record: &'r Json<'_>) -> Result<RecordIdentifier<'r>, Reason> {
    for kind in IdentifierKind::ALL {
        match record.get(kind.key()) {
            None | Some(Json::Null) => {}
            Some(value) => {
                let reason = if kind == IdentifierKind::ObjectId { Reason::ObjectId } else { Reason::Identity };
                return identifier(value).map(|id| RecordIdentifier { kind, id }).ok_or(reason);
            }
        }
    }
    Err(Reason::Identity)
}

/// An identifier's text; numbers are taken too (reference 4.1).
pub(crate) fn identifier<'r>(value: &'r Json<'_>) -> Option<Cow<'r, str>> {
    match value {
        Json::Text(text) if !text.is_empty() && text.chars().count() <= IDENTITY_CHARS_MAX => Some(Cow::Borrowed(text)),
        Json::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}
