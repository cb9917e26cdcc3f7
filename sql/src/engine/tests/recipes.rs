//! Recipes between CleverTap and databases.

use std::{
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use crate::{engine::script::split, engine::session::Session, world::World};
use clevertap_emulator::Settings;

/// A PostgreSQL for all tests here, which ends with this process. `None`, and a line that says why, where it cannot be installed.
fn postgres() -> Option<(PathBuf, u16)> {
    static SERVER: OnceLock<Option<(PathBuf, u16)>> = OnceLock::new();
    SERVER.get_or_init(start).clone()
}

fn start() -> Option<(PathBuf, u16)> {
    let folder = tempfile::tempdir().unwrap().keep();
    #[cfg(unix)]
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/servers/postgresql.sh");
    let arguments = [port.to_string(), std::process::id().to_string()];
    let started = Command::new("bash").arg(script).arg(&folder).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    if started.status.code() == Some(3) {
        writeln!(std::io::stderr(), "skipped: {}", said.trim()).unwrap();
        return None;
    }
    assert!(started.status.success(), "{said}");
    Some((folder, port))
}

/// What the server's own client answers.
fn psql(folder: &Path, port: u16, sql: &str) -> String {
    let mut client = Command::new("psql");
    client.arg("-h").arg(folder).args([
        "-p",
        &port.to_string(),
        "-U",
        "test",
        "-d",
        "postgres",
        "-v",
        "ON_ERROR_STOP=1",
        "-qAt",
        "-c",
        sql,
    ]);
    let answer = client.output().unwrap();
    assert!(answer.status.success(), "{sql}: {}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8_lossy(&answer.stdout).trim_end().replace('\n', " ")
}

/// Runs a recipe as a script; the place of its database is the test's.
async fn run(session: &Session, recipe: &str, place: (&str, &str)) {
    for statement in split(recipe).unwrap() {
        let text = statement.text.replace(place.0, place.1);
        session.rows(&text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

async fn rows(session: &Session, text: &str) {
    session.rows(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_trend_to_a_database() {
    let Some((folder, port)) = postgres() else { return };
    // The recipe speaks of this week.
    let world = World::with(Settings { started_at: chrono::Utc::now().timestamp(), ..Settings::default() });
    let session = Session::open(Some(world.account.clone()), None).unwrap();
    rows(&session, "SET clevertap.schema_check = 'off'").await;
    let charged = |identity: &str, days: u32, amount: u32| {
        format!(
            "INSERT INTO clevertap_events.\"Charged\" SELECT '{identity}' AS identity, now() - INTERVAL '{days} days' AS event_time, {amount} AS \"Amount\""
        )
    };
    for (identity, days, amount) in [("ann", 3, 10), ("bob", 3, 5), ("ann", 2, 7)] {
        rows(&session, &charged(identity, days, amount)).await;
    }
    let recipe = include_str!("../../../recipes/daily_trend_to_a_database.sql");
    let here = format!("postgres://test@127.0.0.1:{port}/postgres?sslmode=disable' AS warehouse (TYPE postgres, READ_WRITE, CREATE");
    let place = (
        "postgres://loader@db.acme.example/analytics' AS warehouse (TYPE postgres, READ_WRITE, CREATE, PASSWORD_ENV 'WAREHOUSE_PASSWORD'",
        here.as_str(),
    );
    run(&session, recipe, place).await;
    let trend = "SELECT events, people, amount FROM daily_trend WHERE events > 0 ORDER BY event_date";
    assert_eq!(psql(&folder, port, trend), "2|2|15 1|1|7");
    assert_eq!(psql(&folder, port, "SELECT count(*) FROM daily_trend"), "7");
    // The next day: what came late is counted, and what did not change is not written again.
    let before = psql(&folder, port, "SELECT string_agg(xmin::text, ' ' ORDER BY event_date) FROM daily_trend WHERE events <> 1");
    rows(&session, &charged("cid", 2, 1)).await;
    run(&session, recipe, place).await;
    assert_eq!(psql(&folder, port, trend), "2|2|15 2|2|8");
    let after =
        psql(&folder, port, "SELECT string_agg(xmin::text, ' ' ORDER BY event_date) FROM daily_trend WHERE amount IS DISTINCT FROM 8");
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_of_the_page_run() {
    let Some((folder, port)) = postgres() else { return };
    psql(&folder, port, "CREATE TABLE orders (plan text, amount float8); INSERT INTO orders VALUES ('gold', 1), ('gold', 3), ('free', 5)");
    let page = include_str!("../../../README.md");
    let block = page.split("\nATTACH '").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let session = Session::open(None, None).unwrap();
    let here = format!("postgres://test@127.0.0.1:{port}/postgres?sslmode=disable' AS shop (TYPE postgres, READ_WRITE");
    let place = ("postgres://loader@db.acme.example/shop' AS shop (TYPE postgres, READ_WRITE, PASSWORD_ENV 'SHOP_PASSWORD'", here.as_str());
    assert!(block.contains(place.0));
    run(&session, &format!("ATTACH '{block}"), place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_database() {
    let Some((folder, port)) = postgres() else { return };
    psql(
        &folder,
        port,
        "CREATE TABLE users (id bigint PRIMARY KEY, email text, plan text, signed_up_at timestamptz, updated_at timestamptz);
         INSERT INTO users VALUES (7, 'ann@example.org', 'gold', '2025-12-31 10:00+00', now()), (8, NULL, NULL, NULL, now()),
             (9, 'old@example.org', 'free', '2020-01-01 00:00+00', now() - interval '9 days')",
    );
    let world = World::new();
    let session = Session::open(Some(world.account.clone()), None).unwrap();
    rows(&session, "SET clevertap.schema_check = 'off'").await;
    let here = format!("postgres://test@127.0.0.1:{port}/postgres?sslmode=disable' AS shop (TYPE postgres, READ_ONLY");
    let place = ("postgres://reader@db.acme.example/shop' AS shop (TYPE postgres, READ_ONLY, PASSWORD_ENV 'SHOP_PASSWORD'", here.as_str());
    run(&session, include_str!("../../../recipes/users_of_a_database.sql"), place).await;
    let sent = world.sent_to("/1/upload").join("\n");
    for record in [
        r#"{"type":"profile","identity":"7","profileData":{"Email":"ann@example.org","Plan":"gold","Signed Up":"$D_1767175200"}}"#,
        r#"{"type":"profile","identity":"8","profileData":{}}"#,
    ] {
        assert!(sent.contains(record), "{record}\n{sent}");
    }
    assert!(!sent.contains("\"9\""), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn audience_of_a_query() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db").display().to_string();
    let orders = "CREATE TABLE orders (user_id TEXT, ordered_on DATE, amount REAL);
                  INSERT INTO orders VALUES ('007', '2025-08-01', 900), ('007', '2025-09-01', 200), ('8', '2025-12-30', 5000), ('9', '2025-01-01', 10)";
    rusqlite::Connection::open(&path).unwrap().execute_batch(orders).unwrap();
    let world = World::new();
    let session = Session::open(Some(world.account.clone()), None).unwrap();
    rows(&session, "SET clevertap.schema_check = 'off'").await;
    rows(&session, "INSERT INTO clevertap.profiles SELECT column1 AS identity FROM (VALUES ('007'), ('8'), ('9'))").await;
    run(&session, include_str!("../../../recipes/audience_of_a_query.sql"), ("'shop.db'", &format!("'{path}'"))).await;
    // CleverTap makes the list a minute later.
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(world.emulator.list_members("Lapsed buyers"), ["007"]);
}
