//! Sessions of the configuration: several accounts in one statement, views over files, options.

mod databases;
mod recipes;

use arrow::util::pretty::pretty_format_batches;
use datafusion::common::assert_batches_eq;

use super::{
    runs::RunMark,
    session::{Session, SessionSettings},
};
use crate::{
    config::{AccountFlags, Accounts, Config, FoundFile, OpenAccount, Origin},
    failure::Failure,
    world::World,
};
use clevertap_emulator::{Fault, What};
use datafusion_clevertap::Account;

const FILE: &str = "[accounts.shop]\naccount_id = 'S-1'\nregion = 'in1'\npasscode_env = 'S'\n\
                    [accounts.lab]\naccount_id = 'L-1'\nregion = 'in1'\npasscode_env = 'L'\n";

fn config(text: &str, folder: &std::path::Path) -> Config {
    let file = FoundFile { shown: "clevertap.toml".into(), origin: Origin::Named, folder: folder.into(), text: text.into() };
    Config::of_file(Some(file), &AccountFlags::default(), &|name| (name == "S").then(|| "p".to_owned())).unwrap()
}

fn named(name: &str, account: &Account) -> OpenAccount {
    OpenAccount { name: name.to_owned(), ..OpenAccount::from(account.clone()) }
}

/// A session over two emulated projects, `shop` and `lab`.
fn of_two(shop: &World, lab: &World) -> Session {
    let accounts = Accounts { open: vec![named("shop", &shop.account), named("lab", &lab.account)], ..Accounts::default() };
    let session = Session::with(SessionSettings { accounts, ..SessionSettings::default() }, None);
    session.unwrap()
}

async fn failed(session: &Session, text: &str) -> String {
    Failure::from(session.rows(text).await.expect_err(text)).to_string()
}

#[tokio::test(start_paused = true)]
async fn people_of_one_account_are_loaded_into_another_and_joined_with_it() {
    let shop = World::new();
    let lab = shop.beside("LAB-000-000Z");
    let session = of_two(&shop, &lab);
    let rows = async |text: &str| session.rows(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    rows("SET clevertap.schema_check = 'off'").await;
    rows("INSERT INTO shop.profiles SELECT column1 AS identity, column2 AS name, 3 AS \"Visits\" FROM (VALUES ('a', 'Ada'), ('b', 'Bob'), ('c', 'Cy'))").await;
    rows("INSERT INTO lab.profiles SELECT identity, name, 'copied' AS \"State\" FROM shop.profiles WHERE identity IN ('a', 'b')").await;
    let joined = rows(
        "SELECT s.identity, s.name, (s.properties -> 'Visits')::int AS visits, l.properties ->> 'State' AS state
         FROM shop.profiles s LEFT JOIN lab.profiles l ON s.identity = l.identity
         WHERE s.identity IN ('a', 'b', 'c') AND l.identity IN ('a', 'b', 'c') ORDER BY s.identity",
    )
    .await;
    assert_batches_eq!(
        [
            "+----------+------+--------+--------+",
            "| identity | name | visits | state  |",
            "+----------+------+--------+--------+",
            "| a        | Ada  | 3      | copied |",
            "| b        | Bob  | 3      | copied |",
            "+----------+------+--------+--------+",
        ],
        &joined
    );
    // Each project has its own, and its own runs, which both begin with 1.
    assert_eq!((shop.emulator.report().profiles, lab.emulator.report().profiles), (3, 2));
    let runs = session.runs_after(&RunMark::default());
    let told: Vec<_> = runs.iter().map(|run| (run.run_id, run.schema.as_str(), run.table.as_str(), run.tally.accepted)).collect();
    assert_eq!(told, [(1, "shop", "shop.profiles", 3), (1, "lab", "lab.profiles", 2)]);
    assert!(session.runs_after(&session.last_run()).is_empty());
    let kept = pretty_format_batches(&rows("SELECT table_name, accepted FROM lab.runs").await).unwrap().to_string();
    assert!(kept.contains("lab.profiles") && !kept.contains("shop"), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_runs_of_every_account_and_failed_rows_are_those_of_both() {
    let shop = World::new();
    let lab = shop.beside("LAB-000-000Z");
    let session = of_two(&shop, &lab);
    session.rows("SET clevertap.schema_check = 'off'").await.unwrap();
    let mark = session.last_run();
    for (schema, world) in [("shop", &shop), ("lab", &lab)] {
        world.emulator.add_fault(Fault::new(What::Unauthorized).on("/1/upload"));
        failed(&session, &format!("INSERT INTO {schema}.profiles SELECT 'a' AS identity")).await;
    }
    let failed_rows = session.failed_after(&mark);
    let tables: Vec<&str> = failed_rows.iter().map(|row| &*row.table_name).collect();
    assert_eq!(tables, ["shop.profiles", "lab.profiles"]);
    assert_eq!(session.stop_runs_after(&mark), 0, "none of them is running any more");
}

#[tokio::test]
async fn tables_of_an_account_that_is_not_open_say_why() {
    let session = Session::with(config(FILE, "/".as_ref()), None).unwrap();
    let text = failed(&session, "SELECT * FROM lab.profiles").await;
    assert!(
        text.ends_with(
            "\naccount lab (clevertap.toml:5) is not open: the variable L, which holds its passcode, is not set: read -rs L && export L"
        ),
        "{text}"
    );
    assert!(session.hint("SHOW TABLES").unwrap().starts_with("account lab"));
    // What it does not use runs.
    session.rows("SELECT * FROM shop.runs").await.unwrap();
    assert_eq!(session.count("SELECT count(*) FROM (VALUES (1), (2))").await.unwrap(), 2);
    let text = failed(&session, "SELECT * FROM elab.profiles").await;
    assert!(!text.contains("is not open"), "{text}");
}

#[tokio::test]
async fn a_view_of_the_file_is_opened_when_a_statement_names_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("users")).unwrap();
    std::fs::write(folder.path().join("users/1.csv"), "id,n\n007,1\n008,2\n").unwrap();
    let text = "[files]\nusers = 'users'\nglob = 'users/*.csv'\ngone = 'gone.csv'\nbucket = 's3://nobody-has-this-bucket/x/'\n";
    let session = Session::with(config(text, folder.path()), None).unwrap();
    for table in ["users", "glob", "public.users", "datafusion.public.users"] {
        assert_eq!(session.count(&format!("SELECT count(*) FROM {table} WHERE id = '007'")).await.unwrap(), 1, "{table}");
    }
    // What cannot be opened is listed, and stops nobody else.
    let listed = pretty_format_batches(&session.rows("SHOW TABLES").await.unwrap()).unwrap().to_string();
    for name in ["users", "glob", "gone", "bucket"] {
        assert!(listed.contains(&format!("| {name} ")) && listed.contains("VIEW"), "{listed}");
    }
    let text = failed(&session, "SELECT * FROM gone").await;
    assert!(text.contains("\"gone\" of [files]: ") && text.ends_with("gone.csv' was not opened: there is no such file"), "{text}");
    assert!(failed(&session, "SELECT * FROM user").await.contains("Did you mean users?"));
    // It is read, and not written.
    assert!(session.rows("INSERT INTO users SELECT '1' AS id, 2 AS n").await.is_err());
    assert_eq!(session.count("SELECT count(*) FROM users").await.unwrap(), 2);
    // A statement replaces and drops it as any view, for its session.
    session.rows("CREATE OR REPLACE VIEW users AS SELECT 'mine' AS id").await.unwrap();
    assert_eq!(session.count("SELECT count(*) FROM users").await.unwrap(), 1);
    session.rows("DROP VIEW glob").await.unwrap();
    assert!(failed(&session, "SELECT * FROM glob").await.contains("not found"));
}

#[tokio::test]
async fn options_of_the_file_are_set_before_the_first_statement_and_set_wins_over_them() {
    let text = format!("{FILE}[options]\non_reject = 'skip'\nfailed_rows_to = 'failed/'\nupload_concurrency = 4\nnested = true\n");
    let session = Session::with(config(&text, "/project".as_ref()), Some("other/")).unwrap();
    let value = async |name: &str| {
        let rows = session.rows(&format!("SELECT value FROM shop.options WHERE name = 'clevertap.{name}'")).await.unwrap();
        crate::literals::cell(&rows[0], "value", 0).unwrap().unwrap()
    };
    assert_eq!([value("on_reject").await, value("upload_concurrency").await, value("nested").await], ["skip", "4", "true"]);
    assert_eq!(value("failed_rows_to").await, "other/", "the flag goes before the file");
    session.rows("SET clevertap.on_reject = 'stop'").await.unwrap();
    assert_eq!(value("on_reject").await, "stop");
    // Without an account, too: files have options.
    let without = Session::with(config("[options]\ncsv_types = 'text'\n", "/".as_ref()), None).unwrap();
    assert_eq!(crate::literals::cell(&without.rows("SHOW clevertap.csv_types").await.unwrap()[0], "value", 0).unwrap().unwrap(), "text");
}

#[tokio::test(start_paused = true)]
async fn a_database_of_the_file_is_read_and_written_beside_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE users (id TEXT PRIMARY KEY, plan TEXT, visits INTEGER)").unwrap();
    std::fs::write(folder.path().join("users.csv"), "id,plan,visits\n007,gold,3\n8,,4\n").unwrap();
    let text = "[databases.crm]\nurl = 'sqlite:shop.db'\naccess = 'write'\n[databases.look]\nurl = 'sqlite:shop.db'\n\
                [databases.far]\nurl = 'postgres://reader@db.example/far'\npassword_env = 'FAR'\n[files]\nsource = 'users.csv'\n";
    let world = World::new();
    let Config { databases, files, .. } = config(text, folder.path());
    let accounts = Accounts { open: vec![named("clevertap", &world.account)], ..Accounts::default() };
    let session = Session::with(SessionSettings { accounts, databases, files, ..SessionSettings::default() }, None).unwrap();
    let rows = async |text: &str| session.rows(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));

    rows("INSERT INTO crm.main.users SELECT id, plan, visits FROM source").await;
    rows("REPLACE INTO crm.main.users SELECT '8' AS id, 'plus' AS plan, 5 AS visits").await;
    let kept = rows("SELECT id, plan, visits FROM crm.main.users ORDER BY id").await;
    assert_batches_eq!(
        [
            "+-----+------+--------+",
            "| id  | plan | visits |",
            "+-----+------+--------+",
            "| 007 | gold | 3      |",
            "| 8   | plus | 5      |",
            "+-----+------+--------+",
        ],
        &kept
    );
    // Of a key the last row counts, in the order of the files, however many partitions there are.
    std::fs::create_dir(folder.path().join("days")).unwrap();
    for day in 10..50 {
        std::fs::write(folder.path().join(format!("days/{day}.csv")), format!("id,plan,visits\n8,plus,{day}\n")).unwrap();
    }
    rows("SET datafusion.execution.target_partitions = 8").await;
    for write in ["REPLACE INTO", "INSERT OVERWRITE"] {
        rows(&format!("{write} crm.main.users SELECT id, plan, visits FROM '{}/days/'", folder.path().display())).await;
        assert_eq!(session.count("SELECT visits FROM crm.main.users WHERE id = '8'").await.unwrap(), 49, "{write}");
    }
    rows("REPLACE INTO crm.main.users SELECT id, plan, visits FROM source").await;
    rows("SET clevertap.schema_check = 'off'").await;
    rows("INSERT INTO clevertap.profiles SELECT id AS identity, plan AS \"Plan\", visits AS \"Visits\" FROM look.main.users").await;
    assert_eq!(world.emulator.report().profiles, 2);
    assert!(world.sent_to("/1/upload").concat().contains("\"identity\":\"007\""));

    let refused = failed(&session, "INSERT INTO look.main.users SELECT '9' AS id, 'x' AS plan, 1 AS visits").await;
    assert!(refused.contains("access"), "{refused}");
    let closed = failed(&session, "SELECT * FROM far.public.users").await;
    assert!(
        closed.ends_with(
            "\ndatabase far (clevertap.toml:6) is not open: the variable FAR, which holds its password, is not set: read -rs FAR && export FAR"
        ),
        "{closed}"
    );
    let missing = failed(&session, "SELECT * FROM crm.main.people").await;
    assert!(missing.contains("not found"), "{missing}");
}
