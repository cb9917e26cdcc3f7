//! People of a file who are to be erased.
//!
//! In: a CSV, NDJSON or Parquet file, a folder or a bucket. Out: one key a row, each once. Cells of CSV are text as they stand there,
//! since `00123` is not the person `123`; a column of another type than text or whole numbers is refused, for the same reason, and so
//! is NDJSON that mixes both. A folder is refused if a file in it would be left out.

use std::collections::BTreeSet;

use arrow::{
    datatypes::{DataType, Schema},
    error::ArrowError,
};
use datafusion::error::DataFusionError;
use futures::TryStreamExt;

use crate::{
    failure::{Failure, Result},
    people::{Key, Kind, cell, literal},
    session::Session,
};

/// The keys of a file.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) keys: BTreeSet<Key>,
    pub(crate) rows: u64,
    /// Rows that name nobody.
    pub(crate) empty: u64,
}

/// Reads the keys of the file at `path`: of each row the first of identity, object_id and email that is there.
///
/// # Errors
/// [`Failure::Failed`] if it cannot be read, has none of these columns, or one of a type that an identifier cannot have.
pub(crate) async fn keys(session: &Session, path: &str) -> Result<Keys> {
    let from = path_literal(path);
    let unread = |error| unread(path, error);
    let frame = session.sql(&format!("SELECT * FROM {from}")).await.map_err(unread)?;
    let columns = columns(frame.schema().as_arrow(), path)?;
    let list: Vec<_> =
        columns.iter().map(|(kind, name)| format!("CAST(\"{}\" AS VARCHAR) AS {}", name.replace('"', "\"\""), kind.column())).collect();
    let frame = session.sql(&format!("SELECT {} FROM {from}", list.join(", "))).await.map_err(unread)?;
    let mut batches = frame.execute_stream().await.map_err(unread)?;
    let mut keys = Keys::default();
    while let Some(batch) = batches.try_next().await.map_err(unread)? {
        for row in 0..batch.num_rows() {
            keys.rows += 1;
            let mut key = None;
            for (kind, _) in &columns {
                if let Some(value) = cell(&batch, kind.column(), row)?.filter(|value| !value.is_empty()) {
                    key = Some(Key::new(*kind, value));
                    break;
                }
            }
            match key {
                Some(key) => drop(keys.keys.insert(key)),
                None => keys.empty += 1,
            }
        }
    }
    Ok(keys)
}

/// Why a file was not read. Of NDJSON not in Arrow's words, which hold the value.
fn unread(path: &str, error: DataFusionError) -> Failure {
    match error.find_root() {
        DataFusionError::ArrowError(inner, _) if matches!(**inner, ArrowError::JsonError(_)) => Failure::Failed(format!(
            "{path} was not read as NDJSON: each line must be an object, and each of identity, object_id and email all text or all whole numbers"
        )),
        _ => error.into(),
    }
}

/// A file by its path, which needs a slash to be taken for one where its ending says nothing.
fn path_literal(path: &str) -> String {
    let bare = !path.contains(['/', '\\']);
    literal(&if bare { format!("./{path}") } else { path.to_owned() })
}

/// Which columns name people, in the order in which they are asked.
fn columns(schema: &Schema, path: &str) -> Result<Vec<(Kind, String)>> {
    let mut columns = Vec::new();
    for kind in Kind::ALL {
        let named = |name: &str| name.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(kind.column());
        let mut fields = schema.fields().iter().filter(|field| named(field.name()));
        let Some(field) = fields.next() else { continue };
        if fields.next().is_some() {
            return Err(Failure::Failed(format!("{path} has two columns \"{}\"; expected one", kind.column())));
        }
        let kinds = field.data_type();
        let values = if let DataType::Dictionary(_, values) = kinds { values } else { kinds };
        if !(values.is_string() || values.is_integer() || values.is_null()) {
            return Err(Failure::Failed(format!(
                "{path}: column \"{}\" has type {kinds}; an identifier is text or a whole number: another person may have what is left of it",
                field.name()
            )));
        }
        columns.push((kind, field.name().clone()));
    }
    if columns.is_empty() {
        let found: Vec<_> = schema.fields().iter().take(20).map(|field| format!("\"{}\"", field.name())).collect();
        return Err(Failure::Failed(format!(
            "{path} names nobody: expected a column identity, object_id or email, and its columns are {}",
            found.join(", ")
        )));
    }
    Ok(columns)
}
