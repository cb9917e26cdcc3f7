//! What of a source changed since it was sent.
//!
//! In: the rows of the ledger, then each key and payload of the source. Out: a [`Class`] for each, and at the end counts. The hashes stand in
//! memory: 100 bytes a key at most, reserved in the session's pool. Where they are too many, they come in parts, each with all that is known of
//! its keys.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use datafusion::execution::memory_pool::MemoryReservation;

use crate::definition::{InDoubt, Mode, Retry};
use crate::error::{Error, Result};
use crate::hash::{Hash, shown};
use crate::ledger::RowFate;
use crate::report::Changes;

/// What a key of the hash map takes, with the room that the map keeps free.
const BYTES_A_KEY: usize = 100;

/// In place of the `seq` of a key that the ledger does not have.
const NOT_SENT: [u8; 8] = i64::MAX.to_be_bytes();

/// Offenders that an error shows.
const SHOWN_MAX: usize = 3;

/// What is done with a row of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The ledger does not have its key.
    New,
    /// Its payload is another one than the one that was sent.
    Changed,
    /// Its payload was sent.
    Unchanged,
    /// It was rejected, or its answer was lost: it is not sent.
    Held,
}

/// The hashes are hashes already: their first bytes are as good as any.
#[derive(Debug, Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// What the ledger has of a key, and whether the source has it too.
#[derive(Debug)]
struct Known {
    payload: Hash,
    /// As bytes, so that a key takes 43 of them and not 48: an `i64` begins at each eighth.
    seq: [u8; 8],
    fate: RowFate,
    removed: bool,
    is_seen: bool,
}

/// How a definition takes what it finds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// What is moved.
    pub(crate) mode: Mode,
    /// Of rejected rows.
    pub(crate) retry: Retry,
    /// Of rows whose answer was lost.
    pub(crate) in_doubt: InDoubt,
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) changes: Changes,
    /// Keys that were sent, and that the source does not have, with their payloads: of a mirror alone.
    pub(crate) left: HashMap<Hash, Hash>,
    /// Keys that were sent and not removed, before this run.
    pub(crate) known: u64,
}

/// Compares a source with the ledger.
#[derive(Debug)]
pub(crate) struct Diff {
    rules: Rules,
    known: HashMap<Hash, Known, BuildHasherDefault<FirstBytes>>,
    memory: MemoryReservation,
    /// So many keys at once, whatever the pool has.
    keys_max: usize,
    is_full: bool,
    /// Of the parts that have ended, with `changes` and the counts below.
    ended: Outcome,
    changes: Changes,
    /// Rows of the source without a key.
    without_key: u64,
    /// Rows of the source whose key another row has, and the first of them.
    repeated: u64,
    offenders: Vec<Hash>,
    /// Keys of rejected rows that were tried often enough.
    exhausted: HashSet<Hash>,
}

impl Diff {
    /// Before the ledger was read.
    pub(crate) fn new(rules: Rules, memory: MemoryReservation, keys_max: usize) -> Self {
        Self {
            rules,
            known: HashMap::default(),
            memory,
            keys_max,
            is_full: false,
            ended: Outcome::default(),
            changes: Changes::default(),
            without_key: 0,
            repeated: 0,
            offenders: Vec::new(),
            exhausted: HashSet::new(),
        }
    }

    /// About so many keys come: a table that grows stands in memory twice.
    pub(crate) fn expect(&mut self, keys: u64) {
        self.known.reserve(usize::try_from(keys).unwrap_or(usize::MAX).min(self.keys_max));
    }

    /// Whether its error was that there is no memory for one more key.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// As if nothing had been read.
    pub(crate) fn start_again(&mut self) {
        self.memory.free();
        (self.known, self.is_full, self.ended, self.changes) = (HashMap::default(), false, Outcome::default(), Changes::default());
        (self.without_key, self.repeated, self.offenders) = (0, 0, Vec::new());
    }

    /// Rejected rows of these keys are held until their payloads change.
    pub(crate) fn hold_exhausted(&mut self, keys: HashSet<Hash>) {
        self.exhausted = keys;
    }

    fn reserve(&mut self) -> Result<()> {
        if self.known.len() < self.keys_max && self.memory.try_grow(BYTES_A_KEY).is_ok() {
            return Ok(());
        }
        self.is_full = true;
        Err(Error::Guard(format!(
            "the hashes of {} keys do not fit into the memory that this session has; give it more, or take fewer rows a sync",
            self.known.len()
        )))
    }

    /// A row of the ledger; of a key the greatest `seq` counts.
    ///
    /// # Errors
    /// [`Error::Guard`] if the session has no memory for it.
    pub(crate) fn remember(&mut self, key: Hash, payload: Hash, fate: RowFate, seq: i64, removed: bool) -> Result<()> {
        let known = Known { payload, seq: seq.to_be_bytes(), fate, removed, is_seen: false };
        if !self.known.contains_key(&key) {
            self.reserve()?;
        }
        match self.known.entry(key) {
            Entry::Occupied(mut entry) => {
                if entry.get().seq <= known.seq {
                    entry.insert(known);
                }
            }
            Entry::Vacant(entry) => {
                entry.insert(known);
            }
        }
        Ok(())
    }

    /// What the ledger has of a key: its payload and fate, if it was not removed since.
    pub(crate) fn sent(&self, key: &Hash) -> Option<(Hash, RowFate)> {
        self.known.get(key).filter(|known| known.seq != NOT_SENT && !known.removed).map(|known| (known.payload, known.fate))
    }

    /// A row of the source. `appends`: it would be stored twice, if it were sent twice. `None` for a row without a key, or one whose key another
    /// row has: [`finish`](Self::finish) refuses the source.
    ///
    /// # Errors
    /// [`Error::Guard`] if the session has no memory for it.
    pub(crate) fn compare(&mut self, key: Option<Hash>, payload: Hash, appends: bool) -> Result<Option<Class>> {
        self.changes.rows += 1;
        let Some(key) = key else {
            self.without_key += 1;
            return Ok(None);
        };
        let mut rules = self.rules;
        if rules.retry == Retry::Always && self.exhausted.contains(&key) {
            rules.retry = Retry::Changed;
        }
        let Some(known) = self.known.get_mut(&key) else {
            self.reserve()?;
            self.known.insert(key, Known { payload, seq: NOT_SENT, fate: RowFate::Accepted, removed: true, is_seen: true });
            self.changes.new += 1;
            return Ok(Some(Class::New));
        };
        if std::mem::replace(&mut known.is_seen, true) {
            self.repeated += 1;
            if self.offenders.len() < SHOWN_MAX {
                self.offenders.push(key);
            }
            return Ok(None);
        }
        let class = class_of(known, payload, appends, rules);
        match class {
            Class::New => self.changes.new += 1,
            Class::Changed => self.changes.changed += 1,
            Class::Unchanged => self.changes.unchanged += 1,
            Class::Held => self.changes.held += 1,
        }
        Ok(Some(class))
    }

    /// The counts, after the last row of the source. Who left it is looked for in a mirror alone, and where the source has rows.
    ///
    /// # Errors
    /// [`Error::Guard`] for keys that are NULL or repeated, with their number, and hashes in place of keys.
    pub(crate) fn finish(mut self) -> Result<Outcome> {
        if self.without_key > 0 || self.repeated > 0 {
            let of = |rows: u64, what: &str| (rows > 0).then(|| format!("{rows} rows {what}"));
            let hashes: Vec<String> = self.offenders.iter().map(shown).collect();
            let shown = if hashes.is_empty() { String::new() } else { format!(" (hashes of keys: {})", hashes.join(", ")) };
            let parts = [of(self.without_key, "have no key"), of(self.repeated, "have the key of another row")];
            return Err(Error::Guard(format!(
                "a key says which row is which, and {} of {}{shown}; nothing was sent. Name other columns in `key`, or take one row a key in the query",
                parts.into_iter().flatten().collect::<Vec<_>>().join(", and "),
                self.changes.rows
            )));
        }
        self.end_part();
        let mut outcome = self.ended;
        // Who left a source without rows has not left: the source has gone.
        if self.changes.rows == 0 {
            outcome.left.clear();
        }
        outcome.changes = Changes { removed: outcome.left.len() as u64, ..self.changes };
        Ok(outcome)
    }

    /// All is known of these keys: other ones follow.
    pub(crate) fn end_part(&mut self) {
        let was_sent = |known: &Known| !known.removed && known.fate != RowFate::Rejected;
        self.ended.known += self.known.values().filter(|known| known.seq != NOT_SENT && was_sent(known)).count() as u64;
        if self.rules.mode == Mode::Mirror {
            let gone = self.known.iter().filter(|(_, known)| !known.is_seen && was_sent(known));
            self.ended.left.extend(gone.map(|(key, known)| (*key, known.payload)));
        }
        self.known = HashMap::default();
        self.memory.free();
    }
}

/// What is done with a row whose key the ledger has.
fn class_of(known: &Known, payload: Hash, appends: bool, rules: Rules) -> Class {
    let is_same = known.payload == payload;
    match known.fate {
        // Whoever left came back.
        RowFate::Accepted if known.removed => Class::New,
        RowFate::Accepted if is_same || rules.mode == Mode::Insert => Class::Unchanged,
        RowFate::Accepted => Class::Changed,
        RowFate::Rejected => match rules.retry {
            Retry::Always => Class::Changed,
            Retry::Changed if !is_same => Class::Changed,
            Retry::Changed | Retry::Never => Class::Held,
        },
        // What can be repeated is repeated.
        RowFate::InDoubt if !appends || rules.in_doubt == InDoubt::Resend => Class::Changed,
        RowFate::InDoubt => Class::Held,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool, UnboundedMemoryPool};

    use super::*;
    use crate::hash::{of_key, of_payload};

    fn pool(bytes: Option<usize>) -> MemoryReservation {
        let pool: Arc<dyn MemoryPool> = match bytes {
            Some(bytes) => Arc::new(GreedyMemoryPool::new(bytes)),
            None => Arc::new(UnboundedMemoryPool::default()),
        };
        MemoryConsumer::new("a test").register(&pool)
    }

    fn diff(mode: Mode) -> Diff {
        Diff::new(Rules { mode, retry: Retry::Changed, in_doubt: InDoubt::Hold }, pool(None), usize::MAX)
    }

    fn sent(diff: &mut Diff, key: &str, payload: &str, fate: RowFate, seq: i64) {
        diff.remember(of_key(key), of_payload(payload.as_bytes()), fate, seq, false).expect("memory");
    }

    fn row(diff: &mut Diff, key: &str, payload: &str) -> Option<Class> {
        diff.compare(Some(of_key(key)), of_payload(payload.as_bytes()), true).expect("memory")
    }

    #[test]
    fn new_changed_unchanged_and_removed_are_told_apart() {
        let mut diff = diff(Mode::Mirror);
        for key in ["a", "b", "c"] {
            sent(&mut diff, key, "1", RowFate::Accepted, 1);
        }
        // The later row of the ledger counts, whichever is read first.
        sent(&mut diff, "b", "2", RowFate::Accepted, 5);
        sent(&mut diff, "b", "9", RowFate::Accepted, 4);
        assert_eq!(row(&mut diff, "a", "1"), Some(Class::Unchanged));
        assert_eq!(row(&mut diff, "b", "1"), Some(Class::Changed));
        assert_eq!(row(&mut diff, "d", "1"), Some(Class::New));
        let outcome = diff.finish().expect("keys");
        assert_eq!((outcome.known, outcome.left.keys().copied().collect::<Vec<_>>()), (3, vec![of_key("c")]));
        let changes = outcome.changes;
        assert_eq!((changes.rows, changes.new, changes.changed, changes.unchanged, changes.removed, changes.held), (3, 1, 1, 1, 1, 0));
    }

    #[test]
    fn an_empty_source_removes_nobody_and_other_modes_remove_nobody() {
        let mut empty = diff(Mode::Mirror);
        sent(&mut empty, "a", "1", RowFate::Accepted, 1);
        assert_eq!(empty.finish().expect("no rows").changes.removed, 0);
        let mut upsert = diff(Mode::Upsert);
        sent(&mut upsert, "a", "1", RowFate::Accepted, 1);
        row(&mut upsert, "b", "1");
        assert_eq!(upsert.finish().expect("keys").changes.removed, 0);
    }

    #[test]
    fn who_was_removed_and_comes_back_is_new_and_is_not_removed_twice() {
        let mut diff = diff(Mode::Mirror);
        for key in ["a", "b"] {
            diff.remember(of_key(key), of_payload(b"1"), RowFate::Accepted, 1, true).expect("memory");
        }
        assert_eq!(row(&mut diff, "a", "1"), Some(Class::New));
        assert_eq!(diff.finish().expect("keys").changes.removed, 0);
    }

    #[test]
    fn an_event_is_sent_once_whatever_its_payload_becomes() {
        let mut diff = diff(Mode::Insert);
        sent(&mut diff, "a", "1", RowFate::Accepted, 1);
        assert_eq!(row(&mut diff, "a", "2"), Some(Class::Unchanged));
    }

    #[test]
    fn rejected_rows_are_tried_again_as_the_definition_says() {
        for (retry, same, other) in [
            (Retry::Changed, Class::Held, Class::Changed),
            (Retry::Always, Class::Changed, Class::Changed),
            (Retry::Never, Class::Held, Class::Held),
        ] {
            let mut diff = Diff::new(Rules { mode: Mode::Upsert, retry, in_doubt: InDoubt::Hold }, pool(None), usize::MAX);
            sent(&mut diff, "a", "1", RowFate::Rejected, 1);
            sent(&mut diff, "b", "1", RowFate::Rejected, 1);
            assert_eq!((row(&mut diff, "a", "1"), row(&mut diff, "b", "2")), (Some(same), Some(other)), "{retry:?}");
        }
    }

    #[test]
    fn what_is_in_doubt_is_repeated_where_that_is_harmless_or_asked_for() {
        for (in_doubt, appends, class) in
            [(InDoubt::Hold, true, Class::Held), (InDoubt::Resend, true, Class::Changed), (InDoubt::Hold, false, Class::Changed)]
        {
            let mut diff = Diff::new(Rules { mode: Mode::Insert, retry: Retry::Changed, in_doubt }, pool(None), usize::MAX);
            sent(&mut diff, "a", "1", RowFate::InDoubt, 1);
            let found = diff.compare(Some(of_key("a")), of_payload(b"1"), appends).expect("memory");
            assert_eq!(found, Some(class), "{in_doubt:?} {appends}");
        }
    }

    #[test]
    fn keys_that_are_null_or_repeated_refuse_the_source_and_show_no_key() {
        let mut diff = diff(Mode::Upsert);
        sent(&mut diff, "secret-a", "1", RowFate::Accepted, 1);
        for _ in 0..2 {
            row(&mut diff, "secret-a", "1");
            row(&mut diff, "secret-b", "1");
        }
        assert_eq!(diff.compare(None, of_payload(b"1"), false).expect("memory"), None);
        let error = diff.finish().expect_err("refused").to_string();
        assert!(error.contains("1 rows have no key, and 2 rows have the key of another row of 5"), "{error}");
        assert!(error.contains(&shown(&of_key("secret-a"))) && !error.contains("secret"), "{error}");
    }

    #[test]
    fn more_keys_than_memory_is_an_error_with_a_remedy() {
        let rules = Rules { mode: Mode::Upsert, retry: Retry::Changed, in_doubt: InDoubt::Hold };
        let mut diff = Diff::new(rules, pool(Some(10 * BYTES_A_KEY)), usize::MAX);
        let mut kept = 0;
        while diff.compare(Some(of_key(&kept.to_string())), of_payload(b"1"), false).is_ok() {
            kept += 1;
        }
        assert_eq!((kept, diff.is_full()), (10, true));
        diff.start_again();
        // Parts that each fit.
        for part in 0..3 {
            for key in 0..10 {
                let class = diff.compare(Some(of_key(&format!("{part}.{key}"))), of_payload(b"1"), false).expect("memory");
                assert_eq!(class, Some(Class::New));
            }
            diff.end_part();
        }
        let outcome = diff.finish().expect("keys");
        assert_eq!((outcome.changes.rows, outcome.changes.new, outcome.known), (30, 30, 0));
    }
}
