//! People and events that are there before the first request: no body, no check, millions in seconds.

use std::sync::{MutexGuard, PoisonError, RwLockWriteGuard};

use serde::de::IgnoredAny;

use crate::emulator::Emulator;
use crate::lock;
use crate::settings::{Platform, Store};
use crate::store::properties::Packed;
use crate::store::{Database, Details, Event, Source};
use crate::upload::identifier::{IdentifierKind, RecordIdentifier};
use crate::upload::profile::phone_number;
use crate::upload::record::Devices;

/// Somebody to seed. Two with the same identity are one person with two devices.
#[derive(Debug, Clone, Copy)]
pub struct SeedPerson<'a> {
    /// The customer's own id; none for somebody anonymous.
    pub identity: Option<&'a str>,
    /// CleverTap's id of the device. None and no identity either: one is made up; none and an identity: no device, as if an
    /// upload had made the person.
    pub object_id: Option<&'a str>,
    /// What the device runs; default Android.
    pub platform: Platform,
    /// The standard field `Name`.
    pub name: Option<&'a str>,
    /// The standard field `Email`.
    pub email: Option<&'a str>,
    /// The standard field `Phone`, with its plus.
    pub phone: Option<&'a str>,
    /// All other properties: the text of a JSON object, dates as `"$D_1767225600"`; default `{}`.
    pub properties: &'a str,
    /// Shown with `app=true`, like the next three; empty means that it is not known.
    pub os_version: &'a str,
    /// The app's version.
    pub app_version: &'a str,
    /// Who made the device.
    pub make: &'a str,
    /// Which device it is.
    pub model: &'a str,
}

impl Default for SeedPerson<'_> {
    fn default() -> Self {
        Self {
            identity: None,
            object_id: None,
            platform: Platform::Android,
            name: None,
            email: None,
            phone: None,
            properties: "{}",
            os_version: "",
            app_version: "",
            make: "",
            model: "",
        }
    }
}

/// A seeded person, on the device they were seeded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedPersonId(u32);

/// The pen for [`Emulator::seed`].
#[derive(Debug)]
pub struct Seeder<'a> {
    devices: RwLockWriteGuard<'a, Devices>,
    database: MutexGuard<'a, Database>,
}

impl Emulator {
    /// Puts people and events into the project without any request. The closure must not ask the emulator anything.
    ///
    /// ```
    /// use clevertap_emulator::{Emulator, SeedPerson, Settings};
    ///
    /// let emulator = Emulator::new(Settings::default());
    /// emulator.seed(|seeder| {
    ///     let ada = seeder.person(SeedPerson { identity: Some("ada"), object_id: Some("__g01"), ..SeedPerson::default() });
    ///     seeder.event(ada, "Charged", 1_767_225_600, r#"{"Amount":25}"#, None);
    /// });
    /// assert_eq!(emulator.events_stored(), 1);
    /// ```
    pub fn seed<T>(&self, write: impl FnOnce(&mut Seeder<'_>) -> T) -> T {
        self.inner.catch_up();
        let devices = self.inner.devices.write().unwrap_or_else(PoisonError::into_inner);
        let database = lock(&self.inner.database);
        write(&mut Seeder { devices, database })
    }
}

impl Seeder<'_> {
    /// Adds somebody; what is known about the identity already stays.
    ///
    /// # Panics
    ///
    /// If `properties` is not the text of a JSON object, or `phone` no phone number.
    pub fn person(&mut self, person: SeedPerson<'_>) -> SeedPersonId {
        check(person.properties);
        assert!(person.phone.is_none_or(|phone| phone_number(phone).is_some()), "a seeded phone is a plus and 8 to 15 digits");
        let database = &mut *self.database;
        let made_up;
        let object_id = match (person.object_id, person.identity) {
            (None, None) => {
                made_up = format!("__g{:032x}", database.identifiers.len());
                Some(made_up.as_str())
            }
            (given, _) => given,
        };
        let who = match (object_id, person.identity) {
            (Some(id), _) => RecordIdentifier { kind: IdentifierKind::ObjectId, id: id.into() },
            (None, identity) => RecordIdentifier { kind: IdentifierKind::Identity, id: identity.unwrap_or_default().into() },
        };
        let is_known = database.find(who.kind, &who.id).is_some();
        let identifier = database.identifier(&who);
        let mut place = database.person_of(identifier);
        if !is_known && let Some(Some(somebody)) = database.people.get_mut(place as usize) {
            let own = |text: Option<&str>| text.map(Box::from);
            let (name, email, phone) = (own(person.name), own(person.email), own(person.phone));
            somebody.properties = Packed { name, email, phone, rest: person.properties.trim().into() }.into();
        }
        if let Some(object_id) = object_id {
            self.devices.insert(object_id.into(), person.platform);
            let [os_version, app_version, make, model] = [person.os_version, person.app_version, person.make, person.model].map(Box::from);
            database.details.insert(identifier, Details { platform: person.platform, os_version, app_version, make, model });
            if let Some(identity) = person.identity {
                place = database.link(place, IdentifierKind::ObjectId, identity);
            }
        }
        if let Some(email) = person.email {
            database.emails.insert(email.into(), place);
        }
        SeedPersonId(identifier)
    }

    /// Adds an event, as that person's app would send it, or an upload for somebody without a device. System events may be
    /// raised too. An export adds `CT Source` and its like, unless the properties have them.
    ///
    /// # Panics
    ///
    /// If `properties` or `session` is not the text of a JSON object.
    pub fn event(&mut self, person: SeedPersonId, name: &str, ts: i64, properties: &str, session: Option<&str>) {
        check(properties);
        session.map(check);
        let database = &mut *self.database;
        let Some(name) = database.name(name, usize::MAX) else {
            return;
        };
        database.counts.events += 1;
        if database.keep == Store::Everything {
            let (data, session) = (properties.trim().into(), session.map(|text| text.trim().into()));
            let is_device = database.identifiers[person.0 as usize].kind == IdentifierKind::ObjectId;
            let source = if is_device { Source::Sdk } else { Source::Upload }.unless_stated(properties);
            database.events.push(Event { ts, identifier: person.0, name, source, data, session });
        }
    }
}

fn check(text: &str) {
    let is_object = text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    assert!(is_object, "seeded properties are the text of a JSON object, not {text}");
}
