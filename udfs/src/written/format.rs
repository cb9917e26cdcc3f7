//! A format such as `'dd/mm/yyyy hh:mi:ss'`, and texts that are written so.
//!
//! In: a format. Out: the local date and time that a text of it says, and what stands behind. Nothing is guessed: a day that its month does not
//! have, another separator, too few digits are no date.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// A part of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    /// With a fraction, if there is one.
    Second,
    /// `am` or `pm`, of an hour from 1 to 12.
    Half,
    Other(char),
}

/// What is recognized in a format, longest first.
const NAMES: [(&str, Part); 9] = [
    ("yyyy", Part::Year),
    ("hh24", Part::Hour),
    ("hh", Part::Hour),
    ("mm", Part::Month),
    ("mi", Part::Minute),
    ("dd", Part::Day),
    ("ss", Part::Second),
    ("am", Part::Half),
    ("pm", Part::Half),
];

/// A format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format(Vec<Part>);

impl Format {
    /// Reads a format that has year, month and day once each, and at most one of each other part.
    ///
    /// `mm` behind an hour is the minute, as `mi` always is. Of letters, `T` alone stands for itself.
    pub(super) fn new(format: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = format.trim();
        while let Some(next) = rest.chars().next() {
            let is_next = |name: &str| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            let (length, part) = match NAMES.into_iter().find(|(name, _)| is_next(name)) {
                Some((name, Part::Month)) if parts.contains(&Part::Hour) && !parts.contains(&Part::Minute) => (name.len(), Part::Minute),
                Some((name, part)) => (name.len(), part),
                None if next.is_alphanumeric() && next != 'T' => return None,
                None => (next.len_utf8(), Part::Other(next)),
            };
            parts.push(part);
            rest = rest.get(length..)?;
        }
        let format = Self(parts);
        let count = |part| format.0.iter().filter(|other| **other == part).count();
        let has_date = [Part::Year, Part::Month, Part::Day].into_iter().all(|part| count(part) == 1);
        let has_one_of_each = [Part::Hour, Part::Minute, Part::Second, Part::Half].into_iter().all(|part| count(part) <= 1);
        // Minutes of no hour are of no time.
        let is_whole = (format.has_time() || count(Part::Minute) + count(Part::Half) == 0) && count(Part::Second) <= count(Part::Minute);
        (has_date && has_one_of_each && is_whole).then_some(format)
    }

    /// Whether it has an hour.
    pub(super) fn has_time(&self) -> bool {
        self.0.contains(&Part::Hour)
    }

    /// The local time that begins `text`, and what stands behind it. Without an hour in the format it is midnight.
    pub(super) fn read<'t>(&self, text: &'t str) -> Option<(NaiveDateTime, &'t str)> {
        let mut rest = text.trim();
        let (mut year, mut month, mut day, mut hour, mut minute, mut second) = (0, 0, 0, 0, 0, 0);
        let mut is_afternoon = None;
        for (at, part) in self.0.iter().enumerate() {
            let slot = match part {
                Part::Other(expected) => {
                    rest = rest.strip_prefix(*expected)?;
                    continue;
                }
                Part::Half => {
                    let half = rest.get(..2)?;
                    is_afternoon = Some(half.eq_ignore_ascii_case("pm"));
                    if !half.eq_ignore_ascii_case("am") && is_afternoon == Some(false) {
                        return None;
                    }
                    rest = rest.get(2..)?;
                    continue;
                }
                Part::Year => &mut year,
                Part::Month => &mut month,
                Part::Day => &mut day,
                Part::Hour => &mut hour,
                Part::Minute => &mut minute,
                Part::Second => &mut second,
            };
            let most = if *part == Part::Year { 4 } else { 2 };
            let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
            // One digit is sure where what follows is none.
            let is_alone = matches!(self.0.get(at + 1), None | Some(Part::Other(_) | Part::Half));
            if digits < most && !(most == 2 && digits == 1 && is_alone) {
                return None;
            }
            *slot = rest.get(..digits)?.parse::<u32>().ok()?;
            rest = rest.get(digits..)?;
            if *part == Part::Second {
                rest = without_fraction(rest)?;
            }
        }
        let hour = match is_afternoon {
            None => hour,
            Some(is_afternoon) if (1..=12).contains(&hour) => hour % 12 + if is_afternoon { 12 } else { 0 },
            Some(_) => return None,
        };
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok().filter(|year| *year > 0)?, month, day)?;
        Some((date.and_time(NaiveTime::from_hms_opt(hour, minute, second)?), rest))
    }
}

/// What stands behind the digits of a fraction of a second.
fn without_fraction(text: &str) -> Option<&str> {
    let Some(fraction) = text.strip_prefix(['.', ',']) else { return Some(text) };
    let behind = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
    (behind.len() < fraction.len()).then_some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_sure_is_no_date() {
        for (format, text, expected) in [
            ("dd/mm/yyyy", "31/12/1990", "1990-12-31 00:00:00"),
            ("DD/MM/YYYY", " 31/12/1990 ", "1990-12-31 00:00:00"),
            ("yyyy-mm-dd", "1990-12-31", "1990-12-31 00:00:00"),
            ("ddmmyyyy", "31121990", "1990-12-31 00:00:00"),
            ("dd.mm.yyyy", "1.1.1970", "1970-01-01 00:00:00"),
            ("dd/mm/yyyy", "29/02/2024", "2024-02-29 00:00:00"),
            ("dd/mm/yyyy hh:mm", "29/02/2024 7:05", "2024-02-29 07:05:00"),
            ("yyyy-mm-ddThh:mi:ss", "2026-01-01T23:59:59.999", "2026-01-01 23:59:59"),
            ("hh:mm dd.mm.yyyy", "23:04 01.02.2026", "2026-02-01 23:04:00"),
            ("mm/dd/yyyy hh:mi:ss am", "01/02/2026 12:00:00 AM", "2026-01-02 00:00:00"),
            ("mm/dd/yyyy hh:mi:ss am", "01/02/2026 12:00:00 pm", "2026-01-02 12:00:00"),
            ("mm/dd/yyyy hh:mi am", "01/02/2026 1:30PM", ""),
            ("mm/dd/yyyy hh:miam", "01/02/2026 1:30PM", "2026-01-02 13:30:00"),
            ("mm/dd/yyyy hh:mi am", "01/02/2026 13:30 PM", ""),
            ("mm/dd/yyyy hh:mi am", "01/02/2026 1:30 xm", ""),
            ("yyyymmddhh24miss", "20260102030405", "2026-01-02 03:04:05"),
            ("yyyymmdd", "2026010", ""),
            ("yyyy-mm-dd hh:mi", "2026-01-01 24:00", ""),
            ("yyyy-mm-dd hh:mi:ss", "2026-01-01 23:59:60", ""),
            ("yyyy-mm-dd hh:mi:ss", "2026-01-01 23:59:5.", ""),
            ("dd/mm/yyyy", "29/02/2023", ""),
            ("dd/mm/yyyy", "12/31/1990", ""),
            ("dd/mm/yyyy", "31-12-1990", ""),
            ("dd/mm/yyyy", "31/12/90", ""),
            ("dd/mm/yyyy", "031/12/1990", ""),
            ("dd/mm/yyyy", "00/12/1990", ""),
            ("dd/mm/yyyy", "31/12/0000", ""),
            ("dd/mm/yyyy", "31/12/19901", ""),
            ("dd/mm/yyyy", "31/12/1990 00:00", ""),
            ("dd/mm/yyyy", "+1/12/1990", ""),
            ("dd/mm/yyyy", "", ""),
            ("ddmmyyyy", "1121990", ""),
        ] {
            let read = Format::new(format).unwrap_or_else(|| panic!("{format}")).read(text);
            let whole = read.filter(|(_, rest)| rest.is_empty()).map(|(local, _)| local.to_string());
            assert_eq!(whole.unwrap_or_default(), expected, "{text} as {format}");
        }
    }

    #[test]
    fn a_format_names_a_whole_date_and_nothing_twice() {
        for format in [
            "dd/mm/yy",
            "dd/mm",
            "dd/dd/yyyy",
            "%d/%m/%Y",
            "",
            "mm/mm/dd/yyyy",
            "dd MMM yyyy",
            "dd/mm/yyyy mi",
            "dd/mm/yyyy hh:ss",
            "dd/mm/yyyy am",
            "dd/mm/yyyy hh:mi:mi",
            "Day dd/mm/yyyy",
        ] {
            assert_eq!(Format::new(format), None, "{format}");
        }
    }
}
