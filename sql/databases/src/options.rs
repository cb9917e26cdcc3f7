//! What a statement asks of a write: `SET database.upsert_key = 'id'`.

use std::any::Any;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};

use crate::error::{Error, shown};

/// Options of writes, an extension of a session's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The columns by which REPLACE INTO tells rows apart; without one, the target's primary key. As an option they are separated by commas.
    pub upsert_key: Vec<String>,
}

impl WriteOptions {
    /// Options with a key of upserts.
    #[must_use]
    pub fn with_upsert_key(mut self, columns: Vec<String>) -> Self {
        self.upsert_key = columns;
        self
    }
}

impl ConfigExtension for WriteOptions {
    const PREFIX: &'static str = "database";
}

impl ExtensionOptions for WriteOptions {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if key != "upsert_key" {
            let problem = format!("option \"database.{}\" is not known; there is database.upsert_key", shown(key));
            return Err(DataFusionError::from(Error::Setting(problem)));
        }
        self.upsert_key = value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![ConfigEntry {
            key: "database.upsert_key".into(),
            value: (!self.upsert_key.is_empty()).then(|| self.upsert_key.join(",")),
            description: "columns by which REPLACE INTO a database tells rows apart; without one, the target's primary key",
        }]
    }
}
