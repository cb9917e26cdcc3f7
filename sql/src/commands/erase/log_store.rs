//! Where the log of erasures is stored: a folder of this machine, or a prefix in a bucket.
//!
//! In: objects, each under a new name. Out: the same. An object is complete or absent, and never changes. In a folder it is a file that
//! only its owner can read, since it holds identifiers, and is on the disk before the call returns.

use std::fmt;

use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion_clevertap::storage::Folder;

use crate::{
    config::users_folder,
    failure::{Failure, Result},
    files::object_stores::ObjectStores,
};

/// Names the store where no flag does.
pub(crate) const ERASURE_LOG: &str = "CLEVERTAP_ERASURE_LOG";
/// The ending of an object's name.
const ENDING: &str = ".ndjson";

/// A folder or a prefix for objects.
#[derive(Debug, Clone)]
pub(crate) struct LogStore(pub(crate) Folder);

impl fmt::Display for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl LogStore {
    /// The store that the flag names, else the environment, else the folder of the user's configuration.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a URL of a scheme that is not supported, or where no home folder is known.
    pub(crate) fn open(flag: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let Some(text) = flag.map(str::to_owned).or_else(|| variable(ERASURE_LOG)) else {
            let Some(folder) = users_folder(&variable) else {
                return Err(Failure::Usage(format!(
                    "there is no home to keep the log of erasures in: --log or {ERASURE_LOG} names a folder or a bucket"
                )));
            };
            return Ok(Self(Folder::Local(folder.join("erasures"))));
        };
        let store_of = |url: &url::Url| ObjectStores::default().get_store(url).map_err(|error| error.strip_backtrace());
        let folder = Folder::parse(&text, store_of);
        folder.map(Self).map_err(|why| Failure::Usage(format!("the log of erasures cannot be kept there: {why}")))
    }

    /// The part of this store for `account` of `host`.
    ///
    /// # Errors
    /// One of its folders is none, or a link that leads elsewhere.
    pub(crate) async fn for_account(self, host: &str, account: &str) -> Result<Self> {
        let plain = |text: &str| text.replace(|letter: char| !letter.is_ascii_alphanumeric() && !"-._".contains(letter), "_");
        let by_host = self.0.child(&plain(host));
        let by_account = by_host.child(&plain(account));
        for folder in [&self.0, &by_host, &by_account] {
            folder.check().await.map_err(|error| Self(folder.clone()).failed("kept in", &error))?;
        }
        Ok(Self(by_account))
    }

    /// Proves that objects can be written, and leaves none.
    ///
    /// # Errors
    /// The disk's or the bucket's.
    pub(crate) async fn prove_writable(&self) -> Result<()> {
        self.0.probe().await.map_err(|error| self.failed("written to", &error))
    }

    /// Writes a new object.
    ///
    /// # Errors
    /// The disk's or the bucket's.
    pub(crate) async fn put(&self, stem: &str, object: Vec<u8>) -> Result<()> {
        self.0.put_new(&format!("{stem}{ENDING}"), object).await.map_err(|error| self.failed("written to", &error))
    }

    /// Every object with its name, by name.
    ///
    /// # Errors
    /// The disk's or the bucket's.
    pub(crate) async fn read_all(&self) -> Result<Vec<(String, Vec<u8>)>> {
        self.0.read_all(ENDING).await.map_err(|error| self.failed("read from", &error))
    }

    fn failed(&self, what: &str, why: &std::io::Error) -> Failure {
        Failure::Failed(format!("the log of erasures could not be {what} {self} ({why})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn named(flag: Option<&str>, pairs: &[(&str, &str)]) -> Result<String> {
        let variable = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Ok(LogStore::open(flag, variable)?.for_account("127.0.0.1:80", "../W-1").await?.to_string())
    }

    #[tokio::test]
    async fn a_flag_wins_over_the_environment_and_both_over_the_home_folder() {
        let home = [("HOME", "/home/ada"), ("XDG_CONFIG_HOME", "")];
        assert_eq!(named(None, &home).await.unwrap(), "/home/ada/.config/clevertap-sql/erasures/127.0.0.1_80/.._W-1");
        assert_eq!(named(None, &[("XDG_CONFIG_HOME", "/x")]).await.unwrap(), "/x/clevertap-sql/erasures/127.0.0.1_80/.._W-1");
        assert_eq!(named(None, &[(ERASURE_LOG, "/var/log/e")]).await.unwrap(), "/var/log/e/127.0.0.1_80/.._W-1");
        assert_eq!(named(Some("here"), &[(ERASURE_LOG, "/var/log/e")]).await.unwrap(), "here/127.0.0.1_80/.._W-1");
        assert_eq!(named(None, &[]).await.unwrap_err().code(), 2);
        assert_eq!(named(Some("ftp://x/y"), &home).await.unwrap_err().code(), 2);
        let in_clear = named(Some("http://logs.example.org/e"), &home).await.unwrap_err();
        assert!(in_clear.to_string().contains("http:// would carry people in clear") && in_clear.code() == 2, "{in_clear}");
        #[cfg(feature = "cloud")]
        assert_eq!(named(Some("gs://acme/log/"), &home).await.unwrap(), "gs://acme/log/127.0.0.1_80/.._W-1");
    }
}
