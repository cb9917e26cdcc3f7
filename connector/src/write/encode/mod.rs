//! Arrow batches to records: bytes of JSON, one record a row, and the rows that cannot be one.
//!
//! In: a [`Mapping`], the source's schema, [`Rules`]; then batches. Out: [`Encoded`]. No body, no request, no network here.
//!
//! ```text
//! schema  -> compile  (types: which type may be what)           once a statement -> Plan
//! batch   -> bind     (time: to epoch seconds)                  once a batch     -> typed columns
//!         -> fragment (a dictionary's values, written once)
//! row     -> row -> field -> value -> cell                      bytes, or a problem (reject)
//!                       \-> properties -> json                   keys that become fields
//! ```
//!
//! What the types decide is decided when the plan is compiled, what a column decides when a batch is bound, and a row meets only
//! what its values decide. A row that cannot be sent takes back its bytes and is written again, slowly, for its reader.

mod bind;
mod cell;
mod compile;
mod field;
mod fragment;
mod json;
mod properties;
mod reject;
mod row;
#[cfg(test)]
mod tests;
mod time;
mod types;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use chrono_tz::Tz;
use serde_json::value::RawValue;

use self::compile::Plan;
use self::field::State;
use self::reject::{CUT, MANY_PROPERTIES, TEXT_BYTES_MAX};
use crate::error::{Error, Result};
use crate::options::{LongValues, NaiveTime, Nulls};
use crate::table::Again;
use crate::write::mapping::Mapping;

/// How values become JSON, by the session's options.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) nulls: Nulls,
    pub(crate) nested: bool,
    pub(crate) naive_time: NaiveTime,
    pub(crate) long_values: LongValues,
    /// The project's time zone, if the account has one.
    pub(crate) time_zone: Option<Tz>,
}

/// Encodes batches of one schema.
#[derive(Debug)]
pub(crate) struct Encoder {
    mapping: Mapping,
    rules: Rules,
    schema: SchemaRef,
    plan: Plan,
    state: State,
    /// Bytes of a record, as they were so far.
    record_bytes: usize,
}

/// What a batch became.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    /// The records, one after the other, without anything between them.
    pub(crate) bytes: Vec<u8>,
    /// One for each row of the batch, in its order.
    pub(crate) rows: Vec<Row>,
    /// What was done to rows that are sent all the same.
    pub(crate) warnings: Vec<Warning>,
}

/// What a row became.
#[derive(Debug)]
pub(crate) enum Row {
    /// A record in [`Encoded::bytes`].
    Record(Record),
    /// Nothing: it is rejected here.
    Reject(Box<Reject>),
}

/// A record of [`Encoded::bytes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its first byte.
    pub(crate) start: usize,
    /// The byte after its last.
    pub(crate) end: usize,
    /// What happens if it is stored twice: the table's answer, or `Duplicates` for a record with `$incr` or `$decr`.
    pub(crate) again: Again,
    /// Hash of its identifier, seeded the same in the whole process: equal identifiers have equal hashes.
    pub(crate) identity: u64,
}

/// A row that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    /// `CT-5nn`.
    pub(crate) code: &'static str,
    /// The source column.
    pub(crate) column: String,
    /// The shape of the problem and what was expected; no value of a person.
    pub(crate) reason: String,
    /// The row's identifier, if it has one.
    pub(crate) identifier: Option<String>,
    /// The record as it would have been sent, with the offending value as text.
    pub(crate) record: String,
}

/// Something done to rows that are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// `CT-6nn`.
    pub(crate) code: &'static str,
    /// The source column.
    pub(crate) column: String,
    /// How many rows.
    pub(crate) rows: u64,
    /// One sentence.
    pub(crate) message: String,
}

impl Encoder {
    /// Compiles `schema` under `mapping`.
    ///
    /// # Errors
    /// [`crate::Error::Unwritable`] names a column whose type cannot be sent, and the remedy.
    pub(crate) fn new(mapping: &Mapping, schema: &Schema, rules: &Rules) -> Result<Self> {
        let plan = Plan::new(mapping, schema, rules)?;
        let state = State::of(&plan);
        Ok(Self { mapping: mapping.clone(), rules: rules.clone(), schema: Arc::new(schema.clone()), plan, state, record_bytes: 128 })
    }

    /// Encodes `batch`, whose columns are those compiled.
    ///
    /// # Errors
    /// [`crate::Error::Unwritable`] if a column has another type than was compiled, and that type cannot be sent.
    pub(crate) fn encode(&mut self, batch: &RecordBatch) -> Result<Encoded> {
        self.follow(batch)?;
        let columns = fragment::bind(&self.plan, &mut self.state, batch)
            .map_err(|error| Error::Unwritable(format!("a column cannot be read: {error}; CAST it to another type")))?;
        let mut bytes = Vec::with_capacity(batch.num_rows() * (self.record_bytes + self.record_bytes / 8));
        let mut cuts = vec![0; self.plan.fields.len()];
        let (mut many, mut many_at) = (0, None);
        let rows = (0..batch.num_rows())
            .map(|row| {
                let start = bytes.len();
                if row::write(&self.plan, &columns, row, &mut self.state, &mut bytes).is_err() {
                    bytes.truncate(start);
                    return Row::Reject(Box::new(row::reject(&self.plan, &columns, row, &mut self.state)));
                }
                for field in &self.state.cuts {
                    cuts[*field] += 1;
                }
                if self.plan.open.is_some_and(|open| self.state.count > open.fields_warn) {
                    many += 1;
                    many_at = many_at.or(self.state.warned);
                }
                let again = if self.state.duplicates { Again::Duplicates } else { self.plan.again };
                Row::Record(Record { start, end: bytes.len(), again, identity: self.state.identity })
            })
            .collect();
        if batch.num_rows() > 0 {
            self.record_bytes = (bytes.len() / batch.num_rows()).max(64);
        }
        let warnings = self.warnings(&cuts, many, many_at);
        Ok(Encoded { bytes, rows, warnings })
    }

    /// Compiles again where a batch has other types than the plan that announced it: sources do (a view for a text, an item that
    /// may be NULL), and a value that its role does not know would be lost.
    fn follow(&mut self, batch: &RecordBatch) -> Result<()> {
        let schema = batch.schema_ref();
        if Arc::ptr_eq(schema, &self.schema) {
            return Ok(());
        }
        if schema.fields().len() != self.schema.fields().len() {
            let (found, announced) = (schema.fields().len(), self.schema.fields().len());
            let table = self.mapping.qualified();
            return Err(Error::Unwritable(format!(
                "{table}: the source announced {announced} columns and sent {found}; report its provider"
            )));
        }
        let types = |schema: &SchemaRef| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        if types(schema) != types(&self.schema) {
            self.plan = Plan::new(&self.mapping, schema, &self.rules)?;
            self.state = State::of(&self.plan);
        }
        self.schema = Arc::clone(schema);
        Ok(())
    }

    fn warnings(&self, cuts: &[u64], many: u64, many_at: Option<usize>) -> Vec<Warning> {
        let mut warnings: Vec<Warning> = Vec::new();
        for (field, rows) in self.plan.fields.iter().zip(cuts).filter(|(_, rows)| **rows > 0) {
            let inside = if field.member.is_some() { format!(" at the key \"{}\"", field.name) } else { String::new() };
            warnings.push(Warning {
                code: CUT,
                column: field.column.clone(),
                rows: *rows,
                message: format!("column \"{}\"{inside} has texts over {TEXT_BYTES_MAX} bytes, which were cut", field.column),
            });
        }
        if let (Some(field), Some(open)) = (many_at, &self.plan.open) {
            let column = self.plan.fields[field].column.clone();
            let message = format!(
                "rows have more than {} properties; CleverTap drops those above unless the project's limit was raised",
                open.fields_warn
            );
            warnings.push(Warning { code: MANY_PROPERTIES, column, rows: many, message });
        }
        warnings
    }
}

/// The identifier of a record that this room wrote.
pub(crate) fn identifier_of(mapping: &Mapping, record: &[u8]) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(record).ok()?;
    let identifier = mapping.identifiers().find_map(|field| fields.get(field.key.as_str()))?;
    serde_json::from_str(identifier.get()).ok()
}
