//! The emulator as tests hold it: its settings, its database, and what they may ask it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use serde_json::Value;
use tokio::time::Instant;

use crate::counts::pending::PendingCounts;
use crate::custom_lists::state::Lists;
use crate::deletions::Deletions;
use crate::export::chain::Chains;
use crate::faults::{Fault, Rules};
use crate::limits::Lanes;
use crate::lock;
use crate::report::Report;
use crate::settings::{Platform, Settings};
use crate::store::Database;
use crate::store::views::EventRef;
use crate::subscriptions::Subscriptions;
use crate::upload::identifier::IdentifierKind;
use crate::upload::record::Devices;

/// One CleverTap project. Clones are the same project.
#[derive(Debug, Clone)]
pub struct Emulator {
    pub(crate) inner: Arc<Inner>,
}

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) lanes: Lanes,
    pub(crate) database: Mutex<Database>,
    pub(crate) devices: RwLock<Devices>,
    pub(crate) report: Mutex<Report>,
    pub(crate) rules: Mutex<Rules>,
    pub(crate) chains: Chains,
    pub(crate) pending_counts: Mutex<PendingCounts>,
    pub(crate) subscriptions: Mutex<Subscriptions>,
    pub(crate) demerges: Mutex<BTreeMap<String, u64>>,
    pub(crate) deletions: Mutex<Deletions>,
    pub(crate) custom_lists: Mutex<Lists>,
    started: OnceLock<Instant>,
}

impl Inner {
    /// Milliseconds since the first request.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        let started = self.started.get_or_init(Instant::now);
        u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The account's clock, in epoch seconds.
    pub(crate) fn now(&self) -> i64 {
        self.settings.started_at + i64::try_from(self.elapsed_ms() / 1000).unwrap_or_default()
    }
}

impl Emulator {
    /// An empty project.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let emulator = Self {
            inner: Arc::new(Inner {
                lanes: Lanes::default(),
                database: Mutex::new(Database::new(settings.store)),
                devices: RwLock::new(HashMap::new()),
                report: Mutex::new(Report::default()),
                rules: Mutex::new(Rules::default()),
                chains: Chains::default(),
                pending_counts: Mutex::new(PendingCounts::default()),
                subscriptions: Mutex::new(Subscriptions::default()),
                demerges: Mutex::new(BTreeMap::new()),
                deletions: Mutex::new(Deletions::default()),
                custom_lists: Mutex::new(Lists::default()),
                started: OnceLock::new(),
                settings,
            }),
        };
        for device in &emulator.inner.settings.devices {
            emulator.add_device(&device.object_id, device.platform, device.identity.as_deref());
        }
        emulator
    }

    /// Adds a fault rule behind the others.
    pub fn add_fault(&self, fault: Fault) {
        lock(&self.inner.rules).add(fault);
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        lock(&self.inner.rules).clear();
    }

    /// Registers a device, as an SDK does when the app starts; with an identity, as when somebody logs in.
    pub fn add_device(&self, object_id: &str, platform: Platform, identity: Option<&str>) {
        let mut devices = self.inner.devices.write().unwrap_or_else(PoisonError::into_inner);
        devices.insert(object_id.into(), platform);
        drop(devices);
        if let Some(identity) = identity {
            self.database().sign_in(object_id, identity);
        }
    }

    /// Everything that is known about the run so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let counts = self.database().counts;
        let mut report = lock(&self.inner.report).clone();
        report.profiles = counts.profiles;
        report.events = counts.events;
        report.tokens = counts.tokens;
        report.profile_records = counts.profile_records;
        report.event_records = counts.event_records;
        report.token_records = counts.token_records;
        report.devices = self.inner.devices.read().unwrap_or_else(PoisonError::into_inner).len() as u64;
        let lanes = self.inner.lanes.all();
        report.in_flight = lanes.iter().map(|(api, lane)| (api.path().to_owned(), lane.in_flight)).collect();
        report.peak_in_flight = lanes.iter().map(|(api, lane)| (api.path().to_owned(), lane.peak)).collect();
        report.mean_in_flight = lanes.iter().map(|(api, lane)| (api.path().to_owned(), lane.mean())).collect();
        report
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// A person by identity: `identity`, `all_identities`, `email`, `name`, `phone`, `objectId`, `platformInfo`, `events`,
    /// and every property, the standard ones too, under `profileData` with the JSON type that is kept.
    #[must_use]
    pub fn profile(&self, identity: &str) -> Option<Value> {
        self.person(|database| database.find(IdentifierKind::Identity, identity))
    }

    /// The same by e-mail address.
    #[must_use]
    pub fn profile_by_email(&self, email: &str) -> Option<Value> {
        self.person(|database| database.find_email(email))
    }

    /// The same by device.
    #[must_use]
    pub fn profile_by_object_id(&self, object_id: &str) -> Option<Value> {
        self.person(|database| database.find(IdentifierKind::ObjectId, object_id))
    }

    /// Shows every stored event in the order of arrival. The closure must not ask the emulator anything.
    pub fn for_each_event(&self, see: impl FnMut(EventRef<'_>)) {
        self.database().for_each_event(see);
    }

    /// Shows every person in the form of [`Self::profile`], without `events`. The closure must not ask the emulator anything.
    pub fn for_each_profile(&self, see: impl FnMut(&Value)) {
        let devices = self.inner.devices.read().unwrap_or_else(PoisonError::into_inner);
        self.database().for_each_person(&devices, see);
    }

    /// Events that are stored, or counted if only counts are kept.
    #[must_use]
    pub fn events_stored(&self) -> u64 {
        self.database().counts.events
    }

    /// People that are stored, after merging.
    #[must_use]
    pub fn profiles_stored(&self) -> u64 {
        self.database().counts.profiles
    }

    /// Tokens that are stored, one for each device and type.
    #[must_use]
    pub fn tokens_stored(&self) -> u64 {
        self.database().counts.tokens
    }

    /// Stored events by the identity under which they came.
    #[must_use]
    pub fn events_by_identity(&self) -> BTreeMap<String, u64> {
        let mut counts = HashMap::<String, u64>::new();
        self.for_each_event(|event| match counts.get_mut(event.identity) {
            Some(count) => *count += 1,
            None => {
                counts.insert(event.identity.to_owned(), 1);
            }
        });
        counts.into_iter().collect()
    }

    fn person(&self, find: impl Fn(&Database) -> Option<u32>) -> Option<Value> {
        let devices = self.inner.devices.read().unwrap_or_else(PoisonError::into_inner);
        let mut database = self.database();
        let person = find(&database)?;
        database.person(person, &devices)
    }

    /// The database, after what is due.
    fn database(&self) -> MutexGuard<'_, Database> {
        self.inner.catch_up();
        lock(&self.inner.database)
    }
}
