//! Whose records are under way: a body waits while another one holds one of its identities, so that records of one identity never
//! overtake each other.
//!
//! In: bodies that are about to go, and bodies that came to their end. Out: whether a body may go. Identities are known by their hash:
//! two that share one only wait for each other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// The identities of the bodies under way, each with the number of the one body that holds it.
#[derive(Debug, Default)]
pub(super) struct IdentitiesUnderWay {
    holders: HashMap<u64, u64, BuildHasherDefault<HashedAlready>>,
}

/// Hands on what is a hash already.
#[derive(Debug, Default)]
struct HashedAlready(u64);

impl Hasher for HashedAlready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Keys are numbers, which come by the method below.
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl IdentitiesUnderWay {
    /// Enters the identities of body `number`, unless another body holds one of them; whether it may go.
    pub(super) fn enter(&mut self, number: u64, identities: impl Iterator<Item = u64> + Clone) -> bool {
        for (at, identity) in identities.clone().enumerate() {
            match self.holders.entry(identity) {
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

    /// Body `number` came to its end.
    pub(super) fn leave(&mut self, number: u64, identities: impl Iterator<Item = u64>) {
        for identity in identities {
            if let Entry::Occupied(holder) = self.holders.entry(identity)
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

    #[test]
    fn a_body_waits_for_the_one_that_holds_an_identity_of_its_own() {
        let mut under_way = IdentitiesUnderWay::default();
        assert!(under_way.enter(1, [1, 2, 2].into_iter()));
        assert!(!under_way.enter(2, [3, 2].into_iter()));
        assert!(under_way.enter(3, [3].into_iter()), "a body that waits holds nothing");
        under_way.leave(1, [1, 2, 2].into_iter());
        under_way.leave(3, [3].into_iter());
        assert!(under_way.enter(2, [3, 2].into_iter()));
    }

    proptest! {
        #[test]
        fn no_two_bodies_under_way_share_an_identity(bodies in prop::collection::vec((prop::collection::vec(0u64..30, 1..6), any::<bool>()), 1..60)) {
            let mut under_way = IdentitiesUnderWay::default();
            let mut out: Vec<(u64, Vec<u64>)> = Vec::new();
            for (number, (identities, ends)) in (0u64..).zip(bodies) {
                let shared = out.iter().any(|(_, others)| others.iter().any(|other| identities.contains(other)));
                prop_assert_eq!(under_way.enter(number, identities.iter().copied()), !shared);
                if !shared {
                    out.push((number, identities));
                }
                if ends && !out.is_empty() {
                    let (number, identities) = out.remove(0);
                    under_way.leave(number, identities.iter().copied());
                }
            }
        }
    }
}
