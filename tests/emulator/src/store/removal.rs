//! What takes people apart: deletions, demerges, phone numbers that are taken back.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::{Database, Event, Identifier, Person, number};
use crate::upload::identifier::IdentifierKind;
use crate::upload::profile::phone_number;

impl Database {
    /// Deletes the people behind these identifiers, their events and their tokens; gives the number of people.
    ///
    /// Whoever comes back under one of their identifiers is somebody new.
    pub(crate) fn erase(&mut self, kind: IdentifierKind, texts: &[String]) -> u64 {
        let doomed: BTreeSet<u32> = texts.iter().filter_map(|text| self.find(kind, text)).collect();
        self.drop_events(&doomed);
        if kind == IdentifierKind::ObjectId {
            texts.iter().for_each(|device| self.drop_tokens(device));
        }
        for &person in &doomed {
            let Some(gone) = self.people[person as usize].take() else {
                continue;
            };
            self.counts.profiles -= 1;
            for identifier in gone.identifiers {
                self.forget(identifier);
                let Identifier { kind, text, .. } = &self.identifiers[identifier as usize];
                if *kind == IdentifierKind::ObjectId {
                    let device = Arc::clone(text);
                    self.drop_tokens(&device);
                }
            }
        }
        doomed.len() as u64
    }

    /// Splits the merged people among these: each of their devices is a new person, with the events that came under it and
    /// nothing else. Their identities lead nowhere, and what came under them is lost.
    ///
    /// Several devices make somebody merged, and so do several identities on one device; where there is no device, there is
    /// nothing to split by.
    pub(crate) fn demerge(&mut self, identities: &[String]) {
        let named = identities.iter().filter_map(|identity| self.find(IdentifierKind::Identity, identity));
        let merged: BTreeSet<u32> = named.filter(|person| self.is_merged(*person)).collect();
        for &person in &merged {
            let Some(gone) = self.people[person as usize].take() else {
                continue;
            };
            self.counts.profiles -= 1;
            for identifier in gone.identifiers {
                if self.identifiers[identifier as usize].kind == IdentifierKind::ObjectId {
                    self.identifiers[identifier as usize].person = number(self.people.len());
                    self.people.push(Some(Person { identifiers: vec![identifier], ..Person::default() }));
                    self.counts.profiles += 1;
                    self.moves += 1;
                } else {
                    self.forget(identifier);
                }
            }
        }
        self.drop_events(&merged);
    }

    /// Takes phone numbers from the people who hold them, as a property and as an identity.
    pub(crate) fn disassociate(&mut self, phones: &HashSet<u64>) {
        if phones.is_empty() {
            return;
        }
        for person in self.people.iter_mut().flatten() {
            let phone = person.properties.contact("Phone").and_then(phone_number);
            if phone.is_some_and(|phone| phones.contains(&phone)) {
                person.properties.edit().remove("Phone");
            }
        }
        for phone in phones {
            for identity in [format!("+{phone}"), phone.to_string()] {
                if let Some(&identifier) = self.index[IdentifierKind::Identity as usize].get(&*identity) {
                    self.forget(identifier);
                    // The events stay with the person, under no name.
                    self.identifiers[identifier as usize].text = "".into();
                }
            }
        }
    }

    fn is_merged(&self, person: u32) -> bool {
        self.people[person as usize].as_ref().is_some_and(|person| {
            let devices = self.all(person, IdentifierKind::ObjectId).count();
            devices > 1 || (devices == 1 && self.all(person, IdentifierKind::Identity).count() > 1)
        })
    }

    /// An identifier that leads nowhere from now on.
    fn forget(&mut self, identifier: u32) {
        let Identifier { kind, text, .. } = &self.identifiers[identifier as usize];
        self.index[*kind as usize].remove(text);
        self.moves += 1;
    }

    fn drop_tokens(&mut self, device: &str) {
        let tokens = self.tokens.remove(device);
        self.counts.tokens -= tokens.map_or(0, |tokens| tokens.len() as u64);
    }

    /// Empties the events of people who are about to go. They keep their places, which an open export may know.
    fn drop_events(&mut self, people: &BTreeSet<u32>) {
        if people.is_empty() {
            return;
        }
        for event in &mut self.events {
            if people.contains(&self.identifiers[event.identifier as usize].person) {
                event.data = Box::default();
                event.session = None;
                self.counts.events -= 1;
            }
        }
    }

    /// Whether nobody is left to whom an event belongs.
    pub(crate) fn is_gone(&self, event: &Event) -> bool {
        self.people[self.person_of(event.identifier) as usize].is_none()
    }
}
