//! Which database a driver reaches, by the driver's own word, and so what is known of it.

/// A database whose SQL is known, or any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vendor {
    Snowflake,
    Postgres,
    Sqlite,
    /// Read alone, without filters and limits. Its names are quoted by this character.
    Other(char),
}

impl Vendor {
    pub(super) fn of(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "snowflake" => Self::Snowflake,
            "postgresql" => Self::Postgres,
            "sqlite" => Self::Sqlite,
            "bigquery" | "databricks" | "mariadb" | "mysql" | "spark" => Self::Other('`'),
            _ => Self::Other('"'),
        }
    }
}

/// What a driver says that it reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) vendor: Vendor,
    /// For messages.
    pub(super) name: String,
}
