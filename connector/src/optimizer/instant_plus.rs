//! An instant plus an interval, on the clock of the instant's zone: days of 23 and 25 hours are days.
//!
//! In: instants of one zone and intervals. Out: the instants after them. Months move the local time, then days do, which is shifted forward
//! where daylight saving skips it and is the earlier instant where it is repeated; then hours and less move the instant.

use std::sync::Arc;

use chrono::{DateTime, Months, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast as cast_array;
use datafusion::arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::common::utils::take_function_args;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::wall_clock::instant;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct InstantPlus {
    tz: Tz,
    minus: bool,
    signature: Signature,
}

impl InstantPlus {
    /// `None` for a zone that is only an offset, whose days are all of 24 hours.
    pub(super) fn new(zone: &str, minus: bool) -> Option<Self> {
        Some(Self { tz: zone.parse().ok()?, minus, signature: Signature::any(2, Volatility::Immutable) })
    }

    /// The second at which the clock shows what `by` makes of the local time.
    fn moved(&self, second: i64, by: impl FnOnce(NaiveDateTime) -> Option<NaiveDateTime>) -> Option<i64> {
        let utc = DateTime::from_timestamp(second, 0)?.naive_utc();
        let local = utc + TimeDelta::seconds(i64::from(self.tz.offset_from_utc_datetime(&utc).fix().local_minus_utc()));
        instant(self.tz, by(local)?.and_utc().timestamp())
    }

    /// `None` beyond the years that a clock has.
    fn sum(&self, at: i64, per_second: i64, interval: IntervalMonthDayNano) -> Option<i64> {
        let sign = if self.minus { -1 } else { 1 };
        let (months, days) = (sign * i64::from(interval.months), sign * i64::from(interval.days));
        let (mut second, rest) = (at.div_euclid(per_second), at.rem_euclid(per_second));
        if months != 0 {
            let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
            second = self.moved(second, |local| if months < 0 { local.checked_sub_months(by) } else { local.checked_add_months(by) })?;
        }
        if days != 0 {
            second = self.moved(second, |local| local.checked_add_signed(TimeDelta::try_days(days)?))?;
        }
        let moved = i128::from(second) * i128::from(per_second) + i128::from(rest);
        let nanoseconds = i128::from(sign) * i128::from(interval.nanoseconds);
        i64::try_from(moved + (nanoseconds * i128::from(per_second)).div_euclid(1_000_000_000)).ok()
    }
}

impl ScalarUDFImpl for InstantPlus {
    fn name(&self) -> &str {
        if self.minus { "instant_minus" } else { "instant_plus" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [instant, _] = types else { return Err(DataFusionError::Internal("an instant and an interval".into())) };
        Ok(instant.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let [instants, intervals] = take_function_args(self.name(), args.args)?;
        let rows = if is_scalar { 1 } else { rows };
        let (instants, intervals) = (instants.into_array(rows)?, intervals.into_array(rows)?);
        let per_second = match instants.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => 1,
            DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000_000,
            _ => 1_000_000_000,
        };
        let at = cast_array(&instants, &DataType::Int64)?;
        let pairs = at.as_primitive::<Int64Type>().iter().zip(intervals.as_primitive::<IntervalMonthDayNanoType>().iter());
        let sums = pairs.map(|(at, interval)| match at.zip(interval) {
            None => Ok(None),
            Some((at, interval)) => self.sum(at, per_second, interval).map(Some).ok_or_else(|| {
                DataFusionError::Execution("an instant and an interval are beyond the years that a timestamp can hold".into())
            }),
        });
        let sums: ArrayRef = Arc::new(sums.collect::<Result<Int64Array>>()?);
        let sums = cast_array(&sums, instants.data_type())?;
        Ok(if is_scalar { ColumnarValue::Scalar(ScalarValue::try_from_array(&sums, 0)?) } else { ColumnarValue::Array(sums) })
    }
}
