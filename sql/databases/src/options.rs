//! What a statement asks of a write: `SET database.upsert_key = 'id'`.

use std::any::Any;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};

use crate::error::{Error, shown};

/// What INSERT OVERWRITE replaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overwrite {
    /// All rows of the table, the default.
    #[default]
    Table,
    /// Of a table that is partitioned, the partitions that the source has rows for; of another, all rows. Databases know no partitions.
    Partitions,
}

/// Options of writes, an extension of a session's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The columns by which REPLACE INTO tells rows apart; without one, the target's primary key. As an option they are separated by commas.
    pub upsert_key: Vec<String>,
    /// What INSERT OVERWRITE replaces: `'table'` or `'partitions'`.
    pub overwrite: Overwrite,
}

impl WriteOptions {
    /// Options with a key of upserts.
    #[must_use]
    pub fn with_upsert_key(mut self, columns: Vec<String>) -> Self {
        self.upsert_key = columns;
        self
    }

    /// Options with another extent of INSERT OVERWRITE.
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: Overwrite) -> Self {
        self.overwrite = overwrite;
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
        let wrong = |problem: String| Err(DataFusionError::from(Error::Setting(problem)));
        match key {
            "upsert_key" => {
                self.upsert_key = value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
            }
            "overwrite" => {
                self.overwrite = match value {
                    "table" => Overwrite::Table,
                    "partitions" => Overwrite::Partitions,
                    _ => return wrong("option \"database.overwrite\" is 'table' or 'partitions'".into()),
                };
            }
            _ => {
                return wrong(format!(
                    "option \"database.{}\" is not known; there are database.upsert_key and database.overwrite",
                    shown(key)
                ));
            }
        }
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        let overwrite = if self.overwrite == Overwrite::Table { "table" } else { "partitions" };
        vec![
            ConfigEntry {
                key: "database.upsert_key".into(),
                value: (!self.upsert_key.is_empty()).then(|| self.upsert_key.join(",")),
                description: "columns by which REPLACE INTO a database tells rows apart; without one, the target's primary key",
            },
            ConfigEntry {
                key: "database.overwrite".into(),
                value: Some(overwrite.into()),
                description: "what INSERT OVERWRITE of a partitioned Delta table replaces: 'table', all of it, or 'partitions', those that the source has rows for",
            },
        ]
    }
}
