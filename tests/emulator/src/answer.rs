//! What goes back over the wire: a status and a body, before it becomes an HTTP response.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    content_type: &'static str,
    pub(crate) body: Bytes,
}

/// The body of a whole-request failure.
#[derive(Serialize)]
struct Failure<'a> {
    status: &'static str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

impl Answer {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        Self::text(status, "application/json;charset=utf-8", serde_json::to_vec(body).unwrap_or_default())
    }

    /// `{"status":"success"}` and no more.
    pub(crate) fn success() -> Self {
        Self::text(200, "application/json;charset=utf-8", r#"{"status":"success"}"#)
    }

    /// A whole-request failure whose `code` is its HTTP status.
    pub(crate) fn fail(status: u16, error: &str) -> Self {
        Self::fail_with(status, status, error)
    }

    /// A whole-request failure.
    pub(crate) fn fail_with(status: u16, code: impl Into<Option<u16>>, error: &str) -> Self {
        let code = code.into();
        Self::json(status, &Failure { status: "fail", error, code })
    }

    /// Any body.
    pub(crate) fn text(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), content_type, body: body.into() }
    }

    /// 200 and nothing in it, as CleverTap answers a path that does not exist.
    pub(crate) fn empty() -> Self {
        Self::text(200, "application/json;charset=utf-8", Bytes::new())
    }

    /// The same JSON without `status`; anything else stays.
    pub(crate) fn without_status(mut self) -> Self {
        if let Ok(mut fields) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&self.body) {
            fields.remove("status");
            self.body = serde_json::to_vec(&fields).unwrap_or_default().into();
        }
        self
    }

    /// Over the limit (reference section 2).
    pub(crate) fn too_many() -> Self {
        Self::fail(429, "Too many concurrent requests")
    }

    /// The HTTP response, compressed if the client asked for it.
    pub(crate) fn respond(self, gzip: bool) -> Response<Bytes> {
        let packed = if gzip && !self.body.is_empty() { pack(&self.body) } else { None };
        let is_packed = packed.is_some();
        let mut response = Response::new(packed.unwrap_or(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static(self.content_type));
        if is_packed {
            headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        }
        response
    }
}

fn pack(body: &[u8]) -> Option<Bytes> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).ok()?;
    Some(encoder.finish().ok()?.into())
}
