//! Writes a value of a column as JSON: scalars, and lists, structs and maps of them.
//!
//! In: bound values and an index. Out: bytes, or a [`super::reject::Problem`]; the caller then truncates the output. NULL is left out
//! of objects and lists.

use super::bind::{Column, Values};
use super::cell;
use super::reject::{Checked, EPOCH_SECONDS_MAX, LEVELS_MAX, TEXT_BYTES_MAX, TIME_RANGE, date_range, depth, long_text, problem};
use super::time::{DAY_OR_HOUR, OUT_OF_RANGE, calendar_format, is_a_day_as_seconds};

/// How the values of one field are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// What happens to a text over [`TEXT_BYTES_MAX`].
    pub(super) long: LongText,
    pub(super) boolean: BooleanForm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LongText {
    /// No limit applies.
    Keep,
    Reject,
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BooleanForm {
    /// `true`, `false`.
    Json,
    /// `"Y"`, `"N"`.
    Letter,
}

impl Style {
    /// Without a limit on texts, for values that become one text together.
    pub(super) const INSIDE: Self = Self { long: LongText::Keep, boolean: BooleanForm::Json };

    /// Writes `text` as a JSON string; sets `cut` if it was cut.
    pub(super) fn text(self, out: &mut Vec<u8>, text: &str, cut: &mut bool) -> Checked<()> {
        let mut bytes = text.as_bytes();
        if bytes.len() > TEXT_BYTES_MAX {
            match self.long {
                LongText::Keep => {}
                LongText::Reject => return Err(long_text(bytes.len())),
                LongText::Cut => {
                    bytes = &bytes[..text.floor_char_boundary(TEXT_BYTES_MAX)];
                    *cut = true;
                }
            }
        }
        cell::text(out, bytes);
        Ok(())
    }
}

/// Writes the value at `at`, which is not NULL.
pub(super) fn json(values: &Values, at: usize, style: Style, levels: usize, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    match values {
        Values::Null => out.extend_from_slice(b"null"),
        Values::Bool(array) if style.boolean == BooleanForm::Letter => {
            out.extend_from_slice(if array.value(at) { b"\"Y\"" } else { b"\"N\"" })
        }
        Values::Bool(array) => cell::boolean(out, array.value(at)),
        Values::Int(array) => cell::integer(out, array.value(at)),
        Values::UInt(array) => cell::integer(out, array.value(at)),
        Values::Half(array) => cell::half(out, array.value(at))?,
        Values::Single(array) => cell::single(out, array.value(at))?,
        Values::Double(array) => cell::double(out, array.value(at))?,
        Values::Decimal32(array) => cell::decimal(out, itoa::Buffer::new().format(array.value(at)), array.scale()),
        Values::Decimal64(array) => cell::decimal(out, itoa::Buffer::new().format(array.value(at)), array.scale()),
        Values::Decimal128(array) => cell::decimal(out, itoa::Buffer::new().format(array.value(at)), array.scale()),
        Values::Decimal256(array) => cell::decimal(out, &array.value(at).to_string(), array.scale()),
        Values::Seconds(seconds) => date(out, seconds[at])?,
        Values::List(list) => {
            let levels = inner(levels)?;
            out.push(b'[');
            for item in list.range(at).filter_map(|item| list.items.at(item)) {
                cell::comma(out);
                json(&list.items.values, item, style, levels, out, cut)?;
            }
            out.push(b']');
        }
        Values::Struct(members) => {
            let levels = inner(levels)?;
            out.push(b'{');
            for member in members {
                if let Some(place) = member.column.at(at) {
                    cell::comma(out);
                    out.extend_from_slice(&member.key);
                    json(&member.column.values, place, style, levels, out, cut)?;
                }
            }
            out.push(b'}');
        }
        Values::Map(map) => {
            let levels = inner(levels)?;
            out.push(b'{');
            for entry in map.range(at) {
                if let (Some(key), Some(place)) = (map.keys.at(entry), map.values.at(entry)) {
                    cell::comma(out);
                    quoted(&map.keys.values, key, Style::INSIDE, out, cut)?;
                    out.push(b':');
                    json(&map.values.values, place, style, levels, out, cut)?;
                }
            }
            out.push(b'}');
        }
        text => {
            if let Some(text) = text.text(at) {
                style.text(out, text?, cut)?;
            }
        }
    }
    Ok(())
}

/// Writes the scalar at `at` as a JSON string, whatever its type.
pub(super) fn quoted(values: &Values, at: usize, style: Style, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    if matches!(values, Values::Seconds(_)) || values.text(at).is_some() {
        return json(values, at, style, 0, out, cut);
    }
    out.push(b'"');
    json(values, at, Style::INSIDE, 0, out, cut)?;
    out.push(b'"');
    Ok(())
}

/// Seconds of eight digits, 1970-04-26 to 1973-03-03: CleverTap's SDKs read `$D_` and eight digits as a calendar date
/// (<https://github.com/CleverTap/clevertap-web-sdk>, read 2026-11-21), and its server may.
pub(super) const LIKE_A_CALENDAR_DATE: std::ops::Range<i64> = 10_000_000..100_000_000;

/// `"$D_1767225600"`; a number that could be read as a calendar date gets a leading zero, which does not change its value.
pub(super) fn date(out: &mut Vec<u8>, seconds: i64) -> Checked<()> {
    if seconds == OUT_OF_RANGE {
        return Err(date_range());
    }
    out.extend_from_slice(if LIKE_A_CALENDAR_DATE.contains(&seconds) { b"\"$D_0" } else { b"\"$D_" });
    cell::integer(out, seconds);
    out.push(b'"');
    Ok(())
}

/// One level less, or the problem that the nesting is too deep.
fn inner(levels: usize) -> Checked<usize> {
    levels.checked_sub(1).ok_or_else(|| depth(LEVELS_MAX))
}

/// Whether the number is above 0, as `$incr` and `$decr` require.
pub(super) fn positive(values: &Values, at: usize) -> bool {
    match values {
        Values::Int(array) => array.value(at) > 0,
        Values::UInt(array) => array.value(at) > 0,
        Values::Half(array) => array.value(at).to_f32() > 0.0,
        Values::Single(array) => array.value(at) > 0.0,
        Values::Double(array) => array.value(at) > 0.0,
        Values::Decimal32(array) => array.value(at) > 0,
        Values::Decimal64(array) => array.value(at) > 0,
        Values::Decimal128(array) => array.value(at) > 0,
        Values::Decimal256(array) => array.value(at) > arrow::datatypes::i256::ZERO,
        _ => false,
    }
}

/// The whole number at `at`; `None` of fractions, and of floats beyond those in which each whole number has its own value.
pub(super) fn whole(values: &Values, at: usize) -> Option<i128> {
    const DOUBLE_MAX: f64 = 9_007_199_254_740_992.0;
    const SINGLE_MAX: f64 = 16_777_216.0;
    const HALF_MAX: f64 = 2_048.0;
    let of_float = |value: f64, max: f64| (value.abs() < max && value.fract() == 0.0).then_some(value as i128);
    let of_decimal = |value: i128, scale: i8| {
        let power = 10_i128.checked_pow(u32::from(scale.unsigned_abs()))?;
        if scale <= 0 { value.checked_mul(power) } else { (value % power == 0).then_some(value / power) }
    };
    match values {
        Values::Half(array) => of_float(array.value(at).into(), HALF_MAX),
        Values::Single(array) => of_float(array.value(at).into(), SINGLE_MAX),
        Values::Double(array) => of_float(array.value(at), DOUBLE_MAX),
        Values::Decimal32(array) => of_decimal(array.value(at).into(), array.scale()),
        Values::Decimal64(array) => of_decimal(array.value(at).into(), array.scale()),
        Values::Decimal128(array) => of_decimal(array.value(at), array.scale()),
        _ => None,
    }
}

/// The items of a list that are not NULL.
pub(super) fn items(column: &Column, range: std::ops::Range<usize>) -> impl Iterator<Item = usize> + '_ {
    range.filter_map(|item| column.at(item))
}

/// A whole number, if it is not a day of the calendar.
fn whole_seconds(seconds: i64) -> Checked<i64> {
    match calendar_format(seconds) {
        None => Ok(seconds),
        Some(remedy) => {
            Err(problem(TIME_RANGE, format!("looks like a day of the calendar, written as a number; expected epoch seconds. {remedy}")))
        }
    }
}

/// The instant at `at` in epoch seconds of at most ten digits.
pub(super) fn epoch_seconds(values: &Values, at: usize) -> Checked<i64> {
    let seconds = match values {
        Values::Int(array) => whole_seconds(array.value(at))?,
        Values::UInt(array) => whole_seconds(i64::try_from(array.value(at)).unwrap_or(i64::MAX))?,
        Values::Seconds(seconds) if seconds[at] == OUT_OF_RANGE => return Err(problem(TIME_RANGE, date_range().reason)),
        Values::Seconds(seconds) if is_a_day_as_seconds(seconds[at]) => {
            let what = "is an instant of August 1970, as a day such as 20260105 is when it is read as seconds";
            return Err(problem(TIME_RANGE, format!("{what}. {DAY_OR_HOUR}")));
        }
        Values::Seconds(seconds) => seconds[at],
        _ => i64::MAX,
    };
    if seconds > EPOCH_SECONDS_MAX {
        return Err(problem(
            TIME_RANGE,
            "is above 9999999999 and looks like milliseconds; expected epoch seconds. Divide it by 1000, or use to_timestamp_millis",
        ));
    }
    Ok(seconds)
}
