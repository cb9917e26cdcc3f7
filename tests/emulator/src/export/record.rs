//! Records as text: an event with its person, a person with their devices (reference 6.5, 7.1).
//!
//! Written piece by piece, straight from what is stored. The order of keys differs from record to record, as the
//! reference says that it does.

use std::sync::Arc;

use chrono_tz::Tz;

use crate::export::Flags;
use crate::query::days;
use crate::settings::TopObjectId;
use crate::store::index::ByPerson;
use crate::store::{Books, Person, Source};
use crate::upload::record::{Devices, Kind};

/// What records are written from, and where to.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) books: &'a Books,
    pub(crate) devices: &'a Devices,
    pub(crate) zone: Tz,
    pub(crate) flags: Flags,
    pub(crate) top_object_id: TopObjectId,
    /// Only where the summaries are asked for.
    pub(crate) by_person: Option<Arc<ByPerson>>,
    pub(crate) out: Vec<u8>,
}

impl Writer<'_> {
    /// One event.
    pub(crate) fn event(&mut self, place: u32) {
        let event = &self.books.events[place as usize];
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
                    let ts = days::packed(event.ts, self.zone);
                    self.raw(&ts.to_string());
                }
                _ => {
                    self.field("event_props");
                    self.books.write_event_properties(place, &mut self.out);
                }
            }
        }
        self.raw("}");
    }

    /// The person of an event, as they are today.
    fn profile(&mut self, identifier: u32, turn: u32) {
        let books = self.books;
        let place = books.person_of(identifier);
        self.raw("{");
        if let Some(person) = books.people[place as usize].as_ref() {
            let device = books.device_of(identifier);
            for piece in turned(3, turn / 4) {
                match piece {
                    0 => {
                        if let Some(device) = device {
                            self.text_field("objectId", &books.identifiers[device as usize].text);
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
                        let all: Vec<&str> = books.all(person, Kind::Identity).collect();
                        if !all.is_empty() {
                            self.text_field("all_identities", &all.join(","));
                        }
                    }
                    _ => self.optional(place, person),
                }
            }
        }
        self.raw("}");
    }

    /// One person who did the event.
    pub(crate) fn person(&mut self, identifier: u32) {
        let books = self.books;
        let place = books.person_of(identifier);
        self.raw("{");
        if let Some(person) = books.people[place as usize].as_ref() {
            let devices = || person.identifiers.iter().copied().filter(|one| books.identifiers[*one as usize].kind == Kind::ObjectId);
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
                            self.text_field("objectId", &books.identifiers[device as usize].text);
                        }
                    }
                    1 => self.optional(place, person),
                    _ => {
                        self.field("platformInfo");
                        self.raw("[");
                        for (device, number) in devices().zip(0..) {
                            self.raw(if number == 0 { "{" } else { ",{" });
                            self.platform(device);
                            self.text_field("objectId", &books.identifiers[device as usize].text);
                            if self.flags.app {
                                self.details(device);
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
            }
        }
        if let Some(phone) = person.properties.phone() {
            self.text_field("phone", &phone);
        }
        if let Some(identity) = self.books.first(person, Kind::Identity) {
            self.text_field("identity", identity);
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
        for (name, summary) in self.books.summary(by_person.events(place)) {
            self.field(&self.books.names[name as usize]);
            self.raw(&format!("{{\"count\":{},\"first_seen\":{},\"last_seen\":{}}}", summary.count, summary.first, summary.last));
        }
        self.raw("}");
    }

    fn platform(&mut self, device: u32) {
        let books = self.books;
        let object_id = &*books.identifiers[device as usize].text;
        if let Some(platform) = self.devices.get(object_id) {
            self.text_field("platform", platform.name());
        }
        if let Some(token) = books.token(object_id) {
            self.text_field("push_token", token);
        }
    }

    fn details(&mut self, device: u32) {
        let books = self.books;
        for (key, value) in books.details.get(&device).into_iter().flat_map(crate::store::Details::named) {
            self.text_field(key, value);
        }
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn field(&mut self, name: &str) {
        field(&mut self.out, name);
    }

    fn text_field(&mut self, name: &str, text: &str) {
        self.field(name);
        string(&mut self.out, text);
    }
}

impl Books {
    /// `event_props`: what was sent, and what CleverTap adds (reference 4.5).
    pub(crate) fn write_event_properties(&self, place: u32, out: &mut Vec<u8>) {
        let event = &self.events[place as usize];
        out.extend_from_slice(event.data.as_bytes());
        if event.data.contains("\"CT Source\"") {
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
        out.extend_from_slice(b"\"Mobile\"");
        if let Some(details) = self.details.get(&event.identifier) {
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
        out.extend_from_slice((event.ts - event.ts.rem_euclid(1800)).to_string().as_bytes());
        out.push(b'}');
    }
}

/// A key, with a comma before it where one belongs.
fn field(out: &mut Vec<u8>, name: &str) {
    if !matches!(out.last(), Some(b'{' | b'[')) {
        out.push(b',');
    }
    string(out, name);
    out.push(b':');
}

fn string(out: &mut Vec<u8>, text: &str) {
    // A vector takes everything.
    serde_json::to_writer(out, text).ok();
}

/// The numbers below `count`, begun somewhere else for each turn.
fn turned(count: u32, turn: u32) -> impl Iterator<Item = u32> {
    (0..count).map(move |place| (place + turn) % count)
}
