//! The next cursor of a page, found without reading its records.
//!
//! In: a page's bytes. Out: the cursor, where it stands before the records or right at the end, so that the next page can be asked
//! for while this one is decoded. It is a guess that the decoder checks: `None`, or a wrong one, costs time and nothing else.

use crate::client::Answer;

/// The keys under which an answer names the next cursor.
const KEYS: [&str; 2] = ["next_cursor", "cursor"];

/// The longest tail that is looked at: a few cursors.
const TAIL_BYTES: usize = 16 * 1024;

/// Whether an answer may be a page at all: an object, from its first byte to its last. The decoder reads the rest.
pub(crate) fn could_be_a_page(answer: &Answer) -> bool {
    let body = answer.body.trim_ascii();
    body.first() == Some(&b'{') && body.last() == Some(&b'}')
}

/// The cursor that follows, if it is easily found.
pub(crate) fn peek_cursor<'a>(body: &'a [u8], records: &str) -> Option<&'a str> {
    front(body, records).or_else(|| back(body))
}

/// Reads keys with plain texts as values, from the start up to the records.
fn front<'a>(body: &'a [u8], records: &str) -> Option<&'a str> {
    let mut rest = body.trim_ascii_start().strip_prefix(b"{")?;
    loop {
        let (key, after) = plain(rest.trim_ascii_start())?;
        if key == records {
            return None;
        }
        let (value, after) = plain(after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())?;
        if KEYS.contains(&key) {
            return (!value.is_empty()).then_some(value);
        }
        rest = after.trim_ascii_start().strip_prefix(b",")?;
    }
}

/// Reads the keys behind the records: what follows the last `]`.
fn back(body: &[u8]) -> Option<&str> {
    let tail = &body[body.len().saturating_sub(TAIL_BYTES)..];
    let end = tail.iter().rposition(|byte| *byte == b']')?;
    let mut rest = tail[end + 1..].trim_ascii();
    while let Some(after) = rest.strip_prefix(b",") {
        let (key, after) = plain(after.trim_ascii_start())?;
        let (value, after) = plain(after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())?;
        if KEYS.contains(&key) {
            return (!value.is_empty()).then_some(value);
        }
        rest = after.trim_ascii_start();
    }
    None
}

/// A text without escapes at the start of `bytes`, and what follows it.
fn plain(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let inside = bytes.strip_prefix(b"\"")?;
    let end = inside.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (inside[end] == b'"').then_some(())?;
    Some((std::str::from_utf8(&inside[..end]).ok()?, &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_found_before_and_behind_the_records_and_nowhere_else() {
        let of = |page: &str| peek_cursor(page.as_bytes(), "records").map(str::to_owned);
        let found = Some("q0Zk%2B".to_owned());
        assert_eq!(of(r#"{"status":"success","next_cursor":"q0Zk%2B","records":[{"a":"]"}]}"#), found);
        assert_eq!(of(r#" { "records" : [ {"a":[1]} ] , "status":"success", "next_cursor" : "q0Zk%2B" } "#), found);
        assert_eq!(of(r#"{"status":"success","cursor":"q0Zk%2B"}"#), found);
        assert_eq!(of(r#"{"status":"success","records":[{"next_cursor":"no"}]}"#), None);
        assert_eq!(of(r#"{"records":[{"a":"],\"next_cursor\":\"no\""}]}"#), None);
        assert_eq!(of(r#"{"status":"success","next_cursor":"","records":[]}"#), None);
        assert_eq!(of(r#"{"status":"success"}"#), None);
        assert_eq!(of(""), None);
    }
}
