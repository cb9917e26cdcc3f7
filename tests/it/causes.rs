//! One cause has one kind and one code, whether it is met while reading or while writing; and what is no fault of CleverTap, of a setting or of a
//! filter is not called one.

use std::sync::Arc;

use clevertap_tests::Scripted;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::transport::{Answer, Call, Failure, FailureKind, Transport};
use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Error, ErrorKind, Region, Secret, register};

use crate::world::World;

const READ: &str = "SELECT name FROM clevertap.profiles WHERE identity = 'somebody'";
const WRITE: &str = "INSERT INTO clevertap.profiles SELECT 'a' AS identity";

fn shape(error: &datafusion::error::DataFusionError) -> (ErrorKind, &'static str) {
    Error::find(error).map(|error| (error.kind(), error.code())).unwrap_or_else(|| panic!("untyped: {error}"))
}

#[tokio::test(start_paused = true)]
async fn a_cause_has_one_kind_and_one_code_on_reads_and_writes() {
    for (answer, kind, code) in [
        (Scripted::Answer(401, r#"{"status":"fail","error":"Invalid Credentials","code":401}"#), ErrorKind::Unauthorized, "CT-301"),
        (Scripted::Answer(403, ""), ErrorKind::Unauthorized, "CT-301"),
        (Scripted::Answer(400, r#"{"status":"fail","error":"Some rule","code":400}"#), ErrorKind::Refused, "CT-302"),
        (Scripted::Answer(302, ""), ErrorKind::Refused, "CT-302"),
        (Scripted::Fail(FailureKind::NotSent, "could not connect (refused)"), ErrorKind::Unavailable, "CT-303"),
        (Scripted::Answer(429, r#"{"status":"fail","error":"Too many requests"}"#), ErrorKind::Unavailable, "CT-303"),
        (Scripted::Fail(FailureKind::Setup, "was not sent: nobody has plugged it in"), ErrorKind::Setting, "CT-101"),
    ] {
        for sql in [READ, WRITE] {
            let world = World::new();
            world.set("retry_for_ms", 20_000).await;
            world.script(vec![answer.clone(); 100]);
            let error = world.run(sql).await.expect_err(sql);
            assert_eq!(shape(&error), (kind, code), "{sql}: {error}");
            assert!(Error::find(&error).and_then(Error::tally).is_none_or(|tally| tally.in_doubt == 0), "{sql}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_no_file_is_a_fault_of_storage() {
    let world = World::new();
    let file = std::env::temp_dir().join(format!("clevertap-causes-{}", std::process::id()));
    std::fs::write(&file, "no folder").expect("written");
    world.set("failed_rows_to", file.join("below").display()).await;
    let error = world.run(WRITE).await.expect_err("a file is no folder");
    assert_eq!(shape(&error), (ErrorKind::Storage, "CT-102"), "{error}");
    // The remedy.
    std::fs::remove_file(&file).expect("removed");
    world.run(WRITE).await.expect("written");
    std::fs::remove_dir_all(&file).ok();
}

/// A transport that nothing has taught to put files.
#[derive(Debug)]
struct WithoutFiles(Arc<dyn Transport>);

#[async_trait::async_trait]
impl Transport for WithoutFiles {
    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        self.0.send(call).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_puts_no_files_is_a_setting_and_its_list_unsent() {
    let world = World::new();
    let settings = AccountSettings::new()
        .with_transport(Arc::new(WithoutFiles(Arc::clone(&world.transport) as Arc<dyn Transport>)))
        .with_own_limits(true);
    let account = Account::open("TEST-123-456Z", Secret::new("emulator-passcode"), Region::In1, settings).expect("an account");
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &account).expect("registered");
    ctx.sql("SET clevertap.list_email = 'admin@example.org'").await.expect("set");
    let list = "INSERT INTO clevertap.custom_lists SELECT 'VIP' AS list_name, 'a' AS identity";
    let error = ctx.clevertap_sql(list).await.expect("planned").collect().await.expect_err("no file leaves");
    assert_eq!(shape(&error), (ErrorKind::Setting, "CT-101"), "{error}");
    assert!(error.to_string().contains("implement Transport::put"), "{error}");
    assert_eq!(Error::find(&error).and_then(Error::tally).map(|tally| tally.unsent), Some(1), "{error}");
}

/// A runtime as a service has it that keeps computing apart: with timers, and without I/O.
fn computing() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime")
}

#[test]
fn a_runtime_without_io_is_a_setting_and_no_row_is_in_doubt() {
    let network = tokio::runtime::Runtime::new().expect("a runtime");
    let emulator = clevertap_emulator::Emulator::new(clevertap_emulator::Settings::default());
    let server = network.block_on(emulator.serve("127.0.0.1:0")).expect("a server");
    let write = |settings: AccountSettings| {
        let settings = settings.with_endpoint(server.url()).with_own_limits(true);
        let account = Account::open("TEST-123-456Z", Secret::new("emulator-passcode"), None, settings).expect("an account");
        let ctx = SessionContext::new();
        register(&ctx, "clevertap", &account).expect("registered");
        computing().block_on(async move {
            ctx.sql("SET clevertap.schema_check = 'off'").await.expect("set");
            ctx.clevertap_sql(WRITE).await.expect("planned").collect().await
        })
    };
    let error = write(AccountSettings::new()).expect_err("no connection is made");
    assert_eq!(shape(&error), (ErrorKind::Setting, "CT-101"), "{error}");
    let tally = Error::find(&error).and_then(Error::tally).expect("counts");
    assert_eq!((tally.read, tally.unsent, tally.in_doubt), (1, 1, 0), "{error}");
    assert!(
        error.to_string().contains("this runtime has no I/O") && error.to_string().contains("AccountSettings::with_runtime"),
        "{error}"
    );
    assert_eq!(emulator.report().requests, 0);
    // The remedy.
    write(AccountSettings::new().with_runtime(network.handle().clone())).expect("written over the other runtime");
}

#[test]
fn a_runtime_without_timers_is_a_setting_too() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for sql in [READ, WRITE] {
        let error = runtime.block_on(world.run(sql)).expect_err(sql);
        assert_eq!(shape(&error), (ErrorKind::Setting, "CT-101"), "{sql}: {error}");
        assert!(error.to_string().contains("no timers"), "{error}");
    }
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(world.run(WRITE)).expect("written");
}
