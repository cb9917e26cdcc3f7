//! Escapes in strings.

/// What the inside of a string means, for one that was walked without a fault.
pub(super) fn unescape(raw: &str, out: &mut String) {
    let mut parts = raw.split('\\');
    out.push_str(parts.next().unwrap_or_default());
    while let Some(part) = parts.next() {
        // Of two backslashes in a row the second is what the first escapes.
        let mut one = part.chars();
        let meant = match one.next() {
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
                one = rest.get(5..).unwrap_or_default().chars();
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Some(same) => same,
        };
        out.push(meant);
        out.push_str(one.as_str());
    }
}
