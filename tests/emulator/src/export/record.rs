//! Records as text: an event with its person, a person with their devices (reference 6.5, 7.1).
//!
//! Written piece by piece, straight from what is stored. The order of keys differs from record to record, as the
//! reference says that it does.

use std::io::Write;
use std::sync::Arc;

use crate::export::flags::Flags;
use crate::query::days::Clock;
use crate::settings::{Platform, TopObjectId};
use crate::store::index::EventsByPerson;
use crate::store::{Database, Person, Source};
use crate::upload::identifier::IdentifierKind;
use crate::upload::record::Devices;

/// What records are written from, and where to.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) database: &'a Database,
    pub(crate) devices: &'a Devices,
    pub(crate) clock: Clock,
    pub(crate) flags: Flags,
    pub(crate) top_object_id: TopObjectId,
    /// Only where somebody's events are asked for.
    pub(crate) by_person: Option<Arc<EventsByPerson>>,
    pub(crate) out: Vec<u8>,
}

impl Writer<'_> {
    /// One event.
    pub(crate) fn event(&mut self, place: u32) {
        let event = &self.database.events[place as usize];
        self.raw("{");
        for piece in turned(4, place) {
            match piece {
                0 => {
                    self.field("profile");
                    self.profile(event.identifier, place);
                }
                1 => {
                    self.field("session_props");
                    self.raw(event.session.as_deref().unwrap_or("{}"));
                }
                2 => {
                    self.field("ts");
                    let ts = self.clock.packed(event.ts);
                    self.number(ts);
                }
                _ => {
                    self.field("event_props");
                    self.database.write_event_properties(place, &mut self.out);
                }
            }
        }
        self.raw("}");
    }

    /// The person of an event, as they are today.
    fn profile(&mut self, identifier: u32, turn: u32) {
        let database = self.database;
        let place = database.person_of(identifier);
        self.raw("{");
        if let Some(person) = database.people[place as usize].as_ref() {
            let device = database.device_of(identifier);
            for piece in turned(3, turn / 4) {
                match piece {
                    0 => {
                        if let Some(device) = device {
                            self.text_field("objectId", &database.identifiers[device as usize].text);
                            self.platform(device);
                            if self.flags.app {
                                self.details(device);
                                self.field("df");
                                let count = turn % 3 * 10;
                                let df = if count == 0 {
                                    "{}".to_owned()
                                } else {
                                    format!("{{\"0\":{count},\"1\":{},\"2\":{}}}", count * 2, count * 5)
                                };
                                self.raw(&df);
                            }
                        }
                    }
                    1 => {
                        self.contact(person);
                        self.all_identities(person);
                    }
                    _ => self.optional(place, person),
                }
            }
        }
        self.raw("}");
    }

    /// One person who did the event.
    pub(crate) fn person(&mut self, identifier: u32) {
        let database = self.database;
        let place = database.person_of(identifier);
        self.raw("{");
        if let Some(person) = database.people[place as usize].as_ref() {
            let devices =
                || person.identifiers.iter().copied().filter(|one| database.identifiers[*one as usize].kind == IdentifierKind::ObjectId);
            let is_at_top = match self.top_object_id {
                TopObjectId::Always => true,
                TopObjectId::Never => false,
                TopObjectId::Sometimes => place.is_multiple_of(2),
            };
            for piece in turned(3, place) {
                match piece {
                    0 => {
                        self.contact(person);
                        if let Some(device) = devices().next().filter(|_| is_at_top) {
                            self.text_field("objectId", &database.identifiers[device as usize].text);
                        }
                    }
                    1 => self.optional(place, person),
                    _ => {
                        self.field("platformInfo");
                        self.raw("[");
                        for (device, number) in devices().zip(0..) {
                            self.raw(if number == 0 { "{" } else { ",{" });
                            self.platform(device);
                            self.text_field("objectId", &database.identifiers[device as usize].text);
                            if self.flags.app {
                                self.details(device);
                            }
                            if let Some(seen) = self.last_seen(place, device) {
                                self.field("ls");
                                self.number(seen);
                            }
                            self.raw("}");
                        }
                        self.raw("]");
                    }
                }
            }
        }
        self.raw("}");
    }

    /// `name`, `email`, `phone`, `identity`: each may be missing.
    fn contact(&mut self, person: &Person) {
        for (key, name) in [("Name", "name"), ("Email", "email")] {
            if let Some(text) = person.properties.contact(key) {
                self.text_field(name, text);
            } else if let Some(value) = person.properties.odd_contact(key) {
                self.field(name);
                self.raw(&value.to_string());
            }
        }
        if let Some(phone) = person.properties.phone() {
            self.text_field("phone", phone);
        }
        if let Some(identity) = self.database.first(person, IdentifierKind::Identity) {
            self.text_field("identity", identity);
        }
    }

    /// One text for all of them (reference 4.1).
    fn all_identities(&mut self, person: &Person) {
        let mut all = self.database.all(person, IdentifierKind::Identity);
        match (all.next(), all.next()) {
            (None, _) => {}
            (Some(one), None) => self.text_field("all_identities", one),
            (Some(_), Some(_)) => {
                let all: Vec<&str> = self.database.all(person, IdentifierKind::Identity).collect();
                self.text_field("all_identities", &all.join(","));
            }
        }
    }

    /// `profileData` and `events`, where they are asked for.
    fn optional(&mut self, place: u32, person: &Person) {
        if self.flags.profile {
            self.field("profileData");
            self.raw(&person.properties.rest());
        }
        let Some(by_person) = self.by_person.clone().filter(|_| self.flags.events) else {
            return;
        };
        self.field("events");
        self.raw("{");
        for (name, summary) in self.database.summary(by_person.events(place)) {
            if self.out.last() != Some(&b'{') {
                self.out.push(b',');
            }
            string(&mut self.out, &self.database.names[name as usize]);
            self.raw(&format!(":{{\"count\":{},\"first_seen\":{},\"last_seen\":{}}}", summary.count, summary.first, summary.last));
        }
        self.raw("}");
    }

    /// When the last event of a device happened.
    fn last_seen(&self, person: u32, device: u32) -> Option<i64> {
        let places = self.by_person.as_ref()?.events(person);
        let events = places.iter().map(|place| &self.database.events[*place as usize]);
        events.filter(|event| event.identifier == device).map(|event| event.ts).max()
    }

    fn platform(&mut self, device: u32) {
        let database = self.database;
        let object_id = &*database.identifiers[device as usize].text;
        let platform = database.details.get(&device).map(|details| details.platform);
        if let Some(platform) = platform.or_else(|| self.devices.get(object_id).copied()) {
            self.text_field("platform", platform.name());
        }
        if let Some(token) = database.token(object_id) {
            self.text_field("push_token", token);
        }
    }

    fn details(&mut self, device: u32) {
        let database = self.database;
        for (key, value) in database.details.get(&device).into_iter().flat_map(crate::store::Details::named) {
            self.text_field(key, value);
        }
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: i64) {
        // A vector takes everything.
        write!(self.out, "{number}").ok();
    }

    fn field(&mut self, name: &str) {
        field(&mut self.out, name);
    }

    fn text_field(&mut self, name: &str, text: &str) {
        self.field(name);
        string(&mut self.out, text);
    }
}

impl Database {
    /// `event_props`: what was sent, and what CleverTap adds (reference 4.5).
    pub(crate) fn write_event_properties(&self, place: u32, out: &mut Vec<u8>) {
        let event = &self.events[place as usize];
        out.extend_from_slice(event.data.as_bytes());
        if event.source == Source::Stated {
            return;
        }
        out.pop();
        while out.last().is_some_and(u8::is_ascii_whitespace) {
            out.pop();
        }
        field(out, "CT Source");
        if event.source == Source::Upload {
            out.extend_from_slice(b"\"API\"}");
            return;
        }
        let details = self.details.get(&event.identifier);
        let is_web = details.is_some_and(|details| details.platform == Platform::Web);
        string(out, if is_web { "Web" } else { "Mobile" });
        if let Some(details) = details {
            for (key, value) in [("CT App Version", &details.app_version), ("CT OS Version", &details.os_version)] {
                if !value.is_empty() {
                    field(out, key);
                    string(out, value);
                }
            }
        }
        field(out, "CT SDK Version");
        out.extend_from_slice(b"70304");
        field(out, "CT Session Id");
        // A vector takes everything.
        write!(out, "{}}}", event.ts - event.ts.rem_euclid(1800)).ok();
    }
}

/// A key that needs no escape, with a comma before it where one belongs.
fn field(out: &mut Vec<u8>, name: &str) {
    let comma: &[u8] = if matches!(out.last(), Some(b'{' | b'[')) { b"\"" } else { b",\"" };
    out.extend_from_slice(comma);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn string(out: &mut Vec<u8>, text: &str) {
    if !is_plain(text.as_bytes()) {
        // A vector takes everything.
        serde_json::to_writer(out, text).ok();
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Whether JSON needs no escape for a text: eight bytes at a time, because this is most of what an export costs.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut rest = text;
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let (quote, slash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5C));
        // The high bit of a byte is set where it is below 0x20, or where one of the two differences is zero.
        let hits = (word.wrapping_sub(ONES * 0x20) & !word) | (quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash);
        if hits & HIGHS != 0 {
            return false;
        }
        rest = behind;
    }
    !rest.iter().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'))
}

/// The numbers below `count`, begun somewhere else for each turn.
fn turned(count: u32, turn: u32) -> impl Iterator<Item = u32> {
    (0..count).map(move |place| (place + turn) % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_json_writes_it() {
        for byte in 0..=127_u8 {
            for place in [0, 3, 7, 8, 9, 14] {
                let mut text = "abcdefghijklmnoé".to_owned();
                text.replace_range(place..=place, &char::from(byte).to_string());
                for text in [text.as_str(), text.split_at(9).0] {
                    let mut out = Vec::new();
                    string(&mut out, text);
                    assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(text).unwrap());
                }
            }
        }
    }
}
