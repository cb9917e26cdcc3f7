//! From the columns of a scan to those of a page, and back to batches.
//!
//! In: a table's columns, those that a query projects, what is the same in every row. Out: the slots that the page decoder fills,
//! and batches of the query's schema.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, SchemaRef, TimestampSecondType};
use bytes::Bytes;
use chrono_tz::Tz;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use serde_json::Value;

use crate::error::Error;
use crate::options::TypeMismatch;
use crate::project_schema::TypedColumn;
use crate::read::decode::{Page, PageDecoder, PageError, Slot};
use crate::read::pushdown::ranges::{Bounds, days};
use crate::read::query::DayRange;
use crate::read::spec::Scan;
use crate::relation::Relation;
use crate::table::{Column, Kind, Source, ValueForm};

/// What is the same in every row: the filter columns of a request, by name.
pub(crate) type Constants = BTreeMap<&'static str, ScalarValue>;

/// What all rows of a range of days have in common: of one day, the day itself too.
pub(crate) fn of_days((first, last): DayRange) -> Constants {
    let day = |date| ScalarValue::Date32(i32::try_from(days(date)).ok());
    let own = (first == last).then(|| ("event_date", day(first)));
    [("from_date", day(first)), ("to_date", day(last))].into_iter().chain(own).collect()
}

/// Where a column of the query comes from.
#[derive(Debug, Clone)]
enum ColumnOrigin {
    /// The slot of the page.
    Slot(usize),
    /// The constant of this name; NULL where there is none.
    Constant(&'static str),
}

/// How the columns of a scan come out of pages.
#[derive(Debug, Clone)]
pub(crate) struct PageProjection {
    schema: SchemaRef,
    slots: Vec<Slot>,
    records: &'static str,
    origins: Vec<ColumnOrigin>,
    zone: Option<Tz>,
    /// The slot of the instants, where rows are kept by them.
    time: Option<usize>,
    /// The slot that tells people apart, where each is a row once.
    person: Option<usize>,
}

/// Which rows of a page are kept, besides what the filters above the scan do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RowFilter {
    /// All.
    #[default]
    All,
    /// Those inside of these instants.
    Inside(Bounds),
    /// The first of each person.
    NewPeople,
}

/// People that were seen: two hashes of each, so that no two are taken for one.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    people: HashSet<u128>,
    hashers: [RandomState; 2],
}

impl Seen {
    /// Whether somebody is new. Who has no name at all is.
    fn is_new(&mut self, person: Option<&str>) -> bool {
        let Some(person) = person else { return true };
        let [high, low] = &self.hashers;
        self.people.insert(u128::from(high.hash_one(person)) << 64 | u128::from(low.hash_one(person)))
    }
}

/// How records stand in a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordLayout {
    /// The key of the list of records.
    pub(crate) records: &'static str,
    /// The key of the record inside of each item, where it does not stand there itself.
    pub(crate) inside: Option<&'static str>,
    /// The column whose value is what was asked, which stands in each item under [`ASKED`].
    pub(crate) asked: Option<&'static str>,
}

/// The key of what was asked, in the pages that look-ups make of their answers.
pub(crate) const ASKED: &str = "asked";
/// The key of the records in the pages that are made here.
pub(crate) const RECORDS: &str = "records";
/// The key of a record in the pages that look-ups make of their answers.
pub(crate) const RECORD: &str = "record";
/// The key of the rest of a record, in the pages that are made here.
pub(crate) const REST: &str = "\u{0}rest";

/// Pages that are made here, of whole records.
pub(crate) const MADE: RecordLayout = RecordLayout { records: RECORDS, inside: None, asked: None };

impl PageProjection {
    /// How `projection` of `table` comes out, with what `keep` needs, projected or not.
    ///
    /// # Errors
    /// `Error::Setting` where an instant is projected or trimmed and there is no time zone.
    pub(crate) fn new(
        relation: &Relation,
        schema: &SchemaRef,
        projection: &[usize],
        layout: RecordLayout,
        keep: RowFilter,
    ) -> Result<Self> {
        let zone = relation.account.time_zone();
        let columns: Vec<&Column> = relation.table.read_columns().collect();
        let mut shape = Self {
            schema: Arc::clone(schema),
            slots: Vec::new(),
            records: layout.records,
            origins: Vec::new(),
            zone,
            time: None,
            person: None,
        };
        for &index in projection {
            let origin = match columns.get(index) {
                Some(column) if column.kind == Kind::Instant && zone.is_none() => return Err(Error::needs_time_zone().into()),
                Some(column) => shape.origin(column, layout),
                None => shape.add(slot_of(&relation.typed[index - columns.len()])),
            };
            if let (ColumnOrigin::Slot(slot), Some(column)) = (&origin, columns.get(index))
                && column.kind == Kind::Instant
            {
                shape.time = Some(*slot);
            }
            shape.origins.push(origin);
        }
        if keep == RowFilter::NewPeople {
            let named = ["identity", "object_id"].into_iter().filter_map(|name| columns.iter().find(|column| column.name == name));
            let pointers = named.flat_map(|column| match column.source {
                Source::Asked(pointers) | Source::Either(pointers) => pointers,
                _ => &[],
            });
            let paths = pointers.map(|pointer| steps(layout.inside, pointer)).collect();
            shape.person = Some(shape.slots.len());
            shape.add(Slot { name: "identity".into(), paths, form: ValueForm::Text });
        }
        if matches!(keep, RowFilter::Inside(_)) && shape.time.is_none() {
            let column = columns.iter().find(|column| column.kind == Kind::Instant);
            if let Some(ColumnOrigin::Slot(slot)) = column.map(|column| shape.origin(column, layout)) {
                shape.time = Some(slot);
            }
        }
        Ok(shape)
    }

    fn add(&mut self, slot: Slot) -> ColumnOrigin {
        self.slots.push(slot);
        ColumnOrigin::Slot(self.slots.len() - 1)
    }

    fn origin(&mut self, column: &Column, layout: RecordLayout) -> ColumnOrigin {
        let asked = layout.asked == Some(column.name);
        let paths: Vec<Vec<String>> = match column.source {
            Source::Filter | Source::Nowhere => return ColumnOrigin::Constant(column.name),
            Source::Asked(_) if asked => vec![vec![ASKED.to_owned()]],
            Source::At(pointer) => vec![steps(layout.inside, pointer)],
            Source::Asked(pointers) | Source::Either(pointers) => pointers.iter().map(|pointer| steps(layout.inside, pointer)).collect(),
            Source::Rest => vec![vec![REST.to_owned()]],
        };
        let form = match column.kind {
            Kind::Text => ValueForm::Text,
            Kind::Json => ValueForm::Json,
            Kind::Instant => ValueForm::PackedTime,
            Kind::Day => ValueForm::PackedDay,
            Kind::Count => ValueForm::Int64,
            Kind::Number => ValueForm::Float64,
        };
        self.add(Slot { name: column.name.to_owned(), paths, form })
    }

    /// A decoder of its pages.
    pub(crate) fn decoder(&self) -> PageDecoder {
        PageDecoder::new(self.slots.clone(), self.records, self.zone)
    }

    /// Notes the values of a page that did not fit their columns, as `clevertap.type_mismatch` says.
    ///
    /// # Errors
    /// `Error::Answer` where it says `error`.
    fn check_types(&self, page: &Page, scan: &Scan) -> Result<(), Error> {
        let table = scan.relation.qualified();
        for (Slot { name, .. }, count) in self.slots.iter().zip(&page.mismatches).filter(|(_, count)| **count > 0) {
            if scan.options.type_mismatch == TypeMismatch::Error {
                return Err(Error::Answer(format!(
                    "{table}: {count} values of column \"{name}\" are not of its type; SET clevertap.type_mismatch = 'null' reads them as NULL"
                )));
            }
            let message = format!("{table}: values of \"{name}\" are not of its type and read as NULL; the JSON columns hold them");
            scan.relation.account.runs_kept().warn_reader("CT-621", name, *count, message);
        }
        Ok(())
    }

    /// A page as rows of the query: those that are to be kept.
    ///
    /// # Errors
    /// `Error::Answer` for values that are not of their type, where the session says so; DataFusion's.
    pub(crate) fn batch(
        &self,
        page: &Page,
        constants: &Constants,
        scan: &Scan,
        keep: RowFilter,
        seen: &Mutex<Seen>,
    ) -> Result<RecordBatch> {
        self.check_types(page, scan)?;
        let columns = self.origins.iter().zip(self.schema.fields()).map(|(origin, field)| match origin {
            ColumnOrigin::Slot(slot) => Ok(Arc::clone(&page.columns[*slot])),
            ColumnOrigin::Constant(name) => match constants.get(name) {
                Some(value) => value.to_array_of_size(page.rows),
                None => Ok(new_null_array(field.data_type(), page.rows)),
            },
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(page.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let mask: BooleanArray = match (keep, self.time, self.person) {
            (RowFilter::Inside(span), Some(time), _) => {
                let inside = |second: &i64| span.first.is_none_or(|first| first <= *second) && span.last.is_none_or(|last| *second <= last);
                page.columns[time].as_primitive::<TimestampSecondType>().values().iter().map(|second| Some(inside(second))).collect()
            }
            (RowFilter::NewPeople, _, Some(person)) => {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                page.columns[person].as_string_view().iter().map(|person| Some(seen.is_new(person))).collect()
            }
            _ => return Ok(batch),
        };
        if mask.true_count() == page.rows { Ok(batch) } else { Ok(filter_record_batch(&batch, &mask)?) }
    }

    /// Records that were made here, as rows of the query.
    ///
    /// # Errors
    /// DataFusion's, or one that says that the answer of `call` is not what this version reads.
    pub(crate) fn rows(&self, records: &[Value], constants: &Constants, scan: &Scan, call: &str) -> Result<RecordBatch> {
        let page = serde_json::json!({ RECORDS: records }).to_string();
        let page = self.decoder().decode(&Bytes::from(page)).map_err(|unread| unreadable(call, &unread))?;
        self.batch(&page, constants, scan, RowFilter::All, &Mutex::default())
    }
}

/// An answer that this version does not read.
pub(crate) fn unreadable(call: &str, unread: &PageError) -> DataFusionError {
    Error::Answer(format!("{call} was answered with a body that cannot be read: {unread}. Please report this.")).into()
}

/// A typed column as the page decoder fills it.
fn slot_of(column: &TypedColumn) -> Slot {
    Slot { name: column.name.clone(), paths: vec![column.path.clone()], form: column.form }
}

/// The fields of typed columns.
pub(crate) fn typed_fields(typed: &[TypedColumn], records: &str, zone: Option<Tz>) -> Vec<Field> {
    PageDecoder::new(typed.iter().map(slot_of).collect(), records, zone).fields()
}

/// A JSON pointer as the keys of a path.
fn steps(inside: Option<&str>, pointer: &str) -> Vec<String> {
    let own = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    inside.map(str::to_owned).into_iter().chain(own).collect()
}
