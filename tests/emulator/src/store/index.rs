//! Indexes of events: by name in the order of an export, and by person; and the partition that an event lies in.
//!
//! An export shows 23 partitions (reference 6.4): a device's events lie in one of them, in the order of time.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Partitions of an export.
pub(crate) const PARTITIONS: usize = 23;

/// The indexes that were asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    pub(super) version: IndexVersion,
    pub(super) by_name: HashMap<Option<u32>, Arc<EventOrder>>,
    pub(super) by_person: Option<Arc<EventsByPerson>>,
}

/// What an index was built from: numbers of events, of identifiers, of moves.
pub(super) type IndexVersion = (usize, usize, u64);

/// Places of events, partition after partition, by time within each.
#[derive(Debug, Default)]
pub(crate) struct EventOrder {
    pub(crate) list: Vec<u32>,
    pub(crate) ranges: [Range<usize>; PARTITIONS],
}

/// Places of events, person after person, in the order of arrival.
#[derive(Debug)]
pub(crate) struct EventsByPerson {
    pub(super) starts: Vec<u32>,
    pub(super) list: Vec<u32>,
}

impl EventsByPerson {
    /// The places of one person's events.
    pub(crate) fn events(&self, person: u32) -> &[u32] {
        let person = person as usize;
        let (Some(&start), Some(&end)) = (self.starts.get(person), self.starts.get(person + 1)) else {
            return &[];
        };
        self.list.get(start as usize..end as usize).unwrap_or_default()
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
