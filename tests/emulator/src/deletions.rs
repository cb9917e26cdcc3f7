//! Delete requests, from their acceptance to the hour when they are carried out (reference 9.1).

/// A delete request that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The identities that it names; empty if it names devices.
    pub identities: Vec<String>,
    /// The devices that it names.
    pub guids: Vec<String>,
    /// When it came, in epoch seconds of the account's clock.
    pub requested_at: i64,
    /// When it is carried out.
    pub due_at: i64,
    /// Whether it was carried out.
    pub is_done: bool,
}

/// All delete requests, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Deletions(pub(crate) Vec<Deletion>);
