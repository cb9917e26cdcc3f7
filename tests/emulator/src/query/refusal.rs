//! Why a query is refused, and the answer that says so.

use crate::answer::Answer;

/// Why a query is refused.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl Refusal {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The answer to give: 400 under HTTP 400 (reference 1.6).
    pub(crate) fn answer(&self) -> Answer {
        Answer::fail(400, &self.0)
    }
}
