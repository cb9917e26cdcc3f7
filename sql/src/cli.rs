//! The command line: flags -> what is run -> exit code.
//!
//! In: arguments. Out: the process's exit code. A usage error is found before anything is read or sent.

use std::{
    ffi::OsString,
    io::{IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    account::AccountFlags,
    check, demo,
    erase::{self, EraseFlags, Watched},
    failure::{Ended, Failure, Result},
    interrupt::Interrupts,
    output::{Format, Output},
    person::{self, PersonFlags},
    progress::{Console, Style},
    run::Runner,
    session::Session,
    statements,
    whole::Readers,
};

const AFTER_HELP: &str = "\
Environment: CLEVERTAP_ACCOUNT_ID, CLEVERTAP_PASSCODE (there is no flag for it), CLEVERTAP_REGION, CLEVERTAP_ENDPOINT,
CLEVERTAP_TIME_ZONE, CLEVERTAP_ERASURE_LOG. Buckets: AWS_*, GOOGLE_*, AZURE_*. Logs: RUST_LOG.
Exit codes: 0 done, 1 failed, 2 usage, 3 done with rejected rows skipped.

  clevertap-sql demo
  clevertap-sql -c \"SELECT count(*) FROM 'users.parquet'\"
  clevertap-sql person --email ada@example.org -o ada.json
  clevertap-sql --allow-erase erase --file leavers.csv --wait
  clevertap-sql --failed-rows failed/ -c \"SET clevertap.on_reject = 'skip'\" -f load.sql";

/// SQL over CleverTap and files.
#[derive(Debug, Parser)]
#[command(name = "clevertap-sql", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    script: Script,
    #[command(flatten)]
    talk: Talk,
    #[command(flatten)]
    account: AccountFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What is run, and where its results go.
#[derive(Debug, Args)]
struct Script {
    /// SQL to run: one statement or several, split by `;`. -c and -f may be given many times and run in their order
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    commands: Vec<String>,

    /// A file of SQL to run; - is stdin
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// How results are written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,

    /// Where results are written, in place of stdout (-): a file is there when all of them are
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: Option<PathBuf>,

    /// A folder or bucket URL for rows that were not accepted, as Parquet (SET clevertap.failed_rows_to)
    #[arg(long, value_name = "DIR")]
    failed_rows: Option<String>,
}

/// How much is said on stderr.
#[derive(Debug, Args)]
struct Talk {
    /// Say nothing but errors
    #[arg(long, global = true)]
    quiet: bool,

    /// Show no progress
    #[arg(long, global = true)]
    no_progress: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole thing against an emulated CleverTap; no account is needed
    Demo(demo::DemoFlags),
    #[command(flatten)]
    OfAccount(AccountCommand),
}

/// What needs an account.
#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Ask CleverTap whether credentials, region and APIs are right
    Check,
    /// Write out one person: the profile and all of their events
    Person(PersonFlags),
    /// Erase people, and know what came of it
    Erase(Box<EraseFlags>),
}

/// A piece of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Text(String),
    File(PathBuf),
}

impl Script {
    /// -c and -f in the order in which they were typed.
    fn sources(&self, matches: &ArgMatches) -> Vec<Source> {
        let commands = matches.indices_of("commands").into_iter().flatten().zip(self.commands.iter().cloned().map(Source::Text));
        let files = matches.indices_of("files").into_iter().flatten().zip(self.files.iter().cloned().map(Source::File));
        let mut sources: Vec<(usize, Source)> = commands.chain(files).collect();
        sources.sort_by_key(|(index, _)| *index);
        sources.into_iter().map(|(_, source)| source).collect()
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

impl Talk {
    fn style(&self, terminal: bool) -> Style {
        match (self.quiet, self.no_progress, terminal) {
            (true, ..) => Style::Quiet,
            (false, true, _) => Style::Still,
            (false, false, true) => Style::Bar,
            (false, false, false) => Style::Lines,
        }
    }
}

/// Runs the program.
pub(crate) async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (cli, sources) = match read(arguments) {
        Ok(read) => read,
        Err(error) => {
            // Where nobody can be told, the code still tells.
            error.print().ok();
            return u8::try_from(error.exit_code()).unwrap_or(2).into();
        }
    };
    log(&cli.talk);
    let mut console = Console::stderr(cli.talk.style(std::io::stderr().is_terminal()));
    match Box::pin(act(cli, sources, |name| std::env::var(name).ok(), &mut console)).await {
        Ok(ended) => ended.into(),
        Err(failure) => console.fail(&failure),
    }
}

fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<(Cli, Vec<Source>), clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let sources = cli.script.sources(&matches);
    Ok((cli, sources))
}

async fn act(cli: Cli, sources: Vec<Source>, variable: impl Fn(&str) -> Option<String>, console: &mut Console) -> Result<Ended> {
    let Cli { script, account, command, .. } = cli;
    let Script { format, output: path, failed_rows, .. } = script;
    if command.is_some() && (!sources.is_empty() || path.is_some() || failed_rows.is_some()) {
        return Err(Failure::Usage("-c, -f, -o and --failed-rows go with no command".into()));
    }
    if let Some(Command::Demo(flags)) = command {
        return demo::demo(&flags, Output::open(Format::Table, None, Readers::AsUsual)?, console).await;
    }

    let named = account.open(&variable)?;
    let is_watched = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if let Some(Command::OfAccount(command)) = command {
        let Some(named) = named else {
            return Err(Failure::Usage(format!("this command needs an account:\n{}", crate::account::how_to_name_one())));
        };
        return match command {
            AccountCommand::Check => check::check(&named, &mut Output::open(Format::Table, None, Readers::AsUsual)?).await,
            AccountCommand::Person(flags) => person::person(&flags, named.account, console, Interrupts::listen()?).await,
            AccountCommand::Erase(flags) => {
                let watched = if is_watched { Watched::ByAPerson } else { Watched::ByNobody };
                erase::erase(&flags, named.account, variable, watched, console, Interrupts::listen()?).await
            }
        };
    }
    if sources.is_empty() {
        return Err(Failure::Usage("nothing was given to run; -c SQL or -f FILE does, and --help tells the rest".into()));
    }
    let mut session = Session::open(named.map(|named| named.account), failed_rows.as_deref())?;
    if is_watched {
        session.ask_before_erasing();
    }
    let mut statements = Vec::new();
    for source in sources {
        statements.extend(statements::split(&source.read()?)?);
    }
    let output = Output::open(format, path.as_deref(), Readers::AsUsual)?;
    let mut runner = Runner { session, output, console, interrupts: Interrupts::listen()? };
    let ended = runner.all(&statements).await;
    if let Some(partial) = runner.output.close(ended.is_err())? {
        console.say(&format!("{} holds the results up to the error, not all", partial.display()));
    }
    ended
}

/// Warnings on stderr; `RUST_LOG` asks for more.
fn log(talk: &Talk) {
    use tracing_subscriber::EnvFilter;
    let otherwise = if talk.quiet { "error" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(otherwise));
    // A second subscriber in one process is refused, which harms nobody.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).try_init().ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account;
    use clevertap_emulator::{Emulator, Settings};

    fn parsed(arguments: &[&str]) -> Result<(Cli, Vec<Source>), clap::Error> {
        read(["clevertap-sql"].iter().chain(arguments).map(OsString::from))
    }

    async fn code(arguments: &[&str]) -> u8 {
        match parsed(arguments) {
            Ok((cli, sources)) => match Box::pin(act(cli, sources, |_| None, &mut Console::stderr(Style::Quiet))).await {
                Ok(ended) => ended.code(),
                Err(failure) => failure.code(),
            },
            Err(error) => u8::try_from(error.exit_code()).unwrap(),
        }
    }

    #[test]
    fn the_flags_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_and_files_run_in_the_order_in_which_they_were_typed() {
        let (_, sources) = parsed(&["-c", "SET a.b = 1", "-f", "x.sql", "-c", "SELECT 1"]).unwrap();
        assert_eq!(sources, [Source::Text("SET a.b = 1".into()), Source::File("x.sql".into()), Source::Text("SELECT 1".into())]);
    }

    #[test]
    fn flags_of_the_account_may_stand_on_either_side_of_a_command() {
        for arguments in [["--region", "in1", "check"], ["check", "--region", "in1"]] {
            assert_eq!(parsed(&arguments).unwrap().0.account.region.as_deref(), Some("in1"));
        }
    }

    #[test]
    fn no_flag_takes_a_passcode_and_help_names_its_variable() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("CLEVERTAP_PASSCODE") && !help.contains("--passcode"), "{help}");
        assert!(parsed(&["--passcode", "x", "-c", "SELECT 1"]).is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rejected_rows_that_were_skipped_are_exit_code_three_and_are_kept() {
        let settings = Settings::default();
        let names = [(account::ACCOUNT_ID, settings.account_id.clone()), (account::PASSCODE, settings.passcode.clone())];
        let server = Emulator::new(settings).serve("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [failed, to] = ["failed", "out.csv"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
        let insert =
            "INSERT INTO clevertap.profiles SELECT column1 AS identity, column2 AS email FROM (VALUES ('a', 'a@example.com'), ('b', 'b'))";
        let skip = "SET clevertap.on_reject = 'skip'";
        let kept = format!("SELECT code, count(*) AS rows FROM '{failed}/' GROUP BY code");
        let url = server.url();
        let arguments = ["--endpoint", &url, "--failed-rows", &failed, "--format", "csv", "-o", &to, "-c", skip, "-c", insert, "-c", &kept];
        let (cli, sources) = parsed(&arguments).unwrap();
        let variable = move |name: &str| names.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let ended = Box::pin(act(cli, sources, variable, &mut Console::stderr(Style::Quiet))).await.unwrap();
        assert_eq!(ended.code(), 3);
        assert_eq!(std::fs::read_to_string(to).unwrap(), "count\n1\ncode,rows\nCLEVERTAP-515,1\n");
    }

    #[tokio::test]
    async fn exit_codes_are_those_of_the_manual() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let to = path.to_str().unwrap();
        assert_eq!(code(&["-c", "SELECT 1", "-o", to]).await, 0);
        assert_eq!(code(&["-c", "SELECT 1", "-c", "SELECT nothing", "-o", to]).await, 1);
        assert_eq!(code(&["-c", "SELEC 1", "-o", to]).await, 1);
        assert_eq!(code(&["-f", "/nowhere/x.sql"]).await, 1);
        assert_eq!(code(&[]).await, 2);
        assert_eq!(code(&["--format", "xml", "-c", "SELECT 1"]).await, 2);
        assert_eq!(code(&["--read-only", "--allow-erase", "-c", "SELECT 1"]).await, 2);
        assert_eq!(code(&["-c", "SELECT 1", "check"]).await, 2);
        assert_eq!(code(&["--region", "in1", "-c", "SELECT 1"]).await, 2);
        assert_eq!(code(&["--help"]).await, 0);
    }

    #[test]
    fn quiet_wins_over_progress_and_a_terminal_gets_a_bar() {
        let style = |quiet, no_progress, terminal| Talk { quiet, no_progress }.style(terminal);
        assert_eq!(style(true, false, true), Style::Quiet);
        assert_eq!(style(false, true, true), Style::Still);
        assert_eq!(style(false, false, true), Style::Bar);
        assert_eq!(style(false, false, false), Style::Lines);
    }
}
