//! Beside Python's `deltalake`, which stands for what others use: what it writes is read here, what is written here it reads, the same rows.

use crate::python::{python, run};
use crate::{Folder, external, rows, session, shown};

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_is_read_and_what_is_written_others_read() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let place = folder.path("t").display().to_string();
    let write = format!(
        "import pyarrow as pa, datetime as d, decimal\n\
         from deltalake import write_deltalake, DeltaTable\n\
         n = 500\n\
         t = pa.table({{'id': pa.array(range(n), pa.int64()),\n\
           'txt': [None if i % 7 == 0 else f'é{{i}}' for i in range(n)],\n\
           'dec': pa.array([decimal.Decimal(i) / 4 for i in range(n)], pa.decimal128(10, 2)),\n\
           'at': pa.array([d.datetime(2026, 1, 1, tzinfo=d.timezone.utc) + d.timedelta(microseconds=i) for i in range(n)], pa.timestamp('us', 'UTC')),\n\
           'day': pa.array([d.date(1969, 12, 31) + d.timedelta(days=i) for i in range(n)]),\n\
           'tags': [[str(i), None] for i in range(n)],\n\
           'p': [None if i % 5 == 0 else f'a/ü %{{i % 3}}' for i in range(n)]}})\n\
         write_deltalake('{place}', t, partition_by=['p'])\n\
         write_deltalake('{place}', t.slice(0, 100), mode='append')\n\
         DeltaTable('{place}').delete('id >= 400')\n"
    );
    run(python, &write);
    let ctx = session();
    external(&ctx, "t", "", &place, "").await;
    let digest = "SELECT count(*) AS n, sum(id) AS ids, count(txt) AS txt, sum(dec) AS dec, max(\"at\") AS at, min(day) AS day, count(DISTINCT p) AS p, \
                  sum(array_length(tags)) AS tags FROM t";
    let read = shown(&ctx, digest).await;
    assert!(read.contains("| 500 | 84750 | 427 | 21187.50 | 2026-01-01T00:00:00.000399Z | 1969-12-31 | 3 | 1000 |"), "{read}");
    rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
    rows(&ctx, "INSERT OVERWRITE t SELECT * FROM t WHERE id >= 100").await.unwrap();
    rows(&ctx, "REPLACE INTO t (id, txt, dec, \"at\", day, p) SELECT id, 'new', 0.25, \"at\", day, p FROM t WHERE id < 110").await.unwrap();
    rows(&ctx, "INSERT INTO t (id, txt, p) VALUES (1000, 'last', 'ü')").await.unwrap();
    let theirs = run(
        python,
        &format!(
            "from deltalake import DeltaTable\n\
             t = DeltaTable('{place}').to_pyarrow_table()\n\
             r = sorted(t.to_pylist(), key=lambda r: r['id'])\n\
             print(len(r), sum(x['id'] for x in r), sum(x['txt'] == 'new' for x in r), r[-1]['txt'], r[-1]['p'], r[0]['tags'], r[0]['dec'])"
        ),
    );
    assert_eq!(theirs, "301 75850 10 last ü ['100', None] 0.25");
    let ours = shown(&ctx, "SELECT count(*), sum(id), count(*) FILTER (WHERE txt = 'new') FROM t").await;
    assert!(ours.contains("| 301      | 75850     | 10"), "{ours}");
}

/// A compaction changes no row, and takes the files away that a statement stands on: rows would be there twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_meanwhile_doubles_no_row() {
    let Some(python) = python() else { return };
    for statement in
        ["REPLACE INTO t VALUES (1, 'new'), (9, 'new')", "INSERT OVERWRITE t VALUES (1, 'new')", "INSERT INTO t VALUES (9, 'new')"]
    {
        let folder = Folder::new();
        let ctx = folder.table("(id BIGINT, name VARCHAR)").await;
        rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
        for id in 0..4 {
            rows(&ctx, &format!("INSERT INTO t VALUES ({id}, 'old')")).await.unwrap();
        }
        let plan = ctx.sql(statement).await.unwrap().create_physical_plan().await.unwrap();
        run(
            python,
            &format!("from deltalake import DeltaTable\nprint(DeltaTable('{}').optimize.compact()['numFilesRemoved'])", folder.place()),
        );
        let written = datafusion::physical_plan::collect(plan, ctx.task_ctx()).await;
        let found = shown(&ctx, "SELECT count(*), count(DISTINCT id) FROM t").await;
        match written {
            // An append stands on no file.
            Ok(_) => assert!(statement.starts_with("INSERT INTO") && found.contains("| 5        | 5"), "{statement}: {found}"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("another writer changed rows") && error.ends_with("[DB-303]"), "{statement}: {error}");
                assert!(found.contains("| 4        | 4"), "{statement}: {found}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_here_with_each_type_is_the_same_to_others() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let place = folder.path("t").display().to_string();
    let ctx = session();
    external(
        &ctx,
        "t",
        "(b BOOLEAN, i8 TINYINT, i64 BIGINT, f REAL, d DOUBLE, n DECIMAL(38, 10), s VARCHAR, y BYTEA, day DATE, at TIMESTAMP, z TIMESTAMP WITH TIME ZONE)",
        &place,
        "",
    )
    .await;
    rows(
        &ctx,
        "INSERT INTO t SELECT true, (-128)::tinyint, 9223372036854775807, 1.5::real, 'NaN'::double, 1.0000000001::decimal(38, 10), 'ü😀', decode('00ff', 'hex'), \
         DATE '1899-12-31', TIMESTAMP '2026-01-01T00:00:00.000001', TIMESTAMP '2026-01-01T05:30:00.5+05:30'",
    )
    .await
    .unwrap();
    let theirs = run(
        python,
        &format!(
            "from deltalake import DeltaTable\nt = DeltaTable('{place}')\n\
             print([f.type.type if hasattr(f.type, 'type') else str(f.type) for f in t.schema().fields])\n\
             print(t.to_pyarrow_table().to_pylist())"
        ),
    );
    assert!(
        theirs.starts_with(
            "['boolean', 'byte', 'long', 'float', 'double', 'decimal(38,10)', 'string', 'binary', 'date', 'timestamp_ntz', 'timestamp']"
        ),
        "{theirs}"
    );
    for value in [
        "'b': True, 'i8': -128, 'i64': 9223372036854775807, 'f': 1.5, 'd': nan, 'n': Decimal('1.0000000001'), 's': 'ü😀', 'y': b'\\x00\\xff'",
        "datetime.date(1899, 12, 31)",
        "'at': datetime.datetime(2026, 1, 1, 0, 0, 0, 1)",
        "'z': datetime.datetime(2026, 1, 1, 0, 0, 0, 500000, tzinfo=",
    ] {
        assert!(theirs.contains(value), "{value}: {theirs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_and_we_write_at_once_and_every_row_is_there_once() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let place = folder.path("t").display().to_string();
    let ctx = session();
    external(&ctx, "t", "(id BIGINT, who VARCHAR)", &place, "").await;
    let script = format!(
        "import pyarrow as pa\nfrom deltalake import write_deltalake\n\
         for r in range(12):\n  write_deltalake('{place}', pa.table({{'id': range(r * 100, r * 100 + 100), 'who': ['them'] * 100}}), mode='append')"
    );
    let theirs = tokio::task::spawn_blocking(move || run(python, &script));
    for round in 0..12 {
        rows(&ctx, &format!("INSERT INTO t SELECT value, 'us' FROM range({round}00, {round}00 + 100)")).await.unwrap();
    }
    theirs.await.unwrap();
    let found = shown(&ctx, "SELECT who, count(*) AS n, count(DISTINCT id) AS ids FROM t GROUP BY who ORDER BY who").await;
    assert!(found.contains("| them | 1200 | 1200 |") && found.contains("| us   | 1200 | 1200 |"), "{found}");
}
