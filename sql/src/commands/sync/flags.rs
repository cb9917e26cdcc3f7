//! What is typed behind `clevertap-sql sync`.
//!
//! In: arguments. Out: a command, and how a run differs from what its definition says.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::failure::{Failure, Result};
use datafusion_clevertap::options::DryRun;
use datafusion_clevertap_sync::{RunOptions, definition::RemovedMax};

/// Flags of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Syncs are [syncs.NAME] of clevertap.toml; what they sent is remembered where its `state` says. Exit codes of run and retry: \
                        0 all was accepted, 1 one ended in error, 3 rows were rejected or are held."
)]
pub(crate) struct SyncFlags {
    #[command(subcommand)]
    pub(super) command: SyncCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum SyncCommand {
    /// The syncs, and how each ended last
    List(ListFlags),
    /// Plan syncs without reading a row: is their SQL, their target, their key right
    Check {
        /// Without one: all
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// What a run would send: new, changed, removed. Nothing is sent
    Plan(PlanFlags),
    /// Send what changed. Those that a sync comes after are run before it
    Run(RunFlags),
    /// The first rows of the source, and what each would send
    Preview {
        name: String,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 10)]
        rows: usize,
        /// Print one JSON object a row
        #[arg(long)]
        json: bool,
    },
    /// What runs did, the newest first
    History {
        name: Option<String>,
        /// So many runs
        #[arg(long, value_name = "N")]
        last: Option<usize>,
        /// Print one JSON object a run
        #[arg(long)]
        json: bool,
    },
    /// The rows that were rejected or are in doubt, with key, reason and record
    Failed {
        name: String,
        /// Print one JSON object a row
        #[arg(long)]
        json: bool,
    },
    /// Run a sync, and try its rejected rows again, once
    Retry {
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Forget what a sync sent: its next run sends all rows
    Reset { name: String },
    /// Remember all rows of the source as sent, and send nothing: for people who are in CleverTap already
    Baseline { name: String },
    /// Have a sync not run, on any machine
    Pause { name: String },
    /// Have it run again
    Resume { name: String },
    /// Write what is remembered of a sync in few files, and remove those that nobody needs
    Compact { name: String },
    /// Forget people in all that syncs remember; erase does so by itself
    Forget {
        /// A key of them: an identity, an e-mail address. May be given several times
        #[arg(long = "identity", value_name = "ID", required = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        identities: Vec<String>,
    },
}

impl SyncCommand {
    /// Its word, if it changes what is remembered and sends nothing: what sends is refused by the account.
    pub(super) fn changes_ledger(&self) -> Option<&'static str> {
        match self {
            Self::Reset { .. } => Some("reset"),
            Self::Baseline { .. } => Some("baseline"),
            Self::Pause { .. } => Some("pause"),
            Self::Resume { .. } => Some("resume"),
            Self::Compact { .. } => Some("compact"),
            Self::Forget { .. } => Some("forget"),
            Self::List(_)
            | Self::Check { .. }
            | Self::Plan(_)
            | Self::Run(_)
            | Self::Preview { .. }
            | Self::History { .. }
            | Self::Failed { .. }
            | Self::Retry { .. } => None,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ListFlags {
    /// Print one JSON object a sync
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct PlanFlags {
    pub(super) name: String,
    #[command(flatten)]
    pub(super) moved: MovedFlags,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RunFlags {
    #[arg(value_name = "NAME", required = true)]
    pub(super) names: Vec<String>,
    #[command(flatten)]
    pub(super) moved: MovedFlags,
    /// Store nothing and remember nothing: say what would be rejected. server has CleverTap check the rows too
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "local")]
    pub(super) dry_run: Option<DryRunFlag>,
    /// Print one JSON object a sync
    #[arg(long)]
    pub(super) json: bool,
}

/// What is moved, in place of what the definition says.
#[derive(Debug, Default, clap::Args)]
pub(super) struct MovedFlags {
    /// Send all rows, whatever was sent before; events that were sent are not sent again
    #[arg(long)]
    full: bool,
    /// Out of CleverTap: the window begins here. A day of the project, or an instant: 2026-01-31, 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    from: Option<Moment>,
    /// Its end, which is not part of it
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    to: Option<Moment>,
    /// How many may leave a mirror: a number, or a part such as 5%
    #[arg(long, value_name = "N", value_parser = parse_removed_max)]
    max_removed: Option<RemovedMax>,
    /// Remove who left also in the first run of a mirror, which else is a baseline
    #[arg(long)]
    remove_at_first: bool,
}

/// How a dry run tries rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DryRunFlag {
    Local,
    Server,
}

impl From<DryRunFlag> for DryRun {
    fn from(flag: DryRunFlag) -> Self {
        match flag {
            DryRunFlag::Local => Self::Local,
            DryRunFlag::Server => Self::Server,
        }
    }
}

/// A time as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// 00:00 of a day.
    Day(NaiveDate),
    Instant(DateTime<Utc>),
}

impl Moment {
    fn parse(text: &str) -> Result<Self, String> {
        let day = text.parse().map(Self::Day);
        let instant = || DateTime::parse_from_rfc3339(text).map(|at| Self::Instant(at.to_utc()));
        day.or_else(|_| instant()).map_err(|_| "expected a day or an instant: 2026-01-31, 2026-01-31T08:00:00Z".to_owned())
    }

    fn instant(self, zone: Tz) -> Result<DateTime<Utc>> {
        match self {
            Self::Instant(at) => Ok(at),
            Self::Day(day) => {
                // Where a clock is set forward at midnight, the day begins an hour later.
                let midnight = day.and_time(NaiveTime::MIN);
                let begins = zone.from_local_datetime(&midnight).earliest();
                let begins = begins.or_else(|| zone.from_local_datetime(&(midnight + chrono::TimeDelta::hours(1))).earliest());
                begins.map(|at| at.to_utc()).ok_or_else(|| Failure::Usage(format!("{day} has no beginning in {zone}; name an instant")))
            }
        }
    }
}

fn parse_removed_max(text: &str) -> Result<RemovedMax, String> {
    RemovedMax::parse(text).ok_or_else(|| "expected a number of rows, or a part such as 5%".to_owned())
}

impl MovedFlags {
    /// The options of a run, with days of `zone`.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a window that ends before it begins.
    pub(super) fn options(&self, zone: Tz) -> Result<RunOptions> {
        let mut options = RunOptions::default();
        options.full = self.full;
        options.removed_max = self.max_removed;
        options.removes_at_first = self.remove_at_first;
        options.from = self.from.map(|from| from.instant(zone)).transpose()?;
        options.to = self.to.map(|to| to.instant(zone)).transpose()?;
        if options.from.zip(options.to).is_some_and(|(from, to)| from >= to) {
            return Err(Failure::Usage("--to is not behind --from: the window has nothing in it".into()));
        }
        Ok(options)
    }
}
