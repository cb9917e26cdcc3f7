//! Fetches the events of a project and the types of their properties.
//!
//! In: an account. Out: the typed columns of `clevertap_events."Name"`, and the names that a write checks its own against. Both are cached
//! in the account's [`ProjectSchema`](crate::project_schema::ProjectSchema). Types come from one schema call. For properties without a
//! type there, they come from the first page of a small export, once for each event; otherwise they are text. If CleverTap does not
//! answer, a table has only the fixed columns, which is enough for writing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Days;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::account::Account;
use crate::client::{Api, IN_PROGRESS, Lane, LaneSettings, Request, failure_of, has_status};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::project_schema::{self, Events, Known, Properties, TypedColumn, form};
use crate::read::lists;
use crate::read::query::{DayRange, Window, event_query, poll_wait, today};
use crate::relation::Relation;
use crate::table::{Export, Read, Resend, Table, ValueForm};
use crate::tables::{self, query};

/// Records in the sample page: ten of each partition of CleverTap's store.
const SAMPLE_ROWS: usize = 230;

/// How far back the sample may be.
const SAMPLE_DAYS: Days = Days::new(365);

/// How long to wait for CleverTap before going on without the schema, and how long requests for it are tried again: less, if the session
/// says so.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The retry time of a request that is sent only once.
const ONE_ATTEMPT: Duration = Duration::from_millis(1);

/// How long to wait after a failed schema call before the next.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The least similarity of a name that an error suggests.
const SIMILARITY_MIN: f64 = 0.4;

/// Most names that an error suggests.
const SUGGESTIONS_MAX: usize = 5;

tokio::task_local! {
    /// The bounds of requests that planning makes: a table in a catalogue knows no session.
    static PLANNING: Bounds;

    /// Present where a table is only written to.
    static WRITING: ();
}

/// The bounds of the requests for a schema.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    timeout: Duration,
    retry_for: Duration,
}

impl Bounds {
    /// Those of the session that plans.
    fn now() -> Self {
        PLANNING.try_with(|bounds| *bounds).unwrap_or(Self { timeout: TIMEOUT, retry_for: TIMEOUT })
    }
}

/// Plans within the session's `timeout_ms` and `retry_for_ms`: requests of `planning` take no longer.
pub(crate) async fn within<T>(options: &Options, planning: impl Future<Output = T>) -> T {
    let ms = Duration::from_millis;
    let bounds = Bounds { timeout: ms(options.timeout_ms), retry_for: TIMEOUT.min(ms(options.retry_for_ms)) };
    PLANNING.scope(bounds, planning).await
}

/// Finds a table that is only written to: nothing is asked about its event, through whatever schemas it is found.
pub(crate) async fn to_write<T>(finding: impl Future<Output = T>) -> T {
    WRITING.scope((), finding).await
}

/// Whether a table that is asked for now is only written to.
pub(crate) fn is_to_write() -> bool {
    WRITING.try_with(|()| ()).is_ok()
}

/// The events of the project, cached or from the schema call. Empty if the answer has no list.
pub(crate) async fn events(account: &Account) -> Result<Arc<Events>> {
    let known = account.project_schema().known().events.clone();
    match known {
        Some(events) => Ok(events),
        None => Ok(fetch_events(account, Bounds::now().retry_for).await?.map_or_else(Default::default, |(events, _)| events)),
    }
}

/// The current events of the project. For a full scan, a cached or an empty list would silently leave out people.
///
/// # Errors
/// Those of `Lane::fetch`; [`Error::Answer`] if the answer has no list, or an event without a name.
pub(crate) async fn events_now(account: &Account, retry_for: Duration) -> Result<Arc<Events>> {
    let incomplete =
        |what| Error::Answer(format!("CleverTap was asked for the project's events, and its answer has {what}. Please report this."));
    let (events, all_named) = fetch_events(account, retry_for).await?.ok_or_else(|| incomplete("no list of them"))?;
    if all_named { Ok(events) } else { Err(incomplete("one without a name")) }
}

/// Fetches and caches the events, and says whether each of them has a name.
async fn fetch_events(account: &Account, retry_for: Duration) -> Result<Option<(Arc<Events>, bool)>> {
    let table = tables::event_schema();
    let records = schema_records(account, table, retry_for).await?;
    if let Some(records) = &records {
        account.project_schema().learn(table, records);
    }
    Ok(records.map(|records| (Arc::new(project_schema::events(&records)), records.iter().all(project_schema::is_named))))
}

/// The events that a write checks its own against. They are requested at most once, without retries.
///
/// # Errors
/// Why they are not available, as the end of a sentence.
pub(crate) async fn events_to_write(account: &Account, timeout: Duration) -> Result<Arc<Events>, String> {
    cached_or_fetched(account, tables::event_schema(), timeout, |known| known.events.clone()).await
}

/// The profile properties that a write checks its own against. They are requested at most once, without retries.
///
/// # Errors
/// Why they are not available, as the end of a sentence.
pub(crate) async fn people_to_write(account: &Account, timeout: Duration) -> Result<Arc<Properties>, String> {
    cached_or_fetched(account, tables::profile_schema(), timeout, |known| known.people.clone()).await
}

async fn cached_or_fetched<T>(
    account: &Account,
    table: &Table,
    timeout: Duration,
    cached: impl Fn(&Known) -> Option<T>,
) -> Result<T, String> {
    let timeout = timeout.min(TIMEOUT);
    let schema = account.project_schema();
    let _fetching = schema.fetching.lock().await;
    {
        let known = schema.known();
        match (cached(&known), &known.unavailable) {
            (Some(value), _) => return Ok(value),
            (None, Some(why)) => return Err(why.clone()),
            (None, None) => {}
        }
    }
    let why = match tokio::time::timeout(timeout, schema_records(account, table, ONE_ATTEMPT)).await {
        Ok(Ok(Some(records))) => {
            schema.learn(table, &records);
            None
        }
        Ok(Ok(None)) => Some("CleverTap's answer has no list".to_owned()),
        Ok(Err(error)) => Some(error.sentence().trim_end_matches('.').to_owned()),
        Err(_) => Some(format!("CleverTap did not answer in {} s", timeout.as_secs_f64())),
    };
    let mut known = schema.known();
    known.unavailable = why;
    cached(&known).ok_or_else(|| known.unavailable.clone().unwrap_or_default())
}

/// The typed columns of an event, sorted by name. Properties named like one of `taken` get no column.
pub(crate) async fn typed_columns(account: &Account, export: &'static Export, event: &str, taken: &[&str]) -> Arc<[TypedColumn]> {
    let schema = account.project_schema();
    if let Some(typed) = schema.known().typed.get(event) {
        return Arc::clone(typed);
    }
    let _fetching = schema.fetching.lock().await;
    if let Some(typed) = schema.known().typed.get(event) {
        return Arc::clone(typed);
    }
    if schema.known().failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
        return Arc::from([]);
    }
    let listed = events(account).await;
    let mut failed = listed.is_err();
    let listed = listed.ok().and_then(|events| events.get(event).cloned()).unwrap_or_default();
    let mut properties: BTreeMap<String, Option<ValueForm>> =
        listed.properties.into_iter().map(|(name, type_name)| (name, type_name.as_deref().and_then(form))).collect();
    if properties.is_empty() || properties.values().any(Option::is_none) {
        match sample(account, export, event).await {
            Ok(sampled) => {
                for (name, form) in sampled {
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

/// A lane for requests that no statement configures. Failed requests are retried for `retry_for`.
fn lane(account: &Account, path: &'static str, retry_for: Duration) -> Lane {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let options = Options { retry_for_ms: ms(retry_for), timeout_ms: ms(Bounds::now().timeout), ..Options::default() };
    Lane::new(account.client(), LaneSettings::new(Api::of(path), &options))
}

/// The records of a schema call. `None` if the answer has no list.
async fn schema_records(account: &Account, table: &Table, retry_for: Duration) -> Result<Option<Vec<Value>>> {
    match &table.read {
        Some(Read::List(call)) => {
            let records = lists::fetch_all(&lane(account, call.path, retry_for), call, table).await?;
            records.map(|records| lists::values(call.path, &records)).transpose()
        }
        _ => Ok(None),
    }
}

/// The forms of an event's properties in the first page of the last year.
async fn sample(account: &Account, export: &'static Export, event: &str) -> Result<BTreeMap<String, ValueForm>> {
    let today = today(account);
    let range = (today.checked_sub_days(SAMPLE_DAYS).unwrap_or(today), today);
    let records = first_page(&lane(account, export.path, Bounds::now().retry_for), export, event, range, None).await?;
    Ok(forms(&records, export.properties.unwrap_or_default()))
}

/// The records of the first page of an event, with the part of the record that `column` needs. Empty if the event does not exist or
/// cannot be exported.
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
        .understanding(UNDERSTOOD)
        .understanding_errors(IN_PROGRESS);
    let is_needed = |columns: &[&str]| column.is_some_and(|column| columns.contains(&column));
    let mut request = export.parts.iter().fold(open, |request, (part, columns)| request.with(part, is_needed(columns).to_string()));
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let answer = lane.fetch(&request, has_status).await?;
        if let Some(failure) = failure_of(&answer) {
            if !failure.is_in_progress() || began.elapsed() >= Bounds::now().retry_for {
                return Ok(Vec::new());
            }
            tries += 1;
            lane.pause(poll_wait(tries)).await;
            continue;
        }
        let body = lane.client().without_passcode(answer.body);
        let mut page: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(Value::Array(records)) = page.remove(export.records) {
            return Ok(records);
        }
        match page.remove(query::CURSOR) {
            Some(Value::String(cursor)) if request.verbatim.is_none() => {
                request = Request::get(export.path)
                    .with_verbatim(query::CURSOR, cursor)
                    .understanding(UNDERSTOOD)
                    .understanding_errors(IN_PROGRESS);
            }
            _ => return Ok(Vec::new()),
        }
    }
}

/// For each property, a form that fits all its values.
fn forms(records: &[Value], pointer: &str) -> BTreeMap<String, ValueForm> {
    let mut forms: BTreeMap<String, ValueForm> = BTreeMap::new();
    for properties in records.iter().filter_map(|record| record.pointer(pointer)).filter_map(Value::as_object) {
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

/// Whether the text is a date in CleverTap's form: `$D_` and digits.
pub(crate) fn is_date(text: &str) -> bool {
    text.strip_prefix("$D_").is_some_and(|digits| {
        let digits = digits.strip_prefix('-').unwrap_or(digits);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The message for an event that does not exist, with similar names.
pub(crate) async fn unknown_event(relation: &Relation, event: &str) -> String {
    let table = relation.qualified();
    let mut similar: Vec<(f64, String)> = Vec::new();
    if let Ok(Some(records)) = schema_records(&relation.account, tables::event_schema(), TIMEOUT).await {
        let events = project_schema::events(&records);
        if events.contains_key(event) {
            return format!(
                "{table}: CleverTap calls the event \"{event}\" invalid, although the project's schema has it: it may be discarded, or too new \
                 to be read"
            );
        }
        let folded = event.to_lowercase();
        similar.extend(events.into_keys().map(|name| (normalized_levenshtein(&folded, &name.to_lowercase()), name)));
        similar.retain(|(similarity, _)| *similarity >= SIMILARITY_MIN);
        similar.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        similar.truncate(SUGGESTIONS_MAX);
    }
    let names: Vec<_> = similar.iter().map(|(_, name)| format!("\"{name}\"")).collect();
    let hint = if names.is_empty() {
        format!("{} lists the events that there are", relation.sibling("event_schema"))
    } else {
        format!("it has {}", names.join(", "))
    };
    format!("{table}: the project has no event \"{event}\"; names are exact, capitals included, and {hint}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_property_with_values_of_several_types_is_text() {
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
