//! Removes values from messages of others: Arrow reports a source that it cannot read with a row of it, and CleverTap may repeat what it was
//! sent. Removes what a URL keeps secret from every text that is shown or kept.
//!
//! In: the text of an error of Arrow or DataFusion; any text. Out: the same with `…` for each value that their messages are known to contain,
//! and with a remedy if one is known. Arrow has no error codes, so this depends on its texts, which appear only here.

use std::borrow::Cow;

/// The text before and after a value in messages of arrow-csv, arrow-json, arrow-cast and the Arrow parsers. The text after is
/// searched from the end, since the value may contain it too; if it is empty, the value extends to the end of the line.
const DELIMITERS: [(&str, &str); 9] = [
    ("Error while parsing value '", "' as type '"),
    ("failed to parse \"", "\" as "),
    ("Cannot cast string '", "' to value of "),
    ("Cannot cast value '", "' to value of "),
    ("Error parsing '", "' as "),
    ("Invalid input syntax for type interval: \"", ""),
    ("Failed to convert ", " to "),
    ("Error parsing timestamp from '", "': "),
    ("Can't cast value ", " to type "),
];

/// The same, for messages in which only the text after marks a value.
const TRAILERS: [(&str, &str); 3] =
    [("Invalid argument error: ", " is too large"), (" value ", ": converted value exceeds"), ("Overflow happened on: ", "")];
/// Before a complete row, line breaks of its cells included, in messages of arrow-csv.
const ROW: &str = ". Row data: '";
/// Before a value in messages of arrow-json.
const GOT: (&str, &str) = ("Json error:", " got ");

/// The message of arrow-csv for a cell that is not of the type of its column, and the remedy.
const MISREAD: (&str, &str) = (
    "Error while parsing value",
    ". The types of CSV are those of its first rows: CREATE EXTERNAL TABLE t (c VARCHAR, …) STORED AS CSV LOCATION '…' OPTIONS \
     ('format.has_header' 'true') names others",
);

/// Parameters of URLs whose value is a secret: those of these names,
const SECRET_NAMES: [&str; 6] = ["auth", "awsaccesskeyid", "googleaccessid", "key", "pwd", "sig"];
/// and those whose name has one of these in it.
const SECRET_PARTS: [&str; 13] = [
    "access_key",
    "access-key",
    "accesskey",
    "api_key",
    "api-key",
    "apikey",
    "authorization",
    "credential",
    "passcode",
    "passw",
    "secret",
    "signature",
    "token",
];

/// A text in which the URLs show no user name, no password, and none of the parameters that sign them or give access. The value of such a
/// parameter is masked wherever it stands, since errors also name parts of URLs.
///
/// ```
/// let sql = "SELECT * FROM 'https://ada:pw@host/x.csv?v=1&X-Amz-Signature=0f3c'";
/// assert_eq!(datafusion_clevertap::redact::without_secrets(sql), "SELECT * FROM 'https://…@host/x.csv?v=1&X-Amz-Signature=…'");
/// ```
#[must_use]
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    let (mut masked, mut rest, mut found) = (String::new(), text, false);
    while let Some(at) = rest.find([':', '?', '&']) {
        let (before, here) = rest.split_at(at);
        let (kept, secret) = match here.split_at(1) {
            (":", after) => after.strip_prefix("//").map_or((1, 0), |after| ("://".len(), user_info(before, after))),
            (_, after) => parameter(after),
        };
        let (shown, behind) = here.split_at(kept);
        masked.extend([before, shown]);
        if secret > 0 {
            masked.push('…');
            found = true;
        }
        rest = behind.get(secret..).unwrap_or_default();
    }
    if found { Cow::Owned(masked + rest) } else { Cow::Borrowed(text) }
}

fn ends_a_url(character: char) -> bool {
    character.is_whitespace() || character.is_control() || matches!(character, '\'' | '"' | '`' | '<' | '>')
}

/// The length of what stands before the `@` of a URL whose scheme ends `before`. Of Azure it is a container, unless it has a password.
fn user_info(before: &str, after: &str) -> usize {
    let authority = after.split(|c| matches!(c, '/' | '?' | '#') || ends_a_url(c)).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return 0 };
    let is_azure = ["abfs", "abfss", "az"].iter().any(|scheme| before.ends_with(scheme));
    if is_azure && !user.contains(':') { 0 } else { user.len() }
}

/// Of what follows a `?` or `&`: how much is shown, the sign and the name with its `=`, and the length of a secret value after it.
fn parameter(after: &str) -> (usize, usize) {
    let ends = |character: char| matches!(character, '&' | '#' | '?') || ends_a_url(character);
    let Some((name, value)) = after.split(ends).next().and_then(|parameter| parameter.split_once('=')) else { return (1, 0) };
    let decoded = percent_encoding::percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
    let is_secret = SECRET_NAMES.contains(&decoded.as_str())
        || SECRET_PARTS.iter().any(|part| decoded.contains(part))
        || decoded.starts_with("x-goog-");
    if is_secret { (1 + name.len() + 1, value.len()) } else { (1, 0) }
}

/// The text of an error of another crate, without the data values in it, and with a remedy if the text has none.
///
/// ```
/// let message = "Cannot cast string 'ada@example.org' to value of Int64 type";
/// assert_eq!(datafusion_clevertap::redact::without_values(message), "Cannot cast string '…' to value of Int64 type");
/// ```
#[must_use]
pub fn without_values(message: &str) -> String {
    let mut redacted = Cow::Borrowed(message.split_once(ROW).map_or(message, |(head, _)| head));
    if let Some((before, rest)) = redacted.split_once(GOT.0)
        && let Some((kept, _)) = rest.split_once(GOT.1)
    {
        redacted = Cow::Owned(format!("{before}{}{kept}{}…", GOT.0, GOT.1));
    }
    for (before, after) in TRAILERS {
        if let Some(start) = redacted.find(before).map(|at| at + before.len())
            && let Some(end) = redacted.rfind(after).filter(|end| *end >= start)
        {
            let (head, tail) = (redacted.get(..start).unwrap_or_default(), redacted.get(end..).unwrap_or_default());
            redacted = Cow::Owned(format!("{head}…{tail}"));
        }
    }
    for (before, after) in DELIMITERS {
        let Some(start) = redacted.find(before).map(|at| at + before.len()) else { continue };
        let (head, rest) = redacted.split_at(start);
        let line = rest.lines().next().unwrap_or_default();
        let end = if after.is_empty() { Some(line.len()) } else { rest.rfind(after) };
        // An unexpected form: drop the rest rather than show a value.
        let end = end.unwrap_or(rest.len());
        redacted = Cow::Owned(format!("{head}…{}", rest.get(end..).unwrap_or_default()));
    }
    if let Cow::Owned(masked) = without_secrets(&redacted) {
        redacted = Cow::Owned(masked);
    }
    if redacted.contains(MISREAD.0) {
        redacted.to_mut().push_str(MISREAD.1);
    }
    redacted.into_owned()
}

/// Whether a terminal would act on the character, show others in another order, or show nothing where there is something: C0, DEL, C1, those that
/// turn the direction of writing, separators of lines, and what has no width and joins nothing (soft hyphen, byte order mark, tags).
#[must_use]
pub fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text of CleverTap with `…` for each word that may be an address or a number of a person: with an @, or with six digits or more. It cannot
/// know a name.
pub(crate) fn without_addresses(text: &str) -> String {
    let is_one = |word: &str| word.contains('@') || word.bytes().filter(u8::is_ascii_digit).count() >= 6;
    text.split(' ').map(|word| if is_one(word) { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_removed_and_their_location_is_kept() {
        for (message, redacted) in [
            (
                "Parser error: Error while parsing value 'O'Hara' as type 'Int64' for column 0 at line 1501. Row data: '[O'Hara,a@b.c]'",
                "Parser error: Error while parsing value '…' as type 'Int64' for column 0 at line 1501",
            ),
            ("whilst decoding field 'id': failed to parse \"ann\" as Int64", "whilst decoding field 'id': failed to parse \"…\" as Int64"),
            ("Cannot cast value '1415' to value of Boolean type", "Cannot cast value '…' to value of Boolean type"),
            ("Invalid argument error: 12.00 is too large to store", "Invalid argument error: … is too large to store"),
            (
                "Invalid argument error: Column 'id' is declared as non-nullable but contains null values",
                "Invalid argument error: Column 'id' is declared as non-nullable but contains null values",
            ),
            (
                "Error while parsing value 'x' as type 'Int64' for column 0 at line 2. Row data: '[x,1 Road\nTown]'",
                "Error while parsing value '…' as type 'Int64' for column 0 at line 2",
            ),
            (
                "Json error: whilst decoding field 'phone': expected string got 1415",
                "Json error: whilst decoding field 'phone': expected string got …",
            ),
            (
                "Csv error: incorrect number of fields for line 1, expected 3 got 2",
                "Csv error: incorrect number of fields for line 1, expected 3 got 2",
            ),
            ("Can't cast value 99999999999 to type Int32", "Can't cast value … to type Int32"),
            ("Error parsing timestamp from 'ann': error parsing date", "Error parsing timestamp from '…': error parsing date"),
            ("Error while parsing value 'ann", "Error while parsing value '…"),
            ("No field named x", "No field named x"),
        ] {
            let expected = if message.contains(MISREAD.0) { format!("{redacted}{}", MISREAD.1) } else { redacted.to_owned() };
            assert_eq!(without_values(message), expected);
        }
    }

    #[test]
    fn urls_show_neither_their_users_nor_what_signs_them_and_other_text_stays() {
        for (text, shown) in [
            ("https://ada:pw@host/x", "https://…@host/x"),
            ("https://token@host", "https://…@host"),
            ("s3://a:b:c@d@host/x y@z", "s3://…@host/x y@z"),
            ("abfs://container@account.dfs.core.windows.net/x", "abfs://container@account.dfs.core.windows.net/x"),
            ("abfs://c:pw@account.dfs.core.windows.net/x", "abfs://…@account.dfs.core.windows.net/x"),
            (
                "'https://h/x?X-Amz-Date=1&X-Amz-Credential=AK/2&x-amz-security-token=t&X-Amz-Signature=s' AND 'https://i/y?sig=a%2Bb#f'",
                "'https://h/x?X-Amz-Date=1&X-Amz-Credential=…&x-amz-security-token=…&X-Amz-Signature=…' AND 'https://i/y?sig=…#f'",
            ),
            (
                "https://h/x?GoogleAccessId=a&X-Goog-Date=d&Signature=s&key=k&page=2",
                "https://h/x?GoogleAccessId=…&X-Goog-Date=…&Signature=…&key=…&page=2",
            ),
            ("GET /x?X%2DAmz%2DSignature=s failed", "GET /x?X%2DAmz%2DSignature=… failed"),
            ("https://h/x?password=&token=t\u{1b}[0m", "https://h/x?password=&token=…\u{1b}[0m"),
            (
                "SELECT 'a@b.c', x::int, 10:30, a & b = c, 'https://h/x?monkey=1&tag=2'",
                "SELECT 'a@b.c', x::int, 10:30, a & b = c, 'https://h/x?monkey=1&tag=2'",
            ),
            ("é?ü&token=ö", "é?ü&token=…"),
            ("?&=:", "?&=:"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(text), shown);
            assert_eq!(without_secrets(shown), shown, "once is enough");
        }
    }
}
