//! The command line: flags -> a command -> an exit code.
//!
//! In: arguments. Out: the process's exit code. A usage error is found before anything is read or sent.

use std::{
    ffi::OsString,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

#[cfg(feature = "syncs")]
use crate::commands::sync::{self, SyncFlags};
use crate::{
    commands::{
        check::{self, CheckFlags},
        check_database::check_database,
        config::{self, ConfigFlags},
        demo::{self, DemoFlags},
        erase::{self, EraseFlags},
        init::{self, Dialog, InitPlace},
        person::{self, PersonFlags},
        resend::{self, ResendFlags},
        run::{self, ScriptFlags, Source},
    },
    config::{AccountFlags, Config},
    failure::{Completion, Failure, Result},
    files::atomic_file::FileAccess,
    terminal::{
        answers::Answers,
        confirm::Interactive,
        console::{Console, Verbosity},
        format::Format,
        interrupt::Interrupts,
        masked_line::MaskedLine,
        output::Output,
        visible::visible,
    },
};

const AFTER_HELP: &str = "\
Environment: CLEVERTAP_ACCOUNT_ID, CLEVERTAP_PASSCODE (there is no flag for it), CLEVERTAP_REGION, CLEVERTAP_ENDPOINT,
CLEVERTAP_TIME_ZONE, CLEVERTAP_ERASURE_LOG. In their place: clevertap.toml (clevertap-sql init). Buckets: AWS_*, GOOGLE_*, AZURE_*. Logs: RUST_LOG.
Exit codes: 0 done, 1 failed, 2 usage, 3 done with rejected rows skipped.

  clevertap-sql demo
  clevertap-sql init
  clevertap-sql -c \"SELECT count(*) FROM 'users.parquet'\"
  clevertap-sql person --email ada@example.org -o ada.json
  clevertap-sql --allow-erase erase --file leavers.csv --wait
  clevertap-sql resend failed/
  clevertap-sql sync run people
  clevertap-sql --failed-rows failed/ -c \"SET clevertap.on_reject = 'skip'\" -f load.sql";

/// SQL over CleverTap and files.
#[derive(Debug, Parser)]
#[command(name = "clevertap-sql", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    script: ScriptFlags,
    #[command(flatten)]
    verbosity: VerbosityFlags,
    #[command(flatten)]
    account: AccountFlags,

    /// The file of configuration, in place of clevertap.toml in the working folder or ~/.config/clevertap-sql/clevertap.toml
    #[arg(long, global = true, value_name = "FILE", help_heading = "Account")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

/// How much is written to stderr.
#[derive(Debug, Args)]
struct VerbosityFlags {
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
    Demo(DemoFlags),
    /// Ask for an account, try it, and write a commented clevertap.toml
    ///
    /// --account-id, --region, --time-zone, --endpoint and --account (its name) answer questions that are then not asked; --config FILE says where
    /// the file is to be.
    Init,
    /// Show what is in force, and where each value came from
    Config(ConfigFlags),
    /// Syncs: named queries that are run again and again, and send only what changed
    #[cfg(feature = "syncs")]
    Sync(SyncFlags),
    #[command(flatten)]
    OfAccount(AccountCommand),
}

/// What needs an account.
#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Ask CleverTap whether credentials, region and APIs are right; with --database, a database whether it is there and what may be done
    Check(CheckFlags),
    /// Write out one person: the profile and all of their events
    Person(PersonFlags),
    /// Send again what a folder of failed rows holds, each row once
    Resend(ResendFlags),
    /// Erase people, and know what came of it
    Erase(Box<EraseFlags>),
}

impl VerbosityFlags {
    fn verbosity(&self, is_terminal: bool) -> Verbosity {
        match (self.quiet, self.no_progress, is_terminal) {
            (true, ..) => Verbosity::Quiet,
            (false, true, _) => Verbosity::NoProgress,
            (false, false, true) => Verbosity::Bar,
            (false, false, false) => Verbosity::Lines,
        }
    }
}

/// Runs the program.
pub(crate) async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (cli, sources) = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Where a stream is closed, the exit code is all that is left. An error shows what was typed.
            if error.use_stderr() {
                writeln!(std::io::stderr(), "{}", visible(error.render().to_string().trim_end())).ok();
            } else {
                error.print().ok();
            }
            return u8::try_from(error.exit_code()).unwrap_or(2).into();
        }
    };
    install_logs(&cli.verbosity);
    let mut console = Console::stderr(cli.verbosity.verbosity(std::io::stderr().is_terminal()));
    match Box::pin(dispatch(cli, sources, |name| std::env::var(name).ok(), &mut console)).await {
        Ok(completion) => completion.into(),
        Err(failure) => console.fail(&failure),
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Cli, Vec<Source>), clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let sources = cli.script.sources(&matches);
    Ok((cli, sources))
}

async fn dispatch(cli: Cli, sources: Vec<Source>, variable: impl Fn(&str) -> Option<String>, console: &mut Console) -> Result<Completion> {
    let Cli { script, account, command, config: config_file, .. } = cli;
    if command.is_some() && script.is_given() {
        return Err(Failure::Usage("-c, -f, --format, -o, --failed-rows and --resume belong to a script, not to a command; person and erase have an -o of their own, which comes after \
             the command's name".into()));
    }
    let stdout = || Output::open(None, None, FileAccess::Default);
    if let Some(Command::Demo(flags)) = command {
        return demo::demo(&flags, stdout()?, console).await;
    }

    let working_folder = Path::new("");
    if matches!(command, Some(Command::Init)) {
        let place = InitPlace { named: config_file.as_deref(), working_folder, flags: &account, variable: &variable };
        let dialog = Dialog { answers: Answers::Stdin, console, interrupts: Interrupts::listen()? };
        return init::init(&place, dialog, &mut stdout()?).await;
    }
    let config = Config::load(config_file.as_deref(), working_folder, &account, &variable)?;
    if let Some(Command::Config(flags)) = &command {
        let format = flags.json.then_some(Format::Ndjson);
        return config::config(flags, &config, &variable, &mut Output::open(format, None, FileAccess::Default)?, console);
    }
    if let Some(notice) = config.notice() {
        console.say(&notice);
    }
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let interactive = if is_terminal { Interactive::Terminal } else { Interactive::Script };
    #[cfg(feature = "syncs")]
    if let Some(Command::Sync(flags)) = command {
        return Box::pin(sync::sync(flags, config, stdout()?, console, Interrupts::listen()?)).await;
    }
    let Some(Command::OfAccount(command)) = command else {
        return run::run(script, sources, config, interactive, console).await;
    };
    if let AccountCommand::Check(CheckFlags { database: Some(name), table }) = &command {
        let mut output = stdout()?;
        return Interrupts::listen()?.or(check_database(&config.databases, name, table.as_deref(), &mut output)).await?;
    }
    #[cfg(feature = "syncs")]
    let ledger = config.ledger();
    #[cfg(not(feature = "syncs"))]
    let ledger: Option<String> = None;
    let opened = config.accounts.into_default()?;
    match command {
        AccountCommand::Check(_) => Interrupts::listen()?.or(check::check(&opened, &mut stdout()?)).await?,
        AccountCommand::Person(flags) => person::person(&flags, opened, console, Interrupts::listen()?).await,
        AccountCommand::Resend(flags) => resend::resend(&flags, opened, stdout()?, console, Interrupts::listen()?).await,
        AccountCommand::Erase(flags) => {
            erase::erase(&flags, opened, variable, ledger.as_deref(), interactive, console, Interrupts::listen()?).await
        }
    }
}

/// Warnings on stderr; `RUST_LOG` sets another filter.
fn install_logs(verbosity: &VerbosityFlags) {
    use tracing_subscriber::EnvFilter;
    // The library of Delta tables warns of its own counts.
    let default = if verbosity.quiet { "error" } else { "warn,deltalake_core=error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| MaskedLine::new(std::io::stderr()))
        .with_target(false)
        // Its line is shown as text, and colours would be shown as their codes.
        .with_ansi(false)
        .log_internal_errors(false)
        .finish();
    // A second subscriber in one process is refused: the first one stays. Where stderr is closed, it would print that with a panic. Not its own
    // `init`, which takes in what DataFusion logs too: its plans have the statement's literals in them.
    tracing::subscriber::set_global_default(logs).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use clevertap_emulator::{Emulator, Settings};

    fn parsed(arguments: &[&str]) -> Result<(Cli, Vec<Source>), clap::Error> {
        parse(["clevertap-sql"].iter().chain(arguments).map(OsString::from))
    }

    async fn code(arguments: &[&str]) -> u8 {
        match parsed(arguments) {
            Ok((cli, sources)) => match Box::pin(dispatch(cli, sources, |_| None, &mut Console::stderr(Verbosity::Quiet))).await {
                Ok(completion) => completion.code(),
                Err(failure) => failure.code(),
            },
            Err(error) => u8::try_from(error.exit_code()).unwrap(),
        }
    }

    #[tokio::test]
    async fn a_place_that_is_a_variable_without_a_value_is_wrong_usage() {
        for arguments in [&["--failed-rows", "", "-c", "SELECT 1"][..], &["erase", "--identity", "a", "--log", ""]] {
            assert_eq!(code(arguments).await, 2, "{arguments:?}");
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
        let names = [(config::ACCOUNT_ID, settings.account_id.clone()), (config::PASSCODE, settings.passcode.clone())];
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
        let completion = Box::pin(dispatch(cli, sources, variable, &mut Console::stderr(Verbosity::Quiet))).await.unwrap();
        assert_eq!(completion.code(), 3);
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

    #[tokio::test]
    async fn an_ending_that_names_no_format_is_refused_before_anything_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let copy = format!("COPY (SELECT 1 AS a) TO '{}'", path("ran.csv"));
        assert_eq!(code(&["-c", &copy, "-o", &path("x.xlsx")]).await, 2);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(code(&["-c", "SELECT 1 AS a", "--format", "csv", "-o", &path("x.xlsx")]).await, 0);
        assert_eq!(code(&["-c", "SELECT 1 AS a", "-o", &path("x.csv")]).await, 0);
        assert_eq!(["x.xlsx", "x.csv"].map(|name| std::fs::read_to_string(path(name)).unwrap()), ["a\n1\n", "a\n1\n"]);
    }

    #[test]
    fn quiet_wins_over_progress_and_a_terminal_gets_a_bar() {
        let verbosity = |quiet, no_progress, terminal| VerbosityFlags { quiet, no_progress }.verbosity(terminal);
        assert_eq!(verbosity(true, false, true), Verbosity::Quiet);
        assert_eq!(verbosity(false, true, true), Verbosity::NoProgress);
        assert_eq!(verbosity(false, false, true), Verbosity::Bar);
        assert_eq!(verbosity(false, false, false), Verbosity::Lines);
    }
}
