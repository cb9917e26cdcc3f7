//! Rows as one file of Parquet, whose bytes are taken as they come.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// About how many bytes a row group has: what the warehouses ask for, and what memory holds.
const GROUP_BYTES: usize = 32 << 20;

/// A file that is being made.
pub(crate) struct ParquetBytes {
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetBytes {
    pub(crate) fn new(schema: &SchemaRef) -> Result<Self> {
        // Lists are named as the format's specification does: others find no elements.
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_coerce_types(true).build();
        Ok(Self { writer: ArrowWriter::try_new(Vec::new(), SchemaRef::clone(schema), Some(properties))? })
    }

    /// Adds rows. The bytes that are ready may be none.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        self.writer.write(batch)?;
        if self.writer.in_progress_size() >= GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    /// The bytes that are left, the file's end last.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        Ok(self.writer.into_inner()?)
    }
}
