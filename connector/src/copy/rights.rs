//! COPY over a file of this machine: the new file is read by whom the old one was.
//!
//! In: the writer of a single file. Out: the same rows; when it is written, the file has the access rights of the one that it replaced. A
//! new file has those that the disk gives.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use url::Url;

use crate::single_partition::over_one_partition;
use crate::storage::on_disk;

/// Gives a file the access rights of the one that it replaces.
#[derive(Debug)]
pub(crate) struct KeepRightsExec {
    writer: Arc<dyn ExecutionPlan>,
    file: PathBuf,
}

impl KeepRightsExec {
    /// Around the writer of `place`, where that is a file of this machine.
    pub(crate) fn around(writer: Arc<dyn ExecutionPlan>, place: &ListingTableUrl) -> Arc<dyn ExecutionPlan> {
        match Url::parse(place.as_str()).ok().filter(|url| url.scheme() == "file").and_then(|url| url.to_file_path().ok()) {
            Some(file) => Arc::new(Self { writer, file }),
            None => writer,
        }
    }
}

impl DisplayAs for KeepRightsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepRightsExec")
    }
}

impl ExecutionPlan for KeepRightsExec {
    over_one_partition!("KeepRightsExec", writer, |node, writer| Self { writer, file: node.file.clone() });

    fn properties(&self) -> &Arc<PlanProperties> {
        self.writer.properties()
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (writer, file) = (Arc::clone(&self.writer), self.file.clone());
        let written = async move {
            let older = file.clone();
            let rights =
                on_disk(move || Ok(std::fs::metadata(older).ok().filter(|there| there.is_file()).map(|there| there.permissions()))).await?;
            let rows: Vec<_> = writer.execute(partition, task)?.try_collect().await?;
            if let Some(rights) = rights {
                on_disk(move || std::fs::set_permissions(Path::new(&file), rights)).await?;
            }
            Ok::<_, DataFusionError>(futures::stream::iter(rows).map(Ok))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::once(written).try_flatten())))
    }
}
