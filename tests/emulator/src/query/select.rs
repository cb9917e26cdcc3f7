//! A query, run over the database: the events that it means, in the order of an export.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::query::{EventFilter, Field, Query};
use crate::settings::Settings;
use crate::store::Database;
use crate::store::index::{EventOrder, PARTITIONS, partition};
use crate::upload::identifier::IdentifierKind;
use crate::upload::record::Devices;

/// Places in a list, partition after partition. Shared with the index as long as no filter takes something out.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    ordered: Arc<EventOrder>,
    pub(crate) ranges: [Range<usize>; PARTITIONS],
}

impl Selection {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// All of them.
    pub(crate) fn places(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().flat_map(|range| self.part(range.clone())).copied()
    }

    /// Some of them.
    pub(crate) fn part(&self, range: Range<usize>) -> &[u32] {
        self.ordered.list.get(range).unwrap_or_default()
    }
}

/// Refuses names that the project does not have (reference 6.6): an array as text, under HTTP 200.
///
/// # Errors
///
/// The answer to give.
pub(crate) fn check_names(query: &Query, database: &Database, settings: &Settings) -> Result<(), Answer> {
    let is_known = |name: &str| {
        database.name_of(name).is_some()
            || settings.schema_events.iter().any(|event| event.name == name)
            || settings.discarded_events.iter().any(|event| event == name)
    };
    match query.events().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => {
            let texts = serde_json::to_string(&[format!("Invalid event : {name}")]).unwrap_or_default();
            Err(Answer::fail_with(200, 400, &texts))
        }
    }
}

/// The events that a query means.
pub(crate) fn events(query: &Query, database: &mut Database, devices: &Devices) -> Selection {
    let all = select(&query.event_filter, database);
    if query.people.is_empty() && query.all.is_empty() && query.any.is_empty() && query.none.is_empty() {
        return all;
    }
    let mut who = People::of(query, database);
    keep(&all, |place| who.fits(database.person_of(database.events[place as usize].identifier), database, devices))
}

/// The people who did what a query means: one identifier each, in partitions of their own. Without an event in the query,
/// those who did nothing but `hidden` things are not found (reference 7.1).
pub(crate) fn people(query: &Query, database: &mut Database, devices: &Devices, hidden: &[String]) -> Selection {
    let events = events(query, database, devices);
    let hidden: Vec<u32> = hidden.iter().filter_map(|name| database.name_of(name)).collect();
    let mut seen = HashSet::new();
    let mut parts: [Vec<u32>; PARTITIONS] = Default::default();
    for place in events.places() {
        if hidden.contains(&database.events[place as usize].name) {
            continue;
        }
        let person = database.person_of(database.events[place as usize].identifier);
        if seen.insert(person)
            && let Some(identifier) = database.people[person as usize].as_ref().and_then(|person| person.identifiers.first())
        {
            parts[usize::from(partition(database.owner(*identifier)))].push(*identifier);
        }
    }
    joined(parts)
}

fn select(filter: &EventFilter, database: &mut Database) -> Selection {
    let name = match &filter.event {
        None => None,
        Some(name) => match database.name_of(name) {
            Some(name) => Some(name),
            None => return joined(Default::default()),
        },
    };
    let ordered = database.ordered(name);
    let ranges = database.span(&ordered, filter.span.0, filter.span.1);
    let all = Selection { ordered, ranges };
    if filter.event_properties.is_empty() && filter.session_properties.is_empty() {
        return all;
    }
    let mut text = Vec::new();
    keep(&all, |place| {
        let event = &database.events[place as usize];
        let holds = filter.event_properties.is_empty() || {
            text.clear();
            database.write_event_properties(place, &mut text);
            let properties: Map<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
            filter.event_properties.iter().all(|one| one.holds(properties.get(&one.name)))
        };
        holds
            && (filter.session_properties.is_empty() || {
                let session: Map<String, Value> = serde_json::from_str(event.session.as_deref().unwrap_or("{}")).unwrap_or_default();
                filter.session_properties.iter().all(|one| one.holds(session.get(&one.name)))
            })
    })
}

fn keep(all: &Selection, mut fits: impl FnMut(u32) -> bool) -> Selection {
    let mut parts: [Vec<u32>; PARTITIONS] = Default::default();
    for (range, part) in all.ranges.iter().zip(&mut parts) {
        part.extend(all.part(range.clone()).iter().copied().filter(|place| fits(*place)));
    }
    joined(parts)
}

fn joined(parts: [Vec<u32>; PARTITIONS]) -> Selection {
    let mut ordered = EventOrder::default();
    for (part, range) in parts.into_iter().zip(&mut ordered.ranges) {
        let start = ordered.list.len();
        ordered.list.extend(part);
        *range = start..ordered.list.len();
    }
    let ranges = ordered.ranges.clone();
    Selection { ordered: Arc::new(ordered), ranges }
}

/// Who fulfils the conditions about people; each is looked at once.
struct People<'q> {
    query: &'q Query,
    all: Vec<HashSet<u32>>,
    any: Vec<HashSet<u32>>,
    none: Vec<HashSet<u32>>,
    known: HashMap<u32, bool>,
}

impl<'q> People<'q> {
    fn of(query: &'q Query, database: &mut Database) -> Self {
        let mut sets = |list: &[EventFilter]| list.iter().map(|filter| doers(filter, database)).collect();
        let (all, any, none) = (sets(&query.all), sets(&query.any), sets(&query.none));
        Self { query, all, any, none, known: HashMap::new() }
    }

    fn fits(&mut self, person: u32, database: &Database, devices: &Devices) -> bool {
        if let Some(known) = self.known.get(&person) {
            return *known;
        }
        let has = |set: &HashSet<u32>| set.contains(&person);
        let fits = self.all.iter().all(has)
            && (self.any.is_empty() || self.any.iter().any(has))
            && !self.none.iter().any(has)
            && self
                .query
                .people
                .iter()
                .all(|(field, condition)| condition.holds(database.field(person, *field, &condition.name, devices).as_ref()));
        self.known.insert(person, fits);
        fits
    }
}

fn doers(filter: &EventFilter, database: &mut Database) -> HashSet<u32> {
    let events = select(filter, database);
    events.places().map(|place| database.person_of(database.events[place as usize].identifier)).collect()
}

impl Database {
    /// A property of a person, several values as a list.
    pub(crate) fn field(&self, person: u32, field: Field, name: &str, devices: &Devices) -> Option<Value> {
        let somebody = self.people.get(person as usize)?.as_ref()?;
        match field {
            Field::Profile => somebody.properties.map().get(name).cloned(),
            Field::Demographic => {
                let properties = somebody.properties.map();
                properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
            }
            Field::Technographic | Field::App => {
                let ids = somebody.identifiers.iter().filter(|one| self.identifiers[**one as usize].kind == IdentifierKind::ObjectId);
                let values: Vec<Value> = ids.filter_map(|id| self.device_field(*id, field, name, devices)).collect();
                if values.is_empty() { None } else { Some(values.into()) }
            }
        }
    }

    fn device_field(&self, device: u32, field: Field, name: &str, devices: &Devices) -> Option<Value> {
        if field == Field::Technographic && name == "os" {
            return devices.get(&*self.identifiers[device as usize].text).map(|platform| platform.name().into());
        }
        let is_app = name == "app_version";
        let (_, value) = self.details.get(&device)?.named().find(|(key, _)| *key == name)?;
        (is_app == (field == Field::App)).then(|| value.into())
    }
}
