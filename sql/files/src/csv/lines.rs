//! Lines that are no rows: those that programs draw around tables, and what is left where files were joined.
//!
//! In: a line. Out: what it looks like, which says what to write instead; never its content.

/// What begins a file, and is left in its middle where files were joined.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    /// Nothing that is known.
    Record,
    /// `----+----`, below the names of a table that is drawn for reading.
    Rule,
    /// `(3 rows)`, as psql writes it below a table.
    Footer,
    /// `\.`, the end of the rows of a PostgreSQL dump.
    EndMark,
    /// It begins with `#`.
    Comment,
    /// Cells stand in apostrophes.
    Apostrophes,
    /// Separators or line ends stand behind a backslash.
    Backslashes,
    /// A byte order mark stands in it.
    Joined,
    /// The names of the columns once more.
    Names,
}

/// What a record looks like that has other cells than the first. `before` is the last byte of the record before it.
pub(crate) fn looks(line: &[u8], before: Option<u8>, delimiter: u8) -> Looks {
    let bare = line.trim_ascii();
    let pair = |first: u8, second: u8| bare.windows(2).any(|two| two == [first, second]);
    match bare {
        _ if memchr::memmem::find(bare, BOM).is_some() => Looks::Joined,
        _ if no_row(bare) != Looks::Record => no_row(bare),
        [b'#', ..] => Looks::Comment,
        _ if before == Some(b'\\') || bare.ends_with(b"\\") || pair(b'\\', delimiter) => Looks::Backslashes,
        _ if (bare.starts_with(b"'") || pair(delimiter, b'\'')) && (bare.ends_with(b"'") || pair(b'\'', delimiter)) => Looks::Apostrophes,
        _ => Looks::Record,
    }
}

/// What a line looks like that programs write below or between rows.
pub(crate) fn no_row(line: &[u8]) -> Looks {
    match line.trim_ascii() {
        b"\\." => Looks::EndMark,
        bare if is_rule(bare) => Looks::Rule,
        bare if is_footer(bare) => Looks::Footer,
        _ => Looks::Record,
    }
}

/// Dashes, and what stands where columns meet.
pub(crate) fn is_rule(line: &[u8]) -> bool {
    line.len() >= 3 && line.contains(&b'-') && line.iter().all(|byte| matches!(byte, b'-' | b'+' | b'|'))
}

fn is_footer(line: &[u8]) -> bool {
    let count = line.strip_prefix(b"(").and_then(|line| line.strip_suffix(b" rows)").or_else(|| line.strip_suffix(b" row)")));
    count.is_some_and(|count| !count.is_empty() && count.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_rows_are_known_by_their_form() {
        for (line, before, expected) in [
            ("-----+-----", None, Looks::Rule),
            ("|----|----|", None, Looks::Rule),
            (" (1 row)", None, Looks::Footer),
            ("(120 rows)", None, Looks::Footer),
            ("( rows)", None, Looks::Record),
            ("(3 rows) more", None, Looks::Record),
            ("\\.", None, Looks::EndMark),
            ("--", None, Looks::Record),
            ("# by somebody", None, Looks::Comment),
            ("u1,a\\", None, Looks::Backslashes),
            ("u1,a\\,b", None, Looks::Backslashes),
            ("b", Some(b'\\'), Looks::Backslashes),
            ("b", Some(b'x'), Looks::Record),
            ("1,'a,b',2", None, Looks::Apostrophes),
            ("'a,b',2", None, Looks::Apostrophes),
            ("1,'a,b'", None, Looks::Apostrophes),
            ("it's,two's", None, Looks::Record),
            ("1,2\u{feff}id,name", None, Looks::Joined),
        ] {
            assert_eq!(looks(line.as_bytes(), before, b','), expected, "{line}");
        }
    }
}
