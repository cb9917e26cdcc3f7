//! The parts of an account that tenants have: what each sees, and what its SQL cannot pass.

use arrow::array::AsArray;
use arrow::util::pretty::pretty_format_batches;
use clevertap_emulator::Settings;
use datafusion_clevertap::{
    Access, register,
    scope::{Ceilings, FailedRowsTo, FullScan, Scope},
};

use crate::embedding::stored;
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn nothing_that_one_scope_did_is_seen_by_another_and_no_sql_passes_its_ceilings() {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    let scope = |tenant: &str, access, ceilings| world.account.scoped(Scope::new(tenant).with_access(access).with_ceilings(ceilings));
    let ceilings = Ceilings::new()
        .with_delete_rows_max(1)
        .with_lookups_max(2)
        .with_upload_concurrency(2)
        .with_read_concurrency(1)
        .with_full_scan(FullScan::Refused)
        .with_failed_rows_to(FailedRowsTo::Nowhere);
    let (acme, zen) = (scope("acme", Access::Erase, ceilings), scope("zen", Access::Write, Ceilings::default()));
    register(&world.ctx, "acme", &acme).expect("registered");
    register(&world.ctx, "zen", &zen).expect("registered");
    world.set("on_reject", "skip").await;
    world.rows("INSERT INTO acme.profiles (identity) VALUES ('p1'), ('')").await;
    world.rows("INSERT INTO zen.profiles (identity) VALUES ('z1')").await;
    assert_eq!(stored(&world), ["p1", "z1"]);

    // By API and by every table.
    assert_eq!((acme.runs().len(), zen.runs().len(), world.account.runs().len()), (1, 1, 0));
    assert_eq!((acme.failed_rows().len(), zen.failed_rows().len()), (1, 0));
    let uid = acme.runs()[0].run_uid.to_string();
    assert!(zen.run(&uid).is_none() && world.account.run(&uid).is_none() && zen.failed_rows_of(&uid).is_empty() && !zen.stop_run(&uid));
    let tables = world.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'zen'").await;
    let mut walked = 0;
    for name in tables.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten()) {
        let read = world.run(&format!("SELECT * FROM zen.{name}")).await;
        walked += usize::from(read.is_ok());
        let shown = read.map_or_else(|error| error.to_string(), |rows| pretty_format_batches(&rows).expect("a table").to_string());
        assert!(!shown.contains(&uid) && !shown.contains("acme"), "{name}: {shown}");
    }
    assert!(walked >= 6, "{walked} tables were read");
    assert!(zen.wait(&uid).await.is_none() && !zen.stop(1) && zen.warnings().is_empty() && acme.run(&uid).is_some());

    // Ceilings: what nobody set is lowered, what somebody set is an error.
    let refused = async |sql: &str, says: &str| {
        let error = world.refused(sql).await;
        assert!(error.contains(says), "{sql}: {error}");
    };
    refused("DELETE FROM acme.profiles WHERE identity IN ('a', 'b')", "would take 2 rows, and clevertap.delete_rows_max is 1").await;
    // No remedy proposes what the scope forbids; whoever tries is told.
    let error = world.refused("DELETE FROM acme.profiles WHERE identity IN ('a', 'b')").await;
    assert!(error.contains("the scope of \"acme\" allows no more") && !error.contains("SET clevertap"), "{error}");
    let error = world.refused("SELECT * FROM acme.profiles").await;
    assert!(error.contains("needs a filter") && !error.contains("full_scan"), "{error}");
    let branch = "SELECT identity FROM acme.profiles WHERE identity IN";
    let union = format!("{branch} ('a', 'b') UNION ALL {branch} ('c', 'd')");
    for sql in [union.clone(), format!("INSERT INTO acme.profiles {union}")] {
        let error = world.refused(&sql).await;
        assert!(error.contains("would look up 4 keys") && error.contains("the scope of \"acme\" allows no more"), "{error}");
    }
    world.rows(&union.replace("acme.", "zen.")).await;
    world.set("delete_rows_max", "2").await;
    let two = "option \"clevertap.delete_rows_max\" is 2, and the scope of \"acme\" allows 1; set it to that, or lower";
    refused("DELETE FROM acme.profiles WHERE identity IN ('a', 'b')", two).await;
    world.set("delete_rows_max", "1").await;
    refused("DELETE FROM zen.profiles WHERE identity = 'a'", "without the right to erase").await;
    refused("SELECT * FROM acme.profiles WHERE identity IN ('a', 'b', 'c')", "lookups_max is 2").await;
    let too_many = "option \"clevertap.delete_rows_max\" is 5000, and the scope of \"acme\" allows 1; set it to that, or lower";
    for (option, value, reset, says) in [
        ("delete_rows_max", "5000", "1", too_many),
        ("upload_concurrency", "3", "2", "option \"clevertap.upload_concurrency\" is 3, and the scope of \"acme\" allows 2"),
        ("read_concurrency", "2", "1", "option \"clevertap.read_concurrency\" is 2, and the scope of \"acme\" allows 1"),
        ("full_scan", "true", "false", "reading everybody is not in the scope of \"acme\""),
        ("failed_rows_to", "failed/", "", "files of failed rows are not in the scope of \"acme\""),
    ] {
        world.set(option, value).await;
        refused("INSERT INTO acme.profiles SELECT 'x' AS identity", says).await;
        world.set(option, reset).await;
        // The remedy that the message shows.
        world.rows("INSERT INTO acme.profiles SELECT 'p1' AS identity").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_of_a_scope_keeps_to_both() {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    let ceilings = Ceilings::new().with_failed_rows_to(FailedRowsTo::Stores);
    let outer = world.account.scoped(Scope::new("outer").with_ceilings(ceilings));
    let inner = outer.scoped(Scope::new("inner").with_access(Access::Erase));
    assert_eq!(inner.access(), Access::Write);
    assert!(format!("{inner:?}").contains("inner"), "{inner:?}");
    register(&world.ctx, "inner", &inner).expect("registered");
    for folder in ["failed/", "/tmp/failed", "file:///tmp/failed/"] {
        world.set("failed_rows_to", folder).await;
        let error = world.refused("INSERT INTO inner.profiles SELECT 'x' AS identity").await;
        assert!(error.contains("folders of this machine are not in the scope of \"outer\""), "{folder}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_has_no_more_requests_in_flight_than_its_ceilings() {
    let world = World::with(Settings { latency_ms: 1_000, ..Settings::default() });
    let scope = Scope::new("acme").with_ceilings(Ceilings::new().with_upload_concurrency(2).with_read_concurrency(1));
    register(&world.ctx, "acme", &world.account.scoped(scope)).expect("registered");
    world.set("body_rows_max", 1).await;
    let peak = |path: &str| world.emulator.report().peak_in_flight[path];
    world.rows("INSERT INTO acme.profiles SELECT concat('p', value) AS identity FROM generate_series(1, 20)").await;
    world.rows("SELECT name FROM acme.profiles WHERE identity IN ('p1', 'p2', 'p3')").await;
    assert_eq!((peak("/1/upload"), peak("/1/profile.json")), (2, 1));
    // The account itself is not bounded by it.
    world.rows("INSERT INTO clevertap.profiles SELECT concat('q', value) AS identity FROM generate_series(1, 20)").await;
    world.rows("SELECT name FROM clevertap.profiles WHERE identity IN ('p1', 'p2', 'p3')").await;
    assert_eq!((peak("/1/upload"), peak("/1/profile.json")), (15, 3));
}
