//! The log as an append looks at it, which reads nothing of the table.
//!
//! In: the log. Out: the same, but for what the library compares a commit with: there no file is removed. The library holds an append without a
//! predicate for one that has read all files, and gives it up when another writer has removed one. Columns and properties that changed meanwhile
//! still end it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake_core::DeltaResult;
use deltalake_core::kernel::Version;
use deltalake_core::kernel::transaction::TransactionError;
use deltalake_core::logstore::{CommitOrBytes, LogStore, LogStoreConfig, LogStoreRef};
use object_store::ObjectStore;
use serde_json::Value;
use uuid::Uuid;

/// A log whose other commits remove nothing.
pub(super) struct BlindLog(pub(super) LogStoreRef);

impl fmt::Debug for BlindLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindLog")
    }
}

/// The lines of a commit, without those that remove a file. A line that is no JSON stays, for the library to refuse.
fn without_removals(commit: &Bytes) -> Bytes {
    let is_removal = |line: &[u8]| serde_json::from_slice::<Value>(line).is_ok_and(|action| action.get("remove").is_some());
    let kept: Vec<&[u8]> = commit.split(|byte| *byte == b'\n').filter(|line| !is_removal(line)).collect();
    kept.join(&b'\n').into()
}

#[async_trait]
impl LogStore for BlindLog {
    /// By the inner's: the library asks by name whether commits are conditional puts.
    fn name(&self) -> String {
        self.0.name()
    }

    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        Ok(self.0.read_commit_entry(version).await?.as_ref().map(without_removals))
    }

    async fn write_commit_entry(&self, version: Version, commit: CommitOrBytes, operation: Uuid) -> Result<(), TransactionError> {
        self.0.write_commit_entry(version, commit, operation).await
    }

    async fn abort_commit_entry(&self, version: Version, commit: CommitOrBytes, operation: Uuid) -> Result<(), TransactionError> {
        self.0.abort_commit_entry(version, commit, operation).await
    }

    async fn get_latest_version(&self, start: Version) -> DeltaResult<Version> {
        self.0.get_latest_version(start).await
    }

    fn object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.0.object_store(operation)
    }

    fn root_object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.0.root_object_store(operation)
    }

    fn config(&self) -> &LogStoreConfig {
        self.0.config()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_alone_are_left_out() {
        let commit = Bytes::from("{\"commitInfo\":{}}\n{ \"remove\" : {\"path\":\"a\"} }\n{\"add\":{\"path\":\"remove\"}}\nno json\n");
        assert_eq!(without_removals(&commit), "{\"commitInfo\":{}}\n{\"add\":{\"path\":\"remove\"}}\nno json\n");
    }
}
