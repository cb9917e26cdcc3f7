//! One cause has one kind and one code, whether it is met while reading or while writing; and what is no fault of CleverTap, of a setting or of a
//! filter is not called one.

use std::sync::Arc;

use clevertap_tests::Scripted;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::transport::{Answer, Call, Failure, FailureKind, Transport};
use datafusion_clevertap::{Access, Account, AccountSettings, ClevertapSql, Error, ErrorKind, Region, Secret, register};

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
        error.to_string().contains("this runtime has no I/O, or no timers") && error.to_string().contains("AccountSettings::with_runtime"),
        "{error}"
    );
    assert_eq!(emulator.report().requests, 0);
    // Nor do such runtimes help that are given.
    for has_io in [true, false] {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        if has_io {
            builder.enable_io();
        } else {
            builder.enable_time();
        }
        builder.worker_threads(1);
        let half = builder.build().expect("a runtime");
        let error = write(AccountSettings::new().with_runtime(half.handle().clone())).expect_err("half a runtime");
        assert_eq!(
            (shape(&error), Error::find(&error).and_then(Error::tally).map(|tally| tally.unsent)),
            ((ErrorKind::Setting, "CT-101"), Some(1)),
            "{error}"
        );
    }
    let gone = tokio::runtime::Runtime::new().expect("a runtime");
    let handle = gone.handle().clone();
    gone.shutdown_background();
    let error = write(AccountSettings::new().with_runtime(handle)).expect_err("a runtime that is gone");
    assert_eq!(
        (shape(&error), Error::find(&error).and_then(Error::tally).map(|tally| tally.unsent)),
        ((ErrorKind::Setting, "CT-101"), Some(1)),
        "{error}"
    );
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

/// A transport whose own fault it is.
#[derive(Debug)]
struct Panics;

#[async_trait::async_trait]
impl Transport for Panics {
    async fn send(&self, _: Call) -> Result<Answer, Failure> {
        panic!("a transport that breaks");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_is_an_error_of_the_statement_wherever_it_is_called() {
    let settings = AccountSettings::new().with_transport(Arc::new(Panics)).with_own_limits(true).with_access(Access::Erase);
    let account = Account::open("TEST-123-456Z", Secret::new("passcode"), Region::In1, settings).expect("an account");
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &account).expect("registered");
    for sql in [
        READ,
        WRITE,
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-01'",
        "SELECT * FROM clevertap.real_time_counts",
        "SELECT * FROM clevertap.event_schema",
        "UPDATE clevertap.profiles SET \"Plan\" = 'gold' WHERE identity = 'a'",
        "DELETE FROM clevertap.profiles WHERE email = 'a@example.org'",
    ] {
        let ended = async { ctx.clevertap_sql(sql).await?.collect().await };
        let error = ended.await.expect_err(sql);
        assert_eq!(shape(&error), (ErrorKind::Unavailable, "CT-303"), "{sql}: {error}");
        assert!(error.to_string().contains("the account's transport panicked"), "{sql}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_in_doubt_are_said_to_be_in_doubt_also_where_nobody_answered() {
    let world = World::new();
    world.set("retry_for_ms", 20_000).await;
    world.script(vec![Scripted::Fail(FailureKind::Lost, "lost its answer after it was sent (reset)"); 200]);
    let insert = "INSERT INTO clevertap.events SELECT 'Charged' AS event_name, 1767225600 AS event_time, 'a' AS identity";
    let error = world.run(insert).await.expect_err("no answer");
    assert_eq!(shape(&error), (ErrorKind::InDoubt, "CT-402"), "{error}");
    assert!(error.to_string().contains("may store them twice"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn no_link_of_the_chain_of_an_error_has_a_value_of_a_person() {
    let world = World::new();
    world.rows("CREATE TABLE crm AS SELECT 'a' AS identity, arrow_cast('ada@secret.example', 'Utf8') AS mail").await;
    let insert = "INSERT INTO clevertap.profiles SELECT identity, arrow_cast(mail, 'Int32') AS \"N\" FROM crm";
    let error = world.run(insert).await.expect_err("no number");
    let mut shown = format!("{error} {error:?}");
    let mut link: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = link {
        shown.push_str(&format!("{error} {error:?}"));
        link = error.source();
    }
    assert!(!shown.contains("ada@"), "{shown}");
    world.script([Scripted::Answer(400, r#"{"status":"fail","error":"Invalid email ada@secret.example","code":400}"#)]);
    let error = world.run(READ).await.expect_err("refused").to_string();
    assert!(error.contains("Invalid email …") && !error.contains("ada@"), "{error}");
}
