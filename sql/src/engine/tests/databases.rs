//! ATTACH, DETACH, `database_query`, and tables that an INSERT makes, as a script has them.

use super::{config, failed, named};
use crate::{
    commands::check_database::check_database,
    config::{AccountFlags, Accounts, Config, FoundFile, Origin},
    engine::{
        script::{StatementKind, split},
        session::{Session, SessionSettings},
    },
    failure::{Completion, Result},
    files::atomic_file::FileAccess,
    terminal::output::Output,
    world::World,
};

/// A folder with `shop.db`, and its path.
fn shop(sql: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db").display().to_string();
    rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (folder, path)
}

const USERS: &str = "CREATE TABLE users (id TEXT PRIMARY KEY, plan TEXT); INSERT INTO users VALUES ('007', 'gold'), ('8', NULL)";

#[tokio::test]
async fn a_database_is_attached_read_only_unless_the_statement_says_otherwise() {
    let (_folder, path) = shop(USERS);
    let session = Session::open(None, None).unwrap();
    let run = async |text: &str| session.rows(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    run(&format!("ATTACH '{path}' AS shop (TYPE sqlite)")).await;
    assert_eq!(session.count("SELECT count(*) FROM shop.main.users").await.unwrap(), 2);
    let insert = "INSERT INTO shop.main.users SELECT '9' AS id, 'free' AS plan";
    let refused = failed(&session, insert).await;
    assert!(refused.contains("read only") && refused.contains("access = \"write\""), "{refused}");

    let planned = session.sql("SELECT count(*) AS n FROM shop.main.users").await.unwrap();
    run("DETACH shop").await;
    assert_eq!(planned.count().await.unwrap(), 1, "what was planned before goes on");
    let gone = failed(&session, "SELECT * FROM shop.main.users").await;
    assert!(gone.ends_with("database shop was detached; ATTACH '…' AS shop attaches one of this name"), "{gone}");
    run(&format!("ATTACH 'sqlite:{path}' AS shop (READ_WRITE)")).await;
    run(insert).await;
    assert_eq!(session.count("SELECT count(*) FROM shop.main.users").await.unwrap(), 3);
    run(&format!("ATTACH IF NOT EXISTS '{path}' AS shop (TYPE sqlite)")).await;
    run("DETACH DATABASE IF EXISTS nowhere").await;
    run("DETACH DATABASE IF EXISTS shop").await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_and_a_database_of_the_file_may_be_detached() {
    let (folder, path) = shop(USERS);
    let world = World::new();
    let text = "[databases.crm]\nurl = 'sqlite:shop.db'\n[databases.far]\nurl = 'postgres://reader@db.example/far'\npassword_env = 'FAR'\n";
    let accounts = Accounts { open: vec![named("acme", &world.account)], ..Accounts::default() };
    let databases = config(text, folder.path()).databases;
    let session = Session::with(SessionSettings { accounts, databases, ..SessionSettings::default() }, None).unwrap();
    let attach = |name: &str| format!("ATTACH '{path}' AS {name} (TYPE sqlite)");
    for (name, why) in [
        ("crm", "a database crm is attached already; DETACH crm takes it away"),
        ("acme", "acme is a schema of the account acme"),
        ("acme_events", "acme_events is a schema of the account acme"),
        ("datafusion", "datafusion is a catalogue that is there already"),
        ("public", "is the name of a schema that is there already"),
        ("\"Shop\"", "is no name here"),
        (
            "far",
            "is not open: the variable FAR, which holds its password, is not set: read -rs FAR && export FAR. DETACH far frees its name",
        ),
    ] {
        let refused = failed(&session, &attach(name)).await;
        assert!(refused.contains(why), "{name}: {refused}");
    }
    for (statement, why) in [
        ("ATTACH 'postgres://ann:hush@db.example/x' AS x", "its URL has a password in it; leave it out"),
        (
            "ATTACH 'sqlite:x.db' AS x (PASSWORD_ENV 'NO_SUCH_VARIABLE_9')",
            "the variable NO_SUCH_VARIABLE_9, which holds its password, is not set",
        ),
        ("DETACH nowhere", "no database nowhere is attached; DETACH IF EXISTS"),
        ("DETACH acme", "no database acme is attached"),
    ] {
        let refused = failed(&session, statement).await;
        assert!(refused.contains(why) && !refused.contains("hush"), "{statement}: {refused}");
    }
    for name in ["crm", "far"] {
        session.rows(&format!("DETACH {name}")).await.unwrap();
        session.rows(&attach(name)).await.unwrap();
        assert_eq!(session.count(&format!("SELECT count(*) FROM {name}.main.users")).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn read_only_is_meant_for_databases_too() {
    let (folder, path) = shop(USERS);
    let text = "[databases.crm]\nurl = 'sqlite:shop.db'\naccess = 'write'\n";
    let file = FoundFile { shown: "clevertap.toml".into(), origin: Origin::Named, folder: folder.path().into(), text: text.into() };
    let flags = AccountFlags { read_only: true, ..AccountFlags::default() };
    let session = Session::with(Config::of_file(Some(file), &flags, &|_| None).unwrap(), None).unwrap();
    let refused = failed(&session, "INSERT INTO crm.main.users SELECT '9' AS id, 'x' AS plan").await;
    assert!(refused.contains("read only"), "{refused}");
    let refused = failed(&session, &format!("ATTACH '{path}' AS shop (TYPE sqlite, READ_WRITE)")).await;
    assert!(refused.contains("--read-only refuses what could be written; READ_ONLY attaches it"), "{refused}");
    session.rows(&format!("ATTACH '{path}' AS shop (TYPE sqlite, READ_ONLY)")).await.unwrap();
    assert_eq!(session.count("SELECT count(*) FROM shop.main.users").await.unwrap(), 2);
}

#[tokio::test]
async fn statements_of_a_script_are_told_apart_from_what_is_not_understood_before_anything_runs() {
    let script = "ATTACH 'a;b.db' AS shop (TYPE sqlite); SELECT 1; DETACH shop";
    let statements = split(script).unwrap();
    assert_eq!(
        statements.iter().map(|statement| statement.text.as_str()).collect::<Vec<_>>(),
        ["ATTACH 'a;b.db' AS shop (TYPE sqlite)", "SELECT 1", "DETACH shop"]
    );
    assert!(statements.iter().all(|statement| statement.kind == StatementKind::Read));
    let refused = split("SELECT 1;\nATTACH 'x' AS shop (PASSWORD 'hush')").unwrap_err().to_string();
    assert!(
        refused.contains("line 2: ATTACH: this is no option of it; did you mean PASSWORD_") && refused.contains("Nothing was run"),
        "{refused}"
    );
    assert!(!refused.contains("hush"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_insert_makes_a_table_of_a_database_that_permits_it() {
    let (folder, path) = shop(USERS);
    std::fs::write(folder.path().join("people.csv"), "id,visits\n007,3\n8,4\n").unwrap();
    let world = World::new();
    let session = Session::open(Some(world.account.clone()), None).unwrap();
    let run = async |text: &str| session.rows(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    run(&format!("ATTACH '{path}' AS shop (TYPE sqlite, READ_WRITE)")).await;
    let people = folder.path().join("people.csv").display().to_string();
    let insert = format!("INSERT INTO shop.main.people SELECT CAST(id AS VARCHAR) AS id, visits FROM '{people}'");
    let refused = failed(&session, &insert).await;
    assert!(refused.contains("shop.main.people is not there; create = true lets an INSERT make it"), "{refused}");
    run("DETACH shop").await;
    run(&format!("ATTACH '{path}' AS shop (TYPE sqlite, READ_WRITE, CREATE)")).await;
    let plan = session.texts(&format!("EXPLAIN {insert}")).await.unwrap().join("\n");
    assert!(plan.contains("CREATE TABLE \"main\".\"people\" (\"id\" TEXT, \"visits\" INTEGER)"), "{plan}");
    run(&insert).await;
    // An identifier is what stands in the file, here too.
    assert_eq!(session.count("SELECT visits FROM shop.main.people WHERE id = '007'").await.unwrap(), 3);
    run("SET database.upsert_key = 'identity'").await;
    run("SET clevertap.schema_check = 'off'").await;
    run("INSERT INTO clevertap.profiles SELECT id AS identity, plan AS \"Plan\" FROM shop.main.users").await;
    run("REPLACE INTO shop.main.known SELECT identity, name FROM clevertap.profiles WHERE identity IN ('007', '8')").await;
    run("REPLACE INTO shop.main.known SELECT identity, name FROM clevertap.profiles WHERE identity IN ('007', '8')").await;
    assert_eq!(session.count("SELECT count(*) FROM shop.main.known").await.unwrap(), 2);
    let query = "SELECT CAST(count(*) AS INTEGER) AS n FROM people JOIN users USING (id)";
    assert_eq!(session.count(&format!("SELECT n FROM database_query('shop', '{query}')")).await.unwrap(), 2);
}

/// What `check --database` prints, and how it ends.
async fn checked(text: &str, folder: &std::path::Path, name: &str, table: Option<&str>) -> (String, Result<Completion>) {
    let to = folder.join("checked.txt");
    let mut output = Output::open(None, Some(&to), FileAccess::Default).unwrap();
    let ended = check_database(&config(text, folder).databases, name, table, &mut output).await;
    output.close(false).unwrap();
    (std::fs::read_to_string(to).unwrap(), ended)
}

#[tokio::test]
async fn a_database_is_checked_line_by_line_and_what_is_refused_fails_the_check() {
    let (folder, _) = shop(USERS);
    let text = "[databases.crm]\nurl = 'sqlite:shop.db'\n[databases.gone]\nurl = 'sqlite:nowhere/shop.db'\n\
                [databases.far]\nurl = 'postgres://reader@db.example/far'\npassword_env = 'FAR'\n";
    let checked = async |name, table| checked(text, folder.path(), name, table).await;
    let (said, ended) = checked("crm", Some("main.users")).await;
    assert_eq!(ended.unwrap(), Completion::Done);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..2], ["database    crm: SQLite", "url         sqlite:shop.db"]);
    assert!(lines[2].starts_with("ok          reached: SQLite file ") && lines[3].starts_with("ok          server: SQLite 3."), "{said}");
    assert_eq!(
        lines[4..],
        [
            "ok          rights: 1 tables and views are seen",
            "ok          staging: no table of an earlier write is left",
            "ok          access: read: INSERT is refused; access = \"write\" permits it",
            "ok          table: crm.main.users is a table of 2 columns",
            "ok          key: id",
        ]
    );
    let (said, ended) = checked("gone", None).await;
    assert!(
        said.contains("\nrefused     reached: SQLite file") && ended.unwrap_err().to_string() == "1 of 1 checks were refused",
        "{said}"
    );
    let (_, ended) = checked("crm", Some("main.moon")).await;
    assert_eq!(ended.unwrap_err().code(), 1);
    let (_, ended) = checked("crm", Some("users")).await;
    assert_eq!(ended.unwrap_err().code(), 2);
    let (_, ended) = checked("far", None).await;
    assert!(ended.unwrap_err().to_string().contains("the variable FAR, which holds its password, is not set"));
    let (_, ended) = checked("shp", None).await;
    let failure = ended.unwrap_err();
    assert_eq!((failure.code(), failure.to_string().as_str()), (2, "no database \"shp\" is configured; these are: crm, gone, far"));
}
