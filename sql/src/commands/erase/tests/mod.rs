//! `erase` against the emulator, under a paused clock.

mod log_faults;
mod null_marks;

use std::{path::Path, time::Duration};

use clap::Parser;
use clevertap_emulator::{SeedPerson, Settings};

use super::{
    EraseFlags, erase,
    log::{ErasureLog, LogEntry, LogEvent},
    log_store::LogStore,
};
use crate::{
    commands::person_key::{KeyKind, PersonKey},
    failure::{Completion, Failure, Result},
    terminal::{confirm::Interactive, interrupt::Interrupts},
    world::{Stderr, World},
};
use datafusion_clevertap::storage::Folder;
use datafusion_clevertap::{
    Access, Account,
    transport::{Answer, Call, FailureKind},
};

const DELETE: &str = "/1/delete/profiles.json";
const LOOK_UP: &str = "/1/profile.json";
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    flags: EraseFlags,
}

/// Ada and bob share an address; `__g9` is nobody's device but its own.
fn world() -> World {
    let world = World::new();
    world.emulator.seed(|seeder| {
        for (identity, email) in
            [("bob", "both@example.org"), ("ada", "both@example.org"), ("00123", "x@example.org"), ("123", "y@example.org")]
        {
            seeder.person(SeedPerson { identity: Some(identity), email: Some(email), ..SeedPerson::default() });
        }
        seeder.person(SeedPerson { object_id: Some("__g9"), ..SeedPerson::default() });
    });
    world
}

/// Intercept of the answer to a deletion: none.
fn lost(call: &Call) -> Option<std::result::Result<Answer, datafusion_clevertap::transport::Failure>> {
    (call.url.path() == DELETE).then(|| Err(datafusion_clevertap::transport::Failure::new(FailureKind::Lost, "was cut off")))
}

/// Intercept of the answer to a deletion: that the account is not known.
fn refused(call: &Call) -> Option<std::result::Result<Answer, datafusion_clevertap::transport::Failure>> {
    (call.url.path() == DELETE).then(|| Ok(Answer::new(401, r#"{"status":"fail","error":"x","code":401}"#)))
}

/// A command that ended: how, its rows without times, and its stderr.
struct Finished {
    ended: Result<Completion>,
    rows: Vec<String>,
    stderr: String,
}

impl Finished {
    fn code(&self) -> u8 {
        self.ended.as_ref().map_or_else(Failure::code, |ended| ended.code())
    }
}

async fn run(account: Account, log: &Path, arguments: &[&str], interrupts: Interrupts) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().join("rows.csv");
    let (log, to) = (log.display().to_string(), shown.display().to_string());
    let line = ["erase"].into_iter().chain(arguments.iter().copied()).chain(["--log", &log, "-o", &to]);
    let line = line.chain(if arguments.contains(&"--format") { [].as_slice() } else { &["--format", "csv"] }.iter().copied());
    let flags = CommandLine::try_parse_from(line).unwrap().flags;
    let stderr = Stderr::default();
    let ended = Box::pin(erase(&flags, account, |_| None, None, Interactive::Script, &mut stderr.console(), interrupts)).await;
    #[cfg(unix)]
    if let Ok(file) = shown.metadata() {
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600, "it holds people");
    }
    let rows = std::fs::read_to_string(shown).unwrap_or_default();
    let rows = rows.lines().skip(1).map(|row| row.split(',').take(3).collect::<Vec<_>>().join(" ")).collect();
    Finished { ended, rows, stderr: stderr.text() }
}

async fn once(world: &World, log: &Path, arguments: &[&str]) -> Finished {
    run(world.reopen(), log, arguments, Interrupts::from(futures::stream::pending())).await
}

#[tokio::test(start_paused = true)]
async fn nobody_is_not_found_and_nothing_is_sent() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let finished = once(&world, log.path(), &["--identity", "eve"]).await;
    assert_eq!((finished.code(), finished.rows), (0, vec!["identity eve not found".to_owned()]), "{}", finished.stderr);
    assert!(world.sent_to(DELETE).is_empty() && !finished.stderr.contains("eve"), "{}", finished.stderr);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_leaves_people_out_says_so() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let file = log.path().join("leavers.csv");
    std::fs::write(&file, format!("identity\n{}", (0..1_001).map(|n| format!("nobody-{n}\n")).collect::<String>())).unwrap();
    let arguments = ["--file", file.to_str().unwrap(), "--format", "table"];
    let finished = once(&world, &log.path().join("log"), &arguments).await;
    assert!(finished.stderr.contains("only the first 1000 rows are shown"), "{}", finished.stderr);
    assert_eq!(finished.rows.iter().filter(|row| row.contains("nobody-")).count(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_requested_until_clevertap_has_carried_it_out() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let finished = once(&world, log.path(), &["--identity", "ada"]).await;
    assert_eq!((finished.code(), finished.rows), (0, vec!["identity ada requested".to_owned()]), "{}", finished.stderr);
    assert_eq!(world.sent_to(DELETE), [r#"{"identity":["ada"]}"#]);
    assert_eq!(once(&world, log.path(), &["status"]).await.rows, ["identity ada requested"]);
    tokio::time::advance(13 * HOUR).await;
    let before = world.sent_to(LOOK_UP).len();
    assert_eq!(once(&world, log.path(), &["status", "--offline"]).await.rows, ["identity ada requested"]);
    assert_eq!(world.sent_to(LOOK_UP).len(), before);
    assert_eq!(once(&world, log.path(), &["status"]).await.rows, ["identity ada gone"]);
    // Whoever is gone is not asked about any more, and stays gone where the command is run again.
    let before = world.sent_to(LOOK_UP).len();
    assert_eq!(once(&world, log.path(), &["status"]).await.rows, ["identity ada gone"]);
    assert_eq!(world.sent_to(LOOK_UP).len(), before);
    assert_eq!(once(&world, log.path(), &["--identity", "ada"]).await.rows, ["identity ada gone"]);
    assert_eq!(world.sent_to(DELETE).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn wait_ends_when_the_person_is_gone() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let finished = once(&world, log.path(), &["--identity", "ada", "--wait"]).await;
    assert_eq!((finished.code(), finished.rows), (0, vec!["identity ada gone".to_owned()]), "{}", finished.stderr);
    // Who is gone is looked up twice.
    let looks = finished.stderr.matches("the next look is in").count();
    assert!((13..40).contains(&looks), "{looks} looks in 12 hours:\n{}", finished.stderr);
    assert!(world.emulator.profile("ada").is_none() && world.emulator.profile("bob").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_person_who_is_there_after_48_hours_is_still_there_and_is_requested_again() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    world.intercept(|call| (call.url.path() == DELETE).then(|| Ok(Answer::new(200, r#"{"status":"success"}"#))));
    let began = tokio::time::Instant::now();
    let finished = once(&world, log.path(), &["--identity", "ada", "--wait"]).await;
    assert_eq!((finished.code(), finished.rows), (1, vec!["identity ada still there".to_owned()]), "{}", finished.stderr);
    assert!((48 * HOUR..49 * HOUR).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(once(&world, log.path(), &["status", "--offline"]).await.rows, ["identity ada still there"]);
    world.stop_intercepting();
    let finished = once(&world, log.path(), &["--identity", "ada", "--wait"]).await;
    assert_eq!((finished.code(), finished.rows), (0, vec!["identity ada gone".to_owned()]), "{}", finished.stderr);
    assert_eq!(world.sent_to(DELETE).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_stopped_and_taken_up_without_a_second_request() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let soon = futures::stream::once(tokio::time::sleep(HOUR));
    let finished = run(world.reopen(), log.path(), &["--identity", "ada", "--wait"], Interrupts::from(soon)).await;
    assert!(matches!(finished.ended, Err(Failure::Stopped)), "{}", finished.stderr);
    assert!(finished.stderr.contains("takes up waiting where it was left"), "{}", finished.stderr);
    assert_eq!(finished.rows, ["identity ada requested"]);
    let finished = once(&world, log.path(), &["--identity", "ada", "--wait"]).await;
    assert_eq!((finished.code(), finished.rows), (0, vec!["identity ada gone".to_owned()]), "{}", finished.stderr);
    assert_eq!(world.sent_to(DELETE).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_intent_without_an_answer_is_requested_again_or_found_gone() {
    for (identity, state, calls) in [("ada", "requested", 1), ("eve", "gone", 0)] {
        let (world, log) = (world(), tempfile::tempdir().unwrap());
        let key = PersonKey::new(KeyKind::Identity, identity);
        let intent = LogEntry { key: key.clone(), what: LogEvent::Asking, person: Some(key), requested_at: None };
        let mut crashed = ErasureLog::open(LogStore(Folder::Local(log.path().to_owned())), &world.reopen()).await.unwrap();
        crashed.append(&[intent]).await.unwrap();
        assert_eq!(once(&world, log.path(), &["status", "--offline"]).await.rows, [format!("identity {identity} in doubt")]);
        let finished = once(&world, log.path(), &["--identity", identity]).await;
        assert_eq!((finished.code(), finished.rows), (0, vec![format!("identity {identity} {state}")]), "{}", finished.stderr);
        assert_eq!(world.sent_to(DELETE).len(), calls, "{identity}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_in_doubt_and_a_refused_account_is_unsent_and_both_are_taken_up() {
    for state in ["in doubt", "unsent"] {
        let (world, log) = (world(), tempfile::tempdir().unwrap());
        if state == "unsent" {
            world.intercept(refused)
        } else {
            world.intercept(lost)
        }
        let finished = once(&world, log.path(), &["--identity", "ada"]).await;
        assert_eq!((finished.code(), finished.rows), (1, vec![format!("identity ada {state}")]), "{}", finished.stderr);
        world.stop_intercepting();
        let finished = once(&world, log.path(), &["--identity", "ada"]).await;
        assert_eq!((finished.code(), finished.rows), (0, vec!["identity ada requested".to_owned()]), "{}", finished.stderr);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_stays_in_doubt_when_the_next_one_is_refused() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    world.intercept(lost);
    once(&world, log.path(), &["--email", "x@example.org"]).await;
    world.stop_intercepting();
    world.intercept(refused);
    let finished = once(&world, log.path(), &["--email", "x@example.org"]).await;
    assert_eq!((finished.code(), finished.rows), (1, vec!["email x@example.org in doubt".to_owned()]), "{}", finished.stderr);
    world.stop_intercepting();
    let finished = once(&world, log.path(), &["--email", "x@example.org"]).await;
    assert_eq!((finished.code(), finished.rows), (0, vec!["email x@example.org requested".to_owned()]), "{}", finished.stderr);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_cannot_be_written_is_an_error_before_anybody_is_erased() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let (folder, nowhere) = (log.path().display().to_string(), log.path().join("no/where.csv").display().to_string());
    let flags = CommandLine::try_parse_from(["erase", "--identity", "ada", "--log", &folder, "-o", &nowhere]).unwrap().flags;
    let (stderr, interrupts) = (Stderr::default(), Interrupts::from(futures::stream::pending()));
    let ended = Box::pin(erase(&flags, world.reopen(), |_| None, None, Interactive::Script, &mut stderr.console(), interrupts)).await;
    assert!(ended.is_err_and(|failure| failure.to_string().contains("where.csv")));
    assert!(world.sent_to(DELETE).is_empty());
}

#[tokio::test(start_paused = true)]
async fn late_lines_of_ndjson_are_read_like_the_first_thousand() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let file = log.path().join("leavers.ndjson");
    let people = "{\"identity\":\"bob\"}\n".repeat(1_500);
    std::fs::write(&file, format!("{people}{{\"email\":\"x@example.org\"}}\n")).unwrap();
    let finished = once(&world, &log.path().join("log"), &["--file", file.to_str().unwrap()]).await;
    assert_eq!(finished.rows, ["identity bob requested", "email x@example.org requested"], "{}", finished.stderr);
    std::fs::write(&file, format!("{}{{\"identity\":\"00123\"}}\n", "{\"identity\":778100778}\n".repeat(1_500))).unwrap();
    let finished = once(&world, &log.path().join("other"), &["--file", file.to_str().unwrap()]).await;
    assert_eq!(finished.rows, ["identity 00123 requested", "identity 778100778 not found"], "{}", finished.stderr);
    std::fs::write(&file, "{\"identity\":\"ada\"}\n{\"identity\":[\"bob\"]}\n{\"identity\":NaN}\n").unwrap();
    let finished = once(&world, &log.path().join("third"), &["--file", file.to_str().unwrap()]).await;
    let said = finished.ended.unwrap_err().to_string();
    assert!(said.contains("leavers.ndjson, line 3: NaN and Infinity are no JSON") && !said.contains("bob"), "{said}");
    assert_eq!(world.sent_to(DELETE).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_folder_of_which_files_would_be_missed_or_misread_is_refused() {
    for (other, expected) in [
        ("b.csv", "has no column"),
        ("b.ndjson", "do not all end in"),
        ("b.CSV", "do not all end in"),
        ("b.txt", "do not all end in"),
        ("0.txt", "do not all end in"),
    ] {
        let (world, log, people) = (world(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(people.path().join("a.csv"), "identity,email\nada,\n").unwrap();
        std::fs::write(people.path().join(other), "mail,identity\n,bob\n").unwrap();
        std::fs::write(people.path().join("_SUCCESS"), "").unwrap();
        let finished = once(&world, log.path(), &["--file", &format!("{}/", people.path().display())]).await;
        let said = finished.ended.map_or_else(|failure| failure.to_string(), |_| finished.rows.join("\n"));
        assert!(said.contains(expected), "{other}: {said}");
        assert!(world.sent_to(DELETE).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_names_people_by_any_key_and_its_digits_are_text() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let file = log.path().join("leavers.csv");
    std::fs::write(&file, "\u{feff}Identity,plan,object_id,email\n00123,x,,\n,x,__g9,\n,,,both@example.org\n,x,,\n00123,,,\n").unwrap();
    let finished = once(&world, &log.path().join("log"), &["--file", file.to_str().unwrap()]).await;
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    assert_eq!(finished.rows, ["identity 00123 requested", "object_id __g9 requested", "email both@example.org requested"]);
    assert_eq!(world.sent_to(DELETE), [r#"{"identity":["00123","ada"]}"#, r#"{"guid":["__g9"]}"#]);
    assert!(finished.stderr.contains("5 rows were read, 3 different people in them\n1 rows name nobody"), "{}", finished.stderr);
}

#[tokio::test(start_paused = true)]
async fn a_blank_around_a_key_is_reported() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let file = log.path().join("leavers.csv");
    std::fs::write(&file, "identity\n ada \nbob\n").unwrap();
    let finished = once(&world, &log.path().join("log"), &["--file", file.to_str().unwrap()]).await;
    assert!(finished.stderr.contains("1 of them begin or end with a blank") && !finished.stderr.contains("ada"), "{}", finished.stderr);
}

#[tokio::test(start_paused = true)]
async fn ndjson_takes_whole_numbers_and_no_other_type_may_name_a_person() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    for (rows, expected) in [
        ("{\"identity\":123}\n", "identity 123 requested"),
        ("{\"identity\":123.0}\n", "has type Decimal128(4, 1)"),
        ("{\"id\":\"ada\"}\n", "expected a column identity, object_id or email, and its columns are \"id\""),
    ] {
        let file = log.path().join("leavers.ndjson");
        std::fs::write(&file, rows).unwrap();
        let finished = once(&world, &log.path().join("log"), &["--file", file.to_str().unwrap()]).await;
        let said = finished.ended.map_or_else(|failure| failure.to_string(), |_| finished.rows.join("\n"));
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(world.sent_to(DELETE), [r#"{"identity":["123"]}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_folder_of_parquet_files_names_the_people_of_all_of_them_or_is_refused() {
    let (world, folder) = (world(), tempfile::tempdir().unwrap());
    let files = crate::engine::session::Session::open(None, None).unwrap();
    let people = folder.path().join("people");
    let mut finished = Vec::new();
    for (name, rows) in [
        ("a", "SELECT arrow_cast(123, 'Int32') AS identity"),
        ("b", "SELECT 123 AS identity, 'x@example.org' AS email UNION ALL SELECT NULL, 'y@example.org'"),
        ("c", "SELECT 7 AS \"Identity\""),
    ] {
        files.rows(&format!("COPY ({rows}) TO '{}/{name}.parquet'", people.display())).await.unwrap();
        finished.push(once(&world, &folder.path().join(name), &["--file", &format!("{}/", people.display())]).await);
    }
    let refused = finished.pop().unwrap().ended.unwrap_err().to_string();
    assert!(refused.contains("c.parquet: the column is called \"Identity\" here and \"identity\" in a.parquet"), "{refused}");
    let rows: Vec<_> = finished.iter().map(|finished| finished.rows.join("; ")).collect();
    assert_eq!(rows, ["identity 123 requested", "identity 123 requested; email y@example.org requested"]);
}

#[tokio::test(start_paused = true)]
async fn somebody_else_with_the_same_address_is_found_by_running_it_again() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let arguments = ["--email", "both@example.org", "--wait"];
    let mut states = Vec::new();
    for _ in 0..3 {
        states.extend(once(&world, log.path(), &arguments).await.rows);
    }
    assert_eq!(states, ["email both@example.org gone", "email both@example.org gone", "email both@example.org gone"]);
    assert_eq!(world.sent_to(DELETE), [r#"{"identity":["ada"]}"#, r#"{"identity":["bob"]}"#]);
}

#[tokio::test(start_paused = true)]
async fn one_person_by_two_keys_is_requested_once() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    once(&world, log.path(), &["--identity", "ada"]).await;
    assert_eq!(once(&world, log.path(), &["--identity", "ada"]).await.code(), 0);
    let finished = once(&world, log.path(), &["--email", "both@example.org"]).await;
    assert_eq!(finished.rows, ["email both@example.org requested"], "{}", finished.stderr);
    assert_eq!(world.sent_to(DELETE).len(), 1);
    assert_eq!(once(&world, log.path(), &["status"]).await.rows, ["identity ada requested", "email both@example.org requested"]);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_came_back_is_a_new_request() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    once(&world, log.path(), &["--identity", "ada", "--wait"]).await;
    let back = |seeder: &mut clevertap_emulator::Seeder<'_>| {
        seeder.person(SeedPerson { identity: Some("ada"), ..SeedPerson::default() });
    };
    world.emulator.seed(back);
    let finished = once(&world, log.path(), &["--identity", "ada"]).await;
    assert_eq!((finished.code(), finished.rows), (0, vec!["identity ada requested".to_owned()]), "{}", finished.stderr);
    assert_eq!(world.sent_to(DELETE).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_accounts_share_a_log_and_see_their_own() {
    let log = tempfile::tempdir().unwrap();
    let (one, other) = (world(), World::with(Settings { account_id: "OTHER-1".into(), ..Settings::default() }));
    once(&one, log.path(), &["--identity", "ada"]).await;
    once(&other, log.path(), &["--identity", "zoe"]).await;
    assert_eq!(once(&one, log.path(), &["status"]).await.rows, ["identity ada requested"]);
    assert_eq!(once(&other, log.path(), &["status"]).await.rows, ["identity zoe not found"]);
}

#[tokio::test(start_paused = true)]
async fn more_people_than_rows_max_are_counted_and_nobody_is_requested() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let file = log.path().join("leavers.csv");
    std::fs::write(&file, "identity\nada\nbob\n00123\n").unwrap();
    let (log, file) = (log.path().join("log"), file.display().to_string());
    let finished = once(&world, &log, &["--file", &file, "--rows-max", "2"]).await;
    assert!(matches!(&finished.ended, Err(Failure::Failed(why)) if why.contains("would take 3 people, and --rows-max is 2")));
    assert!(world.sent_to(DELETE).is_empty() && finished.rows.is_empty());
    assert_eq!(once(&world, &log, &["--file", &file, "--rows-max", "3"]).await.code(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_many_a_hundred_are_looked_up_until_one_is_gone() {
    let log = tempfile::tempdir().unwrap();
    let world = World::new();
    world.emulator.seed(|seeder| {
        for n in 0..250 {
            seeder.person(SeedPerson { identity: Some(&format!("p{n}")), ..SeedPerson::default() });
        }
    });
    let file = log.path().join("leavers.csv");
    std::fs::write(&file, (0..250).fold("identity\n".to_owned(), |text, n| format!("{text}p{n}\n"))).unwrap();
    let finished = once(&world, &log.path().join("log"), &["--file", file.to_str().unwrap(), "--wait"]).await;
    assert!(finished.code() == 0 && finished.rows.iter().all(|row| row.ends_with("gone")), "{}", finished.stderr);
    let looks = finished.stderr.matches("the next look is in").count();
    assert_eq!(world.sent_to(LOOK_UP).len(), 250 + 100 * looks + 150 + 250, "{}", finished.stderr);
    assert_eq!(world.sent_to(DELETE).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_breaks_off_is_taken_up_and_requests_everybody_once() {
    let log = tempfile::tempdir().unwrap();
    let world = World::new();
    world.emulator.seed(|seeder| {
        for n in 0..1_200 {
            seeder.person(SeedPerson { identity: Some(&format!("p{n}")), ..SeedPerson::default() });
        }
    });
    let file = log.path().join("leavers.csv");
    std::fs::write(&file, (0..1_200).fold("identity\n".to_owned(), |text, n| format!("{text}p{n}\n"))).unwrap();
    let (log, file) = (log.path().join("log"), file.display().to_string());
    let calls = std::sync::atomic::AtomicU32::new(0);
    world.intercept(move |call| {
        let breaks = call.url.path() == DELETE && calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 5;
        breaks.then(|| Ok(Answer::new(401, r#"{"status":"fail","error":"x","code":401}"#)))
    });
    let finished = once(&world, &log, &["--file", &file, "--rows-max", "1200"]).await;
    let count = |finished: &Finished, state: &str| finished.rows.iter().filter(|row| row.ends_with(state)).count();
    assert_eq!((finished.code(), count(&finished, "requested"), count(&finished, "unsent")), (1, 500, 700), "{}", finished.stderr);
    world.stop_intercepting();
    let finished = once(&world, &log, &["--file", &file, "--rows-max", "1200"]).await;
    assert_eq!((finished.code(), count(&finished, "requested")), (0, 1_200), "{}", finished.stderr);
    let mut asked: Vec<_> = world.emulator.deletions_requested().into_iter().flat_map(|deletion| deletion.identities).collect();
    let all = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!((all, asked.len()), (1_200, 1_200));
}

#[tokio::test(start_paused = true)]
async fn look_ups_that_are_not_answered_are_repeated() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    once(&world, log.path(), &["--identity", "ada"]).await;
    // Two looks of ten minutes each find nobody at home.
    world
        .emulator
        .add_fault(clevertap_emulator::Fault::new(clevertap_emulator::What::ServerErrorBefore).on(LOOK_UP).during(60_000, 5 * 3_600_000));
    let finished = once(&world, log.path(), &["--identity", "ada", "--wait"]).await;
    assert_eq!((finished.code(), finished.rows), (0, vec!["identity ada gone".to_owned()]), "{}", finished.stderr);
    assert!(finished.stderr.contains("the look-ups were not answered, and are made again"), "{}", finished.stderr);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_of_no_known_form_says_nothing_of_the_others() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    for identity in ["ada", "bob", "123", "00123"] {
        once(&world, log.path(), &["--identity", identity]).await;
    }
    tokio::time::advance(30 * HOUR).await;
    world.intercept(|call| {
        let is_bob = call.url.path() == LOOK_UP && call.url.query().is_some_and(|query| query.contains("identity=bob"));
        is_bob.then(|| Ok(Answer::new(200, r#"{"status":"success","data":{}}"#)))
    });
    let finished = once(&world, log.path(), &["status"]).await;
    let why = finished.ended.unwrap_err().to_string();
    assert!(why.contains("1 of 4 people could not be looked up") && why.contains("[CT-304]"), "{why}");
    let finished = once(&world, log.path(), &["status", "--offline"]).await;
    assert_eq!(finished.rows, ["identity 00123 gone", "identity 123 gone", "identity ada gone", "identity bob requested"]);
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_erase_or_a_person_nothing_is_looked_up() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let never = || Interrupts::from(futures::stream::pending());
    let finished = run(world.with_access(Access::Write), log.path(), &["--identity", "ada"], never()).await;
    assert!(matches!(&finished.ended, Err(Failure::Usage(why)) if why.contains("--allow-erase")));
    assert_eq!(once(&world, log.path(), &[]).await.code(), 2);
    assert_eq!(once(&world, log.path(), &["--identity", "ada", "status"]).await.code(), 2);
    assert!(CommandLine::try_parse_from(["erase", "--identity", "a", "--file", "b.csv"]).is_err());
    assert!(world.sent_to(LOOK_UP).is_empty());
}

#[tokio::test(start_paused = true)]
async fn people_are_counted_by_state_where_no_format_is_given() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    once(&world, log.path(), &["--identity", "ada"]).await;
    once(&world, log.path(), &["--identity", "eve"]).await;
    let (folder, to) = (log.path().display().to_string(), log.path().join("shown"));
    let flags = CommandLine::try_parse_from(["erase", "status", "--log", &folder, "-o", to.to_str().unwrap()]).unwrap().flags;
    let stderr = Stderr::default();
    let never = Interrupts::from(futures::stream::pending());
    Box::pin(erase(&flags, world.reopen(), |_| None, None, Interactive::Script, &mut stderr.console(), never)).await.unwrap();
    let shown = std::fs::read_to_string(to).unwrap();
    assert!(shown.contains("| not found | 1      |") && shown.contains("| requested | 1      |"), "{shown}");
}
