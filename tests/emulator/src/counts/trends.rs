//! `POST /1/counts/trends.json`: occurrences, people or sums by day, week or month (reference 8.4).

use std::collections::{BTreeMap, HashSet};

use chrono::{Datelike, Months, NaiveDate};
use chrono_tz::Tz;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::counts::{check_keys, groups, person_of};
use crate::json::Json;
use crate::query::{Query, Refusal, days, select};
use crate::store::Database;
use crate::upload::record::Devices;

#[derive(Clone, Copy)]
enum Period {
    Daily,
    Weekly,
    Monthly,
}

impl Period {
    /// The key of a day: `YYYYMMDD`, ISO's `YYYYWW`, `YYYYMM`.
    fn key(self, day: NaiveDate) -> String {
        match self {
            Self::Daily => days::packed_day(day).to_string(),
            Self::Weekly => format!("{:04}{:02}", day.iso_week().year(), day.iso_week().week()),
            Self::Monthly => format!("{:04}{:02}", day.year(), day.month()),
        }
    }
}

/// What is added up.
enum Measure {
    Events,
    People,
    PropertySum(String),
}

/// A sum that stays whole as long as everything in it is.
#[derive(Clone, Copy, Default)]
struct PropertySum {
    whole: i64,
    rest: f64,
}

#[derive(Default)]
struct Bucket {
    sum: PropertySum,
    people: HashSet<u32>,
}

pub(super) fn run(tree: &Json<'_>, query: &Query, database: &mut Database, devices: &Devices, zone: Tz) -> Result<Answer, Refusal> {
    if let Some((from, to)) = query.event_filter.days.and_then(|(from, to)| Some((days::date(from)?, days::date(to)?)))
        && from.checked_add_months(Months::new(12)).is_some_and(|year| to >= year)
    {
        return Err(Refusal::new("Invalid date range : up to one year is allowed"));
    }
    let measure = measure(tree)?;
    let groups = groups(tree)?;
    let mut steps = Vec::with_capacity(groups.len());
    for (name, group) in groups {
        check_keys(group, &["trend_type"])?;
        let step = match group.get("trend_type").and_then(Json::as_text) {
            Some("daily") => Period::Daily,
            Some("weekly") => Period::Weekly,
            Some("monthly") => Period::Monthly,
            _ => return Err(Refusal(format!("Invalid trend_type in group : {name}"))),
        };
        steps.push((name, step, BTreeMap::<String, Bucket>::new()));
    }
    let selection = select::events(query, database, devices);
    for place in selection.places() {
        let event = &database.events[place as usize];
        let day = days::local(event.ts, zone).date();
        let added = match &measure {
            Measure::Events => PropertySum { whole: 1, rest: 0.0 },
            Measure::People => PropertySum::default(),
            Measure::PropertySum(property) => match number(database, place, property) {
                Some(number) => number,
                None => continue,
            },
        };
        for (_, step, buckets) in &mut steps {
            let bucket = buckets.entry(step.key(day)).or_default();
            bucket.sum.whole = bucket.sum.whole.saturating_add(added.whole);
            bucket.sum.rest += added.rest;
            if matches!(measure, Measure::People) {
                bucket.people.insert(person_of(database, place));
            }
        }
    }
    let mut answer = Map::from_iter([("status".to_owned(), Value::from("success"))]);
    for (name, _, buckets) in steps {
        let counted = buckets.into_iter().map(|(key, bucket)| {
            let value = match measure {
                Measure::People => bucket.people.len().into(),
                Measure::Events | Measure::PropertySum(_) if bucket.sum.rest == 0.0 => bucket.sum.whole.into(),
                Measure::Events | Measure::PropertySum(_) => Value::from(bucket.sum.whole as f64 + bucket.sum.rest),
            };
            (key, value)
        });
        answer.insert(name.clone().into_owned(), Value::Object(counted.collect()));
    }
    Ok(Answer::json(200, &answer))
}

fn measure(tree: &Json<'_>) -> Result<Measure, Refusal> {
    let is_unique = match tree.get("unique") {
        None => false,
        Some(Json::Bool(flag)) => *flag,
        Some(_) => return Err(Refusal::new("unique is true or false")),
    };
    match tree.get("sum_event_prop") {
        None if is_unique => Ok(Measure::People),
        None => Ok(Measure::Events),
        Some(Json::Text(property)) if !is_unique && !property.is_empty() => Ok(Measure::PropertySum(property.clone().into_owned())),
        Some(_) => Err(Refusal::new("Invalid sum_event_prop")),
    }
}

/// An event's number under a property; anything else counts for nothing.
fn number(database: &Database, place: u32, property: &str) -> Option<PropertySum> {
    let properties: Map<String, Value> = serde_json::from_str(&database.events[place as usize].data).ok()?;
    let number = properties.get(property)?.as_number()?;
    match number.as_i64() {
        Some(whole) => Some(PropertySum { whole, rest: 0.0 }),
        None => Some(PropertySum { whole: 0, rest: number.as_f64()? }),
    }
}
