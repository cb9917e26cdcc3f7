//! What the options and the table say about every value of a statement.

use chrono_tz::Tz;

use super::time::Clock;
use super::value::{Long, Style, Truth};
use crate::options::{LongValues, NaiveTime, Nulls};
use crate::table::{Open, Shape};

/// How values become JSON, by the session's options.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) nulls: Nulls,
    pub(crate) nested: bool,
    pub(crate) naive_time: NaiveTime,
    pub(crate) long_values: LongValues,
    /// The project's time zone, if the account has one.
    pub(crate) time_zone: Option<Tz>,
}

/// What the rules and the table say about every value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) clock: Clock,
    pub(super) naive: NaiveTime,
    pub(super) nested: bool,
    pub(super) long: Long,
    pub(super) deletes: bool,
    /// Whether lists are multi-value properties and operators are understood.
    pub(super) operators: bool,
}

impl Context {
    pub(super) fn new(rules: &Rules, open: Option<&Open>) -> Self {
        let operators = open.is_some_and(|open| open.operators);
        Self {
            clock: Clock { naive: rules.time_zone.filter(|_| rules.naive_time == NaiveTime::Project), day: rules.time_zone },
            naive: rules.naive_time,
            nested: rules.nested,
            long: if rules.long_values == LongValues::Cut { Long::Cut } else { Long::Reject },
            deletes: operators && rules.nulls == Nulls::Delete,
            operators,
        }
    }

    /// How a property of this shape is written.
    pub(super) fn style(&self, shape: Shape) -> Style {
        Style {
            long: if shape == Shape::Object { Long::Keep } else { self.long },
            truth: if shape == Shape::YesNo { Truth::Letter } else { Truth::Json },
        }
    }

    /// Whether a NULL of this shape deletes the property.
    pub(super) fn deletes(&self, shape: Shape) -> bool {
        self.deletes && matches!(shape, Shape::Value | Shape::YesNo)
    }
}
