//! What an embedder does in his first hour, with the published crate alone: accounts over a transport of his own, a scope for a tenant, two
//! contexts, a statement with its run, fates, failed rows and a typed error. It needs no network, and panics where something is amiss.

use std::sync::{Arc, Mutex};

use datafusion_clevertap::datafusion::error::Result;
use datafusion_clevertap::datafusion::execution::SessionStateBuilder;
use datafusion_clevertap::datafusion::physical_plan::collect;
use datafusion_clevertap::datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_clevertap::hooks::{EraseConsent, FateWatch};
use datafusion_clevertap::register::{register_in, unregister};
use datafusion_clevertap::scope::{Ceilings, Scope};
use datafusion_clevertap::transport::{Answer, Call, Failure, Transport};
use datafusion_clevertap::{
    Access, Account, AccountSettings, ClevertapSql, Error, ErrorKind, Region, Secret, async_trait, register, run_uids,
};

/// Answers in process, as CleverTap does.
#[derive(Debug, Default)]
struct Answers {
    paths: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for Answers {
    async fn send(&self, call: Call) -> std::result::Result<Answer, Failure> {
        self.paths.lock().expect("paths").push(call.url.path().to_owned());
        let records = call.body.windows(8).filter(|bytes| bytes == b"\"type\":\"").count();
        Ok(Answer::new(200, format!(r#"{{"status":"success","processed":{records},"unprocessed":[]}}"#)))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let (id, passcode) = ("ABC-12D-345Z", || Secret::new("a-passcode"));
    let unsent = Account::open(id, passcode(), Region::In1, AccountSettings::new()).expect_err("no HTTPS is compiled in");
    assert_eq!(unsent.kind(), ErrorKind::Setting, "{unsent}");

    let answers = Arc::new(Answers::default());
    let settings = AccountSettings::new().with_access(Access::Erase).with_transport(Arc::clone(&answers) as Arc<dyn Transport>);
    let account = Account::open(id, passcode(), Region::In1, settings)?;
    let acme = account.scoped(Scope::new("acme").with_access(Access::Erase).with_ceilings(Ceilings::new().with_delete_rows_max(1)));

    let settled = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&settled);
    let watch = FateWatch::new(move |rows| *counter.lock().expect("a count") += rows.rows.len());
    let consent = EraseConsent::new(|erasure| Box::pin(async move { erasure.label == "gdpr" }));
    let config = SessionConfig::new().with_extension(Arc::new(watch)).with_extension(Arc::new(consent));
    let shop = SessionContext::new_with_config(config);
    register(&shop, "shop", &acme)?;
    let state = register_in(SessionStateBuilder::new().with_default_features(), "everything", &account)?;
    let everything = SessionContext::new_with_state(state.build());

    shop.sql("SET clevertap.schema_check = 'off'").await?;
    let load = "INSERT INTO shop.profiles SELECT concat('p', value) AS identity, ct_incr(1) AS \"Visits\" FROM generate_series(1, 3)";
    let frame = shop.clevertap_sql(load).await?;
    let task = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    let uids = run_uids(&plan);
    collect(plan, task).await?;
    let run = acme.run(&uids[0]).expect("a run");
    assert_eq!((run.tally.accepted, *settled.lock().expect("a count")), (3, 3), "{}", run.tally);
    assert!(account.runs().is_empty(), "a run of the scope is the scope's");

    let declined = shop.clevertap_sql("DELETE FROM shop.profiles WHERE identity = 'p1'").await?.collect().await.expect_err("a no");
    assert_eq!(Error::find(&declined).map(Error::kind), Some(ErrorKind::Declined), "{declined}");
    let missing = everything.clevertap_sql("SELECT * FROM everything.profiles").await.expect("planned").collect().await;
    assert_eq!(missing.err().as_ref().and_then(Error::find).map(Error::kind), Some(ErrorKind::Filter));
    assert!(unregister(&everything, "everything")? && everything.sql("SELECT * FROM everything.runs").await.is_err());
    println!("{} in {} requests", run.tally, answers.paths.lock().expect("paths").len());
    Ok(())
}
