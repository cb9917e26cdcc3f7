//! The first pass over the files of a table.
//!
//! In: files, and how they are read. Out: [`Layouts`]: what each is, and what they are together. What was learnt of a file is kept as long as the
//! session, and as the file has the same size, time and tag.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::datatypes::SchemaRef;
use clevertap_files::{TextError, csv, json};
use datafusion::common::{DataFusionError, Result, runtime::SpawnedTask};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;

use super::{
    encoding::Utf8Watch,
    options::{TextFormat, TextOptions},
    pieces::Place,
};

/// Files whose first passes run at once.
const FILES_AT_ONCE: usize = 8;
/// Files of which it is kept what was learnt.
const KEPT_MAX: usize = 10_000;

/// One file, as it was listed.
#[derive(Debug, Clone)]
pub(super) struct TextFile {
    pub(super) meta: ObjectMeta,
    /// What errors call it.
    pub(super) name: Arc<str>,
}

/// What was learnt of one file.
#[derive(Debug, Clone)]
enum Layout {
    Csv(csv::Layout),
    Json(json::Layout),
}

/// What was learnt of all files of a table.
#[derive(Debug)]
pub(super) enum Layouts {
    Csv { files: Vec<csv::Layout>, merged: csv::Merged },
    Json { files: Vec<u64>, merged: json::Layout },
}

impl Layouts {
    pub(super) fn schema(&self) -> SchemaRef {
        match self {
            Self::Csv { merged, .. } => Arc::new(merged.schema()),
            Self::Json { merged, .. } => merged.schema(),
        }
    }

    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Csv { files, .. } => files.iter().map(|layout| layout.rows).sum(),
            Self::Json { files, .. } => files.iter().sum(),
        }
    }

    /// How many parts of a file can be read at once.
    pub(super) fn splits(&self, file: usize) -> usize {
        match self {
            Self::Csv { files, .. } => files.get(file).map_or(1, |layout| layout.splits.len()),
            Self::Json { .. } => 1,
        }
    }
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FileKey {
    place: String,
    location: String,
    size: u64,
    modified_at: i64,
    e_tag: Option<String>,
    /// How it was read.
    options: String,
}

/// The first passes of a session.
#[derive(Default)]
pub(crate) struct Learning {
    known: Mutex<HashMap<FileKey, Layout>>,
    notes: Mutex<Notes>,
    progress: Progress,
}

/// What there is to be told, once in a session.
#[derive(Debug, Default)]
struct Notes {
    told: HashSet<String>,
    untold: Vec<String>,
}

/// How far first passes are.
#[derive(Debug, Default)]
struct Progress {
    files: AtomicU64,
    bytes: AtomicU64,
    bytes_read: AtomicU64,
}

impl fmt::Debug for Learning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learning").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl Learning {
    /// What there is to be told of the files that were read since it was asked for last.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner).untold)
    }

    /// `looking at every cell first: 40 % of 1200 MB`, while first passes run.
    pub(crate) fn progress(&self) -> Option<String> {
        let Progress { files, bytes, bytes_read } = &self.progress;
        let (files, bytes, read) = (files.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed), bytes_read.load(Ordering::Relaxed));
        let percent = read.min(bytes) * 100 / bytes.max(1);
        (files > 0).then(|| format!("looking at every cell first: {percent} % of {} MB", bytes / 1_000_000))
    }

    /// Looks at every byte of files.
    ///
    /// # Errors
    /// A file that is not read exactly, told with its line; files that are not of one table; the store's.
    pub(super) async fn learn(&self, place: &Place, url: &str, files: &[TextFile], options: &TextOptions) -> Result<Layouts> {
        let passes = files.iter().map(|file| self.learn_file(place, url, file, options));
        // Collected, since a closure that borrows would not live across the first await.
        let passes: Vec<_> = passes.collect();
        let layouts: Vec<Layout> = futures::stream::iter(passes).buffered(FILES_AT_ONCE).try_collect().await?;
        let empty = files.iter().filter(|file| file.meta.size == 0 && files.len() > 1);
        self.note(empty.map(|file| format!("{}: the file is empty, and adds no row", file.name)));
        let (mut csv, mut json) = (Vec::new(), Vec::new());
        for layout in layouts {
            match layout {
                Layout::Csv(layout) => csv.push(layout),
                Layout::Json(layout) => json.push(layout),
            }
        }
        match options.format {
            TextFormat::Csv => {
                let merged = csv::Layout::merge(&csv).map_err(|error| told(&error))?;
                self.note(merged.warnings.iter().map(ToString::to_string));
                Ok(Layouts::Csv { files: csv, merged })
            }
            TextFormat::Json => {
                let merged = json::Layout::merge(&json);
                let merged = merged.ok_or_else(|| DataFusionError::Plan("there is no file".into()))?;
                self.note(merged.warnings().iter().map(ToString::to_string));
                Ok(Layouts::Json { files: json.iter().map(json::Layout::rows).collect(), merged })
            }
        }
    }

    /// Has each of these told, once in a session.
    pub(in crate::files) fn note(&self, all: impl IntoIterator<Item = String>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        for note in all {
            if notes.told.insert(note.clone()) {
                notes.untold.push(note);
            }
        }
    }

    async fn learn_file(&self, place: &Place, url: &str, file: &TextFile, options: &TextOptions) -> Result<Layout> {
        let ObjectMeta { location, last_modified, size, e_tag, .. } = &file.meta;
        let key = FileKey {
            place: url.to_owned(),
            location: location.to_string(),
            size: *size,
            modified_at: last_modified.timestamp_nanos_opt().unwrap_or_default(),
            e_tag: e_tag.clone(),
            options: format!("{options:?}"),
        };
        if let Some(layout) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(layout.clone());
        }
        let Progress { files, bytes, bytes_read } = &self.progress;
        files.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(*size, Ordering::Relaxed);
        let watch = Utf8Watch::default();
        let learnt = pass(place, file, options, bytes_read, &watch).await;
        if let (true, Some(encoding)) = (watch.is_utf8(), options.writing.encoding) {
            let (name, encoding) = (&file.name, encoding.name());
            self.note([format!(
                "{name}: the file is UTF-8 with letters beyond ASCII, and is read as {encoding}, which makes other letters of them; read it by \
                 itself, without the option encoding"
            )]);
        }
        if files.fetch_sub(1, Ordering::Relaxed) == 1 {
            bytes.store(0, Ordering::Relaxed);
            bytes_read.store(0, Ordering::Relaxed);
        }
        let layout = learnt?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT_MAX {
            known.clear();
        }
        known.insert(key, layout.clone());
        Ok(layout)
    }
}

/// The first pass over one file. Pieces are fetched beside the task that looks at them.
async fn pass(place: &Place, file: &TextFile, options: &TextOptions, bytes_read: &AtomicU64, watch: &Utf8Watch) -> Result<Layout> {
    let pieces = place.watched(&file.meta, options.writing, watch);
    let (to, mut from) = tokio::sync::mpsc::channel(2);
    let _fetching = SpawnedTask::spawn(async move {
        let mut pieces = pieces;
        while let Some(piece) = pieces.next().await {
            if to.send(piece).await.is_err() {
                break;
            }
        }
    });
    let mut scan = match options.format {
        TextFormat::Csv => Scan::Csv(Box::new(csv::Scan::new(Arc::clone(&file.name), options.csv.clone()))),
        TextFormat::Json => Scan::Json(Box::new(json::Scan::new(&file.name))),
    };
    while let Some(piece) = from.recv().await.transpose()? {
        scan.push(&piece).map_err(|error| told(&error))?;
        bytes_read.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    scan.finish().map_err(|error| told(&error))
}

enum Scan {
    Csv(Box<csv::Scan>),
    Json(Box<json::Scan>),
}

impl Scan {
    fn push(&mut self, bytes: &[u8]) -> Result<(), TextError> {
        match self {
            Self::Csv(scan) => scan.push(bytes),
            Self::Json(scan) => scan.push(bytes),
        }
    }

    fn finish(self) -> Result<Layout, TextError> {
        Ok(match self {
            Self::Csv(scan) => Layout::Csv(scan.finish()?),
            Self::Json(scan) => Layout::Json(scan.finish()?),
        })
    }
}

/// What is told of a file, as an error of the statement.
pub(super) fn told(error: &TextError) -> DataFusionError {
    DataFusionError::Plan(error.to_string())
}
