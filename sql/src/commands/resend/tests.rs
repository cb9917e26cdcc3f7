//! The command against the emulator: each row once, whatever happened before.

use std::{collections::HashSet, fs, path::Path, time::Duration};

use clevertap_emulator::{Fault, What};

use super::*;
use crate::{
    config::OpenAccount,
    engine::script::split,
    files::atomic_file::FileAccess,
    terminal::format::Format,
    world::{Stderr, World},
};
use datafusion_clevertap::Account;

const UPLOAD: &str = "/1/upload";

fn output(folder: &Path) -> Output {
    Output::open(Some(Format::Csv), Some(&folder.join("out")), FileAccess::Default).unwrap()
}

/// Runs a script whose failed rows go to `failed`.
async fn load(world: &World, folder: &Path, script: &str) -> Result<Completion> {
    let session = Session::open(Some(world.account.clone()), Some(folder.join("failed").to_str().unwrap())).unwrap();
    let stderr = Stderr::default();
    let mut console = stderr.console();
    let mut runner = Runner::new(session, output(folder), &mut console, Interrupts::listen().unwrap());
    runner.run_all(&split(&format!("SET clevertap.schema_check = 'off'; SET clevertap.upload_concurrency = 1; {script}")).unwrap()).await
}

/// Sends again as another process would; what it says, and how it ended.
async fn again(world: &World, folder: &Path, arguments: &[&str]) -> (Result<Completion>, String) {
    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        flags: ResendFlags,
    }
    let failed = folder.join("failed");
    let arguments = [&["resend", failed.to_str().unwrap()], arguments].concat();
    let flags = <Flags as clap::Parser>::parse_from(arguments).flags;
    let stderr = Stderr::default();
    let ended = resend(&flags, world.reopen(), output(folder), &mut stderr.console(), Interrupts::listen().unwrap()).await;
    (ended, stderr.text())
}

fn events(from: u64, to: u64) -> String {
    format!(
        "INSERT INTO clevertap.events SELECT concat('p', value) AS identity, 'Seen' AS event_name, 1767225600 + value AS event_time
         FROM generate_series({from}, {to})"
    )
}

fn files(folder: &Path) -> HashSet<String> {
    let files = fs::read_dir(folder.join("failed")).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn unsent_rows_are_sent_once_however_often_it_is_asked_for_and_whatever_is_copied() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    world.emulator.add_fault(Fault::new(What::Unauthorized).on(UPLOAD).after(2));
    load(&world, folder.path(), &events(1, 9_000)).await.unwrap_err();
    world.emulator.clear_faults();
    let stored = world.emulator.events_stored();
    let unsent = world.account.runs()[0].tally.unsent;
    assert!(stored == 2_000 && unsent > 3_000, "{unsent}");
    let file = files(folder.path()).into_iter().next().unwrap();
    let failed = folder.path().join("failed");
    fs::copy(failed.join(&file), failed.join("copy-of-it.parquet")).unwrap();

    let (ended, said) = again(&world, folder.path(), &[]).await;
    assert_eq!(ended.unwrap(), Completion::Done, "{said}");
    assert!(said.contains(&format!("clevertap.events: {unsent} accepted, 0 rejected")), "{said}");
    assert_eq!(world.emulator.events_stored(), stored + unsent);
    for arguments in [&[][..], &["--fate", "unsent"], &["--fate", "in_doubt", "--fate", "unsent"]] {
        let (ended, said) = again(&world, folder.path(), arguments).await;
        assert_eq!(ended.unwrap(), Completion::Done);
        assert_eq!(said, format!("left out: {unsent} rows were sent again before\nnothing was sent\n"));
    }
    assert_eq!(world.emulator.events_stored(), stored + unsent);
    // The folder is still one of failed rows.
    let session = Session::open(None, None).unwrap();
    let count = session.count(&format!("SELECT count(*) FROM '{}/'", failed.display())).await.unwrap();
    assert_eq!(count, 2 * unsent);
}

#[tokio::test(start_paused = true)]
async fn records_arrive_as_they_were_mapped_of_every_table_and_in_their_order() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    world.emulator.add_fault(Fault::new(What::Unauthorized));
    let writes = [
        "INSERT INTO clevertap.profiles SELECT * FROM (VALUES ('a', 'old', 1.5), ('a', 'new', 2.5)) t(identity, \"Plan\", \"Score\")",
        "INSERT INTO clevertap.profiles SELECT 'b' AS identity, ct_incr(3) AS \"Visits\", ct_add(make_array('x')) AS \"Tags\"",
        "INSERT INTO clevertap_events.\"Bought a hat\" SELECT 'a' AS identity, now() AS event_time, 7 AS \"Size\"",
        "INSERT INTO clevertap.subscriptions SELECT 'email' AS type, 'a@example.org' AS value, 'Unsubscribe' AS status",
        "INSERT INTO clevertap.phone_disassociations SELECT '+14155550001' AS phone",
    ];
    for write in writes {
        let failure = load(&world, folder.path(), write).await.unwrap_err();
        assert!(failure.to_string().contains("unsent of"), "{failure}");
    }
    world.emulator.clear_faults();
    let before = world.sent();
    let (ended, said) = again(&world, folder.path(), &[]).await;
    assert_eq!(ended.unwrap(), Completion::Done, "{said}");
    assert_eq!(world.sent() - before, 4, "profiles, events, subscriptions, phones: {said}");
    let bodies = [world.sent_to(UPLOAD), world.sent_to("/1/subscribe"), world.sent_to("/1/disassociate")];
    // What failed and what was sent again is the same record, byte for byte.
    let first: Vec<String> =
        bodies[0][..3].iter().map(|body| body.trim_start_matches("{\"d\":[").trim_end_matches("]}").to_owned()).collect();
    assert_eq!(bodies[0][3], format!("{{\"d\":[{},{}]}}", first[0], first[1]));
    assert_eq!(bodies[0][4], format!("{{\"d\":[{}]}}", first[2]));
    assert_eq!((&bodies[1][0], &bodies[2][0]), (&bodies[1][1], &bodies[2][1]));
}

#[tokio::test(start_paused = true)]
async fn what_may_be_stored_is_sent_by_choice_alone_unless_a_second_one_does_no_harm() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let adds = "INSERT INTO clevertap.profiles SELECT 'b' AS identity, ct_incr(3) AS \"Visits\"";
    for write in [events(1, 3).as_str(), adds] {
        world.emulator.add_fault(Fault::new(What::ResetAfter).on(UPLOAD).times(1));
        load(&world, folder.path(), write).await.unwrap_err();
    }
    world.emulator.add_fault(Fault::new(What::HangBefore).on(UPLOAD));
    let insert = "SET clevertap.retry_for_ms = 1; SET clevertap.timeout_ms = 1; INSERT INTO clevertap.profiles SELECT 'c' AS identity";
    load(&world, folder.path(), insert).await.unwrap_err();
    world.emulator.clear_faults();
    let (ended, said) = again(&world, folder.path(), &[]).await;
    assert_eq!(ended.unwrap(), Completion::Done);
    assert!(said.contains("left out: 4 rows are in doubt and may be stored; --fate in_doubt sends them"), "{said}");
    assert!(world.emulator.profile("c").is_some() && world.emulator.events_stored() == 3);
    let (ended, _) = again(&world, folder.path(), &["--fate", "in_doubt"]).await;
    assert_eq!(ended.unwrap(), Completion::Done);
    assert_eq!(world.emulator.events_stored(), 6);
}

#[tokio::test(start_paused = true)]
async fn refused_rows_and_those_of_dry_runs_are_left_out_until_they_are_asked_for() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let skip = "SET clevertap.on_reject = 'skip'";
    let people = "INSERT INTO clevertap.profiles SELECT * FROM (VALUES ('a', 'no address'), (NULL, 'x@example.org')) t(identity, email)";
    load(&world, folder.path(), &format!("{skip}; {people}")).await.unwrap();
    load(&world, folder.path(), &format!("{skip}; SET clevertap.dry_run = 'server'; {people}")).await.unwrap();
    let (_, said) = again(&world, folder.path(), &[]).await;
    let expected = [
        "left out: 2 rows are of dry runs; --dry-runs sends them",
        "left out: 1 rows were refused before they were sent, and have no record to send: mend them by SQL, and insert them from there",
        "left out: 1 rows were rejected by CleverTap; --fate rejected sends them as they are, and SQL mends them",
        "nothing was sent\n",
    ];
    assert_eq!(said, expected.join("\n"));
    let (ended, said) = again(&world, folder.path(), &["--fate", "rejected", "--dry-runs"]).await;
    assert_eq!(ended.unwrap(), Completion::RowsSkipped, "{said}");
    assert!(said.contains("0 accepted, 2 rejected"), "{said}");
    // Their new rejects stand for them.
    let (_, said) = again(&world, folder.path(), &["--fate", "rejected"]).await;
    assert!(said.contains("left out: 2 rows were sent again before") && said.contains("0 accepted, 2 rejected"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_is_evidence_of_its_own_and_is_sent_from_there() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    world.emulator.add_fault(Fault::new(What::Unauthorized).on(UPLOAD));
    load(&world, folder.path(), &events(1, 900)).await.unwrap_err();
    world.emulator.add_fault(Fault::new(What::Unauthorized).on(UPLOAD));
    for _ in 0..2 {
        let (ended, _) = again(&world, folder.path(), &[]).await;
        ended.unwrap_err();
    }
    world.emulator.clear_faults();
    let (ended, said) = again(&world, folder.path(), &[]).await;
    assert_eq!(ended.unwrap(), Completion::Done);
    assert!(said.starts_with("left out: 1800 rows were sent again before\n"), "{said}");
    assert_eq!(world.emulator.events_stored(), 900);
    assert_eq!(again(&world, folder.path(), &[]).await.1, "left out: 2700 rows were sent again before\nnothing was sent\n");
}

/// What a process leaves that is killed while it sends: its log, without what it would have written at its end.
#[tokio::test(start_paused = true)]
async fn a_resend_that_is_killed_never_sends_an_event_twice_in_silence() {
    for after in [0, 3, 6] {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        world.emulator.add_fault(Fault::new(What::Unauthorized).on(UPLOAD));
        for first in (1..=12_000).step_by(3_000) {
            load(&world, folder.path(), &events(first, first + 2_999)).await.unwrap_err();
        }
        world.emulator.clear_faults();
        world.emulator.add_fault(Fault::new(What::HangAfter).on(UPLOAD).after(after));
        let before = files(folder.path());
        tokio::time::timeout(Duration::from_secs(5), again(&world, folder.path(), &[])).await.expect_err("it hangs");
        // The statement is dropped with the process; what it writes then, a killed one does not.
        tokio::time::sleep(Duration::from_secs(1)).await;
        for file in files(folder.path()).difference(&before).filter(|file| file.starts_with("failed-")) {
            fs::remove_file(folder.path().join("failed").join(file)).unwrap();
        }
        world.emulator.clear_faults();
        let (ended, said) = again(&world, folder.path(), &[]).await;
        assert_eq!(ended.unwrap(), Completion::Done, "{said}");
        assert!(said.contains("rows were being sent again when that was cut off, and may be stored; --fate in_doubt sends them"), "{said}");
        let most = world.emulator.events_by_identity().into_values().max();
        assert_eq!(most, Some(1), "after {after} bodies");
        let (ended, said) = again(&world, folder.path(), &["--fate", "in_doubt"]).await;
        assert_eq!(ended.unwrap(), Completion::Done, "{said}");
        let stored = world.emulator.events_by_identity();
        assert_eq!(stored.len(), 12_000, "none is missing");
        assert_eq!(again(&world, folder.path(), &["--fate", "in_doubt"]).await.1.lines().last(), Some("nothing was sent"));
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_at_once_one_stops_before_it_sends() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    world.emulator.add_fault(Fault::new(What::Unauthorized).on(UPLOAD));
    load(&world, folder.path(), &events(1, 3_000)).await.unwrap_err();
    world.emulator.clear_faults();
    let (one, other) = tokio::join!(again(&world, folder.path(), &[]), again(&world, folder.path(), &[]));
    let refused = [&one, &other].into_iter().filter_map(|(ended, _)| ended.as_ref().err()).map(ToString::to_string).collect::<Vec<_>>();
    let [refused] = refused.as_slice() else { panic!("{refused:?} {} {}", one.1, other.1) };
    assert!(refused.contains("another resend is at work in "), "{refused}");
    // Once.
    assert_eq!(
        refused.matches("another resend").count() + one.1.matches("another resend").count() + other.1.matches("another resend").count(),
        1
    );
    assert_eq!(world.emulator.events_by_identity().into_values().max(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_not_there_is_told() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let (ended, said) = again(&world, folder.path(), &[]).await;
    assert!(ended.unwrap_err().to_string().contains("it is not there"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_without_failed_rows_points_to_resume() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("failed")).unwrap();
    let (ended, said) = again(&world, folder.path(), &[]).await;
    let told = ended.unwrap_err().to_string();
    assert!(
        told.contains("holds no failed rows") && told.ends_with(&format!("--resume {}", folder.path().join("failed").display())),
        "{told} {said}"
    );
    // A load that went well leaves a log alone.
    load(&world, folder.path(), "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 1 AS \"N\"").await.unwrap();
    let (ended, _) = again(&world, folder.path(), &[]).await;
    assert!(ended.unwrap_err().to_string().contains("--resume"));
}

#[tokio::test(start_paused = true)]
async fn rows_of_two_accounts_in_one_folder_are_each_sent_to_their_own() {
    let (shop, folder) = (World::new(), tempfile::tempdir().unwrap());
    let lab = shop.beside("LAB-000-000Z");
    let named = |name: &str, account: Account| OpenAccount { name: name.to_owned(), ..OpenAccount::from(account) };
    let failed = folder.path().join("failed").display().to_string();
    let users = folder.path().join("users.csv");
    fs::write(&users, "id\na\nb\n").unwrap();
    for (name, world) in [("shop", &shop), ("lab", &lab)] {
        let settings = crate::engine::session::SessionSettings::from(named(name, world.account.clone()));
        let session = Session::with(settings, Some(&failed)).unwrap();
        world.emulator.add_fault(Fault::new(What::Unauthorized));
        session.rows("SET clevertap.schema_check = 'off'").await.unwrap();
        for write in [
            format!("INSERT INTO {name}.profiles SELECT id AS identity, '{name}' AS \"Of\" FROM '{}'", users.display()),
            format!("INSERT INTO {name}_events.\"Seen\" SELECT 'a' AS identity, now() AS event_time"),
        ] {
            session.rows(&write).await.unwrap_err();
        }
        world.emulator.clear_faults();
    }
    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        flags: ResendFlags,
    }
    let flags = <Flags as clap::Parser>::parse_from(["resend", &failed]).flags;
    let send = async |account: OpenAccount| {
        let stderr = Stderr::default();
        let ended = resend(&flags, account, output(folder.path()), &mut stderr.console(), Interrupts::listen().unwrap()).await;
        (ended.unwrap(), stderr.text())
    };
    let (_, said) = send(named("lab", lab.reopen())).await;
    assert!(
        said.contains(
            "left out: 3 rows were written to another account; --account NAME sends those of NAME, which is a name in clevertap.toml\n"
        ),
        "{said}"
    );
    assert_eq!((lab.emulator.report().profiles, lab.emulator.events_stored()), (2, 1), "{said}");
    assert_eq!((shop.emulator.report().profiles, shop.emulator.events_stored()), (0, 0));
    // The id in the log of a run counts, whatever the account is called by now; where there is no log, its name does.
    let (_, said) = send(named("renamed", shop.reopen())).await;
    assert_eq!((shop.emulator.report().profiles, shop.emulator.events_stored()), (2, 0), "{said}");
    let (_, said) = send(named("shop", shop.reopen())).await;
    assert_eq!((shop.emulator.report().profiles, shop.emulator.events_stored()), (2, 1), "{said}");
}
