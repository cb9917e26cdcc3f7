//! Counts that were asked for and are not ready.

use std::collections::HashMap;

use crate::answer::Answer;
use crate::api::Api;

/// Counts whose answers are kept back.
#[derive(Debug, Default)]
pub(crate) struct PendingCounts {
    pub(super) by_id: HashMap<i64, PendingCount>,
    pub(super) count: i64,
}

/// A count that was asked for.
#[derive(Debug)]
pub(super) struct PendingCount {
    pub(super) api: Api,
    pub(super) answer: Answer,
    pub(super) asked_ms: u64,
    pub(super) polls: u32,
}
