//! Looking into the books: people as JSON, events one by one.

use serde_json::{Map, Value, json};

use crate::store::{Books, Event, Person};
use crate::upload::profile::phone_number;
use crate::upload::record::{Devices, Kind};

/// One stored event.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    /// The identity under which it was uploaded; for a device's event the identity of its person, empty if there is none.
    pub identity: &'a str,
    /// The device, if it was uploaded under one.
    pub object_id: Option<&'a str>,
    /// When it happened, in epoch seconds.
    pub ts: i64,
    /// What happened.
    pub name: &'a str,
    data: &'a str,
}

impl<'a> EventRef<'a> {
    /// The properties, as they are kept.
    #[must_use]
    pub fn data(&self) -> Value {
        serde_json::from_str(self.data).unwrap_or_default()
    }

    /// The properties as JSON text.
    #[must_use]
    pub const fn data_text(&self) -> &'a str {
        self.data
    }
}

impl Books {
    /// Shows every event in the order of arrival.
    pub(crate) fn for_each_event(&self, mut see: impl FnMut(EventRef<'_>)) {
        for event in self.events.iter().filter(|event| !self.is_gone(event)) {
            let identifier = &self.identifiers[event.identifier as usize];
            let (identity, object_id) = match identifier.kind {
                Kind::ObjectId => {
                    let person = self.people[identifier.person as usize].as_ref();
                    (person.and_then(|person| self.first(person, Kind::Identity)).unwrap_or_default(), Some(&*identifier.text))
                }
                Kind::Identity | Kind::Facebook | Kind::Google => (&*identifier.text, None),
            };
            let name = &*self.names[event.name as usize];
            see(EventRef { identity, object_id, ts: event.ts, name, data: &event.data });
        }
    }

    /// Shows every person, without their event counts.
    pub(crate) fn for_each_person(&self, devices: &Devices, mut see: impl FnMut(&Value)) {
        for person in self.people.iter().flatten() {
            see(&self.full(person, devices));
        }
    }

    /// The person behind an identifier.
    pub(crate) fn find(&self, kind: Kind, text: &str) -> Option<u32> {
        let identifier = *self.index[kind as usize].get(text)?;
        Some(self.identifiers[identifier as usize].person)
    }

    /// The person with an address; the last one who was given it, if there are several.
    pub(crate) fn find_email(&self, email: &str) -> Option<u32> {
        let has = |person: &Option<Person>| {
            person.as_ref().is_some_and(|person| person.properties.get("Email").and_then(Value::as_str) == Some(email))
        };
        let last = *self.emails.get(email)?;
        if has(&self.people[last as usize]) {
            return Some(last);
        }
        self.people.iter().rposition(has).map(super::number)
    }

    /// A person for tests: every property under `profileData`, as it is kept, and how often they did what.
    pub(crate) fn person(&self, person: u32, devices: &Devices) -> Option<Value> {
        let mut full = self.full(self.people[person as usize].as_ref()?, devices);
        full["events"] = self.event_counts(person);
        Some(full)
    }

    /// A person as `GET /1/profile.json` shows them (reference 7.1, 7.2): name, e-mail and phone outside `profileData`.
    pub(crate) fn record(&self, person: u32, devices: &Devices) -> Option<Value> {
        let mut record = self.person(person, devices)?;
        let fields = record.as_object_mut()?;
        fields.remove("all_identities");
        if let Some(Value::Object(data)) = fields.get_mut("profileData") {
            for key in ["Name", "Email", "Phone"] {
                data.remove(key);
            }
        }
        Some(record)
    }

    fn full(&self, person: &Person, devices: &Devices) -> Value {
        let mut record = Map::new();
        let identities: Vec<&str> = self.all(person, Kind::Identity).collect();
        if let Some(identity) = identities.first() {
            record.insert("identity".to_owned(), (*identity).into());
        }
        record.insert("all_identities".to_owned(), identities.into());
        for (key, name) in [("Email", "email"), ("Name", "name")] {
            if let Some(value) = person.properties.get(key) {
                record.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(phone) = person.properties.get("Phone").and_then(Value::as_str).and_then(phone_number) {
            record.insert("phone".to_owned(), phone.to_string().into());
        }
        if let Some(object_id) = self.first(person, Kind::ObjectId) {
            record.insert("objectId".to_owned(), object_id.into());
        }
        record.insert("profileData".to_owned(), Value::Object(person.properties.clone()));
        let platforms: Vec<Value> = person
            .identifiers
            .iter()
            .filter(|identifier| self.identifiers[**identifier as usize].kind == Kind::ObjectId)
            .map(|identifier| self.platform(*identifier, devices))
            .collect();
        record.insert("platformInfo".to_owned(), platforms.into());
        Value::Object(record)
    }

    fn platform(&self, device: u32, devices: &Devices) -> Value {
        let object_id = &*self.identifiers[device as usize].text;
        let mut info = json!({ "objectId": object_id });
        if let Some(platform) = devices.get(object_id) {
            info["platform"] = platform.name().into();
        }
        if let Some(token) = self.tokens.get(object_id).and_then(|tokens| tokens.last()) {
            info["push_token"] = (*token.id).into();
        }
        info
    }

    fn event_counts(&self, person: u32) -> Value {
        let mut counts: Vec<Option<(u64, i64, i64)>> = vec![None; self.names.len()];
        for Event { ts, identifier, name, .. } in &self.events {
            if self.person_of(*identifier) == person {
                let (count, first, last) = counts[*name as usize].unwrap_or((0, *ts, *ts));
                counts[*name as usize] = Some((count + 1, first.min(*ts), last.max(*ts)));
            }
        }
        let named = self.names.iter().zip(counts).filter_map(|(name, counts)| {
            let (count, first_seen, last_seen) = counts?;
            Some((name.to_string(), json!({ "count": count, "first_seen": first_seen, "last_seen": last_seen })))
        });
        Value::Object(named.collect())
    }

    fn first<'a>(&'a self, person: &'a Person, kind: Kind) -> Option<&'a str> {
        self.all(person, kind).next()
    }

    /// A person's identifiers of one kind, those left out that lead nowhere any more.
    pub(super) fn all<'a>(&'a self, person: &'a Person, kind: Kind) -> impl Iterator<Item = &'a str> {
        let identifiers = person.identifiers.iter().map(|identifier| &self.identifiers[*identifier as usize]);
        identifiers.filter(move |identifier| identifier.kind == kind && !identifier.text.is_empty()).map(|identifier| &*identifier.text)
    }
}
