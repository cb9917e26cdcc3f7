//! Finds the next cursor of a page without decoding its records.
//!
//! In: a page's bytes. Out: the cursor, if it comes before the records or after them, so that the next page can be requested while this
//! one is decoded. It is a guess that the decoder checks: `None` or a wrong one only costs time.

use crate::client::Answer;

/// The key of the next cursor. A page's `cursor` is that of the next page only sometimes.
const KEY: &str = "next_cursor";

/// The part of the page that is searched from its end: enough for a few cursors.
const TAIL_BYTES: usize = 16 * 1024;

/// Whether an answer may be a page: it starts and ends like an object. The decoder checks the rest.
pub(crate) fn could_be_a_page(answer: &Answer) -> bool {
    let body = answer.body.trim_ascii();
    body.first() == Some(&b'{') && body.last() == Some(&b'}')
}

/// The next cursor, if it is easy to find.
pub(crate) fn peek_cursor<'a>(body: &'a [u8], records: &str) -> Option<&'a str> {
    before_records(body, records).or_else(|| after_records(body))
}

/// Searches keys with plain strings as values, from the start to the records.
fn before_records<'a>(body: &'a [u8], records: &str) -> Option<&'a str> {
    let mut rest = body.trim_ascii_start().strip_prefix(b"{")?;
    loop {
        let (key, after) = plain_string(rest.trim_ascii_start())?;
        if key == records {
            return None;
        }
        let (value, after) = plain_string(after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())?;
        if key == KEY {
            return (!value.is_empty()).then_some(value);
        }
        rest = after.trim_ascii_start().strip_prefix(b",")?;
    }
}

/// Searches the keys after the records, which are those after the last `]`.
fn after_records(body: &[u8]) -> Option<&str> {
    let tail = &body[body.len().saturating_sub(TAIL_BYTES)..];
    let end = tail.iter().rposition(|byte| *byte == b']')?;
    let mut rest = tail[end + 1..].trim_ascii();
    while let Some(after) = rest.strip_prefix(b",") {
        let (key, after) = plain_string(after.trim_ascii_start())?;
        let (value, after) = plain_string(after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())?;
        if key == KEY {
            return (!value.is_empty()).then_some(value);
        }
        rest = after.trim_ascii_start();
    }
    None
}

/// A string without escapes at the start of `bytes`, and the bytes after it.
fn plain_string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let inside = bytes.strip_prefix(b"\"")?;
    let end = inside.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (inside[end] == b'"').then_some(())?;
    Some((std::str::from_utf8(&inside[..end]).ok()?, &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_found_only_before_and_after_the_records() {
        let of = |page: &str| peek_cursor(page.as_bytes(), "records").map(str::to_owned);
        let found = Some("q0Zk%2B".to_owned());
        assert_eq!(of(r#"{"status":"success","next_cursor":"q0Zk%2B","records":[{"a":"]"}]}"#), found);
        assert_eq!(of(r#" { "records" : [ {"a":[1]} ] , "status":"success", "next_cursor" : "q0Zk%2B" } "#), found);
        assert_eq!(of(r#"{"status":"success","cursor":"q0Zk%2B"}"#), None);
        assert_eq!(of(r#"{"status":"success","records":[{"next_cursor":"no"}]}"#), None);
        assert_eq!(of(r#"{"records":[{"a":"],\"next_cursor\":\"no\""}]}"#), None);
        assert_eq!(of(r#"{"status":"success","next_cursor":"","records":[]}"#), None);
        assert_eq!(of(r#"{"status":"success"}"#), None);
        assert_eq!(of(""), None);
    }
}
