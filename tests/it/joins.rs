//! Joins and subqueries as point look-ups: one request for each key of the other side, and no export.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use chrono_tz::Tz;
use clevertap_emulator::Settings;
use datafusion::datasource::MemTable;

use crate::seed::{SMALL, lines, seeded};
use crate::world::World;

/// A world, and a table `users` with the identities of 200 people, each twice, one that nobody has, and a NULL: 201 keys.
fn world() -> World {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    let known = |number: &i64| number % 20 != 19;
    let mut ids: Vec<Option<String>> = (0..210).filter(known).map(|number| Some(format!("p{number}"))).collect();
    ids.extend(ids.clone());
    ids.extend([Some("nobody".to_owned()), None]);
    let numbers: Int64Array = (0..ids.len() as i64).collect();
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(StringArray::from(ids)) as _, true),
        ("n", Arc::new(numbers) as _, true),
    ])
    .expect("a batch");
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("a table");
    let _ = world.ctx.register_table("users", Arc::new(table)).expect("registered");
    world
}

fn requests(world: &World) -> (u64, usize) {
    let report = world.emulator.report();
    (report.requests_by_path.get("/1/profile.json").copied().unwrap_or(0), report.exports_opened.len())
}

#[tokio::test(start_paused = true)]
async fn a_join_looks_each_key_up_once() {
    for join in [
        "SELECT u.n, p.email FROM users u JOIN {people} p ON p.identity = u.id",
        "SELECT u.n, p.email FROM {people} p JOIN users u ON p.identity = u.id",
        "SELECT u.n, p.email FROM users u LEFT JOIN {people} p ON p.identity = u.id",
        "SELECT p.email FROM {people} p WHERE p.identity IN (SELECT id FROM users)",
        "SELECT p.email FROM {people} p WHERE EXISTS (SELECT 1 FROM users u WHERE u.id = p.identity)",
        "SELECT u.n, p.email FROM users u JOIN {people} p ON p.identity = u.id ORDER BY u.n LIMIT 5",
        "SELECT p.email, count(*) FROM users u JOIN {people} p ON p.identity = u.id WHERE p.name LIKE 'P%' GROUP BY 1",
        "SELECT max(p.email) FROM users u JOIN {people} p ON p.identity = u.id",
    ] {
        let world = world();
        assert!(world.same(join).await > 0, "{join}");
        assert_eq!(requests(&world), (201, 0), "{join}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_side_of_unknown_size_hands_on_its_keys_wherever_it_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.csv");
    std::fs::write(&file, "id,n\np1,1\np2,2\nnobody,3\n").expect("written");
    for join in [
        "SELECT k.n, p.email FROM clevertap.profiles p JOIN keys k ON p.identity = k.id",
        "SELECT p.email FROM clevertap.profiles p WHERE p.identity IN (SELECT id FROM keys)",
        "SELECT p.email FROM clevertap.profiles p WHERE EXISTS (SELECT 1 FROM keys k WHERE k.id = p.identity AND k.n > 0)",
        "SELECT k.n, p.email FROM clevertap.profiles p RIGHT JOIN keys k ON p.identity = k.id WHERE p.email IS NOT NULL OR k.n < 3",
        "SELECT k.n, upper(p.email) FROM (SELECT * FROM clevertap.profiles WHERE name LIKE 'P%') p JOIN keys k ON p.identity = k.id",
    ] {
        let world = world();
        world
            .rows(&format!("CREATE EXTERNAL TABLE keys STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')", file.display()))
            .await;
        let rows = lines(&world.rows(join).await);
        assert!(rows.len() == 2 && rows.iter().all(|row| row.to_lowercase().contains("@example")), "{join}\n{rows:?}");
        assert_eq!(requests(&world), (3, 0), "{join}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_key_is_nobody_and_is_not_asked_for() {
    let world = world();
    let joined = "SELECT p.email FROM (VALUES ('p1'), ('')) u(id) JOIN clevertap.profiles p ON p.identity = u.id";
    assert_eq!((lines_of(&world.rows(joined).await), requests(&world)), (1, (1, 0)));
    assert_eq!((lines_of(&world.rows("SELECT email FROM clevertap.profiles WHERE identity = ''").await), requests(&world)), (0, (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_join_is_look_ups_where_a_sweep_is_allowed_too() {
    let world = world();
    world.set("full_scan", true).await;
    let joined = "SELECT u.n, p.email FROM users u JOIN clevertap.profiles p ON p.identity = u.id";
    assert_eq!((lines_of(&world.rows(joined).await), requests(&world)), (400, (201, 0)));
    let missing = "SELECT u.n FROM users u WHERE NOT EXISTS (SELECT 1 FROM clevertap.profiles p WHERE p.identity = u.id)";
    assert_eq!((lines_of(&world.rows(missing).await), requests(&world).1), (2, 0));
    // Everybody, since no keys can tell who is wanted.
    assert!(lines_of(&world.rows("SELECT identity FROM clevertap.profiles").await) > 0 && requests(&world).1 > 0);
    let warnings = world.account.warnings();
    let told: Vec<_> = warnings.iter().filter(|warning| warning.code == "CT-624").map(|warning| warning.message.as_str()).collect();
    assert!(matches!(told[..], [one] if one.contains("who did none that CleverTap exports is not among them")), "{told:?}");
    // More keys than may be looked up, and nothing asked yet.
    world.set("lookups_max", 10).await;
    let looked_up = requests(&world).0;
    assert!(lines_of(&world.rows(joined).await) > 0);
    assert_eq!(requests(&world).0, looked_up);
}

#[tokio::test(start_paused = true)]
async fn explain_analyze_shows_the_look_ups() {
    let world = world();
    let query = "SELECT u.n, p.email FROM users u JOIN clevertap.profiles p ON p.identity = u.id";
    let explained = lines(&world.rows(&format!("EXPLAIN {query}")).await).concat();
    assert!(explained.contains("by=identity of the join") && requests(&world) == (0, 0), "{explained}");
    let analyzed = lines(&world.rows(&format!("EXPLAIN ANALYZE {query}")).await).concat();
    assert!(analyzed.contains("requests=201"), "{analyzed}");
}

#[tokio::test(start_paused = true)]
async fn a_join_on_an_empty_side_asks_nothing() {
    let world = world();
    let rows = world.rows("SELECT p.email FROM (SELECT * FROM users WHERE n < 0) u JOIN clevertap.profiles p ON p.identity = u.id").await;
    assert_eq!((lines_of(&rows), requests(&world)), (0, (0, 0)));
}

fn lines_of(rows: &[RecordBatch]) -> usize {
    rows.iter().map(RecordBatch::num_rows).sum()
}

#[tokio::test(start_paused = true)]
async fn numbers_on_the_other_side_are_compared_as_text() {
    let world = world();
    world.rows("INSERT INTO clevertap.profiles SELECT n AS identity, concat('n', n, '@example.org') AS email FROM users WHERE n < 5").await;
    for query in [
        "SELECT p.email FROM users u JOIN clevertap.profiles p ON p.identity = u.n WHERE u.n < 5",
        "SELECT p.email FROM clevertap.profiles p JOIN users u ON u.n = p.identity WHERE u.n < 5",
        "SELECT p.email FROM clevertap.profiles p WHERE p.identity IN (SELECT n FROM users WHERE n < 5)",
        "SELECT p.email FROM clevertap.profiles p WHERE p.identity IN (0, 1, 2, 3, 4)",
        // As pandas writes a column of whole numbers in which one is missing.
        "SELECT p.email FROM users u JOIN clevertap.profiles p ON p.identity = CAST(u.n AS DOUBLE) WHERE u.n < 5",
        "SELECT p.email FROM users u JOIN clevertap.profiles p ON p.identity = CAST(u.n AS DECIMAL(10, 2)) WHERE u.n < 5",
        "SELECT p.email FROM clevertap.profiles p WHERE p.identity IN (0.0, 1.0, 2.0, 3.00, 4.0)",
    ] {
        assert_eq!(lines(&world.rows(query).await).len(), 5, "{query}");
    }
    let summed = "SELECT sum(CASE WHEN identity = 3 THEN 1 ELSE 0 END), identity = 3 AS third FROM clevertap.profiles WHERE identity IN (3, 4) GROUP BY identity = 3";
    assert_eq!(lines(&world.rows(summed).await), ["| 0 | false |", "| 1 | true |"]);
    for query in [
        "SELECT email FROM clevertap.profiles WHERE identity = 1.5",
        // What the author has cast is compared as that, and a number has many texts: no key can be asked for.
        "SELECT p.email FROM users u JOIN clevertap.profiles p ON CAST(p.identity AS BIGINT) = u.n WHERE u.n < 5",
        "SELECT email FROM clevertap.profiles WHERE identity::bigint = 3",
        "SELECT email FROM clevertap.profiles WHERE identity::bigint IN (3, 4)",
        "DELETE FROM clevertap.profiles WHERE identity::bigint = 3",
        "SELECT email FROM clevertap.profiles WHERE identity = DATE '2026-01-01'",
    ] {
        let error = world.refused(query).await;
        let named = if query.starts_with("DELETE") { "by identity" } else { "\"identity\"" };
        assert!(error.contains(named) && error.contains("[CT-201]"), "{query}\n{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_keys_than_may_be_looked_up_are_an_error_with_their_count() {
    let world = world();
    world.set("lookups_max", 100).await;
    let error = world.refused("SELECT p.email FROM users u JOIN clevertap.profiles p ON p.identity = u.id").await;
    assert!(error.contains("200") || error.contains("201"), "{error}");
    assert!(error.contains("clevertap.lookups_max"), "{error}");
    assert_eq!(requests(&world), (0, 0));
    // Of all branches together, and the remedy holds for all of them.
    let branch = |from: u32| {
        format!(
            "SELECT email FROM clevertap.profiles WHERE identity IN ({})",
            (from..from + 60).map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ")
        )
    };
    let union = [branch(0), branch(60), branch(120)].join(" UNION ALL ");
    let error = world.refused(&union).await;
    assert!(error.contains("SET clevertap.lookups_max = 180") && requests(&world) == (0, 0), "{error}");
    world.set("lookups_max", 180).await;
    world.rows(&union).await;
}

#[tokio::test(start_paused = true)]
async fn people_of_an_export_are_looked_up_too() {
    let world = world();
    let query = "SELECT DISTINCT p.email FROM {events} e JOIN {people} p ON p.identity = e.identity WHERE e.event_name = 'Charged' AND e.event_date = '2026-01-05'";
    assert!(world.same(query).await > 5);
}

/// A cast is the author's: a number compares numbers, whatever their texts. Without a cast, an identifier is text.
#[tokio::test(start_paused = true)]
async fn a_cast_of_an_identifier_is_what_its_author_wrote() {
    let world = world();
    world.rows("INSERT INTO clevertap.profiles SELECT identity FROM (VALUES ('0123'), ('123'), ('45'), ('300')) AS t(identity)").await;
    let among = "FROM clevertap.profiles WHERE identity IN ('0123', '123', '45', '300')";
    for (condition, expected) in [
        ("identity::bigint = 123", vec!["0123", "123"]),
        ("identity = 123", vec!["123"]),
        ("identity::bigint > 200", vec!["300"]),
        ("identity::bigint < 200", vec!["0123", "123", "45"]),
        ("identity::bigint BETWEEN 40 AND 50", vec!["45"]),
        ("identity::bigint <> 123", vec!["300", "45"]),
        ("CASE WHEN identity::bigint = 123 THEN true END", vec!["0123", "123"]),
        ("identity::bigint IN (SELECT n FROM (VALUES (123), (45)) AS t(n))", vec!["0123", "123", "45"]),
    ] {
        let rows = world.rows(&format!("SELECT identity {among} AND {condition} ORDER BY identity")).await;
        assert_eq!(lines(&rows), expected.iter().map(|id| format!("| {id} |")).collect::<Vec<_>>(), "{condition}");
    }
    let rows = world.rows(&format!("SELECT sum(identity::bigint) AS total {among}")).await;
    assert_eq!(lines(&rows), ["| 591 |"]);
    world.forget_sent();
    world.set("nulls", "omit").await;
    let rows = world
        .rows(&format!(
            "UPDATE clevertap.profiles SET \"Seen\" = 1 WHERE {} AND identity::bigint = 123",
            among.split("WHERE ").nth(1).expect("a clause")
        ))
        .await;
    assert_eq!(crate::world::count(&rows), 2);
}
