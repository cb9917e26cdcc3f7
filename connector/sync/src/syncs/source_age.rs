//! How old a source is.
//!
//! In: the plan of a query. Out: nothing, or that it is too old: whoever sends a source that stands still sends people who stand still.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_clevertap::file_scan::FileScanExec;

use crate::error::{Error, Result};

/// Refuses a source whose newest file is older than `age_max`.
///
/// # Errors
/// [`Error::Guard`] if it is older; [`Error::Definition`] if it has no file, of which nobody knows the age.
pub(super) fn check(plan: &Arc<dyn ExecutionPlan>, age_max: Duration, sync: &str) -> Result<()> {
    let Some(changed) = newest(plan) else {
        return Err(Error::Definition(format!(
            "sync \"{sync}\": source_age_max looks at the files of the query, and it has none; leave it out, and say the age in the query: \
             WHERE loaded_at > now() - INTERVAL '1 day'"
        )));
    };
    let age = Utc::now() - changed;
    if age > TimeDelta::from_std(age_max).unwrap_or(TimeDelta::MAX) {
        return Err(Error::Guard(format!(
            "sync \"{sync}\": the newest file of its source is of {}, {} ago, and source_age_max is {}; nothing was sent. Write the file anew, or allow \
             an older one",
            changed.format("%Y-%m-%d %H:%M:%S UTC"),
            shown(age.to_std().unwrap_or_default()),
            shown(age_max)
        )));
    }
    Ok(())
}

/// In the greatest unit of which there are two.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} hours", seconds / 3_600),
        120.. => format!("{} minutes", seconds / 60),
        _ => format!("{seconds} seconds"),
    }
}

/// When the newest file below a plan was changed.
fn newest(plan: &Arc<dyn ExecutionPlan>) -> Option<DateTime<Utc>> {
    let own = if let Some(FileScanExec(scan)) = plan.downcast_ref() {
        scan.files().into_iter().flatten().map(|file| file.meta.last_modified).max()
    } else {
        let scan = plan.downcast_ref::<DataSourceExec>().and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        let files = scan.into_iter().flat_map(|scan| &scan.file_groups).flat_map(|group| group.files());
        files.map(|file| file.object_meta.last_modified).max()
    };
    own.into_iter().chain(plan.children().into_iter().filter_map(newest)).max()
}
