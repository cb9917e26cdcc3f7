//! What a page says of itself and of the next one.
//!
//! In: a decoded page and the request that it answers. Out: whether it is a page at all, and which page follows. A page that says neither
//! is an error: an export is complete or fails.

use crate::client::Request;
use crate::error::Error;
use crate::read::decode::Page;

/// The words of `status` that a page may have. Neither says whether it is the last: reference 6.2, and a peer that saw `partial`.
const STATUSES: &[&str] = &["success", PARTIAL];

/// The status of a page whose `cursor` is that of the next: on others it is the page's own.
const PARTIAL: &str = "partial";

/// Why an answer that can be decoded is no page. One without a status is not told of here: it is asked for again.
pub(super) fn is_no_page(page: &Page) -> Option<&'static str> {
    let is_known = |status: &str| STATUSES.iter().any(|word| word.eq_ignore_ascii_case(status));
    match &page.status {
        Some(status) if !is_known(status) => Some("its status is of another word"),
        _ => page.oddity,
    }
}

/// What a page says of the next one.
pub(super) enum Follow {
    Cursor(String),
    /// This page is not ready: the same one is asked for again.
    NotReady,
    /// It is the last.
    End,
}

/// What follows a page. The opening answer names the first page by `cursor`, pages the next one by `next_cursor`; a live peer saw pages that
/// are `partial` name it by `cursor`, and a last one that is `success` with a `cursor` of its own.
///
/// # Errors
/// [`Error::Answer`] if the page neither names the next one nor can be the last.
pub(super) fn follow(page: &mut Page, request: &Request) -> Result<Follow, Error> {
    let (cursor, next_cursor) = (page.cursor.take(), page.next_cursor.take());
    let is_opening = request.verbatim.is_none();
    let is_partial = page.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case(PARTIAL));
    let named = next_cursor.or_else(|| cursor.filter(|_| is_opening || is_partial));
    let asked_for = request.verbatim.as_ref().map(|(_, cursor)| cursor);
    match named {
        Some(named) if is_partial && page.rows == 0 && asked_for == Some(&named) => Ok(Follow::NotReady),
        Some(named) => Ok(Follow::Cursor(named)),
        None if is_partial && page.rows == 0 && !is_opening => Ok(Follow::NotReady),
        None if is_partial || is_opening => Err(Error::Answer(format!(
            "{} {} was answered without a cursor, and it is not the last page: the export is not complete. Please report this.",
            request.method, request.path
        ))),
        None => Ok(Follow::End),
    }
}
