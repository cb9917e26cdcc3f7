//! Filters: the same rows whether the database looks at them too or not; its usual collation ignores case, accents and blanks at the end.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::server::{rows, server, shown};

const COLUMNS: [(&str, &[&str]); 9] = [
    ("i", &["0", "1", "-1", "7"]),
    ("u", &["0", "18446744073709551615"]),
    ("d", &["0", "1.50", "1.5", "-2.25"]),
    ("f", &["0.0", "-0.0", "0.1", "1e300"]),
    ("f4", &["0.1", "CAST(0.1 AS real)"]),
    ("t", &["'gold'", "'Gold'", "'gold '", "''", "'göld'", "'a\\b'", "'o''x'", "'日本'"]),
    ("l", &["'gold'", "'日本'", "'Gold'"]),
    ("e", &["'happy'", "'HAPPY'", "'nobody'"]),
    ("dt", &["TIMESTAMP '2026-01-31T10:00:00'", "TIMESTAMP '1969-12-31T23:59:59'"]),
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
    server.schema(
        "filters",
        "CREATE TABLE t (id INT, i INT, u BIGINT UNSIGNED, d DECIMAL(10,2), f DOUBLE, f4 FLOAT, t VARCHAR(20) COLLATE utf8mb4_general_ci,
             l VARCHAR(20) CHARACTER SET latin1, e ENUM('sad','happy'), dt DATETIME(6));
         INSERT INTO t SELECT seq, ELT(1 + seq % 5, 0, 1, -1, 7), ELT(1 + seq % 3, 0, 18446744073709551615), ELT(1 + seq % 4, 0, 1.5, -2.25),
             ELT(1 + seq % 5, 0, -0e0, 0.1, 1e300), ELT(1 + seq % 3, 0.1, 0),
             ELT(1 + seq % 9, 'gold', 'Gold', 'GOLD', 'gold ', '', 'göld', 'a\\\\b', 'o''x'), ELT(1 + seq % 3, 'gold', 'Gold'),
             ELT(1 + seq % 3, 'sad', 'happy'), ELT(1 + seq % 3, '2026-01-31 10:00:00', '1969-12-31 23:59:59') FROM seq_1_to_300",
    );
    let ctx = server.session();
    let batches = rows(&ctx, "SELECT * FROM shop.filters.t").await.unwrap();
    let here = SessionContext::new();
    here.register_table("t", Arc::new(MemTable::try_new(batches[0].schema(), vec![batches]).unwrap())).unwrap();
    let number = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |number| number.parse().expect("a number"));
    let mut rng = StdRng::seed_from_u64(number("CLEVERTAP_SEED", 1));
    for _ in 0..number("CLEVERTAP_FILTERS", 200) {
        let filter = condition(&mut rng, 3);
        let there = shown(&ctx, &format!("SELECT id FROM shop.filters.t WHERE {filter} ORDER BY id")).await;
        assert_eq!(there, shown(&here, &format!("SELECT id FROM t WHERE {filter} ORDER BY id")).await, "{filter}");
    }
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM shop.filters.t WHERE i > 5 AND t IN ('a', 'b', 'c', 'd') AND l < 'x'").await;
    assert!(plan.contains("FROM `filters`.`t` WHERE `i` > … AND `t` IN (…)"), "{plan}");
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.filters.t").await.contains("| 300 |"));
}
