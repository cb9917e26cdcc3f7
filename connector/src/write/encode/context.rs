//! Options and table properties that apply to every value of a statement.

use chrono_tz::Tz;

use super::time::Clock;
use super::value::{BooleanForm, LongText, Style};
use crate::options::{LongValues, NaiveTime, NullMarks, Nulls};
use crate::table::{Open, Shape, Standard};

/// How values become JSON, from the session's options.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) nulls: Nulls,
    pub(crate) nested: bool,
    pub(crate) naive_time: NaiveTime,
    pub(crate) long_values: LongValues,
    pub(crate) null_marks: NullMarks,
    /// The project's time zone, if the account has one.
    pub(crate) time_zone: Option<Tz>,
}

/// [`Rules`] combined with the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) clock: Clock,
    pub(super) naive: NaiveTime,
    pub(super) nested: bool,
    pub(super) long: LongText,
    pub(super) deletes: bool,
    /// Whether an identifier that stands for no value is refused.
    pub(super) refuses_null_marks: bool,
    /// Whether lists are multi-value properties and operators are accepted.
    pub(super) operators: bool,
}

impl Context {
    pub(super) fn new(rules: &Rules, open: Option<&Open>) -> Self {
        let operators = open.is_some_and(|open| open.operators);
        Self {
            clock: Clock { naive: rules.time_zone.filter(|_| rules.naive_time == NaiveTime::Project), day: rules.time_zone },
            naive: rules.naive_time,
            nested: rules.nested,
            long: if rules.long_values == LongValues::Cut { LongText::Cut } else { LongText::Reject },
            deletes: operators && rules.nulls == Nulls::Delete,
            refuses_null_marks: rules.null_marks == NullMarks::Reject,
            operators,
        }
    }

    /// How a property of this shape is written.
    pub(super) fn style(&self, shape: Shape) -> Style {
        Style {
            long: if shape == Shape::Object { LongText::Keep } else { self.long },
            boolean: if shape == Shape::Standard(Standard::YesNo) { BooleanForm::Letter } else { BooleanForm::Json },
        }
    }

    /// Whether a NULL of this shape deletes the property.
    pub(super) fn deletes(&self, shape: Shape) -> bool {
        self.deletes && matches!(shape, Shape::Value | Shape::Standard(_))
    }
}
