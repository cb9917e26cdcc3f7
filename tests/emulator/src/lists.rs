//! Lists that are read page by page: subscription groups and content blocks as the settings have them, segments with the
//! custom lists behind them (reference 10.3, 12.3, 13).

use chrono::NaiveDateTime;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::campaigns::{answer, check_keys};
use crate::custom_lists::state::ListState;
use crate::emulator::Inner;
use crate::json::Json;
use crate::lock;
use crate::query::Refusal;
use crate::report::Rule;
use crate::url_query::decode;

/// Blocks of one page.
const BLOCKS_MAX: usize = 100;
/// Segments of one page.
const SEGMENTS_MAX: usize = 500;

/// `GET /category-groups`.
pub(crate) fn subscription_groups(inner: &Inner) -> Answer {
    Answer::json(200, &json!({ "status": "success", "list": inner.settings.subscription_groups }))
}

/// `POST /1/segments/list.json`: the one answer without `status`.
pub(crate) fn segments(inner: &Inner, body: &[u8]) -> Answer {
    answer(inner, body, |tree| {
        check_keys(tree, &["page", "limit"])?;
        let number = |key: &str, max: usize| match tree.get(key) {
            Some(Json::Number(number)) => {
                number.as_u64().and_then(|number| usize::try_from(number).ok()).filter(|number| (1..=max).contains(number))
            }
            _ => None,
        };
        let page = number("page", usize::MAX).ok_or_else(|| Refusal::new("Invalid page"))?;
        let limit = number("limit", SEGMENTS_MAX).ok_or_else(|| Refusal::new("limit should be between 1 and 500"))?;
        let all = all_segments(inner);
        let total_pages = all.len().div_ceil(limit);
        Ok(Answer::json(200, &json!({ "segments": part(&all, page, limit), "total_pages": total_pages, "total_count": all.len() })))
    })
}

/// What the settings list, and then every custom list, in the order of their numbers. One that is being made is there too:
/// its name is taken. The reference does not show a segment: `id` and `name` are the ones that a client needs, the words of
/// `status` are the emulator's.
fn all_segments(inner: &Inner) -> Vec<Value> {
    let custom = inner.custom_lists().into_iter().map(|list| {
        let status = match list.state {
            ListState::Processing => "Processing",
            ListState::Ready => "Completed",
            ListState::Failed => "Failed",
        };
        json!({ "id": list.id, "name": list.name, "status": status })
    });
    inner.settings.segments.iter().cloned().chain(custom).collect()
}

/// `GET /v1/contentBlock/list`.
pub(crate) fn content_blocks(inner: &Inner, query: &str) -> Answer {
    blocks(inner, query).unwrap_or_else(|refusal| {
        lock(&inner.report).broke(Rule::Query);
        refusal.answer()
    })
}

fn blocks(inner: &Inner, query: &str) -> Result<Answer, Refusal> {
    let (mut page, mut size) = (None, None);
    let (mut from, mut to) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value).unwrap_or_default();
        let number = || value.parse::<usize>().ok().filter(|number| *number >= 1);
        match key {
            "pageNumber" => page = number(),
            "pageSize" => size = number().filter(|size| *size <= BLOCKS_MAX),
            "updatedFrom" => from = Some(instant(&value)?),
            "updatedTo" => to = Some(instant(&value)?),
            _ => return Err(Refusal(format!("Unknown key in query : {key}"))),
        }
    }
    let page = page.ok_or_else(|| Refusal::new("pageNumber starts at 1"))?;
    let size = size.ok_or_else(|| Refusal::new("pageSize should be between 1 and 100"))?;
    let is_wanted = |block: &&Value| {
        let updated = block.get("updatedAt").and_then(Value::as_str).and_then(|text| instant(text).ok());
        from.is_none_or(|from| updated.is_some_and(|at| at >= from)) && to.is_none_or(|to| updated.is_some_and(|at| at <= to))
    };
    let all: Vec<&Value> = inner.settings.content_blocks.iter().filter(is_wanted).collect();
    Ok(Answer::json(200, &json!({ "status": "success", "contentBlocks": part(&all, page, size), "total": all.len() })))
}

/// ISO-8601 with milliseconds and `Z`, and no other way (reference 1.7).
fn instant(text: &str) -> Result<NaiveDateTime, Refusal> {
    let has_milliseconds = text.len() == "2026-01-01T00:00:00.000Z".len();
    let read = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3fZ").ok();
    read.filter(|_| has_milliseconds).ok_or_else(|| Refusal::new("Enter date in ISO format"))
}

/// One page of a list; the first is 1, the ones behind the end are empty.
fn part<T>(all: &[T], page: usize, size: usize) -> &[T] {
    let start = (page - 1).saturating_mul(size).min(all.len());
    let end = start.saturating_add(size).min(all.len());
    all.get(start..end).unwrap_or_default()
}
