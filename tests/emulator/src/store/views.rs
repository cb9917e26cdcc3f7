//! Looking into the database: people as JSON, events one by one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::store::properties::CONTACT;
use crate::store::{Database, Event, Person, Summary};
use crate::upload::identifier::IdentifierKind;
use crate::upload::record::Devices;

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
    session: Option<&'a str>,
}

impl<'a> EventRef<'a> {
    /// The properties, as they are kept.
    #[must_use]
    pub fn data(&self) -> Value {
        serde_json::from_str(self.data).unwrap_or_default()
    }

    /// The session's properties as JSON text, for a seeded event that has them.
    #[must_use]
    pub const fn session_text(&self) -> Option<&'a str> {
        self.session
    }

    /// The properties as JSON text.
    #[must_use]
    pub const fn data_text(&self) -> &'a str {
        self.data
    }
}

impl Database {
    /// Shows every event in the order of arrival.
    pub(crate) fn for_each_event(&self, mut see: impl FnMut(EventRef<'_>)) {
        for event in self.events.iter().filter(|event| !self.is_gone(event)) {
            let identifier = &self.identifiers[event.identifier as usize];
            let (identity, object_id) = match identifier.kind {
                IdentifierKind::ObjectId => {
                    let person = self.people[identifier.person as usize].as_ref();
                    (person.and_then(|person| self.first(person, IdentifierKind::Identity)).unwrap_or_default(), Some(&*identifier.text))
                }
                IdentifierKind::Identity | IdentifierKind::Facebook | IdentifierKind::Google => (&*identifier.text, None),
            };
            let name = &*self.names[event.name as usize];
            see(EventRef { identity, object_id, ts: event.ts, name, data: &event.data, session: event.session.as_deref() });
        }
    }

    /// Shows every person, without their event counts.
    pub(crate) fn for_each_person(&self, devices: &Devices, mut see: impl FnMut(&Value)) {
        for person in self.people.iter().flatten() {
            see(&self.full(person, devices));
        }
    }

    /// The person behind an identifier.
    pub(crate) fn find(&self, kind: IdentifierKind, text: &str) -> Option<u32> {
        let identifier = *self.index[kind as usize].get(text)?;
        Some(self.identifiers[identifier as usize].person)
    }

    /// The person with an address; the last one who was given it, if there are several.
    pub(crate) fn find_email(&self, email: &str) -> Option<u32> {
        let has = |person: &Option<Person>| person.as_ref().is_some_and(|person| person.properties.contact("Email") == Some(email));
        let last = *self.emails.get(email)?;
        if has(&self.people[last as usize]) {
            return Some(last);
        }
        self.people.iter().rposition(has).map(super::number)
    }

    /// A person for tests: every property under `profileData`, as it is kept, and how often they did what.
    pub(crate) fn person(&mut self, person: u32, devices: &Devices) -> Option<Value> {
        let mut full = self.full(self.people[person as usize].as_ref()?, devices);
        full["events"] = self.event_counts(person);
        Some(full)
    }

    /// A person as `GET /1/profile.json` shows them (reference 7.1, 7.2): name, e-mail and phone outside `profileData`, and several identities
    /// as the one text that exports have (reference 4.1).
    pub(crate) fn record(&mut self, person: u32, devices: &Devices) -> Option<Value> {
        let mut record = self.person(person, devices)?;
        let fields = record.as_object_mut()?;
        if let Some(Value::Array(all)) = fields.remove("all_identities")
            && all.len() > 1
        {
            let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            fields.insert("all_identities".to_owned(), all.join(",").into());
        }
        if let Some(Value::Object(data)) = fields.get_mut("profileData") {
            for key in CONTACT {
                data.remove(key);
            }
        }
        Some(record)
    }

    fn full(&self, person: &Person, devices: &Devices) -> Value {
        let mut record = Map::new();
        let identities: Vec<&str> = self.all(person, IdentifierKind::Identity).collect();
        if let Some(identity) = identities.first() {
            record.insert("identity".to_owned(), (*identity).into());
        }
        record.insert("all_identities".to_owned(), identities.into());
        for (key, name) in [("Email", "email"), ("Name", "name")] {
            let odd = || person.properties.odd_contact(key).cloned();
            if let Some(value) = person.properties.contact(key).map(Value::from).or_else(odd) {
                record.insert(name.to_owned(), value);
            }
        }
        if let Some(phone) = person.properties.phone() {
            record.insert("phone".to_owned(), phone.into());
        }
        if let Some(object_id) = self.first(person, IdentifierKind::ObjectId) {
            record.insert("objectId".to_owned(), object_id.into());
        }
        record.insert("profileData".to_owned(), Value::Object(person.properties.map().into_owned()));
        let platforms: Vec<Value> = person
            .identifiers
            .iter()
            .filter(|identifier| self.identifiers[**identifier as usize].kind == IdentifierKind::ObjectId)
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
        if let Some(details) = self.details.get(&device) {
            for (key, value) in details.named() {
                info[key] = value.into();
            }
        }
        if let Some(token) = self.token(object_id) {
            info["push_token"] = token.into();
        }
        info
    }

    fn event_counts(&mut self, person: u32) -> Value {
        let by_person = self.by_person();
        let named = self.summary(by_person.events(person)).into_iter().map(|(name, Summary { count, first, last })| {
            (self.names[name as usize].to_string(), json!({ "count": count, "first_seen": first, "last_seen": last }))
        });
        Value::Object(named.collect())
    }

    /// How often and when these events happened, by name.
    pub(crate) fn summary(&self, places: &[u32]) -> BTreeMap<u32, Summary> {
        let mut summary = BTreeMap::<u32, Summary>::new();
        for place in places {
            let Event { ts, name, .. } = &self.events[*place as usize];
            let one = summary.entry(*name).or_insert(Summary { count: 0, first: *ts, last: *ts });
            *one = Summary { count: one.count + 1, first: one.first.min(*ts), last: one.last.max(*ts) };
        }
        summary
    }

    /// The last token of a device.
    pub(crate) fn token(&self, object_id: &str) -> Option<&str> {
        let token = self.tokens.get(object_id)?.last()?;
        Some(&token.id)
    }

    /// A person's first identifier of a kind.
    pub(crate) fn first<'a>(&'a self, person: &'a Person, kind: IdentifierKind) -> Option<&'a str> {
        self.all(person, kind).next()
    }

    /// A person's identifiers of one kind, those left out that lead nowhere any more.
    pub(crate) fn all<'a>(&'a self, person: &'a Person, kind: IdentifierKind) -> impl Iterator<Item = &'a str> {
        let identifiers = person.identifiers.iter().map(|identifier| &self.identifiers[*identifier as usize]);
        identifiers.filter(move |identifier| identifier.kind == kind && !identifier.text.is_empty()).map(|identifier| &*identifier.text)
    }
}
