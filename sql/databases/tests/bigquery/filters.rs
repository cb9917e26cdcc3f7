//! Filters: the same rows whether BigQuery looks at them too or not.

use crate::conditions::give_the_same_rows;
use crate::server::{server, shown};

const COLUMNS: [(&str, &[&str]); 9] = [
    ("i", &["0", "1", "-1", "7"]),
    ("b", &["0", "9007199254740993", "-9223372036854775808"]),
    ("d", &["0", "1.50", "1.5", "-2.25"]),
    ("f", &["0.0", "-0.0", "0.1", "1e300", "CAST('NaN' AS double)"]),
    ("s", &["'gold'", "'Gold'", "'gold '", "''", "'göld'", "'a\\b'", "'o''x'", "'日本'"]),
    ("da", &["DATE '2026-01-31'", "DATE '1969-12-31'", "DATE '0001-01-01'"]),
    ("dt", &["TIMESTAMP '2026-01-31T10:00:00'", "TIMESTAMP '1969-12-31T23:59:59.999999'"]),
    ("ts", &["TIMESTAMP '2026-01-31T10:00:00Z'", "TIMESTAMP '1969-12-31T23:59:59.999999Z'"]),
    ("bo", &[]),
];

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
    give_the_same_rows(&ctx, "wh.filters.t", &COLUMNS, 100).await;
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM wh.filters.t WHERE i > 5 AND s IN ('a', 'b', 'c', 'd') AND s < 'x'").await;
    assert!(plan.contains("FROM `acme`.`filters`.`t` WHERE `i` > … AND `s` IN (…)"), "{plan}");
    assert!(shown(&ctx, "SELECT count(*) AS n FROM wh.filters.t").await.contains("| 300 |"));
}
