//! Which Arrow types a field accepts, and how each is written.
//!
//! In: a shape and a type. Out: a [`Role`], or the end of a sentence with the problem and the remedy; `{x}` in it is a placeholder
//! for the column.

use arrow::datatypes::DataType;

use super::context::Context;
use super::reject::{Checked, EVENT_BYTES_MAX, EVENT_NAME, problem};
use super::role::{Operator, Role, plain};
use super::standard;
use crate::options::NaiveTime;
use crate::table::{Shape, Standard};

fn is_text(data_type: &DataType) -> bool {
    data_type.is_string()
        || matches!(
            data_type,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) | DataType::Null
        )
}

/// Whether it is a number whose values may be whole.
fn is_number(data_type: &DataType) -> bool {
    use DataType::{Decimal32, Decimal64, Decimal128};
    data_type.is_integer() || data_type.is_floating() || matches!(data_type, Decimal32(..) | Decimal64(..) | Decimal128(..))
}

fn is_scalar(data_type: &DataType) -> bool {
    !data_type.is_nested()
}

/// The item type of a list of any layout.
fn items(data_type: &DataType) -> Option<&DataType> {
    match plain(data_type) {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(plain(item.data_type())),
        _ => None,
    }
}

/// How a column of `data_type` is written as `shape`.
pub(super) fn role(shape: Shape, data_type: &DataType, context: &Context) -> Result<Role, String> {
    let data_type = plain(data_type);
    match shape {
        Shape::Identifier | Shape::Identity if is_text(data_type) || is_number(data_type) => Ok(Role::Identifier),
        Shape::Identifier | Shape::Identity => {
            Err(with_type(data_type, "an identifier is text or a whole number; write CAST({x} AS text)"))
        }
        Shape::EpochSeconds => epoch_seconds(data_type, context),
        Shape::EventName if is_text(data_type) => Ok(Role::EventName),
        Shape::EventName => Err(with_type(data_type, "the name of an event is text; write CAST({x} AS text)")),
        Shape::Value => property(data_type, context),
        Shape::Standard(kind) => standard_field(kind, data_type, context),
        Shape::Object => match data_type {
            DataType::Struct(_) | DataType::Map(..) => check(data_type, context).map(|()| Role::Object),
            text if is_text(text) => Ok(Role::ObjectText),
            other => Err(with_type(other, "an object is a struct, a map or JSON text; write named_struct('key', {x})")),
        },
        Shape::Items => match items(data_type) {
            Some(item) => check_flat(item).and_then(|()| check(data_type, context)).map(|()| Role::Items),
            None if is_text(data_type) => Ok(Role::ItemsText),
            None => Err(with_type(data_type, "items are a list of structs or JSON text; write make_array({x})")),
        },
        Shape::Properties => match data_type {
            DataType::Map(entries, _) => unfold(entries.data_type(), context),
            text if is_text(text) => Ok(Role::UnfoldText),
            other => Err(with_type(
                other,
                "properties are a struct, a map or JSON text; give the column another name to send it as one property",
            )),
        },
    }
}

fn epoch_seconds(data_type: &DataType, context: &Context) -> Result<Role, String> {
    match data_type {
        DataType::Timestamp(_, None) if context.naive == NaiveTime::Refuse => Err(with_type(
            data_type,
            "and no time zone says which instant it is; write {x} AT TIME ZONE 'UTC' or another zone, or SET clevertap.naive_time = 'utc' or 'project'",
        )),
        DataType::Timestamp(..) => check(data_type, context).map(|()| Role::EpochSeconds),
        DataType::Null => Ok(Role::EpochSeconds),
        integer if integer.is_integer() => Ok(Role::EpochSeconds),
        DataType::Date32 | DataType::Date64 => Err(with_type(
            data_type,
            "a day is not an instant; write CAST({x} AS timestamp) AT TIME ZONE 'UTC' or another zone to mean its first second",
        )),
        text if is_text(text) => Err(with_type(
            text,
            "expected a timestamp or whole epoch seconds; write ct_event_time({x}, 'yyyy-mm-dd hh:mi:ss', 'UTC') with its own format and zone, or \
             CAST({x} AS bigint)",
        )),
        other => {
            Err(with_type(other, "expected a timestamp or whole epoch seconds; if these are epoch seconds, write CAST({x} AS bigint)"))
        }
    }
}

fn property(data_type: &DataType, context: &Context) -> Result<Role, String> {
    check(data_type, context)?;
    let nested = if context.nested { Role::Nested } else { Role::JsonText };
    match data_type {
        DataType::Struct(fields) => match Operator::of(fields) {
            None => Ok(nested),
            Some((operator, _)) if !context.operators => Err(format!(
                "holds the operator {}, which properties of people take alone; give the field another name, or send its value",
                operator.key()
            )),
            Some((operator, operand)) => check_operand(operator, operand).map(|()| Role::Operator(operator)),
        },
        DataType::Map(..) => Ok(nested),
        _ => Ok(match items(data_type) {
            None => Role::Scalar,
            Some(item) if !is_scalar(item) => nested,
            Some(_) if context.operators => Role::Set,
            Some(_) => Role::JsonText,
        }),
    }
}

/// How a column of `data_type` is written as a standard field.
fn standard_field(kind: Standard, data_type: &DataType, context: &Context) -> Result<Role, String> {
    let own = match kind {
        Standard::Consent | Standard::YesNo => matches!(data_type, DataType::Boolean),
        Standard::BirthDate => data_type.is_temporal(),
        Standard::Age => data_type.is_integer(),
        Standard::OneOf(_) => false,
    };
    let checked = match kind {
        Standard::Consent | Standard::YesNo => is_text(data_type) || data_type.is_integer(),
        Standard::Age => is_text(data_type) || data_type.is_floating() || data_type.is_decimal(),
        Standard::BirthDate if is_text(data_type) && *data_type != DataType::Null && context.clock.day.is_none() => {
            return Err(
                "holds a date of birth as text, and the account has no time zone that says when its days begin; set time_zone".into()
            );
        }
        Standard::BirthDate | Standard::OneOf(_) => is_text(data_type),
    };
    match data_type {
        DataType::Null => Ok(Role::Scalar),
        _ if own => property(data_type, context),
        // An operator, such as ct_delete() makes it.
        DataType::Struct(_) => match property(data_type, context)? {
            operator @ Role::Operator(_) => Ok(operator),
            _ => Err(with_type(data_type, standard::expected(kind))),
        },
        _ if checked => Ok(Role::Standard(kind)),
        _ => Err(with_type(data_type, standard::expected(kind))),
    }
}

fn check_operand(operator: Operator, operand: &DataType) -> Result<(), String> {
    let key = operator.key();
    let fits = match operator {
        Operator::Add | Operator::Remove | Operator::Set => items(operand).is_some_and(is_scalar),
        Operator::Incr | Operator::Decr => operand.is_numeric(),
        Operator::Delete => operand.is_integer() || *operand == DataType::Boolean,
    };
    let (kind, function) = match operator {
        Operator::Add | Operator::Remove | Operator::Set => ("a list of text", key.replace('$', "ct_")),
        Operator::Incr | Operator::Decr => ("a number", key.replace('$', "ct_")),
        Operator::Delete => ("1", "ct_delete".to_owned()),
    };
    if fits || *operand == DataType::Null {
        return Ok(());
    }
    Err(format!("holds the operator {key} with the type {operand}; expected {kind}, as {function} makes it"))
}

fn unfold(entries: &DataType, context: &Context) -> Result<Role, String> {
    let DataType::Struct(fields) = entries else { return Err(with_type(entries, "expected a map")) };
    let [key, value] = fields.as_ref() else { return Err(with_type(entries, "expected a map")) };
    if !is_text(plain(key.data_type())) {
        return Err(with_type(
            key.data_type(),
            "as the type of its keys; the names of properties are text. Write them with CAST(… AS text)",
        ));
    }
    property(plain(value.data_type()), context)?;
    Ok(Role::UnfoldMap(value.data_type().clone()))
}

/// Checks that an item of `Items` is a struct or map of scalars.
fn check_flat(item: &DataType) -> Result<(), String> {
    let is_flat = match item {
        DataType::Struct(fields) => fields.iter().all(|field| is_scalar(plain(field.data_type()))),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.iter().all(|field| is_scalar(plain(field.data_type()))),
            _ => false,
        },
        other => *other == DataType::Null,
    };
    if is_flat { Ok(()) } else { Err(format!("has items of the type {item}; an item is a struct of text, numbers, booleans and dates")) }
}

/// Whether the type is, or has inside, times without a zone.
pub(super) fn has_naive_times(data_type: &DataType) -> bool {
    match plain(data_type) {
        DataType::Timestamp(_, None) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_naive_times(field.data_type())),
        DataType::Map(entries, _) => has_naive_times(entries.data_type()),
        other => items(other).is_some_and(has_naive_times),
    }
}

/// Checks that CleverTap has a value for the type and all types inside it.
fn check(data_type: &DataType, context: &Context) -> Result<(), String> {
    match plain(data_type) {
        other @ (DataType::Time32(_) | DataType::Time64(_) | DataType::Duration(_) | DataType::Interval(_) | DataType::Union(..)) => {
            Err(with_type(other, "which CleverTap has no value for; write CAST({x} AS text)"))
        }
        date @ (DataType::Date32 | DataType::Date64) if context.clock.day.is_none() => Err(with_type(
            date,
            "and the account has no time zone that says when its days begin; set time_zone, or write CAST({x} AS text)",
        )),
        naive @ DataType::Timestamp(_, None) if context.naive == NaiveTime::Project && context.clock.naive.is_none() => Err(with_type(
            naive,
            "which clevertap.naive_time = 'project' reads in the account's time zone, and it has none; set time_zone, or SET clevertap.naive_time = 'utc'",
        )),
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check(field.data_type(), context)),
        DataType::Map(entries, _) => check_map(entries.data_type(), context),
        list => items(list).map_or(Ok(()), |item| check(item, context)),
    }
}

fn check_map(entries: &DataType, context: &Context) -> Result<(), String> {
    if let DataType::Struct(fields) = entries
        && let Some(key) = fields.first()
        && !is_scalar(plain(key.data_type()))
    {
        return Err(with_type(key.data_type(), "as the type of its keys; the keys of an object are text. Write them with CAST(… AS text)"));
    }
    check(entries, context)
}

fn with_type(data_type: &DataType, rest: &str) -> String {
    let separator = match rest.split(' ').next() {
        Some("and" | "as") => " ",
        Some("which") => ", ",
        _ => "; ",
    };
    format!("has the type {data_type}{separator}{rest}")
}

/// Checks the name of an event.
pub(super) fn event_name(name: &str, forbidden: &str) -> Checked<()> {
    if name.trim().is_empty() {
        return Err(problem(EVENT_NAME, "is empty; expected the name of an event"));
    }
    if name.len() > EVENT_BYTES_MAX {
        return Err(problem(EVENT_NAME, format!("has {} bytes; the name of an event has {EVENT_BYTES_MAX} at most", name.len())));
    }
    let found: Vec<String> = forbidden.chars().filter(|c| name.contains(*c)).map(String::from).collect();
    if !found.is_empty() {
        let listed = found.join(" ");
        return Err(problem(
            EVENT_NAME,
            format!("has characters that the name of an event does not take: {listed}; translate replaces them"),
        ));
    }
    Ok(())
}
