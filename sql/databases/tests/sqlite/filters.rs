//! Filters: the same rows whether SQLite looks at them too or not, under a collation that ignores case too.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::{File, rows, shown};

const COLUMNS: [(&str, &[&str]); 6] = [
    ("i", &["0", "1", "-1", "9223372036854775807"]),
    ("r", &["0.0", "0.1", "1e300"]),
    ("t", &["'gold'", "'Gold'", "'gold '", "''", "'o''x'"]),
    ("ci", &["'gold'", "'GOLD'"]),
    ("tr", &["'gold'", "'gold '"]),
    ("n", &["'1'", "'1.5'"]),
];

fn condition(rng: &mut StdRng, depth: usize) -> String {
    let (column, values) = COLUMNS.choose(rng).expect("a column");
    let value = |rng: &mut StdRng| *values.choose(rng).expect("a value");
    let kind = if depth == 0 { 3 + rng.random_range(0..5) } else { rng.random_range(0..8) };
    match kind {
        0 => format!("({} AND {})", condition(rng, depth - 1), condition(rng, depth - 1)),
        1 => format!("({} OR {})", condition(rng, depth - 1), condition(rng, depth - 1)),
        2 => format!("NOT ({})", condition(rng, depth - 1)),
        3 => format!("{column} IS {} NULL", ["", "NOT"].choose(rng).expect("one")),
        4 => format!("{column} IN ({}, {}, NULL, {}, {})", value(rng), value(rng), value(rng), value(rng)),
        5 => ["b", "NOT b", "b = false"].choose(rng).expect("one").to_string(),
        _ => format!("{column} {} {}", ["=", "<>", "<", ">="].choose(rng).expect("one"), value(rng)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_the_database_looks_at_too_gives_the_same_rows() {
    let file = File::new(
        "CREATE TABLE t (id INTEGER, i INTEGER, r REAL, t TEXT, ci TEXT COLLATE NOCASE, tr TEXT COLLATE RTRIM, n NUMERIC, b BOOLEAN);
         WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 300)
         INSERT INTO t SELECT n, CASE n % 5 WHEN 0 THEN 0 WHEN 1 THEN 1 WHEN 2 THEN -1 WHEN 3 THEN 9223372036854775807 END,
             CASE n % 4 WHEN 0 THEN 0.0 WHEN 1 THEN 0.1 WHEN 2 THEN 1e300 END,
             CASE n % 7 WHEN 0 THEN 'gold' WHEN 1 THEN 'Gold' WHEN 2 THEN 'gold ' WHEN 3 THEN '' WHEN 4 THEN 'o''x' END,
             CASE n % 4 WHEN 0 THEN 'gold' WHEN 1 THEN 'Gold' WHEN 2 THEN 'GOLD' END, CASE n % 3 WHEN 0 THEN 'gold' WHEN 1 THEN 'gold ' END,
             CASE n % 3 WHEN 0 THEN 1 WHEN 1 THEN 1.5 END, CASE n % 3 WHEN 0 THEN 1 WHEN 1 THEN 0 END FROM g",
    );
    let ctx = file.session();
    let batches = rows(&ctx, "SELECT * FROM shop.main.t").await.unwrap();
    let here = SessionContext::new();
    here.register_table("t", Arc::new(MemTable::try_new(batches[0].schema(), vec![batches]).unwrap())).unwrap();
    let number = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |number| number.parse().expect("a number"));
    let mut rng = StdRng::seed_from_u64(number("CLEVERTAP_SEED", 1));
    for _ in 0..number("CLEVERTAP_FILTERS", 300) {
        let filter = condition(&mut rng, 3);
        let there = shown(&ctx, &format!("SELECT id FROM shop.main.t WHERE {filter} ORDER BY id")).await;
        assert_eq!(there, shown(&here, &format!("SELECT id FROM t WHERE {filter} ORDER BY id")).await, "{filter}");
    }
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM shop.main.t WHERE i > 5 AND ci IN ('a', 'b', 'c', 'd') AND t < 'x'").await;
    assert!(plan.contains(r#"FROM "main"."t" WHERE "i" > … AND "ci" IN (…)"#), "{plan}");
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.main.t").await.contains("| 300 |"));
}
