//! Files of rows.
//!
//! In: batches, or names of files. Out: files of Parquet with what the log says of them; or batches, always in the types of
//! [`Table::file_schema`]. A file that is missing, of another length or damaged ends the stream with an error that names it.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake_core::kernel::{Action, Add};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{AsyncArrowWriter, ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use super::fault::{Doing, damaged, of_rows, of_store, travelling};
use super::log::RowFile;
use super::place::Place;
use super::schema::{SYNC, Table};
use super::store::LedgerStore;
use crate::error::{Error, Result};

/// A reader holds one group of a file at a time.
const GROUP_ROWS_MAX: usize = 128 * 1024;
const BATCH_ROWS: usize = 8 * 1024;
/// Groups that are decoded ahead of who reads.
const AHEAD: usize = 4;

/// What a file of rows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What a run added.
    Appended,
    /// The last rows of all keys.
    Compacted,
}

const COMPACTED: &str = "compacted-";

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Appended => "part-",
            Self::Compacted => COMPACTED,
        }
    }

    /// By its name, which no other writer gives.
    pub(super) fn of(file: &RowFile) -> Self {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if name.starts_with(COMPACTED) { Self::Compacted } else { Self::Appended }
    }
}

fn properties() -> WriterProperties {
    // Hashes and keys do not repeat.
    let plain = ["key", "key_hash", "payload_hash"];
    let builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX));
    plain.iter().fold(builder, |builder, name| builder.set_column_dictionary_enabled(ColumnPath::from(*name), false)).build()
}

/// A file that is being written.
pub(super) struct FileWriter<'a> {
    place: &'a Place,
    sync: String,
    name: String,
    kind: Kind,
    writer: AsyncArrowWriter<BufWriter>,
    rows: u64,
    greatest_seq: Option<i64>,
}

/// A file that is written, and not in the table yet.
#[derive(Debug, Clone)]
pub(super) struct Written {
    add: Add,
}

impl Written {
    /// The action that brings it into the table.
    pub(super) fn addition(&self) -> Action {
        Action::Add(self.add.clone())
    }

    /// Below the table's folder.
    pub(super) fn path(&self) -> &str {
        &self.add.path
    }
}

impl<'a> FileWriter<'a> {
    pub(super) fn new(place: &'a Place, table: Table, sync: &str, kind: Kind) -> Result<Self> {
        let name = format!("{SYNC}={sync}/{}{}.parquet", kind.prefix(), Uuid::new_v4());
        let store = LedgerStore::new(place) as Arc<dyn ObjectStore>;
        let file = BufWriter::new(store, place.path(&format!("{}/{name}", table.folder())));
        let writer = AsyncArrowWriter::try_new(file, Arc::clone(table.file_schema()), Some(properties()));
        let writer = writer.map_err(|error| not_taken(place, &name, &error))?;
        Ok(Self { place, sync: sync.to_owned(), name, kind, writer, rows: 0, greatest_seq: None })
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// # Errors
    /// [`Error::Storage`].
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        if let Some(seqs) = batch.column_by_name("seq") {
            let seqs = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(seqs);
            self.greatest_seq = self.greatest_seq.max(arrow::compute::max(seqs));
        }
        self.writer.write(batch).await.map_err(|error| not_taken(self.place, &self.name, &error))
    }

    /// Durable when it returns.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(super) async fn close(mut self) -> Result<Written> {
        let told = |error: ParquetError| not_taken(self.place, &self.name, &error);
        self.writer.finish().await.map_err(told)?;
        let bytes = self.writer.bytes_written();
        // No least and greatest key: it would be somebody's value, in the log.
        let mut stats = serde_json::json!({ "numRecords": self.rows });
        if let Some(seq) = self.greatest_seq {
            stats["maxValues"] = serde_json::json!({ "seq": seq });
        }
        let add = Add {
            path: self.name,
            partition_values: [(SYNC.to_owned(), Some(self.sync))].into(),
            size: i64::try_from(bytes).unwrap_or(i64::MAX),
            modification_time: chrono::Utc::now().timestamp_millis(),
            data_change: self.kind != Kind::Compacted,
            stats: Some(stats.to_string()),
            ..Add::default()
        };
        Ok(Written { add })
    }

    /// All of it.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(super) async fn whole(place: &'a Place, table: Table, sync: &str, kind: Kind, batches: &[RecordBatch]) -> Result<Written> {
        let mut file = FileWriter::new(place, table, sync, kind)?;
        for batch in batches {
            file.write(batch).await?;
        }
        file.close().await
    }
}

fn not_taken(place: &Place, name: &str, error: &ParquetError) -> Error {
    match of_rows(place, name, error) {
        stored @ Error::Storage(_) => stored,
        other => Error::Storage(format!("the ledger {}: {name} was not written: {other}; run the sync again", place.shown())),
    }
}

/// A file of a store, in ranges.
#[derive(Debug)]
struct Source {
    store: Arc<LedgerStore>,
    path: object_store::path::Path,
    bytes: u64,
}

impl AsyncFileReader for Source {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.store.get_range(&self.path, range).map(|read| read.map_err(|error| ParquetError::External(Box::new(error)))).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(|error| ParquetError::External(Box::new(error))) }.boxed()
    }

    fn get_metadata<'a>(&'a mut self, _: Option<&'a ArrowReaderOptions>) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.bytes;
            Ok(Arc::new(ParquetMetaDataReader::new().with_prefetch_hint(Some(64 * 1024)).load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// Files of one table.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) place: Place,
    pub(super) table: Table,
    pub(super) columns: Vec<&'static str>,
}

impl Reader {
    /// All columns.
    pub(super) fn new(place: &Place, table: Table) -> Self {
        let columns = table.file_schema().fields().iter();
        let columns = columns.map(|field| static_name(table, field.name())).collect();
        Self { place: place.clone(), table, columns }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().filter_map(|name| self.table.file_schema().field_with_name(name).ok().cloned());
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn below(&self, file: &RowFile) -> String {
        format!("{}/{}", self.table.folder(), file.path)
    }

    /// What the error of a file is: a file of another length is damaged, whatever the store calls that.
    async fn fault(&self, file: &RowFile, error: ParquetError) -> Error {
        let below = self.below(file);
        match LedgerStore::new(&self.place).head(&self.place.path(&below)).await {
            Ok(meta) if meta.size != file.bytes => {
                damaged(&self.place, &below, &format!("is damaged: it has {} bytes, and the log says {}", meta.size, file.bytes))
            }
            Err(missing @ object_store::Error::NotFound { .. }) => of_rows(&self.place, &below, &missing),
            _ => of_rows(&self.place, &below, &error),
        }
    }

    async fn groups(self, file: RowFile) -> Result<Vec<(RowFile, Arc<ParquetMetaData>, usize)>> {
        let mut source = self.source(&file);
        let metadata = match source.get_metadata(None).await {
            Ok(metadata) => metadata,
            Err(error) => return Err(self.fault(&file, error).await),
        };
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
        if file.rows.is_some_and(|said| said != rows) {
            return Err(damaged(&self.place, &self.below(&file), "is damaged: it has other rows than the log says"));
        }
        Ok((0..metadata.num_row_groups()).map(|group| (file.clone(), Arc::clone(&metadata), group)).collect())
    }

    fn source(&self, file: &RowFile) -> Source {
        Source { store: LedgerStore::new(&self.place), path: self.place.path(&self.below(file)), bytes: file.bytes }
    }

    async fn group(self, file: RowFile, metadata: Arc<ParquetMetaData>, group: usize) -> Result<Vec<RecordBatch>> {
        let schema = self.schema();
        let read = async {
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let metadata = parquet::arrow::arrow_reader::ArrowReaderMetadata::try_new(metadata, options)?;
            let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(self.source(&file), metadata);
            let mask = ProjectionMask::columns(builder.parquet_schema(), self.columns.iter().copied());
            let batches = builder.with_projection(mask).with_row_groups(vec![group]).with_batch_size(BATCH_ROWS).build()?;
            batches.map(|batch| conformed(&batch?, &schema)).try_collect::<Vec<_>>().await
        };
        match read.await {
            Ok(batches) => Ok(batches),
            Err(error) => Err(self.fault(&file, error).await),
        }
    }

    /// The rows of these files, in their order.
    pub(super) fn stream(&self, files: Vec<RowFile>) -> SendableRecordBatchStream {
        let (one, two) = (self.clone(), self.clone());
        let batches = futures::stream::iter(files)
            .map(move |file| one.clone().groups(file))
            .buffered(AHEAD)
            .map_ok(|groups| futures::stream::iter(groups.into_iter().map(Ok::<_, Error>)))
            .try_flatten()
            .map(move |group| {
                let reader = two.clone();
                async move {
                    let (file, metadata, group) = group?;
                    let path = reader.below(&file);
                    let shown = reader.place.clone();
                    let decoded = SpawnedTask::spawn(reader.group(file, metadata, group)).await;
                    decoded.map_err(|error| damaged(&shown, &path, &format!("could not be decoded: {error}")))?
                }
            })
            .buffered(AHEAD)
            .map_ok(|batches| futures::stream::iter(batches.into_iter().map(Ok::<_, Error>)))
            .try_flatten()
            .map_err(travelling);
        Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches))
    }

    /// All rows of these files.
    ///
    /// # Errors
    /// [`Error::Ledger`] that names a damaged or missing file, [`Error::Storage`].
    pub(super) async fn collect(&self, files: Vec<RowFile>) -> Result<Vec<RecordBatch>> {
        self.stream(files).try_collect().await.map_err(Error::from)
    }
}

/// The column of this name, as the table spells it.
fn static_name(table: Table, name: &str) -> &'static str {
    let found = table.file_schema().fields().iter().find(|field| field.name() == name);
    found.map_or("", |field| field.name().as_str())
}

/// In our types, whatever another writer wrote; columns by their names.
fn conformed(batch: &RecordBatch, schema: &SchemaRef) -> parquet::errors::Result<RecordBatch> {
    let column = |field: &Arc<arrow::datatypes::Field>| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => arrow::compute::cast(column, field.data_type()),
        None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// A file that is read at once: of what is in flight, and of what no log names; of all columns, or one.
///
/// # Errors
/// [`Error::Ledger`] if it is damaged, [`Error::Storage`]. `None` if it is not there.
pub(super) async fn read_small(place: &Place, below: &str, column: Option<&str>) -> Result<Option<Vec<RecordBatch>>> {
    let Some(bytes) = read_bytes(place, below).await? else { return Ok(None) };
    let read = || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
        let mask = column.map_or_else(ProjectionMask::all, |name| ProjectionMask::columns(builder.parquet_schema(), [name]));
        builder.with_projection(mask).build()?.map(|batch| batch.map_err(ParquetError::from)).collect::<Result<Vec<_>, _>>()
    };
    read().map(Some).map_err(|error| of_rows(place, below, &error))
}

/// # Errors
/// [`Error::Storage`]. `None` if the file is not there.
pub(super) async fn read_bytes(place: &Place, below: &str) -> Result<Option<Bytes>> {
    let read = async { LedgerStore::new(place).get(&place.path(below)).await?.bytes().await };
    match read.await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(of_store(place, below, Doing::Reading, &error)),
    }
}
