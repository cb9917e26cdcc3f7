//! Profiles and events, the same for the same seed: the input of the encoder benchmarks.
//!
//! Profiles have twelve columns of commonly loaded kinds, 10 % of each NULL except the identifier; 3 % of the names are not ASCII,
//! and 0.5 % contain a quote. Events have eight.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, TimestampMillisecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const FIRST: [&str; 12] =
    ["Asha", "Ravi", "Maria", "John", "Wei", "Fatima", "Olga", "Chidi", "Lakshmi", "Pedro", "Anne-Marie", "Christopher"];
const LAST: [&str; 10] = ["Rao", "Singh", "Silva", "Smith", "Zhang", "Khan", "Ivanova", "Okafor", "Venkataraman", "O'Neill"];
const OTHER: [&str; 4] = ["José Ñandú", "Зоя Петрова", "李小龙", "Zoë Brontë"];
const PLANS: [&str; 4] = ["free", "silver", "gold", "platinum"];
const TAGS: [&str; 8] = ["new", "vip", "newsletter", "churn-risk", "cart", "referral", "beta", "winback"];
const EVENTS: [&str; 5] = ["Charged", "Product Viewed", "Added To Cart", "Searched", "App Opened"];
const CATEGORIES: [&str; 6] = ["Books", "Electronics", "Grocery", "Home & Kitchen", "Toys", "Sports and Outdoors"];
const PRODUCTS: [&str; 6] = ["Kettle", "Running Shoes", "USB-C Cable 2m", "Notebook A5", "Desk Lamp", "Espresso Machine"];

/// The array type of text columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// `Utf8`.
    Offsets,
    /// `Utf8View`.
    Views,
}

struct Generator(StdRng);

impl Generator {
    fn column<T>(&mut self, rows: usize, mut value: impl FnMut(&mut StdRng) -> T) -> Vec<Option<T>> {
        (0..rows).map(|_| (self.0.random_range(0..10) != 0).then(|| value(&mut self.0))).collect()
    }

    fn words(&mut self, rows: usize, words: &[&'static str]) -> ArrayRef {
        let column = self.column(rows, |random| words[random.random_range(0..words.len())]);
        Arc::new(column.into_iter().collect::<DictionaryArray<Int32Type>>())
    }

    fn instants(&mut self, rows: usize) -> ArrayRef {
        let column = self.column(rows, |random| random.random_range(1_600_000_000_000..1_770_000_000_000i64));
        Arc::new(TimestampMillisecondArray::from(column).with_timezone("+00:00"))
    }

    fn prices(&mut self, rows: usize) -> Vec<Option<f64>> {
        self.column(rows, |random| f64::from(random.random_range(0..500_000)) / 100.0)
    }
}

fn text(layout: Text, array: StringArray) -> ArrayRef {
    let array: ArrayRef = Arc::new(array);
    match layout {
        Text::Offsets => array,
        Text::Views => cast(&array, &DataType::Utf8View).expect("text is text"),
    }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).expect("columns of one length")
}

/// A batch of profiles.
pub fn profiles(seed: u64, rows: usize, layout: Text) -> RecordBatch {
    let mut generator = Generator(StdRng::seed_from_u64(seed));
    let identities: Vec<String> = (0..rows).map(|row| format!("cust-{:08}", seed * 1_000_000 + row as u64)).collect();
    let names = generator.column(rows, |random| match random.random_range(0..1_000) {
        0..30 => OTHER[random.random_range(0..OTHER.len())].to_owned(),
        30..35 => format!("{} \"Ace\" \\ {}", FIRST[random.random_range(0..12)], LAST[random.random_range(0..10)]),
        _ => format!("{} {}", FIRST[random.random_range(0..12)], LAST[random.random_range(0..10)]),
    });
    let emails = generator.column(rows, |random| {
        let (first, last) = (FIRST[random.random_range(0..12)].to_lowercase(), LAST[random.random_range(0..10)].to_lowercase());
        format!("{first}.{last}{}@example.org", random.random_range(0..10_000))
    });
    let phones = generator.column(rows, |random| format!("+91{}", random.random_range(6_000_000_000..9_999_999_999u64)));
    let genders = generator.words(rows, &["M", "F"]);
    let plans = generator.words(rows, &PLANS);
    let births = generator.column(rows, |random| random.random_range(-7_305..15_000));
    let scores = generator.column(rows, |random| match random.random::<bool>() {
        true => f64::from(random.random_range(0..100_000)) / 100.0,
        false => random.random_range(0.0..1_000.0),
    });
    let balances = generator.column(rows, |random| i128::from(random.random_range(-1_000_000..100_000_000)));
    let seen = generator.instants(rows);
    let members = generator.column(rows, Rng::random::<bool>);
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in generator.column(rows, |random| (0..random.random_range(0..5)).map(|_| TAGS[random.random_range(0..8)]).collect::<Vec<_>>())
    {
        match row {
            Some(row) => tags.append_value(row.into_iter().map(Some)),
            None => tags.append_null(),
        }
    }
    batch(vec![
        ("identity", text(layout, StringArray::from(identities))),
        ("Name", text(layout, StringArray::from(names))),
        ("Email", text(layout, StringArray::from(emails))),
        ("Phone", text(layout, StringArray::from(phones))),
        ("Gender", genders),
        ("Plan", plans),
        ("DOB", Arc::new(Date32Array::from(births))),
        ("Score", Arc::new(Float64Array::from(scores))),
        ("Balance", Arc::new(Decimal128Array::from(balances).with_precision_and_scale(12, 2).expect("a scale"))),
        ("LastSeen", seen),
        ("Member", Arc::new(BooleanArray::from(members))),
        ("Tags", Arc::new(tags.finish())),
    ])
}

/// A batch of events.
pub fn events(seed: u64, rows: usize, layout: Text) -> RecordBatch {
    let mut generator = Generator(StdRng::seed_from_u64(seed));
    let identities: Vec<String> = (0..rows).map(|_| format!("cust-{:08}", generator.0.random_range(0..10_000_000))).collect();
    let times: Vec<i64> = (0..rows).map(|_| generator.0.random_range(1_700_000_000..1_770_000_000)).collect();
    let names: DictionaryArray<Int32Type> = (0..rows).map(|_| EVENTS[generator.0.random_range(0..EVENTS.len())]).collect();
    let products = generator.column(rows, |random| format!("{} {}", PRODUCTS[random.random_range(0..6)], random.random_range(100..1_000)));
    let categories = generator.words(rows, &CATEGORIES);
    let prices = generator.prices(rows);
    let quantities = generator.column(rows, |random| random.random_range(1..20i64));
    let stocks = generator.column(rows, Rng::random::<bool>);
    let delivered = generator.instants(rows);
    batch(vec![
        ("identity", text(layout, StringArray::from(identities))),
        ("event_time", Arc::new(Int64Array::from(times))),
        ("event_name", Arc::new(names)),
        ("Product", text(layout, StringArray::from(products))),
        ("Category", categories),
        ("Price", Arc::new(Float64Array::from(prices))),
        ("Quantity", Arc::new(Int64Array::from(quantities))),
        ("InStock", Arc::new(BooleanArray::from(stocks))),
        ("DeliveredAt", delivered),
    ])
}

/// `batches` batches of `rows` rows, each from a seed of its own.
pub fn batches_of(batches: usize, rows: usize, layout: Text, make: fn(u64, usize, Text) -> RecordBatch) -> Vec<RecordBatch> {
    (0..batches as u64).map(|seed| make(seed, rows, layout)).collect()
}

/// Casts a dictionary to its value type; other arrays are returned as they are.
pub fn plain(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values).expect("a dictionary of text is text"),
        _ => Arc::clone(array),
    }
}
