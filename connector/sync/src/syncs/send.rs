//! Rows leave, and their fates are remembered.
//!
//! In: what waits on the disk, under a lease. Out: counts; the ledger has each row that was accepted, rejected or is in doubt. Two things run side by
//! side: the INSERT, and what writes down the fates that it tells.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::hooks::FateWatch;
use datafusion_clevertap::runs::RunContext;
use datafusion_clevertap::{Fate, Tally};
use tokio::sync::{Notify, mpsc};

use super::compare::Compared;
use super::prepared::Prepared;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::ledger::{DeadLetter, Exception, InFlight, Lease, Ledger, LedgerRows, Leftover, RowFate, Settled};
use crate::outbox::{Outbox, SettledChunk};

/// Rows of one commit.
pub(super) const COMMIT_ROWS: usize = 1_000_000;
/// The longest that rows wait for theirs.
const COMMIT_EVERY: Duration = Duration::from_secs(60);
/// Dead letters of a sync: the newest are kept.
const LETTERS_MAX: usize = 100_000;
/// A dead letter that was not tried for so long is taken out. Its row stays rejected.
const LETTERS_FOR: TimeDelta = TimeDelta::days(90);

/// What became of the rows that were to leave.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) in_doubt: u64,
    /// Of rejected rows, by their number.
    rejects: HashMap<u64, (String, Hash, Hash)>,
    /// The dead letters of earlier runs, less those that were accepted since.
    letters: HashMap<Hash, DeadLetter>,
    /// Whether the dead letters are others than before.
    has_other_letters: bool,
    /// Rejected rows of which nothing but their number is known: more than `clevertap.failed_rows_max` were.
    pub(super) without_letter: u64,
    /// The statement's error.
    pub(super) error: Option<Error>,
}

/// Sends what was compared.
///
/// # Errors
/// Where the ledger does not take what it must: then nothing more leaves. The statement's own error is in what is returned.
pub(super) async fn send(prepared: &Prepared, compared: Compared, ledger: &Ledger, lease: &Lease, run_id: &str) -> Result<Sent> {
    let in_flight = ledger.in_flight(lease, run_id);
    let (outbox, receiver) = Outbox::new(compared.open, &compared.schema, Some(in_flight.clone()));
    let run_uid = Arc::new(Mutex::new(None::<String>));
    let session = watched(&prepared.session, &outbox, &run_uid);
    let frame = session.read_table(Arc::new(outbox.table()?))?;
    let ended = Notify::new();
    let writing = async {
        let written = frame.write_table(&prepared.into, DataFrameWriteOptions::new()).await;
        ended.notify_one();
        Ok::<_, Error>(written.err())
    };
    let remembering = remember(receiver, &ended, &in_flight, ledger, lease, run_id);
    let both = async { futures::try_join!(writing, remembering) };
    let (error, mut sent) = tokio::select! {
        both = both => both?,
        () = lease.lost() => {
            let name = lease.sync();
            return Err(Error::Held(format!(
                "sync \"{name}\": its lease was lost while it ran, and another run may have it; what was under way is settled by the next run. Run it again"
            )));
        }
    };
    sent.error = error.map(Error::from);
    let run_uid = run_uid.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut coded = LedgerRows::new();
    let letters = dead_letters(prepared, &mut sent, run_uid.as_deref(), run_id, &mut coded);
    if sent.has_other_letters {
        ledger.put_dead_letters(lease, letters).await?;
    }
    if !coded.is_empty() {
        ledger.append_rows(lease, run_id, coded, Utc::now()).await?;
    }
    Ok(sent)
}

/// The same as a dry run: its fates, and the statement's error.
///
/// # Errors
/// If it cannot be planned.
pub(super) async fn try_out(prepared: &Prepared, compared: Compared) -> Result<(Tally, Option<Error>)> {
    let (outbox, _settled) = Outbox::new(compared.open, &compared.schema, None);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let told = Arc::clone(&tally);
    let watch = FateWatch::new(move |rows| {
        let mut tally = told.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, fate) in rows.rows {
            match fate {
                None => tally.accepted += 1,
                Some(Fate::Rejected) => tally.rejected += 1,
                Some(Fate::InDoubt) => tally.in_doubt += 1,
                Some(Fate::Unsent) => tally.unsent += 1,
            }
        }
    });
    let frame = watched_by(&prepared.session, watch).read_table(Arc::new(outbox.table()?))?;
    let written = frame.write_table(&prepared.into, DataFrameWriteOptions::new()).await;
    let tally = *tally.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((tally, written.err().map(Error::from)))
}

/// A session whose statement tells the fates of its rows.
fn watched(session: &SessionContext, outbox: &Arc<Outbox>, run_uid: &Arc<Mutex<Option<String>>>) -> SessionContext {
    let (outbox, run_uid) = (Arc::clone(outbox), Arc::clone(run_uid));
    let watch = FateWatch::new(move |rows| {
        run_uid.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| rows.run_uid.to_owned());
        outbox.settle(&rows);
    });
    watched_by(session, watch)
}

/// The same, by another watch.
pub(super) fn watched_by(session: &SessionContext, watch: FateWatch) -> SessionContext {
    let mut builder = SessionStateBuilder::new_from_existing(session.state());
    let config = builder.config().take().unwrap_or_default();
    // Not what a statement of the session goes on with: all of these rows are to be sent.
    let config = config.with_extension(Arc::new(RunContext::default())).with_extension(Arc::new(watch));
    *builder.config() = Some(config.with_target_partitions(1));
    SessionContext::new_with_state(builder.build())
}

/// Takes chunks as they settle, until the statement has ended.
async fn remember(
    mut receiver: mpsc::UnboundedReceiver<SettledChunk>,
    ended: &Notify,
    in_flight: &InFlight,
    ledger: &Ledger,
    lease: &Lease,
    run_id: &str,
) -> Result<Sent> {
    let letters = ledger.dead_letters(lease.sync()).await?.into_iter().map(|letter| (letter.key_hash, letter)).collect();
    let (mut sent, mut rows, mut chunks) = (Sent { letters, ..Sent::default() }, LedgerRows::new(), Vec::new());
    let mut is_ended = false;
    loop {
        let wait = tokio::time::sleep(COMMIT_EVERY);
        let settled = if is_ended {
            receiver.try_recv().ok()
        } else {
            tokio::select! {
                chunk = receiver.recv() => chunk,
                () = ended.notified() => { is_ended = true; continue }
                () = wait => None,
            }
        };
        let is_due = settled.is_none() || rows.len() >= COMMIT_ROWS;
        if let Some(mut chunk) = settled {
            if let Some(n) = chunk.in_flight {
                in_flight.done(n, &exceptions(&chunk)).await?;
                chunks.push(n);
            }
            chunk.release();
            sent.take(&chunk, &mut rows);
        }
        if is_due {
            if !rows.is_empty() {
                ledger.append_rows(lease, run_id, std::mem::take(&mut rows), Utc::now()).await?;
            }
            for n in chunks.drain(..) {
                in_flight.remove(n).await?;
            }
            if is_ended && receiver.is_empty() {
                return Ok(sent);
            }
        }
    }
}

fn exceptions(chunk: &SettledChunk) -> Vec<Exception> {
    let of = |(index, fate): (usize, &Option<Fate>)| {
        let fate = match fate.as_ref()? {
            Fate::Rejected => Settled::Rejected,
            Fate::InDoubt => Settled::InDoubt,
            Fate::Unsent => Settled::Unsent,
        };
        Some(Exception { index: index as u32, fate, code: None })
    };
    chunk.fates.iter().enumerate().filter_map(of).collect()
}

impl Sent {
    /// Counts a chunk, and gives its rows to the next commit. A row that did not leave is as if it had not been read.
    fn take(&mut self, chunk: &SettledChunk, rows: &mut LedgerRows) {
        for (at, ((key, key_hash, payload), fate)) in chunk.rows.iter().zip(&chunk.fates).enumerate() {
            let fate = match fate {
                None => {
                    self.accepted += 1;
                    self.has_other_letters |= self.letters.remove(key_hash).is_some();
                    RowFate::Accepted
                }
                Some(Fate::Rejected) => {
                    self.rejected += 1;
                    self.rejects.insert(chunk.first_row + at as u64, (key.to_owned(), *key_hash, *payload));
                    RowFate::Rejected
                }
                Some(Fate::InDoubt) => {
                    self.in_doubt += 1;
                    RowFate::InDoubt
                }
                Some(Fate::Unsent) => continue,
            };
            rows.push(key, key_hash, payload, fate, None, false);
        }
    }
}

/// The dead letters of the sync after this run: of a key the last reject; those that were accepted since are gone.
/// `coded` gets the rejected rows again, with their codes, which are not told as rows settle.
fn dead_letters(prepared: &Prepared, sent: &mut Sent, run_uid: Option<&str>, run_id: &str, coded: &mut LedgerRows) -> Vec<DeadLetter> {
    let (mut letters, rejects) = (std::mem::take(&mut sent.letters), std::mem::take(&mut sent.rejects));
    sent.without_letter = rejects.len() as u64;
    let failed = run_uid.map(|uid| prepared.account.failed_rows_of(uid)).unwrap_or_default();
    let now = Utc::now();
    for row in failed.into_iter().filter(|row| row.fate == Fate::Rejected) {
        let Some((key, key_hash, payload_hash)) = rejects.get(&row.row_number) else { continue };
        coded.push(key, key_hash, payload_hash, RowFate::Rejected, Some(&row.code), false);
        let earlier = letters.get(key_hash);
        let letter = DeadLetter {
            key: key.clone(),
            key_hash: *key_hash,
            payload_hash: *payload_hash,
            record: row.record,
            code: Some(row.code),
            reason: row.reason,
            attempts: earlier.map_or(0, |letter| letter.attempts) + 1,
            first_at: earlier.map_or(now, |letter| letter.first_at),
            last_at: now,
            run_id: run_id.to_owned(),
        };
        letters.insert(*key_hash, letter);
        sent.has_other_letters = true;
        sent.without_letter -= 1;
    }
    let mut letters: Vec<_> = letters.into_values().collect();
    let there = letters.len();
    letters.retain(|letter| now - letter.last_at <= LETTERS_FOR);
    letters.sort_by(|one, other| other.last_at.cmp(&one.last_at).then_with(|| one.key_hash.cmp(&other.key_hash)));
    letters.truncate(LETTERS_MAX);
    sent.has_other_letters |= letters.len() < there;
    letters
}

/// What a run left that was killed: what had its fate is accepted or rejected, the rest is in doubt. Returns how many are in doubt.
///
/// # Errors
/// The ledger's.
pub(super) async fn recover(ledger: &Ledger, lease: &Lease) -> Result<u64> {
    let mut in_doubt = 0;
    for leftover in ledger.leftovers(lease.sync()).await? {
        let mut rows = LedgerRows::new();
        for (key, key_hash, payload, fate) in fates_of(&leftover) {
            in_doubt += u64::from(fate == RowFate::InDoubt);
            rows.push(key, key_hash, payload, fate, None, false);
        }
        if !rows.is_empty() {
            ledger.append_rows(lease, &leftover.run_id, rows, Utc::now()).await?;
        }
        ledger.remove_leftover(&leftover).await?;
    }
    Ok(in_doubt)
}

/// Rows that may have left, each with its key and payload.
pub(super) fn fates_of(leftover: &Leftover) -> impl Iterator<Item = (&str, &Hash, &Hash, RowFate)> {
    leftover.keys.iter().enumerate().filter_map(|(index, (key, key_hash, payload))| {
        let exception = |done: &Vec<Exception>| done.iter().find(|exception| exception.index as usize == index).map(|found| found.fate);
        let fate = match leftover.done.as_ref().map(exception) {
            Some(None) => RowFate::Accepted,
            Some(Some(Settled::Rejected)) => RowFate::Rejected,
            // It is as if it had not been read.
            Some(Some(Settled::Unsent)) => return None,
            Some(Some(Settled::InDoubt)) | None => RowFate::InDoubt,
        };
        Some((key, key_hash, payload, fate))
    })
}
