//! Decodes a page of events to Arrow arrays, compared with other libraries on the same page:
//! `cargo bench -p clevertap-benches -- decode`.
//!
//! arrow-json need not convert dates and packed times: it keeps them as text and integers. It cannot keep an object as JSON, so both
//! tables compare with its typed columns.

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringViewBuilder, TimestampSecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type, Schema};
use arrow::json::ReaderBuilder;
use bytes::Bytes;
use clevertap_benches::pages;
use clevertap_benches::rounds::{Mode, Rounds};
use criterion::Criterion;
use datafusion_clevertap::bench_support::decode::{Pages, ValueForm};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Records per page: about the maximum of CleverTap.
const RECORDS: usize = 5_000;

const TYPED: &[(&str, ValueForm)] = &[
    ("profile/objectId", ValueForm::Text),
    ("profile/platform", ValueForm::Text),
    ("profile/identity", ValueForm::Text),
    ("profile/name", ValueForm::Text),
    ("profile/email", ValueForm::Text),
    ("profile/phone", ValueForm::Text),
    ("ts", ValueForm::PackedTime),
    ("event_props/Product", ValueForm::Text),
    ("event_props/Category", ValueForm::Text),
    ("event_props/Price", ValueForm::Float64),
    ("event_props/Quantity", ValueForm::Int64),
    ("event_props/InStock", ValueForm::Boolean),
    ("event_props/DeliveredAt", ValueForm::Date),
];

const RAW: &[(&str, ValueForm)] = &[
    ("profile/objectId", ValueForm::Text),
    ("profile/platform", ValueForm::Text),
    ("profile/identity", ValueForm::Text),
    ("profile/name", ValueForm::Text),
    ("profile/email", ValueForm::Text),
    ("profile/phone", ValueForm::Text),
    ("ts", ValueForm::PackedTime),
    ("event_props", ValueForm::Json),
];

/// The benchmark. It is in the list of criterion groups, but measures by itself, in rounds: with typed properties, and with
/// properties left as JSON.
pub(crate) fn decode(_: &mut Criterion) {
    let (records, rounds) = match Mode::of("decode") {
        Mode::Measure => (RECORDS, 101),
        Mode::Test => (50, 0),
        Mode::Skip => return,
    };
    let page = Bytes::from(pages::events(7, records));
    assert_same(&page);
    let (mut typed, mut raw) = (pages_of(TYPED), pages_of(RAW));
    let mut copy = vec![0; page.len()];
    let mut memcpy = || black_box(&mut copy).copy_from_slice(&page);
    Rounds::new("decode, typed", records, page.len())
        .variant("arrow-json typed", || drop(black_box(arrow_json(&page))))
        .variant("ours", || drop(black_box(typed.decode(&page).expect("a page"))))
        .variant("serde_json::Value", || drop(black_box(columns_of_values(&page))))
        .variant("serde_json typed", || {
            drop(black_box(columns(&serde_json::from_slice::<Answer<'_, Properties<'_>>>(&page).expect("a page"))));
        })
        .variant("sonic-rs typed", || {
            drop(black_box(columns(&sonic_rs::from_slice::<Answer<'_, Properties<'_>>>(&page).expect("a page"))));
        })
        .variant("memcpy", &mut memcpy)
        .run(rounds, &["arrow-json typed"]);
    Rounds::new("decode, raw properties", records, page.len())
        .variant("arrow-json typed", || drop(black_box(arrow_json(&page))))
        .variant("ours, raw", || drop(black_box(raw.decode(&page).expect("a page"))))
        .variant("serde_json typed, RawValue", || {
            drop(black_box(columns(&serde_json::from_slice::<Answer<'_, &RawValue>>(&page).expect("a page"))));
        })
        .variant("sonic-rs typed, LazyValue", || {
            drop(black_box(columns(&sonic_rs::from_slice::<Answer<'_, sonic_rs::LazyValue<'_>>>(&page).expect("a page"))));
        })
        .variant("memcpy", &mut memcpy)
        .run(rounds, &["arrow-json typed"]);
}

fn pages_of(slots: &[(&str, ValueForm)]) -> Pages {
    Pages::new(slots, "Asia/Kolkata").expect("a zone")
}

/// The page read by arrow-json with a declared schema: one row with a list `records`.
fn arrow_json(page: &[u8]) -> RecordBatch {
    let text = |key: &str| Field::new(key, DataType::Utf8, true);
    let profile: Fields = ["objectId", "platform", "identity", "name", "email", "phone"].map(text).to_vec().into();
    let properties: Fields = vec![
        text("Product"),
        text("Category"),
        Field::new("Price", DataType::Float64, true),
        Field::new("Quantity", DataType::Int64, true),
        Field::new("InStock", DataType::Boolean, true),
        text("DeliveredAt"),
    ]
    .into();
    let record: Fields = vec![
        Field::new("profile", DataType::Struct(profile), true),
        Field::new("ts", DataType::Int64, true),
        Field::new("event_props", DataType::Struct(properties), true),
    ]
    .into();
    let records = Field::new("records", DataType::new_list(DataType::Struct(record), true), true);
    let schema = Schema::new(vec![text("status"), text("next_cursor"), records]);
    let mut decoder = ReaderBuilder::new(Arc::new(schema)).with_batch_size(1).build_decoder().expect("a decoder");
    decoder.decode(page).expect("a page");
    decoder.flush().expect("a page").expect("a row")
}

/// The answer for serde, borrowing texts without escapes.
#[derive(Deserialize)]
struct Answer<'a, P> {
    #[serde(borrow, bound(deserialize = "P: Deserialize<'de>"))]
    records: Vec<Record<'a, P>>,
}

#[derive(Deserialize)]
struct Record<'a, P> {
    #[serde(borrow)]
    profile: Profile<'a>,
    ts: i64,
    event_props: P,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    #[serde(borrow)]
    object_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    platform: Option<Cow<'a, str>>,
    #[serde(borrow)]
    identity: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    phone: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties<'a> {
    #[serde(borrow)]
    product: Option<Cow<'a, str>>,
    #[serde(borrow)]
    category: Option<Cow<'a, str>>,
    price: Option<f64>,
    quantity: Option<i64>,
    in_stock: Option<bool>,
    #[serde(borrow)]
    delivered_at: Option<Cow<'a, str>>,
}

/// Builds the columns of the properties.
trait Columns {
    type Builders: Default;
    fn append(&self, builders: &mut Self::Builders);
    fn finish(builders: Self::Builders) -> Vec<ArrayRef>;
}

#[derive(Default)]
struct TypedBuilders {
    texts: [StringViewBuilder; 3],
    price: Float64Builder,
    quantity: Int64Builder,
    in_stock: BooleanBuilder,
}

impl Columns for Properties<'_> {
    type Builders = TypedBuilders;

    fn append(&self, builders: &mut TypedBuilders) {
        builders.texts[0].append_option(self.product.as_deref());
        builders.texts[1].append_option(self.category.as_deref());
        builders.texts[2].append_option(self.delivered_at.as_deref());
        builders.price.append_option(self.price);
        builders.quantity.append_option(self.quantity);
        builders.in_stock.append_option(self.in_stock);
    }

    fn finish(mut builders: TypedBuilders) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = builders.texts.iter_mut().map(|texts| Arc::new(texts.finish()) as ArrayRef).collect();
        columns.push(Arc::new(builders.price.finish()));
        columns.push(Arc::new(builders.quantity.finish()));
        columns.push(Arc::new(builders.in_stock.finish()));
        columns
    }
}

macro_rules! raw_columns {
    ($type:ty, $text:ident) => {
        impl Columns for $type {
            type Builders = StringViewBuilder;

            fn append(&self, builder: &mut StringViewBuilder) {
                builder.append_value(self.$text());
            }

            fn finish(mut builder: StringViewBuilder) -> Vec<ArrayRef> {
                vec![Arc::new(builder.finish())]
            }
        }
    };
}

raw_columns!(&RawValue, get);
raw_columns!(sonic_rs::LazyValue<'_>, as_raw_str);

fn columns<P: Columns>(answer: &Answer<'_, P>) -> Vec<ArrayRef> {
    let mut profile: [StringViewBuilder; 6] = Default::default();
    let (mut ts, mut properties) = (Int64Builder::new(), P::Builders::default());
    for record in &answer.records {
        let person = &record.profile;
        let texts = [&person.object_id, &person.platform, &person.identity, &person.name, &person.email, &person.phone];
        profile.iter_mut().zip(texts).for_each(|(builder, text)| builder.append_option(text.as_deref()));
        ts.append_value(record.ts);
        record.event_props.append(&mut properties);
    }
    let mut columns: Vec<ArrayRef> = profile.iter_mut().map(|texts| Arc::new(texts.finish()) as ArrayRef).collect();
    columns.push(Arc::new(ts.finish()));
    columns.extend(P::finish(properties));
    columns
}

fn columns_of_values(page: &[u8]) -> Vec<ArrayRef> {
    let answer: Value = serde_json::from_slice(page).expect("a page");
    let records = answer["records"].as_array().expect("a list");
    let text = |outer: &str, key: &str| -> ArrayRef {
        let mut builder = StringViewBuilder::new();
        records.iter().for_each(|record| builder.append_option(record[outer][key].as_str()));
        Arc::new(builder.finish())
    };
    let mut columns: Vec<ArrayRef> =
        ["objectId", "platform", "identity", "name", "email", "phone"].map(|key| text("profile", key)).to_vec();
    columns.extend(["Product", "Category", "DeliveredAt"].map(|key| text("event_props", key)));
    let (mut ts, mut price, mut quantity) = (Int64Builder::new(), Float64Builder::new(), Int64Builder::new());
    let mut in_stock = BooleanBuilder::new();
    for record in records {
        ts.append_option(record["ts"].as_i64());
        price.append_option(record["event_props"]["Price"].as_f64());
        quantity.append_option(record["event_props"]["Quantity"].as_i64());
        in_stock.append_option(record["event_props"]["InStock"].as_bool());
    }
    let rest: [ArrayRef; 4] = [Arc::new(ts.finish()), Arc::new(price.finish()), Arc::new(quantity.finish()), Arc::new(in_stock.finish())];
    columns.extend(rest);
    columns
}

/// Both decoders must return the same values.
fn assert_same(page: &Bytes) {
    let ours = pages_of(TYPED).decode(page).expect("a page");
    let raw = pages_of(RAW).decode(page).expect("a page");
    let batch = arrow_json(page);
    let records = batch.column(2).as_list::<i32>().value(0);
    let (profile, properties) = (records.as_struct().column(0).as_struct(), records.as_struct().column(2).as_struct());
    for (at, column) in ours.iter().take(6).enumerate() {
        assert!(column.as_string_view().iter().eq(profile.column(at).as_string::<i32>().iter()));
    }
    assert_eq!(&ours[..7], &raw[..7]);
    for at in 0..2 {
        assert!(ours[7 + at].as_string_view().iter().eq(properties.column(at).as_string::<i32>().iter()));
    }
    assert_eq!(ours[9].as_primitive::<Float64Type>(), properties.column(2).as_primitive::<Float64Type>());
    assert_eq!(ours[10].as_primitive::<Int64Type>(), properties.column(3).as_primitive::<Int64Type>());
    assert_eq!(ours[11].as_boolean(), properties.column(4).as_boolean());
    let seconds: Vec<Option<i64>> =
        properties.column(5).as_string::<i32>().iter().map(|text| text?.strip_prefix("$D_")?.parse().ok()).collect();
    assert_eq!(ours[12].as_any().downcast_ref::<TimestampSecondArray>().map(|dates| dates.iter().collect()), Some(seconds));
    assert_eq!(ours[6].null_count(), 0);
}
