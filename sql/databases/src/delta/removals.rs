//! What a write sees of the files that other writers removed meanwhile.
//!
//! In: the log. Out: the same, but for what the library compares a commit with. An append reads nothing of the table, and sees no file removed: the
//! library holds it for one that has read all files, and would give it up. Every other write sees each removal as one of rows: the library
//! passes those of a compaction by, though the file that a replace or a merge takes out then stands in the table a second time, under another
//! name. Columns and properties that changed meanwhile end all of them.

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

/// How files that others removed are seen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Removals {
    LeftOut,
    OfRows,
}

/// A log whose commits of others are seen so.
pub(super) struct SeenLog {
    log: LogStoreRef,
    removals: Removals,
}

impl SeenLog {
    pub(super) fn new(log: LogStoreRef, removals: Removals) -> Arc<Self> {
        Arc::new(Self { log, removals })
    }
}

impl fmt::Debug for SeenLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeenLog").field("removals", &self.removals).finish_non_exhaustive()
    }
}

/// The lines of a commit. One that is no JSON stays as it is, for the library to refuse.
fn seen(commit: &Bytes, removals: Removals) -> Bytes {
    let line = |line: &[u8]| match (serde_json::from_slice::<Value>(line), removals) {
        (Ok(mut action), removals) if action.get("remove").is_some() => match removals {
            Removals::LeftOut => None,
            Removals::OfRows => {
                action["remove"]["dataChange"] = true.into();
                Some(action.to_string().into_bytes())
            }
        },
        _ => Some(line.to_vec()),
    };
    commit.split(|byte| *byte == b'\n').filter_map(line).collect::<Vec<_>>().join(&b'\n').into()
}

#[async_trait]
impl LogStore for SeenLog {
    /// By the inner's: the library asks by name whether commits are conditional puts.
    fn name(&self) -> String {
        self.log.name()
    }

    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        Ok(self.log.read_commit_entry(version).await?.as_ref().map(|commit| seen(commit, self.removals)))
    }

    async fn write_commit_entry(&self, version: Version, commit: CommitOrBytes, operation: Uuid) -> Result<(), TransactionError> {
        self.log.write_commit_entry(version, commit, operation).await
    }

    async fn abort_commit_entry(&self, version: Version, commit: CommitOrBytes, operation: Uuid) -> Result<(), TransactionError> {
        self.log.abort_commit_entry(version, commit, operation).await
    }

    async fn get_latest_version(&self, start: Version) -> DeltaResult<Version> {
        self.log.get_latest_version(start).await
    }

    fn object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.log.object_store(operation)
    }

    fn root_object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.log.root_object_store(operation)
    }

    fn config(&self) -> &LogStoreConfig {
        self.log.config()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_alone_are_left_out_or_of_rows() {
        let commit = Bytes::from(
            "{\"commitInfo\":{}}\n{ \"remove\" : {\"path\":\"a\",\"dataChange\":false} }\n{\"add\":{\"path\":\"remove\"}}\nno json\n",
        );
        let without = "{\"commitInfo\":{}}\n{\"add\":{\"path\":\"remove\"}}\nno json\n";
        assert_eq!(seen(&commit, Removals::LeftOut), without);
        let of_rows = String::from_utf8(seen(&commit, Removals::OfRows).to_vec()).expect("text");
        let lines: Vec<_> = of_rows.lines().collect();
        let removal: Value = serde_json::from_str(lines[1]).expect("JSON");
        assert_eq!(
            (removal["remove"]["path"].as_str(), removal["remove"]["dataChange"].as_bool(), lines.len()),
            (Some("a"), Some(true), 4)
        );
    }
}
