//! Buckets and web servers, opened when a statement first names them, with credentials from the environment.
//!
//! In: a URL. Out: its store. DataFusion's default registry knows local files alone.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use datafusion::{
    common::{DataFusionError, Result, plan_err},
    execution::object_store::ObjectStoreRegistry,
};
use object_store::{ObjectStore, local::LocalFileSystem};
use url::{Position, Url};

use super::uploads::{UploadError, Uploads};

/// The stores that are open, by [`address`].
pub(crate) struct ObjectStores {
    open: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
    /// Of any of them.
    upload_error: UploadError,
}

impl Default for ObjectStores {
    fn default() -> Self {
        let upload_error = UploadError::default();
        let local = Uploads::watched(LocalFileSystem::new(), &upload_error);
        Self { open: Mutex::new(HashMap::from([("file://".to_owned(), local)])), upload_error }
    }
}

impl fmt::Debug for ObjectStores {
    /// Not the addresses, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStores").field("open", &self.stores().len()).finish()
    }
}

impl ObjectStores {
    /// Where the errors of uploads are kept.
    pub(crate) fn upload_error(&self) -> UploadError {
        self.upload_error.clone()
    }

    fn stores(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<dyn ObjectStore>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scheme, user and host. The user too: in `abfs://container@account.…` it is the container.
fn address(url: &Url) -> String {
    url[..Position::BeforePath].to_owned()
}

impl ObjectStoreRegistry for ObjectStores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.stores().insert(address(url), store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match self.stores().remove(&address(url)) {
            Some(store) => Ok(store),
            None => plan_err!("no store is open for {}://", url.scheme()),
        }
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let mut stores = self.stores();
        if let Some(store) = stores.get(&address(url)) {
            return Ok(Arc::clone(store));
        }
        let store = Uploads::watched(build_store(url)?, &self.upload_error);
        stores.insert(address(url), Arc::clone(&store));
        Ok(store)
    }
}

#[cfg(feature = "cloud")]
fn build_store(url: &Url) -> Result<Arc<dyn ObjectStore>> {
    let store: Box<dyn ObjectStore> = match url.scheme() {
        // Not by `parse_url_opts`: for some hosts it removes the bucket from the path, and DataFusion does not.
        "http" | "https" => {
            let has_credentials = !url.username().is_empty() || url.password().is_some();
            if has_credentials && datafusion_clevertap::storage::check_encrypted(url).is_err() {
                return plan_err!("http:// would show the user name and password of the URL to the network: name it by https://");
            }
            let plain = object_store::ClientOptions::new().with_allow_http(url.scheme() == "http");
            let built = object_store::http::HttpBuilder::new().with_url(address(url)).with_client_options(plain).build();
            Box::new(built.map_err(DataFusionError::from)?)
        }
        "s3" | "s3a" | "gs" | "az" | "adl" | "azure" | "abfs" | "abfss" => {
            object_store::parse_url_opts(url, credentials(std::env::vars())).map_err(DataFusionError::from)?.0
        }
        other => return unknown_scheme(other),
    };
    Ok(store.into())
}

#[cfg(not(feature = "cloud"))]
fn build_store(url: &Url) -> Result<Arc<dyn ObjectStore>> {
    match url.scheme() {
        scheme @ ("http" | "https" | "s3" | "s3a" | "gs" | "az" | "adl" | "azure" | "abfs" | "abfss") => {
            plan_err!("{scheme}:// needs the feature \"cloud\", without which this program was built")
        }
        other => unknown_scheme(other),
    }
}

fn unknown_scheme(scheme: &str) -> Result<Arc<dyn ObjectStore>> {
    plan_err!("{scheme}:// is not read; expected a path, s3://, gs://, az://, abfs:// or https://")
}

/// The variables meant for the stores. No others are passed on: `TOKEN` or `ENDPOINT` would be taken for a setting too.
#[cfg(feature = "cloud")]
fn credentials(variables: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let theirs = |name: &str| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.to_ascii_uppercase().starts_with(prefix));
    variables.filter(|(name, value)| theirs(name) && !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_that_is_not_read_lists_those_that_are() {
        let error = ObjectStores::default().get_store(&Url::parse("hdfs://host/x").unwrap()).unwrap_err();
        assert!(error.to_string().contains("s3://, gs://, az://"), "{error}");
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn only_variables_of_the_clouds_reach_a_store() {
        let all =
            [("AWS_REGION", "x"), ("CLEVERTAP_PASSCODE", "p"), ("TOKEN", "t"), ("AZURE_STORAGE_ACCOUNT_NAME", "a"), ("AWS_PROFILE", "")];
        let kept = credentials(all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(kept.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["AWS_REGION", "AZURE_STORAGE_ACCOUNT_NAME"]);
    }

    /// Files of failed rows and the log of erasures begin with this proof.
    #[cfg(feature = "cloud")]
    #[tokio::test]
    async fn a_server_that_takes_no_file_is_told_before_anything_leaves() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let read = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            read
        });
        let proof = async |port: u16| {
            let stores = ObjectStores::default();
            let store_of = |url: &Url| stores.get_store(url);
            let folder = datafusion_clevertap::storage::Folder::parse(&format!("http://127.0.0.1:{port}/failed/"), store_of).unwrap();
            folder.probe().await.unwrap_err()
        };
        let refused = proof(port).await;
        assert!(refused.to_string().contains("403"), "{refused}");
        assert!(server.join().unwrap() > 0);
        // Nobody listens there any more. The store tries for minutes, the proof does not.
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        let nobody = proof(port).await;
        assert!(began.elapsed() <= std::time::Duration::from_secs(20), "{nobody}");
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn credentials_do_not_go_over_http_to_another_machine() {
        let open = |url: &str| ObjectStores::default().get_store(&Url::parse(url).unwrap()).map(drop);
        let refused = open("http://ada:secret@files.example.org/x.csv").unwrap_err().to_string();
        assert!(refused.contains("name it by https://") && !refused.contains("secret"), "{refused}");
        for url in ["https://ada:secret@files.example.org/x.csv", "http://files.example.org/x.csv", "http://ada:secret@127.0.0.1:9/x.csv"] {
            open(url).unwrap();
        }
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn two_containers_of_one_account_are_two_stores() {
        let stores = ObjectStores::default();
        for container in ["one", "two"] {
            let url = Url::parse(&format!("abfs://{container}@account.dfs.core.windows.net/x.csv")).unwrap();
            stores.get_store(&url).unwrap();
        }
        assert_eq!(stores.stores().len(), 3);
    }
}
