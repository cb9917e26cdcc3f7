//! The scan that reads text files.
//!
//! In: files that are known, the columns that are wanted. Out: batches, each cell as the first pass saw it. Partitions are whole files in their
//! order; where more are wanted, parts of files that the first pass marked, which never begin inside of a record.

use std::{fmt, ops::Range, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    datatypes::{Schema, SchemaRef},
};
use bytes::Bytes;
use clevertap_files::{TextError, csv, json};
use datafusion::{
    common::{DataFusionError, Result, Statistics, config::ConfigOptions, internal_err, stats::Precision},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        DisplayAs, DisplayFormatType, Partitioning, PlanProperties,
        execution_plan::{Boundedness, EmissionType, SchedulingType},
        metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet},
        stream::RecordBatchStreamAdapter,
    },
};
use datafusion_clevertap::file_scan::{FileScan, ScannedFile};
use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::{
    learn::{Layouts, told},
    opened::TextFiles,
};

/// Part of a file that is read from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    file: usize,
    splits: Range<usize>,
}

/// The scan.
#[derive(Debug)]
pub(super) struct TextScan {
    files: Arc<TextFiles>,
    /// Columns of the table.
    projection: Vec<usize>,
    schema: SchemaRef,
    partitions: Vec<Vec<Part>>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TextScan {
    /// A scan in at most so many partitions.
    ///
    /// # Errors
    /// None of a projection of the table.
    pub(super) fn new(files: Arc<TextFiles>, projection: Vec<usize>, partitions: usize, limit: Option<usize>) -> Result<Self> {
        let parts: Vec<Part> = (0..files.files.len()).map(|file| Part { file, splits: 0..files.layouts.splits(file) }).collect();
        Self::in_parts(files, projection, spread(&parts, partitions), limit)
    }

    fn in_parts(files: Arc<TextFiles>, projection: Vec<usize>, partitions: Vec<Vec<Part>>, limit: Option<usize>) -> Result<Self> {
        let schema = Arc::new(files.schema().project(&projection)?);
        let properties = properties(&schema, partitions.len());
        Ok(Self { files, projection, schema, partitions, limit, properties, metrics: ExecutionPlanMetricsSet::new() })
    }

    fn in_other_parts(&self, partitions: Vec<Vec<Part>>, limit: Option<usize>) -> Self {
        Self {
            files: Arc::clone(&self.files),
            projection: self.projection.clone(),
            schema: Arc::clone(&self.schema),
            properties: properties(&self.schema, partitions.len()),
            partitions,
            limit,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The rows of some parts of a partition.
    fn read(&self, partition: usize, parts: Vec<Part>, context: &TaskContext) -> impl Stream<Item = Result<RecordBatch>> + Send + use<> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let (files, projection, schema) = (Arc::clone(&self.files), self.projection.clone(), Arc::clone(&self.schema));
        let rows_max = context.session_config().batch_size();
        let reads = parts.into_iter().map(move |part| read(&files, &part, &projection, &schema, rows_max));
        stream::iter(reads).try_flatten().inspect_ok(move |batch: &RecordBatch| metrics.record_output(batch.num_rows()))
    }
}

fn properties(schema: &SchemaRef, partitions: usize) -> Arc<PlanProperties> {
    let properties = PlanProperties::new(
        EquivalenceProperties::new(Arc::clone(schema)),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    );
    Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative))
}

/// Parts in so many partitions, in their order.
fn spread(parts: &[Part], partitions: usize) -> Vec<Vec<Part>> {
    let each = parts.len().div_ceil(partitions.max(1)).max(1);
    let spread: Vec<Vec<Part>> = parts.chunks(each).map(<[Part]>::to_vec).collect();
    if spread.is_empty() { vec![Vec::new()] } else { spread }
}

impl DisplayAs for TextScan {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, delimiter) = match &self.files.layouts {
            Layouts::Csv { files, .. } => ("csv", files.first().map(csv::Layout::delimiter)),
            Layouts::Json { .. } => ("json", None),
        };
        let delimiter = delimiter.filter(|byte| *byte != b',').map(|byte| format!(", delimiter='{}'", byte.escape_ascii()));
        let columns = self.schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
        let (files, rows) = (self.files.files.len(), self.files.layouts.rows());
        let (delimiter, columns) = (delimiter.unwrap_or_default(), columns.collect::<Vec<_>>().join(", "));
        let limit = self.limit.map(|limit| format!(", limit={limit}")).unwrap_or_default();
        match format {
            DisplayFormatType::TreeRender => write!(f, "format={kind}\nfiles={files}\nrows={rows}"),
            _ => write!(f, "TextScan: format={kind}{delimiter}, files={files}, rows={rows}, columns=[{columns}]{limit}"),
        }
    }
}

impl FileScan for TextScan {
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn files(&self) -> Vec<Vec<ScannedFile>> {
        let scanned = |part: &Part| {
            let meta = self.files.files[part.file].meta.clone();
            let rows_before = match &self.files.layouts {
                Layouts::Csv { files, .. } => files[part.file].splits.get(part.splits.start).map_or(0, |split| split.row),
                Layouts::Json { .. } => 0,
            };
            ScannedFile::new(self.files.place.url.clone(), meta).behind(rows_before)
        };
        self.partitions.iter().map(|parts| parts.iter().map(scanned).collect()).collect()
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(parts) = self.partitions.get(partition).cloned() else {
            return internal_err!("a scan of text files has no partition {partition}");
        };
        let batches = within(self.read(partition, parts, &context), self.limit);
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }

    fn execute_file(&self, partition: usize, file: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(part) = self.partitions.get(partition).and_then(|parts| parts.get(file)).cloned() else {
            return internal_err!("a scan of text files has no file {file} in partition {partition}");
        };
        let batches = self.read(partition, vec![part], &context);
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }

    fn repartitioned(&self, wanted: usize, config: &ConfigOptions) -> Option<Arc<dyn FileScan>> {
        let bytes: u64 = self.files.files.iter().map(|file| file.meta.size).sum();
        let is_large = bytes >= config.optimizer.repartition_file_min_size as u64;
        let has_parts = self.files.writing.is_plain() && self.files.place.has_ranges;
        if !has_parts || !is_large || !config.optimizer.repartition_file_scans || wanted <= self.partitions.len() {
            return None;
        }
        let parts = self.partitions.iter().flatten().flat_map(|part| {
            let splits = if part.splits.is_empty() { part.splits.start..part.splits.start + 1 } else { part.splits.clone() };
            splits.map(|split| Part { file: part.file, splits: split..split + 1 })
        });
        let spread = spread(&parts.collect::<Vec<_>>(), wanted).into_iter().map(joined).collect::<Vec<_>>();
        (spread.len() > self.partitions.len()).then(|| Arc::new(self.in_other_parts(spread, self.limit)) as _)
    }

    fn limit(&self) -> Option<usize> {
        self.limit
    }

    fn with_limit(&self, limit: Option<usize>) -> Arc<dyn FileScan> {
        Arc::new(self.in_other_parts(self.partitions.clone(), limit))
    }

    fn statistics(&self, partition: Option<usize>) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.schema);
        if partition.is_none() {
            let rows = usize::try_from(self.files.layouts.rows()).unwrap_or(usize::MAX);
            statistics.num_rows = match self.limit {
                Some(limit) => Precision::Inexact(rows.min(limit)),
                None => Precision::Exact(rows),
            };
        }
        statistics
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Neighbouring parts of one file as one.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if last.file == part.file && last.splits.end == part.splits.start => last.splits.end = part.splits.end,
            _ => joined.push(part),
        }
    }
    joined
}

/// The first rows of batches.
fn within(batches: impl Stream<Item = Result<RecordBatch>> + Send, limit: Option<usize>) -> impl Stream<Item = Result<RecordBatch>> + Send {
    batches.scan(limit.unwrap_or(usize::MAX), |left, batch| {
        let batch = match batch {
            Ok(_) if *left == 0 => None,
            Ok(batch) => {
                let taken = batch.num_rows().min(*left);
                *left -= taken;
                Some(Ok(batch.slice(0, taken)))
            }
            Err(error) => Some(Err(error)),
        };
        std::future::ready(batch)
    })
}

/// The rows of a part.
fn read(
    files: &Arc<TextFiles>,
    part: &Part,
    projection: &[usize],
    schema: &SchemaRef,
    rows_max: usize,
) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + use<>> {
    let of_file: Vec<usize> = projection.iter().copied().filter(|column| *column < files.columns.fields().len()).collect();
    let reader = Reader::new(files, part, &of_file, rows_max)?;
    let file = &files.files[part.file];
    let rows = match &files.layouts {
        Layouts::Csv { files: layouts, .. } => Some(layouts[part.file].byte_range(part.splits.clone())),
        Layouts::Json { .. } => None,
    };
    let is_asked_for_rows = files.writing.is_plain() && files.place.has_ranges;
    let pieces = match &reader {
        None => stream::empty().boxed(),
        Some(_) if is_asked_for_rows => files.place.pieces(&file.meta, files.writing, rows),
        Some(_) => without_start(files.place.pieces(&file.meta, files.writing, None), rows.map_or(0, |rows| rows.start)).boxed(),
    };
    let (files, file, projection, schema) = (Arc::clone(files), part.file, projection.to_vec(), Arc::clone(schema));
    let batches = stream::try_unfold((reader, pieces), |(reader, mut pieces)| async move {
        let Some(mut reader) = reader else { return Ok(None) };
        match pieces.next().await.transpose()? {
            Some(piece) => {
                let batches = reader.push(&piece).map_err(|error| told(&error))?;
                Ok(Some((batches, (Some(reader), pieces))))
            }
            None => {
                let batches = reader.finish().map_err(|error| told(&error))?;
                Ok::<_, DataFusionError>(Some((batches, (None, pieces))))
            }
        }
    });
    let batches = batches.map_ok(|batches| stream::iter(batches.into_iter().map(Ok))).try_flatten();
    Ok(batches.and_then(move |batch| std::future::ready(with_partitions(&batch, &files, file, &projection, &schema))))
}

/// Pieces without the first bytes.
fn without_start(pieces: impl Stream<Item = Result<Bytes>> + Send, mut start: u64) -> impl Stream<Item = Result<Bytes>> + Send {
    pieces.map_ok(move |piece| {
        let left_out = usize::try_from(start).map_or(piece.len(), |start| start.min(piece.len()));
        start -= left_out as u64;
        piece.slice(left_out..)
    })
}

/// The columns of the file and of its folders as they are wanted.
fn with_partitions(batch: &RecordBatch, files: &TextFiles, file: usize, projection: &[usize], schema: &SchemaRef) -> Result<RecordBatch> {
    let (own, rows) = (files.columns.fields().len(), batch.num_rows());
    let mut columns = batch.columns().iter();
    let arrays = projection.iter().map(|column| match column.checked_sub(own) {
        Some(partition) => files.partitions.values[file][partition].to_array_of_size(rows),
        None => match columns.next() {
            Some(column) => Ok(Arc::clone(column)),
            None => internal_err!("a column of a text file is missing"),
        },
    });
    let arrays: Vec<ArrayRef> = arrays.collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

enum Reader {
    Csv(Box<csv::Rows>),
    Json(Box<json::Rows>),
}

impl Reader {
    /// For some columns of the table; `None` for a file without a header.
    fn new(files: &TextFiles, part: &Part, columns: &[usize], rows_max: usize) -> Result<Option<Self>> {
        let learnt: Vec<usize> = columns.iter().map(|column| files.learnt_at[*column]).collect();
        match &files.layouts {
            Layouts::Csv { files: layouts, merged } => {
                let (layout, sources) = (&layouts[part.file], &merged.sources[part.file]);
                if sources.is_empty() {
                    return Ok(None);
                }
                let sources: Vec<usize> = learnt.iter().map(|column| sources[*column]).collect();
                let schema: Schema = files.columns.project(columns)?;
                let rows = csv::Rows::new(layout, Arc::new(schema), &sources, part.splits.clone());
                Ok(Some(Self::Csv(Box::new(rows.map_err(|error| told(&error))?.with_batch_rows(rows_max)))))
            }
            Layouts::Json { merged, .. } => {
                let schema: Schema = files.columns.project(columns)?;
                let rows = json::Rows::new(&files.files[part.file].name, merged, Arc::new(schema), &learnt);
                Ok(Some(Self::Json(Box::new(rows.with_batch_rows(rows_max)))))
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<Vec<RecordBatch>, TextError> {
        match self {
            Self::Csv(rows) => rows.push(bytes),
            Self::Json(rows) => rows.push(bytes),
        }
    }

    fn finish(self) -> Result<Vec<RecordBatch>, TextError> {
        match self {
            Self::Csv(rows) => rows.finish(),
            Self::Json(rows) => rows.finish(),
        }
    }
}
