//! Encodes Arrow batches as records: bytes of JSON, one record per row, and rejects for the rows that cannot be encoded.
//!
//! In: a [`Mapping`], the source's schema and [`Rules`]; then batches. Out: records in a [`Page`], and a [`Row`] for each. Nothing
//! here builds a body, makes a request or touches the network.
//!
//! ```text
//! schema  -> compile  (types: which type may be what)           once a statement -> Plan
//! batch   -> bind     (time: to epoch seconds)                  once a batch     -> typed columns
//!         -> fragment (a dictionary's values, written once)
//! row     -> row -> field -> value -> cell                      bytes, or a problem (reject)
//!                       \-> properties -> json                   keys that become fields
//! ```
//!
//! What depends only on the types is decided when the plan is compiled. What depends on a column is decided when a batch is bound.
//! Per row, only its values are looked at. When a row cannot be sent, its bytes are removed, and a slower path writes it again to
//! explain the reject.

mod avx2;
mod bind;
mod block;
mod bound;
mod cell;
mod columns;
mod compile;
mod context;
mod digits;
mod field;
mod fragment;
mod json;
mod json_text;
mod kernels;
mod names;
mod numbers;
mod page;
mod passes;
mod properties;
mod record_plan;
mod records;
mod reject;
mod role;
mod row;
mod standard;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod types;
mod value;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use serde_json::value::RawValue;

use self::block::{Block, BlockRow};
use self::bound::Bound;
pub(crate) use self::context::Rules;
pub(crate) use self::page::Page;
use self::record_plan::Plan;
pub(crate) use self::records::RECORD;
pub(crate) use self::reject::Reject;
use self::reject::{CUT, MANY_PROPERTIES, NAIVE, TEXT_BYTES_MAX};
pub(crate) use self::role::Operator;
use self::state::RowState;
use crate::cpu::Avx2;
use crate::error::{Error, Result};
use crate::runs::Warning;
use crate::table::Resend;
use crate::write::mapping::Mapping;

/// Encodes batches of one schema.
#[derive(Debug)]
pub(crate) struct Encoder {
    mapping: Mapping,
    rules: Rules,
    schema: SchemaRef,
    plan: Plan,
    state: RowState,
    block: Block,
    avx2: Option<Avx2>,
    /// Whether its batches hold records.
    is_of_records: bool,
    /// Mean size of a record in the last call, to reserve room in the page.
    record_bytes: usize,
}

/// The result of encoding one row.
#[derive(Debug)]
pub(crate) enum Row {
    /// A record in the page.
    Record(Record),
    /// The row cannot be sent.
    Reject(Box<Reject>),
}

/// The byte range of a record in its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) start: u32,
    /// Exclusive.
    pub(crate) end: u32,
    /// What happens if it is stored twice: the table's value, or `Appends` for a record with `$incr` or `$decr`.
    pub(crate) resend: Resend,
    /// Hash of its identifier, which a table uses that keeps the records of one identity in order. Equal identifiers have equal
    /// hashes.
    pub(crate) identity: u64,
}

impl Record {
    /// Offsets fit `u32`: a page holds no more rows than one body, far below 4 GiB.
    pub(crate) fn new(start: usize, end: usize, resend: Resend, identity: u64) -> Self {
        Self { start: start as u32, end: end as u32, resend, identity }
    }

    /// Byte range in the page.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A batch that is being written.
#[derive(Debug)]
pub(crate) struct Batch {
    columns: Vec<Bound>,
    /// Records that were encoded before, in place of the columns.
    records: Option<StringArray>,
    rows: usize,
    /// The next row to write.
    next: usize,
    /// Per field, the number of rows with a text that was cut.
    cuts: Vec<u64>,
    /// Rows with more fields than the warning limit, and the field at which the first of them exceeded it.
    warned_rows: u64,
    warned_field: Option<usize>,
}

impl Batch {
    /// Whether every row is written.
    pub(crate) fn is_written(&self) -> bool {
        self.next == self.rows
    }

    /// Writes one row on its own.
    fn row(&mut self, plan: &Plan, state: &mut RowState, row: usize, page: &mut Page) -> Row {
        let mut out = std::mem::take(&mut state.cell);
        out.clear();
        let written = row::write(plan, &self.columns, row, state, &mut out);
        let outcome = if written.is_ok() {
            for field in &state.cuts {
                self.cuts[*field] += 1;
            }
            if plan.open.is_some_and(|open| state.count > open.fields_warn) {
                self.warned_rows += 1;
                self.warned_field = self.warned_field.or(state.warned);
            }
            let resend = if state.duplicates { Resend::Appends } else { plan.resend };
            let start = page.len();
            page.push(&out);
            page.push(b",");
            Row::Record(Record::new(start, start + out.len(), resend, state.identity))
        } else {
            Row::Reject(Box::new(row::reject(plan, &self.columns, row, state)))
        };
        state.cell = out;
        outcome
    }
}

impl Encoder {
    /// Compiles `schema` under `mapping`.
    ///
    /// # Errors
    /// [`crate::Error::Unwritable`] names a column that has a type which cannot be sent, and the remedy.
    pub(crate) fn new(mapping: &Mapping, schema: &Schema, rules: &Rules) -> Result<Self> {
        let plan = Plan::new(mapping, schema, rules)?;
        let state = RowState::of(&plan);
        let block = Block::new(plan.row_bytes());
        let (mapping, rules, schema) = (mapping.clone(), rules.clone(), Arc::new(schema.clone()));
        Ok(Self { mapping, rules, schema, plan, state, block, avx2: Avx2::detect(), is_of_records: false, record_bytes: 128 })
    }

    /// Takes one column of records, which fit `mapping`.
    pub(crate) fn of_records(self) -> Self {
        Self { is_of_records: true, ..self }
    }

    /// Begins `batch`, which has the columns of the compiled schema.
    ///
    /// # Errors
    /// [`crate::Error::Unwritable`] if a column has a type other than the compiled one, and that type cannot be sent.
    pub(crate) fn begin(&mut self, batch: &RecordBatch) -> Result<Batch> {
        if self.is_of_records {
            let records =
                cast(batch.column(0), &DataType::Utf8).map_err(|error| Error::Unwritable(format!("records are no text: {error}")))?;
            let cuts = vec![0; self.plan.fields.len()];
            let records = Some(records.as_string().clone());
            return Ok(Batch { columns: Vec::new(), records, rows: batch.num_rows(), next: 0, cuts, warned_rows: 0, warned_field: None });
        }
        self.recompile_if_changed(batch)?;
        let columns = bound::bind(&self.plan, &mut self.state, batch)
            .map_err(|error| Error::Unwritable(format!("a column cannot be read: {error}; CAST it to another type")))?;
        let (rows, cuts) = (batch.num_rows(), vec![0; self.plan.fields.len()]);
        Ok(Batch { columns, records: None, rows, next: 0, cuts, warned_rows: 0, warned_field: None })
    }

    /// Appends up to `rows_max` next rows of `batch` to `page`, each record followed by a comma, and pushes the result of each row to
    /// `rows`.
    pub(crate) fn write(&mut self, batch: &mut Batch, rows_max: usize, page: &mut Page, rows: &mut Vec<Row>) {
        let last = batch.rows.min(batch.next.saturating_add(rows_max));
        rows.reserve(last - batch.next);
        page.reserve((last - batch.next) * (self.record_bytes + self.record_bytes / 8));
        let (start, first) = (page.len(), batch.next);
        while batch.next < last {
            if let Some(records) = &batch.records {
                rows.push(self.record(if records.is_valid(batch.next) { records.value(batch.next).trim() } else { "" }, page));
                batch.next += 1;
                continue;
            }
            match &self.plan.passes {
                Some(passes) => {
                    let count = self.block.rows_max().min(last - batch.next);
                    self.block.begin(count);
                    columns::write(self.avx2, &mut self.block, &self.plan, passes, &batch.columns, &mut self.state, batch.next);
                    let (plan, state) = (&self.plan, &mut self.state);
                    // Two `push` calls on purpose: a single shared one would build the row in memory first.
                    self.block.copy_to(page, |row| match row {
                        BlockRow::Written { at, start, end } => {
                            let resend = if self.block.duplicates >> at & 1 == 1 { Resend::Appends } else { plan.resend };
                            rows.push(Row::Record(Record::new(start, end, resend, self.block.identities[at])));
                        }
                        BlockRow::Deferred { page, at } => {
                            let encoded = batch.row(plan, state, batch.next + at, page);
                            rows.push(encoded);
                        }
                    });
                    batch.next += self.block.rows();
                }
                None => {
                    rows.push(batch.row(&self.plan, &mut self.state, batch.next, page));
                    batch.next += 1;
                }
            }
        }
        if last > first {
            self.record_bytes = ((page.len() - start) / (last - first)).max(64);
        }
    }

    /// Writes a record as it is.
    fn record(&self, record: &str, page: &mut Page) -> Row {
        let Some(identifier) = identifier_of(&self.mapping, record.as_bytes()) else {
            return Row::Reject(Box::new(records::no_record(record)));
        };
        let start = page.len();
        page.push(record.as_bytes());
        page.push(b",");
        let resend = records::resend(record, self.plan.resend);
        Row::Record(Record::new(start, start + record.len(), resend, field::hash(identifier.as_bytes())))
    }

    /// Warnings about rows of `batch` that are sent although something was changed or may be dropped.
    pub(crate) fn end(&self, batch: &Batch) -> Vec<Warning> {
        let mut warnings = self.warnings(&batch.cuts, batch.warned_rows, batch.warned_field);
        if batch.rows > 0 && batch.records.is_none() {
            warnings.extend(self.plan.naive.iter().map(|(column, written_as)| {
                let zone = written_as.as_ref().map(|column| format!("write \"{column}\" AT TIME ZONE 'UTC' or another zone, or "));
                let message = format!(
                    "column \"{column}\" has times without a zone, which are read as UTC; {}SET clevertap.naive_time = 'project' for the \
                     project's",
                    zone.unwrap_or_default()
                );
                Warning { code: NAIVE, column: column.clone(), rows: batch.rows as u64, message }
            }));
        }
        warnings
    }

    /// Compiles again if the types of a batch differ from those that the source announced. Sources do this (a view instead of a text,
    /// an item that may be NULL), and a value that its role does not expect would be lost.
    fn recompile_if_changed(&mut self, batch: &RecordBatch) -> Result<()> {
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
            self.state = RowState::of(&self.plan);
            self.block = Block::new(self.plan.row_bytes());
        }
        self.schema = Arc::clone(schema);
        Ok(())
    }

    fn warnings(&self, cuts: &[u64], warned_rows: u64, warned_field: Option<usize>) -> Vec<Warning> {
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
        if let (Some(field), Some(open)) = (warned_field, &self.plan.open) {
            let column = self.plan.fields[field].column.clone();
            let message = format!(
                "rows have more than {} properties; CleverTap drops those above unless the project's limit was raised",
                open.fields_warn
            );
            warnings.push(Warning { code: MANY_PROPERTIES, column, rows: warned_rows, message });
        }
        warnings
    }
}

/// The identifier of a record written by this encoder.
pub(crate) fn identifier_of(mapping: &Mapping, record: &[u8]) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(record).ok()?;
    let identifier = mapping.identifiers().find_map(|field| fields.get(field.key.as_str()))?;
    serde_json::from_str(identifier.get()).ok()
}
