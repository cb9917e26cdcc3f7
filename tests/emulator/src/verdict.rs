//! What upload, subscribe and disassociate share: a body of records in, how many passed and each refused one out
//! (reference 5.5, 9.3, 10.1).

use serde::Serialize;

use crate::answer::Answer;
use crate::emulator::Inner;
use crate::faults::{Plan, What};
use crate::json::Json;
use crate::lock;
use crate::report::Rule;
use crate::upload::codes::Reason;

/// Bytes of one body (unknowns 2.5).
pub(crate) const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Records of one body (reference 4.4).
const RECORDS_MAX: usize = 1000;

#[derive(Serialize)]
struct Verdict<'r, 'b> {
    status: &'static str,
    processed: usize,
    unprocessed: Vec<Refused<'r, 'b>>,
}

/// A record that did not pass.
#[derive(Serialize)]
pub(crate) struct Refused<'r, 'b> {
    status: &'static str,
    pub(crate) code: u16,
    error: String,
    record: Echo<'r, 'b>,
}

/// The record as it came, or with its phone turned into a number.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Echo<'r, 'b> {
    AsSent(&'r Json<'b>),
    Changed(Json<'b>),
}

impl<'r, 'b> Refused<'r, 'b> {
    /// Refuses the record at a place, which counts from 1.
    pub(crate) fn new(reason: Reason, place: usize, plan: &Plan, record: Echo<'r, 'b>) -> Self {
        Self { status: "fail", code: reason.code(), error: reason.error(reported_place(place, plan)), record }
    }
}

/// Notes a broken rule and refuses the whole request.
pub(crate) fn refuse(inner: &Inner, rule: Rule, text: &str) -> Answer {
    lock(&inner.report).broke(rule);
    Answer::fail(400, text)
}

/// The JSON of a body.
///
/// # Errors
///
/// The answer to a body that is too long or no JSON.
pub(crate) fn parse<'b>(inner: &Inner, body: &'b [u8]) -> Result<Json<'b>, Answer> {
    if body.len() > BODY_BYTES_MAX {
        return Err(refuse(inner, Rule::BodyBytes, "Malformed request"));
    }
    Json::parse(body).map_err(|_| refuse(inner, Rule::Malformed, "Malformed request"))
}

/// The records of a body, in their order.
///
/// # Errors
///
/// The answer to a body that holds no list of at most 1000.
pub(crate) fn records<'b>(inner: &Inner, body: &'b [u8]) -> Result<Vec<Json<'b>>, Answer> {
    let records = match parse(inner, body)? {
        Json::Object(fields) => fields.into_iter().find(|(key, _)| key == "d").map(|(_, value)| value),
        _ => None,
    };
    let Some(Json::List(records)) = records else {
        return Err(refuse(inner, Rule::Malformed, "Malformed request"));
    };
    if records.len() > RECORDS_MAX {
        return Err(refuse(inner, Rule::Records, "Maximum 1000 records are allowed in one request"));
    }
    Ok(records)
}

/// What faults with a probability draw from in the request with this number.
pub(crate) const fn seed(inner: &Inner, number: u64) -> u64 {
    inner.settings.seed ^ number.wrapping_mul(0x5851_F42D_4C95_7F2D)
}

/// How many of the accepted records are carried out.
pub(crate) const fn kept(plan: &Plan) -> usize {
    match plan.what {
        Some(What::StorePrefix { records }) => records,
        _ => usize::MAX,
    }
}

/// Counts refused records by code.
pub(crate) fn count(inner: &Inner, refused: &[Refused<'_, '_>]) {
    let mut report = lock(&inner.report);
    for one in refused {
        *report.records_refused.entry(one.code).or_default() += 1;
    }
}

/// The answer, as true as the fault lets it be.
pub(crate) fn answer(processed: usize, unprocessed: Vec<Refused<'_, '_>>, plan: &Plan) -> Answer {
    let is_lying = matches!(plan.what, Some(What::UnprocessedUnderSuccess { .. }));
    let status = match (processed, unprocessed.len()) {
        (_, 0) => "success",
        _ if is_lying => "success",
        (0, _) => "fail",
        _ => "partial",
    };
    let processed = match plan.what {
        Some(What::WrongCounts { by }) => shifted(processed, by),
        _ => processed,
    };
    Answer::json(200, &Verdict { status, processed, unprocessed })
}

/// The number in a refused record's text.
fn reported_place(place: usize, plan: &Plan) -> usize {
    match plan.what {
        Some(What::WrongNumbers { by }) => shifted(place, by),
        _ => place,
    }
}

fn shifted(number: usize, by: i64) -> usize {
    let size = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    if by < 0 { number.saturating_sub(size) } else { number.saturating_add(size) }
}
