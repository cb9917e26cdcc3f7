//! Maps the columns of a scan to columns of a page, and decoded pages to batches.
//!
//! In: a table's columns, the projection, and values that are the same in every row. Out: the slots that the page decoder fills, and
//! batches with the scan's schema. The decoder knows no tables and no SQL columns; they are translated here.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, StringViewArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Date32Type, Field, SchemaRef, TimestampSecondType};
use bytes::Bytes;
use chrono_tz::Tz;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::options::TypeMismatch;
use crate::project_schema::TypedColumn;
use crate::read::decode::{Page, PageDecoder, PageError, Slot, is_time_value};
use crate::read::pushdown::ranges::{Bounds, days};
use crate::read::query::DayRange;
use crate::read::rest::{RawRecord, pointers_of, rest};
use crate::read::spec::Scan;
use crate::relation::Relation;
use crate::table::{Column, Kind, Source, Table, ValueForm};

/// Values that are the same in every row of a request, by column name: its filter columns.
pub(crate) type Constants = BTreeMap<&'static str, ScalarValue>;

/// The constants of a range of days. A range of one day has an `event_date` too.
pub(crate) fn day_constants((first, last): DayRange) -> Constants {
    let day = |date| ScalarValue::Date32(i32::try_from(days(date)).ok());
    let event_date = (first == last).then(|| ("event_date", day(first)));
    [("from_date", day(first)), ("to_date", day(last))].into_iter().chain(event_date).collect()
}

/// Where a column of the query comes from.
#[derive(Debug, Clone)]
enum ColumnOrigin {
    /// The slot with this index.
    Slot(usize),
    /// The constant of this name, or NULL if there is none.
    Constant(&'static str),
    /// What no column takes of the record in this slot.
    Rest(usize),
}

/// The mapping between the columns of a scan and the slots of a page.
#[derive(Debug, Clone)]
pub(crate) struct PageProjection {
    schema: SchemaRef,
    slots: Vec<Slot>,
    records: &'static str,
    origins: Vec<ColumnOrigin>,
    zone: Option<Tz>,
    /// The slot of the timestamp, for the seconds of [`RowFilter::Inside`].
    time: Option<usize>,
    /// The slot of the day, for its days.
    day: Option<usize>,
    /// The slot that identifies people, for [`RowFilter::NewPeople`].
    person: Option<usize>,
    /// The table, for what its columns leave of a record.
    table: &'static Table,
}

/// Which rows of a page the scan returns. Filters above the scan apply as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RowFilter {
    #[default]
    All,
    /// Rows whose timestamp and whose day are within these bounds. A row whose time cannot be read stays.
    Inside { seconds: Bounds, days: Bounds },
    /// The first row of each person.
    NewPeople,
}

/// The people seen so far, as 128 bits of hash each: less memory than their identities, with practically no collisions.
#[derive(Debug, Default)]
pub(crate) struct SeenPeople {
    people: HashSet<u128>,
    hashers: [RandomState; 2],
}

impl SeenPeople {
    /// Whether a person is new. A record without identifiers always is.
    fn is_new(&mut self, person: Option<&str>) -> bool {
        let Some(person) = person else { return true };
        let [high, low] = &self.hashers;
        self.people.insert(u128::from(high.hash_one(person)) << 64 | u128::from(low.hash_one(person)))
    }
}

/// Where the records of a page are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordLayout {
    /// The key of the list of records.
    pub(crate) records: &'static str,
    /// The key of the record in each item of the list. `None`: the item is the record.
    pub(crate) record: Option<&'static str>,
    /// The key column of a look-up. Its value is in each item under [`LOOKUP_KEY`].
    pub(crate) lookup_key: Option<&'static str>,
    /// Whether the page is built here, with the rest of each record under [`REST`].
    pub(crate) is_built: bool,
}

/// The JSON key of the requested key in pages that look-ups build from their answers.
pub(crate) const LOOKUP_KEY: &str = "asked";
/// The JSON key of the records in pages that are built here.
pub(crate) const RECORDS: &str = "records";
/// The JSON key of a record in pages that look-ups build from their answers.
pub(crate) const RECORD: &str = "record";
/// The JSON key for the rest of a record ([`Source::Rest`]) in pages that are built here.
pub(crate) const REST: &str = "\u{0}rest";

/// The layout of pages that are built here from records.
pub(crate) const BUILT_PAGE: RecordLayout = RecordLayout { records: RECORDS, record: None, lookup_key: None, is_built: true };

impl PageProjection {
    /// The mapping for `projection`. Slots that `keep` needs are added even if they are not projected.
    ///
    /// # Errors
    /// `Error::Setting` if a timestamp is projected or filtered and the account has no time zone.
    pub(crate) fn new(
        relation: &Relation,
        schema: &SchemaRef,
        projection: &[usize],
        layout: RecordLayout,
        keep: RowFilter,
    ) -> Result<Self> {
        let zone = relation.account.time_zone();
        let columns: Vec<&Column> = relation.table.read_columns().collect();
        let mut mapping = Self {
            schema: Arc::clone(schema),
            slots: Vec::new(),
            records: layout.records,
            origins: Vec::new(),
            zone,
            time: None,
            day: None,
            person: None,
            table: relation.table,
        };
        for &index in projection {
            let origin = match columns.get(index) {
                Some(column) if column.kind == Kind::Instant && zone.is_none() => return Err(Error::needs_time_zone().into()),
                Some(column) => mapping.origin(column, layout),
                None => mapping.add(slot_of(&relation.typed[index - columns.len()])),
            };
            if let (ColumnOrigin::Slot(slot), Some(column)) = (&origin, columns.get(index)) {
                match column.kind {
                    Kind::Instant => mapping.time = Some(*slot),
                    Kind::Day => mapping.day = Some(*slot),
                    _ => {}
                }
            }
            mapping.origins.push(origin);
        }
        if keep == RowFilter::NewPeople {
            let identifiers = ["identity", "object_id"].into_iter().filter_map(|name| columns.iter().find(|column| column.name == name));
            let pointers = identifiers.flat_map(|column| match column.source {
                Source::LookupKey(pointers) | Source::Either(pointers) => pointers,
                _ => &[],
            });
            let paths = pointers.map(|pointer| path_of(layout.record, pointer)).collect();
            mapping.person = Some(mapping.slots.len());
            mapping.add(Slot { name: "identity".into(), paths, form: ValueForm::Text });
        }
        if let RowFilter::Inside { seconds, days } = keep {
            // A second slot of a column would count what it cannot read twice.
            let (needs_time, needs_day) = (!seconds.is_all() && mapping.time.is_none(), !days.is_all() && mapping.day.is_none());
            let mut slot_of = |kind| match columns.iter().find(|column| column.kind == kind).map(|column| mapping.origin(column, layout)) {
                Some(ColumnOrigin::Slot(slot)) => Some(slot),
                _ => None,
            };
            let time = needs_time.then(|| slot_of(Kind::Instant)).flatten();
            let day = needs_day.then(|| slot_of(Kind::Day)).flatten();
            (mapping.time, mapping.day) = (mapping.time.or(time), mapping.day.or(day));
        }
        Ok(mapping)
    }

    fn add(&mut self, slot: Slot) -> ColumnOrigin {
        self.slots.push(slot);
        ColumnOrigin::Slot(self.slots.len() - 1)
    }

    fn origin(&mut self, column: &Column, layout: RecordLayout) -> ColumnOrigin {
        let is_lookup_key = layout.lookup_key == Some(column.name);
        let paths: Vec<Vec<String>> = match column.source {
            Source::Filter | Source::Nowhere => return ColumnOrigin::Constant(column.name),
            Source::LookupKey(_) if is_lookup_key => vec![vec![LOOKUP_KEY.to_owned()]],
            Source::At(pointer) => vec![path_of(layout.record, pointer)],
            Source::LookupKey(pointers) | Source::Either(pointers) => {
                pointers.iter().map(|pointer| path_of(layout.record, pointer)).collect()
            }
            Source::Rest if layout.is_built => vec![vec![REST.to_owned()]],
            Source::Rest => {
                let record = Slot { name: column.name.to_owned(), paths: vec![path_of(layout.record, "")], form: ValueForm::Json };
                self.add(record);
                return ColumnOrigin::Rest(self.slots.len() - 1);
            }
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

    pub(crate) fn decoder(&self) -> PageDecoder {
        PageDecoder::new(self.slots.clone(), self.records, self.zone)
    }

    /// Reports values that did not fit their column as a warning or an error, depending on `clevertap.type_mismatch`.
    ///
    /// # Errors
    /// [`Error::TypeMismatch`] if the option is `error`.
    fn check_types(&self, page: &Page, scan: &Scan) -> Result<(), Error> {
        let table = scan.relation.qualified();
        for (Slot { name, .. }, count) in self.slots.iter().zip(&page.mismatches).filter(|(_, count)| **count > 0) {
            if scan.options.type_mismatch == TypeMismatch::Error {
                return Err(Error::TypeMismatch(format!(
                    "{table}: {count} values of column \"{name}\" are not of its type; SET clevertap.type_mismatch = 'null' reads them as NULL"
                )));
            }
            let has_json = self.table.read_columns().any(|column| column.kind == Kind::Json);
            let held = if has_json { "; the JSON columns hold those that are there" } else { "" };
            let message = format!("{table}: values of \"{name}\" are not of its type or not there, and read as NULL{held}");
            scan.relation.account.runs_kept().warn_reader("CT-621", name, *count, message);
        }
        Ok(())
    }

    /// Converts a page to a batch of the rows that `keep` selects.
    ///
    /// # Errors
    /// [`Error::TypeMismatch`] for values of another type, if the session is configured so; otherwise Arrow's errors.
    pub(crate) fn batch(
        &self,
        page: &Page,
        constants: &Constants,
        scan: &Scan,
        keep: RowFilter,
        seen: &Mutex<SeenPeople>,
    ) -> Result<RecordBatch> {
        self.check_types(page, scan)?;
        let columns = self.origins.iter().zip(self.schema.fields()).map(|(origin, field)| match origin {
            ColumnOrigin::Slot(slot) => Ok(Arc::clone(&page.columns[*slot])),
            ColumnOrigin::Rest(slot) => Ok(self.rest(page.columns[*slot].as_string_view())),
            ColumnOrigin::Constant(name) => match constants.get(name) {
                Some(value) => value.to_array_of_size(page.rows),
                None => Ok(new_null_array(field.data_type(), page.rows)),
            },
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(page.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let mask: BooleanArray = match (keep, self.person) {
            (RowFilter::Inside { seconds, days }, _) => {
                let mut kept = vec![true; page.rows];
                if let Some(time) = self.time.filter(|_| !seconds.is_all()) {
                    let times = page.columns[time].as_primitive::<TimestampSecondType>().iter();
                    kept.iter_mut().zip(times).for_each(|(kept, second)| *kept &= second.is_none_or(|second| seconds.include(second)));
                }
                if let Some(day) = self.day.filter(|_| !days.is_all()) {
                    let of_rows = page.columns[day].as_primitive::<Date32Type>().iter();
                    kept.iter_mut().zip(of_rows).for_each(|(kept, day)| *kept &= day.is_none_or(|day| days.include(day.into())));
                }
                kept.into()
            }
            (RowFilter::NewPeople, Some(person)) => {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                page.columns[person].as_string_view().iter().map(|person| Some(seen.is_new(person))).collect()
            }
            _ => return Ok(batch),
        };
        if mask.true_count() == page.rows { Ok(batch) } else { Ok(filter_record_batch(&batch, &mask)?) }
    }

    /// What the columns leave of each record; NULL if that is nothing.
    fn rest(&self, records: &StringViewArray) -> ArrayRef {
        let pointers = pointers_of(self.table);
        let is_time = |pointer: &&str| {
            let mut columns = self.table.read_columns().filter(|column| matches!(column.kind, Kind::Instant | Kind::Day));
            columns.any(|column| matches!(column.source, Source::At(at) if at == *pointer))
        };
        let times: Vec<&str> = pointers.iter().copied().filter(is_time).collect();
        let left = |record: Option<&str>| {
            let record: RawRecord = serde_json::from_str(record?).ok()?;
            // A time that cannot be read is NULL in its columns, so that it is a part of the rest.
            let unread = |pointer: &&str| {
                let value = record.get(pointer.trim_start_matches('/'));
                times.contains(pointer) && value.is_some_and(|value| !is_time_value(value.get()))
            };
            let taken: Vec<&str> = pointers.iter().copied().filter(|pointer| !unread(pointer)).collect();
            let left = rest(&record, &taken);
            (!left.is_empty()).then(|| serde_json::to_string(&left).ok())?
        };
        Arc::new(records.iter().map(left).collect::<StringViewArray>())
    }

    /// Converts records to a batch. They go through the page decoder, so that all reads convert values in the same way.
    ///
    /// # Errors
    /// `Error::Answer` if the records, which came from `call`, cannot be decoded; otherwise Arrow's errors.
    pub(crate) fn rows(
        &self,
        records: &[Box<RawValue>],
        constants: &Constants,
        scan: &Scan,
        call: &str,
        keep: RowFilter,
    ) -> Result<RecordBatch> {
        let records: Vec<&str> = records.iter().map(|record| record.get()).collect();
        let page = format!("{{\"{RECORDS}\":[{}]}}", records.join(","));
        let page = self.decoder().decode(&Bytes::from(page)).map_err(|error| unreadable(call, &error))?;
        self.batch(&page, constants, scan, keep, &Mutex::default())
    }
}

/// The error for an answer of `call` that cannot be decoded.
pub(crate) fn unreadable(call: &str, error: &PageError) -> DataFusionError {
    Error::Answer(format!("{call} was answered with a body that cannot be read: {error}. Please report this.")).into()
}

fn slot_of(column: &TypedColumn) -> Slot {
    Slot { name: column.name.clone(), paths: vec![column.path.clone()], form: column.form }
}

/// The Arrow fields of typed columns.
pub(crate) fn typed_fields(typed: &[TypedColumn], records: &str, zone: Option<Tz>) -> Vec<Field> {
    PageDecoder::new(typed.iter().map(slot_of).collect(), records, zone).fields()
}

/// Converts a JSON pointer below `record` to a path of keys.
fn path_of(record: Option<&str>, pointer: &str) -> Vec<String> {
    let steps = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    record.map(str::to_owned).into_iter().chain(steps).collect()
}
