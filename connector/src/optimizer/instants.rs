//! What meets an instant means the clock of the instant's zone, as PostgreSQL has it under `SET TimeZone`.
//!
//! In: a plan before type coercion, which would take a DATE for midnight UTC. Out: the same plan, where
//!
//! | expression | means |
//! |---|---|
//! | `instant >= DATE '…'`, with a column or a function of type date or timestamp without zone too; also `-`, BETWEEN, IN, joins | the local midnight, the local time |
//! | `instant >= 1784973600` | the instant of these epoch seconds |
//! | `to_timestamp(1784973600)`, `from_unixtime(1784973600)` | the instant of these epoch seconds, shown in the session's zone |
//! | `instant::timestamp` | the local time |
//! | `instant + interval '1 day'` | months and days are added to the local time, the rest to the instant |
//! | `date_bin('1 day', instant)` without an origin | bins that begin at local midnight; shorter ones are as long as they say on days of daylight saving, too |
//!
//! A local time that daylight saving skips is shifted forward by the gap, one that it repeats is the earlier instant; neither is an error.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast as cast_array;
use datafusion::arrow::datatypes::{
    ArrowTimestampType, DataType, Int64Type, IntervalUnit, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::datetime::{date_bin, from_unixtime, to_local_time, to_timestamp_nanos, to_timestamp_seconds};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TryCast, Volatility, cast, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::error::Error;
use crate::optimizer::identifier_casts::input_schema;
use crate::optimizer::instant_plus::InstantPlus;
use crate::optimizer::zoned_texts::ZonedTexts;
use crate::wall_clock::instant;

#[derive(Debug)]
pub(crate) struct LocalInstants;

impl AnalyzerRule for LocalInstants {
    fn name(&self) -> &'static str {
        "clevertap_local_instants"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let schema = input_schema(&plan);
            if let LogicalPlan::Join(mut join) = plan {
                let mut changed = false;
                for (left, right) in &mut join.on {
                    changed |= same_clock(left, right, &schema) || same_clock(right, left, &schema);
                }
                if let Some(filter) = join.filter.take() {
                    let filter = filter.transform_up(|expr| rewrite(expr, &schema, config))?;
                    changed |= filter.transformed;
                    join.filter = Some(filter.data);
                }
                let join = LogicalPlan::Join(join);
                return Ok(if changed { Transformed::yes(join) } else { Transformed::no(join) });
            }
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| rewrite(expr, &schema, config))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })
        })?;
        if rewritten.transformed { rewritten.data.recompute_schema() } else { Ok(rewritten.data) }
    }
}

fn rewrite(expr: Expr, schema: &DFSchema, config: &ConfigOptions) -> Result<Transformed<Expr>> {
    check_calendar_numbers(&expr, schema)?;
    let (mut expr, mut changed) = (expr, false);
    match &mut expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() || *op == Operator::Minus => {
            changed = same_clock(left, right, schema) || same_clock(right, left, schema);
            if *op != Operator::Minus {
                changed |= epoch(left, right, schema) || epoch(right, left, schema);
            }
            if let Some(sum) = plus(left, *op, right, schema) {
                return Ok(Transformed::yes(sum));
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ Operator::Plus, right }) => {
            if let Some(sum) = plus(left, *op, right, schema).or_else(|| plus(right, *op, left, schema)) {
                return Ok(Transformed::yes(sum));
            }
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            for bound in [low, high] {
                changed |= same_clock(expr, bound, schema) || same_clock(bound, expr, schema) || epoch(expr, bound, schema);
            }
        }
        Expr::InList(InList { expr, list, .. }) => {
            for item in list {
                changed |= same_clock(expr, item, schema) || same_clock(item, expr, schema) || epoch(expr, item, schema);
            }
        }
        Expr::Cast(Cast { expr: inner, field }) | Expr::TryCast(TryCast { expr: inner, field }) => {
            if let (Ok(DataType::Timestamp(_, Some(_))), DataType::Timestamp(_, None)) = (inner.get_type(schema), field.data_type()) {
                **inner = to_local_time().call(vec![inner.as_ref().clone()]);
                changed = true;
            }
        }
        Expr::ScalarFunction(function) => {
            let rewritten = of_epoch(function, schema, config).or_else(|| local_bins(function, schema));
            if let Some(instant) = rewritten.or_else(|| of_text(function, schema)) {
                return Ok(Transformed::yes(instant));
            }
        }
        _ => {}
    }
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}

/// Refuses `event_date >= 20260725`: DataFusion takes the number for days, or seconds, since 1970.
fn check_calendar_numbers(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let compared: Vec<(&Expr, &Expr)> = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => vec![(left, right), (right, left)],
        Expr::Between(Between { expr, low, high, .. }) => vec![(expr, low), (expr, high)],
        Expr::InList(InList { expr, list, .. }) => list.iter().map(|item| (expr.as_ref(), item)).collect(),
        _ => return Ok(()),
    };
    for (time, number) in compared {
        let Some(day) = calendar_day(number) else { continue };
        if matches!(time.get_type(schema), Ok(DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))) {
            let number = day.format("%Y%m%d");
            return Err(Error::Filter(format!(
                "{number} is a number, which a date is not compared with: write DATE '{day}', or the text '{day}'"
            ))
            .into());
        }
    }
    Ok(())
}

/// The day that the digits of a literal number show, if they show one of this time.
fn calendar_day(expr: &Expr) -> Option<NaiveDate> {
    let Expr::Literal(value, _) = expr else { return None };
    let Ok(ScalarValue::Int64(Some(number))) = value.data_type().is_integer().then(|| value.cast_to(&DataType::Int64))? else {
        return None;
    };
    let part = |divisor: i64, length: i64| u32::try_from(number / divisor % length).ok();
    let day = NaiveDate::from_ymd_opt(i32::try_from(number / 10_000).ok()?, part(100, 100)?, part(1, 100)?)?;
    (1900..=2200).contains(&day.year()).then_some(day)
}

/// Makes an instant of `other`, if `one` is an instant and `other` a date or a time without zone.
fn same_clock(one: &Expr, other: &mut Expr, schema: &DFSchema) -> bool {
    let Ok(DataType::Timestamp(_, Some(zone))) = one.get_type(schema) else { return false };
    let Ok(DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None)) = other.get_type(schema) else { return false };
    let Some(function) = LocalInstant::new(&zone) else { return false };
    *other = ScalarUDF::new_from_impl(function).call(vec![other.clone()]);
    true
}

/// Makes an instant of `other`, if `one` is an instant and `other` a whole number: of epoch seconds.
fn epoch(one: &Expr, other: &mut Expr, schema: &DFSchema) -> bool {
    let Ok(DataType::Timestamp(_, Some(zone))) = one.get_type(schema) else { return false };
    if !other.get_type(schema).is_ok_and(|kind| kind.is_integer()) {
        return false;
    }
    *other = cast(cast(other.clone(), DataType::Int64), DataType::Timestamp(TimeUnit::Second, Some(zone)));
    true
}

/// An instant and an interval, whose sum DataFusion makes an error where its local time is skipped or repeated.
fn plus(instant: &Expr, op: Operator, interval: &Expr, schema: &DFSchema) -> Option<Expr> {
    let DataType::Timestamp(_, Some(zone)) = instant.get_type(schema).ok()? else { return None };
    let DataType::Interval(_) = interval.get_type(schema).ok()? else { return None };
    let interval = cast(interval.clone(), DataType::Interval(IntervalUnit::MonthDayNano));
    let function = ScalarUDF::new_from_impl(InstantPlus::new(&zone, op == Operator::Minus)?);
    Some(function.call(vec![instant.clone(), interval]))
}

/// The instant of epoch seconds, which DataFusion's functions take for local time, or for UTC's without a zone.
fn of_epoch(function: &ScalarFunction, schema: &DFSchema, config: &ConfigOptions) -> Option<Expr> {
    let zone = config.execution.time_zone.as_deref()?;
    let [seconds] = function.args.as_slice() else { return None };
    let kind = seconds.get_type(schema).ok()?;
    match function.name() {
        "from_unixtime" if kind.is_integer() => Some(from_unixtime().call(vec![seconds.clone(), lit(zone)])),
        "to_timestamp" if kind.is_integer() => {
            let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, Some(zone.into()));
            Some(cast(to_timestamp_seconds(config).call(vec![seconds.clone()]), nanoseconds))
        }
        "to_timestamp" if kind.is_floating() || kind.is_decimal() => {
            // Microseconds are what a double of today's epoch holds.
            let micros = cast(cast(seconds.clone(), DataType::Float64) * lit(1_000_000.0), DataType::Int64);
            Some(to_timestamp_nanos(config).call(vec![micros * lit(1_000_i64)]))
        }
        _ => None,
    }
}

/// Texts that are read as instants.
fn of_text(function: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    let [text, ..] = function.args.as_slice() else { return None };
    text.get_type(schema).ok().filter(DataType::is_string)?;
    Some(ScalarUDF::new_from_impl(ZonedTexts::of(&function.func)?).call(function.args.clone()))
}

/// Bins of an instant without an origin, which DataFusion begins at midnight UTC.
fn local_bins(function: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    let ([stride, source], "date_bin") = (function.args.as_slice(), function.name()) else { return None };
    let DataType::Timestamp(_, Some(zone)) = source.get_type(schema).ok()? else { return None };
    let local_instant = ScalarUDF::new_from_impl(LocalInstant::new(&zone)?);
    if is_within_a_day(stride) {
        let origin = local_instant.call(vec![lit(ScalarValue::Date32(Some(0)))]);
        return Some(date_bin().call(vec![stride.clone(), source.clone(), origin]));
    }
    let local = to_local_time().call(vec![source.clone()]);
    Some(local_instant.call(vec![date_bin().call(vec![stride.clone(), local])]))
}

/// Whether a constant interval is shorter than a day.
fn is_within_a_day(stride: &Expr) -> bool {
    let value = match stride {
        Expr::Literal(value, _) => value,
        Expr::Cast(Cast { expr, .. }) => return is_within_a_day(expr),
        _ => return false,
    };
    match value.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano)) {
        Ok(ScalarValue::IntervalMonthDayNano(Some(length))) => {
            length.months == 0 && length.days == 0 && length.nanoseconds < 86_400_000_000_000
        }
        _ => false,
    }
}

/// A date or a time without zone as the instant at which the clock of a zone shows it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct LocalInstant {
    zone: Arc<str>,
    tz: chrono_tz::Tz,
    signature: Signature,
}

impl LocalInstant {
    /// `None` for a zone that is only an offset: there DataFusion's cast is right, and no time is skipped or repeated.
    fn new(zone: &Arc<str>) -> Option<Self> {
        Some(Self { zone: Arc::clone(zone), tz: zone.parse().ok()?, signature: Signature::any(1, Volatility::Immutable) })
    }

    fn second(&self, local: i64) -> i64 {
        instant(self.tz, local).unwrap_or(local)
    }

    fn instants(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let of_unit = |unit| cast_array(&cast_array(array, &DataType::Timestamp(unit, None))?, &DataType::Int64);
        Ok(match array.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => self.of::<TimestampMillisecondType>(&of_unit(TimeUnit::Millisecond)?, 1_000),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.of::<TimestampMicrosecondType>(&of_unit(TimeUnit::Microsecond)?, 1_000_000)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                self.of::<TimestampNanosecondType>(&of_unit(TimeUnit::Nanosecond)?, 1_000_000_000)
            }
            _ => self.of::<TimestampSecondType>(&of_unit(TimeUnit::Second)?, 1),
        })
    }

    /// The instants of local times in units of which a second has `per_second`.
    fn of<T: ArrowTimestampType>(&self, local: &ArrayRef, per_second: i64) -> ArrayRef {
        let instant = |local: i64| {
            let (second, rest) = (local.div_euclid(per_second), local.rem_euclid(per_second));
            self.second(second).saturating_mul(per_second).saturating_add(rest)
        };
        Arc::new(local.as_primitive::<Int64Type>().unary::<_, T>(instant).with_timezone(Arc::clone(&self.zone)))
    }
}

impl ScalarUDFImpl for LocalInstant {
    fn name(&self) -> &str {
        "local_instant"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let unit = match types {
            [DataType::Timestamp(unit, _)] => *unit,
            _ => TimeUnit::Second,
        };
        Ok(DataType::Timestamp(unit, Some(Arc::clone(&self.zone))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [local] = take_function_args(self.name(), args.args)?;
        Ok(match local {
            ColumnarValue::Array(array) => ColumnarValue::Array(self.instants(&array)?),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(ScalarValue::try_from_array(&self.instants(&value.to_array()?)?, 0)?),
        })
    }
}
