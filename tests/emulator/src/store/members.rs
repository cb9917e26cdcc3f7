//! Who is on a list: identifiers by number, people behind them.

use std::collections::HashSet;

use super::Database;
use crate::upload::identifier::IdentifierKind;

impl Database {
    /// The person behind an identifier, and the number of the identifier.
    pub(crate) fn member(&self, kind: IdentifierKind, text: &str) -> Option<(u32, u32)> {
        let identifier = *self.index[kind as usize].get(text)?;
        Some((self.person_of(identifier), identifier))
    }

    /// The people behind these identifiers who are still there, each once, and what the identifier says.
    pub(crate) fn living(&self, identifiers: &[u32]) -> impl Iterator<Item = (u32, &str)> {
        let mut seen = HashSet::with_capacity(identifiers.len());
        let shown = identifiers.iter().map(|identifier| (self.person_of(*identifier), &*self.identifiers[*identifier as usize].text));
        shown.filter(move |(person, _)| self.people[*person as usize].is_some() && seen.insert(*person))
    }
}
