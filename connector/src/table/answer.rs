//! What a good answer of a read call looks like: data, beside the call that it is of.
//!
//! In: nothing. Out: what `read/answer` holds an answer against. Whatever is not said here is an error: an answer of another shape is
//! never taken for "there is none". Sources: the reference's sections of each call, and what peers saw live.

/// The words of `status`, compared in any case, and what the answer holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerForm {
    /// An answer with one of these is complete. Without any, answers of the call have no `status`.
    pub(crate) complete: &'static [&'static str],
    /// With one of these CleverTap is not ready, and is asked again.
    pub(crate) pending: &'static [&'static str],
    pub(crate) payload: Payload,
    /// The key of the number of all records of a list, beside the list.
    pub(crate) total: Option<&'static str>,
}

/// What a complete answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// An object under this key. There is none if it is `null`, or if the key is absent and no other key holds an object or a list.
    Record(&'static str),
    /// A list of objects or names under this key. It is empty on the same conditions.
    List(&'static str),
    /// A whole number from 0 on under this key.
    Count(&'static str),
    /// An object for each group that was asked for, under the group's name.
    Groups,
    /// The keys of the answer itself, with a whole number from 0 on under this one.
    Itself(&'static str),
}

impl AnswerForm {
    /// An answer that is complete with `success`, as most are.
    pub(crate) const fn success(payload: Payload) -> Self {
        Self { complete: &["success"], pending: &[], payload, total: None }
    }

    /// An answer that is computed: `partial` with a request id until it is there.
    pub(crate) const fn computed(payload: Payload) -> Self {
        Self { complete: &["success"], pending: &["partial"], payload, total: None }
    }

    /// An answer without a `status`.
    pub(crate) const fn without_status(payload: Payload) -> Self {
        Self { complete: &[], pending: &[], payload, total: None }
    }

    /// The same answer, with the number of all records of its list under `key`.
    pub(crate) const fn with_total(self, key: &'static str) -> Self {
        Self { total: Some(key), ..self }
    }

    /// The key under which the answer holds what was asked for.
    pub(crate) const fn key(&self) -> Option<&'static str> {
        match self.payload {
            Payload::Record(key) | Payload::List(key) | Payload::Count(key) => Some(key),
            Payload::Groups | Payload::Itself(_) => None,
        }
    }
}
