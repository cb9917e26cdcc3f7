//! One access request: the look-up, the plan, one export for each event name.
//!
//! In: a key, the session. Out: the document with the person and their events, and its tail of figures.

use std::{cmp::Ordering, collections::BTreeSet};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use futures::TryStreamExt;
use serde_json::{Value, value::RawValue};

use super::{
    super::person_key::{KeyKind, PersonKey},
    document::{Document, DocumentTail, Event, EventOutcome, NotExported, Person},
    summary::{EventSummary, shown},
};
use crate::{
    engine::session::Session,
    failure::{Failure, Result},
    literals::{cell, literal, literals},
    terminal::console::Console,
};
use datafusion_clevertap::Error;

/// The identities and devices under which events of the person are exported.
#[derive(Debug, Default)]
struct PersonNames {
    identities: BTreeSet<String>,
    devices: BTreeSet<String>,
}

/// One access request, while it runs.
pub(super) struct AccessRequest<'a> {
    pub(super) session: Session,
    pub(super) started_at: DateTime<Utc>,
    pub(super) console: &'a mut Console,
}

impl AccessRequest<'_> {
    /// Prints how many events an export would read.
    pub(super) async fn say_cost(&mut self, key: &PersonKey, zone: chrono_tz::Tz) -> Result<()> {
        let person = self.look_up(key).await?;
        let summaries = self.plan(&person, zone)?;
        for summary in summaries {
            let (from, to) = summary.days;
            let text = format!(
                "SELECT events FROM {} WHERE event_name = {} AND event_date BETWEEN '{from}' AND '{to}'",
                self.session.table("event_counts"),
                literal(&summary.event_name)
            );
            match self.session.count(&text).await {
                Ok(events) => self.console.say(&format!("  {}: {events} events of everybody", shown(&summary.event_name))),
                Err(error) => self.console.say(&format!("  {}: not counted: {}", shown(&summary.event_name), shown(&error.to_string()))),
            }
        }
        self.console.say("nothing was exported");
        Ok(())
    }

    /// Writes the document up to its tail, which comes back with it.
    pub(super) async fn export(
        &mut self,
        key: &PersonKey,
        zone: chrono_tz::Tz,
        mut document: Document,
    ) -> Result<(Document, DocumentTail)> {
        let exported_at = self.started_at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false);
        let person = self.look_up(key).await?;
        let summaries = self.plan(&person, zone)?;
        document.person(&person)?;
        let mut tail = DocumentTail { exported_at, summary: Vec::new(), not_exported: Vec::new(), complete: person.summary.is_some() };
        if !summaries.is_empty() {
            let names = self.names(key, &person).await?;
            for summary in summaries {
                self.export_event(summary, &names, &mut document, &mut tail).await?;
            }
        }
        let found: u64 = tail.summary.iter().map(|outcome| outcome.found + outcome.done_since).sum();
        let completeness = if tail.complete { "complete" } else { "not complete, as told above (\"complete\": false)" };
        self.console.say(&format!("{found} events of {} names were written: {completeness}", tail.summary.len()));
        Ok((document, tail))
    }

    /// The person behind `key`.
    async fn look_up(&mut self, key: &PersonKey) -> Result<Person> {
        let text = format!(
            "SELECT identity, object_id, name, email, phone, all_identities, properties, platforms, events \
             FROM {} WHERE {}",
            self.session.table("profiles"),
            key.condition()
        );
        let batches = self.session.rows(&text).await?;
        let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else {
            let what = match key.kind {
                KeyKind::Identity => "this identity",
                KeyKind::ObjectId => "this object_id",
                KeyKind::Email => "this e-mail address",
            };
            return Err(Failure::Failed(format!("CleverTap knows nobody with {what}: nothing was written")));
        };
        if key.kind == KeyKind::Email {
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

    /// The event names to export, which are printed before the export.
    fn plan(&mut self, person: &Person, zone: chrono_tz::Tz) -> Result<Vec<EventSummary>> {
        let Some(summary) = &person.summary else {
            self.console.say("CleverTap shows no summary of this person's events, so that none can be looked for");
            return Ok(Vec::new());
        };
        let summaries = EventSummary::parse(summary, zone)?;
        let events: u64 = summaries.iter().map(|summary| summary.counted).sum();
        self.console.say(&format!(
            "{events} events of {} names are counted. CleverTap exports everybody's events of a name and range of days; of these, this \
             person's are kept:",
            summaries.len()
        ));
        for EventSummary { event_name, counted, days: (from, to), .. } in &summaries {
            self.console.say(&format!("  {}: {counted}, {from} to {to}", shown(event_name)));
        }
        Ok(summaries)
    }

    /// All identities and devices of the person. Somebody who was looked up by one identity may have another, under which their events
    /// are exported: a second look-up finds it, by a device or, without one, by an address that leads to the same properties.
    async fn names(&self, key: &PersonKey, person: &Person) -> Result<PersonNames> {
        let mut names = PersonNames::default();
        names.identities.extend(person.identity.clone());
        names.devices.extend(person.object_id.clone());
        let platforms: Option<Value> =
            person.platforms.as_ref().map(|json| serde_json::from_str(json.get())).transpose().map_err(json_error)?;
        let devices = platforms.iter().filter_map(Value::as_array).flatten().filter_map(|platform| platform.get("objectId")?.as_str());
        names.devices.extend(devices.map(str::to_owned));
        if key.kind == KeyKind::Identity {
            let by = names.devices.first().map(|device| PersonKey::new(KeyKind::ObjectId, device));
            let by = by.or_else(|| person.email.as_ref().map(|email| PersonKey::new(KeyKind::Email, email)));
            if let Some(by) = by {
                let text = format!("SELECT identity, properties FROM {} WHERE {}", self.session.table("profiles"), by.condition());
                for batch in self.session.rows(&text).await?.iter().filter(|batch| batch.num_rows() > 0) {
                    let same =
                        by.kind == KeyKind::ObjectId || same_json(cell(batch, "properties", 0)?.as_deref(), person.properties.as_deref());
                    names.identities.extend(cell(batch, "identity", 0)?.filter(|_| same));
                }
            }
        }
        Ok(names)
    }

    /// Exports one event name and writes the events of this person.
    async fn export_event(
        &mut self,
        summary: EventSummary,
        names: &PersonNames,
        document: &mut Document,
        tail: &mut DocumentTail,
    ) -> Result<()> {
        let mut outcome = EventOutcome {
            event_name: summary.event_name.clone(),
            counted: summary.counted,
            found: 0,
            done_since: 0,
            first_seen: summary.first_seen.clone(),
            last_seen: summary.last_seen.clone(),
            from_date: summary.days.0,
            to_date: summary.days.1,
            left_out_as_of_others: 0,
        };
        let mut exported = self.export_days(&mut outcome, names, summary.days, document).await;
        for days in summary.days_around() {
            // The project's zone may not be the one that the summary's seconds were counted in: where events are missing, the days around
            // are exported too.
            if exported.is_ok() && outcome.found < summary.counted {
                exported = self.export_days(&mut outcome, names, days, document).await;
                outcome.from_date = outcome.from_date.min(days.0);
                outcome.to_date = outcome.to_date.max(days.1);
            }
        }
        match exported {
            Ok(()) => {}
            Err(ExportError::Refused(reason)) if outcome.found + outcome.done_since == 0 => {
                self.console.say(&format!("{}: {} not exported: {}", shown(&summary.event_name), summary.counted, shown(&reason)));
                tail.not_exported.push(NotExported { event_name: summary.event_name, counted: summary.counted, reason });
                tail.complete = false;
                return Ok(());
            }
            Err(ExportError::Refused(reason)) => return Err(Failure::Failed(shown(&reason))),
            Err(ExportError::Failed(failure)) => return Err(failure),
        }
        let EventOutcome { event_name, counted, found, left_out_as_of_others: others, .. } = &outcome;
        let event_name = shown(event_name);
        let differs = match found.cmp(counted) {
            Ordering::Less => ": the rest is not among what CleverTap exports for these days",
            Ordering::Equal => "",
            Ordering::Greater => ": more than CleverTap counts, and all of them are written",
        };
        self.console.say(&format!("{event_name}: {found} of {counted} found{differs}"));
        if outcome.done_since > 0 {
            self.console
                .say(&format!("{event_name}: {} more were done since the person was looked up, and written as well", outcome.done_since));
        }
        if *others > 0 {
            self.console.say(&format!("{event_name}: {others} events of this person's devices bear another identity, and were left out"));
        }
        tail.complete &= found >= counted;
        tail.summary.push(outcome);
        Ok(())
    }

    /// Exports one event name for a range of days.
    async fn export_days(
        &self,
        outcome: &mut EventOutcome,
        names: &PersonNames,
        (from, to): (NaiveDate, NaiveDate),
        document: &mut Document,
    ) -> Result<(), ExportError> {
        let mut conditions = Vec::new();
        for (column, names) in [("identity", &names.identities), ("object_id", &names.devices)] {
            if !names.is_empty() {
                conditions.push(format!("{column} IN ({})", literals(names.iter().map(String::as_str))));
            }
        }
        if conditions.is_empty() {
            return Err(ExportError::Failed(Failure::Failed("CleverTap shows neither identity nor object_id of this person".into())));
        }
        let text = format!(
            "SELECT event_time, identity, object_id, platform, properties, session FROM {} \
             WHERE event_name = {} AND event_date BETWEEN '{from}' AND '{to}' AND ({})",
            self.session.table("events"),
            literal(&outcome.event_name),
            conditions.join(" OR ")
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
                    Some(Ok(time)) if time > self.started_at => outcome.done_since += 1,
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

/// Why an event name was not exported.
enum ExportError {
    /// CleverTap refuses this name, and will refuse it again; other names can be exported.
    Refused(String),
    /// Anything else: there will be no document.
    Failed(Failure),
}

impl From<datafusion::error::DataFusionError> for ExportError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        match Error::find(&error) {
            Some(refused @ Error::Refused(_)) => Self::Refused(refused.to_string()),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for ExportError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// JSON as CleverTap sent it, with all digits of its numbers.
fn raw(text: Option<String>) -> Result<Option<Box<RawValue>>> {
    text.map(RawValue::from_string).transpose().map_err(json_error)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn json_error(error: serde_json::Error) -> Failure {
    // The position alone: the value belongs to a person.
    Failure::Failed(format!("what CleverTap shows of this person is not JSON, from column {} on. Please report this.", error.column()))
}

/// Whether two texts are the same JSON, whatever the order of keys.
fn same_json(one: Option<&str>, other: Option<&RawValue>) -> bool {
    let parsed = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    parsed(one).is_some_and(|one| Some(one) == parsed(other.map(RawValue::get)))
}
