//! The passcode appears nowhere: not in errors, not in Debug, not in a plan, not in a table, not in a log.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use clevertap_emulator::{Settings, What};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Region, Secret, register};

use crate::world::{TARGETS, Target, World, text_of};

/// A passcode that could not be anywhere by chance.
const PASSCODE: &str = "XK7-tellnobody-Q2";

fn world() -> World {
    let settings = Settings { passcode: PASSCODE.to_owned(), ..Settings::default() };
    World::open_with_passcode(settings, PASSCODE)
}

#[track_caller]
fn hidden(text: &str) {
    assert!(!text.contains("tellnobody"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_emulator_is_given_the_passcode_so_that_these_tests_mean_something() {
    let world = world();
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity").await;
    assert_eq!(world.emulator.profiles_stored(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_error_shows_it() {
    let faults = [
        What::Unauthorized,
        What::TooManyRequests,
        What::ServerErrorAfter,
        What::Unavailable,
        What::HangBefore,
        What::ResetAfter,
        What::GarbageAfter,
        What::EmptyAfter,
        What::TooLarge,
        What::MalformedIf { text: String::new() },
        What::Refuse { status: 403, code: 403, error: "Forbidden".to_owned() },
    ];
    for what in faults {
        let world = world();
        world.source(3);
        world.set("retry_for_ms", 5_000).await;
        world.fault(what);
        let error = world.run(&Target::Events.insert("false")).await.expect_err("a fault");
        hidden(&error.to_string());
        hidden(&format!("{error:?} {error:#?}"));
        hidden(&format!("{:?} {:?} {:?}", world.account.runs(), world.account.failed_rows(), world.account.warnings()));
    }
    let wrong = World::open_with_passcode(Settings::default(), PASSCODE);
    let error = wrong.run("SELECT * FROM clevertap.profiles WHERE identity = 'a'").await.expect_err("401");
    hidden(&format!("{error} {error:?}"));
}

#[tokio::test(start_paused = true)]
async fn no_error_of_opening_shows_it() {
    for (id, passcode, endpoint) in [
        ("TEST-123-456Z", format!("{PASSCODE}\n"), None),
        ("", PASSCODE.to_owned(), None),
        ("TEST-123-456Z", PASSCODE.to_owned(), Some(format!("https://user:{PASSCODE}@example.org"))),
        ("TEST-123-456Z", PASSCODE.to_owned(), Some(format!("http://example.org/{PASSCODE}"))),
    ] {
        let mut settings = AccountSettings::new();
        settings.endpoint = endpoint;
        match Account::open(id, Secret::new(passcode), Region::In1, settings) {
            Ok(account) => hidden(&format!("{account:?} {}", account.host())),
            Err(error) => hidden(&format!("{error} {error:?}")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_debug_shows_it() {
    let world = world();
    world.source(3);
    hidden(&format!("{:?} {:#?} {:?}", world.account, world.account, Secret::new(PASSCODE)));
    hidden(&format!("{:?}", world.ctx.state()));
    hidden(&format!("{:?}", world.ctx.state().config().options()));
    for sql in [Target::Profiles.insert("false"), "SELECT * FROM clevertap.profiles WHERE identity = 'a'".to_owned()] {
        let frame = world.ctx.clevertap_sql(&sql).await.expect("planned");
        hidden(&format!("{:?}", frame.logical_plan()));
        hidden(&format!("{:?}", frame.create_physical_plan().await.expect("planned")));
    }
    let table = world.ctx.table_provider("clevertap.profiles").await.expect("a table");
    hidden(&format!("{table:?}"));
}

#[tokio::test(start_paused = true)]
async fn no_table_and_no_plan_shows_it() {
    let world = world();
    world.source(3);
    world.set("on_reject", "skip").await;
    world.rows(&Target::Profiles.insert("n = 2")).await;
    let insert = Target::Events.insert("false");
    let select = "SELECT * FROM clevertap.profiles WHERE identity = 'p1'";
    let mut statements = vec![
        "SHOW ALL".to_owned(),
        "SHOW ALL VERBOSE".to_owned(),
        "SELECT * FROM information_schema.df_settings".to_owned(),
        "SELECT * FROM information_schema.tables".to_owned(),
        "SELECT * FROM information_schema.views".to_owned(),
        "SHOW CREATE TABLE clevertap.profiles".to_owned(),
    ];
    for table in ["runs", "failed_rows", "warnings", "limits", "options", "tables"] {
        statements.push(format!("SELECT * FROM clevertap.{table}"));
    }
    for sql in [insert.as_str(), select] {
        for explain in [
            "EXPLAIN",
            "EXPLAIN VERBOSE",
            "EXPLAIN FORMAT TREE",
            "EXPLAIN FORMAT PGJSON",
            "EXPLAIN FORMAT GRAPHVIZ",
            "EXPLAIN ANALYZE",
            "EXPLAIN ANALYZE VERBOSE",
        ] {
            statements.push(format!("{explain} {sql}"));
        }
    }
    for statement in statements {
        let text = match world.run(&statement).await {
            Ok(rows) => arrow::util::pretty::pretty_format_batches(&rows).expect("a table").to_string(),
            Err(error) => error.to_string(),
        };
        hidden(&text);
    }
}

/// Where the log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn no_log_shows_it_nor_a_value_of_a_person() {
    // With one subscriber alone, tracing asks the thread that passes a log line first, which may be another test's; with two it
    // asks both of them.
    let trace = tracing_subscriber::filter::LevelFilter::TRACE;
    // Not the subscriber's own `set_default`, which takes in what DataFusion logs too: its plans have the statement's literals in them.
    let other = tracing::subscriber::set_default(tracing_subscriber::fmt().with_max_level(trace).with_writer(std::io::sink).finish());
    let log = Log::default();
    let writer = log.clone();
    let guard =
        tracing::subscriber::set_default(tracing_subscriber::fmt().with_max_level(trace).with_writer(move || writer.clone()).finish());
    for target in TARGETS {
        for what in [What::TooManyRequests, What::ServerErrorAfter, What::ResetAfter, What::Unauthorized, What::GarbageBefore] {
            let world = world();
            world.source(3);
            world.set("on_reject", "skip").await;
            world.fault_once(what);
            let insert = target.insert("n = 2").replace("'p'", "'somebody'");
            text_of(world.run(&insert).await);
            text_of(world.run("SELECT * FROM clevertap.profiles WHERE identity = 'somebody1'").await);
        }
    }
    drop((guard, other));
    let text = String::from_utf8_lossy(&log.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    let ours: String = text.lines().filter(|line| line.contains("clevertap")).map(|line| format!("{line}\n")).collect();
    assert!(!ours.is_empty(), "nothing was logged");
    hidden(&text);
    assert!(!ours.contains("somebody"), "{ours}");
}

#[tokio::test(start_paused = true)]
async fn no_error_shows_a_value_of_a_person() {
    for target in TARGETS {
        for what in [What::Unauthorized, What::ResetAfter, What::TooLarge] {
            let world = world();
            world.source(3);
            world.set("retry_for_ms", 5_000).await;
            world.fault(what);
            let insert = target.insert("n = 2").replace("'p'", "'somebody'").replace("'t'", "'somebody'").replace("'__g'", "'somebody'");
            let error = world.refused(&insert).await;
            assert!(!error.contains("somebody"), "{error}");
        }
    }
    let world = world();
    world.source(3);
    let error = world.refused(&Target::Profiles.insert("n = 2").replace("'p'", "'somebody'")).await;
    assert!(!error.contains("somebody") && !error.contains("nope"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn registering_twice_shows_nothing_either() {
    let world = world();
    let again = register(&world.ctx, "clevertap", &world.account);
    if let Err(error) = again {
        hidden(&error.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_shows_the_credentials_of_a_url() {
    let world = world();
    world.set("failed_rows_to", "s3://key:tellnobody@acme/failed?sig=tellnobody").await;
    let insert = "INSERT INTO clevertap.profiles (identity) VALUES ('')";
    let no_store = world.refused(insert).await;
    assert!(no_store.contains("\"s3://acme/failed\", and no store is registered for it"), "{no_store}");
    hidden(&no_store);

    let bucket = Arc::new(object_store::memory::InMemory::new());
    world.ctx.register_object_store(ObjectStoreUrl::parse("s3://acme").expect("a URL").as_ref(), bucket);
    let rejected = world.refused(insert).await;
    assert!(rejected.contains("s3://acme/failed"), "{rejected}");
    hidden(&rejected);
    let explained = format!("{:?}", world.rows(&format!("EXPLAIN {insert}")).await);
    assert!(explained.contains("failed_rows_to = 's3://acme/failed'"), "{explained}");
    hidden(&explained);
    hidden(&format!("{:?}", world.account.runs()));
}
