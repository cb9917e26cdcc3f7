//! `clevertap-sql check`: does the account answer, and what may it do.
//!
//! In: an open account. Out: its settings, one line a probe with `ok` or `refused`; exit code 1 if one was refused.
//!
//! A fault that every call would meet (the credentials, the host) is reported once: [`shared_fault`] looks for it before the probes.

use futures::future::join_all;

use crate::{
    config::OpenAccount,
    engine::session::Session,
    failure::{Completion, Failure, Result},
    terminal::output::Output,
};
use datafusion_clevertap::{
    Access, Account, Error,
    diagnose::{Probe, ZoneProof, prove_time_zone},
};

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckFlags {
    /// Check this database of clevertap.toml in place of an account
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,

    /// A table of the database that is to be read or written, with its schema: public.users
    #[arg(long, value_name = "SCHEMA.TABLE", requires = "database")]
    pub(crate) table: Option<String>,
}

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
/// [`Failure::Failed`] if a probe was refused, or if no call can succeed.
pub(crate) async fn check(opened: &OpenAccount, output: &mut Output) -> Result<Completion> {
    let OpenAccount { id, account, .. } = opened;
    output.say(format_args!("host        {}", account.host()))?;
    output.say(format_args!("account     {id}"))?;
    output.say(format_args!("access      {}", access(account.access())))?;
    match account.time_zone() {
        Some(zone) => output.say(format_args!("time zone   {zone}"))?,
        None => output.say(format_args!(
            "time zone   not set: event_time can be neither read nor filtered (--time-zone, or time_zone in clevertap.toml)"
        ))?,
    }
    if let Some(fault) = shared_fault(opened).await? {
        return Err(Failure::Failed(format!("{fault} Calls of other kinds fail in the same way: nothing else was checked.")));
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

/// Nobody has this identity, and nothing this name.
const NOBODY: &str = "datafusion-clevertap-check";

/// The error of a look-up, if a count and an upload (which stores nothing) fail with the same code. One API that is refused may be a matter
/// of rights; three of different kinds are the account's credentials, or the host.
async fn shared_fault(opened: &OpenAccount) -> Result<Option<String>> {
    let session = Session::with(opened.clone(), None)?;
    // One attempt each: the probes try again where that may help.
    for option in ["retry_for_ms = 1", "timeout_ms = 10000", "dry_run = 'server'", "schema_check = 'off'"] {
        session.rows(&format!("SET clevertap.{option}")).await?;
    }
    let [profiles, counts] = ["profiles", "event_counts"].map(|table| session.table(table));
    let mut statements = vec![
        format!("SELECT identity FROM {profiles} WHERE identity = '{NOBODY}'"),
        format!("SELECT events FROM {counts} WHERE event_name = '{NOBODY}' AND event_date = '2026-01-01'"),
    ];
    if opened.account.access() >= Access::Write {
        statements.push(format!("INSERT INTO {profiles} SELECT '{NOBODY}' AS identity"));
    }
    let results = join_all(statements.iter().map(|statement| session.rows(statement))).await;
    let faults: Vec<Option<&Error>> = results.iter().map(|result| result.as_ref().err().and_then(Error::find)).collect();
    let Some(Some(first)) = faults.first() else { return Ok(None) };
    let is_of_account = matches!(first, Error::Unauthorized(_) | Error::Unavailable(_));
    let is_shared = faults.iter().all(|fault| fault.is_some_and(|fault| fault.code() == first.code()));
    Ok((is_of_account && is_shared).then(|| first.to_string()))
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
        Ok(_) => TimeZoneProof::Open("no exported record could tell".into()),
        Err(error) => TimeZoneProof::Open(error.to_string()),
    }
}

/// The connector's probes.
async fn probe(account: &Account) -> Vec<ProbeLine> {
    let line = |probe: Probe| ProbeLine {
        outcome: probe.outcome.map(|()| probe.tables.join(", ")).map_err(|error| error.to_string()),
        name: probe.call,
    };
    datafusion_clevertap::diagnose::check(account).await.into_iter().map(line).collect()
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
    use std::time::Duration;

    use super::*;
    use crate::{files::atomic_file::FileAccess, terminal::format::Format, world::World};
    use datafusion_clevertap::{AccountSettings, Secret, transport::Answer};

    /// What `check` printed, and how it ended.
    async fn run(account: Account) -> (String, Result<Completion>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stdout.txt");
        let mut output = Output::open(Some(Format::Table), Some(&path), FileAccess::Default).unwrap();
        let completion = Box::pin(check(&OpenAccount::from(account), &mut output)).await;
        output.close(false).unwrap();
        (std::fs::read_to_string(path).unwrap(), completion)
    }

    fn answer(status: u16) -> Answer {
        Answer::new(status, format!(r#"{{"status":"fail","error":"x","code":{status}}}"#))
    }

    #[test]
    fn one_refused_probe_fails_the_check() {
        let line = |outcome| ProbeLine { name: "upload?dryRun=1".into(), outcome };
        let (good, bad) = (line(Ok("accepted".into())), line(Err("401".into())));
        assert_eq!(verdict(&[good.clone(), good.clone()]).unwrap(), Completion::Done);
        assert_eq!(verdict(&[good, bad]).unwrap_err().code(), 1);
        assert_eq!(verdict(&[]).unwrap_err().code(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_may_do_everything_passes() {
        let (stdout, completion) = run(World::new().account).await;
        assert_eq!(completion.unwrap(), Completion::Done, "{stdout}");
        assert!(stdout.matches("\nok ").count() > 10 && !stdout.contains("refused"), "{stdout}");
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_are_refused_are_reported_once_and_no_probe_is_made() {
        for status in [401, 403] {
            let world = World::new();
            world.intercept(move |_| Some(Ok(answer(status))));
            let (stdout, completion) = run(world.account.clone()).await;
            let failure = completion.unwrap_err();
            assert_eq!(failure.code(), 1);
            let text = failure.to_string();
            assert_eq!((text.matches("GET /1/profile.json").count(), stdout.contains("refused")), (1, false), "{text}\n{stdout}");
            assert_eq!(world.sent(), 3, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_api_that_is_refused_leaves_the_others_listed() {
        for path in ["/1/profile.json", "/1/upload", "/1/counts/events.json"] {
            let world = World::new();
            world.intercept(move |call| (call.url.path() == path).then(|| Ok(answer(401))));
            let (stdout, completion) = run(world.account.clone()).await;
            assert_eq!(completion.unwrap_err().code(), 1, "{stdout}");
            assert!(stdout.lines().filter(|line| line.starts_with("refused ")).all(|line| line.contains(path)), "{stdout}");
            assert!(stdout.contains("refused ") && stdout.matches("\nok ").count() > 8, "{path}: {stdout}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_down_is_reported_once_and_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let settings = AccountSettings::new().with_endpoint(endpoint).with_own_limits(true);
        let account = Account::open("W-1", Secret::new("a-passcode"), None, settings).unwrap();
        let began = tokio::time::Instant::now();
        let (stdout, completion) = run(account).await;
        let text = completion.unwrap_err().to_string();
        assert_eq!((text.matches("127.0.0.1").count(), stdout.contains("refused")), (1, false), "{text}\n{stdout}");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}
