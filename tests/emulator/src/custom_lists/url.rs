//! `POST /get_custom_list_segment_url`: a place for one file, open to whoever knows it, for a day (reference 12.1).

use chrono::DateTime;
use http::request::Parts;
use serde_json::json;

use super::state::Issued;
use crate::answer::Answer;
use crate::api::LIST_FILE_PREFIX;
use crate::auth::text;
use crate::emulator::Inner;
use crate::faults::draw;
use crate::lock;

/// Gives out a URL; the body is not looked at.
pub(crate) fn run(inner: &Inner, head: &Parts) -> Answer {
    let now = inner.now();
    let life_s = inner.settings.list_url_life_s;
    let expires_at = now + life_s;
    let (Some(issued), Some(expires)) = (DateTime::from_timestamp(now, 0), DateTime::from_timestamp(expires_at, 0)) else {
        return Answer::fail(500, "An unknown error occurred");
    };
    let mut lists = lock(&inner.custom_lists);
    let number = lists.urls.len() as u64;
    let random = |part: u64| format!("{:016x}", draw(inner.settings.seed, 0x0011_5700 + part, number).to_bits());
    let token = format!("{number:08x}{}", random(0));
    let signature: String = (1..=4).map(random).collect();
    let (day, time) = (issued.format("%Y%m%d"), issued.format("%Y%m%dT%H%M%SZ"));
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=EMULATOR%2F{day}%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date={time}\
         &X-Amz-Expires={life_s}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
    );
    let url = format!("{}{LIST_FILE_PREFIX}{token}?{query}", base(inner, head));
    let answer = json!({
        "status": "success",
        "presignedS3URL": url,
        "expiry": expires.with_timezone(&inner.settings.time_zone).format("%-d %b, %I:%M %p").to_string(),
        "expiryEpoch": { "$date": expires.format("%Y-%m-%dT%H:%M:%SZ").to_string() },
    });
    lists.urls.insert(token, Issued { url, query, expires_at, file: None, is_used: false });
    Answer::json(200, &answer)
}

/// Where files are put: as the settings say, or where the request came to.
fn base(inner: &Inner, head: &Parts) -> String {
    if let Some(base) = &inner.settings.presigned_base {
        return base.trim_end_matches('/').to_owned();
    }
    if let Some(authority) = head.uri.authority() {
        return format!("{}://{authority}", head.uri.scheme_str().unwrap_or("http"));
    }
    format!("http://{}", text(&head.headers, "host").unwrap_or("127.0.0.1"))
}
