//! Random WHERE clauses: whom a DELETE and an UPDATE take is whom DataFusion selects from a copy in memory, or the statement is
//! refused with nothing sent.

use std::collections::BTreeSet;

use arrow::array::{Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use clevertap_emulator::Settings;
use datafusion_clevertap::Access;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::World;

const PEOPLE: usize = 9;

/// People `p0` to `p8`, and what a clause may ask beside them: the same people in memory, and ids with gaps, repeats and NULL.
pub(crate) async fn world() -> World {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    world
        .rows(
            "CREATE TABLE copy AS SELECT arrow_cast(concat('p', value), 'Utf8View') AS identity, arrow_cast(NULL, 'Utf8View') AS object_id,
             arrow_cast(CASE WHEN value % 4 <> 3 THEN concat('n', value % 3) END, 'Utf8View') AS name,
             arrow_cast(concat('p', value, '@example.org'), 'Utf8View') AS email FROM generate_series(0, 8)",
        )
        .await;
    world.rows("INSERT INTO clevertap.profiles SELECT identity, name, email FROM copy").await;
    world
        .rows("CREATE TABLE gone AS SELECT * FROM (VALUES ('p1', 1), ('p3', 2), (NULL, 3), ('p3', 4), ('p7', 5), ('p8', 6)) AS t(id, k)")
        .await;
    world.forget_sent();
    world
}

/// A condition; `depth` bounds how deep it is nested.
pub(crate) fn condition(rng: &mut StdRng, depth: u32) -> String {
    let person = |rng: &mut StdRng| format!("'p{}'", rng.random_range(0..PEOPLE));
    if depth > 0 && rng.random_bool(0.55) {
        let (left, right) = (condition(rng, depth - 1), condition(rng, depth - 1));
        return match rng.random_range(0..7) {
            0..=2 => format!("({left} AND {right})"),
            3..=5 => format!("({left} OR {right})"),
            _ => format!("NOT ({left})"),
        };
    }
    let k = rng.random_range(0..8);
    match rng.random_range(0..22) {
        0..=2 => format!("identity = {}", person(rng)),
        3..=5 => {
            let mut list: Vec<String> = (0..rng.random_range(1..6)).map(|_| person(rng)).collect();
            if rng.random_bool(0.2) {
                list.push("NULL".into());
            }
            let not = if rng.random_bool(0.15) { "NOT " } else { "" };
            format!("identity {not}IN ({})", list.join(", "))
        }
        6..=8 => format!("identity IN (SELECT id FROM gone WHERE k < {k})"),
        9 => format!("identity NOT IN (SELECT id FROM gone WHERE k < {k})"),
        10 | 11 => format!("EXISTS (SELECT 1 FROM gone WHERE gone.id = identity AND k > {k})"),
        12 => format!("NOT EXISTS (SELECT 1 FROM gone WHERE gone.id = identity AND k > {k})"),
        13 => format!("identity = (SELECT max(id) FROM gone WHERE k < {k})"),
        14 => format!("name = 'n{}'", rng.random_range(0..4)),
        15 => "name IS NULL".into(),
        16 | 17 => format!("email = 'p{}@example.org'", rng.random_range(0..PEOPLE)),
        18 => format!("identity {} {}", ["<>", "<", ">="][rng.random_range(0..3)], person(rng)),
        19 => ["identity IS NULL", "identity IS NOT NULL", "identity = NULL", "1 = 0", "1 = 1"][rng.random_range(0..5)].into(),
        20 => format!("EXISTS (SELECT 1 FROM gone WHERE gone.id = identity AND concat('n', k - {k}) = name)"),
        _ => format!("identity LIKE 'p{}%'", rng.random_range(0..PEOPLE)),
    }
}

/// The texts of the first column.
async fn texts(world: &World, sql: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for batch in world.rows(sql).await {
        let column = cast(batch.column(0), &DataType::Utf8).expect("text");
        let column: &StringArray = column.as_any().downcast_ref().expect("text");
        found.extend((0..column.len()).filter(|row| column.is_valid(*row)).map(|row| column.value(row).to_owned()));
    }
    found
}

/// The people named in the calls to a path.
pub(crate) fn named(world: &World, path: &str) -> Vec<String> {
    let name = |text: &str| text.len() == 2 && text.starts_with('p');
    world
        .sent_to(path)
        .iter()
        .flat_map(|call| call.body.split('"').filter(|text| name(text)).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Runs `cases` clauses from `seed` on; how many of them were not refused.
async fn compare(seed: u64, cases: u64, statement: &str, path: &str, limits: bool) -> u64 {
    let world = world().await;
    let mut run = 0;
    for case in seed..seed + cases {
        let mut rng = StdRng::seed_from_u64(case);
        let clause = condition(&mut rng, 3);
        let limit = (limits && rng.random_bool(0.25)).then(|| rng.random_range(0..6));
        let sql = format!("{statement} WHERE {clause}{}", limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}")));
        world.forget_sent();
        let result = world.run(&sql).await;
        let sent = named(&world, path);
        let once: BTreeSet<String> = sent.iter().cloned().collect();
        assert_eq!(once.len(), sent.len(), "case {case}: somebody was sent twice: {sql}");
        if let Err(error) = result {
            let expected = if statement == DELETE { "needs a WHERE clause that names people" } else { "needs a filter" };
            assert!(sent.is_empty() && error.to_string().contains(expected), "case {case}: {sql}\n{error}");
            continue;
        }
        run += 1;
        let selected = texts(&world, &format!("SELECT identity FROM copy WHERE {clause}")).await;
        match limit {
            None => assert_eq!(once, selected, "case {case}: {sql}"),
            Some(limit) => {
                assert!(
                    once.is_subset(&selected) && once.len() == selected.len().min(limit),
                    "case {case}: {sql}: {once:?} of {selected:?}"
                );
            }
        }
    }
    run
}

pub(crate) const DELETE: &str = "DELETE FROM clevertap.profiles";
pub(crate) const UPDATE: &str = "UPDATE clevertap.profiles SET \"Mark\" = 'x'";

#[tokio::test(start_paused = true)]
async fn a_delete_takes_whom_datafusion_selects() {
    let run = compare(0, 700, DELETE, "/1/delete/profiles.json", true).await;
    assert!(run >= 350, "only {run} of 700 were not refused");
}

#[tokio::test(start_paused = true)]
async fn a_delete_takes_whom_datafusion_selects_once_more() {
    let run = compare(10_000, 700, DELETE, "/1/delete/profiles.json", true).await;
    assert!(run >= 350, "only {run} of 700 were not refused");
}

#[tokio::test(start_paused = true)]
async fn an_update_takes_whom_datafusion_selects() {
    let run = compare(20_000, 600, UPDATE, "/1/upload", false).await;
    assert!(run >= 300, "only {run} of 600 were not refused");
}
