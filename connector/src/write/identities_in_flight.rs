//! Tracks the identities in flight: a body waits while another one holds one of its identities, so that records of one identity never
//! overtake each other.
//!
//! In: bodies about to be sent, and bodies that have ended. Out: whether a body may be sent. Identities are tracked by half of their
//! hash, so that all of them stay in the cache of a core. Two identities that share it only wait for each other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// The identities of the bodies in flight, each with the number of the body that holds it.
#[derive(Debug, Default)]
pub(super) struct IdentitiesInFlight {
    holders: HashMap<u32, u32, BuildHasherDefault<HalfHasher>>,
}

/// Hasher for half hashes: spreads their bits over 64.
#[derive(Debug, Default)]
struct HalfHasher(u64);

impl Hasher for HalfHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Keys are `u32`, which call the method below.
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, half: u32) {
        // The golden ratio, as a fraction of 2^64.
        self.0 = (self.0 ^ u64::from(half)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// The tracked half of a hash.
fn half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl IdentitiesInFlight {
    /// Adds the identities of body `number` and returns true, unless another body holds one of them.
    pub(super) fn enter(&mut self, number: u32, identities: impl Iterator<Item = u64> + Clone) -> bool {
        for (at, identity) in identities.clone().enumerate() {
            match self.holders.entry(half(identity)) {
                Entry::Vacant(place) => {
                    place.insert(number);
                }
                Entry::Occupied(holder) if *holder.get() == number => {}
                Entry::Occupied(_) => {
                    self.leave(number, identities.take(at));
                    return false;
                }
            }
        }
        true
    }

    /// Removes the identities of body `number`, which has ended.
    pub(super) fn leave(&mut self, number: u32, identities: impl Iterator<Item = u64>) {
        for identity in identities {
            if let Entry::Occupied(holder) = self.holders.entry(half(identity))
                && *holder.get() == number
            {
                holder.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Identities with hashes that differ in the tracked half.
    fn hashes(identities: &[u64]) -> impl Iterator<Item = u64> + Clone + '_ {
        identities.iter().map(|identity| identity << 32)
    }

    #[test]
    fn a_body_waits_for_the_one_that_holds_an_identity_of_its_own() {
        let mut in_flight = IdentitiesInFlight::default();
        assert!(in_flight.enter(1, hashes(&[1, 2, 2])));
        assert!(!in_flight.enter(2, hashes(&[3, 2])));
        assert!(in_flight.enter(3, hashes(&[3])), "a body that waits holds nothing");
        in_flight.leave(1, hashes(&[1, 2, 2]));
        in_flight.leave(3, hashes(&[3]));
        assert!(in_flight.enter(2, hashes(&[3, 2])));
    }

    proptest! {
        #[test]
        fn no_two_bodies_in_flight_share_an_identity(bodies in prop::collection::vec((prop::collection::vec(0u64..30, 1..6), any::<bool>()), 1..60)) {
            let mut in_flight = IdentitiesInFlight::default();
            let mut out: Vec<(u32, Vec<u64>)> = Vec::new();
            for (number, (identities, ends)) in (0u32..).zip(bodies) {
                let shared = out.iter().any(|(_, others)| others.iter().any(|other| identities.contains(other)));
                prop_assert_eq!(in_flight.enter(number, hashes(&identities)), !shared);
                if !shared {
                    out.push((number, identities));
                }
                if ends && !out.is_empty() {
                    let (number, identities) = out.remove(0);
                    in_flight.leave(number, hashes(&identities));
                }
            }
        }
    }
}
