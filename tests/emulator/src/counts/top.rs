//! `POST /1/counts/top.json`: the values of a property and how many events have each (reference 8.5).

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::counts::{check_keys, groups, person_of};
use crate::json::Json;
use crate::query::{Field, Query, Refusal, select};
use crate::store::Database;
use crate::upload::record::Devices;

/// Values of a group that sets no other number.
const TOP_N: u64 = 10;
/// The most.
const TOP_N_MAX: u64 = 100;

/// Where a property lies.
#[derive(Clone, Copy)]
enum PropertySource {
    Event,
    Session,
    Person(Field),
    /// Known to CleverTap, never to an emulated project: reachability and geography.
    Nowhere,
}

struct Group<'a> {
    name: &'a str,
    place: PropertySource,
    property: &'a str,
    top_n: usize,
    is_ascending: bool,
    /// Type and value as they are shown.
    counts: HashMap<(&'static str, String), u64>,
}

pub(super) fn run(tree: &Json<'_>, query: &Query, database: &mut Database, devices: &Devices) -> Result<Answer, Refusal> {
    let mut groups = groups(tree)?.iter().map(|(name, group)| read(name, group)).collect::<Result<Vec<_>, _>>()?;
    let selection = select::events(query, database, devices);
    let mut text = Vec::new();
    for place in selection.places() {
        let mut event: Option<Map<String, Value>> = None;
        for group in &mut groups {
            let value = match group.place {
                PropertySource::Event => {
                    let properties = event.get_or_insert_with(|| {
                        text.clear();
                        database.write_event_properties(place, &mut text);
                        serde_json::from_slice(&text).unwrap_or_default()
                    });
                    properties.get(group.property).cloned()
                }
                PropertySource::Session => {
                    let session = database.events[place as usize].session.as_deref().unwrap_or("{}");
                    serde_json::from_str::<Map<String, Value>>(session).unwrap_or_default().get(group.property).cloned()
                }
                PropertySource::Person(field) => database.field(person_of(database, place), field, group.property, devices),
                PropertySource::Nowhere => None,
            };
            match value {
                Some(Value::Array(items)) => items.iter().for_each(|item| group.add(item)),
                Some(value) => group.add(&value),
                None => {}
            }
        }
    }
    let mut answer = vec![r#""status":"success""#.to_owned()];
    answer.extend(groups.iter().map(Group::show));
    Ok(Answer::text(200, "application/json;charset=utf-8", format!("{{{}}}", answer.join(","))))
}

fn read<'a>(name: &'a str, group: &'a Json<'_>) -> Result<Group<'a>, Refusal> {
    check_keys(group, &["property_type", "name", "top_n", "order"])?;
    let refuse = |what: &str| Refusal(format!("Invalid {what} in group : {name}"));
    let place = match group.get("property_type").and_then(Json::as_text) {
        Some("event_properties") => PropertySource::Event,
        Some("session_properties") => PropertySource::Session,
        Some("profile_fields") => PropertySource::Person(Field::Profile),
        Some("demographics") => PropertySource::Person(Field::Demographic),
        Some("technographics") => PropertySource::Person(Field::Technographic),
        Some("app_fields") => PropertySource::Person(Field::App),
        Some("reachability" | "geo_fields") => PropertySource::Nowhere,
        _ => return Err(refuse("property_type")),
    };
    let property = group.get("name").and_then(Json::as_text).filter(|name| !name.is_empty()).ok_or_else(|| refuse("name"))?;
    let top_n = match group.get("top_n") {
        None => TOP_N,
        Some(Json::Number(number)) => number.as_u64().filter(|top_n| (1..=TOP_N_MAX).contains(top_n)).ok_or_else(|| refuse("top_n"))?,
        Some(_) => return Err(refuse("top_n")),
    };
    let is_ascending = match group.get("order") {
        None => false,
        Some(Json::Text(order)) if order == "desc" => false,
        Some(Json::Text(order)) if order == "asc" => true,
        Some(_) => return Err(refuse("order")),
    };
    let top_n = usize::try_from(top_n).unwrap_or(usize::MAX);
    Ok(Group { name, place, property, top_n, is_ascending, counts: HashMap::new() })
}

impl Group<'_> {
    fn add(&mut self, value: &Value) {
        let shown = match value {
            Value::String(text) if text.starts_with("$D_") => ("DATE", text.clone()),
            Value::String(text) => ("STR", text.clone()),
            Value::Number(number) => ("NUM", number.to_string()),
            Value::Bool(flag) => ("BOOL", flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => return,
        };
        *self.counts.entry(shown).or_default() += 1;
    }

    /// `"g":{"STR":{"gold":40,"silver":12}}`: the values in their order, of all types together so many.
    fn show(&self) -> String {
        let mut values: Vec<(&(&str, String), u64)> = self.counts.iter().map(|(value, count)| (value, *count)).collect();
        values.sort_unstable_by(|(left, more), (right, less)| {
            let by_count = if self.is_ascending { more.cmp(less) } else { less.cmp(more) };
            by_count.then_with(|| left.cmp(right))
        });
        let mut kinds = BTreeMap::<&str, Vec<String>>::new();
        for ((kind, value), count) in values.into_iter().take(self.top_n) {
            kinds.entry(kind).or_default().push(format!("{}:{count}", Value::from(value.as_str())));
        }
        let kinds: Vec<String> = kinds.into_iter().map(|(kind, values)| format!("\"{kind}\":{{{}}}", values.join(","))).collect();
        format!("{}:{{{}}}", Value::from(self.name), kinds.join(","))
    }
}
