//! `-c SQL` and `-f FILE`: runs a script and exits.
//!
//! In: the flags of a script, an account or none. Out: results on stdout or in a file. The whole script is read and parsed
//! before its first statement runs.

use std::{io::Read, path::PathBuf};

use clap::{ArgMatches, Args};

use crate::{
    engine::{runner::Runner, script, session::Session},
    failure::{Completion, Failure, Result},
    files::atomic_file::FileAccess,
    terminal::{confirm::Interactive, console::Console, format::Format, interrupt::Interrupts, output::Output},
};
use datafusion_clevertap::Account;

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
        !self.commands.is_empty() || !self.files.is_empty() || self.format.is_some() || self.output.is_some() || self.failed_rows.is_some()
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
    account: Option<Account>,
    interactive: Interactive,
    console: &mut Console,
) -> Result<Completion> {
    if sources.is_empty() {
        return Err(Failure::Usage("nothing was given to run; expected -c SQL, -f FILE, or one of the commands demo, check, person and erase (--help has the rest)".into()));
    }
    let mut session = Session::open(account, flags.failed_rows.as_deref())?;
    if interactive == Interactive::Terminal {
        session.confirm_erasures();
    }
    let mut statements = Vec::new();
    for source in sources {
        statements.extend(script::split(&source.read()?)?);
    }
    // Before there is a file that a signal would leave.
    let interrupts = Interrupts::listen()?;
    let output = Output::open(flags.format, flags.output.as_deref(), FileAccess::Default)?;
    let mut runner = Runner::new(session, output, console, interrupts);
    let completion = runner.run_all(&statements).await;
    if let Some(partial) = runner.close(completion.is_err())? {
        console.say(&format!("{} holds the results up to the error, not all", partial.display()));
    }
    completion
}
