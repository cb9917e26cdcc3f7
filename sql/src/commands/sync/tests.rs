//! `sync` against the emulator: a file of configuration, commands one after the other, and what CleverTap and the ledger have then.

use std::{fs, path::PathBuf};

use clap::Parser;
use clevertap_emulator::{Fault, What};

use super::{SyncFlags, sync};
use crate::{
    commands::erase::{EraseFlags, erase},
    config::{AccountFlags, Config, FILE_NAME, FoundFile, OpenAccount, Origin},
    engine::session::Session,
    failure::{Completion, Failure, Result},
    files::atomic_file::FileAccess,
    terminal::{confirm::Interactive, format::Format, interrupt::Interrupts, output::Output},
    world::{Stderr, World},
};
use serde_json::Value;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    flags: SyncFlags,
}

#[derive(Parser)]
struct EraseLine {
    #[command(flatten)]
    flags: EraseFlags,
}

const PEOPLE: &str = "[syncs.people]\nquery = 'SELECT id AS identity, email, plan AS \"Plan\" FROM people'\ninto = 'clevertap.profiles'\n";
const EVENTS: &str = "[syncs.joined]\nquery = '''SELECT id AS identity, 'Joined' AS event_name, 1767225600 AS event_time, id FROM people'''\n\
                      into = 'clevertap.events'\nkey = 'id'\nafter = ['people']\n";

/// A project, a file of people, and what syncs remember.
struct Shop {
    world: World,
    folder: tempfile::TempDir,
    syncs: String,
}

/// A command that ended: how, and what it printed.
struct Ended {
    ended: Result<Completion>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn code(&self) -> u8 {
        self.ended.as_ref().map_or_else(Failure::code, |ended| ended.code())
    }

    /// Its exit code, and what it printed where this is not `code`.
    #[track_caller]
    fn ends(self, code: u8) -> Self {
        assert_eq!(self.code(), code, "{}\n{}\n{:?}", self.stdout, self.stderr, self.ended);
        self
    }

    /// The objects that it printed.
    fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
    }

    fn error(&self) -> String {
        self.ended.as_ref().unwrap_err().to_string()
    }
}

impl Shop {
    fn new(syncs: &str) -> Self {
        let shop = Self { world: World::new(), folder: tempfile::tempdir().unwrap(), syncs: syncs.to_owned() };
        shop.people(&[("a", "gold"), ("b", "gold"), ("c", "gold")]);
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn people(&self, people: &[(&str, &str)]) {
        let lines: String = people.iter().map(|(id, plan)| format!("{id},{id}@example.org,{plan}\n")).collect();
        fs::write(self.path("people.csv"), format!("id,email,plan\n{lines}")).unwrap();
    }

    fn config(&self) -> Config {
        let text = format!("state = 'state'\n[files]\npeople = 'people.csv'\n{}", self.syncs);
        let file = FoundFile { shown: FILE_NAME.into(), origin: Origin::Named, folder: self.folder.path().into(), text };
        let mut config = Config::of_file(Some(file), &AccountFlags::default(), &|_| None).unwrap_or_else(|refused| panic!("{refused}"));
        config.accounts = OpenAccount::from(self.world.reopen()).into();
        config
    }

    async fn sync(&self, arguments: &[&str]) -> Ended {
        let line = CommandLine::try_parse_from(["sync"].iter().chain(arguments)).unwrap_or_else(|error| panic!("{error}"));
        let to = self.path("stdout");
        let output = Output::open(Some(Format::Table), Some(&to), FileAccess::Default).unwrap();
        let stderr = Stderr::default();
        let never = Interrupts::from(futures::stream::pending());
        let ended = Box::pin(sync(line.flags, self.config(), output, &mut stderr.console(), never)).await;
        let written = [to.clone(), self.path("stdout.partial")].into_iter().find_map(|path| fs::read_to_string(path).ok());
        for file in [to, self.path("stdout.partial")] {
            fs::remove_file(file).ok();
        }
        Ended { ended, stdout: written.unwrap_or_default(), stderr: stderr.text() }
    }

    /// One column of a query, as text.
    async fn column(&self, query: &str) -> Vec<String> {
        Session::with(self.config(), None).unwrap().texts(query).await.unwrap_or_else(|error| panic!("{query}: {error}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_run_sends_nothing_and_a_plan_says_what_a_run_then_sends() {
    let shop = Shop::new(PEOPLE);
    let plan = shop.sync(&["plan", "people", "--json"]).await.ends(0);
    let expected = r#"{"sync":"people","new":3,"changed":0,"removed":0,"unchanged":0,"held":0,"requests":1,"seconds":null,"why":[]}"#;
    assert_eq!(plan.stdout.trim_end(), expected);
    assert!(!shop.path("state").exists(), "a plan writes nothing");
    let first = shop.sync(&["run", "people", "--json"]).await.ends(0);
    let (id, line) = (first.json()[0]["run_id"].as_str().unwrap().to_owned(), first.stdout.trim_end());
    let expected = r#"{"sync":"people","run_id":"…","status":"successful","rows":3,"new":3,"changed":0,"removed":0,"unchanged":0,"accepted":3,"rejected":0,"in_doubt":0,"unsent":0,"held":0,"error":null}"#;
    assert_eq!(line.replace(&id, "…"), expected);
    let uploads = shop.world.sent_to("/1/upload").len();
    let second = shop.sync(&["run", "people"]).await.ends(0);
    assert!(
        second.stdout.starts_with("people  successful  3 rows: 0 new, 0 changed, 0 removed, 3 unchanged, 0 held; 0 accepted, 0 rejected"),
        "{}",
        second.stdout
    );
    assert_eq!((shop.world.sent_to("/1/upload").len(), shop.world.emulator.profiles_stored()), (uploads, 3));
    shop.people(&[("a", "silver"), ("b", "gold"), ("c", "gold"), ("d", "gold")]);
    let plan = shop.sync(&["plan", "people"]).await.ends(0);
    assert!(
        plan.stdout.starts_with("people  4 rows: 1 new, 1 changed, 0 removed, 2 unchanged, 0 held\n        1 requests"),
        "{}",
        plan.stdout
    );
    assert!(!format!("{}{}", plan.stdout, plan.stderr).contains("example.org"));
    assert_eq!(shop.sync(&["run", "people", "--json"]).await.ends(0).json()[0]["accepted"], 2);
    assert_eq!(shop.sync(&["run", "people", "--full", "--json"]).await.ends(0).json()[0]["accepted"], 4);
    let dry = shop.sync(&["run", "people", "--full", "--dry-run=server", "--json"]).await.ends(0);
    assert!(dry.stderr.contains("people: a dry run: nothing was stored"), "{}", dry.stderr);

    let history = shop.sync(&["history", "people", "--json"]).await.ends(0);
    let accepted: Vec<_> = history.json().iter().map(|run| run["accepted"].as_u64().unwrap()).collect();
    assert_eq!(accepted, [4, 2, 0, 3]);
    let keys: Vec<String> = history.json()[0].as_object().unwrap().keys().cloned().collect();
    assert!(keys.contains(&"started_at".to_owned()) && history.stdout.lines().next().unwrap().contains(r#""error":null,"started_at":"20"#));
    let last = shop.sync(&["history", "--last", "1"]).await.ends(0);
    assert!(last.stdout.contains("| people | ") && last.stdout.lines().count() == 5, "{}", last.stdout);
    let runs = shop.column("SELECT accepted FROM clevertap.sync_runs WHERE sync = 'people' ORDER BY started_at").await;
    assert_eq!(runs, ["3", "0", "2", "4"]);
    assert_eq!(shop.column("SELECT count(*) FROM clevertap.sync_rows").await, ["4"]);
    assert_eq!(shop.column("SELECT table_name FROM information_schema.tables WHERE table_name = 'dead_letters'").await, ["dead_letters"]);
    // The account's own tables are where they were.
    assert_eq!(shop.column("SELECT identity FROM clevertap.profiles WHERE identity = 'a'").await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_are_exit_code_three_and_are_tried_again_when_they_are_asked_for() {
    let shop = Shop::new(PEOPLE);
    fs::write(shop.path("people.csv"), "id,email,plan\na,a@example.org,gold\nb,no-address,gold\n").unwrap();
    let first = shop.sync(&["run", "people", "--json"]).await.ends(3);
    assert_eq!((&first.json()[0]["status"], &first.json()[0]["rejected"]), (&"partial".into(), &1.into()));
    let failed = shop.sync(&["failed", "people", "--json"]).await.ends(0);
    let letter = &failed.json()[0];
    assert_eq!((&letter["key"], &letter["fate"], &letter["attempts"]), (&"b".into(), &"rejected".into(), &1.into()));
    assert!(
        failed.stdout.starts_with(r#"{"key":"b","fate":"rejected","code":"#) && letter["record"]["identity"] == "b",
        "{}",
        failed.stdout
    );
    // It is held, which is told by the exit code too, and is not sent.
    let held = shop.sync(&["run", "people", "--json"]).await.ends(3);
    assert_eq!((&held.json()[0]["held"], &held.json()[0]["rejected"]), (&1.into(), &0.into()));
    shop.sync(&["retry", "people"]).await.ends(3);
    assert_eq!(shop.sync(&["failed", "people", "--json"]).await.json()[0]["attempts"], 2);
    assert!(shop.sync(&["failed", "people"]).await.ends(0).stdout.contains("no-address"));
    assert_eq!(shop.column("SELECT key FROM clevertap.dead_letters").await, ["b"]);
    shop.people(&[("a", "gold"), ("b", "gold")]);
    assert_eq!(shop.sync(&["run", "people", "--json"]).await.ends(0).json()[0]["changed"], 1);
    assert_eq!(shop.sync(&["failed", "people", "--json"]).await.ends(0).stdout, "");
    shop.sync(&["reset", "people"]).await.ends(0);
    assert_eq!(shop.sync(&["run", "people", "--json"]).await.ends(0).json()[0]["new"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_run_in_the_order_of_after_and_an_error_stops_those_that_come_after_it() {
    let shop =
        Shop::new(&format!("{EVENTS}{PEOPLE}[syncs.alone]\nquery = 'SELECT id AS identity FROM people'\ninto = 'clevertap.profiles'\n"));
    let names = |ended: &Ended| ended.json().iter().map(|run| run["sync"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let all = shop.sync(&["run", "joined", "alone", "--json"]).await.ends(0);
    assert_eq!(names(&all), ["people", "joined", "alone"]);
    assert_eq!((shop.world.emulator.events_stored(), shop.world.emulator.profiles_stored()), (3, 3));
    // A key that two rows have refuses the source.
    shop.people(&[("a", "gold"), ("a", "silver"), ("d", "gold")]);
    let stopped = shop.sync(&["run", "joined", "alone"]).await.ends(1);
    assert!(stopped.stdout.contains("people  error\n") && stopped.stdout.contains("joined  not run\n"), "{}", stopped.stdout);
    assert!(stopped.error().contains("joined: not run: it comes after people, which did not end well"), "{}", stopped.error());
    assert!(stopped.error().starts_with("people: ") && stopped.error().contains("SY-201"), "{}", stopped.error());
    let lines = shop.sync(&["run", "joined", "--json"]).await.ends(1).json();
    assert_eq!((&lines[1]["run_id"], &lines[1]["rows"], &lines[1]["status"]), (&Value::Null, &Value::Null, &"error".into()));
    assert_eq!(shop.world.emulator.events_stored(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_paused_is_not_run_until_it_is_resumed() {
    let shop = Shop::new(&format!("{PEOPLE}[syncs.old]\nquery = 'SELECT 1'\ninto = 'clevertap.profiles'\npaused = true\n"));
    shop.sync(&["pause", "people"]).await.ends(0);
    let refused = shop.sync(&["run", "people"]).await.ends(1);
    assert!(refused.error().contains("is paused"), "{}", refused.error());
    let list = shop.sync(&["list", "--json"]).await.ends(0).json();
    assert_eq!(list.iter().map(|sync| sync["paused"].as_bool().unwrap()).collect::<Vec<_>>(), [true, true]);
    shop.sync(&["resume", "people"]).await.ends(0);
    let of_file = shop.sync(&["resume", "old"]).await.ends(1);
    assert!(of_file.error().contains("clevertap.toml:10): take paused = true out of it"), "{}", of_file.error());
    shop.sync(&["run", "people"]).await.ends(0);
    let list = shop.sync(&["list"]).await.ends(0);
    assert!(list.stdout.contains("successful") && list.stdout.contains("never run"), "{}", list.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_a_mirror_is_told_by_a_property_unless_too_many_did() {
    let shop = Shop::new(&format!("{PEOPLE}mode = 'mirror'\non_removed = {{ Plan = 'churned' }}\nmax_removed = 1\n"));
    shop.sync(&["run", "people"]).await.ends(0);
    shop.people(&[("a", "gold")]);
    let plan = shop.sync(&["plan", "people"]).await.ends(0);
    assert!(plan.stdout.contains("2 removed") && plan.stdout.contains("a run is refused"), "{}", plan.stdout);
    shop.sync(&["run", "people"]).await.ends(1);
    let run = shop.sync(&["run", "people", "--max-removed", "100%", "--json"]).await.ends(0).json();
    assert_eq!((&run[0]["removed"], &run[0]["accepted"]), (&2.into(), &2.into()));
    let plan_of = |identity: &str| shop.world.emulator.profile(identity).unwrap().to_string().contains("\"Plan\":\"churned\"");
    assert_eq!(["a", "b", "c"].map(plan_of), [false, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_sends_nothing_and_the_rest_is_looked_at_without_sending() {
    let shop = Shop::new(PEOPLE);
    let checked = shop.sync(&["check"]).await.ends(0);
    assert_eq!(checked.stdout, "ok          people: into clevertap.profiles\n");
    let preview = shop.sync(&["preview", "people", "--rows", "2"]).await.ends(0);
    assert!(preview.stdout.contains("| a        |") && preview.stdout.contains("\"identity\":\"b\""), "{}", preview.stdout);
    let preview = shop.sync(&["preview", "people", "--rows", "1", "--json"]).await.ends(0).json();
    assert_eq!((&preview[0]["key"], &preview[0]["payload"]["identity"], &preview[0]["code"]), (&"a".into(), &"a".into(), &Value::Null));
    let baseline = shop.sync(&["baseline", "people"]).await.ends(0);
    assert!(baseline.stdout.starts_with("people: 3 rows are remembered as sent"), "{}", baseline.stdout);
    assert_eq!(shop.sync(&["run", "people", "--json"]).await.ends(0).json()[0]["unchanged"], 3);
    assert!(shop.sync(&["compact", "people"]).await.ends(0).stdout.starts_with("people: 3 rows in "));
    assert!(shop.world.sent_to("/1/upload").is_empty());
    let forgotten = shop.sync(&["forget", "--identity", "a", "--identity", "nobody"]).await.ends(0);
    assert!(forgotten.stdout.starts_with("syncs forgot 1 rows, 0 failed rows"), "{}", forgotten.stdout);
    assert_eq!(shop.column("SELECT key FROM clevertap.sync_rows ORDER BY key").await, ["b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_the_nearest_name_and_no_value() {
    let shop = Shop::new(&format!("{PEOPLE}[syncs.lost]\nquery = 'SELECT id AS identity FROM peopel'\ninto = 'clevertap.profiles'\n"));
    for (arguments, code, why) in [
        (&["run", "peple"][..], 2, "no sync has the name \"peple\"; did you mean people?"),
        (&["history", "x"], 2, "there are lost, people"),
        (&["reset", "x"], 2, "no sync has the name \"x\""),
        (&["run", "people", "--from", "2026-01-02", "--to", "2026-01-01"], 2, "--to is not behind --from"),
        (&["plan", "lost"], 1, "table 'datafusion.public.peopel' not found. Did you mean people?"),
        (&["check"], 1, "1 of 2 syncs were refused"),
    ] {
        let refused = shop.sync(arguments).await.ends(code);
        assert!(refused.error().contains(why), "{arguments:?}: {}", refused.error());
    }
    let mut config = shop.config();
    config.read_only = true;
    let reset = CommandLine::try_parse_from(["sync", "reset", "people"]).unwrap().flags;
    let output = Output::open(None, Some(&shop.path("stdout")), FileAccess::Default).unwrap();
    let never = Interrupts::from(futures::stream::pending());
    let refused = Box::pin(sync(reset, config, output, &mut Stderr::default().console(), never)).await.unwrap_err();
    assert!(refused.to_string().starts_with("--read-only refuses sync reset"), "{refused}");
    assert!(!shop.path("state").exists());
    assert!(CommandLine::try_parse_from(["sync", "run", "people", "--max-removed", "many"]).is_err());
    assert!(CommandLine::try_parse_from(["sync", "forget"]).is_err());
    let none = Shop::new("");
    let refused = none.sync(&["run", "people"]).await.ends(2);
    assert!(refused.error().contains("there are none; [syncs.people] in clevertap.toml defines one"), "{}", refused.error());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_forgotten() {
    let shop = Shop::new(PEOPLE);
    shop.sync(&["run", "people"]).await.ends(0);
    let log = shop.path("log").display().to_string();
    let erased = async |identity: &str| {
        let flags = EraseLine::try_parse_from(["erase", "--identity", identity, "--log", &log, "-o", "/dev/null"]).unwrap().flags;
        let (stderr, never) = (Stderr::default(), Interrupts::from(futures::stream::pending()));
        let ledger = shop.config().ledger();
        let account = shop.world.reopen();
        let ended = Box::pin(erase(&flags, account, |_| None, ledger.as_deref(), Interactive::Script, &mut stderr.console(), never)).await;
        (ended.unwrap(), stderr.text())
    };
    let (_, said) = erased("b").await;
    assert!(
        said.contains("syncs forgot 1 rows, 0 failed rows and 0 keys in flight of these people; where a source still has them"),
        "{said}"
    );
    assert_eq!(shop.column("SELECT key FROM clevertap.sync_rows ORDER BY key").await, ["a", "c"]);
    // A ledger that is damaged does not undo the erasure.
    fs::write(shop.path("state/clevertap-sync.json"), "{\"format\":99}").unwrap();
    let (ended, said) = erased("c").await;
    assert_eq!(ended, Completion::Done);
    assert!(said.contains("was not forgotten: the ledger ") && said.contains("Their erasure goes on"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_state_has_no_table_of_syncs_and_makes_no_folder() {
    let shop = Shop::new("");
    let mut config = shop.config();
    assert_eq!(config.ledger(), Some(shop.path("state").display().to_string()));
    config.state = None;
    let session = Session::with(config, None).unwrap();
    assert!(session.rows("SELECT * FROM clevertap.sync_runs").await.is_err());
    // Said, and not there yet: the tables have no rows.
    assert_eq!(shop.column("SELECT count(*) FROM clevertap.sync_rows").await, ["0"]);
    assert!(!shop.path("state").exists());
    // One that cannot be read stops what names it alone.
    fs::create_dir(shop.path("state")).unwrap();
    fs::write(shop.path("state/clevertap-sync.json"), "{\"format\":99}").unwrap();
    let session = Session::with(shop.config(), None).unwrap();
    for text in ["SHOW TABLES", "SELECT 1", "SELECT * FROM clevertap.runs", "SELECT identity FROM clevertap.profiles WHERE identity = 'a'"]
    {
        session.rows(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let refused = Failure::from(session.rows("SELECT * FROM clevertap.sync_rows").await.unwrap_err()).to_string();
    assert!(refused.contains("is of format 99") && refused.contains("[SY-303]"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_doubt_are_listed_and_held() {
    let shop = Shop::new(&EVENTS.replace("after = ['people']\n", ""));
    shop.world.emulator.add_fault(Fault::new(What::ResetAfter).on("/1/upload").times(1));
    let run = shop.sync(&["run", "joined", "--json"]).await.ends(1);
    assert_eq!((&run.json()[0]["status"], &run.json()[0]["in_doubt"]), (&"error".into(), &3.into()));
    let failed = shop.sync(&["failed", "joined", "--json"]).await.ends(0);
    let fates: Vec<_> = failed.json().iter().map(|row| (row["key"].clone(), row["fate"].clone(), row["record"].clone())).collect();
    assert_eq!(fates, ["a", "b", "c"].map(|key| (key.into(), "in_doubt".into(), Value::Null)), "{}", failed.stdout);
    let held = shop.sync(&["run", "joined", "--json"]).await.ends(3);
    assert_eq!((&held.json()[0]["held"], shop.world.emulator.events_stored()), (&3.into(), 3));
}
