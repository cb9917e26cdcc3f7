//! Whom DELETE and UPDATE take is whom PostgreSQL selects, with NULL in lists, subqueries and columns.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::seeds;
use super::server::Postgres;
use crate::erase::random;

const TABLES: &str = "
    CREATE TABLE copy AS SELECT 'p' || v AS identity, NULL::text AS object_id,
        CASE WHEN v % 4 <> 3 THEN 'n' || v % 3 END AS name, 'p' || v || '@example.org' AS email FROM generate_series(0, 8) v;
    CREATE TABLE gone AS SELECT * FROM (VALUES ('p1', 1), ('p3', 2), (NULL, 3), ('p3', 4), ('p7', 5), ('p8', 6)) AS t(id, k);";

#[tokio::test(start_paused = true)]
async fn erasure_and_change_take_whom_postgresql_selects() {
    let Some(postgres) = Postgres::start() else { return };
    let clauses: Vec<String> = seeds(300).map(|seed| random::condition(&mut StdRng::seed_from_u64(seed + 500_000), 3)).collect();
    let selects: Vec<String> = clauses.iter().map(|clause| format!("SELECT identity FROM copy WHERE {clause}")).collect();
    let selected = postgres.answers(TABLES, &selects);
    let world = random::world().await;
    let mut refused = 0;
    for (clause, selected) in clauses.iter().zip(selected) {
        let expected: BTreeSet<String> = selected.unwrap_or_else(|error| panic!("{clause}\n{error}")).into_iter().collect();
        for (statement, path) in [(random::DELETE, "/1/delete/profiles.json"), (random::UPDATE, "/1/upload")] {
            world.forget_sent();
            let result = world.run(&format!("{statement} WHERE {clause}")).await;
            let sent: BTreeSet<String> = random::named(&world, path).into_iter().collect();
            match result {
                Ok(_) => assert_eq!(sent, expected, "{statement} WHERE {clause}"),
                Err(error) => {
                    refused += 1;
                    assert!(sent.is_empty(), "{statement} WHERE {clause}\n{error}");
                }
            }
        }
    }
    assert!(refused < clauses.len(), "{refused} of {} were refused", clauses.len() * 2);
}
