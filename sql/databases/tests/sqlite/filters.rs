//! Filters: the same rows whether SQLite looks at them too or not, under a collation that ignores case too.

use crate::conditions::give_the_same_rows;
use crate::{File, shown};

const COLUMNS: [(&str, &[&str]); 7] = [
    ("i", &["0", "1", "-1", "9223372036854775807"]),
    ("r", &["0.0", "0.1", "1e300"]),
    ("t", &["'gold'", "'Gold'", "'gold '", "''", "'o''x'"]),
    ("ci", &["'gold'", "'GOLD'"]),
    ("tr", &["'gold'", "'gold '"]),
    ("n", &["'1'", "'1.5'"]),
    ("b", &[]),
];

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
    give_the_same_rows(&ctx, "shop.main.t", &COLUMNS, 300).await;
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM shop.main.t WHERE i > 5 AND ci IN ('a', 'b', 'c', 'd') AND t < 'x'").await;
    assert!(plan.contains(r#"FROM "main"."t" WHERE "i" > … AND "ci" IN (…)"#), "{plan}");
    assert!(shown(&ctx, "SELECT count(*) AS n FROM shop.main.t").await.contains("| 300 |"));
}
