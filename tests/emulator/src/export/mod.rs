//! `/1/events.json` and `/1/profiles.json`: opened with a query, walked with cursors (reference 6 and 7.1).

pub(crate) mod chain;
pub(crate) mod cursor;
mod flags;
pub(crate) mod record;

use std::sync::PoisonError;

use http::Method;
use serde_json::json;

use crate::answer::Answer;
use crate::api::Api;
use crate::emulator::Inner;
use crate::faults::What;
use crate::json::Json;
use crate::lock;
use crate::query::days::Clock;
use crate::query::{Event, Query, select};
use crate::report::{ExportOpened, Rule};
use crate::settings::{LastPage, Settings};
use crate::store::index::{PARTITIONS, hash};
use crate::url_query::{decode, parameter};
use chain::{CursorState, Hold, Snapshot};
use cursor::Cursor;
use flags::Flags;
use record::Writer;

/// The largest page that may be asked for, and the one that is taken where none is (unknowns 1.6, 1.7).
const BATCH_MAX: usize = 5000;

/// A request to an export, as it arrived.
#[derive(Debug)]
pub(crate) enum ExportRequest {
    Opening,
    /// The hold keeps others off the chain until the answer is there.
    Page(Cursor, #[expect(dead_code, reason = "its drop is what it is for")] Hold),
    /// The chain is being fetched from already (reference 6.3).
    Overlap,
    /// Nothing that was ever given out, after one decoding (unknowns 1.2).
    Damaged,
}

impl ExportRequest {
    /// Reads the query of a request to an export.
    pub(crate) fn of(inner: &Inner, query: &str) -> Self {
        let Some(sent) = parameter(query, "cursor") else {
            return Self::Opening;
        };
        let cursor = decode(sent).and_then(|text| Cursor::read(&text, key(&inner.settings)));
        let Some(cursor) = cursor.filter(|cursor| inner.chains.knows(*cursor)) else {
            return Self::Damaged;
        };
        match inner.chains.hold(cursor) {
            Some(hold) => Self::Page(cursor, hold),
            None => Self::Overlap,
        }
    }
}

/// Runs one request.
pub(crate) fn run(
    inner: &Inner,
    api: Api,
    method: &Method,
    query: &str,
    body: &[u8],
    request: &ExportRequest,
    what: Option<&What>,
) -> Answer {
    match request {
        ExportRequest::Opening if method == Method::POST => open(inner, api, query, body).unwrap_or_else(|answer| answer),
        ExportRequest::Opening => broke(inner, Rule::Query, Answer::fail(400, "cursor is mandatory")),
        ExportRequest::Page(cursor, _) => {
            if query.split('&').count() > 1 {
                lock(&inner.report).broke(Rule::Query);
            }
            page(inner, api, *cursor, what)
        }
        ExportRequest::Overlap => broke(inner, Rule::Overlap, in_progress()),
        ExportRequest::Damaged => broke(inner, Rule::Cursor, incorrect_usage()),
    }
}

/// What makes the cursors of an account its own.
fn key(settings: &Settings) -> u64 {
    settings.seed ^ hash(&settings.account_id)
}

/// Not ready, or somebody else's turn.
pub(crate) fn in_progress() -> Answer {
    Answer::fail_with(200, 2, "Request still in progress, please retry later")
}

fn incorrect_usage() -> Answer {
    Answer::fail_with(200, 3, "Incorrect Usage")
}

fn broke(inner: &Inner, rule: Rule, answer: Answer) -> Answer {
    lock(&inner.report).broke(rule);
    answer
}

fn open(inner: &Inner, api: Api, query: &str, body: &[u8]) -> Result<Answer, Answer> {
    let (batch_size, flags) = options(query).map_err(|text| broke(inner, Rule::Query, Answer::fail(400, text)))?;
    let settings = &inner.settings;
    let tree = Json::parse(body).map_err(|_| broke(inner, Rule::Malformed, Answer::fail(400, "Malformed request")))?;
    let event = if api == Api::Events { Event::Required } else { Event::Optional };
    let wanted = Query::read(&tree, event, &["groups"], inner.now(), settings.time_zone)
        .map_err(|refusal| broke(inner, Rule::Body, refusal.answer()))?;
    if wanted.event_filter.event.iter().any(|name| settings.unexportable_events.contains(name)) {
        return Err(Answer::fail(400, "Export not allowed for this event"));
    }
    let selection = {
        let devices = inner.devices.read().unwrap_or_else(PoisonError::into_inner);
        let mut database = lock(&inner.database);
        select::check_names(&wanted, &database, settings)?;
        match api {
            Api::Events => select::events(&wanted, &mut database, &devices),
            _ => select::people(&wanted, &mut database, &devices, &settings.unexportable_events),
        }
    };
    let frozen = Snapshot::new(selection, batch_size / PARTITIONS, flags);
    let cursor = inner.chains.open(api, frozen, inner.elapsed_ms(), settings);
    lock(&inner.report).opened(ExportOpened {
        path: api.path().to_owned(),
        event: wanted.event_filter.event,
        from: wanted.event_filter.days.map(|(from, _)| from),
        to: wanted.event_filter.days.map(|(_, to)| to),
        app: flags.app,
        events: flags.events,
        profile: flags.profile,
        batch_size,
        filters: wanted.filters,
    });
    Ok(Answer::json(200, &json!({ "status": "success", "cursor": cursor.encoded(key(settings)) })))
}

fn options(query: &str) -> Result<(usize, Flags), &'static str> {
    let mut batch_size = BATCH_MAX;
    let mut flags = Flags { app: false, events: true, profile: true };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let flag = match key {
            "batch_size" => {
                let size = value.parse().ok().filter(|size| (1..=BATCH_MAX).contains(size));
                batch_size = size.ok_or("batch_size should be between 1 and 5000")?;
                continue;
            }
            "app" => &mut flags.app,
            "events" => &mut flags.events,
            "profile" => &mut flags.profile,
            _ => return Err("The query takes batch_size, app, events and profile"),
        };
        *flag = value.parse().map_err(|_| "app, events and profile are true or false")?;
    }
    Ok((batch_size, flags))
}

/// What one page says.
struct Page {
    records: Option<Vec<u8>>,
    count: usize,
    next: Option<Cursor>,
}

fn page(inner: &Inner, api: Api, cursor: Cursor, what: Option<&What>) -> Answer {
    let settings = &inner.settings;
    if what == Some(&What::ExpireCursor) {
        inner.chains.expire(cursor);
    }
    let frozen = match inner.chains.find(api, cursor, inner.elapsed_ms(), settings) {
        CursorState::Live(frozen) => frozen,
        CursorState::Expired => return broke(inner, Rule::Expired, Answer::fail(400, "Cursor has expired")),
        CursorState::Unknown => return broke(inner, Rule::Cursor, incorrect_usage()),
    };
    let number = cursor.page as usize;
    let pages = frozen.pages();
    let is_end = number >= pages || what == Some(&What::EndEarly);
    let mut page = if is_end {
        Page { records: None, count: 0, next: None }
    } else if what == Some(&What::EmptyPage) {
        Page { records: Some(b"[]".to_vec()), count: 0, next: Some(Cursor { detour: cursor.detour + 1, ..cursor }) }
    } else {
        let (records, count) = records(inner, api, &frozen, number);
        let is_last = number + 1 == pages && settings.last_page == LastPage::WithRecords;
        let next = Cursor { page: cursor.page + 1, detour: 0, ..cursor };
        Page { records: Some(records), count, next: (!is_last).then_some(next) }
    };
    if let Some(What::RepeatCursor { back }) = what {
        let older = Cursor { page: cursor.page.saturating_sub(*back), detour: 0, ..cursor };
        page.next = Some(if *back == 0 { cursor } else { older });
    }
    {
        let mut report = lock(&inner.report);
        report.pages_served += 1;
        report.records_exported += page.count as u64;
    }
    page.answer(key(settings), number)
}

impl Page {
    fn answer(self, key: u64, turn: usize) -> Answer {
        let records = self.records.map(|records| [b"\"records\":", &records[..]].concat());
        let next = self.next.map(|next| format!("\"next_cursor\":\"{}\"", next.encoded(key)).into_bytes());
        let status = Some(b"\"status\":\"success\"".to_vec());
        let mut pieces = [status, next, records];
        if turn % 2 == 1 {
            pieces.reverse();
        }
        let pieces: Vec<Vec<u8>> = pieces.into_iter().flatten().collect();
        let body = [b"{", &pieces.join(&b","[..])[..], b"}"].concat();
        Answer::text(200, "application/json;charset=utf-8", body)
    }
}

fn records(inner: &Inner, api: Api, frozen: &Snapshot, page: usize) -> (Vec<u8>, usize) {
    let devices = inner.devices.read().unwrap_or_else(PoisonError::into_inner);
    let mut database = lock(&inner.database);
    let by_person = (frozen.flags.events || api == Api::Profiles).then(|| database.by_person());
    let mut writer = Writer {
        database: &database,
        devices: &devices,
        clock: Clock::new(inner.settings.time_zone),
        flags: frozen.flags,
        top_object_id: inner.settings.top_object_id,
        by_person,
        out: b"[".to_vec(),
    };
    let mut count = 0;
    // Whoever was deleted since leaves a gap: the pages stay where they are.
    let is_there = |place: &u32| match api {
        Api::Events => !database.is_gone(&database.events[*place as usize]),
        _ => database.people[database.person_of(*place) as usize].is_some(),
    };
    for place in frozen.page(page).filter(is_there) {
        if count > 0 {
            writer.out.push(b',');
        }
        match api {
            Api::Events => writer.event(place),
            _ => writer.person(place),
        }
        count += 1;
    }
    writer.out.push(b']');
    (writer.out, count)
}
