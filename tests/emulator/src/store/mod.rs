//! What was accepted: people with their identifiers and properties, events, tokens.
//!
//! An event is 56 bytes and its data as text, so that millions fit. An identifier is a number that leads to a person; when
//! people merge, only the identifiers are led elsewhere, and no event is touched.

pub(crate) mod index;
mod lookup;
mod members;
pub(crate) mod operators;
pub(crate) mod properties;
mod removal;
mod schema;
pub(crate) mod seed;
pub(crate) mod views;

use std::collections::HashMap;
use std::sync::Arc;

use crate::report::Loss;
use crate::settings::{Platform, Settings, Store};
use crate::upload::clean::Cleaner;
use crate::upload::identifier::{IdentifierKind, RecordIdentifier};
use crate::upload::profile::Edit;
use crate::upload::record::Accepted;
use index::Indexes;
use properties::Properties;

/// Everything that is stored.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) keep: Store,
    pub(crate) identifiers: Vec<Identifier>,
    /// One map for each kind of identifier.
    pub(crate) index: [HashMap<Arc<str>, u32>; IdentifierKind::ALL.len()],
    /// None where somebody was merged into somebody else, taken apart or deleted.
    pub(crate) people: Vec<Option<Person>>,
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) name_index: HashMap<Arc<str>, u32>,
    pub(crate) events: Vec<Event>,
    /// By device; a token alone makes nobody known.
    pub(crate) tokens: HashMap<Box<str>, Vec<Token>>,
    /// The last person who was given an address; checked on look-up, because people change theirs.
    pub(crate) emails: HashMap<Box<str>, u32>,
    /// What the SDK said of a device, by identifier.
    pub(crate) details: HashMap<u32, Details>,
    /// How often identifiers were led elsewhere, or nowhere.
    pub(crate) moves: u64,
    pub(crate) indexes: Indexes,
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
pub(crate) struct Identifier {
    pub(crate) kind: IdentifierKind,
    pub(crate) text: Arc<str>,
    pub(crate) person: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Person {
    pub(crate) identifiers: Vec<u32>,
    pub(crate) properties: Properties,
}

/// What the SDK says of a device.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) platform: Platform,
    pub(crate) os_version: Box<str>,
    pub(crate) app_version: Box<str>,
    pub(crate) make: Box<str>,
    pub(crate) model: Box<str>,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) ts: i64,
    pub(crate) identifier: u32,
    pub(crate) name: u32,
    pub(crate) source: Source,
    pub(crate) data: Box<str>,
    pub(crate) session: Option<Box<str>>,
}

/// How often somebody did something, and when, in epoch seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Details {
    /// The keys of an export and their values; those that are not known are left out.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("os_version", &self.os_version), ("app_version", &self.app_version), ("make", &self.make), ("model", &self.model)];
        all.into_iter().map(|(key, value)| (key, &**value)).filter(|(_, value)| !value.is_empty())
    }
}

/// How an event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Through `POST /1/upload`.
    Upload,
    /// From an app, which is what seeding stands for.
    Sdk,
    /// The properties say it themselves.
    Stated,
}

impl Source {
    /// This source, unless the properties name another.
    pub(crate) fn unless_stated(self, data: &str) -> Self {
        if data.contains("\"CT Source\"") { Self::Stated } else { self }
    }
}

#[derive(Debug)]
pub(crate) struct Token {
    kind: Box<str>,
    id: Box<str>,
}

impl Database {
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
            details: HashMap::new(),
            moves: 0,
            indexes: Indexes::default(),
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
                    let source = Source::Upload.unless_stated(&data);
                    self.events.push(Event { ts, identifier, name, source, data, session: None });
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
        let device = self.identifier(&RecordIdentifier { kind: IdentifierKind::ObjectId, id: object_id.into() });
        let person = self.person_of(device);
        self.link(person, IdentifierKind::ObjectId, identity);
    }

    fn upsert(
        &mut self,
        who: &RecordIdentifier<'_>,
        identity: Option<String>,
        edits: Vec<Edit>,
        settings: &Settings,
        cleaner: &mut Cleaner,
    ) {
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
            operators::apply(somebody.properties.edit(), edit, settings.profile_properties_max, cleaner);
        }
        if is_email_new && let Some(email) = somebody.properties.contact("Email") {
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
    pub(crate) fn link(&mut self, person: u32, kind: IdentifierKind, identity: &str) -> u32 {
        let Some(&known) = self.index[IdentifierKind::Identity as usize].get(identity) else {
            self.add_identifier(IdentifierKind::Identity, identity.into(), person);
            return person;
        };
        let other = self.person_of(known);
        match kind {
            _ if other == person => person,
            // A device joins the person; otherwise the root of the record takes the other in.
            IdentifierKind::ObjectId => self.merge(other, person),
            IdentifierKind::Identity | IdentifierKind::Facebook | IdentifierKind::Google => self.merge(person, other),
        }
    }

    /// What `into` has stays; what it lacks comes from `from`.
    fn merge(&mut self, into: u32, from: u32) -> u32 {
        let Some(gone) = self.people[from as usize].take() else {
            return into;
        };
        self.counts.profiles -= 1;
        self.moves += 1;
        for &identifier in &gone.identifiers {
            self.identifiers[identifier as usize].person = into;
        }
        let somebody = self.people[into as usize].get_or_insert_default();
        somebody.identifiers.extend(gone.identifiers);
        let properties = somebody.properties.edit();
        for (key, value) in gone.properties.into_map() {
            properties.entry(key).or_insert(value);
        }
        if let Some(email) = somebody.properties.contact("Email") {
            self.emails.insert(email.into(), into);
        }
        into
    }

    /// The number of an identifier; an unknown one makes a new person.
    pub(crate) fn identifier(&mut self, who: &RecordIdentifier<'_>) -> u32 {
        if let Some(&known) = self.index[who.kind as usize].get(&*who.id) {
            return known;
        }
        let person = number(self.people.len());
        self.people.push(Some(Person::default()));
        self.counts.profiles += 1;
        self.add_identifier(who.kind, Arc::from(&*who.id), person)
    }

    fn add_identifier(&mut self, kind: IdentifierKind, text: Arc<str>, person: u32) -> u32 {
        let identifier = number(self.identifiers.len());
        self.index[kind as usize].insert(Arc::clone(&text), identifier);
        self.identifiers.push(Identifier { kind, text, person });
        if let Some(Some(somebody)) = self.people.get_mut(person as usize) {
            somebody.identifiers.push(identifier);
        }
        identifier
    }

    /// Whose identifier it is today.
    pub(crate) fn person_of(&self, identifier: u32) -> u32 {
        self.identifiers[identifier as usize].person
    }

    pub(crate) fn name(&mut self, name: &str, names_max: usize) -> Option<u32> {
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
pub(crate) fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
