//! Writes Parquet files for the benchmarks and for the peers, which are other programs.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Rows per row group: the same in every file, since a reader holds one in memory.
pub const GROUP_ROWS: usize = 100_000;

/// Writes `rows` rows, repeating `batches`.
///
/// # Panics
/// If the file cannot be written.
pub fn write(path: &Path, batches: &[RecordBatch], rows: usize) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(GROUP_ROWS)).set_compression(Compression::SNAPPY).build();
    let file = File::create(path).expect("a path that can be written");
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).expect("types that Parquet has");
    let mut left = rows;
    for batch in batches.iter().cycle() {
        if left == 0 {
            break;
        }
        let taken = left.min(batch.num_rows());
        writer.write(&batch.slice(0, taken)).expect("written");
        left -= taken;
    }
    writer.close().expect("written");
}
