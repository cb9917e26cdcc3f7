//! Arrays as the table's type has them.
//!
//! In: an array as a file has it, and the type that was found for all files. Out: the same values. Structs are matched by the names of their
//! fields; a field that a file lacks is NULL. What does not fit is an error, never NULL.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StringBuilder, StructArray,
        new_null_array,
    },
    compute::{CastOptions, cast, cast_with_options},
    datatypes::{DataType, FieldRef, Fields},
    error::ArrowError,
};

const UUID_BYTES: i32 = 16;
const HEX: [u8; 16] = *b"0123456789abcdef";

/// Whether values of the first type become those of the second here, and not by a cast of DataFusion's, which it reckons with in pruning.
pub(super) fn is_converted(from: &DataType, to: &DataType) -> bool {
    from != to && (from.is_nested() || is_uuid(from, to))
}

/// Bytes of a UUID that are read as its text: no other bytes are read as text.
fn is_uuid(from: &DataType, to: &DataType) -> bool {
    *from == DataType::FixedSizeBinary(UUID_BYTES) && to.is_string()
}

/// The array with values of another type.
///
/// # Errors
/// A value does not fit: an instant that nanoseconds do not reach.
pub(super) fn convert(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let from = array.data_type();
    if from == to {
        return Ok(Arc::clone(array));
    }
    match (from, to) {
        _ if is_uuid(from, to) => cast(&uuids(array), to),
        (DataType::Struct(_), DataType::Struct(fields)) => structs(array.as_struct(), fields).map(|array| Arc::new(array) as _),
        (DataType::List(_), DataType::List(field)) => list::<i32>(array, field),
        (DataType::LargeList(_), DataType::LargeList(field)) => list::<i64>(array, field),
        (DataType::FixedSizeList(_, size), DataType::FixedSizeList(field, wanted)) if size == wanted => {
            let lists = array.as_fixed_size_list();
            let values = convert(lists.values(), field.data_type())?;
            Ok(Arc::new(FixedSizeListArray::try_new_with_length(Arc::clone(field), *size, values, lists.nulls().cloned(), lists.len())?))
        }
        // First the kind of the list, then what is in it.
        (DataType::List(field) | DataType::FixedSizeList(field, _), DataType::LargeList(_)) => {
            convert(&cast(array, &DataType::LargeList(Arc::clone(field)))?, to)
        }
        (DataType::FixedSizeList(field, _), DataType::List(_)) => convert(&cast(array, &DataType::List(Arc::clone(field)))?, to),
        (DataType::Map(..), DataType::Map(field, sorted)) => map(array.as_map(), field, *sorted),
        (DataType::Dictionary(_, values), _) if values.is_nested() || is_uuid(values, to) => convert(&cast(array, values)?, to),
        _ => cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}

fn structs(array: &StructArray, fields: &Fields) -> Result<StructArray, ArrowError> {
    let columns = fields.iter().map(|field| match array.column_by_name(field.name()) {
        Some(column) => convert(column, field.data_type()),
        None => Ok(new_null_array(field.data_type(), array.len())),
    });
    StructArray::try_new_with_length(fields.clone(), columns.collect::<Result<_, _>>()?, array.nulls().cloned(), array.len())
}

fn list<O: OffsetSizeTrait>(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let lists = array.as_list::<O>();
    let values = convert(lists.values(), field.data_type())?;
    Ok(Arc::new(GenericListArray::<O>::try_new(Arc::clone(field), lists.offsets().clone(), values, lists.nulls().cloned())?))
}

/// Keys and values stand in their places, whatever they are called.
fn map(array: &MapArray, entries: &FieldRef, sorted: bool) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(ArrowError::SchemaError("a map has no entries".into()));
    };
    let columns = array.entries().columns().iter().zip(fields).map(|(column, field)| convert(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let entries_array = StructArray::try_new_with_length(fields.clone(), columns, None, array.entries().len())?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), array.offsets().clone(), entries_array, array.nulls().cloned(), sorted)?))
}

/// `61616161-6262-4ac3-a961-626364656667`.
fn uuids(array: &ArrayRef) -> ArrayRef {
    let mut texts = StringBuilder::with_capacity(array.len(), array.len() * 36);
    for uuid in array.as_fixed_size_binary() {
        texts.append_option(uuid.map(|bytes| {
            let mut text = String::with_capacity(36);
            for (at, byte) in bytes.iter().enumerate() {
                if [4, 6, 8, 10].contains(&at) {
                    text.push('-');
                }
                text.push(char::from(HEX[usize::from(byte >> 4)]));
                text.push(char::from(HEX[usize::from(byte & 15)]));
            }
            text
        }));
    }
    Arc::new(texts.finish())
}
