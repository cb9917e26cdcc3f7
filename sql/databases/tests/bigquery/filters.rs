//! Filters: the same rows whether BigQuery looks at them too or not.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::server::{rows, server, shown};

const COLUMNS: [(&str, &[&str]); 9] = [
    ("i", &["0", "1", "-1", "7"]),
    ("b", &["0", "9007199254740993", "-9223372036854775808"]),
    ("d", &["0", "1.50", "1.5", "-2.25"]),
    ("f", &["0.0", "-0.0", "0.1", "1e300", "CAST('NaN' AS double)"]),
    ("s", &["'gold'", "'Gold'", "'gold '", "''", "'göld'", "'a\\b'", "'o''x'", "'日本'"]),
    ("da", &["DATE '2026-01-31'", "DATE '1969-12-31'", "DATE '0001-01-01'"]),
    ("dt", &["TIMESTAMP '2026-01-31T10:00:00'", "TIMESTAMP '1969-12-31T23:59:59.999999'"]),
    ("ts", &["TIMESTAMP '2026-01-31T10:00:00Z'", "TIMESTAMP '1969-12-31T23:59:59.999999Z'"]),
    ("bo", &["true", "false"]),
];

fn condition(rng: &mut StdRng, depth: usize) -> String {
    let (column, values) = COLUMNS.choose(rng).expect("a column");
    let value = |rng: &mut StdRng| *values.choose(rng).expect("a value");
    match if depth == 0 { 3 + rng.random_range(0..5) } else { rng.random_range(0..8) } {
        0 => format!("({} AND {})", condition(rng, depth - 1), condition(rng, depth - 1)),
        1 => format!("({} OR {})", condition(rng, depth - 1), condition(rng, depth - 1)),
        2 => format!("NOT ({})", condition(rng, depth - 1)),
        3 => format!("{column} IS {} NULL", ["", "NOT"].choose(rng).expect("one")),
        4 => format!("{column} IN ({}, {}, NULL, {}, {})", value(rng), value(rng), value(rng), value(rng)),
        5 => format!("{column} BETWEEN {} AND {}", value(rng), value(rng)),
        _ => format!("{column} {} {}", ["=", "<>", "<", ">="].choose(rng).expect("one"), value(rng)),
    }
}

/// `CLEVERTAP_FILTERS=1000 CLEVERTAP_SEED=7` runs more of them, or others.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_the_database_looks_at_too_gives_the_same_rows() {
    let Some(server) = server() else { return };
    server
        .dataset(
            "filters",
            "CREATE TABLE filters.t AS SELECT g AS id, [0, 1, -1, 7, NULL][OFFSET(MOD(g, 5))] AS i, [0, 9007199254740993, NULL][OFFSET(MOD(g, 3))] AS b,
                 [NUMERIC '0', NUMERIC '1.5', NUMERIC '-2.25', NULL][OFFSET(MOD(g, 4))] AS d,
                 [CAST('0' AS FLOAT64), CAST('-0' AS FLOAT64), 0.1e0, 1e300, CAST('nan' AS FLOAT64), CAST('-inf' AS FLOAT64), NULL][OFFSET(MOD(g, 7))] AS f,
                 ['gold', 'Gold', 'gold ', '', 'göld', 'a\\\\b', 'o\\'x', '日本', NULL][OFFSET(MOD(g, 9))] AS s,
                 [DATE '2026-01-31', DATE '1969-12-31', DATE '0001-01-01', NULL][OFFSET(MOD(g, 4))] AS da,
                 [DATETIME '2026-01-31 10:00:00', DATETIME '1969-12-31 23:59:59.999999', NULL][OFFSET(MOD(g, 3))] AS dt,
                 [TIMESTAMP '2026-01-31 10:00:00+00', TIMESTAMP '1969-12-31 23:59:59.999999+00', NULL][OFFSET(MOD(g, 3))] AS ts,
                 [true, false, NULL][OFFSET(MOD(g, 3))] AS bo FROM UNNEST(GENERATE_ARRAY(1, 300)) AS g",
        )
        .await;
    let ctx = server.session();
    let batches = rows(&ctx, "SELECT * FROM wh.filters.t").await.unwrap();
    let here = SessionContext::new();
    here.register_table("t", Arc::new(MemTable::try_new(batches[0].schema(), vec![batches]).unwrap())).unwrap();
    let number = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |number| number.parse().expect("a number"));
    let mut rng = StdRng::seed_from_u64(number("CLEVERTAP_SEED", 1));
    for _ in 0..number("CLEVERTAP_FILTERS", 100) {
        let filter = condition(&mut rng, 3);
        let there = shown(&ctx, &format!("SELECT id FROM wh.filters.t WHERE {filter} ORDER BY id")).await;
        assert_eq!(there, shown(&here, &format!("SELECT id FROM t WHERE {filter} ORDER BY id")).await, "{filter}");
    }
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM wh.filters.t WHERE i > 5 AND s IN ('a', 'b', 'c', 'd') AND s < 'x'").await;
    assert!(plan.contains("FROM `acme`.`filters`.`t` WHERE `i` > … AND `s` IN (…)"), "{plan}");
    assert!(shown(&ctx, "SELECT count(*) AS n FROM wh.filters.t").await.contains("| 300 |"));
}
