//! A service that embeds the plugin: several tenants and contexts in one process, each with accounts of its own.

use std::sync::{Arc, Mutex};

use arrow::util::pretty::pretty_format_batches;
use clevertap_emulator::Settings;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::config::Dialect;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_clevertap::{
    Access, ClevertapSql, Error, ErrorKind, Options,
    hooks::{EraseConsent, FateWatch},
    optimizer, register,
    register::{event_schema_provider, register_in, schema_provider, unregister},
    run_uids,
    runs::Status,
    session::ClevertapPlan,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::World;

/// Everybody who is stored in the project of a world.
pub(crate) fn stored(world: &World) -> Vec<String> {
    let bodies = world.sent_to("/1/upload").into_iter().map(|call| call.body);
    let mut identities: Vec<String> = bodies
        .flat_map(|body| {
            let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            let records = body["d"].as_array().cloned().unwrap_or_default();
            records.into_iter().map(|record| record["identity"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    identities.sort();
    identities
}

/// A catalogue list with a default catalogue and schema of its own.
fn catalogs() -> Arc<dyn CatalogProviderList> {
    use datafusion::catalog::CatalogProvider;
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema("public", Arc::new(MemorySchemaProvider::new())).expect("a schema");
    let list = MemoryCatalogProviderList::new();
    list.register_catalog("datafusion".into(), Arc::new(catalog));
    Arc::new(list)
}

/// The state of `ctx` with another catalogue list, as a service makes it for another tenant.
fn with_own_catalogs(ctx: &SessionContext) -> SessionContext {
    SessionContext::new_with_state(SessionStateBuilder::new_from_existing(ctx.state()).with_catalog_list(catalogs()).build())
}

/// Writes the person `identity` to the account that is registered as `name`, by one of the entry points.
async fn write(ctx: &SessionContext, name: &str, identity: &str, entry_point: usize) -> datafusion::error::Result<()> {
    let insert = format!("INSERT INTO {name}.profiles SELECT '{identity}' AS identity, 'gold' AS \"Plan\"");
    match entry_point {
        0 => ctx.clevertap_sql(&insert).await?.collect().await.map(drop),
        1 => ctx.sql(&format!("INSERT INTO {name}.profiles (identity) VALUES ('{identity}')")).await?.collect().await.map(drop),
        2 => {
            let copy = format!("COPY (SELECT '{identity}' AS identity) TO 'clevertap://{name}/profiles' STORED AS CLEVERTAP");
            ctx.sql(&copy).await?.collect().await.map(drop)
        }
        3 => {
            let table = format!("people_{}", identity.replace('-', "_"));
            let create =
                format!("CREATE EXTERNAL TABLE {table} (identity VARCHAR) STORED AS CLEVERTAP LOCATION 'clevertap://{name}/profiles'");
            ctx.sql(&create).await?.collect().await?;
            ctx.sql(&format!("INSERT INTO {table} VALUES ('{identity}')")).await?.collect().await.map(drop)
        }
        _ => {
            let rows = ctx.sql(&format!("SELECT '{identity}' AS identity")).await?;
            rows.write_table(&format!("{name}.profiles"), DataFrameWriteOptions::new()).await.map(drop)
        }
    }
}

const ENTRY_POINTS: usize = 5;

#[tokio::test(start_paused = true)]
async fn two_tenants_of_one_name_reach_their_own_account_by_every_entry_point() {
    let (one, other) = (World::new(), World::new());
    // A clone of the first tenant's state, with a catalogue list of its own.
    let ctx = with_own_catalogs(&one.ctx);
    register(&ctx, "clevertap", &other.account).expect("registered");
    for entry_point in 0..ENTRY_POINTS {
        write(&one.ctx, "clevertap", &format!("one-{entry_point}"), entry_point).await.expect("written");
        write(&ctx, "clevertap", &format!("other-{entry_point}"), entry_point).await.expect("written");
    }
    let named = |tenant: &str| (0..ENTRY_POINTS).map(|at| format!("{tenant}-{at}")).collect::<Vec<_>>();
    assert_eq!((stored(&one), stored(&other)), (named("one"), named("other")));
}

#[tokio::test(start_paused = true)]
async fn a_row_arrives_in_the_account_that_its_context_says_or_its_statement_is_an_error() {
    let seed = std::env::var("CLEVERTAP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..20 {
        let worlds: Vec<World> = (0..4).map(|_| World::new()).collect();
        let names = ["clevertap", "shop", "Other Shop"];
        let mut contexts: Vec<(SessionContext, Vec<Option<usize>>)> = Vec::new();
        for at in 0..3 {
            let fresh = || SessionContext::new_with_config(SessionConfig::new());
            let ctx = match contexts.first() {
                Some((first, _)) if rng.random() => with_own_catalogs(first),
                _ if at > 0 && rng.random() => {
                    SessionContext::new_with_state(SessionStateBuilder::new().with_default_features().with_catalog_list(catalogs()).build())
                }
                _ => fresh(),
            };
            contexts.push((ctx, vec![None; names.len()]));
        }
        let mut expected: Vec<Vec<String>> = vec![Vec::new(); worlds.len()];
        for step in 0..30 {
            let (ctx, registered) = {
                let at = rng.random_range(0..contexts.len());
                &mut contexts[at]
            };
            let name = rng.random_range(0..names.len());
            match rng.random_range(0..6) {
                0 | 1 => {
                    let account = rng.random_range(0..worlds.len());
                    let done = register(ctx, names[name], &worlds[account].account);
                    assert_eq!(done.is_ok(), registered[name].is_none(), "seed {seed}: a name that is taken is an error");
                    registered[name].get_or_insert(account);
                }
                2 => {
                    let had = unregister(ctx, names[name]).expect("a catalogue of memory");
                    assert_eq!(had, registered[name].take().is_some(), "seed {seed}");
                }
                _ => {
                    let identity = format!("p-{step}");
                    // Quoted where it is no plain name; a URL has it escaped.
                    let entry_point = rng.random_range(0..ENTRY_POINTS);
                    let in_url = names[name].replace(' ', "%20");
                    let in_sql = format!("\"{}\"", names[name]);
                    let written = write(ctx, if matches!(entry_point, 2 | 3) { &in_url } else { &in_sql }, &identity, entry_point).await;
                    match registered[name] {
                        Some(account) => {
                            written.unwrap_or_else(|error| panic!("seed {seed}, step {step}, {entry_point}: {error}"));
                            expected[account].push(identity);
                        }
                        None => drop(written.expect_err("nobody is registered")),
                    }
                }
            }
        }
        for (world, mut expected) in worlds.iter().zip(expected) {
            expected.sort();
            assert_eq!(stored(world), expected, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_an_error_and_of_registrations_at_once_one_succeeds() {
    let world = World::new();
    let error = register(&world.ctx, "clevertap", &world.account).expect_err("taken").to_string();
    assert_eq!(
        error,
        "\"clevertap\" cannot be registered: the catalogue has a schema \"clevertap\"; unregister takes the account of this name out first \
         [CT-101]"
    );
    assert!(unregister(&world.ctx, "clevertap").expect("taken out"));
    assert!(!unregister(&world.ctx, "clevertap").expect("not there"));
    for sql in ["SELECT * FROM clevertap.runs", "COPY (SELECT 'a' AS identity) TO 'clevertap://clevertap/profiles' STORED AS CLEVERTAP"] {
        let planned = async { world.ctx.sql(sql).await?.collect().await };
        planned.await.expect_err("taken out");
    }
    world.ctx.sql("CREATE SCHEMA shop").await.expect("planned").collect().await.expect("made");
    let error = register(&world.ctx, "shop", &world.account).expect_err("taken").to_string();
    assert!(error.contains("the catalogue has a schema \"shop\"; choose another name"), "{error}");
    let ctx = SessionContext::new();
    let succeeded: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| usize::from(register(&ctx, "india", &world.account).is_ok()))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(succeeded, 1);
    let rules = ctx.state().analyzer().rules.iter().filter(|rule| rule.name().starts_with("clevertap_")).count();
    assert_eq!(rules, 8, "each rule once");
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_its_id_and_its_catalogue_options_and_a_second_account_keeps_what_was_prepared() {
    let world = World::new();
    let ctx = SessionContext::new();
    let (id, options) = (ctx.session_id(), ctx.state().config_options().catalog.clone());
    register(&ctx, "shop", &world.account).expect("registered");
    assert_eq!(ctx.state().session_id(), id);
    let now = ctx.state().config_options().catalog.clone();
    assert_eq!(
        (now.create_default_catalog_and_schema, now.default_catalog, now.default_schema),
        (options.create_default_catalog_and_schema, options.default_catalog, options.default_schema)
    );
    ctx.sql("PREPARE one AS SELECT 1").await.expect("prepared").collect().await.expect("prepared");
    register(&ctx, "other", &World::new().account).expect("registered");
    ctx.sql("EXECUTE one").await.expect("planned").collect().await.expect("run");
}

#[tokio::test(start_paused = true)]
async fn states_that_a_builder_makes_and_schemas_that_are_put_in_by_hand_write_too() {
    let world = World::new();
    let builder = SessionStateBuilder::new().with_default_features();
    let state = register_in(builder, "shop", &world.account).expect("registered").build();
    write(&SessionContext::new_with_state(state), "shop", "built", 2).await.expect("written");

    let state = optimizer::install(SessionStateBuilder::new().with_default_features()).build();
    let ctx = SessionContext::new_with_state(state);
    let catalog = ctx.catalog("datafusion").expect("a catalogue");
    catalog.register_schema("shop", schema_provider(&world.account, "shop")).expect("registered");
    catalog.register_schema("shop_events", event_schema_provider(&world.account, "shop")).expect("registered");
    write(&ctx, "shop", "by-hand", 0).await.expect("written");
    assert_eq!(stored(&world), ["built", "by-hand"]);
}

#[tokio::test(start_paused = true)]
async fn everything_says_the_name_under_which_a_table_is_registered() {
    let world = World::new();
    let ctx = SessionContext::new();
    register(&ctx, "shop", &world.account).expect("registered");
    register(&ctx, "My Shop", &World::new().account).expect("registered");
    let text = async |sql: &str| {
        let rows = async { ctx.clevertap_sql(sql).await?.collect().await };
        match rows.await {
            Ok(rows) => pretty_format_batches(&rows).expect("a table").to_string(),
            Err(error) => error.to_string(),
        }
    };
    for (sql, says) in [
        ("INSERT INTO shop.profiles SELECT 'a' AS identity, upper('x')", "shop.profiles: expression 2"),
        ("INSERT INTO \"My Shop\".profiles SELECT 'a' AS identity, upper('x')", "\"My Shop\".profiles: expression 2"),
        ("INSERT INTO shop.profiles SELECT 'Ada' AS name", "shop.profiles needs a column that says whose row it is"),
        ("INSERT INTO shop_events.\"A \"\"b\" SELECT 'a' AS identity", "shop_events.\"A \"\"b\" needs a column \"event_time\""),
        ("SELECT * FROM shop.profiles", "shop.profiles needs a filter"),
        ("EXPLAIN INSERT INTO shop.profiles SELECT 'a' AS identity", "WriteExec: table=shop.profiles"),
        ("EXPLAIN SELECT * FROM shop.profiles WHERE identity = 'a'", "ScanExec: table=shop.profiles"),
        ("DELETE FROM shop.profiles", "DELETE FROM shop.profiles"),
        ("UPDATE shop.profiles SET name = 'x' WHERE identity = 'a' RETURNING identity", "read shop.runs and shop.failed_rows after it"),
        ("TRUNCATE shop.profiles", "DELETE FROM shop.profiles WHERE … takes people"),
        ("INSERT INTO shop.profiles SELECT '' AS identity", "read them from shop.failed_rows"),
        ("SELECT table_name FROM shop.runs", "shop.profiles"),
        ("SELECT table_name FROM shop.tables WHERE reads AND writes ORDER BY 1", "shop.events"),
    ] {
        let found = text(sql).await;
        assert!(found.contains(says) && !found.contains("clevertap.profiles"), "{sql}\n{found}");
    }
}

#[tokio::test(start_paused = true)]
async fn consent_is_that_of_the_session_that_planned_and_a_panic_is_a_no() {
    for (says, erased) in [("yes", 1), ("no", 0), ("panic", 0)] {
        let world = World::open(Settings::default(), |account| account.access = Access::Erase);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let mut planning = world.ctx.state();
        planning.config_mut().set_extension(Arc::new(EraseConsent::new(move |erasure| {
            heard.lock().expect("a lock").push(format!("{} {} {} {}", erasure.account, erasure.table, erasure.label, erasure.rows));
            assert!(says != "panic", "who is asked may have mistakes");
            Box::pin(async move { says == "yes" })
        })));
        planning.config_mut().options_mut().set("clevertap.run_label", "gdpr").expect("an option");
        let planning = SessionContext::new_with_state(planning);
        let plan = planning.clevertap_sql("DELETE FROM clevertap.profiles WHERE identity IN ('p1', 'p2')").await.expect("planned");
        let plan = plan.create_physical_plan().await.expect("planned");
        // It runs elsewhere, where nobody would be asked.
        let run = datafusion::physical_plan::collect(plan, world.ctx.task_ctx()).await;
        assert_eq!(run.is_ok(), says == "yes");
        if let Err(error) = run {
            assert_eq!(Error::find(&error).map(Error::kind), Some(ErrorKind::Declined), "{error}");
        }
        assert_eq!(*asked.lock().expect("a lock"), ["TEST-123-456Z clevertap.profiles gdpr 2"]);
        assert_eq!(world.sent_to("/1/delete/profiles.json").len(), erased);
    }
}

#[tokio::test(start_paused = true)]
async fn explain_analyze_of_what_erases_asks_as_the_statement_does() {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    world.ctx.state_ref().write().config_mut().set_extension(Arc::new(EraseConsent::new(|_| Box::pin(async { false }))));
    let error = world.refused("EXPLAIN ANALYZE DELETE FROM clevertap.profiles WHERE identity = 'p1'").await;
    assert!(error.contains("was not confirmed: nothing was sent"), "{error}");
    assert!(world.sent_to("/1/delete/profiles.json").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_panics_ends_its_statement_in_an_error_and_aborts_nothing() {
    let world = World::new();
    world.set("body_rows_max", 1).await;
    world.one_in_flight().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    world.ctx.state_ref().write().config_mut().set_extension(Arc::new(FateWatch::new(move |settled| {
        heard.lock().expect("a lock").push((settled.account.to_owned(), settled.table.to_owned(), settled.run_id, settled.rows.to_vec()));
        panic!("a ledger that is broken");
    })));
    let values: Vec<String> = (0..50).map(|at| format!("('p{at}')")).collect();
    let insert = format!("INSERT INTO clevertap.profiles (identity) VALUES {}", values.join(", "));
    let error = world.run(&insert).await.expect_err("a panic is an error");
    let tally = Error::find(&error).and_then(Error::tally).expect("counts");
    assert_eq!((tally.read, tally.accepted + tally.unsent), (50, 50), "{error}");
    assert!(tally.accepted >= 1 && tally.unsent >= 1 && error.to_string().contains("panicked"), "{error}");
    assert_eq!(*told.lock().expect("a lock"), [("TEST-123-456Z".to_owned(), "clevertap.profiles".to_owned(), 1, vec![(1, None)])]);
    assert_eq!(world.account.runs().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_statement_is_refused_as_datafusion_refuses_it_where_the_options_of_its_entry_point_do_not_allow_it() {
    let world = World::new();
    let read_only = || SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let state = world.ctx.state();
    for sql in [
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'gold' AS \"Plan\"",
        "UPDATE clevertap.profiles SET \"Plan\" = 'x' WHERE identity = 'a'",
        "EXPLAIN ANALYZE INSERT INTO clevertap.profiles SELECT 'a' AS identity",
        "COPY (SELECT 'a' AS identity) TO 'clevertap://clevertap/profiles' STORED AS CLEVERTAP",
        "CREATE EXTERNAL TABLE t (identity VARCHAR) STORED AS CLEVERTAP LOCATION 'clevertap://clevertap/profiles'",
        "SET clevertap.on_reject = 'skip'",
    ] {
        let error = world.ctx.clevertap_sql_with_options(sql, read_only()).await.expect_err(sql).to_string();
        let own = SessionContext::new().sql_with_options("CREATE TABLE x (a INT)", read_only()).await.expect_err("refused").to_string();
        assert_eq!(error.split(':').next(), own.split(':').next(), "{sql}: {error}");
        assert!(error.contains("not supported"), "{sql}: {error}");
        let statement = state.sql_to_statement(sql, &Dialect::Generic).expect("parsed");
        assert_eq!(world.ctx.clevertap_statement(statement.clone(), read_only()).await.expect_err(sql).to_string(), error);
        assert_eq!(state.clevertap_plan(statement, read_only()).await.expect_err(sql).to_string(), error);
    }
    assert_eq!(stored(&world), Vec::<String>::new());
    let statement = state.sql_to_statement("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 1 AS \"Visits\"", &Dialect::Generic);
    world.ctx.clevertap_statement(statement.expect("parsed"), SQLOptions::new()).await.expect("planned").collect().await.expect("written");
    assert_eq!(stored(&world), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn options_that_are_set_by_type_are_checked_as_by_set() {
    let world = World::new();
    let set = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        options
    };
    let with = |options: Options| {
        let mut state = world.ctx.state();
        state.config_mut().options_mut().extensions.insert(options);
        SessionContext::new_with_state(state)
    };
    for (options, says) in [
        (set(|options| options.upload_concurrency = 0), "\"clevertap.upload_concurrency\" is \"0\"; expected a whole number from 1 to 15"),
        (set(|options| options.read_concurrency = 400), "\"clevertap.read_concurrency\" is \"400\"; expected a whole number from 1 to 3"),
        (set(|options| options.body_rows_max = 0), "\"clevertap.body_rows_max\" is \"0\""),
        (set(|options| options.body_bytes_max = 0), "\"clevertap.body_bytes_max\" is \"0\""),
        (set(|options| options.timeout_ms = 0), "\"clevertap.timeout_ms\" is \"0\"; expected milliseconds, from 1"),
        (set(|options| options.retry_for_ms = u64::MAX), "\"clevertap.retry_for_ms\" is \"18446744073709551615\""),
    ] {
        for sql in ["INSERT INTO clevertap.profiles SELECT 'a' AS identity", "SELECT * FROM clevertap.profiles WHERE identity = 'a'"] {
            let ctx = with(options.clone());
            let error = async { ctx.clevertap_sql(sql).await?.collect().await };
            let error = error.await.expect_err(says).to_string();
            assert!(error.contains(says) && error.contains("CT-101"), "{error}");
        }
    }
    assert_eq!(stored(&world), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_run_is_known_before_it_runs_and_is_followed_by_its_id() {
    let world = World::new();
    world.set("on_reject", "skip").await;
    let frame = world.ctx.clevertap_sql("INSERT INTO clevertap.profiles (identity) VALUES ('a'), (''), ('b')").await.expect("planned");
    let plan = frame.create_physical_plan().await.expect("planned");
    let uids = run_uids(&plan);
    let [uid] = &uids[..] else { panic!("one node writes: {uids:?}") };
    assert_eq!((uid.len(), uid.as_bytes().get(14)), (36, Some(&b'7')));
    assert!(world.account.run(uid).is_none());
    for again in 0..2 {
        datafusion::physical_plan::collect(Arc::clone(&plan), world.ctx.task_ctx()).await.expect("two are accepted");
        let run = world.account.wait(uid).await.expect("it has run");
        assert_eq!((run.run_id, run.tally.accepted, run.tally.rejected), (1, 2, 1));
        let failed = world.account.failed_rows_of(uid);
        assert_eq!(failed.iter().map(|row| (row.row_number, row.dry_run)).collect::<Vec<_>>(), [(2, false)]);
        let runs = world.account.runs();
        assert_eq!(runs.len(), again + 1, "a plan that is run again is another run");
        assert!(runs.iter().skip(1).all(|run| *run.run_uid != **uid));
    }
    assert!(world.account.wait("nobody").await.is_none() && !world.account.stop_run("nobody"));
    let shown = world.rows("SELECT run_uid FROM clevertap.runs WHERE run_id = 1").await;
    assert!(pretty_format_batches(&shown).expect("a table").to_string().contains(uid));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_stops_what_runs_and_waits_for_its_fates() {
    let world = World::with(Settings { latency_ms: 1_000, ..Settings::default() });
    world.set("body_rows_max", 1).await;
    world.one_in_flight().await;
    let values: Vec<String> = (0..50).map(|at| format!("('p{at}')")).collect();
    let insert = format!("INSERT INTO clevertap.profiles (identity) VALUES {}", values.join(", "));
    let frame = world.ctx.clevertap_sql(&insert).await.expect("planned");
    let running = tokio::task::LocalSet::new();
    let ended = running
        .run_until(async {
            let load = tokio::task::spawn_local(frame.collect());
            tokio::time::sleep(std::time::Duration::from_millis(3_500)).await;
            assert!(world.account.shutdown(std::time::Duration::from_secs(10)).await);
            load.await.expect("no panic")
        })
        .await;
    let error = ended.expect_err("it was stopped");
    let tally = Error::find(&error).and_then(Error::tally).expect("counts");
    assert_eq!((tally.read, tally.accepted + tally.unsent), (50, 50), "{error}");
    assert!(tally.accepted >= 3 && tally.unsent > 40, "{error}");
    assert_eq!(Error::find(&error).map(|error| (error.kind(), error.code())), Some((ErrorKind::StoppedByHand, "CT-404")));
    assert_eq!(world.account.runs()[0].status, Status::Stopped);
    assert_eq!(stored(&world).len() as u64, tally.accepted);
    assert!(world.account.shutdown(std::time::Duration::ZERO).await, "nothing runs");
}

#[tokio::test(start_paused = true)]
async fn a_stop_after_the_last_row_was_accepted_is_a_success() {
    let world = World::with(Settings { latency_ms: 1_000, ..Settings::default() });
    let insert = "INSERT INTO clevertap.profiles (identity) VALUES ('a'), ('b')";
    // The one body is in flight, and all rows were read.
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        world.account.stop(1)
    };
    let (result, stopped) = tokio::join!(world.run(insert), stop);
    result.expect("all rows were accepted");
    assert!(stopped);
    assert_eq!((world.account.runs()[0].status, stored(&world)), (Status::Success, vec!["a".to_owned(), "b".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_planning_is_found_by_its_type() {
    let world = World::new();
    for (sql, kind) in [
        ("SET clevertap.on_rejects = 'skip'", ErrorKind::Setting),
        ("SELECT * FROM clevertap.profiles", ErrorKind::Filter),
        ("SELECT * FROM clevertap.events", ErrorKind::Filter),
        ("INSERT INTO clevertap.profiles SELECT 'a' AS identity, upper('x')", ErrorKind::Unwritable),
        ("INSERT OVERWRITE clevertap.profiles SELECT 'a' AS identity", ErrorKind::NotAppend),
        ("TRUNCATE clevertap.profiles", ErrorKind::NotAppend),
        ("DELETE FROM clevertap.profiles WHERE identity = 'a'", ErrorKind::Unauthorized),
        ("COPY (SELECT 'a' AS identity) TO 'clevertap://nobody/profiles' STORED AS CLEVERTAP", ErrorKind::Setting),
    ] {
        let error = world.run(sql).await.expect_err(sql);
        assert_eq!(Error::find(&error).map(Error::kind), Some(kind), "{sql}: {error}");
    }
}
