//! `-c SQL` and `-f FILE`: runs a script and exits.
//!
//! In: the flags of a script, an account or none. Out: results on stdout or in a file. The whole script is read and parsed
//! before its first statement runs.

use std::{io::Read, path::PathBuf};

use clap::{ArgMatches, Args};

use super::resend::log::ResendLog;
use crate::{
    engine::{
        resuming::Resuming,
        runner::Runner,
        script::{self, Statement},
        session::{Session, SessionSettings},
    },
    failure::{Completion, Failure, Result},
    files::atomic_file::FileAccess,
    literals::argument,
    terminal::{confirm::Interactive, console::Console, format::Format, interrupt::Interrupts, output::Output},
};
use datafusion_clevertap::{redact::without_secrets, runs::RunLog};

/// What is run, and where its results go.
#[derive(Debug, Args)]
pub(crate) struct ScriptFlags {
    /// SQL to run: one statement or several, split by `;`. -c and -f may be given many times and run in their order
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    commands: Vec<String>,

    /// A file of SQL to run; - is stdin
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// How results are written. Without it: as the ending of -o FILE says, else as a table, or as expanded rows where a table is wider than
    /// the terminal
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Where results are written, in place of stdout (-): a file is there when all of them are
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: Option<PathBuf>,

    /// A folder or bucket URL for rows that were not accepted, as Parquet (SET clevertap.failed_rows_to)
    #[arg(long, value_name = "DIR", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    failed_rows: Option<String>,

    /// Goes on with a load that stopped, in the place of --failed-rows DIR: the same script over the same files. What was settled is not sent
    /// again
    #[arg(long, value_name = "DIR", conflicts_with = "failed_rows", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    resume: Option<String>,
}

/// One `-c` or `-f`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Text(String),
    File(PathBuf),
}

impl ScriptFlags {
    /// -c and -f in the order in which they were typed.
    pub(crate) fn sources(&self, matches: &ArgMatches) -> Vec<Source> {
        let commands = matches.indices_of("commands").into_iter().flatten().zip(self.commands.iter().cloned().map(Source::Text));
        let files = matches.indices_of("files").into_iter().flatten().zip(self.files.iter().cloned().map(Source::File));
        let mut sources: Vec<(usize, Source)> = commands.chain(files).collect();
        sources.sort_by_key(|(index, _)| *index);
        sources.into_iter().map(|(_, source)| source).collect()
    }

    /// Whether a flag was given that only a script uses.
    pub(crate) fn is_given(&self) -> bool {
        !self.commands.is_empty()
            || !self.files.is_empty()
            || self.format.is_some()
            || self.output.is_some()
            || self.failed_rows.is_some()
            || self.resume.is_some()
    }
}

impl Source {
    fn read(self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::File(path) if path.as_os_str() == "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                Ok(text)
            }
            Self::File(path) => std::fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error)),
        }
    }
}

/// Runs the script.
///
/// # Errors
/// [`Failure::Usage`] without a script; a script that does not parse; the first error of a statement.
pub(crate) async fn run(
    flags: ScriptFlags,
    sources: Vec<Source>,
    settings: impl Into<SessionSettings>,
    interactive: Interactive,
    console: &mut Console,
) -> Result<Completion> {
    if sources.is_empty() {
        return Err(Failure::Usage("nothing was given to run; expected -c SQL, -f FILE, or one of the commands demo, check, person and erase (--help has the rest)".into()));
    }
    let settings = settings.into();
    let in_flags = flags.resume.as_deref().or(flags.failed_rows.as_deref());
    let in_file = settings.failed_rows_to();
    let mut session = Session::with(settings, in_flags)?;
    let place = in_flags.or(in_file.as_deref());
    if interactive == Interactive::Terminal {
        session.confirm_erasures();
    }
    let mut statements = Vec::new();
    for source in sources {
        statements.extend(script::split(&source.read()?)?);
    }
    let resuming = match &flags.resume {
        Some(place) => Some(resume(&session, place, &statements).await?),
        None => place.map(|_| Resuming::new(&statements)),
    };
    // Before there is a file that a signal would leave.
    let interrupts = Interrupts::listen()?;
    let output = Output::open(flags.format, flags.output.as_deref(), FileAccess::Default)?;
    let mut runner = Runner::new(session, output, console, interrupts);
    if let Some(resuming) = resuming {
        runner.resume(resuming);
    }
    let completion = runner.run_all(&statements).await;
    // A load that was refused before its first row ended nowhere.
    if let (Err(_), Some(place)) = (&completion, place)
        && runner.session.has_written()
        && resume(&runner.session, place, &statements).await.is_ok()
    {
        let place = argument(&without_secrets(place));
        let flag = if in_flags.is_some() { " in the place of --failed-rows" } else { "" };
        runner.console.say(&format!("the same command with --resume {place}{flag} goes on where this ended"));
    }
    if let Some(partial) = runner.close(completion.is_err())? {
        console.say(&format!("{} holds the results up to the error, not all", partial.display()));
    }
    completion
}

/// The script with the load that it goes on with.
async fn resume(session: &Session, place: &str, statements: &[Statement]) -> Result<Resuming> {
    let refused = |why: String| Failure::Failed(format!("--resume {} does not go on, and nothing was run: {why}", without_secrets(place)));
    let folder = session.folder(place).map_err(refused)?;
    let runs = RunLog::read_all(&folder).await.map_err(|error| refused(error.to_string()))?;
    let mut resuming = Resuming::with(statements, &runs).map_err(refused)?;
    // Rows that resend has sent since.
    let resent = ResendLog::read(folder).await?;
    let mut run = resuming.stopped().map(|run| run.run_uid.clone());
    while let Some(uid) = run {
        resuming.leave_out(resent.claimed_of(&uid));
        run = runs.iter().find(|run| run.run_uid == uid).and_then(|run| run.continues.clone());
    }
    Ok(resuming)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use clap::Parser;
    use clevertap_emulator::{Fault, What};

    use super::*;
    use crate::{
        commands::resend::{ResendFlags, resend},
        world::{Stderr, World},
    };

    const UPLOAD: &str = "/1/upload";

    #[derive(Parser)]
    struct Script {
        #[command(flatten)]
        flags: ScriptFlags,
    }

    #[derive(Parser)]
    struct Again {
        #[command(flatten)]
        flags: ResendFlags,
    }

    /// A world with `people.csv` of so many rows, each named for its number.
    fn people(rows: u32) -> (World, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (1..=rows).map(|row| format!("p{row},{}\n", 1_767_225_600 + row)).collect();
        fs::write(folder.path().join("people.csv"), format!("id,at\n{lines}")).unwrap();
        (World::new(), folder)
    }

    fn seen(folder: &Path) -> String {
        format!("INSERT INTO clevertap_events.\"Seen\" SELECT id AS identity, at AS event_time FROM '{}/people.csv'", folder.display())
    }

    /// Runs a script as another process does; how it ended, and what it said.
    async fn script(world: &World, folder: &Path, flag: &str, script: &str) -> (Result<Completion>, String) {
        let failed = folder.join("failed");
        let out = folder.join("out.csv");
        let text = format!("SET clevertap.schema_check = 'off'; SET clevertap.upload_concurrency = 4; {script}");
        let arguments = ["x", flag, failed.to_str().unwrap(), "-o", out.to_str().unwrap(), "-c", &text];
        let flags = Script::parse_from(arguments).flags;
        let stderr = Stderr::default();
        let account = Some(world.reopen());
        // A process takes its time.
        tokio::time::advance(Duration::from_millis(10)).await;
        let ended = run(flags, vec![Source::Text(text)], account, Interactive::Script, &mut stderr.console()).await;
        (ended, stderr.text())
    }

    async fn send_again(world: &World, folder: &Path) -> (Result<Completion>, String) {
        let flags = Again::parse_from(["x", folder.join("failed").to_str().unwrap()]).flags;
        let stderr = Stderr::default();
        let output = Output::open(None, Some(&folder.join("again")), FileAccess::Default).unwrap();
        let ended = resend(&flags, world.reopen(), output, &mut stderr.console(), Interrupts::listen().unwrap()).await;
        (ended, stderr.text())
    }

    fn stops_after(world: &World, bodies: u64) {
        world.emulator.clear_faults();
        world.emulator.add_fault(Fault::new(What::Unauthorized).on(UPLOAD).after(bodies));
    }

    fn most(world: &World) -> Option<u64> {
        world.emulator.events_by_identity().into_values().max()
    }

    #[tokio::test(start_paused = true)]
    async fn events_go_on_where_they_stopped_each_once_and_without_arithmetic() {
        let (world, folder) = people(20_000);
        let folder = folder.path();
        let load = seen(folder);
        stops_after(&world, 5);
        let (ended, said) = script(&world, folder, "--failed-rows", &load).await;
        ended.unwrap_err();
        assert!(said.contains("/failed in the place of --failed-rows goes on where this ended"), "{said}");
        stops_after(&world, 3);
        script(&world, folder, "--resume", &load).await.0.unwrap_err();
        assert!((6_000..10_000).contains(&world.emulator.events_stored()), "{}", world.emulator.events_stored());
        world.emulator.clear_faults();
        let (ended, said) = script(&world, folder, "--resume", &load).await;
        assert_eq!(ended.unwrap(), Completion::Done, "{said}");
        assert!(said.contains("goes on: 8000 rows were settled before, and are not sent again"), "{said}");
        assert!(said.contains("12000 accepted, 0 rejected, 0 in doubt, 0 unsent of 12000 rows read"), "{said}");
        assert_eq!((world.emulator.events_stored(), most(&world)), (20_000, Some(1)));
        let refused = script(&world, folder, "--resume", &load).await.0.unwrap_err().to_string();
        assert!(refused.contains("came to its end; clevertap-sql resend sends what was not accepted"), "{refused}");
        // The unsent rows of both earlier runs were sent by the last one.
        assert!(send_again(&world, folder).await.1.ends_with("were sent again before\nnothing was sent\n"));
        assert_eq!(world.emulator.events_stored(), 20_000);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_script_what_had_ended_is_skipped_and_what_had_not_begun_runs() {
        let (world, folder) = people(4_000);
        let folder = folder.path();
        let load = |patience: &str| {
            format!(
                "SET clevertap.retry_for_ms = {patience}; CREATE VIEW few AS SELECT * FROM '{path}/people.csv' WHERE id LIKE 'p1%';
                 INSERT INTO clevertap_events.\"First\" SELECT id AS identity, at AS event_time FROM few; {};
                 INSERT INTO clevertap_events.\"Last\" SELECT id AS identity, at AS event_time FROM few",
                seen(folder),
                path = folder.display()
            )
        };
        stops_after(&world, 3);
        script(&world, folder, "--failed-rows", &load("1000")).await.0.unwrap_err();
        world.emulator.clear_faults();
        let (ended, said) = script(&world, folder, "--resume", &load("2000")).await;
        assert_eq!(ended.unwrap(), Completion::Done, "{said}");
        assert_eq!(said.matches("skipped: it had ended before the load stopped").count(), 1, "{said}");
        assert_eq!(world.emulator.events_stored(), 1_111 + 4_000 + 1_111);
    }

    #[tokio::test(start_paused = true)]
    async fn rejected_rows_and_rows_in_doubt_are_settled_and_wait_for_resend() {
        let (world, folder) = people(9_000);
        let folder = folder.path();
        let load = format!(
            "SET clevertap.on_reject = 'skip'; INSERT INTO clevertap.events SELECT id AS identity, at AS event_time,
             CASE WHEN id LIKE '%7' THEN 'Notification Sent' ELSE 'Seen' END AS event_name FROM '{}/people.csv'",
            folder.display()
        );
        world.emulator.add_fault(Fault::new(What::ResetAfter).on(UPLOAD).times(1));
        world.emulator.add_fault(Fault::new(What::Unauthorized).on(UPLOAD).after(5));
        script(&world, folder, "--failed-rows", &load).await.0.unwrap_err();
        world.emulator.clear_faults();
        script(&world, folder, "--resume", &load).await.0.unwrap();
        assert_eq!((world.emulator.events_stored(), most(&world)), (8_100, Some(1)));
        let said = send_again(&world, folder).await.1;
        assert!(said.contains("are in doubt and may be stored") && said.contains("were rejected by CleverTap"), "{said}");
        assert!(said.ends_with("nothing was sent\n"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_gone_on_with_is_refused_with_nothing_sent() {
        let refused = async |load: &dyn Fn(&Path) -> String, change: &dyn Fn(&Path), resumed: &dyn Fn(&Path) -> String| {
            let (world, folder) = people(4_000);
            let folder = folder.path();
            stops_after(&world, 1);
            script(&world, folder, "--failed-rows", &load(folder)).await.0.unwrap_err();
            world.emulator.clear_faults();
            change(folder);
            let before = world.sent_to(UPLOAD).len();
            let refused = script(&world, folder, "--resume", &resumed(folder)).await.0.expect_err(&resumed(folder)).to_string();
            assert_eq!(world.sent_to(UPLOAD).len(), before, "{refused}");
            assert!(refused.contains("nothing was sent") || refused.contains("nothing was run"), "{refused}");
            refused
        };
        let nothing = |_: &Path| {};
        let and = |what: &'static str| move |folder: &Path| format!("{} {what}", seen(folder));
        let longer = |folder: &Path| {
            let path = folder.join("people.csv");
            fs::write(&path, format!("{}p0,1767225600\n", fs::read_to_string(&path).unwrap())).unwrap();
        };
        let killed = |folder: &Path| {
            for file in fs::read_dir(folder.join("failed")).unwrap().map(|file| file.unwrap().path()) {
                if file.extension().is_some_and(|ending| ending == "log") {
                    fs::write(&file, fs::read_to_string(&file).unwrap().replace("\"ended\":true", "\"ended\":false")).unwrap();
                }
            }
        };
        let forgotten = |folder: &Path| fs::remove_dir_all(folder.join("failed")).unwrap();
        let now = and("WHERE concat(id, CAST(now() AS VARCHAR)) <> ''");
        for (refusal, expected) in [
            (refused(&seen, &longer, &seen).await, "people.csv has changed since"),
            (refused(&seen, &nothing, &and("LIMIT 3000")).await, "another script than this one"),
            (refused(&seen, &killed, &seen).await, "that one was killed"),
            (refused(&seen, &forgotten, &seen).await, "nothing is known there of a load"),
            (refused(&and("ORDER BY id"), &nothing, &and("ORDER BY id")).await, "the order of its rows is not the same each time"),
            (refused(&and("WHERE random() >= 0"), &nothing, &and("WHERE random() >= 0")).await, "the order of its rows is not the same"),
            (refused(&now, &nothing, &now).await, "its conditions are others than they were"),
            (refused(&and("GROUP BY id, at"), &nothing, &and("GROUP BY id, at")).await, "nothing is known there of a load"),
        ] {
            assert!(refusal.contains(expected), "{expected}: {refusal}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_that_still_runs_is_not_gone_on_with_and_one_that_was_killed_at_once_is_known() {
        let (world, folder) = people(9_000);
        let folder = folder.path();
        let load = seen(folder);
        world.emulator.add_fault(Fault::new(What::Slow { ms: 60_000 }).on(UPLOAD));
        let first = script(&world, folder, "--failed-rows", &load);
        let second = async {
            tokio::time::sleep(Duration::from_secs(70)).await;
            script(&world, folder, "--resume", &load).await.0.unwrap_err().to_string()
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first.0.unwrap(), Completion::Done);
        assert!(second.contains("still runs; wait for its end, or stop it with Ctrl-C"), "{second}");
        assert_eq!((world.emulator.events_stored(), most(&world)), (9_000, Some(1)));

        let (world, folder) = people(9_000);
        let folder = folder.path();
        let load = seen(folder);
        world.emulator.add_fault(Fault::new(What::HangBefore).on(UPLOAD));
        // Dropped before a minute has passed; what a kill leaves is the first file of its log.
        let cut = tokio::time::timeout(Duration::from_secs(5), script(&world, folder, "--failed-rows", &load)).await;
        assert!(cut.is_err());
        // What was dropped settles.
        tokio::time::sleep(Duration::from_secs(5)).await;
        for file in fs::read_dir(folder.join("failed")).unwrap().map(|file| file.unwrap().path()) {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(!name.ends_with(".lock"), "{name}");
            if !name.ends_with("-000001.log") {
                fs::remove_file(&file).unwrap();
            }
        }
        world.emulator.clear_faults();
        let told = script(&world, folder, "--resume", &load).await.0.unwrap_err().to_string();
        assert!(told.contains("that one was killed"), "{told}");
        let (ended, said) = script(&world, folder, "--resume", &format!("SET clevertap.in_doubt = 'resend'; {load}")).await;
        assert_eq!(ended.unwrap(), Completion::Done, "{said}");
        assert_eq!(world.emulator.events_stored(), 9_000);
    }

    /// Loads, goes on and sends again in any order, each of which may stop: no event is stored twice, and in the end none is missing.
    #[tokio::test(start_paused = true)]
    async fn whatever_is_done_after_a_load_that_stopped_each_event_is_stored_once() {
        for seed in 0..8_u64 {
            let (world, folder) = people(9_000);
            let folder = folder.path();
            let load = seen(folder);
            let mut chance = seed;
            let mut any = |below: u64| {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (chance >> 33) % below
            };
            stops_after(&world, any(8));
            let mut told = script(&world, folder, "--failed-rows", &load).await.1;
            for step in 0..20 {
                match any(if step < 8 { 4 } else { 1 }) {
                    0 => world.emulator.clear_faults(),
                    _ => stops_after(&world, any(4)),
                }
                let is_resumed = any(2) == 0;
                let (_, said) = if is_resumed { script(&world, folder, "--resume", &load).await } else { send_again(&world, folder).await };
                told.push_str(&format!("{step} {is_resumed}: {said}"));
                assert!(most(&world) <= Some(1), "seed {seed}: {told}");
            }
            assert_eq!(world.emulator.events_stored(), 9_000, "seed {seed}: {told}");
        }
    }
}
