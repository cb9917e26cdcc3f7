//! `ct_event_time(text [, format] [, zone])`: the instant that a text says, or NULL where it is not sure.
//!
//! In: text; a format such as `'dd/mm/yyyy hh:mi'` and a zone such as `'Asia/Kolkata'`: literals, each of which may be left out. Out:
//! `Timestamp(Second, "+00:00")`, which is what the time of an event is; fractions are cut.
//!
//! - Without a format, the text is a day and a time as ISO 8601 has them: `2026-01-05T10:00:00.5Z`, `2026-01-05 10:00 +05:30`.
//! - A zone that the text states behind its time is that of the text: `Z`, `UTC`, `+05:30`, `Europe/Berlin`. The zone of the call is that of
//!   texts that state none. Without either, it is not sure which instant it is: NULL.
//! - In a format, `yyyy mm dd hh mi ss` are digits; `mm` behind `hh` are minutes too; `am` or `pm` makes the hour one of twelve. Without an hour
//!   the instant is the day's midnight.
//! - A local time that its zone skips or has twice, when clocks are changed, is NULL, as are days that there are not.
//!
//! `WHERE at IS NOT NULL AND ct_event_time(at, 'Asia/Kolkata') IS NULL` finds the times that are lost.
//!
//! ```
//! # use datafusion::error::Result;
//! # use datafusion::prelude::SessionContext;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let mut ctx = SessionContext::new();
//! # datafusion_clevertap_udfs::register(&mut ctx)?;
//! let rows = ctx
//!     .sql("SELECT ct_event_time('05/01/2026 15:30', 'dd/mm/yyyy hh:mi', 'Asia/Kolkata') AS a, ct_event_time('2026-01-05T10:00:00Z') AS b, ct_event_time('2026-01-05 10:00') AS c")
//!     .await?;
//! datafusion::assert_batches_eq!(
//!     ["+----------------------+----------------------+---+", "| a                    | b                    | c |", "+----------------------+----------------------+---+", "| 2026-01-05T10:00:00Z | 2026-01-05T10:00:00Z |   |", "+----------------------+----------------------+---+"],
//!     &rows.collect().await?
//! );
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{AsArray, TimestampSecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::date::{is_written, read};
use super::format::Format;
use super::zone::{instant, zone};
use crate::SECTION;

const NAME: &str = "ct_event_time";
const UTC: &str = "+00:00";
/// What is read without a format.
const ISO: [&str; 4] = ["yyyy-mm-dd hh:mi:ss", "yyyy-mm-ddThh:mi:ss", "yyyy-mm-dd hh:mi", "yyyy-mm-ddThh:mi"];

/// `ct_event_time(text [, format] [, zone])`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct EventTime {
    signature: Signature,
    documentation: Documentation,
}

impl EventTime {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: Documentation::builder(
                SECTION,
                "The instant that a text says, or NULL where it is not sure which one it is.",
                "ct_event_time(text [, format] [, zone])",
            )
            .with_argument("text", "A day and a time as text, or as a whole number such as 20260105103000.")
            .with_argument(
                "format",
                "A literal of yyyy, mm, dd, hh, mi, ss, am and what stands between them. Without it, the text is ISO 8601.",
            )
            .with_argument("zone", "The time zone of texts that state none: a literal such as 'Asia/Kolkata', '+05:30' or 'UTC'.")
            .with_sql_example(
                "```sql\nSELECT ct_event_time('05/01/2026 15:30', 'dd/mm/yyyy hh:mi', 'Asia/Kolkata'); -- 2026-01-05T10:00:00Z\n```",
            )
            .build(),
        }
    }
}

/// How texts are read.
struct Reading {
    formats: Vec<Format>,
    zone: Option<Tz>,
}

impl Reading {
    /// From the literals behind the text.
    fn new(literals: &[Option<&ScalarValue>]) -> Option<Self> {
        let text = |literal: &Option<&ScalarValue>| literal.and_then(|literal| literal.try_as_str().flatten()).map(str::to_owned);
        let literals: Vec<String> = literals.iter().map(text).collect::<Option<_>>()?;
        let (format, zone) = match literals.as_slice() {
            [] => (None, None),
            [one] => match zone(one) {
                Some(zone) => (None, Some(zone)),
                None => (Some(Format::new(one)?), None),
            },
            [format, of] => (Some(Format::new(format)?), Some(zone(of)?)),
            _ => return None,
        };
        let formats = format.map_or_else(|| ISO.into_iter().filter_map(Format::new).collect(), |format| vec![format]);
        Some(Self { formats, zone })
    }

    /// Epoch seconds.
    fn read(&self, text: &str) -> Option<i64> {
        let (local, behind) = self.formats.iter().find_map(|format| {
            let (local, behind) = format.read(text)?;
            // A shorter format leaves digits of what it does not have.
            (!behind.starts_with([':', '.'])).then_some((local, behind))
        })?;
        let zone = if behind.trim().is_empty() { self.zone } else { zone(behind) };
        instant(local, zone?)
    }
}

impl ScalarUDFImpl for EventTime {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [given @ DataType::Timestamp(..), ..] => {
                plan_err!(
                    "{NAME} was given {given}, which is a time already; write it as event_time, with AT TIME ZONE 'UTC' or another zone if it has none"
                )
            }
            [text, others @ ..] if others.len() <= 2 && is_written(text) && others.iter().all(is_written) => {
                Ok(vec![DataType::Utf8View; arg_types.len()])
            }
            other => {
                let types = other.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                plan_err!(
                    "{NAME} was given ({types}); expected {NAME}(text), {NAME}(text, 'Asia/Kolkata') or {NAME}(text, 'dd/mm/yyyy hh:mi', 'Asia/Kolkata')"
                )
            }
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Second, Some(UTC.into())))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let literals = args.scalar_arguments.get(1..).unwrap_or_default();
        // What is not a literal yet is looked at when it is called.
        if literals.iter().all(Option::is_some) && Reading::new(literals).is_none() {
            return plan_err!("{}", wrong_literals());
        }
        Ok(Arc::new(Field::new(NAME, self.return_type(&[])?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, literals @ ..] = args.args.as_slice() else { return exec_err!("{}", wrong_literals()) };
        let literal = |literal: &ColumnarValue| match literal {
            ColumnarValue::Scalar(literal) => Some(literal.clone()),
            ColumnarValue::Array(_) => None,
        };
        let literals: Vec<Option<ScalarValue>> = literals.iter().map(literal).collect();
        let literals: Vec<Option<&ScalarValue>> = literals.iter().map(Option::as_ref).collect();
        let Some(reading) = Reading::new(&literals) else { return exec_err!("{}", wrong_literals()) };
        read(text, |texts| {
            let seconds: TimestampSecondArray = texts.as_string_view().iter().map(|text| reading.read(text?)).collect();
            Arc::new(seconds.with_timezone(UTC))
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// The message does not quote the literals, which may be values if arguments were swapped.
fn wrong_literals() -> String {
    format!(
        "{NAME} was given a format or a zone that is none; expected literals such as 'dd/mm/yyyy hh:mi:ss' (yyyy, mm and dd once each), and \
         'Asia/Kolkata', '+05:30' or 'UTC': {NAME}(at, 'dd/mm/yyyy hh:mi', 'Asia/Kolkata')"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_sure_is_no_instant() {
        for (text, literals, expected) in [
            ("2026-01-05T10:00:00Z", &[][..], Some(1_767_607_200)),
            ("2026-01-05 10:00:00.999 UTC", &[], Some(1_767_607_200)),
            ("2026-01-05 15:30+05:30", &[], Some(1_767_607_200)),
            ("2026-01-05T15:30:00 Asia/Kolkata", &[], Some(1_767_607_200)),
            ("2026-01-05 15:30", &["Asia/Kolkata"], Some(1_767_607_200)),
            ("2026-01-05T10:00:00Z", &["Asia/Kolkata"], Some(1_767_607_200)),
            ("05/01/2026 15:30", &["dd/mm/yyyy hh:mi", "Asia/Kolkata"], Some(1_767_607_200)),
            ("05/01/2026 3:30 pm +05:30", &["dd/mm/yyyy hh:mi am"], Some(1_767_607_200)),
            ("20260105", &["yyyymmdd", "UTC"], Some(1_767_571_200)),
            ("2026010510", &["yyyymmddhh", "UTC"], Some(1_767_607_200)),
            ("2026-01-05 15:30", &[], None),
            ("2026-01-05", &["UTC"], None),
            ("2026-01-05 10:00:00 IST", &["Asia/Kolkata"], None),
            ("2026-01-05 10:00:0", &["UTC"], Some(1_767_607_200)),
            ("2026-01-05 10:00:00:00", &["UTC"], None),
            ("2026-01-05 10:00 in the morning", &["UTC"], None),
            ("1767607200", &["UTC"], None),
            ("2026-03-29 02:30", &["Europe/Berlin"], None),
            ("", &["UTC"], None),
        ] {
            let literals: Vec<ScalarValue> = literals.iter().map(|text| ScalarValue::from(*text)).collect();
            let reading = Reading::new(&literals.iter().map(Some).collect::<Vec<_>>()).unwrap();
            assert_eq!(reading.read(text), expected, "{text} {literals:?}");
        }
        for literals in [&["dd/mm"][..], &["UTC", "dd/mm/yyyy"], &["dd/mm/yyyy", "IST"], &["%Y"], &["UTC", "UTC", "UTC"]] {
            let literals: Vec<ScalarValue> = literals.iter().map(|text| ScalarValue::from(*text)).collect();
            assert!(Reading::new(&literals.iter().map(Some).collect::<Vec<_>>()).is_none(), "{literals:?}");
        }
    }
}
