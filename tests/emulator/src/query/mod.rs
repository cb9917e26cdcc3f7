//! The query language of exports and counts: a body in, a checked query out (reference 6.1 and 16).
//!
//! What the reference does not name is refused: a key that a client spells wrong would otherwise be a filter that is not
//! there. `identity`, `email`, `objectId` are taken and ignored (unknowns 3.17).

pub(crate) mod condition;
pub(crate) mod days;
mod refusal;
pub(crate) mod select;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use crate::json::Json;
use condition::Condition;
pub(crate) use refusal::Refusal;

/// Whether a query has to name an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Required,
    /// Without one, everybody who did anything; without days, the last 365 of them.
    Optional,
}

/// Which events, and of whom.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) event_filter: EventFilter,
    people: Vec<(Field, Condition)>,
    all: Vec<EventFilter>,
    any: Vec<EventFilter>,
    none: Vec<EventFilter>,
    /// The filters as they came, for the report.
    pub(crate) filters: Value,
}

/// An event, a span, and what must hold of its properties.
#[derive(Debug)]
pub(crate) struct EventFilter {
    pub(crate) event: Option<String>,
    /// As they were sent; none where the last 365 days were taken.
    pub(crate) days: Option<(i64, i64)>,
    /// Epoch seconds, the second one not included.
    pub(crate) span: (i64, i64),
    event_properties: Vec<Condition>,
    session_properties: Vec<Condition>,
}

/// Where a property of a person lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// `profile_fields`: any property, by its exact name.
    Profile,
    /// `demographics`: `gender`, `age` and other standard fields, in any case.
    Demographic,
    /// `technographics`: `os`, `os_version`, `make`, `model` of a device.
    Technographic,
    /// `app_fields`: `app_version` of a device.
    App,
}

impl Field {
    const NAMED: [(&'static str, Self); 4] = [
        ("profile_fields", Self::Profile),
        ("demographics", Self::Demographic),
        ("technographics", Self::Technographic),
        ("app_fields", Self::App),
    ];
}

/// The keys that hold filters.
const FILTERS: [&str; 4] = ["event_properties", "session_properties", "common_profile_properties", "advanced_query"];

impl Query {
    /// Reads a body; `more` are the keys that this path takes besides.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub(crate) fn read(body: &Json<'_>, event: Event, more: &[&str], now: i64, zone: Tz) -> Result<Self, Refusal> {
        let Json::Object(fields) = body else {
            return Err(Refusal::new("Malformed request"));
        };
        for (key, _) in fields {
            let is_known = matches!(&**key, "event_name" | "from" | "to" | "identity" | "email" | "objectId");
            if !is_known && !FILTERS.contains(&&**key) && !more.contains(&&**key) {
                return Err(Refusal(format!("Unknown key in query : {key}")));
            }
        }
        let filters: Map<String, Value> = fields
            .iter()
            .filter(|(key, _)| FILTERS.contains(&&**key))
            .map(|(key, value)| (key.clone().into_owned(), value.to_value()))
            .collect();
        let mut query = Self {
            event_filter: EventFilter::read(body, event, now, zone)?,
            people: Vec::new(),
            all: Vec::new(),
            any: Vec::new(),
            none: Vec::new(),
            filters: filters.into(),
        };
        if let Some(common) = body.get("common_profile_properties") {
            query.read_people(common)?;
        }
        if let Some(advanced) = body.get("advanced_query") {
            query.read_advanced(advanced, now, zone)?;
        }
        Ok(query)
    }

    fn read_people(&mut self, common: &Json<'_>) -> Result<(), Refusal> {
        let Json::Object(groups) = common else {
            return Err(Refusal::new("Invalid common_profile_properties"));
        };
        for (group, value) in groups {
            if let Some((_, field)) = Field::NAMED.iter().find(|(name, _)| name == group) {
                self.people.extend(conditions(Some(value))?.into_iter().map(|condition| (*field, condition)));
                continue;
            }
            // Their insides are in no page that the reference could reach.
            let is_empty = matches!(value, Json::Object(inside) if inside.is_empty());
            if !matches!(&**group, "reachability" | "geo_fields") || !is_empty {
                return Err(Refusal(format!("Invalid common_profile_properties : {group}")));
            }
        }
        Ok(())
    }

    fn read_advanced(&mut self, advanced: &Json<'_>, now: i64, zone: Tz) -> Result<(), Refusal> {
        let Json::Object(parts) = advanced else {
            return Err(Refusal::new("Invalid advanced_query"));
        };
        for (part, value) in parts {
            let Json::List(items) = value else {
                return Err(Refusal(format!("Invalid advanced_query : {part}")));
            };
            let list = match &**part {
                "did_all" => &mut self.all,
                "did_any" => &mut self.any,
                "did_none" | "did_not" => &mut self.none,
                _ => return Err(Refusal(format!("Invalid advanced_query : {part}"))),
            };
            for item in items {
                let Json::Object(fields) = item else {
                    return Err(Refusal(format!("Invalid advanced_query : {part}")));
                };
                let known = ["event_name", "from", "to", "event_properties", "session_properties"];
                if let Some((key, _)) = fields.iter().find(|(key, _)| !known.contains(&&**key)) {
                    return Err(Refusal(format!("Unknown key in advanced_query : {key}")));
                }
                list.push(EventFilter::read(item, Event::Required, now, zone)?);
            }
        }
        Ok(())
    }

    /// The event names in it.
    pub(crate) fn events(&self) -> impl Iterator<Item = &str> {
        let parts = [&self.all, &self.any, &self.none].into_iter().flatten();
        std::iter::once(&self.event_filter).chain(parts).filter_map(|filter| filter.event.as_deref())
    }
}

impl EventFilter {
    fn read(json: &Json<'_>, event: Event, now: i64, zone: Tz) -> Result<Self, Refusal> {
        let name = match json.get("event_name") {
            None if event == Event::Optional => None,
            Some(Json::Text(name)) if !name.is_empty() => Some(name.clone().into_owned()),
            _ => return Err(Refusal::new("event_name is mandatory")),
        };
        let is_open = name.is_none() && json.get("from").is_none() && json.get("to").is_none();
        let (days, span) = if is_open { (None, (now - 365 * 86_400, now + 1)) } else { span(json, zone)? };
        Ok(Self {
            event: name,
            days,
            span,
            event_properties: conditions(json.get("event_properties"))?,
            session_properties: conditions(json.get("session_properties"))?,
        })
    }
}

type Span = (Option<(i64, i64)>, (i64, i64));

fn span(json: &Json<'_>, zone: Tz) -> Result<Span, Refusal> {
    let (from, to) = (day(json, "from")?, day(json, "to")?);
    if from > to {
        return Err(Refusal::new("Invalid date range : from is after to"));
    }
    let date = |packed| days::date(packed).ok_or_else(|| Refusal::new("Invalid date"));
    Ok((Some((from, to)), (days::start(date(from)?, zone), days::end(date(to)?, zone))))
}

/// A day as it was sent: a number and nothing else.
///
/// # Errors
///
/// Absent, another type, not in the calendar.
pub(crate) fn day(json: &Json<'_>, key: &str) -> Result<i64, Refusal> {
    let packed = match json.get(key) {
        Some(Json::Number(number)) => number.as_i64(),
        _ => None,
    };
    packed.filter(|packed| days::date(*packed).is_some()).ok_or_else(|| Refusal(format!("Invalid date : {key} is a number, YYYYMMDD")))
}

fn conditions(value: Option<&Json<'_>>) -> Result<Vec<Condition>, Refusal> {
    match value {
        None => Ok(Vec::new()),
        Some(Json::List(items)) => items.iter().map(Condition::read).collect(),
        Some(_) => Err(Refusal::new("Filters are a list")),
    }
}
