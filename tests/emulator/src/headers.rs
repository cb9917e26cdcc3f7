//! Header rules that are not about credentials: what a POST must say about its body (reference 1.3, unknowns 7.2).

use http::request::Parts;

use crate::answer::Answer;
use crate::auth::text;
use crate::report::Rule;

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryPoint {
    /// As one value, from within the process: there is no Content-Length to ask for.
    InProcess,
    /// Over HTTP.
    Http,
}

/// A POST without a length, or in chunks: answered, but noted.
pub(crate) fn is_chunked(head: &Parts, entry_point: EntryPoint) -> bool {
    head.method == http::Method::POST
        && (head.headers.contains_key("transfer-encoding")
            || (entry_point == EntryPoint::Http && !head.headers.contains_key("content-length")))
}

/// Refuses a POST whose headers announce a body that CleverTap does not read.
///
/// # Errors
///
/// The rule that was broken and the answer to give.
pub(crate) fn check(head: &Parts) -> Result<(), (Rule, Answer)> {
    if head.method != http::Method::POST {
        return Ok(());
    }
    if text(&head.headers, "content-encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err((Rule::CompressedBody, Answer::fail(400, "Malformed request")));
    }
    let kind = text(&head.headers, "content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Err((Rule::ContentType, Answer::fail(400, "Malformed request")));
    }
    Ok(())
}

/// Whether the client takes a compressed answer.
pub(crate) fn takes_gzip(head: &Parts) -> bool {
    text(&head.headers, "accept-encoding").is_some_and(|list| {
        list.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            parts.next() == Some("gzip") && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    })
}
