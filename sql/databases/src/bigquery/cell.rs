//! Cells of an answer, as JSON has them: texts, lists of `{"v": …}`, records of `{"f": [{"v": …}]}`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value. Numbers, booleans and instants are texts there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Record(Vec<Self>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Cell<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Value)
    }
}

struct Value;

impl<'de> Visitor<'de> for Value {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cell of BigQuery")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cell::Null)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Borrowed(if value { "true" } else { "false" })))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Owned(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Owned(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Owned(value.to_string())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut cells = Vec::new();
        while let Some(Held(cell)) = items.next_element()? {
            cells.push(cell);
        }
        Ok(Cell::List(cells))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut cells = Vec::new();
        while let Some(key) = fields.next_key::<Cow<'de, str>>()? {
            if key == "f" {
                cells = fields.next_value::<Vec<Held<'de>>>()?.into_iter().map(|Held(cell)| cell).collect();
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Cell::Record(cells))
    }
}

/// `{"v": …}`.
struct Held<'a>(Cell<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Held<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Holder)
    }
}

struct Holder;

impl<'de> Visitor<'de> for Holder {
    type Value = Held<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cell of BigQuery")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut cell = Cell::Null;
        while let Some(key) = fields.next_key::<Cow<'de, str>>()? {
            if key == "v" {
                cell = fields.next_value()?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Held(cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_with_lists_and_records() {
        let text = r#"{"f":[{"v":"1"},{"v":null},{"v":"a\nb"},{"v":[{"v":"x"},{"v":{"f":[{"v":true}]}}]}]}"#;
        let text_cell = |text: &'static str| Cell::Text(Cow::Borrowed(text));
        let nested = Cell::List(vec![text_cell("x"), Cell::Record(vec![text_cell("true")])]);
        let expected = Cell::Record(vec![text_cell("1"), Cell::Null, text_cell("a\nb"), nested]);
        assert_eq!(serde_json::from_str::<Cell<'_>>(text).expect("a row"), expected);
    }
}
