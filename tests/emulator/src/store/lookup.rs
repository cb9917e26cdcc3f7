//! Where the events are: by name in the order of an export, and by person. An index is built when somebody asks, and kept until events or
//! identifiers are added, or identifiers are led elsewhere.

use std::ops::Range;
use std::sync::Arc;

use super::Database;
use super::index::{EventOrder, EventsByPerson, Indexes, PARTITIONS, partition};
use crate::upload::identifier::IdentifierKind;

impl Database {
    /// The events of one name, or all of them, in the order of an export.
    pub(crate) fn ordered(&mut self, name: Option<u32>) -> Arc<EventOrder> {
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
        let mut built = EventOrder { list: Vec::with_capacity(buckets.iter().map(Vec::len).sum()), ..EventOrder::default() };
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
    pub(crate) fn by_person(&mut self) -> Arc<EventsByPerson> {
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
        let built = Arc::new(EventsByPerson { starts, list });
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
        if known.kind == IdentifierKind::ObjectId {
            return Some(identifier);
        }
        let person = self.people[known.person as usize].as_ref()?;
        person.identifiers.iter().copied().find(|one| self.identifiers[*one as usize].kind == IdentifierKind::ObjectId)
    }

    /// The text that decides the partition of an event: its device, else its person's first identity.
    pub(crate) fn owner(&self, identifier: u32) -> &str {
        if let Some(device) = self.device_of(identifier) {
            return &self.identifiers[device as usize].text;
        }
        let known = &self.identifiers[identifier as usize];
        let person = self.people[known.person as usize].as_ref();
        person.and_then(|person| self.first(person, IdentifierKind::Identity)).unwrap_or(&known.text)
    }

    /// The place of a name; none if no event has it.
    pub(crate) fn name_of(&self, name: &str) -> Option<u32> {
        self.name_index.get(name).copied()
    }

    /// The part of each partition whose events lie in a span of epoch seconds.
    pub(crate) fn span(&self, ordered: &EventOrder, from: i64, until: i64) -> [Range<usize>; PARTITIONS] {
        ordered.ranges.clone().map(|range| {
            let part = ordered.list.get(range.clone()).unwrap_or_default();
            let before = |instant: i64| part.partition_point(|place| self.events[*place as usize].ts < instant);
            range.start + before(from)..range.start + before(until)
        })
    }
}
