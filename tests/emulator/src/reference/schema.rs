//! Reference 4.6, 18.9 and unknowns 2.28: what the schema takes away after a success.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{accept, event};
use crate::{DataType, Emulator, Loss, Need, PropertyReaction, PropertyRule, Reaction, SchemaRules, Settings, Store};

/// A schema with one event and one user property of each kind that matters.
fn rules() -> SchemaRules {
    let rule = |kind, need| PropertyRule { kind, need };
    let properties = [
        ("Id", rule(DataType::Text, Need::Mandatory)),
        ("Price", rule(DataType::Number, Need::Optional)),
        ("Day", rule(DataType::Date, Need::Optional)),
        ("New", rule(DataType::Boolean, Need::Optional)),
    ];
    let properties: BTreeMap<String, PropertyRule> = properties.map(|(key, rule)| (key.to_owned(), rule)).into();
    SchemaRules {
        events: [("Bought".to_owned(), properties)].into(),
        user_properties: [("Plan".to_owned(), DataType::Text), ("Tags".to_owned(), DataType::List)].into(),
        ..SchemaRules::default()
    }
}

fn project(rules: SchemaRules) -> Emulator {
    Emulator::new(Settings { schema_rules: Some(rules), ..Settings::default() })
}

/// What is kept of one event with this data, and what the Error Stream says about it.
async fn kept(rules: SchemaRules, data: Value) -> (Option<Value>, Vec<(Loss, String)>) {
    let emulator = project(rules);
    accept(&emulator, json!([{ "type": "event", "identity": "ada", "evtName": "Bought", "evtData": data }])).await;
    let mut kept = None;
    emulator.for_each_event(|event| kept = Some(event.data()));
    let report = emulator.report();
    assert_eq!((report.event_records, report.events), (1, u64::from(kept.is_some())));
    (kept, report.error_stream_last.into_iter().map(|entry| (entry.kind, entry.key)).collect())
}

fn entry(kind: Loss, key: &str) -> Vec<(Loss, String)> {
    vec![(kind, key.to_owned())]
}

#[tokio::test]
async fn what_fits_the_schema_is_kept_without_a_word() {
    let data = json!({ "Id": "a", "Price": 1.5, "Day": "$D_1767225600", "New": true });
    assert_eq!(kept(rules(), data.clone()).await, (Some(data), vec![]));
}

#[tokio::test]
async fn an_undefined_event_is_kept_or_dropped_and_always_listed() {
    for (undefined_event, stored) in [(Reaction::Accept, 1), (Reaction::Drop, 0)] {
        let emulator = project(SchemaRules { undefined_event, ..rules() });
        accept(&emulator, json!([event("ada")])).await;
        assert_eq!(emulator.events_stored(), stored);
        assert_eq!(emulator.report().error_stream, [(Loss::UndefinedEvent, 1)].into());
        assert_eq!(emulator.profile("ada").is_some(), stored == 1);
    }
}

#[tokio::test]
async fn a_property_that_is_undefined_or_mistyped_takes_itself_or_the_event_away() {
    let fine = json!({ "Id": "a" });
    for (key, value, loss) in [
        ("Other", json!(1), Loss::UndefinedProperty),
        ("price", json!(1), Loss::UndefinedProperty),
        ("Price", json!("1"), Loss::MistypedProperty),
        ("Day", json!("2026-01-01"), Loss::MistypedProperty),
        ("Day", json!(1_767_225_600), Loss::MistypedProperty),
        ("New", json!("true"), Loss::MistypedProperty),
    ] {
        let mut data = fine.clone();
        data[key] = value;
        for (reaction, expected) in
            [(PropertyReaction::Accept, Some(&data)), (PropertyReaction::DropProperty, Some(&fine)), (PropertyReaction::DropEvent, None)]
        {
            let rules = SchemaRules { undefined_property: reaction, mistyped_property: reaction, ..rules() };
            assert_eq!(kept(rules, data.clone()).await, (expected.cloned(), entry(loss, key)));
        }
    }
}

#[tokio::test]
async fn a_mandatory_property_is_missed_also_after_it_was_dropped() {
    for (mandatory_missing, expected) in [(Reaction::Accept, Some(json!({ "Price": 1 }))), (Reaction::Drop, None)] {
        let rules = SchemaRules { mandatory_missing, mistyped_property: PropertyReaction::DropProperty, ..rules() };
        assert_eq!(kept(rules.clone(), json!({ "Price": 1 })).await, (expected.clone(), entry(Loss::MandatoryMissing, "Id")));
        let (kept, entries) = kept(rules, json!({ "Price": 1, "Id": 7 })).await;
        let both = [entry(Loss::MistypedProperty, "Id"), entry(Loss::MandatoryMissing, "Id")].concat();
        assert_eq!((kept, entries), (expected, both));
    }
}

#[tokio::test]
async fn a_user_property_that_does_not_fit_is_kept_or_dropped_and_always_listed() {
    let data = json!({
        "Plan": 7, "Tags": { "$add": ["a"] }, "Other": "x", "Name": "Ada", "Count": { "$incr": 1 }, "Gone": { "$delete": 1 },
    });
    for (reaction, expected) in [
        (Reaction::Accept, json!({ "Plan": 7, "Tags": ["a"], "Other": "x", "Name": "Ada", "Count": 1 })),
        (Reaction::Drop, json!({ "Tags": ["a"], "Name": "Ada" })),
    ] {
        let emulator = project(SchemaRules { undefined_user_property: reaction, mistyped_user_property: reaction, ..rules() });
        assert_eq!(super::profile(&emulator, data.clone()).await, expected);
        let losses = emulator.report().error_stream;
        assert_eq!(losses, [(Loss::UndefinedUserProperty, 3), (Loss::MistypedUserProperty, 1)].into());
    }
}

#[tokio::test]
async fn counts_alone_count_what_the_schema_leaves() {
    let schema_rules = Some(SchemaRules { undefined_event: Reaction::Drop, ..rules() });
    let emulator = Emulator::new(Settings { schema_rules, store: Store::Counts, ..Settings::default() });
    accept(&emulator, json!([event("ada"), { "type": "event", "identity": "ada", "evtName": "Bought", "evtData": { "Id": "a" } }])).await;
    assert_eq!((emulator.events_stored(), emulator.report().event_records), (1, 2));
}
