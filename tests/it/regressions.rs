//! What once departed from the design, each with the sentence that it broke.

use std::sync::Arc;

use clevertap_emulator::{Fault, What};
use clevertap_tests::Scripted;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Error, Region, Secret, register};

use crate::world::{TARGETS, World, ending, numbered, text_of};

/// design.md 3.1: `register` adds schemas to the session. An INSERT must not take them, nor any other table, away.
#[tokio::test(start_paused = true)]
async fn tables_are_still_there_after_an_insert_in_the_files_order() {
    let world = World::new();
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &world.account).expect("registered");
    ctx.clevertap_sql("INSERT INTO clevertap.profiles SELECT 'a' AS identity").await.expect("planned").collect().await.expect("inserted");
    let after = ctx.sql("SELECT accepted FROM clevertap.runs").await;
    assert!(after.is_ok(), "{}", after.expect_err("an error"));
}

/// design.md 3.6.2: "call it before cloning state; tested on a context that was built before".
#[tokio::test(start_paused = true)]
async fn tables_that_were_there_before_register_are_there_after_it() {
    let world = World::new();
    let ctx = SessionContext::new();
    let table = MemTable::try_new(numbered(&[]).schema(), vec![vec![numbered(&[1])]]).expect("a table");
    ctx.register_table("before", Arc::new(table)).expect("a schema");
    register(&ctx, "clevertap", &world.account).expect("registered");
    let after = ctx.sql("SELECT * FROM before").await;
    assert!(after.is_ok(), "{}", after.expect_err("an error"));
}

/// design.md 3.3: "401 …: that body is unsent; the statement stops"; "one that never left … is unsent at once".
#[tokio::test(start_paused = true)]
async fn nothing_leaves_after_a_401() {
    for target in TARGETS {
        let world = target.world(4 * target.rows_max());
        world.one_in_flight().await;
        world.emulator.add_fault(Fault::new(What::Unauthorized).on(target.path()).after(1));
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        assert_eq!(world.sent().len(), 2, "{line}");
    }
}

/// design.md 3.1: "Pushed down: event names, days, simple comparisons …, LIMIT".
#[tokio::test(start_paused = true)]
async fn a_limit_ends_the_look_ups_early() {
    let world = World::new();
    world.source(100);
    world.rows("INSERT INTO clevertap.profiles SELECT concat('k', n) AS identity FROM source").await;
    let keys: Vec<_> = (1..=100).map(|n| format!("'k{n}'")).collect();
    let rows = world.rows(&format!("SELECT identity FROM clevertap.profiles WHERE identity IN ({}) LIMIT 1", keys.join(", "))).await;
    assert_eq!(rows.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);
    let asked = world.sent().iter().filter(|call| call.path == "/1/profile.json").count();
    assert!(asked < 100, "{asked}");
}

/// design.md 3.3: "elsewhere order exists with ORDER BY alone. WriteExec requires one partition and keeps input order".
#[tokio::test(start_paused = true)]
async fn order_by_is_kept() {
    let world = World::new();
    world.source(2_500);
    // One body at a time: those of events do not wait for each other.
    world.set("upload_concurrency", 1).await;
    world
        .rows(
            "INSERT INTO clevertap.events SELECT concat('p', n) AS identity, 'V' AS event_name, 1767225600 + n AS event_time
             FROM source ORDER BY n DESC",
        )
        .await;
    let mut times = Vec::new();
    world.emulator.for_each_event(|event| times.push(event.ts));
    assert_eq!(times.len(), 2_500);
    let breaks = times.windows(2).filter(|pair| pair[0] <= pair[1]).count();
    assert_eq!(breaks, 0, "places where the order is broken");
}

/// style.md 4: "answered with \"status\": \"queued\", which this version does not read; its other key is \"cursor\"": no row in silence.
#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_answered_with_a_status_that_nobody_knows_is_an_error() {
    let world = World::new();
    world.set("retry_for_ms", 20_000).await;
    world.script(vec![Scripted::Answer(200, r#"{"status":"queued","cursor":"x"}"#); 100]);
    let text = text_of(world.run("SELECT name FROM clevertap.profiles WHERE identity = 'somebody'").await);
    assert!(text.contains("queued") && text.contains("[CT-304]"), "{text}");
}

/// A transport whose own fault it is.
#[derive(Debug)]
struct Panics;

#[async_trait::async_trait]
impl datafusion_clevertap::transport::Transport for Panics {
    async fn send(
        &self,
        _: datafusion_clevertap::transport::Call,
    ) -> Result<datafusion_clevertap::transport::Answer, datafusion_clevertap::transport::Failure> {
        panic!("a transport that breaks");
    }
}

/// design.md 3.3: "Every row that an INSERT read ends as exactly one of accepted, rejected, in doubt, unsent".
#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_leaves_every_row_with_a_fate() {
    let settings = AccountSettings::new().with_transport(Arc::new(Panics)).with_own_limits(true);
    let account = Account::open("TEST-123-456Z", Secret::new("passcode"), Region::Eu1, settings).expect("an account");
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &account).expect("registered");
    let insert = "INSERT INTO clevertap.profiles SELECT concat('p', value) AS identity FROM generate_series(1, 2500)";
    let ended = ctx.clevertap_sql(insert).await.expect("planned").collect().await;
    let tally = Error::find(&ended.expect_err("an error")).and_then(Error::tally).expect("four counts");
    assert_eq!(tally.accepted + tally.rejected + tally.in_doubt + tally.unsent, tally.read, "{tally}");
    assert_eq!((tally.read, tally.accepted), (2500, 0), "{tally}");
    assert_eq!(account.failed_rows().len(), 2500);
}
