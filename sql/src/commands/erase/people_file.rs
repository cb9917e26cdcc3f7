//! `--file`: the people to erase, from a file.
//!
//! In: a CSV, NDJSON or Parquet file, a folder or a bucket. Out: one key a row, each once. Cells of CSV are read as text, since `00123`
//! is not the person `123`; for the same reason a column of another type than text or whole numbers is refused. A folder is refused if a
//! file in it would be skipped.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Schema};
use clevertap_files::csv::NULL_MARKS;
use futures::TryStreamExt;

use super::super::person_key::{KeyKind, PersonKey};
use crate::{
    engine::session::Session,
    failure::{Failure, Result},
    literals::{cell, literal},
};

/// The keys of a file.
#[derive(Debug, Default)]
pub(crate) struct PeopleOfFile {
    pub(crate) keys: BTreeSet<PersonKey>,
    pub(crate) rows: u64,
    /// Rows that name nobody.
    pub(crate) empty: u64,
}

/// Reads the keys of the file at `path`: of each row the first of identity, object_id and email that is there.
///
/// # Errors
/// [`Failure::Failed`] if it cannot be read, has none of these columns, one of a type that an identifier cannot have, or a mark for no value
/// where a key should be.
pub(crate) async fn read(session: &Session, path: &str) -> Result<PeopleOfFile> {
    let from = path_literal(path);
    let frame = session.sql(&format!("SELECT * FROM {from}")).await?;
    let columns = columns(frame.schema().as_arrow(), path)?;
    let list: Vec<_> =
        columns.iter().map(|(kind, name)| format!("CAST(\"{}\" AS VARCHAR) AS {}", name.replace('"', "\"\""), kind.column())).collect();
    let frame = session.sql(&format!("SELECT {} FROM {from}", list.join(", "))).await?;
    let mut batches = frame.execute_stream().await?;
    let mut keys = PeopleOfFile::default();
    while let Some(batch) = batches.try_next().await? {
        for row in 0..batch.num_rows() {
            keys.rows += 1;
            let mut key = None;
            for (kind, _) in &columns {
                if let Some(value) = cell(&batch, kind.column(), row)?.filter(|value| !value.is_empty()) {
                    if NULL_MARKS.contains(&value.as_str()) {
                        return Err(a_null_mark(path, keys.rows, *kind));
                    }
                    key = Some(PersonKey::new(*kind, value));
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

/// The refusal of a file that says of a person that there is none: whom it means is not guessed.
fn a_null_mark(path: &str, row: u64, kind: KeyKind) -> Failure {
    Failure::Failed(format!(
        "{path}, row {row}: column \"{}\" has a mark such as NULL or \\N, which names nobody. Empty such cells, or leave the rows out; somebody who \
         is called so is named by --{}",
        kind.column(),
        kind.column().replace('_', "-")
    ))
}

/// The path as a literal; with a slash, so that it is a path whatever its ending.
fn path_literal(path: &str) -> String {
    let bare = !path.contains(['/', '\\']);
    literal(&if bare { format!("./{path}") } else { path.to_owned() })
}

/// The columns that name people, the most certain first.
fn columns(schema: &Schema, path: &str) -> Result<Vec<(KeyKind, String)>> {
    let mut columns = Vec::new();
    for kind in KeyKind::ALL {
        let named = |name: &str| name.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(kind.column());
        let mut fields = schema.fields().iter().filter(|field| named(field.name()));
        let Some(field) = fields.next() else { continue };
        if fields.next().is_some() {
            return Err(Failure::Failed(format!("{path} has two columns \"{}\"; expected one", kind.column())));
        }
        let data_type = field.data_type();
        let values = if let DataType::Dictionary(_, values) = data_type { values } else { data_type };
        if !(values.is_string() || values.is_integer() || values.is_null()) {
            return Err(Failure::Failed(format!(
                "{path}: column \"{}\" has type {data_type}; an identifier is text or a whole number: another person may have what is left of it",
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
