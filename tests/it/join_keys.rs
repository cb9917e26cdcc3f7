//! What a scan is asked for comes from a join or a subquery: keys, names of events, days. Whatever the join is, and however DataFusion runs it.

use std::sync::Arc;

use arrow::array::{Date32Array, RecordBatch, StringArray};
use chrono_tz::Tz;
use clevertap_emulator::Settings;
use datafusion::datasource::MemTable;

use crate::seed::{SMALL, Size, lines, seeded};
use crate::world::World;

/// A world with a table `wanted(id, mail, name, day)`: people twice, one that nobody has, a wrong address and NULL; two events, two days.
fn world() -> World {
    let world = seeded(SMALL, Tz::America__New_York, Settings::default(), |_| {});
    let mut rows: Vec<(Option<String>, Option<String>)> =
        [1, 2, 3, 4, 1, 2].iter().map(|n| (Some(format!("p{n}")), Some(format!("p{n}+news@example.org")))).collect();
    rows.extend([(Some("p5".into()), Some("p6+news@example.org".into())), (Some("nobody".into()), None), (None, None)]);
    let texts = |of: &dyn Fn(usize) -> Option<String>| Arc::new((0..rows.len()).map(of).collect::<StringArray>()) as _;
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("id", texts(&|row| rows[row].0.clone()), true),
        ("mail", texts(&|row| rows[row].1.clone()), true),
        ("event", texts(&|row| Some(["Charged", "App Launched"][row % 2].to_owned())), true),
        (
            "day",
            Arc::new(Date32Array::from_iter((0..rows.len()).map(|row| Some(20_460 + i32::try_from(row).expect("a day") % 2)))) as _,
            true,
        ),
    ])
    .expect("a batch");
    let table = MemTable::try_new(batch.schema(), vec![vec![batch.slice(0, 5)], vec![batch.slice(5, 4)]]).expect("a table");
    let _ = world.ctx.register_table("wanted", Arc::new(table)).expect("registered");
    world
}

/// How DataFusion may be told to run a join.
const WAYS: &[&[(&str, &str)]] = &[
    &[],
    &[("optimizer.prefer_hash_join", "false")],
    &[("execution.target_partitions", "1")],
    &[("optimizer.hash_join_inlist_pushdown_max_distinct_values", "1"), ("optimizer.hash_join_inlist_pushdown_max_size", "1")],
    &[("optimizer.enable_dynamic_filter_pushdown", "false")],
    &[("optimizer.hash_join_single_partition_threshold", "0"), ("optimizer.hash_join_single_partition_threshold_rows", "0")],
    &[("optimizer.join_reordering", "false"), ("execution.batch_size", "2")],
];

async fn with(world: &World, way: &[(&str, &str)]) {
    for (option, value) in way {
        world.rows(&format!("SET datafusion.{option} = {value}")).await;
    }
}

/// Look-ups and exports since the last time.
fn asked(world: &World) -> (usize, usize) {
    let sent = world.sent();
    world.forget_sent();
    let to = |path: &str| sent.iter().filter(|call| call.path.starts_with(path)).count();
    (to("/1/profile.json"), to("/1/events.json") + to("/1/profiles.json"))
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_join_looks_each_key_up_once() {
    for way in WAYS {
        let world = world();
        with(&world, way).await;
        world.forget_sent();
        for (join, keys, rows) in [
            ("SELECT w.mail, p.name FROM wanted w JOIN {people} p ON p.identity = w.id", 6, 7),
            ("SELECT w.mail, p.name FROM {people} p JOIN wanted w ON p.identity = w.id", 6, 7),
            ("SELECT w.mail, p.name FROM wanted w LEFT JOIN {people} p ON p.identity = w.id", 6, 9),
            ("SELECT w.mail, p.name FROM {people} p RIGHT JOIN wanted w ON p.identity = w.id", 6, 9),
            ("SELECT w.mail, p.name FROM wanted w JOIN {people} p ON p.identity = w.id AND p.email = w.mail", 6, 6),
            ("SELECT w.mail, p.name FROM wanted w JOIN {people} p ON p.email = w.mail AND p.name > w.id", 5, 0),
            ("SELECT w.mail, p.name FROM wanted w JOIN {people} p ON p.identity = w.id AND p.name <> w.event", 6, 7),
            ("SELECT w.mail FROM wanted w WHERE EXISTS (SELECT 1 FROM {people} p WHERE p.identity = w.id)", 6, 7),
            ("SELECT w.mail, w.id FROM wanted w WHERE NOT EXISTS (SELECT 1 FROM {people} p WHERE p.identity = w.id)", 6, 2),
            ("SELECT p.name FROM {people} p WHERE EXISTS (SELECT 1 FROM wanted w WHERE p.identity = w.id)", 6, 5),
            ("SELECT p.name FROM {people} p WHERE p.identity IN (SELECT id FROM wanted)", 6, 5),
            ("SELECT w.id FROM wanted w WHERE w.id IN (SELECT identity FROM {people} WHERE identity IS NOT NULL)", 6, 7),
            ("SELECT w.id FROM wanted w WHERE w.id NOT IN (SELECT identity FROM {people} WHERE identity IS NOT NULL)", 6, 1),
            ("SELECT w.id FROM wanted w WHERE w.event = 'Charged' OR w.id IN (SELECT identity FROM {people})", 6, 8),
            ("SELECT w.id FROM wanted w JOIN (SELECT DISTINCT identity FROM {people} WHERE name <> 'x') p ON p.identity = w.id", 6, 7),
            (
                "SELECT w.id, p.n FROM wanted w JOIN (SELECT identity, count(*) AS n FROM {people} GROUP BY identity) p ON p.identity = w.id",
                6,
                7,
            ),
            (
                "SELECT p.identity FROM {people} p JOIN (SELECT DISTINCT identity FROM {events} WHERE event_name = 'Charged' AND event_date = '2026-01-05') e ON e.identity = p.identity JOIN wanted w ON w.id = p.identity",
                0,
                3,
            ),
            ("SELECT p.name FROM {people} p WHERE p.identity = (SELECT max(id) FROM wanted WHERE id <> 'nobody')", 1, 1),
            ("SELECT p.name, q.name FROM wanted w JOIN {people} p ON p.identity = w.id JOIN {people} q ON q.email = p.email", 11, 7),
            ("SELECT a.id FROM wanted a JOIN wanted b ON a.id = b.id JOIN {people} p ON p.identity = b.id WHERE a.day <= b.day", 6, 11),
        ] {
            assert_eq!(world.same(join).await, rows, "{way:?}\n{join}");
            let (looked_up, _) = asked(&world);
            assert!(keys == 0 || looked_up == keys, "{way:?}\n{join}\n{looked_up} look-ups, not {keys}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_and_days_of_exports_come_from_joins_and_subqueries() {
    for way in WAYS {
        let world = world();
        with(&world, way).await;
        world.rows("CREATE TABLE nothing AS SELECT 'x' AS event, DATE '2026-01-01' AS day WHERE false").await;
        for query in [
            "SELECT identity, event_name FROM {events} WHERE event_name IN (SELECT event FROM wanted) AND DAYS",
            "SELECT identity FROM {events} e JOIN (VALUES ('Charged'), ('Viewed Item')) v(n) ON e.event_name = v.n WHERE DAYS",
            "SELECT e.identity, w.id FROM {events} e JOIN wanted w ON e.event_name = w.event AND e.event_date = w.day",
            "SELECT e.identity FROM {events} e WHERE EXISTS (SELECT 1 FROM wanted w WHERE w.event = e.event_name AND w.id = e.identity) AND DAYS",
            "SELECT identity FROM {events} WHERE CHARGED AND event_date IN (SELECT day FROM wanted)",
            "SELECT identity FROM {events} WHERE CHARGED AND event_date = (SELECT max(day) FROM wanted)",
            "SELECT identity FROM {events} WHERE CHARGED AND event_date >= (SELECT min(day) FROM wanted) AND event_date <= (SELECT max(day) FROM wanted)",
            "SELECT identity FROM {events} WHERE CHARGED AND event_date BETWEEN (SELECT min(day) FROM wanted) AND '2026-01-09'",
            "SELECT identity FROM {events} WHERE CHARGED AND event_time >= (SELECT min(day) FROM wanted) AND event_date < '2026-01-12'",
            "SELECT identity FROM {events} WHERE CHARGED AND event_time::date IN (SELECT day FROM wanted)",
            "SELECT identity FROM {events} WHERE event_name = (SELECT min(event) FROM wanted) AND event_date > (SELECT max(day) - interval '3 days' FROM wanted) AND event_date < '2026-01-12'",
            "SELECT identity FROM {events} WHERE event_name IN (SELECT event FROM nothing) AND DAYS",
            "SELECT identity FROM {events} WHERE event_name IN (SELECT event FROM wanted) AND event_date IN (SELECT day FROM wanted)",
            "SELECT identity FROM {events} WHERE event_name IN (VALUES ('Charged')) AND EXISTS (SELECT 1 FROM wanted WHERE day = event_date)",
            "SELECT e.identity FROM {events} e JOIN (SELECT DISTINCT event FROM wanted) a ON a.event = e.event_name JOIN (SELECT DISTINCT day FROM wanted) b ON b.day = e.event_date",
            "SELECT identity FROM {events} WHERE CHARGED AND event_date IN (SELECT day FROM nothing)",
            "SELECT e.identity FROM {events} e JOIN nothing n ON e.event_date = n.day AND e.event_name = n.event",
            "SELECT identity FROM {events} WHERE CHARGED AND event_date = (SELECT max(day) FROM nothing)",
        ] {
            let query =
                query.replace("CHARGED", "event_name = 'Charged'").replace("DAYS", "event_date BETWEEN '2026-01-07' AND '2026-01-08'");
            world.forget_sent();
            let rows = world.same(&query).await;
            let (_, exports) = asked(&world);
            assert_eq!(rows > 0, !query.contains("nothing"), "{way:?}\n{query}");
            assert_eq!(exports > 0, rows > 0, "{way:?}\n{query}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn counts_take_names_and_days_of_subqueries() {
    let world = world();
    let counted = |text: &str| format!("SELECT event_name, events FROM clevertap.event_counts WHERE {text}");
    let given = lines(
        &world.rows(&counted("event_name IN ('Charged', 'App Launched') AND event_date BETWEEN '2026-01-07' AND '2026-01-08'")).await,
    );
    assert_eq!(given.len(), 2);
    for late in [
        "event_name IN (SELECT event FROM wanted) AND event_date BETWEEN '2026-01-07' AND '2026-01-08'",
        "event_name IN ('Charged', 'App Launched') AND from_date = (SELECT min(day) FROM wanted) AND to_date = (SELECT max(day) FROM wanted)",
    ] {
        assert_eq!(lines(&world.rows(&counted(late)).await), given, "{late}");
    }
    // A day that is compared with an instant is not widened in silence.
    let instants =
        "event_name = 'Charged' AND from_date = (SELECT min(day)::timestamp FROM wanted) AND to_date = (SELECT max(day) FROM wanted)";
    assert!(world.refused(&counted(instants)).await.contains("CAST((SELECT …) AS date)"));
    world.rows(&counted(&instants.replace("min(day)::timestamp", "CAST(min(day)::timestamp AS date)"))).await;
    // A row of several days has no day of its own to be compared; the remedy is the last of those above.
    let days = "event_name = 'Charged' AND event_date BETWEEN (SELECT min(day) FROM wanted) AND (SELECT max(day) FROM wanted)";
    let error = world.refused(&counted(days)).await;
    assert!(error.contains("from_date = (…) AND to_date = (…)"), "{error}");
    let one_day = "event_name = 'Charged' AND event_date = (SELECT max(day) FROM wanted)";
    assert_eq!(lines(&world.rows(&counted(one_day)).await).len(), 1);
}

/// The side whose people are all wanted has no keys to take.
#[tokio::test(start_paused = true)]
async fn a_side_that_keeps_everybody_is_refused() {
    let world = world();
    for query in [
        "SELECT p.name FROM clevertap.profiles p LEFT JOIN wanted w ON p.identity = w.id",
        "SELECT p.name FROM wanted w RIGHT JOIN clevertap.profiles p ON p.identity = w.id",
        "SELECT p.name FROM clevertap.profiles p FULL JOIN wanted w ON p.identity = w.id",
        "SELECT p.name FROM clevertap.profiles p WHERE p.identity NOT IN (SELECT id FROM wanted)",
        "SELECT p.name FROM clevertap.profiles p WHERE NOT EXISTS (SELECT 1 FROM wanted w WHERE p.identity = w.id)",
        "SELECT p.name FROM clevertap.profiles p JOIN wanted w ON p.identity > w.id",
        "SELECT p.name FROM clevertap.profiles p JOIN wanted w ON p.identity = w.id OR p.email = w.mail",
        "SELECT p.name FROM (SELECT * FROM clevertap.profiles LIMIT 5) p JOIN wanted w ON p.identity = w.id",
        "SELECT p.name FROM clevertap.profiles p JOIN clevertap.profiles q ON p.identity = q.email",
        "SELECT p.name, row_number() OVER () FROM clevertap.profiles p",
        "SELECT w.id, p.n FROM wanted w JOIN (SELECT identity, row_number() OVER (ORDER BY name) AS n FROM clevertap.profiles) p ON p.identity = w.id",
    ] {
        let error = world.refused(query).await;
        assert!(error.contains("[CT-201]"), "{query}\n{error}");
    }
    assert_eq!(asked(&world), (0, 0));
}

/// A sweep stands in for keys that are too many, and for no other refusal.
#[tokio::test(start_paused = true)]
async fn a_sweep_stands_in_for_keys_that_are_too_many_alone() {
    let world = world();
    world.set("full_scan", true).await;
    let by_event = "SELECT p.identity FROM clevertap.profiles p JOIN wanted w ON p.event_name = w.event \
                    WHERE p.from_date = (SELECT min(day) FROM wanted) AND p.event_date = (SELECT max(day) FROM wanted)";
    assert!(world.run(by_event).await.is_ok_and(|rows| rows.iter().all(|batch| batch.num_rows() == 0)));
    assert_eq!(asked(&world), (0, 0));
    world.set("lookups_max", 3).await;
    let many = "SELECT p.name FROM clevertap.profiles p JOIN wanted w ON p.identity = w.id";
    assert_eq!(lines(&world.rows(many).await).len(), 7);
    assert!(asked(&world).1 > 0);
}

/// What one query may look up is of all its joins and branches together, those of a filter among them.
#[tokio::test(start_paused = true)]
async fn keys_of_all_joins_together_are_bounded() {
    let world = world();
    let two = "SELECT p.name FROM clevertap.profiles p JOIN wanted w ON p.identity = w.id \
               UNION ALL SELECT q.name FROM clevertap.profiles q JOIN wanted w ON q.email = w.mail \
               UNION ALL SELECT name FROM clevertap.profiles WHERE identity IN ('p1', 'p2')";
    world.set("lookups_max", 12).await;
    let error = world.refused(two).await;
    assert!(error.contains("would look up 13 keys") && error.contains("SET clevertap.lookups_max = 13"), "{error}");
    world.set("lookups_max", 13).await;
    world.forget_sent();
    assert_eq!(lines(&world.rows(two).await).len(), 7 + 7 + 2);
    assert_eq!(asked(&world).0, 13);
}

/// Who was brought by whom: each level's people are looked up by the keys of the level before.
#[tokio::test(start_paused = true)]
async fn a_recursive_query_looks_up_level_after_level() {
    let world = World::new();
    world
        .rows("INSERT INTO clevertap.profiles SELECT column1 AS identity, column2 AS \"Brought by\" FROM (VALUES ('a', 'b'), ('b', 'c'), ('c', 'd'), ('x', 'y'))")
        .await;
    world.forget_sent();
    let brought = "WITH RECURSIVE r AS (SELECT 'a' AS id UNION ALL \
                   SELECT p.properties ->> 'Brought by' FROM r JOIN clevertap.profiles p ON p.identity = r.id) SELECT id FROM r";
    assert_eq!(lines(&world.rows(brought).await), ["| a |", "| b |", "| c |", "| d |"]);
    assert_eq!(asked(&world), (4, 0));
}

/// Many events of few people: each is looked up once, whichever side the people stand on, in memory that is bounded.
#[tokio::test(start_paused = true)]
async fn many_rows_of_few_people_are_few_look_ups() {
    let size: u64 = std::env::var("JOIN_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(60_000);
    let people = size / 200;
    let world = seeded(Size { people, events: 10, days: 1 }, Tz::UTC, Settings::default(), |_| {});
    let numbers: Vec<String> = (0..size).map(|row| format!("p{}", row % people)).collect();
    let filler = "x".repeat(700);
    let batches: Vec<_> = numbers
        .chunks(8192)
        .map(|chunk| {
            let texts = Arc::new(StringArray::from_iter_values(chunk)) as _;
            let notes = Arc::new(StringArray::from_iter_values(chunk.iter().map(|id| format!("{id}{filler}")))) as _;
            RecordBatch::try_from_iter([("id", texts), ("note", notes)]).expect("a batch")
        })
        .collect();
    let table = MemTable::try_new(batches[0].schema(), vec![batches]).expect("a table");
    let _ = world.ctx.register_table("many", Arc::new(table)).expect("registered");
    let known = (0..people).filter(|number| number % 20 != 19).count() as u64 * 200;
    for join in [
        "SELECT count(*), count(p.email), count(m.note) FROM many m JOIN clevertap.profiles p ON p.identity = m.id",
        "SELECT count(*), count(p.email), count(m.note) FROM clevertap.profiles p JOIN many m ON p.identity = m.id",
    ] {
        for way in [WAYS[0], WAYS[5]] {
            with(&world, way).await;
            world.forget_sent();
            let analyzed = lines(&world.rows(&format!("EXPLAIN ANALYZE {join}")).await).concat();
            assert_eq!(asked(&world).0 as u64, people, "{way:?}\n{analyzed}");
            let collected = analyzed.split("CollectKeysExec").nth(1).unwrap_or_default().split(']').nth(1).unwrap_or_default();
            assert!(collected.contains("spill_count=") && !collected.contains("spill_count=0"), "{collected}\n{analyzed}");
            assert_eq!(lines(&world.rows(join).await), [format!("| {known} | {known} | {known} |")]);
        }
    }
}
