//! The ledger as others see it: Python's `deltalake` reads what was written, and writes it again.

use chrono::Utc;
use clevertap_tests::python::Python;
use datafusion::prelude::SessionContext;
use datafusion_clevertap_sync::hash::{of_key, of_payload};
use datafusion_clevertap_sync::ledger::{Force, Holder, Ledger, LedgerRows, RowFate};
use futures::TryStreamExt;

fn rows(keys: std::ops::Range<u32>, payload: &str) -> LedgerRows {
    let mut rows = LedgerRows::new();
    for key in keys {
        let key = format!("key-{key}");
        rows.push(&key, &of_key(&key), &of_payload(payload.as_bytes()), RowFate::Accepted, None, false);
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn deltalake_of_python_reads_the_same_rows_and_what_it_optimises_is_read() {
    let Some(python) = Python::installed(env!("CARGO_TARGET_TMPDIR")) else { return };
    let disk = tempfile::tempdir().expect("a folder");
    let place = disk.path().join("state").display().to_string();
    let ledger = Ledger::open(&place, &SessionContext::new().state()).await.expect("a ledger");
    let lease = ledger.acquire("buyers", Holder::current()).await.expect("a lease");
    for commit in 0..25_u32 {
        ledger.append_rows(&lease, "run-1", rows(commit..commit + 10, &commit.to_string()), Utc::now()).await.expect("it is appended");
    }
    let other = ledger.acquire("others", Holder::current()).await.expect("a lease");
    ledger.append_rows(&other, "run-2", rows(0..7, "other"), Utc::now()).await.expect("it is appended");

    let read = format!(
        "import deltalake, pyarrow.compute as pc\n\
         t = deltalake.DeltaTable('{place}/rows')\n\
         a = t.to_pyarrow_table()\n\
         b = a.filter(pc.equal(a['sync'], 'buyers'))\n\
         print(a.num_rows, b.num_rows, pc.count_distinct(b['key']).as_py(), pc.max(b['seq']).as_py(), t.transaction_version('clevertap-sync:buyers'), \
         sorted(a.schema.names) == sorted(['sync','key','key_hash','payload_hash','fate','code','run_id','seq','updated_at','removed']))"
    );
    assert_eq!(python.run(&read), "257 250 34 1000024 1 True");
    ledger.compact(&lease, Force::Always).await.expect("it is compacted");
    assert_eq!(python.run(&read), "41 34 34 1000024 1 True");

    // Its compaction writes other files, and no row is lost or changed by ours after it.
    ledger.append_rows(&lease, "run-1", rows(0..3, "last"), Utc::now()).await.expect("it is appended");
    python.run(&format!("import deltalake\ndeltalake.DeltaTable('{place}/rows').optimize.compact()"));
    let count = async || {
        let batches: Vec<_> = ledger.rows("buyers").await.expect("rows").expect("some").try_collect().await.expect("they are read");
        batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>()
    };
    assert_eq!(count().await, 37);
    assert_eq!(ledger.compact(&lease, Force::Always).await.expect("it is compacted").after, 34);
    assert_eq!(count().await, 34);
    let log = std::fs::read_dir(disk.path().join("state/rows/_delta_log")).expect("the log");
    for file in log.map(|file| file.expect("a file").path()).filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let text = std::fs::read_to_string(&file).expect("a commit");
        assert!(!text.contains("key-1"), "{}: a key stands in the log", file.display());
    }
}
