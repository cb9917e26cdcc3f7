//! What BigQuery's REST API answers, as far as it is read.
//!
//! Numbers of 64 bits are texts there. What is absent is `None`, empty or `false`.

use std::fmt;

use serde::Deserialize;

/// What is wrong, in Google's words: a reason of a list, and a message that may hold a cell.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Complaint {
    pub(super) reason: String,
    pub(super) message: String,
}

impl fmt::Debug for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Complaint").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// The body of an answer that is an error.
#[derive(Deserialize)]
pub(super) struct Failed {
    pub(super) error: FailedError,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct FailedError {
    pub(super) message: String,
    pub(super) errors: Vec<Complaint>,
    pub(super) status: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    pub(super) job_reference: JobReference,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) statistics: Statistics,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobReference {
    pub(super) job_id: String,
    pub(super) location: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) state: String,
    pub(super) error_result: Option<Complaint>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Statistics {
    pub(super) load: Option<LoadStatistics>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoadStatistics {
    pub(super) output_rows: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dataset {
    pub(super) location: Option<String>,
}

/// A table, or a view.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table {
    #[serde(default)]
    pub(super) schema: TableSchema,
    pub(super) num_rows: Option<String>,
    pub(super) table_constraints: Option<Constraints>,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TableSchema {
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Constraints {
    pub(super) primary_key: Option<PrimaryKey>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PrimaryKey {
    pub(super) columns: Vec<String>,
}

/// A column, or a field of a STRUCT.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) mode: String,
    pub(super) fields: Vec<Self>,
    pub(super) max_length: Option<String>,
    pub(super) precision: Option<String>,
    pub(super) scale: Option<String>,
    pub(super) collation: String,
    pub(super) default_value_expression: Option<String>,
    pub(super) generated_column: Option<serde::de::IgnoredAny>,
    pub(super) range_element_type: Option<RangeElement>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RangeElement {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Datasets {
    pub(super) datasets: Vec<ListedDataset>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedDataset {
    pub(super) dataset_reference: DatasetReference,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DatasetReference {
    pub(super) dataset_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tables {
    pub(super) tables: Vec<ListedTable>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedTable {
    pub(super) table_reference: TableReference,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TableReference {
    pub(super) table_id: String,
}
