//! The flags of an export.

/// What a record carries besides the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) app: bool,
    pub(crate) events: bool,
    pub(crate) profile: bool,
}
