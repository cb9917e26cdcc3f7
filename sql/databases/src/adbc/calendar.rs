//! Days and instants that PostgreSQL's driver makes of others.
//!
//! PostgreSQL counts from 2000 and Arrow from 1970. The driver adds and subtracts without looking, so that `infinity` becomes a day of millions
//! of years ago, and on the way back such a day one of the future. PostgreSQL has none before 4714 BC, so that all these are known.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};

/// 4714-11-24 BC.
const FIRST_DAY: i32 = -2_440_588;
const FIRST_INSTANT: i64 = FIRST_DAY as i64 * 86_400_000_000;

/// The first row that is before PostgreSQL's calendar begins.
pub(super) fn first_beyond(array: &ArrayRef) -> Option<usize> {
    match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            (0..days.len()).find(|at| days.is_valid(*at) && days.value(*at) < FIRST_DAY)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let instants = array.as_primitive::<TimestampMicrosecondType>();
            (0..instants.len()).find(|at| instants.is_valid(*at) && instants.value(*at) < FIRST_INSTANT)
        }
        _ => None,
    }
}
