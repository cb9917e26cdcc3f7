//! Resolves escapes in JSON strings.
//!
//! In: the inside of a string that the walk has checked. Out: its text.

/// Appends the unescaped text to `out`. `raw` must be valid.
pub(super) fn unescape(raw: &str, out: &mut String) {
    let mut parts = raw.split('\\');
    out.push_str(parts.next().unwrap_or_default());
    while let Some(part) = parts.next() {
        // An empty part means two backslashes in a row: an escaped backslash, and the part after it has no escape.
        let mut chars = part.chars();
        let unescaped = match chars.next() {
            None => {
                out.push('\\');
                out.push_str(parts.next().unwrap_or_default());
                continue;
            }
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let unit = |part: &str| part.get(1..5).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
                let mut code = unit(part);
                let mut rest = part;
                if (0xd800..0xdc00).contains(&code) {
                    rest = parts.next().unwrap_or_default();
                    code = 0x1_0000 + ((code & 0x3ff) << 10) + (unit(rest) & 0x3ff);
                }
                chars = rest.get(5..).unwrap_or_default().chars();
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Some(same) => same,
        };
        out.push(unescaped);
        out.push_str(chars.as_str());
    }
}
