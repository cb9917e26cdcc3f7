//! Syncs that are not run until somebody says so.
//!
//! In: a name. Out: a file, or none.

use chrono::SecondsFormat;
use object_store::ObjectStoreExt;

use super::Ledger;
use super::fault::{Doing, of_store};
use super::files::read_bytes;
use super::store::LedgerStore;
use crate::error::Result;

fn file(sync: &str) -> String {
    format!("paused/{sync}.json")
}

impl Ledger {
    /// Whether a sync is paused from now on.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage).
    pub async fn set_paused(&self, sync: &str, paused: bool) -> Result<()> {
        let (name, store) = (file(sync), LedgerStore::new(self.place()));
        let path = self.place().path(&name);
        let set = match paused {
            true => {
                self.begin().await?;
                let since = self.now().to_rfc3339_opts(SecondsFormat::Secs, true);
                store.put(&path, serde_json::json!({ "paused_at": since }).to_string().into()).await.map(drop)
            }
            false => store.delete(&path).await,
        };
        match set {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(of_store(self.place(), &name, Doing::Writing, &error)),
        }
    }

    /// Whether a sync is paused.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage).
    pub async fn is_paused(&self, sync: &str) -> Result<bool> {
        Ok(read_bytes(self.place(), &file(sync)).await?.is_some())
    }
}
