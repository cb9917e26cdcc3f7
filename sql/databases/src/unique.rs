//! Names that nobody else has taken: of jobs, of staging tables and files.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A random number. It keeps no secret.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// 128 random bits as text.
pub(crate) fn unique() -> String {
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_are_one() {
        let names: std::collections::BTreeSet<_> = (0..1_000).map(|_| unique()).collect();
        assert_eq!(names.len(), 1_000);
        assert!(names.iter().all(|name| name.len() == 32));
    }
}
