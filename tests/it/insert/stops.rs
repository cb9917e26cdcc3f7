//! Statements that end early: stopped by hand, dropped, or with a source that breaks.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use clevertap_emulator::{Fault, Settings, What};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion_clevertap::{ClevertapSql, Tally, runs::Status};
use futures::StreamExt;
use parquet::arrow::ArrowWriter;

use crate::world::{TARGETS, Target, World, count, ending, numbered};

/// How a source breaks.
#[derive(Debug, Clone, Copy)]
enum Breaks {
    Error,
    Panic,
}

/// A source that gives 500 rows and then breaks.
#[derive(Debug)]
struct Breaking(SchemaRef, Breaks);

impl PartitionStream for Breaking {
    fn schema(&self) -> &SchemaRef {
        &self.0
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let numbers: Vec<i64> = (1..=500).collect();
        let breaks = self.1;
        let batches = futures::stream::iter([false, true]).map(move |is_end| match (is_end, breaks) {
            (false, _) => Ok(numbered(&numbers)),
            (true, Breaks::Error) => Err(DataFusionError::Execution("the tape was torn".to_owned())),
            (true, Breaks::Panic) => panic!("the row of ada@example.org"),
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.0), batches))
    }
}

fn break_source(world: &World, breaks: Breaks) {
    let schema = numbered(&[]).schema();
    let table = StreamingTable::try_new(Arc::clone(&schema), vec![Arc::new(Breaking(schema, breaks))]).expect("a table");
    let _ = world.ctx.deregister_table("source").expect("a schema");
    let _ = world.ctx.register_table("source", Arc::new(table)).expect("a schema");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_source_stops_and_keeps_its_own_text_first() {
    for target in TARGETS {
        let world = target.world(500);
        break_source(&world, Breaks::Error);
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        let run = world.last_run();
        let error = result.expect_err("torn").to_string();
        assert!(error.contains("the tape was torn"), "{error}");
        assert!(error.find("the tape was torn") < error.find("accepted"), "its own text first: {error}");
        assert_eq!((run.tally.read, run.tally.rejected, run.tally.in_doubt, run.input_complete), (500, 0, 0, false), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_source_stops_as_an_error_does_and_its_text_is_told_nowhere() {
    for target in TARGETS {
        let folder = tempfile::tempdir().expect("a folder");
        let world = target.world(500);
        world.set("failed_rows_to", folder.path().join("failed").display()).await;
        world.fault_once(What::HangBefore);
        world.set("timeout_ms", 1_000).await;
        break_source(&world, Breaks::Panic);
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        let run = world.last_run();
        let error = result.expect_err("it broke off").to_string();
        assert!(error.contains("broke off (a panic)") && !error.contains("ada@"), "{error}");
        assert_eq!((run.tally.read, run.tally.rejected, run.status, run.input_complete), (500, 0, Status::Error, false), "{line}");
        let on_disk = std::fs::read_dir(folder.path().join("failed")).map_or(0, Iterator::count);
        assert_eq!(on_disk > 0, run.tally.accepted < 500, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_parquet_file_that_was_cut_in_half_stops_with_every_row_accounted_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for target in TARGETS {
        let world = target.world(3_000);
        let path = folder.path().join("cut.parquet");
        let file = std::fs::File::create(&path).expect("a file");
        let properties = parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(1_000)).build();
        let mut writer = ArrowWriter::try_new(file, numbered(&[]).schema(), Some(properties)).expect("a writer");
        writer.write(&numbered(&(1..=3_000).collect::<Vec<_>>())).expect("written");
        let meta = writer.close().expect("closed");
        // The last row group's pages are overwritten: the footer still promises them.
        let group = meta.row_group(2).column(0);
        let (start, length) = group.byte_range();
        let mut bytes = std::fs::read(&path).expect("read");
        let span = usize::try_from(start).expect("small")..usize::try_from(start + length).expect("small");
        bytes[span].fill(0xFF);
        std::fs::write(&path, bytes).expect("written");
        let _ = world.ctx.deregister_table("source").expect("a schema");
        world.ctx.register_parquet("source", path.to_str().expect("text"), Default::default()).await.expect("registered");
        let result = world.run(&target.insert("false")).await;
        let line = ending(&world, target, &result);
        let run = world.last_run();
        assert!(result.is_err() && !run.input_complete && run.status == Status::Error, "{line}");
        assert!(run.tally.read <= 2_000, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_statement_lets_what_is_in_flight_end_and_reports_the_rest_as_unsent() {
    for target in TARGETS {
        let rows = target.rows_max();
        let world = target.world_with(30 * rows, Settings { latency_ms: 1_000, ..Settings::default() });
        let insert = target.insert("false");
        let stop = async {
            tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
            world.account.stop(1)
        };
        let (result, stopped) = tokio::join!(world.run(&insert), stop);
        let line = ending(&world, target, &result);
        let run = world.last_run();
        assert!(stopped && result.is_err() && run.status == Status::Stopped && !run.input_complete, "{line}");
        let Tally { accepted, rejected, in_doubt, .. } = run.tally;
        assert!(accepted >= target.start() * rows as u64 && accepted < 30 * rows as u64 && rejected == 0 && in_doubt == 0, "{line}");
        assert!(!world.account.stop(1), "it has ended");
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_statement_waits_for_nothing_and_has_its_evidence_on_the_disk() {
    for target in TARGETS {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = target.rows_max();
        let world = target.world_with(30 * rows, Settings { latency_ms: 1_000, ..Settings::default() });
        world.set("failed_rows_to", folder.path().join("failed").display()).await;
        let insert = target.insert("false");
        let abort = async {
            tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
            (world.account.abort(1), tokio::time::Instant::now())
        };
        let (result, (aborted, at)) = tokio::join!(world.run(&insert), abort);
        assert!(at.elapsed() < std::time::Duration::from_millis(100), "{:?}", at.elapsed());
        let line = ending(&world, target, &result);
        let run = world.last_run();
        assert!(aborted && result.is_err() && run.status == Status::Stopped && !run.input_complete, "{line}");
        let Tally { accepted, in_doubt, unsent, .. } = run.tally;
        assert!(accepted >= target.start() * rows as u64 && in_doubt >= rows as u64 && unsent > 0, "{line}");
        let failed = folder.path().join("failed");
        world.ctx.register_parquet("failed", failed.to_str().expect("text"), Default::default()).await.expect("registered");
        let on_disk = world.rows("SELECT arrow_cast(count(*), 'UInt64') FROM failed").await;
        assert_eq!(count(&on_disk), in_doubt + unsent, "{line}");
        assert!(!world.account.abort(1), "it has ended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_is_stopped_by_hand_while_it_asks_whether_clevertap_is_there_again() {
    let world = Target::Events.world(30_000);
    world.emulator.add_fault(Fault::new(What::Unavailable));
    let insert = Target::Events.insert("false");
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        (world.account.stop(1), tokio::time::Instant::now())
    };
    let (result, (stopped, at)) = tokio::join!(world.run(&insert), stop);
    let line = ending(&world, Target::Events, &result);
    assert!(stopped && at.elapsed() < std::time::Duration::from_secs(5), "{:?}: {line}", at.elapsed());
    assert!(result.is_err_and(|error| error.to_string().contains("stopped by hand")), "{line}");
    let Tally { read, accepted, rejected, in_doubt, unsent } = world.last_run().tally;
    assert!(accepted == 0 && rejected == 0 && in_doubt > 0 && unsent > 0 && in_doubt + unsent == read, "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_settles_in_memory() {
    for target in TARGETS {
        let rows = target.rows_max();
        let world = target.world_with(30 * rows, Settings { latency_ms: 1_000, ..Settings::default() });
        let mut stream = world.ctx.clevertap_sql(&target.insert("false")).await.expect("planned").execute_stream().await.expect("started");
        let ended = tokio::time::timeout(std::time::Duration::from_millis(1_500), stream.next()).await;
        assert!(ended.is_err(), "it still runs");
        drop(stream);
        let run = world.last_run();
        let Tally { read, accepted, rejected, in_doubt, unsent } = run.tally;
        assert_eq!(run.status, Status::Cancelled, "{target:?}");
        assert_eq!(accepted + rejected + in_doubt + unsent, read, "{target:?}: {:?}", run.tally);
        assert!(accepted >= target.start() * rows as u64 && in_doubt >= rows as u64 && rejected == 0, "{target:?}: {:?}", run.tally);
        let stored = target.stored(&world);
        assert!((accepted..=accepted + in_doubt).contains(&stored), "{target:?}: {stored} stored, {:?}", run.tally);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_not_there_cannot_be_stopped() {
    let world = Target::Profiles.world(1);
    assert!(!world.account.stop(1));
}
