//! People and events that are the same in the emulator and in tables of this process.
//!
//! In: how many, and a zone. Out: a world whose project holds them, and beside it the schema `seed` with the tables `events`, `charged` and
//! `people`, made from the same numbers and never from an answer: what a query over ours must give, a query over those gives.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampSecondArray};
use arrow::util::pretty::pretty_format_batches;
use chrono::{DateTime, NaiveDate, TimeZone};
use chrono_tz::Tz;
use clevertap_emulator::{Platform, SeedPerson, Settings};
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::MemTable;
use datafusion_clevertap::AccountSettings;

use crate::world::World;

/// How large a seed is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) people: u64,
    pub(crate) events: u64,
    /// Days from 2026-01-01 on.
    pub(crate) days: u64,
}

pub(crate) const SMALL: Size = Size { people: 300, events: 6_000, days: 60 };

/// A number that depends on nothing but its arguments.
fn draw(stream: u64, number: u64) -> u64 {
    let mut mixed = number.wrapping_add(stream.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^= mixed >> 31;
    mixed = mixed.wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 29)
}

/// One person.
struct Person {
    identity: Option<String>,
    object_id: String,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    platform: Platform,
    plan: &'static str,
}

fn person(number: u64) -> Person {
    let known = number % 20 != 19;
    let text = |text: String| known.then_some(text);
    Person {
        identity: text(format!("p{number}")),
        object_id: format!("__g{number:032x}"),
        name: text(if number.is_multiple_of(7) { format!("Zoë \"{number}\" \\ 💜") } else { format!("Person {number}") }),
        email: text(format!("p{number}+news@example.org")),
        phone: text(format!("+9198{number:08}")),
        platform: if number.is_multiple_of(3) { Platform::Ios } else { Platform::Android },
        plan: ["gold", "plus", "free"][usize::try_from(number % 3).unwrap_or(0)],
    }
}

/// One event.
struct Event {
    person: u64,
    name: &'static str,
    ts: i64,
    amount: Option<f64>,
    currency: Option<&'static str>,
    order_no: Option<i64>,
    paid_at: Option<i64>,
}

fn event(number: u64, size: Size, zone: Tz) -> Event {
    let first = zone.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).earliest().expect("a midnight").timestamp();
    let drawn = draw(1, number);
    let name = match drawn % 100 {
        0..60 => "Viewed Item",
        60..85 => "Charged",
        _ => "App Launched",
    };
    let charged = name == "Charged";
    let second = i64::try_from(draw(2, number) % (size.days * 86_400)).expect("a second");
    Event {
        person: draw(3, number) % size.people,
        name,
        ts: first + second,
        amount: (charged && !drawn.is_multiple_of(11)).then(|| (draw(4, number) % 40_000) as f64 / 4.0),
        currency: charged.then(|| ["USD", "EUR", "INR"][usize::try_from(draw(5, number) % 3).unwrap_or(0)]),
        order_no: charged.then(|| 9_007_199_254_740_993 + i64::try_from(number).expect("a number")),
        paid_at: charged.then_some(first + second + 60),
    }
}

impl Event {
    fn properties(&self) -> String {
        let mut text = String::from("{");
        if let Some(amount) = self.amount {
            text.push_str(&format!("\"Amount\":{amount},"));
        }
        if let (Some(currency), Some(order), Some(paid)) = (self.currency, self.order_no, self.paid_at) {
            text.push_str(&format!("\"Currency\":\"{currency}\",\"Order\":{order},\"Paid at\":\"$D_{paid}\",\"💜\":\"ü\\\"{order}\","));
        }
        text.push_str(&format!("\"Step\":{}}}", self.ts % 10));
        text
    }
}

/// Rows that become a table.
#[derive(Default)]
struct Rows {
    name: Vec<&'static str>,
    ts: Vec<i64>,
    day: Vec<i32>,
    person: Vec<u64>,
    properties: Vec<String>,
    amount: Vec<Option<f64>>,
    currency: Vec<Option<&'static str>>,
    order_no: Vec<Option<i64>>,
    paid_at: Vec<Option<i64>>,
}

impl Rows {
    fn push(&mut self, event: &Event, properties: &str, zone: Tz) {
        let shown = DateTime::from_timestamp(event.ts, 0).expect("an instant").with_timezone(&zone).naive_local();
        // A clock that shows an hour twice cannot say which it means: the earlier one.
        let ts = zone.from_local_datetime(&shown).earliest().map_or(event.ts, |at| at.timestamp());
        self.name.push(event.name);
        self.ts.push(ts);
        self.day.push(i32::try_from(shown.date().signed_duration_since(NaiveDate::default()).num_days()).expect("a day"));
        self.person.push(event.person);
        self.properties.push(properties.to_owned());
        self.amount.push(event.amount);
        self.currency.push(event.currency);
        self.order_no.push(event.order_no);
        self.paid_at.push(event.paid_at);
    }

    fn batch(self, zone: Tz) -> RecordBatch {
        let people: Vec<Person> = self.person.iter().map(|number| person(*number)).collect();
        let text = |of: &dyn Fn(&Person) -> Option<String>| Arc::new(people.iter().map(of).collect::<StringViewArray>()) as ArrayRef;
        let instant = |values: Vec<Option<i64>>| Arc::new(TimestampSecondArray::from(values).with_timezone(zone.name())) as ArrayRef;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("event_name", Arc::new(self.name.iter().map(Some).collect::<StringViewArray>())),
            ("event_time", instant(self.ts.into_iter().map(Some).collect())),
            ("event_date", Arc::new(Date32Array::from(self.day))),
            ("identity", text(&|person| person.identity.clone())),
            ("object_id", text(&|person| Some(person.object_id.clone()))),
            ("name", text(&|person| person.name.clone())),
            ("email", text(&|person| person.email.clone())),
            ("platform", text(&|person| Some(if person.platform == Platform::Ios { "iOS" } else { "Android" }.to_owned()))),
            ("properties", Arc::new(self.properties.iter().map(Some).collect::<StringViewArray>())),
            ("Amount", Arc::new(Float64Array::from(self.amount))),
            ("Currency", Arc::new(self.currency.into_iter().collect::<StringViewArray>())),
            ("Order", Arc::new(Int64Array::from(self.order_no))),
            ("Paid at", instant(self.paid_at)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true))).expect("a batch")
    }
}

/// A world with these people and events, and the same as tables in the schema `seed`.
pub(crate) fn seeded(size: Size, zone: Tz, settings: Settings, change: impl FnOnce(&mut AccountSettings)) -> World {
    let world = World::open_in(zone, Settings { time_zone: zone, ..settings }, |account| {
        // The seed is of January on: today is behind it.
        account.clock = datafusion_clevertap::account::Clock::starting_at(DateTime::from_timestamp(1_777_000_000, 0).expect("an instant"));
        change(account);
    });
    let mut batches = Vec::new();
    world.emulator.seed(|seeder| {
        let known: Vec<_> = (0..size.people)
            .map(|number| {
                let somebody = person(number);
                let properties = format!("{{\"Plan\":\"{}\",\"Number\":{number}}}", somebody.plan);
                seeder.person(SeedPerson {
                    identity: somebody.identity.as_deref(),
                    object_id: Some(&somebody.object_id),
                    platform: somebody.platform,
                    name: somebody.name.as_deref(),
                    email: somebody.email.as_deref(),
                    phone: somebody.phone.as_deref(),
                    properties: &properties,
                    os_version: "14",
                    app_version: "5.1",
                    make: "Acme",
                    model: "One",
                })
            })
            .collect();
        let mut rows = Rows::default();
        for number in 0..size.events {
            let event = event(number, size, zone);
            let properties = event.properties();
            let person = known[usize::try_from(event.person).expect("a person")];
            seeder.event(person, event.name, event.ts, &properties, Some(r#"{"session_source":"Direct"}"#));
            rows.push(&event, &properties, zone);
            if rows.ts.len() == 8192 || number + 1 == size.events {
                batches.push(std::mem::take(&mut rows).batch(zone));
            }
        }
    });
    let schema = Arc::new(MemorySchemaProvider::new());
    let events = MemTable::try_new(batches[0].schema(), vec![batches]).expect("a table");
    let _ = schema.register_table("events".into(), Arc::new(events)).expect("registered");
    let people: Vec<Person> = (0..size.people).map(person).collect();
    let text = |of: &dyn Fn(&Person) -> Option<String>| Arc::new(people.iter().map(of).collect::<StringViewArray>()) as ArrayRef;
    let people = RecordBatch::try_from_iter_with_nullable([
        ("identity", text(&|person| person.identity.clone()), true),
        ("object_id", text(&|person| Some(person.object_id.clone())), true),
        ("name", text(&|person| person.name.clone()), true),
        ("email", text(&|person| person.email.clone()), true),
        ("plan", text(&|person| Some(person.plan.to_owned())), true),
    ])
    .expect("a batch");
    let people = MemTable::try_new(people.schema(), vec![vec![people]]).expect("a table");
    let _ = schema.register_table("people".into(), Arc::new(people)).expect("registered");
    let catalog = world.ctx.catalog("datafusion").expect("the catalogue");
    let _ = catalog.register_schema("seed", schema).expect("registered");
    world
}

impl World {
    /// Runs the same query over ours and over the seed: `{events}` and `{people}` are the tables, `{charged}` the events of that name with
    /// their properties as columns. The rows, in no order, must be the same; gives how many there were.
    pub(crate) async fn same(&self, sql: &str) -> usize {
        let ours = sql
            .replace("{events}", "clevertap.events")
            .replace("{people}", "clevertap.profiles")
            .replace("{charged}", "clevertap_events.\"Charged\"");
        let seeds = sql
            .replace("{events}", "seed.events")
            .replace("{people}", "seed.people")
            .replace("{charged}", "(SELECT * FROM seed.events WHERE event_name = 'Charged')");
        let (ours, seeds) = (lines(&self.rows(&ours).await), lines(&self.rows(&seeds).await));
        let differ = ours.iter().zip(&seeds).find(|(one, other)| one != other);
        assert!(ours.len() == seeds.len() && differ.is_none(), "{sql}\n{} rows, not {}: {differ:?}", ours.len(), seeds.len());
        ours.len()
    }
}

/// The rows of batches as text, in an order of their own.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let table = pretty_format_batches(batches).expect("text").to_string();
    let mut lines: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    lines
}
