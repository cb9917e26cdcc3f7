//! NULL in lists and subqueries: whom a clause takes is whom three-valued logic takes, which this file evaluates by itself. No answer of
//! DataFusion is taken for granted: its optimizer takes others (apache/datafusion#25336, #25340, #25347, #25473).

use std::collections::BTreeSet;

use arrow::array::AsArray;
use clevertap_emulator::Settings;
use datafusion_clevertap::Access;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::World;

/// Identity and name of a person.
type Person = (&'static str, Option<&'static str>);

const PEOPLE: [Person; 6] = [("u0", Some("n0")), ("u1", Some("n1")), ("u2", None), ("u3", Some("n0")), ("u4", None), ("u5", Some("zzz"))];

/// Subqueries, with what they give. `k` is of the row outside.
const QUERIES: [(&str, &[Option<&str>]); 6] = [
    ("SELECT 'u1'", &[Some("u1")]),
    ("SELECT id FROM nobody", &[]),
    ("SELECT id FROM holes", &[Some("u1"), None, Some("n1")]),
    ("SELECT id FROM whole", &[Some("u0"), Some("u4"), Some("n0")]),
    ("SELECT id FROM holes WHERE id IS NOT NULL", &[Some("u1"), Some("n1")]),
    ("SELECT id FROM nulls", &[None]),
];

async fn world() -> World {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    world.rows("CREATE TABLE holes AS SELECT * FROM (VALUES ('u1'), (NULL), ('n1')) AS t(id)").await;
    world.rows("CREATE TABLE whole AS SELECT * FROM (VALUES ('u0'), ('u4'), ('n0')) AS t(id)").await;
    world.rows("CREATE TABLE nulls AS SELECT id FROM holes WHERE id IS NULL").await;
    world.rows("CREATE TABLE nobody AS SELECT id FROM holes WHERE id = 'nobody'").await;
    let rows: Vec<String> =
        PEOPLE.iter().map(|(id, name)| format!("('{id}', {})", name.map_or("NULL".into(), |name| format!("'{name}'")))).collect();
    world.rows(&format!("CREATE TABLE people AS SELECT * FROM (VALUES {}) AS t(identity, name)", rows.join(", "))).await;
    world.rows("INSERT INTO clevertap.profiles SELECT identity, name FROM people").await;
    world.forget_sent();
    world
}

/// A condition in SQL, and what it is for a person: `None` is unknown.
struct Condition {
    sql: String,
    of: Box<dyn Fn(Person) -> Option<bool>>,
}

fn not(value: Option<bool>) -> Option<bool> {
    value.map(|value| !value)
}

fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    not(and(not(left), not(right)))
}

fn is_in(value: Option<&str>, list: &[Option<&str>]) -> Option<bool> {
    let mut found = Some(false);
    for item in list {
        found = or(found, value.zip(*item).map(|(value, item)| value == item));
    }
    found
}

/// A value of a person, or the same for all.
type Operand = Box<dyn Fn(Person) -> Option<&'static str>>;

fn operand(rng: &mut StdRng) -> (String, Operand) {
    match rng.random_range(0..7) {
        0..=2 => ("identity".into(), Box::new(|person| Some(person.0))),
        3..=4 => ("name".into(), Box::new(|person| person.1)),
        5 => ("'u1'".into(), Box::new(|_| Some("u1"))),
        _ => ("'x'".into(), Box::new(|_| Some("x"))),
    }
}

fn condition(rng: &mut StdRng, depth: u32) -> Condition {
    if depth > 0 && rng.random_bool(0.6) {
        let (left, right) = (condition(rng, depth - 1), condition(rng, depth - 1));
        return match rng.random_range(0..5) {
            0 | 1 => {
                Condition { sql: format!("({} AND {})", left.sql, right.sql), of: Box::new(move |p| and((left.of)(p), (right.of)(p))) }
            }
            2 | 3 => Condition { sql: format!("({} OR {})", left.sql, right.sql), of: Box::new(move |p| or((left.of)(p), (right.of)(p))) },
            _ => Condition { sql: format!("NOT ({})", left.sql), of: Box::new(move |p| not((left.of)(p))) },
        };
    }
    let (text, value) = operand(rng);
    let negated = rng.random_bool(0.6);
    let signed = move |value: Option<bool>| if negated { not(value) } else { value };
    let word = if negated { "NOT IN" } else { "IN" };
    match rng.random_range(0..10) {
        0..=3 => {
            const ITEMS: [Option<&str>; 6] = [Some("u0"), Some("u1"), Some("u9"), Some("n0"), None, Some("zzz")];
            let list: Vec<Option<&'static str>> = (0..rng.random_range(1..4)).map(|_| ITEMS[rng.random_range(0..ITEMS.len())]).collect();
            let shown: Vec<String> = list.iter().map(|item| item.map_or("NULL".into(), |item| format!("'{item}'"))).collect();
            let sql = format!("{text} {word} ({})", shown.join(", "));
            Condition { sql, of: Box::new(move |p| signed(is_in(value(p), &list))) }
        }
        4..=7 => {
            let (query, rows) = QUERIES[rng.random_range(0..QUERIES.len())];
            Condition { sql: format!("{text} {word} ({query})"), of: Box::new(move |p| signed(is_in(value(p), rows))) }
        }
        8 => {
            // Correlated: each row asks for those that are not its own.
            let rows: &[Option<&str>] = &[Some("u1"), None, Some("n1")];
            let sql = format!("{text} {word} (SELECT id FROM holes WHERE coalesce(id, 'null') <> identity)");
            let of = move |p: Person| {
                let left: Vec<_> = rows.iter().copied().filter(|row| row.unwrap_or("null") != p.0).collect();
                signed(is_in(value(p), &left))
            };
            Condition { sql, of: Box::new(of) }
        }
        _ => {
            let other = ["name", "identity"][rng.random_range(0..2)];
            let sql = format!("{text} {word} ('u1', {other})");
            let of = move |p: Person| signed(is_in(value(p), &[Some("u1"), if other == "name" { p.1 } else { Some(p.0) }]));
            Condition { sql, of: Box::new(of) }
        }
    }
}

/// The people named in the calls to a path.
fn named(world: &World, path: &str) -> BTreeSet<String> {
    let person = |text: &str| text.len() == 2 && text.starts_with('u');
    world
        .sent_to(path)
        .iter()
        .flat_map(|call| call.body.split('"').filter(|text| person(text)).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Runs `cases` clauses as DELETE, UPDATE and SELECT.
async fn compare(seed: u64, cases: u64) {
    let world = world().await;
    let everybody: Vec<String> = PEOPLE.iter().map(|(id, _)| format!("'{id}'")).collect();
    for case in seed..seed + cases {
        let mut rng = StdRng::seed_from_u64(case);
        let Condition { sql, of } = condition(&mut rng, 3);
        let taken: BTreeSet<String> = PEOPLE.iter().filter(|person| of(**person) == Some(true)).map(|person| person.0.to_owned()).collect();
        let clause = format!("identity IN ({}) AND {sql}", everybody.join(", "));
        let mut selected = BTreeSet::new();
        for table in ["clevertap.profiles", "people"] {
            let rows = world.rows(&format!("SELECT arrow_cast(identity, 'Utf8') FROM {table} WHERE {clause}")).await;
            selected.clear();
            selected.extend(rows.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten()).map(str::to_owned));
            assert_eq!(selected, taken, "case {case}: SELECT FROM {table} WHERE {sql}");
        }
        world.forget_sent();
        world.rows(&format!("UPDATE clevertap.profiles SET \"Seen\" = 1 WHERE {clause}")).await;
        assert_eq!(named(&world, "/1/upload"), taken, "case {case}: UPDATE WHERE {sql}");
        world.forget_sent();
        world.rows(&format!("DELETE FROM clevertap.profiles WHERE {clause}")).await;
        assert_eq!(named(&world, "/1/delete/profiles.json"), taken, "case {case}: DELETE WHERE {sql}");
    }
}

/// `THREE_VALUED_FROM` and `THREE_VALUED_CASES` run others.
#[tokio::test(start_paused = true)]
async fn a_clause_takes_whom_three_valued_logic_takes() {
    let by_hand = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    compare(by_hand("THREE_VALUED_FROM").unwrap_or(0), by_hand("THREE_VALUED_CASES").unwrap_or(300)).await;
}

/// The statements that were seen to take people whom SQL does not name.
#[tokio::test(start_paused = true)]
async fn nobody_is_taken_whose_condition_is_unknown() {
    let world = world().await;
    for condition in [
        "identity IN ('u0', 'u1') AND identity NOT IN ('u9', NULL)",
        "identity IN ('u0', 'u1') AND NOT (identity IN ('u9', NULL))",
        "identity IN ('u0', 'u1') AND (identity NOT IN (SELECT id FROM holes) OR name = 'nobody')",
        "identity IN ('u0', 'u1') AND 'x' NOT IN (SELECT id FROM holes)",
        "identity IN ('u0', 'u1') AND 's1' NOT IN (SELECT id FROM holes WHERE coalesce(id, 'u9') <> identity)",
        "identity IN ('u0', 'u1') AND identity <> ALL (SELECT id FROM holes)",
        "identity IN ('u0', 'u1') AND NOT (identity = ANY (SELECT id FROM holes WHERE id IS NULL))",
    ] {
        for statement in ["DELETE FROM clevertap.profiles", "UPDATE clevertap.profiles SET \"Seen\" = 1"] {
            world.forget_sent();
            world.rows(&format!("{statement} WHERE {condition}")).await;
            assert!(
                named(&world, "/1/upload").is_empty() && named(&world, "/1/delete/profiles.json").is_empty(),
                "{statement} {condition}"
            );
        }
        let rows = world.rows(&format!("SELECT identity FROM clevertap.profiles WHERE {condition}")).await;
        assert_eq!(rows.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 0, "{condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_cannot_be_proved_is_refused_with_a_form_that_works() {
    let world = world().await;
    world.forget_sent();
    let unproved = "DELETE FROM clevertap.profiles WHERE identity IN ('u0', 'u1') AND (identity IN (SELECT id FROM holes)) IS NULL";
    let error = world.refused(unproved).await;
    assert!(error.contains("EXISTS") && error.contains("nothing was sent"), "{error}");
    assert!(world.sent().is_empty());
    // As it proposes: a condition of its own, as EXISTS.
    world
        .rows(
            "DELETE FROM clevertap.profiles WHERE identity IN ('u0', 'u1') AND EXISTS (SELECT 1 FROM holes WHERE id IS NULL)
             AND NOT EXISTS (SELECT 1 FROM holes WHERE id = identity)",
        )
        .await;
    assert_eq!(named(&world, "/1/delete/profiles.json"), BTreeSet::from(["u0".to_owned()]));
}
