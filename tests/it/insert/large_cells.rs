//! Cells of any size: a row that cannot be sent keeps of them what shows whose they are, and no more.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use datafusion::datasource::MemTable;

use crate::world::World;

/// Rows that share one text, as a column of Parquet that unfolds.
const ROWS: usize = 8_192;

fn unfolded(world: &World, bytes: usize) {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["é".repeat(bytes / 2)]));
    let cells = DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0; ROWS]), text);
    let ids: ArrayRef = Arc::new((0..ROWS).map(|n| Some(format!("p{n}"))).collect::<StringArray>());
    let batch = RecordBatch::try_from_iter([("identity", ids), ("bio", Arc::new(cells) as _)]).expect("a batch");
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("a table");
    let _ = world.ctx.register_table("people", Arc::new(table)).expect("registered");
}

#[tokio::test(start_paused = true)]
async fn failed_rows_keep_the_beginning_of_a_cell_of_megabytes() {
    let world = World::new();
    unfolded(&world, 10 << 20);
    world.set("on_reject", "skip").await;
    for (sql, identifier) in [
        ("INSERT INTO clevertap.profiles SELECT identity, bio FROM people", Some("p0")),
        ("INSERT INTO clevertap.profiles SELECT bio AS identity, identity AS \"Number\" FROM people", None),
    ] {
        world.rows(sql).await;
        let run = world.last_run();
        assert_eq!(run.tally.rejected, ROWS as u64, "{sql}");
        let failed = world.account.failed_rows();
        let kept: Vec<_> = failed.iter().filter(|row| row.run_id == run.run_id).collect();
        assert!(kept.iter().all(|row| row.record.len() < 17 << 10 && row.record.contains('…')), "{sql}");
        // 64 MiB hold the last of them, and each is JSON.
        assert!(kept.len() > 3_000, "{}", kept.len());
        assert!(serde_json::from_str::<serde_json::Value>(&kept[0].record).is_ok(), "{sql}");
        assert_eq!(kept.iter().any(|row| row.identifier.is_some()), identifier.is_some(), "{sql}");
    }
}
