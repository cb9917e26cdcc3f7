//! A table that takes records of failed rows, and sends them as they are.
//!
//! In: an account and the name of one of its tables. Out: a provider with the column `record`, which an INSERT writes to.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::provider::ClevertapTable;
use crate::account::Account;
use crate::error::Error;
use crate::options::Options;
use crate::relation::SchemaName;
use crate::tables;
use crate::write::encode::RECORD;
use crate::write::job::Job;

/// The table `table` of `account`, which is registered as `name`, for records as `clevertap.failed_rows` has them: an INSERT of the column
/// `record` sends each as it is. Fates, counts and evidence are those of any INSERT; the operation of its run is `RESEND`. Records that
/// change a number (`$incr`) are appended, as events are: a lost answer leaves them in doubt. What erases, and custom lists, are not
/// written so.
///
/// # Errors
/// [`Error::Unwritable`] if the table does not take records.
pub fn records_table(account: &Account, name: &str, table: &str) -> Result<Arc<dyn TableProvider>, Error> {
    let schema_name = SchemaName::new(name);
    let Some(found) = tables::find(table) else {
        return Err(Error::Unwritable(format!("{} is no table of CleverTap", schema_name.table(table))));
    };
    let table = ClevertapTable::new(account, &schema_name, found, None);
    Job::of_records(&table.relation, &Options::default())?;
    let schema = Arc::new(Schema::new(vec![Field::new(RECORD, DataType::Utf8View, true)]));
    Ok(Arc::new(RecordsTable { table, schema }))
}

struct RecordsTable {
    table: ClevertapTable,
    schema: SchemaRef,
}

impl fmt::Debug for RecordsTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordsTable({})", self.table.qualified())
    }
}

#[async_trait]
impl TableProvider for RecordsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(&self, _: &dyn Session, _: Option<&Vec<usize>>, _: &[Expr], _: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        Err(Error::Filter(format!("records of {} are written, not read", self.table.qualified())).into())
    }

    async fn insert_into(&self, session: &dyn Session, input: Arc<dyn ExecutionPlan>, op: InsertOp) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.table.write_records(session, input, op)?)
    }
}
