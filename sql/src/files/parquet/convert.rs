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

/// Whether values of the first type become those of the second here, and not by a cast of DataFusion's. That of 55.2 takes a cast of an instant
/// to the other side of a comparison, where it cuts a literal to the file's unit: `at < 2.5 ms` becomes `at < 2 ms`.
pub(super) fn is_converted(from: &DataType, to: &DataType) -> bool {
    from != to && (from.is_nested() || is_uuid(from, to) || has_other_unit(from, to))
}

fn has_other_unit(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => from != to,
        _ => from.is_temporal(),
    }
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

#[cfg(test)]
mod tests {
    use arrow::{
        array::{Int32Array, Int32Builder, Int64Array, MapBuilder, StringArray},
        buffer::{NullBuffer, OffsetBuffer},
        datatypes::Field,
    };

    use super::*;

    fn list(of: &str, data_type: DataType) -> DataType {
        DataType::List(Arc::new(Field::new(of, data_type, true)))
    }

    #[test]
    fn lists_of_any_kind_and_maps_keep_their_values_and_nulls() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4)]));
        let item = || Arc::new(Field::new("item", DataType::Int32, true));
        let nulls = NullBuffer::from(vec![true, false]);
        let fixed: ArrayRef = Arc::new(FixedSizeListArray::new(item(), 2, Arc::clone(&values), Some(nulls.clone())));
        let lists: ArrayRef = Arc::new(GenericListArray::<i32>::new(item(), OffsetBuffer::from_lengths([2, 2]), values, Some(nulls)));
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
        for array in [fixed, lists] {
            for data_type in [list("element", DataType::Int64), DataType::LargeList(Arc::new(Field::new("e", DataType::Int64, true)))] {
                let converted = convert(&array, &data_type).unwrap();
                assert_eq!(converted.data_type(), &data_type);
                assert_eq!((converted.is_null(0), converted.is_null(1)), (false, true));
                let first = converted.as_list_opt::<i32>().map_or_else(|| converted.as_list::<i64>().value(0), |lists| lists.value(0));
                assert_eq!(&first, &wide.slice(0, 2));
            }
        }
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        maps.keys().append_value("k");
        maps.values().append_value(7);
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        let maps: ArrayRef = Arc::new(maps.finish());
        let fields: Fields = vec![Field::new("key", DataType::Utf8View, false), Field::new("value", DataType::Int64, true)].into();
        let converted =
            convert(&maps.slice(0, 2), &DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields), false)), false)).unwrap();
        let entries = converted.as_map().value(0);
        assert_eq!(entries.column(0).as_string_view().value(0), "k");
        assert_eq!(entries.column(1).as_ref(), &Int64Array::from(vec![7]));
        assert!(converted.is_null(1));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        assert!(convert(&texts, &DataType::Int64).is_err());
    }
}
