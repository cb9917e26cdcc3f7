//! Rows as they would be sent, for who compares them with what was sent before.
//!
//! In: a table of CleverTap, as the session has it, and the schema of a source. Out: for each row the record that an INSERT would send, or why
//! it would send none. Nothing is sent.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use serde_json::value::RawValue;

use crate::account::Account;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::relation::Relation;
use crate::table::{BodyForm, Resend, Shape, Write};
use crate::write::encode::{Encoder, Page, Row};
use crate::write::job::{Job, WriteStatement};
use crate::write::mapping::MappedField;

/// Rows that are encoded before their records are handed on.
const CHUNK_ROWS: usize = 1_024;

/// What a row would send.
#[derive(Debug)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// A record, as JSON. Its fields stand in the order of their names, whatever the order of the columns is.
    Record {
        /// The record.
        json: &'a [u8],
        /// Whether a second copy of it would be stored, if it were sent twice: an event, or a number that is changed by `$incr`.
        appends: bool,
    },
    /// Nothing: an INSERT rejects the row.
    Rejected {
        /// `CT-5nn`.
        code: &'static str,
    },
}

/// What a table does with what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableKind {
    /// Each row is a state: sent twice, it is the same.
    State,
    /// Each row is stored once more: events.
    Append,
    /// What is sent is erased: demerges, phone numbers.
    Erase,
    /// Rows are members of lists, and a list is sent whole.
    List,
}

/// Encodes rows as an INSERT into one table would.
#[derive(Debug)]
pub struct PayloadEncoder {
    relation: Relation,
    encoder: Encoder,
    /// The columns of the source, in the order of their fields.
    order: Vec<usize>,
    identifier: usize,
    fields: Vec<String>,
    /// Whether the keys of a value become fields.
    unfolds: bool,
    body_rows_max: usize,
    page: Page,
    rows: Vec<Row>,
}

impl PayloadEncoder {
    /// Maps `source` onto `relation`.
    pub(crate) fn new(relation: &Relation, options: &Options, source: &Schema) -> Result<Self> {
        let statement = WriteStatement::default();
        let job = Job::new(&statement, relation, source, options)?;
        let mut fields: Vec<_> = job.mapping.fields.iter().collect();
        fields.sort_by_key(|field| (field.parent, field.key.clone(), field.name.clone()));
        let order: Vec<usize> = fields.iter().map(|field| field.source).collect();
        let label = |field: &&MappedField| {
            if field.key.is_empty() { field.name.clone() } else { field.key.clone() }
        };
        let names = fields.iter().map(label).collect();
        let unfolds = fields.iter().any(|field| field.shape == Shape::Properties);
        let identifier = job.mapping.identifier().source;
        let ordered = projected(source, &order)?;
        let job = Job::new(&statement, relation, &ordered, options)?;
        let encoder = Encoder::new(&job.mapping, &ordered, &job.rules)?;
        let body_rows_max = match relation.table.write {
            Some(Write::Batch { rows_max, .. }) => options.body_rows_max.min(rows_max),
            _ => options.body_rows_max,
        };
        let (relation, page) = (relation.clone(), Page::default());
        Ok(Self { relation, encoder, order, identifier, fields: names, unfolds, body_rows_max, page, rows: Vec::new() })
    }

    /// The column of the source that says whose row it is.
    #[must_use]
    pub fn identifier(&self) -> usize {
        self.identifier
    }

    /// The fields of a record, in their order; of a column whose keys become fields, its own name.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The table as it is registered: `clevertap.profiles`.
    #[must_use]
    pub fn table(&self) -> String {
        self.relation.qualified()
    }

    /// The account's id.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.relation.account
    }

    /// Rows of one request, at most: by the table and `clevertap.body_rows_max`.
    #[must_use]
    pub fn body_rows_max(&self) -> usize {
        self.body_rows_max
    }

    /// What the table does with what it is sent.
    #[must_use]
    pub fn kind(&self) -> TableKind {
        match self.relation.table.write {
            Some(Write::List(_)) => TableKind::List,
            Some(Write::Batch { form: BodyForm::Keys, .. }) => TableKind::Erase,
            Some(Write::Batch { resend: Resend::Appends, .. }) => TableKind::Append,
            Some(Write::Batch { .. }) | None => TableKind::State,
        }
    }

    /// Calls `each` for every row of `batch`, in order.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if a column cannot be read.
    pub fn encode(&mut self, batch: &RecordBatch, mut each: impl FnMut(Payload<'_>)) -> Result<()> {
        let ordered = batch.project(&self.order).map_err(|error| Error::Unwritable(format!("the source has other columns: {error}")))?;
        let mut batch = self.encoder.begin(&ordered)?;
        let page = &mut self.page;
        while !batch.is_written() {
            page.truncate(0);
            self.encoder.write(&mut batch, CHUNK_ROWS, page, &mut self.rows);
            for row in self.rows.drain(..) {
                match row {
                    Row::Record(record) => {
                        let json = &page.written()[record.range()];
                        let appends = record.resend == Resend::Appends;
                        match self.unfolds.then(|| in_order(json)).flatten() {
                            Some(ordered) => each(Payload::Record { json: &ordered, appends }),
                            None => each(Payload::Record { json, appends }),
                        }
                    }
                    Row::Reject(reject) => each(Payload::Rejected { code: reject.code }),
                }
            }
        }
        Ok(())
    }
}

fn projected(source: &Schema, order: &[usize]) -> Result<Schema> {
    source.project(order).map_err(|error| Error::Unwritable(error.to_string()))
}

/// The record with the keys of its objects in the order of their names: `properties` gives them in that of each value.
fn in_order(json: &[u8]) -> Option<Vec<u8>> {
    type Object<'a> = BTreeMap<String, &'a RawValue>;
    let record: Object<'_> = serde_json::from_slice(json).ok()?;
    let mut out = vec![b'{'];
    for (at, (key, value)) in record.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, key).ok()?;
        out.push(b':');
        match serde_json::from_str::<Object<'_>>(value.get()) {
            Ok(inner) => serde_json::to_writer(&mut out, &inner).ok()?,
            Err(_) => out.extend_from_slice(value.get().as_bytes()),
        }
    }
    out.push(b'}');
    Some(out)
}
