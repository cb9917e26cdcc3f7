//! What is typed behind `clevertap-sql resend`.

/// A fate, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum FateFlag {
    Rejected,
    InDoubt,
    Unsent,
}

/// Flags of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --fate: unsent rows, and rows in doubt of which a second one does no harm (people, tokens, subscriptions). Rows \
                        that were refused before they were sent have no record to send: mend them by SQL."
)]
pub(crate) struct ResendFlags {
    /// The folder or bucket URL of --failed-rows
    #[arg(value_name = "DIR", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) folder: String,

    /// Only rows with this fate; may be given several times. An event in doubt may then be stored twice
    #[arg(long, value_enum)]
    pub(super) fate: Vec<FateFlag>,

    /// Rows of dry runs, too
    #[arg(long)]
    pub(super) dry_runs: bool,
}
