//! Where files may be written to.
//!
//! In: a COPY, or an INSERT into a table of files. Out: the same, or an error where the rows would go in clear over a network.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::ListingTable;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, WriteOp};
use datafusion::optimizer::AnalyzerRule;
use url::Url;

use crate::error::Error;
use crate::storage::{check_encrypted, shown};

#[derive(Debug)]
pub(crate) struct CopyPlaces;

impl AnalyzerRule for CopyPlaces {
    fn name(&self) -> &'static str {
        "clevertap_copy_places"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|plan| {
            match plan {
                LogicalPlan::Copy(copy) => check("COPY", &copy.output_url)?,
                LogicalPlan::Dml(dml) if matches!(dml.op, WriteOp::Insert(_)) => {
                    if let Ok(provider) = source_as_provider(&dml.target)
                        && let Some(files) = provider.downcast_ref::<ListingTable>()
                    {
                        files.table_paths().iter().try_for_each(|place| check("INSERT", place.as_str()))?;
                    }
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

fn check(statement: &str, place: &str) -> Result<()> {
    let Ok(url) = Url::parse(place) else { return Ok(()) };
    check_encrypted(&url).map_err(|why| Error::Setting(format!("{statement} to '{}': {why}", shown(place))).into())
}
