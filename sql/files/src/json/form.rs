//! The form of a place: what all values there have in common, at every depth.
//!
//! In: values as they stand, one after the other. Out: a type that keeps each of them, and where another kind came first.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};

use super::{
    members::{Origin, elements, members, text},
    numbers::Numbers,
};
use crate::TextError;

/// Depth of lists and objects in each other: beyond it a file is made to break whoever reads it.
const DEPTH_MAX: usize = 50;

/// A kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Text,
    Number,
    Boolean,
    List,
    Object,
}

impl Kind {
    /// The kind of a value by its first byte; `None` for null.
    pub(super) fn of(value: &str) -> Option<Self> {
        Some(match value.as_bytes().first() {
            Some(b'"') => Self::Text,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'[') => Self::List,
            Some(b'{') => Self::Object,
            Some(b'n') | None => return None,
            Some(_) => Self::Number,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

/// What is known of a place.
#[derive(Debug, Clone, Default)]
pub(super) struct Form {
    /// The line of the first value of each kind that came, in the order of [`Kind`].
    first_lines: [Option<u64>; 5],
    numbers: Option<Numbers>,
    elements: Option<Box<Self>>,
    members: Vec<(String, Self)>,
}

impl Form {
    /// Looks at a further value.
    ///
    /// # Errors
    /// The syntax of what is in it, or its depth.
    pub(super) fn see(&mut self, value: &str, origin: &Origin, depth: usize) -> Result<(), TextError> {
        let Some(kind) = Kind::of(value) else { return Ok(()) };
        self.first_lines[kind as usize].get_or_insert(origin.line);
        if depth > DEPTH_MAX {
            return Err(origin.error(format!("lists and objects are more than {DEPTH_MAX} deep in each other")));
        }
        match kind {
            Kind::Text => drop(text(value, origin)?),
            Kind::Boolean => {}
            Kind::Number => {
                let number = Numbers::of(value);
                self.numbers.get_or_insert(number).merge(number);
            }
            Kind::List => {
                let form = self.elements.get_or_insert_default();
                for element in elements(value, origin)? {
                    form.see(element, origin, depth + 1)?;
                }
            }
            Kind::Object => {
                for (at, (name, value)) in members(value, origin)?.into_iter().enumerate() {
                    self.member(at, &name).see(value, origin, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// The form of a member, which usually stands where it stood before.
    pub(super) fn member(&mut self, expected_at: usize, name: &str) -> &mut Self {
        let is_there = self.members.get(expected_at).is_some_and(|(known, _)| known == name);
        let at = if is_there { Some(expected_at) } else { self.members.iter().position(|(known, _)| known == name) };
        let at = at.unwrap_or_else(|| {
            self.members.push((name.to_owned(), Self::default()));
            self.members.len() - 1
        });
        &mut self.members[at].1
    }

    pub(super) fn members(&self) -> &[(String, Self)] {
        &self.members
    }

    /// The kinds that came, each with the line of its first value.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (Kind, u64)> {
        let all = [Kind::Text, Kind::Number, Kind::Boolean, Kind::List, Kind::Object];
        all.into_iter().zip(self.first_lines).filter_map(|(kind, line)| Some((kind, line?)))
    }

    /// Adds what is known from another file; the lines of this one stay.
    pub(super) fn merge(&mut self, other: Self) {
        for (line, other) in self.first_lines.iter_mut().zip(other.first_lines) {
            *line = line.or(other);
        }
        if let Some(numbers) = other.numbers {
            self.numbers.get_or_insert(numbers).merge(numbers);
        }
        if let Some(elements) = other.elements {
            self.elements.get_or_insert_default().merge(*elements);
        }
        for (at, (name, form)) in other.members.into_iter().enumerate() {
            self.member(at, &name).merge(form);
        }
    }

    /// The type; `None` where values are kept as their JSON, since lists or objects stand among others, here or deeper.
    pub(super) fn data_type(&self) -> Option<DataType> {
        let kinds: Vec<Kind> = self.kinds().map(|(kind, _)| kind).collect();
        match kinds.as_slice() {
            [Kind::Number] => Some(self.numbers.and_then(|numbers| numbers.data_type()).unwrap_or(DataType::Utf8View)),
            [Kind::Boolean] => Some(DataType::Boolean),
            [Kind::List] => {
                let element = self.elements.as_ref().map_or(Some(DataType::Utf8View), |element| element.data_type())?;
                Some(DataType::List(Arc::new(Field::new_list_field(element, true))))
            }
            [Kind::Object] if self.members.is_empty() => None,
            [Kind::Object] => {
                let fields = self.members.iter().map(|(name, form)| Some(Field::new(name, form.data_type()?, true)));
                Some(DataType::Struct(fields.collect::<Option<Fields>>()?))
            }
            kinds if kinds.iter().any(|kind| matches!(kind, Kind::List | Kind::Object)) => None,
            _ => Some(DataType::Utf8View),
        }
    }
}
