//! `clevertap-sql check`: does the account answer, and what may it do.
//!
//! In: an open account. Out: its settings, one line a probe with `ok` or `refused`; exit code 1 if one was refused.

use crate::{
    config::OpenAccount,
    failure::{Completion, Failure, Result},
    terminal::output::Output,
};
use datafusion_clevertap::{Access, Account, Probe, ZoneProof, prove_time_zone};

/// The outcome of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbeLine {
    /// `POST /1/upload?dryRun=1`.
    pub(crate) name: String,
    /// The tables that it stands for, or why it was refused.
    pub(crate) outcome: Result<String, String>,
}

/// Makes the calls and prints their outcomes.
///
/// # Errors
/// [`Failure::Failed`] if a probe was refused or none could be made.
pub(crate) async fn check(opened: &OpenAccount, output: &mut Output) -> Result<Completion> {
    let OpenAccount { id, account } = opened;
    output.say(format_args!("host        {}", account.host()))?;
    output.say(format_args!("account     {id}"))?;
    output.say(format_args!("access      {}", access(account.access())))?;
    match account.time_zone() {
        Some(zone) => output.say(format_args!("time zone   {zone}"))?,
        None => output.say(format_args!("time zone   not set: event_time can be neither read nor filtered (--time-zone)"))?,
    }
    let lines = probe(account).await;
    for line in &lines {
        match &line.outcome {
            Ok(proved) => output.say(format_args!("ok          {}: {proved}", line.name))?,
            Err(why) => output.say(format_args!("refused     {}: {why}", line.name))?,
        }
    }
    let (word, outcome) = match time_zone(account).await {
        TimeZoneProof::Agrees(how) => ("ok", Ok(how)),
        // No proof, and no reason to fail.
        TimeZoneProof::Open(why) => ("open", Ok(format!("not proved: {why}"))),
        TimeZoneProof::Differs(why) => ("refused", Err(why)),
    };
    output.say(format_args!("{word:11} time zone: {}", outcome.as_ref().unwrap_or_else(|why| why)))?;
    let time_zone = ProbeLine { name: "time zone".into(), outcome };
    verdict(&lines.into_iter().chain([time_zone]).collect::<Vec<_>>())
}

/// What an exported page shows about the account's time zone.
enum TimeZoneProof {
    Agrees(String),
    Open(String),
    Differs(String),
}

/// Compares an exported page with the account's time zone.
async fn time_zone(account: &Account) -> TimeZoneProof {
    match prove_time_zone(account).await {
        Ok(ZoneProof::Agrees { records }) => TimeZoneProof::Agrees(format!("{records} exported records agree with it")),
        Ok(ZoneProof::Differs { offset, records }) => {
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
            let fits = format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
            TimeZoneProof::Differs(match account.time_zone() {
                Some(zone) => format!("{zone} does not fit: the clock of {records} exported records is {fits} from UTC"),
                None => format!("it is not set, and the clock of {records} exported records is {fits} from UTC"),
            })
        }
        Ok(ZoneProof::Unknown) => TimeZoneProof::Open("no exported record could tell".into()),
        Err(error) => TimeZoneProof::Open(error.to_string()),
    }
}

/// The connector's probes.
async fn probe(account: &Account) -> Vec<ProbeLine> {
    let line = |probe: Probe| ProbeLine {
        outcome: probe.outcome.map(|()| probe.tables.join(", ")).map_err(|error| error.to_string()),
        name: probe.call,
    };
    datafusion_clevertap::check(account).await.into_iter().map(line).collect()
}

fn verdict(lines: &[ProbeLine]) -> Result<Completion> {
    let refused = lines.iter().filter(|line| line.outcome.is_err()).count();
    match (lines.len(), refused) {
        (0, _) => Err(Failure::Failed("CleverTap was not asked: this version has no probes".into())),
        (_, 0) => Ok(Completion::Done),
        (all, refused) => Err(Failure::Failed(format!("{refused} of {all} probes were refused"))),
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "read and write",
        Access::Erase => "read, write and erase",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refused_probe_fails_the_check() {
        let line = |outcome| ProbeLine { name: "upload?dryRun=1".into(), outcome };
        let (good, bad) = (line(Ok("accepted".into())), line(Err("401".into())));
        assert_eq!(verdict(&[good.clone(), good.clone()]).unwrap(), Completion::Done);
        assert_eq!(verdict(&[good, bad]).unwrap_err().code(), 1);
        assert_eq!(verdict(&[]).unwrap_err().code(), 1);
    }
}
