//! Where the events are: by name in the order of an export, and by person. Built when somebody asks, kept until events or
//! identifiers are added, or identifiers are led elsewhere.
//!
//! An export shows 23 partitions (reference 6.4): a device's events lie in one of them, in the order of time.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::store::Books;
use crate::upload::record::Kind;

/// Partitions of an export.
pub(crate) const PARTITIONS: usize = 23;

/// The indexes that were asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    version: Version,
    by_name: HashMap<Option<u32>, Arc<Ordered>>,
    by_person: Option<Arc<ByPerson>>,
}

/// What an index was built from: numbers of events, of identifiers, of moves.
type Version = (usize, usize, u64);

/// Places of events, partition after partition, by time within each.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    pub(crate) list: Vec<u32>,
    pub(crate) ranges: [Range<usize>; PARTITIONS],
}

/// Places of events, person after person, in the order of arrival.
#[derive(Debug)]
pub(crate) struct ByPerson {
    starts: Vec<u32>,
    list: Vec<u32>,
}

impl ByPerson {
    /// The places of one person's events.
    pub(crate) fn events(&self, person: u32) -> &[u32] {
        let person = person as usize;
        let (Some(&start), Some(&end)) = (self.starts.get(person), self.starts.get(person + 1)) else {
            return &[];
        };
        self.list.get(start as usize..end as usize).unwrap_or_default()
    }
}

impl Books {
    /// The events of one name, or all of them, in the order of an export.
    pub(crate) fn ordered(&mut self, name: Option<u32>) -> Arc<Ordered> {
        self.forget_stale();
        if let Some(known) = self.indexes.by_name.get(&name) {
            return Arc::clone(known);
        }
        let mut partitions: Vec<Option<u8>> = vec![None; self.identifiers.len()];
        let mut buckets: [Vec<(i64, u32)>; PARTITIONS] = Default::default();
        for (event, place) in self.events.iter().zip(0..) {
            if name.is_none_or(|name| name == event.name) && !self.is_gone(event) {
                let known = &mut partitions[event.identifier as usize];
                let partition = *known.get_or_insert_with(|| partition(self.owner(event.identifier)));
                buckets[usize::from(partition)].push((event.ts, place));
            }
        }
        let mut built = Ordered { list: Vec::with_capacity(buckets.iter().map(Vec::len).sum()), ..Ordered::default() };
        for (bucket, range) in buckets.iter_mut().zip(&mut built.ranges) {
            bucket.sort_unstable();
            let start = built.list.len();
            built.list.extend(bucket.iter().map(|(_, place)| *place));
            *range = start..built.list.len();
        }
        let built = Arc::new(built);
        self.indexes.by_name.insert(name, Arc::clone(&built));
        built
    }

    /// The events of each person.
    pub(crate) fn by_person(&mut self) -> Arc<ByPerson> {
        self.forget_stale();
        if let Some(known) = &self.indexes.by_person {
            return Arc::clone(known);
        }
        let mut starts = vec![0_u32; self.people.len() + 1];
        for event in self.events.iter().filter(|event| !self.is_gone(event)) {
            starts[self.person_of(event.identifier) as usize + 1] += 1;
        }
        for person in 1..starts.len() {
            starts[person] += starts[person - 1];
        }
        let mut next = starts.clone();
        let mut list = vec![0; starts.last().map_or(0, |end| *end as usize)];
        for (event, place) in self.events.iter().zip(0..).filter(|(event, _)| !self.is_gone(event)) {
            let slot = &mut next[self.person_of(event.identifier) as usize];
            list[*slot as usize] = place;
            *slot += 1;
        }
        let built = Arc::new(ByPerson { starts, list });
        self.indexes.by_person = Some(Arc::clone(&built));
        built
    }

    fn forget_stale(&mut self) {
        let version = (self.events.len(), self.identifiers.len(), self.moves);
        if self.indexes.version != version {
            self.indexes = Indexes { version, ..Indexes::default() };
        }
    }

    /// The device under which an event is shown: its own, or the first one of its person.
    pub(crate) fn device_of(&self, identifier: u32) -> Option<u32> {
        let known = &self.identifiers[identifier as usize];
        if known.kind == Kind::ObjectId {
            return Some(identifier);
        }
        let person = self.people[known.person as usize].as_ref()?;
        person.identifiers.iter().copied().find(|one| self.identifiers[*one as usize].kind == Kind::ObjectId)
    }

    /// The text that decides the partition of an event: its device, else its person's first identity.
    pub(crate) fn owner(&self, identifier: u32) -> &str {
        if let Some(device) = self.device_of(identifier) {
            return &self.identifiers[device as usize].text;
        }
        let known = &self.identifiers[identifier as usize];
        let person = self.people[known.person as usize].as_ref();
        person.and_then(|person| self.first(person, Kind::Identity)).unwrap_or(&known.text)
    }

    /// The place of a name; none if no event has it.
    pub(crate) fn name_of(&self, name: &str) -> Option<u32> {
        self.name_index.get(name).copied()
    }

    /// The part of each partition whose events lie in a span of epoch seconds.
    pub(crate) fn span(&self, ordered: &Ordered, from: i64, until: i64) -> [Range<usize>; PARTITIONS] {
        ordered.ranges.clone().map(|range| {
            let part = ordered.list.get(range.clone()).unwrap_or_default();
            let before = |instant: i64| part.partition_point(|place| self.events[*place as usize].ts < instant);
            range.start + before(from)..range.start + before(until)
        })
    }
}

/// The partition of a device or identity, as even as chance would make it.
pub(crate) fn partition(text: &str) -> u8 {
    (hash(text) % PARTITIONS as u64) as u8
}

/// FNV-1a, mixed.
pub(crate) fn hash(text: &str) -> u64 {
    mixed(text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)))
}

/// SplitMix64's last step: each bit of the answer depends on each bit of the number.
pub(crate) const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
