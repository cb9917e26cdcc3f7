//! A stand-in for BigQuery for all tests of this binary, and a client of theirs.

use std::sync::OnceLock;

use clevertap_databases::{Access, DatabaseSettings};
use datafusion::prelude::SessionContext;
use serde_json::{Value, json};

use crate::started::{Server, start};
pub(crate) use crate::statements::{refusal, rows, session_of, shown};

/// The server. `None`, and a line that says why, where it cannot be installed.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| start("bigquery.sh")).as_ref()
}

/// Settings of the project `acme`, to read and to write, as `wh`.
pub(crate) fn settings(port: u16) -> DatabaseSettings {
    let settings = DatabaseSettings::new("wh", "bigquery://acme").expect("settings").with_access(Access::Write);
    settings.with_endpoint(&format!("http://127.0.0.1:{port}")).expect("an endpoint")
}

impl Server {
    pub(crate) fn session(&self) -> SessionContext {
        session_of(settings(self.port))
    }

    /// A new dataset.
    pub(crate) async fn dataset(&self, name: &str, statements: &str) {
        let url = format!("http://127.0.0.1:{}/bigquery/v2/projects/acme/datasets", self.port);
        let body = json!({ "datasetReference": { "projectId": "acme", "datasetId": name } });
        post(&url, &body).await;
        for sql in statements.split(';').filter(|sql| !sql.trim().is_empty()) {
            self.run(sql).await;
        }
    }

    /// A new table of a dataset, whose columns have types that the stand-in's DDL forgets.
    pub(crate) async fn table(&self, dataset: &str, name: &str, fields: Value) {
        let url = format!("http://127.0.0.1:{}/bigquery/v2/projects/acme/datasets/{dataset}/tables", self.port);
        let reference = json!({ "projectId": "acme", "datasetId": dataset, "tableId": name });
        let body = json!({ "tableReference": reference, "schema": { "fields": fields } });
        post(&url, &body).await;
    }

    /// The rows of a query as one text: `1,a 2,NULL`.
    pub(crate) async fn run(&self, sql: &str) -> String {
        let url = format!("http://127.0.0.1:{}/bigquery/v2/projects/acme/queries", self.port);
        let body = json!({ "query": sql, "useLegacySql": false });
        let answer = post(&url, &body).await;
        assert!(answer.get("errors").is_none() && answer.get("error").is_none(), "{sql}: {answer}");
        let cell = |cell: &Value| cell["v"].as_str().map_or_else(|| cell["v"].to_string(), str::to_owned);
        let row = |row: &Value| row["f"].as_array().expect("cells").iter().map(cell).collect::<Vec<_>>().join(",");
        answer["rows"].as_array().map_or_else(String::new, |rows| rows.iter().map(row).collect::<Vec<_>>().join(" "))
    }

    /// How many staging tables there are in a dataset.
    pub(crate) async fn staged(&self, dataset: &str) -> String {
        self.run(&format!("SELECT COUNT(*) FROM `{dataset}`.INFORMATION_SCHEMA.TABLES WHERE table_name LIKE 'clevertap_stage_%'")).await
    }
}

/// What the stand-in answers, which is a success.
#[expect(clippy::disallowed_methods, reason = "the stand-in is on this machine, and its answers are small")]
async fn post(url: &str, body: &Value) -> Value {
    let answer = reqwest::Client::new().post(url).body(body.to_string()).send().await.expect("an answer");
    let (status, text) = (answer.status(), answer.text().await.expect("a text"));
    assert!(status.is_success(), "{text}");
    serde_json::from_str(&text).expect("JSON")
}
