//! Faults: the store fails at any request, an answer is lost, a process is killed. The table is as before or as after.

use std::fmt;
use std::ops::Range;
use std::path::Path as File;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use url::Url;

use crate::{Folder, external, rows, session, shown};

/// What happens at the request that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It is not done, and the next ones are.
    Refused,
    /// It is not done, and neither are the next ones.
    Gone,
    /// It is done, and its answer is lost.
    Lost,
    /// It is done, its answer is lost, and the store's client asks again.
    Again,
}

/// A store that fails once, or from then on.
#[derive(Debug)]
struct Faulty {
    store: LocalFileSystem,
    fault: Fault,
    /// Requests that go through before.
    left: AtomicI64,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    /// Whether it is this request's turn.
    fn is_due(&self) -> bool {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        left == 0 || left < 0 && self.fault == Fault::Gone
    }

    fn failed() -> Error {
        Error::Generic { store: "Faulty", source: "the connection was cut".into() }
    }

    fn check(&self) -> Result<()> {
        if self.is_due() { Err(Self::failed()) } else { Ok(()) }
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !self.is_due() {
            return self.store.put_opts(location, payload, options).await;
        }
        match self.fault {
            Fault::Refused | Fault::Gone => Err(Self::failed()),
            Fault::Lost => self.store.put_opts(location, payload, options).await.and(Err(Self::failed())),
            Fault::Again => {
                self.store.put_opts(location, payload.clone(), options.clone()).await?;
                self.store.put_opts(location, payload, options).await
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check()?;
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.check() {
            Ok(()) => self.store.delete_stream(locations),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check() {
            Ok(()) => self.store.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check() {
            Ok(()) => self.store.list_with_offset(prefix, offset),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check()?;
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check()?;
        self.store.copy_opts(from, to, options).await
    }
}

fn seeds() -> u64 {
    std::env::var("CLEVERTAP_SEEDS").map_or(20, |seeds| seeds.parse().expect("a number"))
}

const ROWS: &str = "SELECT id, n, p FROM t ORDER BY id, n, p";

fn copy(from: &File, to: &File) {
    std::fs::create_dir_all(to).expect("a file");
    for entry in std::fs::read_dir(from).expect("a file") {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("a file");
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).expect("a file");
        }
    }
}

async fn opened(ctx: &SessionContext, place: &File) -> datafusion::error::Result<()> {
    rows(ctx, &crate::statement("t", "", &place.display().to_string(), "")).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_at_any_request_leaves_the_table_as_before_or_as_after() {
    let (mut written, mut failed, mut doubt) = (0, 0, 0);
    for seed in 1..=seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let folder = Folder::new();
        let (place, copied) = (folder.path("t"), folder.path("copy"));
        let ctx = session();
        external(&ctx, "t", "(id BIGINT, n BIGINT, p VARCHAR) PARTITIONED BY (p)", &place.display().to_string(), "").await;
        for part in 0..rng.random_range(1..12) {
            rows(&ctx, &format!("INSERT INTO t SELECT value, {part}, concat('p', value % 3) FROM range({part}00, {part}50)"))
                .await
                .unwrap();
        }
        let source = format!("SELECT value, {seed}, concat('p', value % 2) FROM range(20, {})", rng.random_range(21..900));
        let (set, write) = [
            ("database.overwrite = 'table'", "INSERT INTO"),
            ("database.upsert_key = 'id, p'", "REPLACE INTO"),
            ("database.overwrite = 'table'", "INSERT OVERWRITE"),
            ("database.overwrite = 'partitions'", "INSERT OVERWRITE"),
        ][rng.random_range(0..4)];
        let sql = format!("{write} t {source}");
        let before = shown(&ctx, ROWS).await;
        copy(&place, &copied);
        let healthy = session();
        opened(&healthy, &copied).await.unwrap();
        rows(&healthy, &format!("SET {set}")).await.unwrap();
        rows(&healthy, &sql).await.unwrap_or_else(|error| panic!("seed {seed}: {sql}: {error}"));
        let after = shown(&healthy, ROWS).await;
        let fault = [Fault::Refused, Fault::Gone, Fault::Lost, Fault::Again][rng.random_range(0..4)];
        let store = Faulty { store: LocalFileSystem::new(), fault, left: AtomicI64::new(rng.random_range(0..30)) };
        let faulty = session();
        faulty.register_object_store(&Url::parse("file://").unwrap(), Arc::new(store));
        let outcome = match opened(&faulty, &place).await {
            Ok(()) => {
                rows(&faulty, &format!("SET {set}")).await.unwrap();
                rows(&faulty, &sql).await.map(drop)
            }
            Err(error) => Err(error),
        };
        let found = shown(&ctx, ROWS).await;
        assert!(found == before || found == after, "seed {seed}, {fault:?}: {sql}: {outcome:?}");
        match outcome {
            Ok(()) => assert_eq!(found, after, "seed {seed}, {fault:?}: {sql}"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.ends_with(']'), "seed {seed}, {fault:?}: {sql}: {error}");
                match error.ends_with("[DB-401]") {
                    true => doubt += 1,
                    false => assert_eq!(found, before, "seed {seed}, {fault:?}: {sql}: {error}"),
                }
                failed += 1;
            }
        }
        written += u64::from(found == after);
    }
    println!("{written} written, {failed} failed, {doubt} of them in doubt, of {}", seeds());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_not_made_twice() {
    for fault in [Fault::Again, Fault::Lost] {
        let mut seen = 0;
        for left in 0..40 {
            let folder = Folder::new();
            let ctx = folder.table("(id BIGINT)").await;
            let faulty = session();
            let store = Faulty { store: LocalFileSystem::new(), fault, left: AtomicI64::new(left) };
            faulty.register_object_store(&Url::parse("file://").unwrap(), Arc::new(store));
            if opened(&faulty, File::new(&folder.place())).await.is_err() {
                continue;
            }
            let written = rows(&faulty, "INSERT INTO t SELECT value FROM range(0, 10)").await;
            let count = ctx.sql("SELECT * FROM t").await.unwrap().count().await.unwrap();
            assert!(count == if written.is_ok() { 10 } else { 0 }, "{fault:?} at {left}: {count} rows, {written:?}");
            seen += usize::from(written.is_ok());
        }
        assert!(seen > 5, "{fault:?}");
    }
}

const CHILD: &str = "CLEVERTAP_DELTA_CHILD";

/// Not a test of its own: what the next one starts and kills.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_writes_until_it_is_killed() {
    let Ok(place) = std::env::var(CHILD) else { return };
    let ctx = session();
    opened(&ctx, File::new(&place)).await.unwrap();
    rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
    for round in 0..10_000 {
        let write = if round % 2 == 0 { "INSERT INTO" } else { "REPLACE INTO" };
        let from = round / 2 * 1_000;
        rows(&ctx, &format!("{write} t SELECT value, {round} FROM range({from}, {from} + 1000)")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_leaves_the_table_as_before_or_as_after() {
    let mut rng = StdRng::seed_from_u64(3);
    for round in 0..seeds().div_ceil(4) {
        let folder = Folder::new();
        let ctx = folder.table("(id BIGINT, n BIGINT)").await;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::a_child_that_writes_until_it_is_killed"])
            .env(CHILD, folder.place())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(rng.random_range(300..2_500))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let torn = "SELECT n, count(*) AS c FROM t GROUP BY n HAVING count(*) <> 1000";
        assert_eq!(ctx.sql(torn).await.unwrap().count().await.unwrap(), 0, "round {round}: {}", shown(&ctx, torn).await);
        let twice = "SELECT id FROM t GROUP BY id HAVING count(*) <> 1";
        assert_eq!(ctx.sql(twice).await.unwrap().count().await.unwrap(), 0, "round {round}");
        // And the next writer goes on.
        rows(&ctx, "INSERT INTO t VALUES (-1, -1)").await.unwrap();
    }
}
