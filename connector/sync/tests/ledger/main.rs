//! The ledger as others see it: Python's `deltalake` reads what was written, and writes it again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::Utc;
use datafusion::prelude::SessionContext;
use datafusion_clevertap_sync::hash::{of_key, of_payload};
use datafusion_clevertap_sync::ledger::{Force, Holder, Ledger, LedgerRows, RowFate};
use futures::TryStreamExt;

/// The folder with its programs. `None`, and a line that says why, where it cannot be installed.
fn python() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/delta.sh");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("delta-python");
    let installed = Command::new("bash").arg(script).arg(&folder).output().expect("bash");
    let said = String::from_utf8_lossy(&installed.stderr).into_owned();
    if installed.status.code() == Some(3) {
        // To the stream itself, which is not captured: `.ci/run` counts these lines.
        writeln!(std::io::stderr(), "skipped: {}", said.trim()).expect("stderr");
        return None;
    }
    assert!(installed.status.success(), "{said}");
    Some(folder.join("bin/python"))
}

fn run(python: &Path, script: &str) -> String {
    // The threads of the libraries can abort an interpreter that ends: it leaves without ending.
    let script = format!("{script}\nimport os, sys\nsys.stdout.flush()\nos._exit(0)");
    let ran = Command::new(python).args(["-c", &script]).output().expect("python");
    assert!(ran.status.success(), "{script}\n{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}

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
    let Some(python) = python() else { return };
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
    assert_eq!(run(&python, &read), "257 250 34 1000024 1 True");
    ledger.compact(&lease, Force::Always).await.expect("it is compacted");
    assert_eq!(run(&python, &read), "41 34 34 1000024 1 True");

    // Its compaction writes other files, and no row is lost or changed by ours after it.
    ledger.append_rows(&lease, "run-1", rows(0..3, "last"), Utc::now()).await.expect("it is appended");
    run(&python, &format!("import deltalake\ndeltalake.DeltaTable('{place}/rows').optimize.compact()"));
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
