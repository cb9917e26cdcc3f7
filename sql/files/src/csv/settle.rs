//! The type of a column, and what to say of it.
//!
//! In: what its cells have in common. Out: a type only if every cell is of it; else text, and the one odd cell, or the mix, that made it so.

use arrow::datatypes::{DataType, TimeUnit};

use super::cell::number::DIGITS_MAX;
use super::facts::{Facts, KINDS, Kind};
use crate::error::{TextError, option};

/// Seconds between which an instant has nanoseconds: of the years 1678 to 2261.
const NANOSECONDS: std::ops::Range<i64> = -9_214_560_000..9_214_646_400;
const BOOLEANS: [Kind; 3] = [Kind::Lower, Kind::Title, Kind::Upper];

/// What a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) data_type: DataType,
    pub(crate) warnings: Vec<TextError>,
}

impl Settled {
    fn text(warnings: impl IntoIterator<Item = TextError>) -> Self {
        Self { data_type: DataType::Utf8View, warnings: warnings.into_iter().collect() }
    }

    fn typed(data_type: DataType) -> Self {
        Self { data_type, ..Self::text(None) }
    }
}

/// A column whose cells nobody asked to be anything but text.
pub(crate) fn plain(name: &str, facts: &Facts) -> Settled {
    Settled::text(facts.marks.told(name))
}

pub(crate) fn settle(name: &str, facts: &Facts) -> Settled {
    let kinds: Vec<_> = KINDS.into_iter().filter(|kind| facts.of(*kind).count > 0).collect();
    match kinds[..] {
        [] => Settled::text(None),
        [Kind::Number] => number(name, facts),
        [Kind::Lower | Kind::Title | Kind::Upper] => Settled::typed(DataType::Boolean),
        [Kind::Date] => Settled::typed(DataType::Date32),
        [Kind::Local] => instant(name, facts, Kind::Local),
        [Kind::Zoned] => instant(name, facts, Kind::Zoned),
        _ => {
            let why = mixed(name, facts, &kinds);
            // A mark that makes the column text is told as that.
            let marks = facts.marks.told(name).filter(|marks| why.as_ref().is_none_or(|why| why.remedy != marks.remedy));
            Settled::text(why.into_iter().chain(marks))
        }
    }
}

fn number(name: &str, facts: &Facts) -> Settled {
    if facts.scale_max == 0 && !facts.beyond_i64 {
        return Settled::typed(DataType::Int64);
    }
    let precision = facts.whole_max + facts.scale_max;
    if precision > DIGITS_MAX {
        return Settled::text(told(
            name,
            facts,
            Kind::Number,
            format!("numbers of together {precision} digits make \"{name}\" text"),
            None,
        ));
    }
    // Within bounds that are checked above.
    let data_type = DataType::Decimal128(precision as u8, facts.scale_max as i8);
    Settled::typed(data_type)
}

fn instant(name: &str, facts: &Facts, kind: Kind) -> Settled {
    let unit = match facts.times.fraction_max {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    };
    if unit == TimeUnit::Nanosecond && !(NANOSECONDS.contains(&facts.times.earliest) && NANOSECONDS.contains(&facts.times.latest)) {
        let what = format!("nanoseconds of years before 1678 or after 2261 make \"{name}\" text");
        return Settled::text(told(name, facts, kind, what, None));
    }
    let zone = (kind == Kind::Zoned).then(|| "+00:00".into());
    Settled::typed(DataType::Timestamp(unit, zone))
}

/// Why a column of several kinds is text, where its author may have thought otherwise.
fn mixed(name: &str, facts: &Facts, kinds: &[Kind]) -> Option<TextError> {
    let is_of = |some: &[Kind]| kinds.iter().all(|kind| some.contains(kind));
    // The first cell that is not of the kind of the first one.
    let second = kinds.iter().copied().max_by_key(|kind| facts.of(*kind).first.as_ref().map(|(_, line)| *line))?;
    if is_of(&BOOLEANS) {
        return told(name, facts, second, format!("true and false, spelled in more than one way, make \"{name}\" text"), None);
    }
    if is_of(&[Kind::Local, Kind::Zoned]) {
        let what = format!("some times state their zone and some do not, which makes \"{name}\" text");
        return told(name, facts, second, what, None);
    }
    if is_of(&[Kind::Date, Kind::Local, Kind::Zoned]) {
        return told(name, facts, second, format!("days and times are mixed, which makes \"{name}\" text"), None);
    }
    let total = facts.count(&KINDS);
    let is_most = |count: u64| {
        let odd = total - count;
        odd * 10 <= total || odd <= 3 && count >= 4 * odd
    };
    let commas = facts.of(Kind::Comma).count;
    if commas > 0 && is_most(facts.count(&[Kind::Comma, Kind::Number])) {
        let what = format!("numbers with a comma make \"{name}\" text");
        if facts.comma_groups {
            let whole = (facts.comma.0 + 3).max(facts.whole_max);
            let data_type = if facts.scale_max == 0 {
                "BIGINT".to_owned()
            } else {
                format!("DECIMAL({},{})", whole + facts.scale_max, facts.scale_max)
            };
            let remedy = format!(
                "CAST(replace(\"{name}\", ',', '') AS {data_type}) reads them, if the comma groups thousands, and \
                 CAST(replace(\"{name}\", ',', '.') AS DECIMAL(38,3)) if it is the decimal one"
            );
            return told(name, facts, Kind::Comma, what, Some(remedy));
        }
        let scale = facts.comma.1.max(facts.scale_max);
        let precision = (facts.comma.0.max(facts.whole_max) + scale).min(DIGITS_MAX);
        let remedy =
            format!("CAST(replace(\"{name}\", ',', '.') AS DECIMAL({precision},{scale})) reads them, if the comma is the decimal one");
        return told(name, facts, Kind::Comma, what, Some(remedy));
    }
    // However few there are: somebody reckons with such a column, or compares it.
    if let Some(words) =
        facts.odd.filter(|_| facts.of(Kind::Number).count > 0 && is_of(&[Kind::Number, Kind::Odd, Kind::Comma, Kind::Mark]))
    {
        return told(name, facts, Kind::Odd, format!("{words} makes \"{name}\" text"), None);
    }
    let groups: [&[Kind]; 5] = [&[Kind::Number], &BOOLEANS, &[Kind::Date], &[Kind::Local], &[Kind::Zoned]];
    let most = groups.into_iter().max_by_key(|group| facts.count(group))?;
    let of_most = facts.count(most);
    let odd = kinds.iter().copied().filter(|kind| !most.contains(kind));
    let first = odd.min_by_key(|kind| facts.of(*kind).first.as_ref().map(|(_, line)| *line))?;
    let only_marks = of_most > 0 && of_most + facts.of(Kind::Mark).count == total;
    if !only_marks && !is_most(of_most) {
        return None;
    }
    let (found, remedy) = match first {
        Kind::Mark => {
            let mark = facts.mark.unwrap_or_default();
            (format!("\"{mark}\""), Some(format!("{} makes it NULL", option("null", &format!("'{mark}'")))))
        }
        Kind::Text => (facts.shape.clone().unwrap_or_default(), None),
        Kind::Odd => (facts.odd.unwrap_or_default().to_owned(), None),
        Kind::Number => ("a number".to_owned(), None),
        Kind::Lower | Kind::Title | Kind::Upper => ("true or false".to_owned(), None),
        Kind::Date => ("a day".to_owned(), None),
        Kind::Local | Kind::Zoned => ("a time".to_owned(), None),
        Kind::Comma => ("a number with a comma".to_owned(), None),
    };
    told(name, facts, first, format!("{found} makes \"{name}\" text"), remedy)
}

/// A warning at the first cell of a kind.
fn told(name: &str, facts: &Facts, kind: Kind, what: String, remedy: Option<String>) -> Option<TextError> {
    let (file, line) = facts.of(kind).first.as_ref()?;
    let error = TextError { remedy, ..TextError::new(file, what).line(*line).column(name) };
    Some(error)
}
