//! Random filters: the same rows whether a database looks at them too or not.
//!
//! In: a table with a column `id`, and literals for its other columns: those that are there, near misses, what a collation holds for equal. Out: a
//! test that fails by the first filter that is answered otherwise over the same rows in memory, where no database looks. How rows are read is
//! held against the server's own client elsewhere.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::statements::{rows, shown};

/// Columns, and the literals that each is compared with.
pub(crate) type Columns = [(&'static str, &'static [&'static str])];

/// A boolean column has no literals.
const PREDICATES: [&str; 4] = ["{}", "NOT {}", "{} = false", "{} IS NOT TRUE"];

fn atom(rng: &mut StdRng, columns: &Columns) -> String {
    let (column, values) = columns.choose(rng).expect("a column");
    if values.is_empty() {
        return PREDICATES.choose(rng).expect("one").replace("{}", column);
    }
    let value = |rng: &mut StdRng| *values.choose(rng).expect("a value");
    match rng.random_range(0..9) {
        0 => format!("{column} IS {} NULL", ["", "NOT"].choose(rng).expect("one")),
        1 => format!("{column} IN ({}, {}, NULL, {}, {})", value(rng), value(rng), value(rng), value(rng)),
        2 => format!("{column} NOT IN ({}, {}, {}, {})", value(rng), value(rng), value(rng), value(rng)),
        3 => format!("{column} BETWEEN {} AND {}", value(rng), value(rng)),
        4 => format!("{} {} {column}", value(rng), ["=", "<", ">="].choose(rng).expect("one")),
        _ => format!("{column} {} {}", ["=", "<>", "<", "<=", ">", ">="].choose(rng).expect("one"), value(rng)),
    }
}

fn condition(rng: &mut StdRng, columns: &Columns, depth: usize) -> String {
    match rng.random_range(0..if depth == 0 { 1 } else { 4 }) {
        0 => atom(rng, columns),
        1 => format!("({} AND {})", condition(rng, columns, depth - 1), condition(rng, columns, depth - 1)),
        2 => format!("({} OR {})", condition(rng, columns, depth - 1), condition(rng, columns, depth - 1)),
        _ => format!("NOT ({})", condition(rng, columns, depth - 1)),
    }
}

/// So many filters, or `CLEVERTAP_FILTERS=1000` of them; `CLEVERTAP_SEED=7` makes others.
pub(crate) async fn give_the_same_rows(ctx: &SessionContext, table: &str, columns: &Columns, count: u64) {
    let batches = rows(ctx, &format!("SELECT * FROM {table}")).await.expect("rows");
    let here = SessionContext::new();
    let memory = MemTable::try_new(batches[0].schema(), vec![batches]).expect("a table");
    here.register_table("t", Arc::new(memory)).expect("a table");
    let number = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |number| number.parse().expect("a number"));
    let mut rng = StdRng::seed_from_u64(number("CLEVERTAP_SEED", 1));
    let mut pushed = 0;
    for _ in 0..number("CLEVERTAP_FILTERS", count) {
        let filter = condition(&mut rng, columns, 3);
        let there = shown(ctx, &format!("SELECT id FROM {table} WHERE {filter} ORDER BY id")).await;
        assert_eq!(there, shown(&here, &format!("SELECT id FROM t WHERE {filter} ORDER BY id")).await, "{filter}");
        if pushed < 3 {
            pushed += usize::from(shown(ctx, &format!("EXPLAIN SELECT id FROM {table} WHERE {filter}")).await.contains(" WHERE "));
        }
    }
    // It would be easy to push nothing.
    assert_eq!(pushed, 3);
}
