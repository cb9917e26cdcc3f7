//! JSON given as text: parsed once per row, checked, and written again without whitespace.
//!
//! In: the text of a cell. Out: a [`Json`] with numbers that keep every digit, or a problem. `serde_json::Value` would round long
//! numbers and silently drop a repeated key; parsing one level at a time as `RawValue` does neither.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cell;
use super::reject::{Checked, LEVELS_MAX, LEVELS_PARSED_MAX, NOT_JSON, TWICE, depth, not_finite, problem};
use super::value::{BooleanForm, Style};

/// A parsed value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// As written in the text.
    Number(&'a str),
    Text(String),
    List(Vec<Self>),
    /// In the order of the text; keys are unique.
    Object(Vec<(String, Self)>),
}

/// Parses `text`; `expected` is what it should be, for the message.
pub(super) fn parse<'a>(text: &'a str, expected: &str) -> Checked<Json<'a>> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| not_json(expected))?;
    value(raw.get(), expected, LEVELS_PARSED_MAX)
}

#[cold]
pub(super) fn not_json(expected: &str) -> Box<super::reject::Problem> {
    problem(NOT_JSON, format!("has a text that is not {expected}; a struct or a map says it without quoting"))
}

fn value<'a>(text: &'a str, expected: &str, levels: usize) -> Checked<Json<'a>> {
    let broken = |_| not_json(expected);
    let inner = || levels.checked_sub(1).ok_or_else(|| depth(LEVELS_PARSED_MAX));
    Ok(match text.as_bytes().first() {
        Some(b'n') => Json::Null,
        Some(b't') => Json::Bool(true),
        Some(b'f') => Json::Bool(false),
        Some(b'"') => Json::Text(serde_json::from_str(text).map_err(broken)?),
        Some(b'[') => {
            let levels = inner()?;
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(broken)?;
            Json::List(items.into_iter().map(|item| value(item.get(), expected, levels)).collect::<Checked<_>>()?)
        }
        Some(b'{') => {
            let levels = inner()?;
            let Pairs(pairs) = serde_json::from_str(text).map_err(broken)?;
            let mut keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
            keys.sort_unstable();
            if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(problem(TWICE, format!("has the key \"{}\" twice in one object; leave one of them out", pair[0])));
            }
            let read = |(key, raw): (String, &'a RawValue)| Ok((key, value(raw.get(), expected, levels)?));
            Json::Object(pairs.into_iter().map(read).collect::<Checked<_>>()?)
        }
        _ => Json::Number(text),
    })
}

impl Json<'_> {
    pub(super) fn is_scalar(&self) -> bool {
        !matches!(self, Json::List(_) | Json::Object(_))
    }

    /// Writes the value without whitespace.
    pub(super) fn write(&self, style: Style, levels: usize, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
        let inner = || levels.checked_sub(1).ok_or_else(|| depth(LEVELS_MAX));
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(value) if style.boolean == BooleanForm::Letter => out.extend_from_slice(if *value { b"\"Y\"" } else { b"\"N\"" }),
            Json::Bool(value) => cell::boolean(out, *value),
            Json::Number(digits) => out.extend_from_slice(finite_digits(digits)?.as_bytes()),
            Json::Text(text) => style.text(out, text, cut)?,
            Json::List(items) => {
                let levels = inner()?;
                out.push(b'[');
                for item in items {
                    cell::comma(out);
                    item.write(style, levels, out, cut)?;
                }
                out.push(b']');
            }
            Json::Object(pairs) => {
                let levels = inner()?;
                out.push(b'{');
                for (key, value) in pairs {
                    cell::comma(out);
                    cell::text(out, key.as_bytes());
                    out.push(b':');
                    value.write(style, levels, out, cut)?;
                }
                out.push(b'}');
            }
        }
        Ok(())
    }
}

/// The digits of a number, if it is finite as a double: readers of the body parse it as one.
fn finite_digits(digits: &str) -> Checked<&str> {
    /// Fewer digits than the largest double has.
    const SAFE_DIGITS: usize = 300;
    let is_safe = digits.len() < SAFE_DIGITS && !digits.contains(['e', 'E']);
    if is_safe || digits.parse::<f64>().is_ok_and(f64::is_finite) { Ok(digits) } else { Err(not_finite()) }
}

/// The entries of an object, repeated keys included.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserialize(text: &str) -> Result<String, &'static str> {
        let mut out = Vec::new();
        let json = parse(text, "JSON").map_err(|problem| problem.code)?;
        json.write(Style::INSIDE, usize::MAX, &mut out, &mut false).map_err(|problem| problem.code)?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn json_is_unchanged_but_for_whitespace_and_needless_escapes() {
        let text = " { \"a\" : [ 1 , -0.10e+5, 123456789012345678901234567890 ] ,\n \"b\\u0041\": {\"c\": null, \"d\": \"\\u00e9\\\"\"} } ";
        assert_eq!(reserialize(text).unwrap(), "{\"a\":[1,-0.10e+5,123456789012345678901234567890],\"bA\":{\"c\":null,\"d\":\"é\\\"\"}}");
    }

    #[test]
    fn invalid_json_and_repeated_keys_are_refused() {
        for text in ["", "{", "{} {}", "{'a':1}", "[1,]", "01", "nul", "\"\\ud800\"", "{\"\\ud800\":1}", "+1", "NaN"] {
            assert_eq!(reserialize(text), Err(NOT_JSON), "{text}");
        }
        assert_eq!(reserialize("{\"a\":1,\"\\u0061\":2}"), Err(TWICE));
        assert_eq!(reserialize(&("[".repeat(65) + &"]".repeat(65))), Err(super::super::reject::DEPTH));
        assert_eq!(reserialize(&"[".repeat(100_000)), Err(NOT_JSON));
    }
}
