//! A request as plain data, independent of the network.
//!
//! In: path, query and body, from the modules that know tables. Out: the URL under a base. A request does not know its account, so it
//! can be built, compared and tested anywhere.

use std::fmt;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use super::transport::Method;
use crate::table::Resend;

/// A request, sent in one attempt or several.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path from the table. Messages show it.
    pub(crate) path: &'static str,
    /// The query, which no message shows.
    pub(crate) query: Vec<(&'static str, String)>,
    /// A parameter that is sent as it is: a cursor is already percent-encoded, and encoding it again would damage it. What would end the
    /// parameter or the URL is encoded all the same.
    pub(crate) verbatim: Option<(&'static str, String)>,
    /// Compact JSON; empty for a GET.
    pub(crate) body: Bytes,
    /// What happens if it is executed twice.
    pub(crate) resend: Resend,
    /// Codes of a `"status": "fail"` that the caller handles itself, such as 2, "still in progress". Any other code is refused here.
    pub(crate) understood: &'static [i64],
    /// Errors of a `"status": "fail"` that the caller handles itself, if CleverTap gives them no code.
    pub(crate) understood_errors: &'static [&'static str],
}

impl Request {
    /// A GET, which changes nothing.
    pub(crate) fn get(path: &'static str) -> Self {
        Self {
            method: Method::Get,
            path,
            query: Vec::new(),
            verbatim: None,
            body: Bytes::new(),
            resend: Resend::Idempotent,
            understood: &[],
            understood_errors: &[],
        }
    }

    /// A POST of a JSON body.
    pub(crate) fn post(path: &'static str, body: impl Into<Bytes>, resend: Resend) -> Self {
        Self {
            method: Method::Post,
            path,
            query: Vec::new(),
            verbatim: None,
            body: body.into(),
            resend,
            understood: &[],
            understood_errors: &[],
        }
    }

    /// Adds a query parameter.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a parameter that is not encoded.
    #[must_use]
    pub(crate) fn with_verbatim(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.verbatim = Some((name, value.into()));
        self
    }

    /// Sets the codes of a `fail` that the caller handles itself.
    #[must_use]
    pub(crate) fn understanding(mut self, codes: &'static [i64]) -> Self {
        self.understood = codes;
        self
    }

    /// Sets the errors of a `fail` that the caller handles itself.
    #[must_use]
    pub(crate) fn understanding_errors(mut self, errors: &'static [&'static str]) -> Self {
        self.understood_errors = errors;
        self
    }

    /// The complete URL, under the base of an account.
    pub(crate) fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        url.set_path(self.path);
        let pairs = self.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let pairs: Vec<_> = pairs.chain(self.verbatim.iter().map(|(name, value)| format!("{name}={}", kept_inside(value)))).collect();
        if !pairs.is_empty() {
            url.set_query(Some(&pairs.join("&")));
        }
        url
    }
}

/// The text as it is, but for what no value of a query can hold: a `&` would begin another parameter, and a `#` end the query.
fn kept_inside(text: &str) -> String {
    const ENDS_IT: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'&').add(b'<').add(b'>').add(b'\'');
    utf8_percent_encode(text, ENDS_IT).to_string()
}

/// Percent-encoded, with `%20` for a space: not every server accepts `+`.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).map(|part| if part == "+" { "%20" } else { part }).collect()
}

impl fmt::Debug for Request {
    /// Neither the values of the query nor the body: they may belong to a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.query.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &names)
            .field("body_bytes", &self.body.len())
            .field("resend", &self.resend)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_percent_encoded_once() {
        let base = Url::parse("https://in1.api.clevertap.com").unwrap();
        let request = Request::get("/1/profile.json").with("identity", "a+b c&d/é%");
        assert_eq!(request.url(&base).as_str(), "https://in1.api.clevertap.com/1/profile.json?identity=a%2Bb%20c%26d%2F%C3%A9%25");
    }

    #[test]
    fn a_cursor_is_not_encoded_again() {
        let base = Url::parse("https://in1.api.clevertap.com").unwrap();
        let request = Request::get("/1/events.json").with_verbatim("cursor", "q0Zk%2B%2Fa%3D%3D");
        assert_eq!(request.url(&base).as_str(), "https://in1.api.clevertap.com/1/events.json?cursor=q0Zk%2B%2Fa%3D%3D");
    }

    #[test]
    fn a_cursor_is_never_another_parameter() {
        let base = Url::parse("https://in1.api.clevertap.com").unwrap();
        let request = Request::get("/1/events.json").with_verbatim("cursor", "a&email=x#y z\n/+=;");
        assert_eq!(request.url(&base).as_str(), "https://in1.api.clevertap.com/1/events.json?cursor=a%26email=x%23y%20z%0A/+=;");
    }

    #[test]
    fn debug_shows_no_value() {
        let request = Request::post("/1/upload", "{\"d\":[\"ann@example.com\"]}", Resend::Appends).with("identity", "ann");
        let debug = format!("{request:?}");
        assert!(!debug.contains("ann") && debug.contains("/1/upload"), "{debug}");
    }
}
