//! CleverTap's summary of the events of one person: which names have to be exported, and for which days.
//!
//! In: the `events` of a look-up, `{"Charged":{"count":12,"first_seen":1767000000,"last_seen":1767225000}}`, in epoch seconds. Out:
//! each name with its count and its days, which are the project's.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use chrono::{DateTime, Datelike, Days, NaiveDate, SecondsFormat};
use chrono_tz::Tz;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::failure::{Failure, Result};

/// When events may have been: a day outside is no number of seconds, and would be exported for nothing.
const YEARS: RangeInclusive<i32> = 2000..=2100;

/// A name of events as it is told: somebody may have written a person into it.
pub(super) fn shown(event_name: &str) -> String {
    event_name.split(' ').map(|word| if word.contains('@') { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

/// One event name of the summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventSummary {
    pub(crate) event_name: String,
    /// How often, by CleverTap's count.
    pub(crate) counted: u64,
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
    /// First and last day, inclusive.
    pub(crate) days: (NaiveDate, NaiveDate),
}

#[derive(Debug, Deserialize)]
struct Entry {
    count: u64,
    first_seen: i64,
    last_seen: i64,
}

/// The entries of a summary, each name once: of two entries of one name nobody can say which is meant.
struct Entries(BTreeMap<String, Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of event names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((name, entry)) = map.next_entry()? {
                    if entries.insert(name, entry).is_some() {
                        return Err(A::Error::custom("a name is there twice"));
                    }
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

impl EventSummary {
    /// The summary as a list, sorted by name.
    ///
    /// # Errors
    /// [`Failure::Failed`] if an entry has another shape: an event that cannot be read must not be left out.
    pub(crate) fn parse(summary: &str, zone: Tz) -> Result<Vec<Self>> {
        let unread = |name: &str| {
            Failure::Failed(format!(
                "CleverTap's summary of this person's events {name} is of a shape that this version does not read. Please report this. [CT-304]"
            ))
        };
        let Entries(entries) = serde_json::from_str(summary).map_err(|_| unread("as a whole"))?;
        entries
            .into_iter()
            .map(|(event_name, Entry { count, first_seen, last_seen })| {
                let local = |seconds| {
                    let instant = DateTime::from_timestamp(seconds, 0).map(|instant| instant.with_timezone(&zone));
                    instant.filter(|instant| YEARS.contains(&instant.year()))
                };
                let (Some(first), Some(last)) = (local(first_seen), local(last_seen)) else {
                    return Err(unread(&format!("named \"{}\"", shown(&event_name))));
                };
                let days = (first.date_naive().min(last.date_naive()), last.date_naive().max(first.date_naive()));
                let text = |time: DateTime<Tz>| time.to_rfc3339_opts(SecondsFormat::Secs, false);
                Ok(Self { event_name, counted: count, first_seen: text(first), last_seen: text(last), days })
            })
            .collect()
    }

    /// The day before and the day after: events that are missing may be found there.
    pub(crate) fn days_around(&self) -> Vec<(NaiveDate, NaiveDate)> {
        let before = self.days.0.checked_sub_days(Days::new(1));
        let after = self.days.1.checked_add_days(Days::new(1));
        before.into_iter().chain(after).map(|day| (day, day)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_project() {
        let summary = r#"{"Charged":{"count":2,"first_seen":1767225599,"last_seen":1767225600},"Seen":{"count":1,"first_seen":946684800,"last_seen":946684800}}"#;
        let days = |zone| EventSummary::parse(summary, zone).unwrap().into_iter().map(|summary| summary.days).next().unwrap();
        let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap();
        assert_eq!(days(Tz::UTC), (day(2025, 12, 31), day(2026, 1, 1)));
        assert_eq!(days(Tz::Asia__Kolkata), (day(2026, 1, 1), day(2026, 1, 1)));
        let charged = &EventSummary::parse(summary, Tz::Asia__Kolkata).unwrap()[0];
        assert_eq!((charged.last_seen.as_str(), charged.counted), ("2026-01-01T05:30:00+05:30", 2));
        assert_eq!(charged.days_around(), [(day(2025, 12, 31), day(2025, 12, 31)), (day(2026, 1, 2), day(2026, 1, 2))]);
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_an_error() {
        for summary in [
            r#"{"Charged":{"count":2}}"#,
            r#"{"Charged":7}"#,
            "[]",
            r#"{"A":{"count":-1,"first_seen":1767225600,"last_seen":1767225600}}"#,
            r#"{"A":{"count":1,"count":9,"first_seen":1767225600,"last_seen":1767225600}}"#,
            r#"{"A":{"count":9,"first_seen":1767225600,"last_seen":1767225600},"A":{"count":1,"first_seen":1767225600,"last_seen":1767225600}}"#,
        ] {
            assert_eq!(EventSummary::parse(summary, Tz::UTC).unwrap_err().code(), 1, "{summary}");
        }
        for seconds in [0, -5, 1_767_225_600_000_i64, 4_133_980_800] {
            let summary = format!(r#"{{"Paid ada@example.org":{{"count":2,"first_seen":1767225600,"last_seen":{seconds}}}}}"#);
            let error = EventSummary::parse(&summary, Tz::UTC).unwrap_err().to_string();
            assert!(error.contains("\"Paid …\" is of a shape") && !error.contains('@'), "{error}");
        }
        assert!(EventSummary::parse("{}", Tz::UTC).unwrap().is_empty());
    }
}
