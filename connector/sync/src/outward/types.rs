//! Columns as they are kept: in types that Delta Lake has, and that every reader of Parquet knows.
//!
//! In: the columns of a query. Out: the same, all of which may be NULL, in the type that loses nothing; or the column that has none, and a remedy.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};

/// # Errors
/// [`Error::Definition`] that names the column.
pub(super) fn kept(schema: &Schema, name: &str) -> Result<SchemaRef> {
    let field = |field: &FieldRef| {
        let found = kept_type(field.data_type())
            .map_err(|problem| Error::Definition(format!("sync \"{name}\": the column \"{}\" of its query {problem}", field.name())))?;
        Ok(Field::new(field.name(), found, true))
    };
    Ok(Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Result<Vec<_>>>()?)))
}

fn kept_type(of: &DataType) -> Result<DataType, String> {
    let inner = |field: &FieldRef| kept_type(field.data_type()).map(|found| Field::new(field.name(), found, true));
    Ok(match of {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Timestamp(_, None) => {
            return Err("is a time without a zone, which says no instant; write AT TIME ZONE 'UTC' behind it".to_owned());
        }
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Dictionary(_, value) => kept_type(value)?,
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            DataType::List(Arc::new(inner(element)?))
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect::<Result<_, _>>()?),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..) => of.clone(),
        DataType::Null => return Err("has no type; CAST(… AS varchar) gives it one".to_owned()),
        _ => return Err(format!("is of the type {of}, which Delta Lake and readers of Parquet do not share; CAST it to varchar")),
    })
}

/// A batch in these types, its columns in their order.
///
/// # Errors
/// Of a value that does not fit.
pub(super) fn conformed(batch: &RecordBatch, schema: &SchemaRef) -> datafusion::error::Result<RecordBatch> {
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| arrow::compute::cast_with_options(column, field.data_type(), &options));
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<std::result::Result<_, _>>()?, &rows)?)
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn types(select: &str) -> Result<Vec<String>, String> {
        let frame = SessionContext::new().sql(select).await.expect("a query");
        let schema = kept(frame.schema().as_arrow(), "charged").map_err(|error| error.to_string())?;
        let batch = frame.collect().await.expect("rows").remove(0);
        conformed(&batch, &schema).expect("rows in these types");
        Ok(schema.fields().iter().map(|field| field.data_type().to_string()).collect())
    }

    #[tokio::test]
    async fn each_type_has_one_that_loses_nothing_or_a_remedy() {
        let select = "SELECT 'a', arrow_cast(1, 'UInt64'), arrow_cast(1, 'UInt8'), [1, 2], {'a': 'b'}, DATE '2026-11-01', \
                      arrow_cast('2026-11-01T00:00:00Z', 'Timestamp(s, \"Asia/Kolkata\")')";
        let found = types(select).await.expect("types");
        let expected = ["Utf8", "Decimal128(20, 0)", "Int16", "List(Int64)", "Struct(\"a\": Utf8)", "Date32", "Timestamp(µs, \"UTC\")"];
        assert_eq!(found, expected);
        let refused = [
            (
                "SELECT TIMESTAMP '2026-11-01 00:00:00' AS t",
                "AT TIME ZONE 'UTC'",
                "SELECT TIMESTAMP '2026-11-01 00:00:00' AT TIME ZONE 'UTC' AS t",
            ),
            ("SELECT NULL AS t", "CAST(… AS varchar)", "SELECT CAST(NULL AS varchar) AS t"),
            ("SELECT INTERVAL '1 day' AS t", "CAST it to varchar", "SELECT CAST(INTERVAL '1 day' AS varchar) AS t"),
        ];
        for (select, words, remedy) in refused {
            let error = types(select).await.expect_err("refused");
            assert!(error.contains("the column \"t\"") && error.contains(words), "{error}");
            assert_eq!(types(remedy).await.expect("types").len(), 1);
        }
    }
}
