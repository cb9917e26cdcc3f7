//! Filters: the same rows whether the database looks at them too or not; its usual collation ignores case, accents and blanks at the end.

use crate::conditions::give_the_same_rows;
use crate::server::{server, shown};

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
    give_the_same_rows(&ctx, "shop.filters.t", &COLUMNS, 200).await;
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM shop.filters.t WHERE i > 5 AND t IN ('a', 'b', 'c', 'd') AND l < 'x'").await;
    assert!(plan.contains("FROM `filters`.`t` WHERE `i` > … AND `t` IN (…)"), "{plan}");
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.filters.t").await.contains("| 300 |"));
}
