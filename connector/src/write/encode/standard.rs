//! The standard fields of people: CleverTap would take a value of another kind and misread it, so each is checked here.
//!
//! In: a value of a column, of a map or of a JSON text. Out: the value as CleverTap has it, or a reject with a remedy. A date of birth is
//! a date, an age a whole number, consent a boolean; gender and education are words of CleverTap, which the table has. What is not clearly
//! one of these is not guessed at.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use super::bind::Values;
use super::cell;
use super::context::Context;
use super::json::Json;
use super::reject::{Checked, Problem, STANDARD, problem};
use super::time::local;
use super::value;
use crate::table::Standard;

/// Words for a boolean, in any case: those of PostgreSQL, without `on` and `off`.
const BOOLEANS: [(&str, bool); 10] = [
    ("true", true),
    ("false", false),
    ("t", true),
    ("f", false),
    ("yes", true),
    ("no", false),
    ("y", true),
    ("n", false),
    ("1", true),
    ("0", false),
];

/// What a column of another type is told.
pub(super) fn expected(kind: Standard) -> &'static str {
    match kind {
        Standard::Consent => "consent is a boolean; write {x} = 'yes', with the value that means yes",
        Standard::YesNo => "this field is a boolean; write {x} = 'yes', with the value that means yes",
        Standard::BirthDate => "a date of birth is a date; write to_date(CAST({x} AS text), '%Y%m%d') with its own format",
        Standard::Age => "an age is a whole number; write CAST({x} AS bigint)",
        Standard::OneOf(_) => "this field is a word; write CASE {x} WHEN … THEN '…' END",
    }
}

#[cold]
fn refused(kind: Standard) -> Box<Problem> {
    let reason = match kind {
        Standard::Consent => {
            "is neither true nor false, and decides whether somebody may be written to; a comparison (status = 'subscribed') makes a boolean"
                .to_owned()
        }
        Standard::YesNo => "is neither yes nor no; a comparison (status = 'married') makes a boolean".to_owned(),
        Standard::BirthDate => {
            "is no date as YYYY-MM-DD; to_date(born, '%d/%m/%Y') reads another form, nullif(born, '') leaves an empty one out".to_owned()
        }
        Standard::Age => "is no whole number; CAST(CAST(years AS double) AS bigint) cuts a fraction, nullif(years, '') leaves an empty one out".to_owned(),
        Standard::OneOf(words) => format!("is none of {}; CASE translates other words", words.join(", ")),
    };
    problem(STANDARD, reason)
}

/// Writes the value at `at` of a column whose role is [`Role::Standard`](super::role::Role::Standard).
pub(super) fn write(kind: Standard, values: &Values, at: usize, context: &Context, out: &mut Vec<u8>) -> Checked<()> {
    if let Some(found) = values.text(at) {
        return text(kind, found?, context, out);
    }
    let mark = out.len();
    value::json(values, at, value::Style::INSIDE, 0, out, &mut false)?;
    let digits = String::from_utf8_lossy(&out.split_off(mark)).into_owned();
    number(kind, &digits, out)
}

/// Writes a value of a JSON text; its NULL, lists and objects are of no concern here.
pub(super) fn json(kind: Standard, value: &Json<'_>, context: &Context, out: &mut Vec<u8>) -> Checked<()> {
    match (kind, value) {
        (_, Json::Text(found)) => text(kind, found, context, out),
        (_, Json::Number(digits)) => number(kind, digits, out),
        (Standard::Consent | Standard::YesNo, Json::Bool(value)) => {
            boolean(kind, *value, out);
            Ok(())
        }
        _ => Err(refused(kind)),
    }
}

fn text(kind: Standard, found: &str, context: &Context, out: &mut Vec<u8>) -> Checked<()> {
    let found = found.trim_ascii();
    match kind {
        Standard::Consent | Standard::YesNo => {
            let known = BOOLEANS.iter().find(|(word, _)| word.eq_ignore_ascii_case(found));
            boolean(kind, known.map(|(_, value)| *value).ok_or_else(|| refused(kind))?, out);
        }
        Standard::BirthDate => {
            // As CleverTap's own payloads have it.
            let is_wire = found.strip_prefix("$D_").is_some_and(|digits| digits.parse::<i64>().is_ok());
            if is_wire {
                cell::text(out, found.as_bytes());
            } else {
                value::date(out, birth(found, context).ok_or_else(|| refused(kind))?)?;
            }
        }
        Standard::Age => number(kind, found, out)?,
        Standard::OneOf(words) => {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(found)).ok_or_else(|| refused(kind))?;
            cell::text(out, word.as_bytes());
        }
    }
    Ok(())
}

fn number(kind: Standard, digits: &str, out: &mut Vec<u8>) -> Checked<()> {
    match (kind, digits) {
        (Standard::Consent | Standard::YesNo, "0" | "1") => boolean(kind, digits == "1", out),
        (Standard::Age, digits) => {
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
            let fits = fraction.bytes().all(|byte| byte == b'0') && (1..=3).contains(&whole.len());
            match whole.parse::<u16>() {
                Ok(age) if fits && whole.bytes().all(|byte| byte.is_ascii_digit()) => cell::integer(out, age),
                _ => return Err(refused(kind)),
            }
        }
        _ => return Err(refused(kind)),
    }
    Ok(())
}

fn boolean(kind: Standard, value: bool, out: &mut Vec<u8>) {
    if kind == Standard::YesNo { letter(out, value) } else { cell::boolean(out, value) }
}

fn letter(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"\"Y\"" } else { b"\"N\"" });
}

/// The first second of the day, or the instant, of a text in ISO 8601.
fn birth(text: &str, context: &Context) -> Option<i64> {
    let zone = context.clock.day;
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        // chrono takes fewer digits too, and `1-2-3` is no date that anybody meant.
        return (text.len() == 10).then(|| local(day.and_time(NaiveTime::MIN).and_utc().timestamp(), zone));
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.timestamp());
    }
    let time = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"].iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    Some(local(time.and_utc().timestamp(), zone))
}
