//! What was accepted: people with their identifiers and properties, events, tokens.
//!
//! An event is 40 bytes and its data as text, so that a million fit. An identifier is a number that leads to a person; when
//! people merge, only the identifiers are led elsewhere, and no event is touched.

mod members;
pub(crate) mod operators;
mod removal;
pub(crate) mod views;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::report::Loss;
use crate::settings::{Settings, Store};
use crate::upload::clean::Cleaner;
use crate::upload::profile::Edit;
use crate::upload::record::{Accepted, Kind, Who};

/// Everything that is stored.
#[derive(Debug)]
pub(crate) struct Books {
    keep: Store,
    identifiers: Vec<Identifier>,
    /// One map for each kind of identifier.
    index: [HashMap<Arc<str>, u32>; Kind::ALL.len()],
    /// None where somebody was merged into somebody else.
    people: Vec<Option<Person>>,
    names: Vec<Arc<str>>,
    name_index: HashMap<Arc<str>, u32>,
    events: Vec<Event>,
    /// By device; a token alone makes nobody known.
    tokens: HashMap<Box<str>, Vec<Token>>,
    /// The last person who was given an address; checked on look-up, because people change theirs.
    emails: HashMap<Box<str>, u32>,
    pub(crate) counts: Counts,
}

/// Counters that both kinds of store keep.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) profile_records: u64,
    pub(crate) event_records: u64,
    pub(crate) token_records: u64,
    pub(crate) profiles: u64,
    pub(crate) events: u64,
    pub(crate) tokens: u64,
}

#[derive(Debug)]
struct Identifier {
    kind: Kind,
    text: Arc<str>,
    person: u32,
}

#[derive(Debug, Default)]
struct Person {
    identifiers: Vec<u32>,
    properties: Map<String, Value>,
}

#[derive(Debug)]
struct Event {
    ts: i64,
    identifier: u32,
    name: u32,
    data: Box<str>,
}

#[derive(Debug)]
struct Token {
    kind: Box<str>,
    id: Box<str>,
}

impl Books {
    pub(crate) fn new(keep: Store) -> Self {
        Self {
            keep,
            identifiers: Vec::new(),
            index: Default::default(),
            people: Vec::new(),
            names: Vec::new(),
            name_index: HashMap::new(),
            events: Vec::new(),
            tokens: HashMap::new(),
            emails: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// Stores one accepted record.
    pub(crate) fn enter(&mut self, record: Accepted<'_>, settings: &Settings, cleaner: &mut Cleaner) {
        match record {
            Accepted::Event { who, ts, name, data } => {
                self.counts.event_records += 1;
                let data = match &settings.schema_rules {
                    None => data,
                    Some(rules) => match rules.event(&name, data, cleaner) {
                        Some(data) => data,
                        None => return,
                    },
                };
                let Some(name) = self.name(&name, settings.event_names_max) else {
                    return cleaner.note(Loss::EventNames, &name);
                };
                self.counts.events += 1;
                if self.keep == Store::Everything {
                    let identifier = self.identifier(&who);
                    self.events.push(Event { ts, identifier, name, data });
                }
            }
            Accepted::Profile { who, identity, edits } => {
                self.counts.profile_records += 1;
                let edits = match &settings.schema_rules {
                    None => edits,
                    Some(rules) => rules.edits(edits, cleaner),
                };
                if self.keep == Store::Everything {
                    self.upsert(&who, identity, edits, settings, cleaner);
                }
            }
            Accepted::Token { object_id, kind, id } => {
                self.counts.token_records += 1;
                match self.keep {
                    Store::Everything => self.put_token(object_id, kind, id),
                    Store::Counts => self.counts.tokens += 1,
                }
            }
        }
    }

    /// Makes a device's person known before any upload.
    pub(crate) fn sign_in(&mut self, object_id: &str, identity: &str) {
        let device = self.identifier(&Who { kind: Kind::ObjectId, id: object_id.into() });
        let person = self.person_of(device);
        self.link(person, Kind::ObjectId, identity);
    }

    fn upsert(&mut self, who: &Who<'_>, identity: Option<String>, edits: Vec<Edit>, settings: &Settings, cleaner: &mut Cleaner) {
        let identifier = self.identifier(who);
        let mut person = self.person_of(identifier);
        if let Some(identity) = identity {
            person = self.link(person, who.kind, &identity);
        }
        let Some(Some(somebody)) = self.people.get_mut(person as usize) else {
            return;
        };
        let mut is_email_new = false;
        for edit in edits {
            is_email_new |= edit.key == "Email";
            operators::apply(&mut somebody.properties, edit, settings.profile_properties_max, cleaner);
        }
        if is_email_new && let Some(email) = somebody.properties.get("Email").and_then(Value::as_str) {
            self.emails.insert(email.into(), person);
        }
    }

    fn put_token(&mut self, object_id: &str, kind: &str, id: &str) {
        let tokens = self.tokens.entry(object_id.into()).or_default();
        match tokens.iter_mut().find(|token| &*token.kind == kind) {
            Some(token) => token.id = id.into(),
            None => {
                tokens.push(Token { kind: kind.into(), id: id.into() });
                self.counts.tokens += 1;
            }
        }
    }

    /// Gives a person one more identity. Somebody else who has it already is the same person from now on.
    fn link(&mut self, person: u32, kind: Kind, identity: &str) -> u32 {
        let Some(&known) = self.index[Kind::Identity as usize].get(identity) else {
            self.add_identifier(Kind::Identity, identity.into(), person);
            return person;
        };
        let other = self.person_of(known);
        match kind {
            _ if other == person => person,
            // A device joins the person; otherwise the root of the record takes the other in.
            Kind::ObjectId => self.merge(other, person),
            Kind::Identity | Kind::Facebook | Kind::Google => self.merge(person, other),
        }
    }

    /// What `into` has stays; what it lacks comes from `from`.
    fn merge(&mut self, into: u32, from: u32) -> u32 {
        let Some(gone) = self.people[from as usize].take() else {
            return into;
        };
        self.counts.profiles -= 1;
        for &identifier in &gone.identifiers {
            self.identifiers[identifier as usize].person = into;
        }
        let somebody = self.people[into as usize].get_or_insert_default();
        somebody.identifiers.extend(gone.identifiers);
        for (key, value) in gone.properties {
            somebody.properties.entry(key).or_insert(value);
        }
        if let Some(email) = somebody.properties.get("Email").and_then(Value::as_str) {
            self.emails.insert(email.into(), into);
        }
        into
    }

    /// The number of an identifier; an unknown one makes a new person.
    fn identifier(&mut self, who: &Who<'_>) -> u32 {
        if let Some(&known) = self.index[who.kind as usize].get(&*who.id) {
            return known;
        }
        let person = number(self.people.len());
        self.people.push(Some(Person::default()));
        self.counts.profiles += 1;
        self.add_identifier(who.kind, Arc::from(&*who.id), person)
    }

    fn add_identifier(&mut self, kind: Kind, text: Arc<str>, person: u32) -> u32 {
        let identifier = number(self.identifiers.len());
        self.index[kind as usize].insert(Arc::clone(&text), identifier);
        self.identifiers.push(Identifier { kind, text, person });
        if let Some(Some(somebody)) = self.people.get_mut(person as usize) {
            somebody.identifiers.push(identifier);
        }
        identifier
    }

    fn person_of(&self, identifier: u32) -> u32 {
        self.identifiers[identifier as usize].person
    }

    fn name(&mut self, name: &str, names_max: usize) -> Option<u32> {
        if let Some(&known) = self.name_index.get(name) {
            return Some(known);
        }
        if self.names.len() >= names_max {
            return None;
        }
        let new = number(self.names.len());
        let text: Arc<str> = name.into();
        self.names.push(Arc::clone(&text));
        self.name_index.insert(text, new);
        Some(new)
    }
}

/// A place in one of the lists; four thousand million is more than the memory holds.
fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
