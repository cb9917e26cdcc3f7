//! A Delta table that syncs write, as others see it: Python's `deltalake` reads it, and writes it between two runs.

use std::time::Duration;

use clevertap_tests::python::Python;
use datafusion_clevertap_sync::Definition;
use datafusion_clevertap_sync::definition::Window;

use crate::world::{CHARGED, World};

#[tokio::test(flavor = "multi_thread")]
async fn deltalake_of_python_reads_rows_and_cursor_and_what_it_compacts_is_merged_into() {
    let Some(python) = Python::installed(env!("CARGO_TARGET_TMPDIR")) else { return };
    let world = World::new();
    world.charge(&[("a", "2026-11-07 10:00:00"), ("b", "2026-11-08 10:00:00")]).await;
    let mut charged = Definition::new("charged", CHARGED, format!("delta:{}", world.path("charged")));
    charged.key = vec!["id".to_owned()];
    charged.window = Some(Window::Cursor { column: "event_time".to_owned(), look_back: Duration::from_secs(600) });
    world.at("2026-11-08T05:00:00Z").await.run(&charged).await;
    world.charge(&[("c", "2026-11-08 10:40:00")]).await;
    world.at("2026-11-08T06:00:00Z").await.run(&charged).await;
    let read = format!(
        "import deltalake, datetime as d\n\
         t = deltalake.DeltaTable('{}')\n\
         a = t.to_pyarrow_table().sort_by('id')\n\
         c = d.datetime.fromtimestamp(t.transaction_version('clevertap-sync:charged:cursor') / 1e6, d.timezone.utc)\n\
         print(a['id'].to_pylist(), a['event_time'].to_pylist()[-1].isoformat(), a.schema.field('amount').type, c.isoformat(), t.history(1)[0]['clevertap.from'])",
        world.path("charged")
    );
    let seen = "['a', 'b', 'c'] 2026-11-08T05:10:00+00:00 int64 2026-11-08T05:10:00+00:00 2026-11-08T09:50:00+05:30";
    assert_eq!(python.run(&read), seen);

    python.run(&format!("import deltalake\ndeltalake.DeltaTable('{}').optimize.compact()", world.path("charged")));
    world.charge(&[("d", "2026-11-08 10:50:00")]).await;
    let third = world.at("2026-11-08T06:10:00Z").await.run(&charged).await;
    assert_eq!((third.changes.rows, third.changes.new, third.changes.unchanged), (2, 1, 1), "{third:?}");
    assert_eq!(world.ids_of_delta("charged").await, ["a", "b", "c", "d"]);
}
