//! Records for serde: trees of values, and structs with fields known at compile time.

use arrow::array::{
    Array, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::references::Table;

/// Epoch seconds at which a day begins in India, which has a constant offset, so that no reference needs a time zone.
pub(crate) fn day(day: i32) -> i64 {
    i64::from(day) * 86_400 - 19_800
}

/// The records of one body.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Records<'a> {
    Profiles(Vec<Profile<'a>>),
    Events(Vec<Event<'a>>),
}

#[derive(Serialize)]
pub(crate) struct Profile<'a> {
    r#type: &'static str,
    identity: &'a str,
    #[serde(rename = "profileData")]
    data: ProfileData<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ProfileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a str>,
    #[serde(rename = "DOB", skip_serializing_if = "Option::is_none")]
    dob: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Set<'a>>,
}

#[derive(Serialize)]
pub(crate) struct Event<'a> {
    r#type: &'static str,
    identity: &'a str,
    ts: i64,
    #[serde(rename = "evtName")]
    name: &'a str,
    #[serde(rename = "evtData")]
    data: EventData<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EventData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_stock: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<Date>,
}

#[derive(Serialize)]
struct Set<'a> {
    #[serde(rename = "$set")]
    set: Vec<&'a str>,
}

/// `"$D_<epoch seconds>"`.
struct Date(i64);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 32];
        let digits = itoa::Buffer::new().format(self.0).len();
        let before = if (10_000_000..100_000_000).contains(&self.0) { "$D_0" } else { "$D_" };
        text[..before.len()].copy_from_slice(before.as_bytes());
        text[before.len()..before.len() + digits].copy_from_slice(itoa::Buffer::new().format(self.0).as_bytes());
        serializer.serialize_str(std::str::from_utf8(&text[..before.len() + digits]).unwrap_or_default())
    }
}

/// The columns of a batch.
struct Columns<'a>(&'a RecordBatch);

impl<'a> Columns<'a> {
    fn of<T: 'static>(&self, name: &str) -> &'a T {
        self.0.column_by_name(name).and_then(|array| array.as_any().downcast_ref()).expect("a column of this type")
    }
}

fn text(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

fn instant(array: &TimestampMillisecondArray, row: usize) -> Option<Date> {
    array.is_valid(row).then(|| Date(array.value(row).div_euclid(1_000)))
}

/// Builds the records of `batch` and passes them to `then`.
pub(crate) fn with_records<T>(table: Table, batch: &RecordBatch, then: impl FnOnce(&Records<'_>) -> T) -> T {
    let columns = Columns(batch);
    let identity: &StringArray = columns.of("identity");
    then(&match table {
        Table::Profiles => {
            let (name, email, phone): (&StringArray, &StringArray, &StringArray) =
                (columns.of("Name"), columns.of("Email"), columns.of("Phone"));
            let (gender, plan): (&StringArray, &StringArray) = (columns.of("Gender"), columns.of("Plan"));
            let (dob, score): (&Date32Array, &Float64Array) = (columns.of("DOB"), columns.of("Score"));
            let (balance, seen): (&Decimal128Array, &TimestampMillisecondArray) = (columns.of("Balance"), columns.of("LastSeen"));
            let (member, tags): (&BooleanArray, &ListArray) = (columns.of("Member"), columns.of("Tags"));
            let items = tags.values().as_string::<i32>();
            let set = |row: usize| {
                let range = tags.value_offsets()[row] as usize..tags.value_offsets()[row + 1] as usize;
                tags.is_valid(row).then(|| Set { set: range.map(|item| items.value(item)).collect() })
            };
            let record = |row: usize| Profile {
                r#type: "profile",
                identity: identity.value(row),
                data: ProfileData {
                    name: text(name, row),
                    email: text(email, row),
                    phone: text(phone, row),
                    gender: text(gender, row),
                    plan: text(plan, row),
                    dob: dob.is_valid(row).then(|| Date(day(dob.value(row)))),
                    score: score.is_valid(row).then(|| score.value(row)),
                    balance: balance.is_valid(row).then(|| balance.value(row) as f64 / 100.0),
                    last_seen: instant(seen, row),
                    member: member.is_valid(row).then(|| member.value(row)),
                    tags: set(row),
                },
            };
            Records::Profiles((0..batch.num_rows()).map(record).collect())
        }
        Table::Events => {
            let (name, product, category): (&StringArray, &StringArray, &StringArray) =
                (columns.of("event_name"), columns.of("Product"), columns.of("Category"));
            let (time, price, quantity): (&Int64Array, &Float64Array, &Int64Array) =
                (columns.of("event_time"), columns.of("Price"), columns.of("Quantity"));
            let (stock, delivered): (&BooleanArray, &TimestampMillisecondArray) = (columns.of("InStock"), columns.of("DeliveredAt"));
            let record = |row: usize| Event {
                r#type: "event",
                identity: identity.value(row),
                ts: time.value(row),
                name: name.value(row),
                data: EventData {
                    product: text(product, row),
                    category: text(category, row),
                    price: price.is_valid(row).then(|| price.value(row)),
                    quantity: quantity.is_valid(row).then(|| quantity.value(row)),
                    in_stock: stock.is_valid(row).then(|| stock.value(row)),
                    delivered_at: instant(delivered, row),
                },
            };
            Records::Events((0..batch.num_rows()).map(record).collect())
        }
    })
}

/// The records of `batch` as trees, built naively: a value per cell, under its own key.
pub(crate) fn values(table: Table, batch: &RecordBatch) -> Vec<Value> {
    let cell = |name: &str, row: usize| -> Option<Value> {
        let array = batch.column_by_name(name)?;
        let date = |seconds: i64| {
            let zero = if (10_000_000..100_000_000).contains(&seconds) { "0" } else { "" };
            Value::from(format!("$D_{zero}{seconds}"))
        };
        let any = array.as_any();
        array.is_valid(row).then(|| {
            if let Some(array) = any.downcast_ref::<StringArray>() {
                Value::from(array.value(row))
            } else if let Some(array) = any.downcast_ref::<Int64Array>() {
                Value::from(array.value(row))
            } else if let Some(array) = any.downcast_ref::<Float64Array>() {
                Value::from(array.value(row))
            } else if let Some(array) = any.downcast_ref::<BooleanArray>() {
                Value::from(array.value(row))
            } else if let Some(array) = any.downcast_ref::<Decimal128Array>() {
                Value::from(array.value(row) as f64 / 100.0)
            } else if let Some(array) = any.downcast_ref::<Date32Array>() {
                date(day(array.value(row)))
            } else if let Some(array) = any.downcast_ref::<TimestampMillisecondArray>() {
                date(array.value(row).div_euclid(1_000))
            } else {
                let items = array.as_list::<i32>().value(row);
                json!({ "$set": items.as_string::<i32>().iter().collect::<Vec<_>>() })
            }
        })
    };
    let data = |row: usize, head: usize| -> Map<String, Value> {
        let schema = batch.schema();
        schema.fields().iter().skip(head).filter_map(|field| Some((field.name().clone(), cell(field.name(), row)?))).collect()
    };
    (0..batch.num_rows())
        .map(|row| match table {
            Table::Profiles => json!({ "type": "profile", "identity": cell("identity", row), "profileData": data(row, 1) }),
            Table::Events => json!({
                "type": "event",
                "identity": cell("identity", row),
                "ts": cell("event_time", row),
                "evtName": cell("event_name", row),
                "evtData": data(row, 3),
            }),
        })
        .collect()
}
