//! The data of the demo: profiles and events of an invented shop, with a known number of broken rows.
//!
//! In: a count of rows and a seed. Out: two Parquet files. Ten percent of every column but the identifier are NULL, three
//! percent of the names are not ASCII, scores are rounded or not; each broken row has one flaw and is good otherwise.

use std::{collections::HashMap, fs::File, ops::Range, path::Path, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
        StringDictionaryBuilder, TimestampMillisecondBuilder,
    },
    datatypes::Int32Type,
    error::ArrowError,
};
use parquet::arrow::ArrowWriter;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::failure::{Failure, Result};

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Flaw {
    /// An e-mail without `@`.
    BadEmail,
    /// A phone number without its country code.
    PhoneWithoutPlus,
    /// No identifier.
    NoIdentifier,
    /// A score that is not a number.
    NanScore,
    /// A text over 512 bytes.
    LongNote,
    /// An event's time in milliseconds.
    EpochInMs,
    /// An event with a name that CleverTap keeps for itself.
    ReservedName,
}

/// The broken profiles, and how many there are of each kind.
pub(super) const BROKEN_PROFILES: [(Flaw, u64); 5] =
    [(Flaw::BadEmail, 4), (Flaw::PhoneWithoutPlus, 5), (Flaw::NoIdentifier, 3), (Flaw::NanScore, 2), (Flaw::LongNote, 2)];
/// The broken events.
pub(super) const BROKEN_EVENTS: [(Flaw, u64); 2] = [(Flaw::EpochInMs, 4), (Flaw::ReservedName, 3)];

impl Flaw {
    /// In words.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::BadEmail => "an e-mail without @",
            Self::PhoneWithoutPlus => "a phone number without +",
            Self::NoIdentifier => "no identifier",
            Self::NanScore => "a score that is not a number",
            Self::LongNote => "a text over 512 bytes",
            Self::EpochInMs => "an event time in milliseconds",
            Self::ReservedName => "a reserved event name",
        }
    }
}

/// How many rows are broken.
pub(super) fn broken(flaws: &[(Flaw, u64)]) -> u64 {
    flaws.iter().map(|(_, count)| count).sum()
}

/// Rows of a batch, and of a row group.
const BATCH_ROWS: usize = 10_000;
/// 2025-11-01 00:00 UTC; the 60 days after it end before the emulator's clock begins.
const FIRST_EVENT_AT: i64 = 1_761_955_200;
const EVENT_SPAN_S: i64 = 60 * 86_400;

const FIRST_NAMES: [&str; 12] = ["Asha", "Ravi", "Meera", "Arjun", "Priya", "Kabir", "Anna", "Liam", "Noor", "Chen", "Maria", "Tom"];
const NOT_ASCII_NAMES: [&str; 4] = ["Zoë", "आशा", "Łukasz", "陳美"];
const LAST_NAMES: [&str; 8] = ["Rao", "Singh", "Iyer", "Khan", "Müller", "Silva", "O'Neil", "Das"];
const TAGS: [&str; 5] = ["beta", "vip", "newsletter", "coupon", "app"];
const PRODUCTS: [&str; 6] = ["Kettle", "Desk lamp", "Running shoes", "Notebook", "Headphones", "Green tea"];

/// The seed's rows, in the same order each time.
#[derive(Debug)]
pub(super) struct SampleRows {
    count: usize,
    rng: StdRng,
    flaws: HashMap<usize, Flaw>,
}

impl SampleRows {
    /// `count` rows, some with `flaws`.
    pub(super) fn new(count: usize, seed: u64, flaws: &[(Flaw, u64)]) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let kinds = flaws.iter().flat_map(|(flaw, count)| std::iter::repeat_n(*flaw, usize::try_from(*count).unwrap_or(usize::MAX)));
        let kinds: Vec<Flaw> = kinds.collect();
        let places = rand::seq::index::sample(&mut rng, count, kinds.len().min(count));
        Self { count, rng, flaws: places.into_iter().zip(kinds).collect() }
    }

    /// The identifier of a row without a flaw.
    pub(super) fn good_identity(&self) -> String {
        identity((0..self.count).find(|row| !self.flaws.contains_key(row)).unwrap_or_default())
    }

    fn flaw(&self, row: usize) -> Option<Flaw> {
        self.flaws.get(&row).copied()
    }

    /// Nine times of ten.
    fn given(&mut self) -> bool {
        self.rng.random_bool(0.9)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        of.choose(&mut self.rng).copied()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
        self.given().then(|| make(&mut self.rng))
    }

    /// The profiles, batch after batch.
    pub(super) fn profiles(mut self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
        batches(self.count).map(move |rows| self.profile_batch(rows))
    }

    /// The events, batch after batch.
    pub(super) fn events(mut self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
        batches(self.count).map(move |rows| self.event_batch(rows))
    }

    fn profile_batch(&mut self, rows: Range<usize>) -> Result<RecordBatch, ArrowError> {
        let (mut user_id, mut name, mut email, mut phone) = <(StringBuilder, StringBuilder, StringBuilder, StringBuilder)>::default();
        let (mut gender, mut plan) = <(StringDictionaryBuilder<Int32Type>, StringDictionaryBuilder<Int32Type>)>::default();
        let (mut born, mut score, mut married) = (Date32Builder::new(), Float64Builder::new(), BooleanBuilder::new());
        let mut balance = Decimal128Builder::new().with_precision_and_scale(12, 2)?;
        let mut last_seen = TimestampMillisecondBuilder::new().with_timezone("UTC");
        let (mut tags, mut note) = (ListBuilder::new(StringBuilder::new()), StringBuilder::new());
        for row in rows {
            let flaw = self.flaw(row);
            user_id.append_option((flaw != Some(Flaw::NoIdentifier)).then(|| identity(row)));
            name.append_option(self.name());
            let address = self.maybe(|_| format!("person.{row}@example.com"));
            email.append_option(if flaw == Some(Flaw::BadEmail) { Some(format!("person.{row}.example.com")) } else { address });
            let number = self.maybe(|_| format!("+9198{row:08}"));
            phone.append_option(if flaw == Some(Flaw::PhoneWithoutPlus) { Some(format!("98{row:08}")) } else { number });
            gender.append_option(self.maybe(|rng| if rng.random() { "F" } else { "M" }));
            plan.append_option(self.maybe(|rng| ["free", "plus", "gold"].choose(rng).copied()).flatten());
            born.append_option(self.maybe(|rng| rng.random_range(-7_305..13_514)));
            let points = self.maybe(|rng| {
                let points: f64 = rng.random_range(0.0..100.0);
                if rng.random() { (points * 100.0).round() / 100.0 } else { points }
            });
            score.append_option(if flaw == Some(Flaw::NanScore) { Some(f64::NAN) } else { points });
            balance.append_option(self.maybe(|rng| rng.random_range(-5_000..10_000_000)));
            last_seen.append_option(self.maybe(|rng| (FIRST_EVENT_AT + rng.random_range(0..EVENT_SPAN_S)) * 1_000));
            married.append_option(self.maybe(Rng::random));
            let count = self.maybe(|rng| rng.random_range(0..=4));
            tags.append_option(count.map(|count| TAGS.choose_multiple(&mut self.rng, count).map(|tag| Some(*tag)).collect::<Vec<_>>()));
            let words = self.maybe(|_| "Prefers deliveries in the evening.".to_owned());
            note.append_option(if flaw == Some(Flaw::LongNote) { Some("Called twice. ".repeat(60)) } else { words });
        }
        RecordBatch::try_from_iter_with_nullable([
            column("user_id", Arc::new(user_id.finish())),
            column("name", Arc::new(name.finish())),
            column("email", Arc::new(email.finish())),
            column("phone", Arc::new(phone.finish())),
            column("gender", Arc::new(gender.finish())),
            column("born_on", Arc::new(born.finish())),
            column("married", Arc::new(married.finish())),
            column("plan", Arc::new(plan.finish())),
            column("score", Arc::new(score.finish())),
            column("balance", Arc::new(balance.finish())),
            column("last_seen", Arc::new(last_seen.finish())),
            column("tags", Arc::new(tags.finish())),
            column("note", Arc::new(note.finish())),
        ])
    }

    fn event_batch(&mut self, rows: Range<usize>) -> Result<RecordBatch, ArrowError> {
        let (mut user_id, mut event, mut happened_at) =
            (StringBuilder::new(), StringDictionaryBuilder::<Int32Type>::new(), Int64Builder::new());
        let (mut product, mut category) = (StringBuilder::new(), StringDictionaryBuilder::<Int32Type>::new());
        let (mut price, mut quantity, mut in_stock) = (Float64Builder::new(), Int64Builder::new(), BooleanBuilder::new());
        let mut delivered_at = TimestampMillisecondBuilder::new().with_timezone("UTC");
        for row in rows {
            let flaw = self.flaw(row);
            let at = FIRST_EVENT_AT + self.rng.random_range(0..EVENT_SPAN_S);
            user_id.append_value(identity(self.rng.random_range(0..self.count)));
            let name = self.one(&["Product Viewed", "Added to Cart", "Order Placed"]);
            event.append_option(if flaw == Some(Flaw::ReservedName) { Some("App Launched") } else { name });
            happened_at.append_value(if flaw == Some(Flaw::EpochInMs) { at * 1_000 } else { at });
            product.append_option(self.maybe(|rng| PRODUCTS.choose(rng).copied()).flatten());
            category.append_option(self.maybe(|rng| ["Home", "Sport", "Office"].choose(rng).copied()).flatten());
            price.append_option(self.maybe(|rng| (rng.random_range(1.0..2_000.0_f64) * 100.0).round() / 100.0));
            quantity.append_option(self.maybe(|rng| rng.random_range(1..=5)));
            in_stock.append_option(self.maybe(Rng::random));
            delivered_at.append_option(self.maybe(|rng| (at + rng.random_range(3_600..5 * 86_400)) * 1_000));
        }
        RecordBatch::try_from_iter_with_nullable([
            column("user_id", Arc::new(user_id.finish())),
            column("event", Arc::new(event.finish())),
            column("happened_at", Arc::new(happened_at.finish())),
            column("product", Arc::new(product.finish())),
            column("category", Arc::new(category.finish())),
            column("price", Arc::new(price.finish())),
            column("quantity", Arc::new(quantity.finish())),
            column("in_stock", Arc::new(in_stock.finish())),
            column("delivered_at", Arc::new(delivered_at.finish())),
        ])
    }

    fn name(&mut self) -> Option<String> {
        if !self.given() {
            return None;
        }
        let first = if self.rng.random_bool(0.03) { self.one(&NOT_ASCII_NAMES) } else { self.one(&FIRST_NAMES) };
        let last = if self.rng.random_bool(0.005) { Some("\"The\nRock\"") } else { self.one(&LAST_NAMES) };
        Some(format!("{} {}", first?, last?))
    }
}

/// Writes batches as Parquet.
///
/// # Errors
/// [`Failure::Failed`] from the disk.
pub(super) fn save(path: &Path, mut batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>) -> Result<()> {
    let Some(first) = batches.next().transpose()? else { return Ok(()) };
    let file = File::create(path).map_err(|error| Failure::file(path, &error))?;
    let parquet = |error: parquet::errors::ParquetError| Failure::Failed(format!("{}: {error}", path.display()));
    let mut writer = ArrowWriter::try_new(file, first.schema(), None).map_err(parquet)?;
    writer.write(&first).map_err(parquet)?;
    for batch in batches {
        writer.write(&batch?).map_err(parquet)?;
    }
    writer.close().map_err(parquet)?;
    Ok(())
}

fn column(name: &str, values: ArrayRef) -> (&str, ArrayRef, bool) {
    (name, values, true)
}

fn batches(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(BATCH_ROWS).map(move |start| start..rows.min(start + BATCH_ROWS))
}

fn identity(row: usize) -> String {
    format!("user-{row:07}")
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::compute::concat_batches;
    use arrow::datatypes::{Float64Type, Int64Type};

    use super::*;

    fn whole(batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>) -> RecordBatch {
        let batches: Vec<_> = batches.collect::<Result<_, _>>().unwrap();
        concat_batches(&batches[0].schema(), &batches).unwrap()
    }

    fn texts<'a>(batch: &'a RecordBatch, name: &str) -> impl Iterator<Item = Option<&'a str>> {
        batch.column_by_name(name).unwrap().as_string::<i32>().iter()
    }

    #[test]
    fn every_flaw_is_there_as_often_as_the_demo_says() {
        let profiles = whole(SampleRows::new(12_000, 7, &BROKEN_PROFILES).profiles());
        let found = [
            (Flaw::BadEmail, texts(&profiles, "email").flatten().filter(|email| !email.contains('@')).count()),
            (Flaw::PhoneWithoutPlus, texts(&profiles, "phone").flatten().filter(|phone| !phone.starts_with('+')).count()),
            (Flaw::NoIdentifier, profiles.column_by_name("user_id").unwrap().null_count()),
            (
                Flaw::NanScore,
                profiles.column_by_name("score").unwrap().as_primitive::<Float64Type>().iter().flatten().filter(|s| s.is_nan()).count(),
            ),
            (Flaw::LongNote, texts(&profiles, "note").flatten().filter(|note| note.len() > 512).count()),
        ];
        assert_eq!(found.map(|(flaw, count)| (flaw, count as u64)), BROKEN_PROFILES);

        let events = whole(SampleRows::new(12_000, 7, &BROKEN_EVENTS).events());
        let names = arrow::compute::cast(events.column_by_name("event").unwrap(), &arrow::datatypes::DataType::Utf8).unwrap();
        let times = events.column_by_name("happened_at").unwrap().as_primitive::<Int64Type>();
        let found = [
            (Flaw::EpochInMs, times.iter().flatten().filter(|at| *at > 9_999_999_999).count()),
            (Flaw::ReservedName, names.as_string::<i32>().iter().flatten().filter(|name| *name == "App Launched").count()),
        ];
        assert_eq!(found.map(|(flaw, count)| (flaw, count as u64)), BROKEN_EVENTS);
    }

    #[test]
    fn a_seed_makes_the_same_rows_again_and_the_person_who_is_looked_up_is_good() {
        let rows = || SampleRows::new(300, 42, &BROKEN_PROFILES);
        assert_eq!(format!("{:?}", whole(rows().profiles())), format!("{:?}", whole(rows().profiles())));
        let person = rows().good_identity();
        let row: usize = person.trim_start_matches("user-").parse().unwrap();
        assert_eq!(rows().flaw(row), None);
    }
}
