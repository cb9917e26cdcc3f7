//! Which files a table has, listed by every statement.
//!
//! In: places and how their files are read. Out: files, what was learnt of them, and the columns that their folders name.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::{
    catalog::Session,
    common::{Result, plan_err},
    datasource::listing::ListingTableUrl,
};

use super::{
    super::{hive::Partitions, listed::list},
    learn::{Layouts, Learning, TextFile},
    opened::TextFiles,
    options::{TextFormat, TextOptions},
    pieces::Place,
};

/// Where files are and how they are read.
#[derive(Debug, Clone)]
pub(crate) struct TextSource {
    /// All of one store.
    pub(crate) urls: Vec<ListingTableUrl>,
    /// Of the files that are read, as `csv.gz`; none reads all that are not hidden.
    pub(crate) ending: Option<String>,
    pub(crate) options: TextOptions,
    pub(crate) learning: Arc<Learning>,
}

impl TextSource {
    /// Lists the files and looks at every byte of those that are not known.
    ///
    /// # Errors
    /// There is none; they are not of one table, or not read exactly; the store's.
    pub(super) async fn learn(&self, state: &dyn Session) -> Result<(Place, Vec<TextFile>, Layouts, Partitions)> {
        let Some(first) = self.urls.first() else { return plan_err!("there is no file") };
        let store = state.runtime_env().object_store(first)?;
        let place = Place { store, url: first.object_store(), has_ranges: !matches!(first.scheme(), "http" | "https") };
        let listed = list(&self.urls, state, place.store.as_ref(), self.ending.as_deref()).await?;
        let files: Vec<_> = listed.iter().map(|file| TextFile { meta: file.meta.clone(), name: Arc::clone(&file.name) }).collect();
        if files.is_empty() {
            return plan_err!("there is no file to be read");
        }
        let layouts = self.learning.learn(&place, first.as_str(), &files, &self.options).await?;
        let partitions = Partitions::of(&listed)?;
        Ok((place, files, layouts, partitions))
    }

    /// The files as a table of these columns: learnt ones, or declared ones.
    ///
    /// # Errors
    /// As [`Self::learn`]; the files have other columns.
    pub(super) async fn open(&self, state: &dyn Session, columns: Option<&SchemaRef>) -> Result<TextFiles> {
        let (place, files, layouts, mut partitions) = self.learn(state).await?;
        let learnt = layouts.schema();
        // A column of the folders that the files have too is the files'.
        let is_own = |name: &str| learnt.fields().iter().any(|field| field.name() == name);
        self.learning.note(partitions.without(is_own));
        let (columns, learnt_at) = match columns {
            None => (Arc::clone(&learnt), (0..learnt.fields().len()).collect()),
            Some(columns) => {
                let declared: Vec<FieldRef> = columns.fields().iter().filter(|field| !partitions.has(field.name())).cloned().collect();
                let at = matched(&declared, &learnt, self.options.csv.has_header)?;
                partitions.cast(columns)?;
                let read = declared.iter().zip(&at).map(|(field, at)| read_as(field, learnt.field(*at), self.options.format));
                (Arc::new(Schema::new(read.collect::<Vec<FieldRef>>())), at)
            }
        };
        Ok(TextFiles { place, files, writing: self.options.writing, layouts, partitions, columns, learnt_at })
    }
}

/// A declared column with the type that is read, from which it is cast.
fn read_as(declared: &FieldRef, learnt: &Field, format: TextFormat) -> FieldRef {
    let data_type = match (format, declared.data_type()) {
        (TextFormat::Json, declared) if declared.is_string() => &DataType::Utf8View,
        (TextFormat::Json, _) => learnt.data_type(),
        (_, same) if is_read(same) => same,
        _ => &DataType::Utf8View,
    };
    Arc::new(declared.as_ref().clone().with_data_type(data_type.clone()))
}

/// Whether cells of CSV are read as the type, or as text, which is cast.
fn is_read(data_type: &DataType) -> bool {
    use DataType::{Boolean, Date32, Decimal128, Float32, Float64, Timestamp, Utf8, Utf8View};
    data_type.is_integer() || matches!(data_type, Utf8 | Utf8View | Float32 | Float64 | Decimal128(..) | Boolean | Date32 | Timestamp(..))
}

/// For each declared column the learnt one: of its name, or, where a header has none of the names, of its place.
fn matched(declared: &[FieldRef], learnt: &Schema, has_header: bool) -> Result<Vec<usize>> {
    let by_name: Vec<Option<usize>> = declared.iter().map(|field| learnt.index_of(field.name()).ok()).collect();
    if let Some(all) = by_name.iter().copied().collect::<Option<Vec<_>>>()
        && has_header
    {
        return Ok(all);
    }
    let is_none_named = by_name.iter().all(Option::is_none);
    if declared.len() == learnt.fields().len() && (is_none_named || !has_header) {
        return Ok((0..declared.len()).collect());
    }
    let list = |fields: &mut dyn Iterator<Item = &Field>| fields.map(|field| field.name().clone()).collect::<Vec<_>>().join(", ");
    let (declared, there) = (list(&mut declared.iter().map(AsRef::as_ref)), list(&mut learnt.fields().iter().map(AsRef::as_ref)));
    plan_err!("the columns {declared} were declared, and the files have {there}: declare them by these names")
}
