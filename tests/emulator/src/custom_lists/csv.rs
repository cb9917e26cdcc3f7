//! The file of a custom list, row by row: `Type,Identity`, quoted as RFC 4180 says (reference 12.1, unknowns 6.4).

use std::borrow::Cow;

use crate::upload::identifier::IdentifierKind;

/// The rows below the header.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    rest: &'a str,
    row: u64,
}

/// Who is on the list: the kind of the identifier, and its text.
type Row<'a> = (IdentifierKind, Cow<'a, str>);

/// What a field ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldEnd {
    Comma,
    Row,
}

impl<'a> Rows<'a> {
    /// Reads the header; its case is free, everything else about it is not.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, for the outbox.
    pub(crate) fn open(file: &'a [u8]) -> Result<Self, String> {
        let rest = std::str::from_utf8(file).map_err(|_| "the file is not UTF-8".to_owned())?;
        let mut rows = Self { rest, row: 1 };
        let (first, second) = rows.pair().ok_or("row 1 is not two columns")?;
        if first.eq_ignore_ascii_case("Type") && second.eq_ignore_ascii_case("Identity") {
            return Ok(rows);
        }
        Err("row 1 is not the header Type,Identity".to_owned())
    }

    /// Two fields and the end of their row; none if it is anything else.
    fn pair(&mut self) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
        let (first, FieldEnd::Comma) = self.field()? else {
            return None;
        };
        let (second, FieldEnd::Row) = self.field()? else {
            return None;
        };
        Some((first, second))
    }

    fn field(&mut self) -> Option<(Cow<'a, str>, FieldEnd)> {
        let text = match self.rest.strip_prefix('"') {
            Some(quoted) => self.quoted(quoted)?,
            None => {
                let end = self.rest.find([',', '"', '\r', '\n']).unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                Cow::Borrowed(text)
            }
        };
        let (rest, end) = match self.rest.strip_prefix(',') {
            Some(rest) => (rest, FieldEnd::Comma),
            None if self.rest.is_empty() => ("", FieldEnd::Row),
            None => (self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n'))?, FieldEnd::Row),
        };
        self.rest = rest;
        Some((text, end))
    }

    /// A field behind its opening quote; two quotes stand for one.
    fn quoted(&mut self, mut rest: &'a str) -> Option<Cow<'a, str>> {
        let mut text = Cow::Borrowed("");
        loop {
            let (part, behind) = rest.split_once('"')?;
            if text.is_empty() {
                text = Cow::Borrowed(part);
            } else {
                text.to_mut().push_str(part);
            }
            match behind.strip_prefix('"') {
                Some(more) => {
                    text.to_mut().push('"');
                    rest = more;
                }
                None => {
                    self.rest = behind;
                    return Some(text);
                }
            }
        }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.row += 1;
        let row = self.row;
        Some(match self.pair() {
            None => Err(format!("row {row} is not two columns")),
            Some((kind, id)) => match &*kind {
                "i" => Ok((IdentifierKind::Identity, id)),
                "g" => Ok((IdentifierKind::ObjectId, id)),
                _ => Err(format!("row {row} has a type other than i and g")),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> Result<Vec<(IdentifierKind, String)>, String> {
        Rows::open(file.as_bytes())?.map(|row| row.map(|(kind, id)| (kind, id.into_owned()))).collect()
    }

    #[test]
    fn quotes_commas_and_line_ends_are_read_as_rfc_4180_says() {
        let file = "Type,Identity\r\ni,ada\n\"i\",\"a \"\"b\"\", c\"\ng,\"two\r\nlines\"\ni,\"\"\"\"\ni,";
        let ids = ["ada", "a \"b\", c", "two\r\nlines", "\"", ""];
        let rows = read(file).unwrap();
        assert_eq!(rows.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ids);
        assert_eq!(rows[2].0, IdentifierKind::ObjectId);
        assert_eq!(read("type,IDENTITY").unwrap(), []);
    }

    #[test]
    fn everything_else_is_wrong_and_says_where() {
        for (file, error) in [
            ("", "row 1 is not two columns"),
            ("Identity\nada\n", "row 1 is not two columns"),
            ("Identity,Type\n", "row 1 is not the header Type,Identity"),
            ("\u{feff}Type,Identity\n", "row 1 is not the header Type,Identity"),
            ("Type,Identity,Name\n", "row 1 is not two columns"),
            ("Type;Identity\n", "row 1 is not two columns"),
            ("i,ada\n", "row 1 is not the header Type,Identity"),
            ("Type,Identity\ni,ada\n\ni,bob\n", "row 3 is not two columns"),
            ("Type,Identity\ni,a,b\n", "row 2 is not two columns"),
            ("Type,Identity\ni,a\"b\n", "row 2 is not two columns"),
            ("Type,Identity\ni,\"a\n", "row 2 is not two columns"),
            ("Type,Identity\ni,\"a\"b\n", "row 2 is not two columns"),
            ("Type,Identity\ni,a\rb\n", "row 2 is not two columns"),
            ("Type,Identity\nI,ada\n", "row 2 has a type other than i and g"),
            ("Type,Identity\ni,ada\n e,x", "row 3 has a type other than i and g"),
        ] {
            assert_eq!(read(file).unwrap_err(), error, "{file:?}");
        }
        assert_eq!(Rows::open(b"Type,Identity\ni,\xff\n").unwrap_err(), "the file is not UTF-8");
    }
}
