//! Arrow batches to records: bytes of JSON, one record a row, and the rows that cannot be one.
//!
//! In: a [`Mapping`], the source's schema, [`Rules`]; then batches. Out: records in a [`Page`], and a [`Row`] for each. No body, no request, no network here.
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
mod plan;
mod properties;
mod reject;
mod role;
mod row;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod types;
mod value;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use serde_json::value::RawValue;

use self::block::{Block, Laid};
use self::bound::Bound;
pub(crate) use self::context::Rules;
pub(crate) use self::page::Page;
use self::plan::Plan;
pub(crate) use self::reject::Reject;
use self::reject::{CUT, MANY_PROPERTIES, TEXT_BYTES_MAX};
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
    /// Bytes of a record, as they were so far.
    record_bytes: usize,
}

/// What a row became.
#[derive(Debug)]
pub(crate) enum Row {
    /// A record in the page.
    Record(Record),
    /// Nothing: it is rejected here.
    Reject(Box<Reject>),
}

/// Where a record is in its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its first byte.
    pub(crate) start: u32,
    /// The byte after its last.
    pub(crate) end: u32,
    /// What happens if it is stored twice: the table's answer, or `Appends` for a record with `$incr` or `$decr`.
    pub(crate) resend: Resend,
    /// Hash of its identifier, where the table keeps the order of one identity's records: equal identifiers have equal hashes.
    pub(crate) identity: u64,
}

impl Record {
    /// A page is far below 4 GiB: it holds no more rows than a body.
    pub(crate) fn new(start: usize, end: usize, resend: Resend, identity: u64) -> Self {
        Self { start: start as u32, end: end as u32, resend, identity }
    }

    /// Its bytes in the page.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A batch that is being written.
#[derive(Debug)]
pub(crate) struct Batch {
    columns: Vec<Bound>,
    rows: usize,
    /// The first row that is not yet written.
    next: usize,
    /// For each field, how many rows had a text cut.
    cuts: Vec<u64>,
    /// Rows with more fields than draw a warning, and the field that brought the first of them there.
    many: u64,
    many_at: Option<usize>,
}

impl Batch {
    /// Whether there are rows to write.
    pub(crate) fn is_written(&self) -> bool {
        self.next == self.rows
    }

    /// Writes one row by itself.
    fn row(&mut self, plan: &Plan, state: &mut RowState, row: usize, page: &mut Page) -> Row {
        let mut out = std::mem::take(&mut state.cell);
        out.clear();
        let written = row::write(plan, &self.columns, row, state, &mut out);
        let found = if written.is_ok() {
            for field in &state.cuts {
                self.cuts[*field] += 1;
            }
            if plan.open.is_some_and(|open| state.count > open.fields_warn) {
                self.many += 1;
                self.many_at = self.many_at.or(state.warned);
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
        found
    }
}

impl Encoder {
    /// Compiles `schema` under `mapping`.
    ///
    /// # Errors
    /// [`crate::Error::Unwritable`] names a column whose type cannot be sent, and the remedy.
    pub(crate) fn new(mapping: &Mapping, schema: &Schema, rules: &Rules) -> Result<Self> {
        let plan = Plan::new(mapping, schema, rules)?;
        let state = RowState::of(&plan);
        let block = Block::new(plan.row_bytes());
        let (mapping, rules, schema) = (mapping.clone(), rules.clone(), Arc::new(schema.clone()));
        Ok(Self { mapping, rules, schema, plan, state, block, avx2: Avx2::detect(), record_bytes: 128 })
    }

    /// Begins `batch`, whose columns are those compiled.
    ///
    /// # Errors
    /// [`crate::Error::Unwritable`] if a column has another type than was compiled, and that type cannot be sent.
    pub(crate) fn begin(&mut self, batch: &RecordBatch) -> Result<Batch> {
        self.follow(batch)?;
        let columns = bound::bind(&self.plan, &mut self.state, batch)
            .map_err(|error| Error::Unwritable(format!("a column cannot be read: {error}; CAST it to another type")))?;
        Ok(Batch { columns, rows: batch.num_rows(), next: 0, cuts: vec![0; self.plan.fields.len()], many: 0, many_at: None })
    }

    /// Writes the next rows of `batch`, `rows_max` at most, at the end of `page`, a comma behind each record; what became of them
    /// is added to `rows`.
    pub(crate) fn write(&mut self, batch: &mut Batch, rows_max: usize, page: &mut Page, rows: &mut Vec<Row>) {
        let last = batch.rows.min(batch.next.saturating_add(rows_max));
        rows.reserve(last - batch.next);
        page.reserve((last - batch.next) * (self.record_bytes + self.record_bytes / 8));
        let (begun, first) = (page.len(), batch.next);
        while batch.next < last {
            match &self.plan.passes {
                Some(passes) => {
                    let count = self.block.rows_max().min(last - batch.next);
                    self.block.begin(count);
                    columns::write(self.avx2, &mut self.block, &self.plan, passes, &batch.columns, &mut self.state, batch.next);
                    let (plan, state) = (&self.plan, &mut self.state);
                    // Each has a push of its own: one for both would put the row together in memory first.
                    self.block.lay(page, |laid| match laid {
                        Laid::Taken { at, start, end } => {
                            let resend = if self.block.duplicates >> at & 1 == 1 { Resend::Appends } else { plan.resend };
                            rows.push(Row::Record(Record::new(start, end, resend, self.block.identities[at])));
                        }
                        Laid::Left { page, at } => {
                            let row = batch.row(plan, state, batch.next + at, page);
                            rows.push(row);
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
            self.record_bytes = ((page.len() - begun) / (last - first)).max(64);
        }
    }

    /// What was done to rows of `batch` that are sent all the same.
    pub(crate) fn end(&self, batch: &Batch) -> Vec<Warning> {
        self.warnings(&batch.cuts, batch.many, batch.many_at)
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
            self.state = RowState::of(&self.plan);
            self.block = Block::new(self.plan.row_bytes());
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
