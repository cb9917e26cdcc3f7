//! Who left the source of a mirror: erased, or told by a property.
//!
//! In: keys that the ledger has and the source does not. Out: counts; the ledger knows of each that CleverTap took that it was removed. Both a
//! deletion and a property may be sent twice: what was not accepted is sent again by the next run.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use chrono::Utc;
use datafusion::catalog::MemTable;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::error::DataFusionError;
use datafusion::prelude::{Expr, SessionContext, ident, lit};
use datafusion_clevertap::hooks::FateWatch;
use datafusion_clevertap::{Access, Account, ClevertapSql, Fate, Options};
use futures::TryStreamExt;
use serde_json::Value;

use super::prepared::Prepared;
use super::send::watched_by;
use crate::definition::{Definition, OnRemoved};
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::ledger::{Lease, Ledger, LedgerRows, RowFate};

/// Rows of one INSERT.
const SET_ROWS: usize = 50_000;

/// What became of those who left.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) in_doubt: u64,
    /// The statement's error: then no more were removed.
    pub(super) error: Option<Error>,
}

/// A key that left.
pub(super) type Left = (String, Hash, Hash);

/// What can be said before a row is read: by planning what a removal would run.
pub(super) async fn check(session: &SessionContext, definition: &Definition, identifier: &str, account: &Account) -> Result<()> {
    let wrong = |problem: &str| Err(Error::Definition(format!("sync \"{}\": {problem}", definition.name)));
    match &definition.on_removed {
        OnRemoved::Ignore => {}
        OnRemoved::Delete => {
            session.clevertap_sql(&delete(&definition.into, identifier, "(SELECT 'nobody')")).await?.create_physical_plan().await?;
            if account.access() < Access::Erase {
                return wrong("on_removed = \"delete\" erases people, and the account is not opened for it; say access = \"erase\"");
            }
        }
        OnRemoved::Set(properties) => {
            if properties.is_empty() {
                return wrong("on_removed sets no property; say { \"Plan\" = \"churned\" }");
            }
            let Some(columns) = properties.iter().map(|(_, value)| literal(value)).collect::<Option<Vec<_>>>() else {
                return wrong("on_removed sets a property to a text, a number, true or false");
            };
            let nobody = rows_of(&[("nobody".to_owned(), Hash::default(), Hash::default())], identifier)?;
            let frame = session.read_batch(nobody)?.select(columns_of(identifier, properties, columns))?;
            let schema = frame.schema().as_arrow().clone();
            let provider = session.table_provider(definition.into.as_str()).await?;
            if let Some(encoder) = datafusion_clevertap::payload_encoder(provider.as_ref(), &session.state(), &schema) {
                encoder?;
            }
        }
    }
    Ok(())
}

fn delete(into: &str, identifier: &str, keys: &str) -> String {
    format!("DELETE FROM {into} WHERE {} IN {keys}", quoted(identifier))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(value: &Value) -> Option<Expr> {
    Some(match value {
        Value::String(text) => lit(text.as_str()),
        Value::Bool(flag) => lit(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => lit(integer),
            None => lit(number.as_f64()?),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

fn columns_of(identifier: &str, properties: &[(String, Value)], values: Vec<Expr>) -> Vec<Expr> {
    std::iter::once(ident(identifier)).chain(properties.iter().zip(values).map(|((name, _), value)| value.alias(name))).collect()
}

fn rows_of(left: &[Left], identifier: &str) -> Result<RecordBatch> {
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(left.iter().map(|(key, ..)| key)));
    Ok(RecordBatch::try_from_iter([(identifier, keys)])?)
}

/// The texts of the keys, as the ledger has them.
pub(super) async fn keys_of(ledger: &Ledger, sync: &str, left: &HashMap<Hash, Hash>) -> Result<Vec<Left>> {
    let (mut keys, mut found) = (Vec::with_capacity(left.len()), HashSet::with_capacity(left.len()));
    let Some(mut rows) = ledger.rows_of(sync, &["key", "key_hash"]).await? else { return Ok(keys) };
    while let Some(batch) = rows.try_next().await? {
        let (texts, hashes) = (batch.column(0).as_string::<i32>(), batch.column(1).as_binary::<i32>());
        for row in 0..batch.num_rows() {
            let Ok(hash) = Hash::try_from(hashes.value(row)) else { continue };
            if let Some(payload) = left.get(&hash).filter(|_| found.insert(hash)) {
                keys.push((texts.value(row).to_owned(), hash, *payload));
            }
        }
    }
    Ok(keys)
}

/// Remembers that they left, and sends nothing.
pub(super) async fn note(left: &[Left], ledger: &Ledger, lease: &Lease, run_id: &str) -> Result<()> {
    append(left, RowFate::Accepted, true, ledger, lease, run_id).await
}

async fn append(left: &[Left], fate: RowFate, removed: bool, ledger: &Ledger, lease: &Lease, run_id: &str) -> Result<()> {
    let mut rows = LedgerRows::new();
    left.iter().for_each(|(key, hash, payload)| rows.push(key, hash, payload, fate, None, removed));
    ledger.append_rows(lease, run_id, rows, Utc::now()).await
}

/// Removes them, in the order in which they are given.
///
/// # Errors
/// The ledger's. The statement's own error is in what is returned.
pub(super) async fn remove(prepared: &Prepared, left: &[Left], ledger: &Ledger, lease: &Lease, run_id: &str) -> Result<Removed> {
    let options = prepared.session.state().config_options().extensions.get::<Options>().cloned().unwrap_or_default();
    let rows_max = match prepared.removals.on_removed {
        OnRemoved::Delete => usize::try_from(options.delete_rows_max).unwrap_or(SET_ROWS).clamp(1, SET_ROWS),
        _ => SET_ROWS,
    };
    let mut removed = Removed::default();
    // If this process ends in the middle, whoever comes back meanwhile is sent again, and the others are removed again.
    append(left, RowFate::InDoubt, false, ledger, lease, run_id).await?;
    for part in left.chunks(rows_max) {
        let (fates, written) = write(prepared, part, run_id).await?;
        let taken = taken(part, &fates, &prepared.removals.on_removed, &mut removed);
        note(&taken, ledger, lease, run_id).await?;
        if let Err(error) = written {
            removed.error = Some(error);
            break;
        }
    }
    Ok(removed)
}

/// Runs one statement, and tells the fates that it told.
async fn write(prepared: &Prepared, part: &[Left], run_id: &str) -> Result<(HashMap<u64, Option<Fate>>, Result<()>)> {
    let fates = Arc::new(Mutex::new(HashMap::new()));
    let told = Arc::clone(&fates);
    let watch = FateWatch::new(move |rows| told.lock().unwrap_or_else(PoisonError::into_inner).extend(rows.rows.iter().copied()));
    let session = watched_by(&prepared.session, watch);
    let identifier = prepared.removals.identifier.as_str();
    let batch = rows_of(part, identifier)?;
    let written = match &prepared.removals.on_removed {
        OnRemoved::Ignore => Ok(()),
        OnRemoved::Delete => erase(&session, batch, &prepared.into, identifier, run_id).await,
        OnRemoved::Set(properties) => {
            let values = properties.iter().filter_map(|(_, value)| literal(value)).collect();
            let frame = session.read_batch(batch)?.select(columns_of(identifier, properties, values))?;
            frame.write_table(&prepared.into, DataFrameWriteOptions::new()).await.map(drop)
        }
    };
    let fates = std::mem::take(&mut *fates.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((fates, written.map_err(Error::from)))
}

async fn erase(session: &SessionContext, batch: RecordBatch, into: &str, identifier: &str, run_id: &str) -> Result<(), DataFusionError> {
    // A statement names its tables; this one's is nobody else's, and goes with it.
    let name = format!("__clevertap_left_{}", run_id.replace('-', ""));
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    session.register_table(name.as_str(), Arc::new(table))?;
    let _goes = Registered { session, name: &name };
    let sql = delete(into, identifier, &format!("(SELECT {} FROM {name})", quoted(identifier)));
    session.clevertap_sql(&sql).await?.collect().await.map(drop)
}

struct Registered<'s> {
    session: &'s SessionContext,
    name: &'s str,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        // It is there, or nobody needs it.
        self.session.deregister_table(self.name).ok();
    }
}

/// Counts the fates; and who of them is removed. The rows of a deletion are told in an order of its own: all of them are, or nobody is known to be.
fn taken(part: &[Left], fates: &HashMap<u64, Option<Fate>>, on_removed: &OnRemoved, removed: &mut Removed) -> Vec<Left> {
    let count = |of: Option<Fate>| fates.values().filter(|fate| **fate == of).count() as u64;
    removed.accepted += count(None);
    removed.rejected += count(Some(Fate::Rejected));
    removed.in_doubt += count(Some(Fate::InDoubt));
    let is_taken = |at: usize| fates.get(&(at as u64 + 1)) == Some(&None);
    match on_removed {
        OnRemoved::Delete if count(None) == part.len() as u64 => part.to_vec(),
        OnRemoved::Set(_) => part.iter().enumerate().filter(|(at, _)| is_taken(*at)).map(|(_, left)| left.clone()).collect(),
        OnRemoved::Ignore | OnRemoved::Delete => Vec::new(),
    }
}
