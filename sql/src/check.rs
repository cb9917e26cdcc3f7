//! `clevertap-sql check`: does this account answer, and what may it do.
//!
//! In: an open account. Out: what it is, one line a probe with `ok` or `refused`; exit code 1 if one was refused.

use crate::{
    account::Named,
    failure::{Ended, Failure, Result},
    output::Output,
};
use datafusion_clevertap::{Access, Account, Probe, ZoneProof, prove_time_zone};

/// What came of one question to CleverTap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbeLine {
    /// `upload?dryRun=1`.
    pub(crate) name: String,
    /// What it proved, or why it was refused.
    pub(crate) outcome: Result<String, String>,
}

/// Asks and tells.
///
/// # Errors
/// [`Failure::Failed`] if a probe was refused or none could be made.
pub(crate) async fn check(named: &Named, output: &mut Output) -> Result<Ended> {
    let Named { id, account } = named;
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
    let (word, outcome) = match zone(account).await {
        Zone::Proved(how) => ("ok", Ok(how)),
        // No reason to fail, and no proof.
        Zone::Open(why) => ("open", Ok(format!("not proved: {why}"))),
        Zone::Wrong(why) => ("refused", Err(why)),
    };
    output.say(format_args!("{word:11} time zone: {}", outcome.as_ref().unwrap_or_else(|why| why)))?;
    let zone = ProbeLine { name: "time zone".into(), outcome };
    verdict(&lines.into_iter().chain([zone]).collect::<Vec<_>>())
}

/// What an exported page says of the account's time zone.
enum Zone {
    Proved(String),
    Open(String),
    Wrong(String),
}

/// Holds an exported page against the account's time zone.
async fn zone(account: &Account) -> Zone {
    match prove_time_zone(account).await {
        Ok(ZoneProof::Agrees { records }) => Zone::Proved(format!("{records} exported records agree with it")),
        Ok(ZoneProof::Differs { offset, records }) => {
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
            let fits = format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
            Zone::Wrong(match account.time_zone() {
                Some(zone) => format!("{zone} does not fit: the clock of {records} exported records is {fits} from UTC"),
                None => format!("it is not set, and the clock of {records} exported records is {fits} from UTC"),
            })
        }
        Ok(ZoneProof::Unknown) => Zone::Open("no exported record could tell".into()),
        Err(error) => Zone::Open(error.to_string()),
    }
}

/// The questions that the connector asks.
async fn probe(account: &Account) -> Vec<ProbeLine> {
    let line = |probe: Probe| ProbeLine {
        outcome: probe.outcome.map(|()| probe.tables.join(", ")).map_err(|error| error.to_string()),
        name: probe.call,
    };
    datafusion_clevertap::check(account).await.into_iter().map(line).collect()
}

fn verdict(lines: &[ProbeLine]) -> Result<Ended> {
    let refused = lines.iter().filter(|line| line.outcome.is_err()).count();
    match (lines.len(), refused) {
        (0, _) => Err(Failure::Failed("CleverTap was not asked: this version has no probes".into())),
        (_, 0) => Ok(Ended::Done),
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
        assert_eq!(verdict(&[good.clone(), good.clone()]).unwrap(), Ended::Done);
        assert_eq!(verdict(&[good, bad]).unwrap_err().code(), 1);
        assert_eq!(verdict(&[]).unwrap_err().code(), 1);
    }
}
