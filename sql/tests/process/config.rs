//! `clevertap.toml`, as it is found: in the working folder, by `--config`, and written by `init`.

use std::{
    fs,
    io::{Read, Write},
    process::{Command, Stdio},
    time::Duration,
};

use clevertap_emulator::Settings;

use super::{Ended, Running, World};

/// The program without the id of the environment, which is left to the file.
fn program(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.program(arguments);
    command.env_remove("CLEVERTAP_ACCOUNT_ID").env("HOME", world.path("home"));
    command
}

fn run(world: &World, arguments: &[&str]) -> Ended {
    Running(program(world, arguments).spawn().expect("a process")).wait(Duration::from_secs(120))
}

fn account(world: &World, more: &str) -> String {
    format!("[accounts.shop]\naccount_id = \"{}\"\nregion = \"in1\"\n{more}", world.emulator.settings().account_id)
}

const INSERT: &str = "INSERT INTO shop.profiles SELECT 'a' AS identity";

#[test]
fn the_file_of_the_working_folder_is_said_to_be_used_and_a_named_one_is_not() {
    let world = World::new(Settings::default());
    fs::write(world.path("clevertap.toml"), account(&world, "[options]\nrun_label = 'nightly'\n")).expect("written");
    let ended = run(&world, &["--format", "csv", "-c", INSERT, "-c", "SELECT label FROM shop.runs"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "count\n1\nlabel\nnightly\n"), "{}", ended.stderr);
    let id = &world.emulator.settings().account_id;
    let said = format!("clevertap.toml of this folder is used: shop ({id} at {})\n", world.server.url());
    assert!(ended.stderr.starts_with(&said), "{}", ended.stderr);
    // An account of flags and variables is beside it.
    let beside = Running(
        world
            .program(&["--region", "in1", "-c", "SELECT * FROM clevertap.runs"])
            .env("CLEVERTAP_ACCOUNT_ID", "X")
            .spawn()
            .expect("a process"),
    );
    assert_eq!(beside.wait(Duration::from_secs(120)).code, Some(0));
    for arguments in [&["--config", "clevertap.toml", "-c", "SELECT 1"][..], &["--quiet", "-c", "SELECT 1"]] {
        let ended = run(&world, arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }
    let demo = run(&world, &["config", "--json"]);
    assert!(
        demo.stdout.contains("{\"key\":\"accounts.shop.passcode\",\"value\":\"set\",\"from\":\"CLEVERTAP_PASSCODE\"}\n"),
        "{}",
        demo.stdout
    );
}

#[test]
fn the_file_of_the_working_folder_sends_no_passcode_elsewhere_until_it_is_named() {
    let world = World::new(Settings::default());
    let elsewhere = World::new(Settings::default());
    fs::write(world.path("clevertap.toml"), account(&world, &format!("endpoint = \"{}\"\n", elsewhere.server.url()))).expect("written");
    for arguments in [&["check"][..], &["-c", INSERT], &["-c", "SELECT 1"], &["config"]] {
        let ended =
            Running(program(&world, arguments).env_remove("CLEVERTAP_ENDPOINT").spawn().expect("a process")).wait(Duration::from_secs(120));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: clevertap.toml:4:1: endpoint is not taken"), "{}", ended.stderr);
    }
    assert_eq!(elsewhere.emulator.report().requests, 0);
    let named = ["--config", "clevertap.toml", "-c", INSERT];
    let ended =
        Running(program(&world, &named).env_remove("CLEVERTAP_ENDPOINT").spawn().expect("a process")).wait(Duration::from_secs(120));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(elsewhere.emulator.report().requests > 0);
}

#[test]
fn init_takes_its_answers_from_a_pipe_and_the_program_then_runs_with_its_file() {
    let world = World::new(Settings::default());
    let id = &world.emulator.settings().account_id;
    let mut started = program(&world, &["init"]).stdin(Stdio::piped()).spawn().expect("a process");
    let answers = format!("1\n{id}\nin1\nUTC\nshop\n1\n\n");
    started.stdin.take().expect("a pipe").write_all(answers.as_bytes()).expect("written");
    let ended = Running(started).wait(Duration::from_secs(120));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.ends_with("~/.config/clevertap-sql/clevertap.toml was written; clevertap-sql config shows what is in force\n"),
        "{}",
        ended.stderr
    );
    assert!(ended.stdout.contains("ok "), "{}", ended.stdout);
    let ended = run(&world, &["-c", INSERT]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(world.emulator.report().profiles, 1);
    assert!(!ended.stderr.contains("of this folder is used"), "{}", ended.stderr);
}

#[test]
fn a_load_whose_failed_rows_go_where_the_file_says_goes_on_from_there() {
    let world = World::new(Settings::default());
    let people: String = (1..=9_000).map(|row| format!("p{row},{}\n", if row == 2 { "nobody" } else { "a@example.org" })).collect();
    fs::write(world.path("people.csv"), format!("id,email\n{people}")).expect("written");
    let text = account(&world, "[files]\npeople = 'people.csv'\n[options]\nfailed_rows_to = 'failed/'\nupload_concurrency = 1\n");
    fs::write(world.path("own.toml"), text).expect("written");
    let load = ["--config", "own.toml", "-c", "INSERT INTO shop.profiles SELECT id AS identity, email FROM people"];
    let stopped = run(&world, &load);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    let place = world.path("failed/").display().to_string();
    assert!(stopped.stderr.contains(&format!("the same command with --resume {place} goes on where this ended")), "{}", stopped.stderr);
    let ended = run(&world, &[&load[..], &["--resume", &place]].concat());
    assert_eq!((ended.code, world.emulator.report().profiles), (Some(0), 8_999), "{}", ended.stderr);
}

#[test]
fn a_passcode_that_is_typed_at_a_terminal_is_not_shown_and_gets_into_its_own_file() {
    let world = World::new(Settings::default());
    let flags = format!("--config own.toml --account shop --account-id X --region in1 --time-zone UTC --endpoint {}", world.server.url());
    let mut script = Command::new("script");
    script.args(["-qec", &format!("{} init {flags}", env!("CARGO_BIN_EXE_clevertap-sql")), "/dev/null"]);
    script.envs(world.program(&[]).get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(world.folder.path());
    // Without util-linux there is no terminal to be had.
    let Ok(mut process) = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else { return };
    let (mut input, mut output) = (process.stdin.take().expect("a pipe"), process.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    // The passcode is not that of the account, which is then refused.
    for (question, answer) in [("Number [1]: ", "2"), ("(it is not shown): ", "hush-typed"), ("yes or no [no]: ", "yes")] {
        while !shown.contains(question) {
            let mut bytes = [0; 512];
            let read = output.read(&mut bytes).expect("the terminal");
            assert!(read > 0, "it ended before {question}: {shown}");
            shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        input.write_all(format!("{answer}\r").as_bytes()).expect("typed");
    }
    output.read_to_string(&mut shown).expect("the terminal");
    process.wait().expect("the end");
    assert!(shown.contains("own.toml was written") && !shown.contains("hush"), "{shown}");
    assert_eq!(fs::read_to_string(world.path("shop.passcode")).expect("a file"), "hush-typed\n");
    assert!(!fs::read_to_string(world.path("own.toml")).expect("a file").contains("hush"));
}
