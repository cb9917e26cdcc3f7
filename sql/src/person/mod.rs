//! `clevertap-sql person`: the profile and all events of one person, for an access request.
//!
//! In: one key of a person. Out: one JSON document. CleverTap has no call for one person's events, but its summary of them names each
//! with its days: only these are exported, everybody's, and the person's are kept. What is found is held against what the summary
//! counts, so that whoever answers the request knows what is missing.
//!
//! An event is the person's if it bears one of their identities, or none and one of their devices. One of their devices under
//! somebody else's identity is somebody else's: it is counted, told, and left out.

mod document;
mod summary;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, path::PathBuf};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use futures::TryStreamExt;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    failure::{Ended, Failure, Result},
    interrupt::Interrupts,
    people::{Key, Kind, Named, cell, literal, literals},
    progress::Console,
    session::Session,
};
use datafusion_clevertap::{Account, Error};
use document::Document;
use summary::Did;

/// Flags of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Prints one JSON document: person, events, summary (each event: counted and found), not_exported, complete.")]
pub(crate) struct PersonFlags {
    #[command(flatten)]
    named: Named,

    /// Where the document is written, in place of stdout: whole or not at all, readable by its owner alone
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Tell what it would take, with CleverTap's own counts, and export nothing
    #[arg(long, conflicts_with = "output")]
    cost: bool,
}

/// Writes out one person.
///
/// # Errors
/// [`Failure::Usage`] without a key or a time zone; [`Failure::Failed`] if nobody has the key, or an export is not whole: then there
/// is no document.
pub(crate) async fn person(flags: &PersonFlags, account: Account, console: &mut Console, mut interrupts: Interrupts) -> Result<Ended> {
    let Some(key) = flags.named.key() else {
        return Err(Failure::Usage("person needs one of --identity, --email and --object-id".into()));
    };
    let Some(zone) = account.time_zone() else {
        return Err(Failure::Usage(
            "person needs the project's time zone (--time-zone or CLEVERTAP_TIME_ZONE): CleverTap writes the time of events without one"
                .into(),
        ));
    };
    // Before anything is asked: the export may take hours.
    let asked_at = account.clock().now();
    let mut asked = Asked { session: Session::open(Some(account), None)?, asked_at, console };
    if flags.cost {
        interrupts.or(asked.cost(&key, zone)).await??;
        return Ok(Ended::Done);
    }
    let document = Document::begin(flags.output.as_deref())?;
    let (document, ending) = interrupts.or(asked.export(&key, zone, document)).await??;
    document.finish(&ending)?;
    Ok(Ended::Done)
}

/// Somebody who was looked up.
#[derive(Debug, Serialize)]
struct Person {
    identity: Option<String>,
    object_id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    all_identities: Option<String>,
    properties: Option<Box<RawValue>>,
    platforms: Option<Box<RawValue>>,
    #[serde(skip)]
    summary: Option<String>,
}

/// An event as it is written.
#[derive(Debug, Serialize)]
struct Event<'a> {
    event_name: &'a str,
    event_time: Option<String>,
    identity: Option<String>,
    object_id: Option<String>,
    platform: Option<String>,
    properties: Option<Box<RawValue>>,
    session: Option<Box<RawValue>>,
}

/// Under which names an exported event is this person's.
#[derive(Debug, Default)]
struct Names {
    identities: BTreeSet<String>,
    devices: BTreeSet<String>,
}

/// What became of one event.
#[derive(Debug, Serialize)]
struct Outcome {
    event_name: String,
    counted: u64,
    found: u64,
    /// Written as well, but done after the person was looked up, so that the summary cannot count them.
    #[serde(skip_serializing_if = "is_zero")]
    done_since: u64,
    first_seen: String,
    last_seen: String,
    from_date: NaiveDate,
    to_date: NaiveDate,
    #[serde(skip_serializing_if = "is_zero")]
    left_out_as_of_others: u64,
}

#[derive(Debug, Serialize)]
struct NotExported {
    event_name: String,
    counted: u64,
    reason: String,
}

/// The end of the document.
#[derive(Debug, Serialize)]
struct Ending {
    exported_at: String,
    summary: Vec<Outcome>,
    not_exported: Vec<NotExported>,
    complete: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde calls")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One access request.
struct Asked<'a> {
    session: Session,
    asked_at: DateTime<Utc>,
    console: &'a mut Console,
}

impl Asked<'_> {
    /// Tells what an export would take.
    async fn cost(&mut self, key: &Key, zone: chrono_tz::Tz) -> Result<()> {
        let person = self.look_up(key).await?;
        let all = self.plan(&person, zone)?;
        for did in all {
            let (from, to) = did.days;
            let text = format!(
                "SELECT events FROM clevertap.event_counts WHERE event_name = {} AND event_date BETWEEN '{from}' AND '{to}'",
                literal(&did.event_name)
            );
            match self.session.count(&text).await {
                Ok(events) => self.console.say(&format!("  {}: {events} events of everybody", did.event_name)),
                Err(error) => self.console.say(&format!("  {}: not counted: {error}", did.event_name)),
            }
        }
        self.console.say("nothing was exported");
        Ok(())
    }

    /// Writes everything but the document's end.
    async fn export(&mut self, key: &Key, zone: chrono_tz::Tz, mut document: Document) -> Result<(Document, Ending)> {
        let exported_at = self.asked_at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false);
        let person = self.look_up(key).await?;
        let all = self.plan(&person, zone)?;
        document.person(&person)?;
        let mut ending = Ending { exported_at, summary: Vec::new(), not_exported: Vec::new(), complete: person.summary.is_some() };
        if !all.is_empty() {
            let names = self.names(key, &person).await?;
            for did in all {
                self.one(did, &names, &mut document, &mut ending).await?;
            }
        }
        let found: u64 = ending.summary.iter().map(|outcome| outcome.found + outcome.done_since).sum();
        let whole = if ending.complete { "complete" } else { "not complete, as told above (\"complete\": false)" };
        self.console.say(&format!("{found} events of {} names were written: {whole}", ending.summary.len()));
        Ok((document, ending))
    }

    /// The person behind `key`.
    async fn look_up(&mut self, key: &Key) -> Result<Person> {
        let text = format!(
            "SELECT identity, object_id, name, email, phone, all_identities, properties, platforms, events \
             FROM clevertap.profiles WHERE {}",
            key.condition()
        );
        let batches = self.session.rows(&text).await?;
        let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else {
            let what = match key.kind {
                Kind::Identity => "this identity",
                Kind::ObjectId => "this object_id",
                Kind::Email => "this e-mail address",
            };
            return Err(Failure::Failed(format!("CleverTap knows nobody with {what}: nothing was written")));
        };
        if key.kind == Kind::Email {
            self.console
                .say("one person was found; several may have this address, and CleverTap shows but one of them. An identity is certain");
        }
        let text = |column| cell(batch, column, 0);
        Ok(Person {
            identity: text("identity")?,
            object_id: text("object_id")?,
            name: text("name")?,
            email: text("email")?,
            phone: text("phone")?,
            all_identities: text("all_identities")?,
            properties: raw(text("properties")?)?,
            platforms: raw(text("platforms")?)?,
            summary: text("events")?,
        })
    }

    /// What has to be exported, told before it is.
    fn plan(&mut self, person: &Person, zone: chrono_tz::Tz) -> Result<Vec<Did>> {
        let Some(summary) = &person.summary else {
            self.console.say("CleverTap shows no summary of this person's events, so that none can be looked for");
            return Ok(Vec::new());
        };
        let all = Did::all(summary, zone)?;
        let events: u64 = all.iter().map(|did| did.counted).sum();
        self.console.say(&format!(
            "{events} events of {} names are counted. CleverTap exports everybody's events of a name and range of days; of these, this \
             person's are kept:",
            all.len()
        ));
        for Did { event_name, counted, days: (from, to), .. } in &all {
            self.console.say(&format!("  {event_name}: {counted}, {from} to {to}"));
        }
        Ok(all)
    }

    /// All names of the person. Who was asked for by one identity may have another, under which their events are exported: a
    /// second look-up tells it, by a device or, without one, by an address that leads to the same properties.
    async fn names(&self, key: &Key, person: &Person) -> Result<Names> {
        let mut names = Names::default();
        names.identities.extend(person.identity.clone());
        names.devices.extend(person.object_id.clone());
        let platforms: Option<Value> =
            person.platforms.as_ref().map(|json| serde_json::from_str(json.get())).transpose().map_err(json_error)?;
        let devices = platforms.iter().filter_map(Value::as_array).flatten().filter_map(|platform| platform.get("objectId")?.as_str());
        names.devices.extend(devices.map(str::to_owned));
        if key.kind == Kind::Identity {
            let by = names.devices.first().map(|device| Key::new(Kind::ObjectId, device));
            let by = by.or_else(|| person.email.as_ref().map(|email| Key::new(Kind::Email, email)));
            if let Some(by) = by {
                let text = format!("SELECT identity, properties FROM clevertap.profiles WHERE {}", by.condition());
                for batch in self.session.rows(&text).await?.iter().filter(|batch| batch.num_rows() > 0) {
                    let same =
                        by.kind == Kind::ObjectId || same_json(cell(batch, "properties", 0)?.as_deref(), person.properties.as_deref());
                    names.identities.extend(cell(batch, "identity", 0)?.filter(|_| same));
                }
            }
        }
        Ok(names)
    }

    /// Exports one event and keeps what is this person's.
    async fn one(&mut self, did: Did, names: &Names, document: &mut Document, ending: &mut Ending) -> Result<()> {
        let mut outcome = Outcome {
            event_name: did.event_name.clone(),
            counted: did.counted,
            found: 0,
            done_since: 0,
            first_seen: did.first_seen.clone(),
            last_seen: did.last_seen.clone(),
            from_date: did.days.0,
            to_date: did.days.1,
            left_out_as_of_others: 0,
        };
        let mut exported = self.days(&mut outcome, names, did.days, document).await;
        for days in did.days_around() {
            // The zone of the summary's seconds is CleverTap's word against ours: a day is asked for where something is missing.
            if exported.is_ok() && outcome.found < did.counted {
                exported = self.days(&mut outcome, names, days, document).await;
                outcome.from_date = outcome.from_date.min(days.0);
                outcome.to_date = outcome.to_date.max(days.1);
            }
        }
        match exported {
            Ok(()) => {}
            Err(Broken::Refused(reason)) if outcome.found + outcome.done_since == 0 => {
                self.console.say(&format!("{}: {} not exported: {reason}", did.event_name, did.counted));
                ending.not_exported.push(NotExported { event_name: did.event_name, counted: did.counted, reason });
                ending.complete = false;
                return Ok(());
            }
            Err(Broken::Refused(reason)) => return Err(Failure::Failed(reason)),
            Err(Broken::Failed(failure)) => return Err(failure),
        }
        let Outcome { event_name, counted, found, left_out_as_of_others: others, .. } = &outcome;
        let short = if found < counted { ": the rest is not among what CleverTap exports for these days" } else { "" };
        self.console.say(&format!("{event_name}: {found} of {counted} found{short}"));
        if outcome.done_since > 0 {
            self.console
                .say(&format!("{event_name}: {} more were done since the person was looked up, and written as well", outcome.done_since));
        }
        if *others > 0 {
            self.console.say(&format!("{event_name}: {others} events of this person's devices bear another identity, and were left out"));
        }
        ending.complete &= found >= counted;
        ending.summary.push(outcome);
        Ok(())
    }

    /// Exports one event for some days.
    async fn days(
        &self,
        outcome: &mut Outcome,
        names: &Names,
        (from, to): (NaiveDate, NaiveDate),
        document: &mut Document,
    ) -> Result<(), Broken> {
        let mut whose = Vec::new();
        for (column, names) in [("identity", &names.identities), ("object_id", &names.devices)] {
            if !names.is_empty() {
                whose.push(format!("{column} IN ({})", literals(names.iter().map(String::as_str))));
            }
        }
        if whose.is_empty() {
            return Err(Broken::Failed(Failure::Failed("CleverTap shows neither identity nor object_id of this person".into())));
        }
        let text = format!(
            "SELECT event_time, identity, object_id, platform, properties, session FROM clevertap.events \
             WHERE event_name = {} AND event_date BETWEEN '{from}' AND '{to}' AND ({})",
            literal(&outcome.event_name),
            whose.join(" OR ")
        );
        let mut batches = self.session.sql(&text).await?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.num_rows() {
                let text = |column| cell(&batch, column, row).map_err(Failure::from);
                let identity = text("identity")?;
                if identity.as_ref().is_some_and(|identity| !names.identities.contains(identity)) {
                    outcome.left_out_as_of_others += 1;
                    continue;
                }
                let event_time = text("event_time")?;
                match event_time.as_deref().map(DateTime::parse_from_rfc3339) {
                    Some(Ok(time)) if time > self.asked_at => outcome.done_since += 1,
                    _ => outcome.found += 1,
                }
                document.event(&Event {
                    event_name: &outcome.event_name,
                    event_time,
                    identity,
                    object_id: text("object_id")?,
                    platform: text("platform")?,
                    properties: raw(text("properties")?)?,
                    session: raw(text("session")?)?,
                })?;
            }
        }
        Ok(())
    }
}

/// Why an event was not exported.
enum Broken {
    /// CleverTap refuses to, and will refuse again: the other events are exported all the same.
    Refused(String),
    /// Anything else, after which there is no document.
    Failed(Failure),
}

impl From<datafusion::error::DataFusionError> for Broken {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        match Error::find(&error) {
            Some(refused @ Error::Refused(_)) => Self::Refused(refused.to_string()),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// JSON as it came, with all digits of its numbers.
fn raw(text: Option<String>) -> Result<Option<Box<RawValue>>> {
    text.map(RawValue::from_string).transpose().map_err(json_error)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn json_error(error: serde_json::Error) -> Failure {
    // Where, not what: the value is a person's.
    Failure::Failed(format!("what CleverTap shows of this person is not JSON, from column {} on. Please report this.", error.column()))
}

/// Whether two texts are the same object, whatever the order of its keys.
fn same_json(one: Option<&str>, other: Option<&RawValue>) -> bool {
    let parsed = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    parsed(one).is_some_and(|one| Some(one) == parsed(other.map(RawValue::get)))
}
