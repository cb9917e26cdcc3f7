//! What reaches a terminal, a pipe and a full disk.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::Stdio,
    time::Duration,
};

use clevertap_emulator::Settings;

use super::{Running, World, is_harmless};

/// ESC, BEL, CR, BS, NUL, DEL, C1 and two that turn the direction of writing.
const FOREIGN: &str = "chr(27) || '[2J' || chr(7) || chr(13) || chr(8) || chr(127) || chr(155) || chr(8238) || chr(8294)";

#[test]
fn drawn_results_are_harmless_everywhere_and_machine_formats_are_raw_in_a_pipe() {
    let world = World::new(Settings::default());
    let select = format!("SELECT {FOREIGN} AS \"name \u{1b}[31m\"");
    for format in ["table", "expanded"] {
        let ended = world.run(&["--format", format, "-c", &select]);
        assert!(
            is_harmless(&ended.stdout) && ended.stdout.contains("\\u{1b}[2J\\u{7}") && ended.stdout.contains("name \\u{1b}[31m"),
            "{}",
            ended.stdout
        );
        let file = world.path("out.txt");
        world.run(&["--format", format, "-o", "out.txt", "-c", &select]);
        assert_eq!(std::fs::read_to_string(file).expect("a file"), ended.stdout);
    }
    for format in ["csv", "tsv"] {
        let ended = world.run(&["--format", format, "-c", &select]);
        assert!(ended.stdout.contains("\u{1b}[2J\u{7}\r\u{8}\u{7f}\u{9b}\u{202e}\u{2066}"), "{:?}", ended.stdout);
    }
    let ended = world.run(&["--format", "ndjson", "-c", &select]);
    assert!(ended.stdout.contains("\u{7f}\u{9b}\u{202e}"), "{:?}", ended.stdout);
}

/// The program in a terminal of its own, as `script` gives one.
fn in_a_terminal(world: &World, arguments: &str) -> Option<String> {
    let mut script = std::process::Command::new("script");
    let program = format!("{} {arguments}", env!("CARGO_BIN_EXE_clevertap-sql"));
    script.args(["-qec", &program, "/dev/null"]).envs(world.program(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    let process = script.current_dir(world.folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    Some(Running(process).wait(Duration::from_secs(60)).stdout)
}

#[test]
fn at_a_terminal_every_format_is_harmless() {
    let world = World::new(Settings::default());
    std::fs::write(world.path("x.sql"), format!("SELECT {FOREIGN} AS a")).expect("written");
    for format in ["table", "expanded", "csv", "tsv", "json", "ndjson"] {
        // Without util-linux there is no terminal to be had.
        let Some(text) = in_a_terminal(&world, &format!("--no-progress --format {format} -f x.sql")) else { return };
        // The terminal itself puts a CR before each newline.
        let text = text.replace("\r\n", "\n");
        assert!(is_harmless(&text) && text.contains("\\u{202e}"), "{format}: {text:?}");
    }
}

#[test]
fn whatever_is_said_on_stderr_is_harmless_and_shows_no_secret_of_a_url() {
    let world = World::new(Settings::default());
    let url = "https://ada:pass-1@127.0.0.1:1/x.csv?X-Amz-Signature=sign-2&X-Amz-Credential=cred-3&sig=sig-4";
    for arguments in [
        &["-c", &format!("INSERT INTO clevertap.profiles SELECT a AS identity FROM '{url}' WHERE b = '\u{1b}[2J\u{202e}'")][..],
        &["-c", &format!("SELECT * FROM '{url}'")],
        &["-c", &format!("COPY (SELECT 1 AS a) TO '{url}'")],
        &["-c", "SELECT * FROM \"no \u{1b}[2J\u{9b} table\""],
        &["-c", "SELECT \u{1b}[2J"],
        &["-f", "no\u{7}file.sql"],
        &["--format", "\u{1b}[2J", "-c", "SELECT 1"],
        &["--failed-rows", &url.replace("x.csv", "failed/"), "-c", "INSERT INTO clevertap.profiles VALUES (1)"],
    ] {
        let ended = world.run(arguments);
        assert!(ended.code.is_some_and(|code| code > 0) && !ended.stderr.is_empty(), "{arguments:?}");
        for secret in ["pass-1", "sign-2", "cred-3", "sig-4"] {
            assert!(!ended.stderr.contains(secret), "{arguments:?} {}", ended.stderr);
        }
        assert!(is_harmless(&ended.stderr), "{arguments:?} {:?}", ended.stderr);
    }
}

#[test]
fn the_logs_of_all_libraries_show_no_passcode_and_no_secret_of_a_url() {
    let world = World::new(Settings::default());
    let url = "https://ada:pass-1@127.0.0.1:1/x.csv?X-Amz-Signature=sign-2&X-Amz-Credential=cred-3&sig=sig-4";
    let own = format!("{}/emulator/x.csv?X-Amz-Signature=sign-2&token=tok-5", world.server.url()).replacen("://", "://ada:pass-1@", 1);
    for statement in [
        &format!("SELECT * FROM '{url}'"),
        &format!("SELECT * FROM '{own}'"),
        &format!("INSERT INTO clevertap.profiles SELECT identity FROM '{own}'"),
        "INSERT INTO clevertap.profiles (identity) VALUES ('u1')",
        "SELECT * FROM clevertap.profiles WHERE identity = 'u1'",
    ] {
        let mut program = world.program(&["-c", statement]);
        let ended = Running(program.env("RUST_LOG", "trace").spawn().expect("a process")).wait(Duration::from_secs(120));
        assert!(ended.stderr.contains("TRACE") || ended.stderr.contains("DEBUG"), "{statement}: {}", ended.stderr);
        for secret in ["pass-1", "sign-2", "cred-3", "sig-4", "tok-5"] {
            let line = ended.stderr.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{statement}");
        }
    }
}

#[test]
fn a_plan_and_the_statement_of_a_run_show_no_secret_of_a_url() {
    let world = World::new(Settings::default());
    let served = world.path("x.csv");
    std::fs::write(&served, "a\nu1\n").expect("written");
    let url = format!("file://{}?token=tok-1", served.display());
    let insert = format!("INSERT INTO clevertap.profiles SELECT 'u1' AS identity, '{url}' AS \"Link\"");
    let ended =
        world.run(&["--format", "csv", "-c", &insert, "-c", "SELECT statement FROM clevertap.runs", "-c", &format!("EXPLAIN {insert}")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("token=…") && !ended.stdout.contains("tok-1") && !ended.stderr.contains("tok-1"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    // The value itself is sent as it is.
    assert!(world.emulator.profile("u1").is_some_and(|profile| profile.to_string().contains("token=tok-1")));
}

#[test]
fn a_table_with_an_enormous_cell_is_drawn_at_once_and_cut() {
    let world = World::new(Settings::default());
    let process = world.program(&["-c", "SELECT repeat('x', 50000000) AS a, 1 AS b"]).spawn().expect("a process");
    let ended = Running(process).wait(Duration::from_secs(20));
    assert!(ended.code == Some(0) && ended.stdout.contains("xxx… | 1 |") && ended.stdout.len() < 1_000_000, "{}", ended.stdout.len());
}

#[test]
fn a_reader_that_goes_away_ends_the_program_without_a_word() {
    let world = World::new(Settings::default());
    for format in ["csv", "tsv", "json", "ndjson", "table", "expanded"] {
        let select = "SELECT value, repeat('x', 100) AS t FROM generate_series(1, 1000000)";
        let mut process = world.program(&["--format", format, "-c", select]).spawn().expect("a process");
        let mut stdout = process.stdout.take().expect("stdout");
        let mut first = [0; 100];
        stdout.read_exact(&mut first).expect("a line");
        drop(stdout);
        let ended = Running(process).wait(Duration::from_secs(60));
        let left_out = ended.stderr.starts_with("only the first 1000 rows") && format == "table";
        assert!(ended.code == Some(1) && (ended.stderr.is_empty() || left_out), "{format}: {:?} {}", ended.code, ended.stderr);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_in_its_own_words() {
    let world = World::new(Settings::default());
    let select = "SELECT value, uuid() AS t FROM generate_series(1, 1000000)";
    for format in ["csv", "ndjson", "expanded"] {
        let ended = world.run(&["--format", format, "-o", "/dev/full", "-c", select]);
        assert!(ended.code == Some(1) && ended.stderr.contains("No space left on device"), "{format}: {:?} {}", ended.code, ended.stderr);
    }
    for file in ["x.csv", "x.json", "x.parquet"] {
        // No file may grow beyond 4 MB, as on a disk that is full then.
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "ulimit -f 8192; trap '' XFSZ; exec \"$@\"", "sh"]).arg(env!("CARGO_BIN_EXE_clevertap-sql"));
        shell.args(["-c", "SET datafusion.execution.parquet.max_row_group_size = 50000", "-c", &format!("COPY ({select}) TO '{file}'")]);
        let process = shell
            .current_dir(world.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let ended = Running(process).wait(Duration::from_secs(60));
        let told = ended.stderr.contains("File too large") && !ended.stderr.contains("bug");
        assert!(ended.code == Some(1) && told, "{file}: {:?} {}", ended.code, ended.stderr);
        assert!(world.hidden().is_empty() && !Path::new(&world.path(file)).exists(), "{:?}", world.hidden());
    }
}

#[test]
fn a_process_that_is_killed_leaves_no_core_file() {
    let world = World::new(Settings::default());
    let mut process = world.program(&["-f", "-"]).stdin(Stdio::piped()).spawn().expect("a process");
    let mut stdin = process.stdin.take().expect("stdin");
    stdin.write_all(b"SELECT 1;").expect("written");
    let limits = format!("/proc/{}/limits", process.id());
    if Path::new("/proc/self/limits").exists() {
        world.until(|| {
            let mut text = String::new();
            File::open(&limits).and_then(|mut file| file.read_to_string(&mut text)).expect("limits");
            let core = text.lines().find(|line| line.starts_with("Max core file size"));
            core.is_some_and(|line| line.split_whitespace().filter(|word| *word == "0").count() == 2)
        });
    }
    drop(stdin);
    assert_eq!(Running(process).wait(Duration::from_secs(60)).code, Some(0));
}

/// The most memory that the program took, in MB. Where the operating system does not tell, none.
#[cfg(target_os = "linux")]
fn memory_peak(world: &World, arguments: &[&str]) -> u64 {
    let process = world.program(arguments).spawn().expect("a process");
    let status = format!("/proc/{}/status", process.id());
    let (to, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || to.send(Running(process).wait(Duration::from_secs(120))).ok());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(line.unwrap_or(0) / 1_024);
        if let Ok(ended) = ended.recv_timeout(Duration::from_millis(5)) {
            assert!(matches!(ended.code, Some(0 | 3)), "{:?} {}", ended.code, ended.stderr);
            return peak;
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_small_file_that_unfolds_to_gigabytes_is_read_a_few_rows_at_a_time() {
    let world = World::new(Settings::default());
    let wide =
        "SELECT concat('u', value) AS identity, repeat(chr(97 + CAST(value AS INT)), 50000000) AS \"Bio\" FROM generate_series(1, 20)";
    let file = "'wide.parquet' OPTIONS ('format.compression' 'zstd(9)')";
    world.run(&["-c", "SET datafusion.execution.batch_size = 1", "-c", &format!("COPY ({wide}) TO {file}")]);
    assert!(std::fs::metadata(world.path("wide.parquet")).is_ok_and(|file| file.len() < 100_000));
    for statement in [
        "SELECT identity, length(\"Bio\") FROM 'wide.parquet'",
        "SELECT * FROM 'wide.parquet'",
        "SET clevertap.on_reject = 'skip'; INSERT INTO clevertap.profiles SELECT * FROM 'wide.parquet'",
    ] {
        // Of a gigabyte in all.
        let peak = memory_peak(&world, &["-c", statement]);
        assert!((1..600).contains(&peak), "{statement}: {peak} MB");
    }
    assert_eq!(world.emulator.profiles_stored(), 0);
}
