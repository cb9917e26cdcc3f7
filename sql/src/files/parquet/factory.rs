//! CREATE EXTERNAL TABLE … STORED AS PARQUET.
//!
//! In: the statement. Out: a table of the columns of the files. Where the statement says more than a place, and where there are no files yet,
//! DataFusion's own.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider, TableProviderFactory},
    common::Result,
    datasource::{listing::ListingTableUrl, listing_table_factory::ListingTableFactory},
    logical_expr::CreateExternalTable,
};

use super::{super::text::learn::Learning, source::ParquetSource, table::ParquetTable};

/// Makes tables of Parquet files.
#[derive(Debug)]
pub(crate) struct ParquetTableFactory(pub(crate) Arc<Learning>);

#[async_trait]
impl TableProviderFactory for ParquetTableFactory {
    async fn create(&self, state: &dyn Session, statement: &CreateExternalTable) -> Result<Arc<dyn TableProvider>> {
        let says_more = !statement.schema.fields().is_empty()
            || !statement.table_partition_cols.is_empty()
            || !statement.order_exprs.is_empty()
            || !statement.options.is_empty()
            || statement.unbounded;
        if let ([place], false) = (statement.locations.as_slice(), says_more) {
            let source = ParquetSource::new(ListingTableUrl::parse(place)?, place, None, &self.0);
            if source.has_files(state).await? {
                return Ok(Arc::new(ParquetTable::open(source, state).await?));
            }
        }
        ListingTableFactory::new().create(state, statement).await
    }
}
