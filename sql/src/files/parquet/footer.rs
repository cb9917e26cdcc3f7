//! What the end of a Parquet file says of it.
//!
//! In: a file. Out: its columns as they are read, how many rows it has, and what is known of their values. The session keeps footers, so that
//! planning and reading ask for each once.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::{
    catalog::Session,
    common::{ColumnStatistics, DataFusionError, Result, ScalarValue, Statistics, plan_err, stats::Precision},
    datasource::physical_plan::parquet::{
        Int96Coercer, ParquetFormat, metadata::DFParquetMetadata, transform_binary_to_string, transform_schema_to_view,
    },
};
use object_store::ObjectStore;
use parquet::{arrow::parquet_to_arrow_schema, basic::LogicalType, file::metadata::ParquetMetaData, schema::types::ColumnDescPtr};

use super::super::listed::ListedFile;
use crate::failure::sentence;

/// The name of Arrow's own type for UUIDs, in the metadata of a column.
const EXTENSION: (&str, &str) = ("ARROW:extension:name", "arrow.uuid");

/// What a footer says.
#[derive(Debug)]
pub(super) struct Footer {
    /// The columns as they are read: UUIDs as text.
    pub(super) fields: Fields,
    pub(super) rows: usize,
    /// The columns as they are written, and what is known of their values.
    written: SchemaRef,
    statistics: Statistics,
}

impl Footer {
    /// Reads the end of a file, which the session may know.
    ///
    /// # Errors
    /// The file is no Parquet file, or not whole; the store's.
    pub(super) async fn read(file: &ListedFile, format: &ParquetFormat, state: &dyn Session, store: &dyn ObjectStore) -> Result<Self> {
        if file.meta.size == 0 {
            return plan_err!("{}: the file is empty: it has not even a footer", file.name);
        }
        let metadata = DFParquetMetadata::new(store, &file.meta)
            .with_metadata_size_hint(format.metadata_size_hint())
            .with_file_metadata_cache(Some(state.runtime_env().cache_manager.get_file_metadata_cache()))
            .fetch_metadata()
            .await
            .map_err(|error| broken(&file.name, error))?;
        Self::of(&metadata, format, state.config().collect_statistics()).map_err(|error| broken(&file.name, error))
    }

    fn of(metadata: &ParquetMetaData, format: &ParquetFormat, with_statistics: bool) -> Result<Self> {
        let file = metadata.file_metadata();
        let mut schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
        if let Some(unit) = format.coerce_int96().as_deref().and_then(unit) {
            let zone = format.options().global.coerce_int96_tz.as_deref().map(Into::into);
            schema = Int96Coercer::new(file.schema_descr(), &schema, &unit).with_timezone(zone).coerce().unwrap_or(schema);
        }
        if format.binary_as_string() {
            schema = transform_binary_to_string(&schema);
        }
        let views = |schema: Schema| if format.force_view_types() { transform_schema_to_view(&schema) } else { schema };
        let read = with_uuids(schema.fields(), &mut file.schema_descr().columns().iter());
        let read = views(Schema::new(read));
        let written = Arc::new(views(schema));
        let rows = metadata.row_groups().iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).sum();
        let statistics = match with_statistics {
            true => DFParquetMetadata::statistics_from_parquet_metadata(metadata, &written)?,
            false => Statistics::new_unknown(&written),
        };
        // What else is said of columns may differ between files, and means nothing to a table.
        let fields = read.fields().iter().map(|field| field.as_ref().clone().with_metadata(std::collections::HashMap::new()));
        Ok(Self { fields: fields.collect(), rows, written, statistics })
    }

    /// A column of a table whose unit of time does not reach an instant of this file, if that is known.
    pub(super) fn out_of_reach<'t>(&self, table: &'t Schema) -> Option<&'t str> {
        let is_out = |field: &&Arc<Field>| {
            let Ok(at) = self.written.index_of(field.name()) else { return false };
            let Some(known) = self.statistics.column_statistics.get(at) else { return false };
            let mut bounds = [&known.min_value, &known.max_value].into_iter().filter_map(Precision::get_value);
            field.data_type().is_temporal() && bounds.any(|bound| bound.cast_to(field.data_type()).is_err())
        };
        table.fields().iter().find(is_out).map(|field| field.name().as_str())
    }

    /// What is known of the columns of a table in this file: lower and upper bounds as the table's type has them.
    pub(super) fn statistics(&self, table: &Schema) -> Statistics {
        let of = |field: &Arc<Field>| {
            let Ok(at) = self.written.index_of(field.name()) else {
                return ColumnStatistics::new_unknown().with_null_count(Precision::Exact(self.rows));
            };
            let known = self.statistics.column_statistics.get(at).cloned().unwrap_or_default();
            if self.written.field(at).data_type() == field.data_type() {
                return known;
            }
            let bound = |bound: Precision<ScalarValue>| match bound {
                Precision::Exact(value) if has_order(&value.data_type()) => {
                    value.cast_to(field.data_type()).map_or(Precision::Absent, Precision::Exact)
                }
                _ => Precision::Absent,
            };
            ColumnStatistics {
                null_count: known.null_count,
                distinct_count: known.distinct_count,
                min_value: bound(known.min_value),
                max_value: bound(known.max_value),
                ..ColumnStatistics::new_unknown()
            }
        };
        Statistics {
            num_rows: self.statistics.num_rows,
            total_byte_size: self.statistics.total_byte_size,
            column_statistics: table.fields().iter().map(of).collect(),
        }
    }
}

/// Whether a cast to a wider type keeps the order of values.
fn has_order(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_temporal()
}

/// Fields in which 16 bytes that are a UUID are text. The leaves of a schema of Arrow are the columns of Parquet, in the same order.
fn with_uuids<'c>(fields: &Fields, columns: &mut impl Iterator<Item = &'c ColumnDescPtr>) -> Fields {
    let mut of = |field: &Arc<Field>| {
        let data_type = match field.data_type() {
            DataType::Struct(fields) => DataType::Struct(with_uuids(fields, columns)),
            DataType::List(of) => DataType::List(element(of, columns)),
            DataType::LargeList(of) => DataType::LargeList(element(of, columns)),
            DataType::FixedSizeList(of, size) => DataType::FixedSizeList(element(of, columns), *size),
            DataType::Map(of, sorted) => DataType::Map(element(of, columns), *sorted),
            leaf => {
                let column = columns.next();
                let is_uuid = column.is_some_and(|column| matches!(column.logical_type_ref(), Some(LogicalType::Uuid)))
                    || field.metadata().get(EXTENSION.0).is_some_and(|name| name == EXTENSION.1);
                let values = if let DataType::Dictionary(_, values) = leaf { values } else { leaf };
                if is_uuid && *values == DataType::FixedSizeBinary(16) { DataType::Utf8 } else { leaf.clone() }
            }
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    fields.iter().map(&mut of).collect()
}

fn element<'c>(field: &Arc<Field>, columns: &mut impl Iterator<Item = &'c ColumnDescPtr>) -> Arc<Field> {
    with_uuids(&Fields::from(vec![Arc::clone(field)]), columns).first().map_or_else(|| Arc::clone(field), Arc::clone)
}

/// The unit that `SET datafusion.execution.parquet.coerce_int96` names.
fn unit(name: &str) -> Option<TimeUnit> {
    match name {
        "ns" => Some(TimeUnit::Nanosecond),
        "us" => Some(TimeUnit::Microsecond),
        "ms" => Some(TimeUnit::Millisecond),
        "s" => Some(TimeUnit::Second),
        _ => None,
    }
}

/// An error of a file's bytes, with the file's name; an error of the store has its own.
fn broken(name: &str, error: DataFusionError) -> DataFusionError {
    match error.find_root() {
        DataFusionError::ParquetError(_) | DataFusionError::ArrowError(..) => {
            // Each layer says so once more.
            let why = sentence(&error).replace("Parquet error: ", "");
            DataFusionError::Plan(format!("{name}: this is no Parquet file, or not a whole one: {why}"))
        }
        _ => error,
    }
}
