//! Asking what events a project has, and of which types their properties are.
//!
//! In: an account. Out: the typed columns of `clevertap_events."Name"`, and what a write compares its names with; both are kept in
//! the account's [`ProjectSchema`](crate::project_schema::ProjectSchema). Types come from one schema call; what it does not say, from
//! the first page of a small export, once an event; what neither says is text. Where CleverTap does not answer, the fixed columns are
//! all there is: writing needs no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Days;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::account::Account;
use crate::client::{Api, Lane, LaneSettings, Request, failure_of, has_status};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::project_schema::{self, Events, Known, Properties, TypedColumn, form};
use crate::read::lists;
use crate::read::query::{DayRange, Window, event_query, poll_wait, today};
use crate::relation::Relation;
use crate::table::{Export, Read, Resend, Table, ValueForm};
use crate::tables::{self, query};

/// Records of the page that is looked at: ten of each part of the store.
const SAMPLE_ROWS: usize = 230;

/// How far back that page may come from.
const SAMPLE_DAYS: Days = Days::new(365);

/// How long CleverTap is asked before it is done without.
const PATIENCE: Duration = Duration::from_secs(10);

/// For so long a request is tried that is tried once.
const ONE_ATTEMPT: Duration = Duration::from_millis(1);

/// How long a schema call that failed is not made again.
const FAILED_FOR: Duration = Duration::from_secs(60);

/// How much alike a name must be to be told.
const NEAR: f64 = 0.4;

/// Names that an error tells.
const NEAR_MAX: usize = 5;

/// The events of the project, from the schema call; none where its answer has no list.
pub(crate) async fn events(account: &Account) -> Result<Arc<Events>> {
    let known = account.project_schema().known().events.clone();
    match known {
        Some(events) => Ok(events),
        None => Ok(fetch_events(account, PATIENCE).await?.unwrap_or_default()),
    }
}

/// The events that the project has now: whoever needs all of them cannot do with those of an earlier call, nor with none.
///
/// # Errors
/// As `Lane::fetch`; [`Error::Answer`] where the answer has no list.
pub(crate) async fn events_now(account: &Account, retry_for: Duration) -> Result<Arc<Events>> {
    fetch_events(account, retry_for).await?.ok_or_else(|| {
        Error::Answer("CleverTap was asked for the project's events, and its answer has no list of them. Please report this.".into())
    })
}

/// The events of a schema call, which are kept.
async fn fetch_events(account: &Account, retry_for: Duration) -> Result<Option<Arc<Events>>> {
    let table = tables::event_schema();
    let records = schema_records(account, table, retry_for).await?;
    if let Some(records) = &records {
        account.project_schema().learn(table, records);
    }
    Ok(records.map(|records| Arc::new(project_schema::events(&records))))
}

/// What a write compares its events with. Once a session CleverTap is asked, in one attempt.
///
/// # Errors
/// Why it is not known, as the end of a sentence.
pub(crate) async fn events_to_write(account: &Account) -> Result<Arc<Events>, String> {
    to_write(account, tables::event_schema(), |known| known.events.clone()).await
}

/// What a write compares the properties of people with. Once a session CleverTap is asked, in one attempt.
///
/// # Errors
/// Why it is not known, as the end of a sentence.
pub(crate) async fn people_to_write(account: &Account) -> Result<Arc<Properties>, String> {
    to_write(account, tables::profile_schema(), |known| known.people.clone()).await
}

async fn to_write<T>(account: &Account, table: &Table, found: impl Fn(&Known) -> Option<T>) -> Result<T, String> {
    let schema = account.project_schema();
    let _one = schema.asking.lock().await;
    {
        let known = schema.known();
        match (found(&known), &known.unavailable) {
            (Some(found), _) => return Ok(found),
            (None, Some(why)) => return Err(why.clone()),
            (None, None) => {}
        }
    }
    let why = match tokio::time::timeout(PATIENCE, schema_records(account, table, ONE_ATTEMPT)).await {
        Ok(Ok(Some(records))) => {
            schema.learn(table, &records);
            None
        }
        Ok(Ok(None)) => Some("CleverTap's answer has no list".to_owned()),
        Ok(Err(error)) => Some(error.sentence().trim_end_matches('.').to_owned()),
        Err(_) => Some(format!("CleverTap did not answer in {} s", PATIENCE.as_secs())),
    };
    let mut known = schema.known();
    known.unavailable = why;
    found(&known).ok_or_else(|| known.unavailable.clone().unwrap_or_default())
}

/// The typed columns of an event, in the order of their names. `taken` are names that they may not have.
pub(crate) async fn typed_columns(account: &Account, export: &'static Export, event: &str, taken: &[&str]) -> Arc<[TypedColumn]> {
    let schema = account.project_schema();
    if let Some(typed) = schema.known().typed.get(event) {
        return Arc::clone(typed);
    }
    let _one = schema.asking.lock().await;
    if let Some(typed) = schema.known().typed.get(event) {
        return Arc::clone(typed);
    }
    if schema.known().failed_at.is_some_and(|at| at.elapsed() < FAILED_FOR) {
        return Arc::from([]);
    }
    let listed = events(account).await;
    let mut failed = listed.is_err();
    let listed = listed.ok().and_then(|events| events.get(event).cloned()).unwrap_or_default();
    let mut properties: BTreeMap<String, Option<ValueForm>> =
        listed.properties.into_iter().map(|(name, word)| (name, word.as_deref().and_then(form))).collect();
    if properties.is_empty() || properties.values().any(Option::is_none) {
        match sample(account, export, event).await {
            Ok(seen) => {
                for (name, form) in seen {
                    properties.entry(name).or_default().get_or_insert(form);
                }
            }
            Err(error) => {
                tracing::warn!("the properties of an event could not be looked at: {error}");
                failed = true;
            }
        }
    }
    let parent = export.properties.unwrap_or_default().trim_start_matches('/');
    let column = |(name, form): (String, Option<ValueForm>)| {
        let path = vec![parent.to_owned(), name.clone()];
        TypedColumn { name, path, form: form.unwrap_or(ValueForm::Text) }
    };
    let typed: Arc<[TypedColumn]> = properties.into_iter().filter(|(name, _)| !taken.contains(&name.as_str())).map(column).collect();
    let mut known = schema.known();
    if failed {
        known.failed_at = Some(Instant::now());
    } else {
        known.typed.insert(event.to_owned(), Arc::clone(&typed));
    }
    typed
}

/// A lane for what a session finds out by itself; what fails is tried again for `retry_for`.
fn lane(account: &Account, path: &'static str, retry_for: Duration) -> Lane {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let options = Options { retry_for_ms: ms(retry_for), timeout_ms: ms(PATIENCE), ..Options::default() };
    Lane::new(account.client(), LaneSettings::new(Api::of(path), &options))
}

/// The records of a schema call; `None` where the answer has no list.
async fn schema_records(account: &Account, table: &Table, retry_for: Duration) -> Result<Option<Vec<Value>>> {
    match &table.read {
        Some(Read::Whole(call)) => lists::fetch_all(&lane(account, call.path, retry_for), call, table).await,
        _ => Ok(None),
    }
}

/// What the properties of an event look like in the first page of its last year.
async fn sample(account: &Account, export: &'static Export, event: &str) -> Result<BTreeMap<String, ValueForm>> {
    let today = today(account);
    let range = (today.checked_sub_days(SAMPLE_DAYS).unwrap_or(today), today);
    let records = first_page(&lane(account, export.path, PATIENCE), export, event, range, None).await?;
    Ok(forms(&records, export.properties.unwrap_or_default()))
}

/// The records of the first page of an event, with the part of them that holds `column`; none where the event is not there or cannot
/// be exported.
pub(crate) async fn first_page(
    lane: &Lane,
    export: &'static Export,
    event: &str,
    range: DayRange,
    column: Option<&str>,
) -> Result<Vec<Value>> {
    const UNDERSTOOD: &[i64] = &[2, 3, 400];
    let body = event_query(event, &Window { event: None, range });
    let open = Request::post(export.path, Value::Object(body).to_string(), Resend::Idempotent)
        .with(query::BATCH_SIZE, SAMPLE_ROWS.to_string())
        .understanding(UNDERSTOOD);
    let wants = |columns: &[&str]| column.is_some_and(|column| columns.contains(&column));
    let mut request = export.parts.iter().fold(open, |request, (part, columns)| request.with(part, wants(columns).to_string()));
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let answer = lane.fetch(&request, has_status).await?;
        if let Some(failure) = failure_of(&answer) {
            if failure.code != Some(2) || began.elapsed() >= PATIENCE {
                return Ok(Vec::new());
            }
            tries += 1;
            lane.pause(poll_wait(tries)).await;
            continue;
        }
        let mut page: Map<String, Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let Some(Value::Array(records)) = page.remove(export.records) {
            return Ok(records);
        }
        match page.remove(query::CURSOR) {
            Some(Value::String(cursor)) if request.verbatim.is_none() => {
                request = Request::get(export.path).with_verbatim(query::CURSOR, cursor).understanding(UNDERSTOOD);
            }
            _ => return Ok(Vec::new()),
        }
    }
}

/// The form in which all values of each property fit.
fn forms(records: &[Value], place: &str) -> BTreeMap<String, ValueForm> {
    let mut forms: BTreeMap<String, ValueForm> = BTreeMap::new();
    for properties in records.iter().filter_map(|record| record.pointer(place)).filter_map(Value::as_object) {
        for (name, value) in properties {
            let form = match value {
                Value::Null => continue,
                Value::Bool(_) => ValueForm::Boolean,
                Value::Number(_) => ValueForm::Float64,
                Value::String(text) if is_date(text) => ValueForm::Date,
                Value::String(_) | Value::Object(_) => ValueForm::Text,
                Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => ValueForm::TextList,
                Value::Array(_) => ValueForm::Text,
            };
            forms.entry(name.clone()).and_modify(|known| *known = if *known == form { form } else { ValueForm::Text }).or_insert(form);
        }
    }
    forms
}

/// `$D_` and digits.
pub(crate) fn is_date(text: &str) -> bool {
    text.strip_prefix("$D_").is_some_and(|digits| {
        let digits = digits.strip_prefix('-').unwrap_or(digits);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The sentence about an event that the project does not have, with names that are near.
pub(crate) async fn unknown_event(relation: &Relation, event: &str) -> String {
    let mut near: Vec<(f64, String)> = Vec::new();
    if let Ok(Some(records)) = schema_records(&relation.account, tables::event_schema(), PATIENCE).await {
        let folded = event.to_lowercase();
        near.extend(project_schema::events(&records).into_keys().map(|name| (normalized_levenshtein(&folded, &name.to_lowercase()), name)));
        near.retain(|(likeness, _)| *likeness >= NEAR);
        near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        near.truncate(NEAR_MAX);
    }
    let names: Vec<_> = near.iter().map(|(_, name)| format!("\"{name}\"")).collect();
    let hint = if names.is_empty() {
        format!("{} lists the events that there are", relation.sibling("event_schema"))
    } else {
        format!("it has {}", names.join(", "))
    };
    let table = relation.qualified();
    format!("{table}: the project has no event \"{event}\"; names are exact, capitals included, and {hint}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_property_that_is_not_always_the_same_is_text() {
        let records = [
            json!({"event_props":{"Amount":1,"Plan":"gold","Seen":true,"When":"$D_1767225600","Tags":["a"],"Mixed":1,"None":null}}),
            json!({"event_props":{"Amount":2.5,"Plan":"plus","When":"$D_-5","Mixed":"x"}}),
        ];
        let found: Vec<_> = forms(&records, "/event_props").into_iter().collect();
        let expected = [
            ("Amount", ValueForm::Float64),
            ("Mixed", ValueForm::Text),
            ("Plan", ValueForm::Text),
            ("Seen", ValueForm::Boolean),
            ("Tags", ValueForm::TextList),
            ("When", ValueForm::Date),
        ];
        assert_eq!(found, expected.map(|(name, form)| (name.to_owned(), form)));
    }
}
