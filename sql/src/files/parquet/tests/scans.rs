//! What a scan leaves out, and rows of mixed files on their way to CleverTap.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, Date32Array, Date64Array, Decimal128Array, DictionaryArray, Float64Array, TimestampMillisecondArray,
        TimestampNanosecondArray,
    },
    datatypes::Int32Type,
};
use clevertap_emulator::SeedPerson;

use super::{
    super::super::test_files::Files,
    folders::{UUID, uuids},
    ints, parquet, small, texts,
};
use crate::world::World;

/// Two files of 5,000 rows in row groups of 1,000: `n` of 32 and of 64 bits, `at` in milli- and in nanoseconds.
fn large() -> Files {
    let row = |range: std::ops::Range<i64>| range.collect::<Vec<i64>>();
    let pads = |rows: usize| texts(&vec!["padding"; rows]);
    let a = row(0..5_000).iter().map(|n| i32::try_from(*n).unwrap()).collect::<Vec<_>>();
    let ms: ArrayRef = Arc::new(TimestampMillisecondArray::from(row(0..5_000)));
    let ns: ArrayRef = Arc::new(TimestampNanosecondArray::from(row(5_000..10_000).iter().map(|n| n * 1_000_000).collect::<Vec<_>>()));
    Files::new(&[
        ("a.parquet", &parquet(vec![("n", small(&a)), ("at", ms), ("pad", pads(5_000))])),
        ("b.parquet", &parquet(vec![("n", ints(&row(5_000..10_000))), ("at", ns), ("pad", pads(5_000))])),
    ])
}

#[tokio::test]
async fn filters_and_projections_reach_files_of_mixed_types_and_row_groups_are_left_out() {
    let files = large();
    files.run("SET datafusion.execution.target_partitions = 1").await;
    for (condition, expected) in
        [("n = 2500", "2500"), ("at = TIMESTAMP '1970-01-01T00:00:02.500'", "2500"), ("n > 9998", "9999"), ("n = 5000", "5000")]
    {
        let plan = files.run(&format!("EXPLAIN SELECT n FROM '@/' WHERE {condition}")).await;
        assert!(plan.contains("file_type=parquet, predicate=") && !plan.contains("pad"), "{plan}");
        assert_eq!(files.run(&format!("SELECT n FROM '@/' WHERE {condition}")).await, format!("n Int64; {expected}"));
        let done = files.run(&format!("EXPLAIN ANALYZE SELECT n FROM '@/' WHERE {condition}")).await;
        assert!(done.contains("row_groups_pruned_statistics=5 total → 1 matched"), "{condition}: {done}");
        assert!(done.contains("files_ranges_pruned_statistics=2 total → 1 matched"), "{condition}: {done}");
    }
    // Answered by what the footers say.
    let plan = files.run("EXPLAIN SELECT count(*), min(n), max(n), min(at) FROM '@/'").await;
    assert!(!plan.contains("DataSourceExec"), "{plan}");
    assert_eq!(
        files.run("SELECT count(*) AS c, min(n) AS low, max(n) AS high, max(at) AS at FROM '@/'").await,
        "c Int64, low Int64, high Int64, at Timestamp(ns); 10000 0 9999 1970-01-01T00:00:09.999"
    );
}

#[tokio::test]
async fn conditions_mean_the_same_whether_files_are_filtered_while_they_are_read_or_later() {
    let files = large();
    let mut answers = Vec::new();
    for (pushdown, partitions) in [("false", 1), ("true", 1), ("true", 4)] {
        files.run(&format!("SET datafusion.execution.parquet.pushdown_filters = {pushdown}")).await;
        files.run(&format!("SET datafusion.execution.target_partitions = {partitions}")).await;
        files.run("SET datafusion.optimizer.repartition_file_min_size = 1").await;
        answers.push(files.run("SELECT count(*) AS c, sum(n) AS s, min(at) AS at FROM '@/' WHERE n % 7 = 3 AND at > TIMESTAMP '1970-01-01T00:00:04.990' AND pad LIKE 'pad%'").await);
    }
    assert!(answers[0].contains("; 716 5367494"), "{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn an_instant_that_nanoseconds_do_not_reach_is_an_error_and_not_null() {
    let far: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![253_402_300_799_000]));
    let files = Files::new(&[
        ("a.parquet", &parquet(vec![("at", far)])),
        ("b.parquet", &parquet(vec![("at", Arc::new(TimestampNanosecondArray::from(vec![1])) as ArrayRef)])),
    ]);
    let said = files.read("").await;
    assert!(said.contains("a.parquet, column \"at\": an instant is out of reach of the finer unit that other files have"), "{said}");
    assert_eq!(
        files.run(&format!("SELECT at FROM {}", said.rsplit_once("FROM ").unwrap().1)).await,
        "at Timestamp(ms); 9999-12-31T23:59:59"
    );
    // Where it is not known before.
    files.run("SET datafusion.execution.collect_statistics = false").await;
    for query in ["SELECT * FROM '@/'", "SELECT * FROM '@/' WHERE at > TIMESTAMP '2020-01-01'", "SELECT max(at) FROM '@/'"] {
        let said = files.run(query).await;
        assert!((said.contains("exceeds") || said.contains("Overflow")) && !said.contains("253402300799"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn rejected_rows_of_mixed_files_say_their_file_and_their_row() {
    let world = World::new();
    let of = |ids: ArrayRef, email: &[&str]| parquet(vec![("identity", ids), ("email", texts(email))]);
    let files = Files::of(
        &[
            ("in/a.parquet", &of(small(&[1, 2]), &["a@example.org", "none"])),
            ("in/b.parquet", &of(ints(&[3, 4, 5]), &["none", "b@example.org", "none"])),
            ("in/c.parquet", &parquet(vec![("identity", ints(&[6]))])),
        ],
        Some(world.reopen()),
    );
    files.run("SET clevertap.on_reject = 'skip'").await;
    files.run("INSERT INTO clevertap.profiles SELECT identity, email FROM '@/in/'").await;
    assert_eq!(
        files
            .run("SELECT identifier, regexp_replace(source_file, '.*/', '') AS file, source_row FROM clevertap.failed_rows ORDER BY 1")
            .await,
        "identifier Utf8View, file Utf8View, source_row UInt64; 2 a.parquet 2; 3 b.parquet 1; 5 b.parquet 3"
    );
}

#[tokio::test(start_paused = true)]
async fn uuids_and_widened_numbers_are_loaded_and_erased_as_they_are_read() {
    let world = World::new();
    let id = "61616161-6262-4ac3-a961-626364656667";
    world.emulator.seed(|seeder| {
        for identity in [id, "7", "8"] {
            seeder.person(SeedPerson { identity: Some(identity), ..SeedPerson::default() });
        }
    });
    let files = Files::of(
        &[
            ("ids/a.parquet", &uuids(&[UUID])),
            ("numbers/a.parquet", &parquet(vec![("id", small(&[7]))])),
            ("numbers/b.parquet", &parquet(vec![("id", ints(&[8]))])),
        ],
        Some(world.reopen()),
    );
    files.run("INSERT INTO clevertap.profiles SELECT id AS identity, id AS \"Key\" FROM '@/ids/'").await;
    let body = world.sent_to("/1/upload").pop().unwrap();
    assert!(body.contains(&format!("\"identity\":\"{id}\"")) && body.contains(&format!("\"Key\":\"{id}\"")), "{body}");
    files.run("DELETE FROM clevertap.profiles WHERE identity IN (SELECT id FROM '@/ids/')").await;
    files.run("DELETE FROM clevertap.profiles WHERE identity IN (SELECT id FROM '@/numbers/')").await;
    let erased = world.sent_to("/1/delete/profiles.json").join(" ");
    assert!([id, "\"7\"", "\"8\""].iter().all(|identity| erased.contains(identity)), "{erased}");
}

#[tokio::test]
async fn rows_are_added_to_a_folder_and_read_back_with_its_columns() {
    let files = Files::new(&[("out/day=1/a.parquet", &parquet(vec![("id", ints(&[1]))]))]);
    files.run("INSERT INTO '@/out/' VALUES (2, 20)").await;
    assert_eq!(files.read("out/").await, "id Int64, day Int64; 1 1; 2 20");
}

#[tokio::test]
async fn a_comparison_with_a_value_between_those_of_a_narrow_file_is_that_of_the_wide_type() {
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![1, 2, 3]));
    let days: ArrayRef = Arc::new(Date64Array::from(vec![86_400_000 * 2, 86_400_000 * 5 / 2]));
    let ms: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1, 2, 3]));
    let zoned: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1, 2, 3]).with_timezone("UTC"));
    let ns: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![2_000_000, 2_000_500]));
    let zoned_ns: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![2_000_000, 2_000_500]).with_timezone("UTC"));
    let decimal = |values: &[i128], scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values.to_vec()).with_precision_and_scale(10, scale).unwrap())
    };
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![2.0, 2.5]));
    let dictionary: DictionaryArray<Int32Type> = vec!["a", "b"].into_iter().collect();
    for (narrow, wide, literals) in [
        (small(&[1, 2, 3]), ints(&[2, 3_000_000_000]), &["2", "3000000000", "-3000000000", "2.5"][..]),
        (small(&[1, 2, 3]), floats, &["2", "2.5", "1e300"]),
        (
            ms,
            ns,
            &[
                "TIMESTAMP '1970-01-01T00:00:00.001000500'",
                "TIMESTAMP '1970-01-01T00:00:00.002'",
                "TIMESTAMP '1970-01-01T00:00:00.002000500'",
                "TIMESTAMP '2500-01-01'",
            ],
        ),
        (zoned, zoned_ns, &["'1970-01-01T00:00:00.002Z'::timestamptz", "'1970-01-01T00:00:00.002000500Z'::timestamptz"]),
        (dates, days, &["DATE '1970-01-03'", "TIMESTAMP '1970-01-03T12:00:00'"]),
        (decimal(&[125, 250, 375], 2), decimal(&[12_345, 25_000], 4), &["1.25", "1.2345", "2.5", "2", "0.12345"]),
        (small(&[1, 2, 3]), decimal(&[12_345, 20_000], 4), &["1.2345", "2", "2.5"]),
        (Arc::new(dictionary) as ArrayRef, texts(&["b", "c"]), &["'b'", "'bb'", "''"]),
    ] {
        let (from, to) = (narrow.data_type().clone(), wide.data_type().clone());
        let files = Files::new(&[("in/a.parquet", &parquet(vec![("v", narrow)])), ("in/b.parquet", &parquet(vec![("v", wide)]))]);
        files.run("CREATE TABLE m AS SELECT * FROM '@/in/'").await;
        for pushdown in ["false", "true"] {
            files.run(&format!("SET datafusion.execution.parquet.pushdown_filters = {pushdown}")).await;
            for literal in literals {
                for operator in ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"] {
                    let of = |table: &str| format!("SELECT v FROM {table} WHERE v {operator} {literal} ORDER BY v");
                    let (read, kept) = (files.run(&of("'@/in/'")).await, files.run(&of("m")).await);
                    let rows = |text: &str| text.split_once("; ").map_or(String::new(), |(_, rows)| rows.to_owned());
                    assert_eq!(rows(&read), rows(&kept), "{from} and {to}, v {operator} {literal}, {pushdown}: {read} {kept}");
                }
            }
        }
    }
}
