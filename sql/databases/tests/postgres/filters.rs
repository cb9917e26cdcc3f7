//! Filters: the same rows whether the database looks at them too or not.

use crate::conditions::give_the_same_rows;
use crate::server::{server, shown};

const COLUMNS: [(&str, &[&str]); 14] = [
    ("i", &["0", "1", "-1", "7", "2147483647"]),
    ("b", &["0", "3", "9007199254740993"]),
    ("d", &["0", "1.50", "1.5", "-2.25", "1.505"]),
    ("f", &["0.0", "-0.0", "1.5", "CAST('NaN' AS double)", "1e300"]),
    ("f4", &["0.0", "CAST(0.1 AS real)", "0.1", "CAST('-Infinity' AS real)"]),
    ("t", &["'gold'", "'Gold'", "'gold '", "''", "'ö'", "'a\\b'", "'o''x'"]),
    ("ci", &["'gold'", "'GOLD'", "'gold '"]),
    ("c", &["'ab'", "'ab '", "'abcde'"]),
    ("v", &["'x'", "'X'", "'y'"]),
    ("m", &["'happy'", "'nobody'"]),
    ("u", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'x'"]),
    ("da", &["DATE '2026-01-31'", "DATE '1969-12-31'"]),
    ("tz", &["TIMESTAMP '2026-01-31T10:00:00Z'", "TIMESTAMP '1969-12-31T23:59:59.999999Z'"]),
    ("bo", &[]),
];

/// `CLEVERTAP_FILTERS=1000 CLEVERTAP_SEED=7` runs more of them, or others.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_the_database_looks_at_too_gives_the_same_rows() {
    let Some(server) = server() else { return };
    let peer = server.schema("filters").await;
    peer.run(
        "CREATE COLLATION filters.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TYPE filters.mood AS ENUM ('sad', 'happy');
         CREATE TABLE filters.t (id int, i int, b bigint, d numeric(10, 2), f float8, f4 float4, t text, ci text COLLATE filters.ci, c char(5), v varchar(3),
             m filters.mood, u uuid, da date, tz timestamptz, bo bool);
         INSERT INTO filters.t SELECT g, (ARRAY[0, 1, -1, 7, 2147483647, NULL])[1 + g % 6], (ARRAY[0, 3, 9007199254740993, NULL])[1 + g % 4],
             (ARRAY[0, 1.5, -2.25, NULL])[1 + g % 4], (ARRAY[0.0, '-0', 1.5, 'NaN', 'inf', '-inf', -1, NULL]::float8[])[1 + g % 8],
             (ARRAY[0.0, '-0', 0.1, 'NaN', '-inf', NULL]::float4[])[1 + g % 6],
             (ARRAY['gold', 'Gold', 'GOLD', 'gold ', '', E'a\\\\b', 'o''x', 'ö', NULL])[1 + g % 9], (ARRAY['gold', 'Gold', 'gold ', NULL])[1 + g % 4],
             (ARRAY['ab', 'abcde', NULL])[1 + g % 3], (ARRAY['x', 'X', NULL])[1 + g % 3], (ARRAY['sad', 'happy', NULL]::filters.mood[])[1 + g % 3],
             (ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', NULL]::uuid[])[1 + g % 2],
             (ARRAY['2026-01-31', '1969-12-31', '2026-02-01', NULL]::date[])[1 + g % 4],
             (ARRAY['2026-01-31 10:00Z', '1969-12-31 23:59:59.999999Z', NULL]::timestamptz[])[1 + g % 3], (ARRAY[true, false, NULL])[1 + g % 3]
         FROM generate_series(1, 400) g",
    )
    .await;
    let ctx = server.session();
    give_the_same_rows(&ctx, "shop.filters.t", &COLUMNS, 250).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_shown_without_its_values() {
    let Some(server) = server() else { return };
    let peer = server.schema("pushed").await;
    peer.run("CREATE TABLE pushed.t (id int PRIMARY KEY, email text, born date, n numeric)").await;
    let ctx = server.session();
    let plan =
        shown(&ctx, "EXPLAIN SELECT id FROM shop.pushed.t WHERE email = 'ann@acme.example' AND born < DATE '2000-01-01' AND n = '1'").await;
    assert!(plan.contains(r#"sql=SELECT "id", "email", "born", "n"::text FROM "pushed"."t" WHERE "email" = … AND "born" < …"#), "{plan}");
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM shop.pushed.t LIMIT 3").await;
    assert!(plan.contains(r#"sql=SELECT "id" FROM "pushed"."t" LIMIT 3"#), "{plan}");
    // A limit behind a filter stays here: rows that the database lets pass may be none.
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM shop.pushed.t WHERE email LIKE 'a%' LIMIT 3").await;
    assert!(plan.contains(r#"FROM "pushed"."t""#) && !plan.contains(r#""t" LIMIT"#), "{plan}");
}
