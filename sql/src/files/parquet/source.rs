//! Which files a table has, and what they are together.
//!
//! In: a place. Out: files with their footers, the columns of all, and those that their folders name. They are listed again by every
//! statement, since a view over a folder sees the files that are there.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{FieldRef, Fields, Schema, SchemaRef};
use datafusion::{
    catalog::Session,
    common::{ColumnStatistics, Result, ScalarValue, plan_err, stats::Precision},
    datasource::{
        file_format::FileFormat,
        listing::{ListingTableUrl, PartitionedFile},
        physical_plan::parquet::ParquetFormat,
    },
    execution::SessionState,
};
use datafusion_clevertap::redact::without_secrets;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;

use super::{
    super::{
        hive::Partitions,
        listed::{ListedFile, list},
        text::learn::Learning,
    },
    footer::Footer,
    merge::{FileColumns, merge, still},
};
use crate::literals::literal;

/// DataFusion's name of the format.
pub(super) const FORMAT: &str = "parquet";

/// Where the files of a table are.
#[derive(Debug, Clone)]
pub(crate) struct ParquetSource {
    pub(super) url: ListingTableUrl,
    /// The place as it was written, up to the first part that is a pattern.
    place: String,
    /// Of the files that are read; none reads all that are not hidden.
    pub(super) ending: Option<String>,
    learning: Arc<Learning>,
}

/// Files and their columns.
#[derive(Debug)]
pub(super) struct ParquetFiles {
    pub(super) format: Arc<dyn FileFormat>,
    files: Vec<(ListedFile, Footer)>,
    /// Of the files.
    pub(super) columns: SchemaRef,
    pub(super) partitions: Partitions,
}

impl ParquetSource {
    /// The files with an ending at `path`, which is a place of `url`.
    pub(crate) fn new(url: ListingTableUrl, path: &str, ending: Option<String>, learning: &Arc<Learning>) -> Self {
        let parts = path.split_inclusive('/').take_while(|part| !part.contains(['*', '?', '[']));
        let place = without_secrets(&parts.collect::<String>()).into_owned();
        Self { url, place, ending, learning: Arc::clone(learning) }
    }

    /// Lists the files and reads their ends; as a table that was planned before, if there is one.
    ///
    /// # Errors
    /// There is no file; one is broken; they are not of one table, or not of the one that was planned; the store's.
    pub(super) async fn open(&self, state: &dyn Session, planned: Option<&Schema>) -> Result<ParquetFiles> {
        let store = state.runtime_env().object_store(&self.url)?;
        let listed = self.list(state, store.as_ref()).await?;
        if listed.is_empty() {
            return plan_err!("there is no file to be read");
        }
        let of_session = state.as_any().downcast_ref::<SessionState>();
        let factory = of_session.and_then(|of_session| Some((of_session, of_session.get_file_format_factory(FORMAT)?)));
        let format = factory.map(|(of_session, factory)| factory.create(of_session, &HashMap::new())).transpose()?;
        let parquet = format.as_ref().and_then(|format| format.downcast_ref::<ParquetFormat>());
        let (Some(format), Some(parquet)) = (&format, parquet) else { return plan_err!("this session does not read Parquet") };
        let footers = listed.iter().map(|file| Footer::read(file, parquet, state, store.as_ref()));
        // Collected, since a closure that borrows would not live across the first await.
        let footers: Vec<_> = footers.collect();
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        let footers: Vec<Footer> = futures::stream::iter(footers).buffered(at_once).try_collect().await?;

        let paths: Vec<String> = listed.iter().map(|file| self.path(&file.below)).collect();
        let columns: Vec<_> = listed
            .iter()
            .zip(&paths)
            .zip(&footers)
            .map(|((file, path), footer)| FileColumns::new(&file.name, path, &footer.fields, footer.rows > 0))
            .collect();
        let merged = merge(&columns)?;
        let mut partitions = Partitions::of(&listed)?;
        let mut notes = merged.notes;
        beside(&partitions, &columns, &merged.fields)?;
        notes.extend(partitions.without(|name| merged.fields.iter().any(|field| field.name() == name)));
        self.learning.note(notes);
        let columns = match planned {
            Some(planned) => {
                let of_files = planned.fields().iter().filter(|field| !partitions.has(field.name())).cloned();
                let columns = still(&Schema::new(of_files.collect::<Fields>()), &merged.fields)?;
                partitions.cast(planned)?;
                columns
            }
            None => merged.fields,
        };
        let columns = Arc::new(Schema::new(columns));
        for ((file, path), footer) in listed.iter().zip(&paths).zip(&footers) {
            if let Some(column) = footer.out_of_reach(&columns) {
                return plan_err!(
                    "{}, column \"{column}\": an instant is out of reach of the finer unit that other files have, as nanoseconds have the \
                     years 1677 to 2262; read it by itself: FROM {}",
                    file.name,
                    literal(path)
                );
            }
        }
        let files = ParquetFiles { format: Arc::clone(format), files: listed.into_iter().zip(footers).collect(), columns, partitions };
        let now = files.schema();
        if planned
            .is_some_and(|planned| !planned.fields().iter().map(|field| field.name()).eq(now.fields().iter().map(|field| field.name())))
        {
            return plan_err!("the folders of its files name other columns than when the table was planned");
        }
        Ok(files)
    }

    /// Whether there is a file.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn has_files(&self, state: &dyn Session) -> Result<bool> {
        let store = state.runtime_env().object_store(&self.url)?;
        Ok(!self.list(state, store.as_ref()).await?.is_empty())
    }

    async fn list(&self, state: &dyn Session, store: &dyn ObjectStore) -> Result<Vec<ListedFile>> {
        list(std::slice::from_ref(&self.url), state, store, self.ending.as_deref()).await
    }

    /// What stands after FROM for one of the files.
    fn path(&self, below: &str) -> String {
        if below.is_empty() { self.place.clone() } else { format!("{}/{below}", self.place.trim_end_matches('/')) }
    }
}

/// Columns of folders go with those of files, if all files have them or none.
fn beside(partitions: &Partitions, files: &[FileColumns<'_>], of_files: &[FieldRef]) -> Result<()> {
    for name in partitions.fields.iter().map(|field| field.name()) {
        let Some(alike) = of_files.iter().map(|field| field.name()).find(|own| own.to_lowercase() == name.to_lowercase()) else { continue };
        if alike != name {
            return plan_err!(
                "the names of its folders have a column \"{name}\" and its files a column \"{alike}\", which differ only in case"
            );
        }
        if let Some(file) = files.iter().find(|file| file.lacks(name)) {
            return plan_err!(
                "{}: the file has no column \"{name}\", which its folder names and other files have; read it by itself: FROM {}",
                file.name(),
                literal(file.path())
            );
        }
    }
    Ok(())
}

impl ParquetFiles {
    /// Columns of files, then those of folders.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.fields().iter().chain(&self.partitions.fields).cloned().collect::<Fields>()))
    }

    /// The files with rows, each with what is known of it, of those whose folders have values that are wanted.
    pub(super) fn wanted(&self, is_wanted: &[bool]) -> Vec<PartitionedFile> {
        let files = self.files.iter().zip(&self.partitions.values).zip(is_wanted);
        let with_rows = files.filter(|(((_, footer), _), is_wanted)| **is_wanted && footer.rows > 0);
        let file = |(((file, footer), values), _): ((&(ListedFile, Footer), &Vec<ScalarValue>), &bool)| {
            let mut known = footer.statistics(&self.columns);
            known.column_statistics.extend(values.iter().map(|value| of_folder(value, footer.rows)));
            let mut file = PartitionedFile::new_from_meta(file.meta.clone()).with_partition_values(values.clone());
            // Not by `with_statistics`, to which no value of a folder is NULL.
            file.statistics = Some(Arc::new(known));
            file
        };
        with_rows.map(file).collect()
    }
}

/// What is known of a column that has one value in all rows.
fn of_folder(value: &ScalarValue, rows: usize) -> ColumnStatistics {
    let known = ColumnStatistics::new_unknown();
    if value.is_null() {
        return known.with_null_count(Precision::Exact(rows));
    }
    let bound = Precision::Exact(value.clone());
    known.with_null_count(Precision::Exact(0)).with_min_value(bound.clone()).with_max_value(bound).with_distinct_count(Precision::Exact(1))
}
