//! A query service for two tenants: SQL over HTTP, progress, cancellation, typed errors, a shutdown that loses nothing.
//!
//! ```text
//! POST   /{tenant}/sql          a statement, as text          200 with rows and runs, or an error with its code and its four counts
//! GET    /{tenant}/runs/{uid}   how a run stands              200, or 404 where this tenant has no such run; `latest` is the last that began
//! DELETE /{tenant}/runs/{uid}   stops it                      202, or 404
//! ```
//!
//! `CLEVERTAP_ACCOUNT_ID=… CLEVERTAP_PASSCODE=… CLEVERTAP_REGION=in1 cargo run --example service -- 127.0.0.1:8080`
//!
//! The tenants `shop` and `bank` share one CleverTap account, its connections and its budget. Each has a scope of it: runs, failed rows and
//! ceilings of its own. A client that is gone has its statement stopped. Ctrl-C or SIGTERM stops all statements, and waits until each row
//! has its fate.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use datafusion::arrow::json::ArrayWriter;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::scope::{Ceilings, FailedRowsTo, Scope};
use datafusion_clevertap::url::Url;
use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Error, ErrorKind, Region, Run, Secret, register, run_uids};
use serde_json::{Value, json};

type Tenants = Arc<HashMap<&'static str, Tenant>>;

/// A tenant: a scope of the account, and a context that has it.
struct Tenant {
    account: Account,
    ctx: SessionContext,
}

impl Tenant {
    fn open(name: &str, account: &Account) -> Result<Self, Box<dyn std::error::Error>> {
        let ceilings = Ceilings::new().with_lookups_max(1_000).with_failed_rows_to(FailedRowsTo::Nowhere);
        let account = account.scoped(Scope::new(name).with_ceilings(ceilings));
        let ctx = SessionContext::new();
        // COPY counts as DML, and every runtime has the file system of its machine: this one no longer.
        ctx.runtime_env().deregister_object_store(&Url::parse("file:///")?)?;
        register(&ctx, "clevertap", &account)?;
        Ok(Self { account, ctx })
    }

    fn run(&self, uid: &str) -> Result<Run, Refusal> {
        self.account.run(uid).ok_or(Refusal::NotFound)
    }
}

/// Stops the runs of a statement whose client is gone: hyper drops the handler's future.
struct StopWithClient {
    account: Account,
    uids: Vec<String>,
}

impl Drop for StopWithClient {
    fn drop(&mut self) {
        for uid in &self.uids {
            self.account.stop_run(uid);
        }
    }
}

/// Runs a statement. The work is in a task of its own, so that a client that goes away stops it and does not drop it: what is in flight ends,
/// and every row gets its fate.
async fn run_sql(State(tenants): State<Tenants>, Path(tenant): Path<String>, sql: String) -> Result<Json<Value>, Refusal> {
    let tenant = tenants.get(tenant.as_str()).ok_or(Refusal::NotFound)?;
    // A tenant sets no options, and reads and writes no files of this machine.
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_statements(false);
    let frame = tenant.ctx.clevertap_sql_with_options(&sql, options).await?;
    let task = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    let uids: Vec<String> = run_uids(&plan).iter().map(ToString::to_string).collect();
    let client = StopWithClient { account: tenant.account.clone(), uids: uids.clone() };
    #[expect(clippy::disallowed_methods, reason = "what drops this future must not drop the statement: its runs are stopped")]
    let statement = tokio::spawn(collect(plan, task));
    let rows = statement.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
    drop(client);
    let mut writer = ArrayWriter::new(Vec::new());
    writer.write_batches(&rows.iter().collect::<Vec<_>>()).map_err(DataFusionError::from)?;
    writer.finish().map_err(DataFusionError::from)?;
    let rows: Value = serde_json::from_slice(&writer.into_inner()).unwrap_or_default();
    let runs: Vec<Value> = uids.iter().filter_map(|uid| tenant.account.run(uid)).map(|run| progress(&run)).collect();
    Ok(Json(json!({ "rows": rows, "runs": runs })))
}

async fn show_run(State(tenants): State<Tenants>, Path((tenant, uid)): Path<(String, String)>) -> Result<Json<Value>, Refusal> {
    let tenant = tenants.get(tenant.as_str()).ok_or(Refusal::NotFound)?;
    // "latest" is the last that began.
    let run = if uid == "latest" { tenant.account.runs().pop().ok_or(Refusal::NotFound)? } else { tenant.run(&uid)? };
    Ok(Json(progress(&run)))
}

async fn stop_run(State(tenants): State<Tenants>, Path((tenant, uid)): Path<(String, String)>) -> Result<StatusCode, Refusal> {
    let tenant = tenants.get(tenant.as_str()).ok_or(Refusal::NotFound)?;
    if tenant.account.stop_run(&uid) { Ok(StatusCode::ACCEPTED) } else { Err(Refusal::NotFound) }
}

fn progress(run: &Run) -> Value {
    let tally = run.tally;
    json!({
        "run_uid": &*run.run_uid,
        "table": run.table_name,
        "status": run.status.to_string(),
        "read": tally.read,
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "in_doubt": tally.in_doubt,
        "unsent": tally.unsent,
    })
}

/// Why a request is not answered as it wished.
enum Refusal {
    NotFound,
    Failed(DataFusionError),
}

impl From<DataFusionError> for Refusal {
    fn from(error: DataFusionError) -> Self {
        Self::Failed(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = match self {
            Self::NotFound => return StatusCode::NOT_FOUND.into_response(),
            Self::Failed(error) => error,
        };
        let Some(ours) = Error::find(&error) else {
            // Not of the plugin: the SQL, or a file. DataFusion's text may hold what was typed; the tenant typed it.
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": error.strip_backtrace() }))).into_response();
        };
        let status = match ours.kind() {
            ErrorKind::Filter | ErrorKind::Unwritable | ErrorKind::NotAppend | ErrorKind::TooMany => StatusCode::BAD_REQUEST,
            ErrorKind::Setting | ErrorKind::TypeMismatch => StatusCode::BAD_REQUEST,
            ErrorKind::Declined | ErrorKind::Unauthorized => StatusCode::FORBIDDEN,
            ErrorKind::Rejected | ErrorKind::InDoubt => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::StoppedByHand => StatusCode::CONFLICT,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Refused | ErrorKind::Answer => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let counts = ours.tally().map(|tally| {
            json!({ "read": tally.read, "accepted": tally.accepted, "rejected": tally.rejected, "in_doubt": tally.in_doubt, "unsent": tally.unsent })
        });
        let run_uid = ours.outcome().map(|outcome| outcome.run_uid.to_string());
        (status, Json(json!({ "code": ours.code(), "error": ours.to_string(), "run_uid": run_uid, "counts": counts }))).into_response()
    }
}

/// Ctrl-C, or what an orchestrator sends.
async fn asked_to_end() {
    let terminated = async {
        #[cfg(unix)]
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (id, passcode) = (std::env::var("CLEVERTAP_ACCOUNT_ID")?, Secret::new(std::env::var("CLEVERTAP_PASSCODE")?));
    let region: Option<Region> = std::env::var("CLEVERTAP_REGION").ok().map(|region| region.parse()).transpose()?;
    let mut settings = AccountSettings::new();
    settings.endpoint = std::env::var("CLEVERTAP_ENDPOINT").ok();
    let account = Account::open(id, passcode, region, settings)?;
    let mut tenants = HashMap::new();
    for name in ["shop", "bank"] {
        tenants.insert(name, Tenant::open(name, &account)?);
    }
    let tenants: Tenants = Arc::new(tenants);
    let app = Router::new()
        .route("/{tenant}/sql", post(run_sql))
        .route("/{tenant}/runs/{uid}", get(show_run).delete(stop_run))
        .with_state(Arc::clone(&tenants));
    let listener = tokio::net::TcpListener::bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8080")).await?;
    writeln(&format!("listening on {}", listener.local_addr()?))?;
    // From then on no connection is taken. Statements that run are stopped, those that begin late too, and each answers with its counts.
    let (end, ending) = tokio::sync::oneshot::channel();
    let served = axum::serve(listener, app).with_graceful_shutdown(async move {
        asked_to_end().await;
        end.send(()).ok();
    });
    let stop_all = async {
        ending.await.ok();
        loop {
            for tenant in tenants.values() {
                tenant.account.shutdown(Duration::from_secs(30)).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        served = served.into_future() => served?,
        () = stop_all => {}
    }
    for run in tenants.values().flat_map(|tenant| tenant.account.runs()) {
        writeln(&format!("{} {}: {}", run.run_uid, run.status, run.tally))?;
    }
    Ok(())
}

fn writeln(line: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}")
}
