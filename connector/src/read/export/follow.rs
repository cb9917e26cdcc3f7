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

/// What the pages before this one said.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Earlier {
    /// Whether one was `partial` and named the next by `cursor`: then the chain ends with a page that is `success`.
    pub(super) is_partial_chain: bool,
    /// Whether this page's `cursor` was used before, for this page or an earlier one.
    pub(super) knows_cursor: bool,
}

/// What follows a page. The opening answer names the first page by `cursor`, pages the next one by `next_cursor`; a live peer saw pages that
/// are `partial` name it by `cursor`, and a last one that is `success` with a `cursor` of its own.
///
/// So a `cursor` on a page that is `success` is the end in two cases: it was used before, since then it is the page's own or that of the
/// opening; or a `partial` page came before. Any other may be that of a next page, and the page is neither followed (it could be read twice)
/// nor taken for the last. A page with records is `partial` in the form with `cursor` alone: `next_cursor` beside it is of no known form.
///
/// # Errors
/// [`Error::Answer`] if the page neither names the next one nor can be the last.
pub(super) fn follow(page: &mut Page, request: &Request, earlier: Earlier) -> Result<Follow, Error> {
    let (cursor, next_cursor) = (page.cursor.take(), page.next_cursor.take());
    let is_opening = request.verbatim.is_none();
    let is_partial = is_partial(page);
    let incomplete = |why: &str| {
        let (method, path) = (&request.method, request.path);
        Err(Error::Answer(format!("{method} {path} was answered {why}: the export is not complete. Please report this.")))
    };
    if is_partial && page.rows > 0 && next_cursor.is_some() {
        return incomplete("\"partial\" with records and a next_cursor, and whether the page is whole is not known");
    }
    if !is_opening && !is_partial && next_cursor.is_none() && cursor.is_some() && !earlier.knows_cursor && !earlier.is_partial_chain {
        return incomplete("without a next_cursor and with a cursor that was not asked for, and whether it is the last page is not known");
    }
    if is_opening && page.rows == 0 && next_cursor.is_some() && cursor.is_some() && next_cursor != cursor {
        return incomplete("without records and with two cursors, and which is that of the first page is not known");
    }
    let named = next_cursor.or_else(|| cursor.filter(|_| is_opening || is_partial));
    let asked_for = request.verbatim.as_ref().map(|(_, cursor)| cursor);
    match named {
        Some(named) if is_partial && page.rows == 0 && asked_for == Some(&named) => Ok(Follow::NotReady),
        Some(named) => Ok(Follow::Cursor(named)),
        None if is_partial && page.rows == 0 && !is_opening => Ok(Follow::NotReady),
        None if is_partial || is_opening => incomplete("without a cursor, and it is not the last page"),
        None => Ok(Follow::End),
    }
}

/// Whether a page is `partial`.
pub(super) fn is_partial(page: &Page) -> bool {
    page.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case(PARTIAL))
}
