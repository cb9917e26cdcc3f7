//! `properties -> 'Amount'`: whatever a query makes of it, it is the value that CleverTap has, and text is what leaves.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use clevertap_emulator::Settings;
use datafusion_clevertap::ClevertapSql;

use crate::seed::lines;
use crate::world::World;

/// Rows `k` with JSON text: a number as CleverTap may hold it, a text, a boolean, a list, nothing.
async fn world() -> World {
    let world = World::with(Settings::default());
    world
        .rows(
            r#"CREATE TABLE t AS SELECT column1 AS k, arrow_cast(column2, 'Utf8View') AS properties FROM (VALUES
            (1, '{"Amount":150,"Plan":"gold","Active":true,"When":"2026-11-01","Paid at":"$D_1793491200","At":"2026-11-01T10:00:00Z","n":{"a":{"b":7}}}'),
            (2, '{"Amount":150.5,"Plan":"silver","Active":false,"Big":9007199254740993,"Cents":12345678901234567.89,"n":{"a":"{\\"b\\":8}"}}'),
            (3, '{"Amount":1000.0,"Plan":"free","Active":"true","Big":9007199254740992,"List":["a",1],"n":{"a":null}}'),
            (4, '{"Amount":"150","Plan":"","Small":9}'),
            (5, '{"Amount":"much","Plan":null,"Small":10}'),
            (6, '{}'), (7, NULL), (8, 'no JSON')) v"#,
        )
        .await;
    world
}

/// The keys of the rows that a condition takes.
async fn taken(world: &World, condition: &str) -> String {
    let rows = world.rows(&format!("SELECT k FROM t WHERE {condition} ORDER BY k")).await;
    lines(&rows).iter().map(|line| line.replace(['|', ' '], "")).collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn a_comparison_is_of_what_it_is_compared_with() {
    let world = world().await;
    for (condition, expected) in [
        ("(properties -> 'Amount') > 100", "1 2 3 4"),
        ("(properties -> 'Amount') > 150", "2 3"),
        ("100 < (properties -> 'Amount')", "1 2 3 4"),
        ("(properties -> 'Amount') = 150", "1 4"),
        ("(properties -> 'Amount') <> 150", "2 3"),
        ("(properties -> 'Amount') = 150.5", "2"),
        ("(properties -> 'Amount') BETWEEN 150 AND 151", "1 2 4"),
        ("(properties -> 'Amount') NOT BETWEEN 150 AND 151", "3"),
        ("(properties -> 'Amount') IN (150, 1000)", "1 3 4"),
        ("(properties -> 'Amount') NOT IN (150, 1000)", "2"),
        ("(properties -> 'Amount') IN (150, NULL)", "1 4"),
        ("(properties -> 'Amount') NOT IN (150, NULL)", ""),
        ("(properties -> 'Amount') IN (SELECT 150)", "1 4"),
        ("(properties -> 'Amount') NOT IN (SELECT 150)", "2 3"),
        ("(properties -> 'Amount') > ANY (SELECT 150)", "2 3"),
        ("(properties -> 'Amount') > k * 100", "1 3"),
        ("(properties -> 'Amount') IS DISTINCT FROM 150", "2 3 5 6 7 8"),
        ("(properties -> 'Amount') = '150'", "1 4"),
        ("(properties -> 'Big') = 9007199254740993", "2"),
        ("(properties -> 'Big') > 9007199254740992", "2"),
        ("(properties -> 'Big') IN (SELECT 9007199254740993)", "2"),
        ("(properties -> 'Big') = (SELECT 9007199254740993)", "2"),
        ("(properties -> 'Big') = arrow_cast('9007199254740993', 'Decimal128(20, 0)')", "2"),
        ("(properties -> 'Big') <> arrow_cast(18446744073709551615, 'UInt64')", "2 3"),
        ("(properties -> 'Amount') = arrow_cast('150.5', 'Decimal128(10, 2)')", "2"),
        ("(properties -> 'Amount') <= k + 149", "1 2 4"),
        ("(properties -> 'Active') = true", "1 3"),
        ("(properties -> 'Active') = 'true'", "1 3"),
        ("(properties -> 'Plan') = 'gold'", "1"),
        ("(properties -> 'Plan') LIKE '%l%'", "1 2"),
        ("(properties -> 'Plan') IN ('gold', 'free')", "1 3"),
        ("(properties -> 'Plan') IS NULL", "5 6 7 8"),
        ("(properties -> 'Plan') = ''", "4"),
        ("(properties -> 'When') >= DATE '2026-10-31'", "1"),
        // CleverTap's own form of an instant: 2026-11-01 05:30 in Kolkata.
        ("(properties -> 'Paid at') > DATE '2026-10-31'", "1"),
        ("(properties -> 'Paid at') >= timestamp '2026-11-01 05:30:00'", "1"),
        ("(properties -> 'Paid at') < timestamp '2026-11-01 05:30:00'", ""),
        ("(properties -> 'Paid at') BETWEEN DATE '2026-11-01' AND DATE '2026-11-02'", "1"),
        ("(properties -> 'Paid at')::timestamp = timestamp '2026-11-01 05:30:00'", "1"),
        ("properties ->> 'Plan' || 'x' = 'goldx'", "1"),
        ("properties -> 'Amount' * 2 > 300", "2 3"),
        ("properties -> 'Amount' + 1 = 151", "1 4"),
        ("(properties -> 'n' -> 'a' -> 'b') = 7", "1"),
        ("(properties -> 'n' -> 'a' ->> 'b') = 7", "1"),
        ("(properties ->> 'Amount') > 100", "1 2 3 4"),
        ("(properties -> 'Amount') * 2 > 300", "2 3"),
        ("(properties -> 'Amount') - 1 = 149", "1 4"),
        // Without parentheses, which the generic dialect reads otherwise.
        ("properties ->> 'Amount' > 100", "1 2 3 4"),
        ("properties -> 'Amount' > 100 AND k < 3", "1 2"),
        ("100 < properties -> 'Amount'", "1 2 3 4"),
        ("properties ->> 'Plan' = 'gold' OR properties ->> 'Plan' LIKE 'sil%'", "1 2"),
        ("properties ->> 'Plan' IN ('gold', 'free')", "1 3"),
        ("properties ->> 'Plan' IS NULL", "5 6 7 8"),
        ("properties -> 'Amount' BETWEEN 150 AND 151", "1 2 4"),
        ("properties -> 'n' -> 'a' ->> 'b' = 7", "1"),
        ("NOT properties -> 'Amount' > 150", "1 4"),
        ("properties['Plan'] = 'gold'", "1"),
        ("properties['Amount'] > 150", "2 3"),
        ("t.properties.\"Plan\" = 'gold'", "1"),
        ("json_get(properties, 'Amount') > 150", "2 3"),
    ] {
        assert_eq!(taken(&world, condition).await, expected, "{condition}");
    }
    // Through a subquery the value is still one of JSON.
    let rows = world.rows("SELECT k FROM (SELECT k, properties -> 'Amount' AS a FROM t) WHERE a > 150 AND a::double < 1000").await;
    assert_eq!(lines(&rows), ["| 2 |"]);
    let joined = "SELECT t.k FROM t JOIN (VALUES (150), (1000)) v(n) ON (t.properties -> 'Amount') = v.n";
    assert_eq!(lines(&world.rows(joined).await), ["| 1 |", "| 3 |", "| 4 |"]);
}

#[tokio::test(start_paused = true)]
async fn a_cast_is_the_value_or_null_and_never_cuts_a_number() {
    let world = world().await;
    for (cast, row, expected) in [
        ("(properties -> 'Amount')::double", 1, "150.0"),
        ("(properties -> 'Amount')::double", 2, "150.5"),
        ("(properties -> 'Amount')::double", 4, "150.0"),
        ("(properties -> 'Amount')::double", 5, ""),
        ("(properties ->> 'Amount')::double", 5, ""),
        ("(properties -> 'Amount')::bigint", 1, "150"),
        ("(properties -> 'Amount')::bigint", 3, "1000"),
        ("(properties -> 'Amount')::bigint", 4, "150"),
        ("(properties -> 'Amount')::bigint", 5, ""),
        ("TRY_CAST(properties -> 'Amount' AS BIGINT)", 2, ""),
        ("round((properties -> 'Amount')::double)::bigint", 2, "151"),
        ("(properties -> 'Amount')::smallint", 1, "150"),
        ("(properties -> 'Amount')::int unsigned", 1, "150"),
        ("(properties -> 'Big')::bigint", 2, "9007199254740993"),
        ("(properties -> 'Cents')::decimal(30,2)", 2, "12345678901234567.89"),
        ("(properties -> 'Plan')::decimal(10,2)", 1, ""),
        ("(properties -> 'When')::date", 1, "2026-11-01"),
        ("(properties -> 'Paid at')::date", 1, "2026-11-01"),
        ("(properties -> 'Plan')::timestamp", 1, ""),
        ("(properties -> 'Plan')::date", 1, ""),
        ("(properties -> 'Active')::boolean", 1, "true"),
        ("(properties -> 'Plan')::boolean", 1, ""),
        ("(properties -> 'Plan')::text", 1, "gold"),
        ("(properties -> 'List')::text", 3, "[\"a\",1]"),
        ("arrow_cast(properties -> 'Plan', 'Utf8View')", 1, "gold"),
        ("upper(properties -> 'Plan')", 1, "GOLD"),
        ("coalesce(properties -> 'Nothing', 'none')", 1, "none"),
        ("CASE WHEN k = 1 THEN properties -> 'Plan' ELSE 'other' END", 1, "gold"),
        ("concat(properties -> 'Plan', '!')", 1, "gold!"),
        ("(properties -> 'n' -> 'a')", 1, "{\"b\":7}"),
        ("properties -> 'n' -> 'a' -> 'b'", 2, ""),
    ] {
        let rows = world.rows(&format!("SELECT {cast} AS v FROM t WHERE k = {row}")).await;
        let text = arrow::util::display::array_value_to_string(rows[0].column(0), 0).expect("text");
        assert_eq!(text, expected, "{cast} of row {row}");
    }
    for (cast, row) in [("(properties -> 'Amount')::bigint", 2), ("(properties -> 'Amount')::int", 2), ("(properties -> 'Big')::int", 2)] {
        let error = world.refused(&format!("SELECT {cast} AS v FROM t WHERE k = {row}")).await;
        assert!(error.contains("::double") && !error.contains("150") && !error.contains("9007"), "{error}");
    }
    // The two remedies.
    for remedy in ["(properties -> 'Amount')::double", "round((properties -> 'Amount')::double)::bigint"] {
        world.rows(&format!("SELECT {remedy} FROM t")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn sums_are_of_numbers_and_an_order_of_texts_is_refused() {
    let world = world().await;
    for (query, expected) in [
        ("SELECT sum(properties -> 'Amount') FROM t", "| 1450.5 |"),
        ("SELECT avg(properties -> 'Small') FROM t", "| 9.5 |"),
        ("SELECT count(properties -> 'Amount') FROM t", "| 5 |"),
        ("SELECT count(DISTINCT properties -> 'Amount') FROM t", "| 4 |"),
        ("SELECT max((properties -> 'Small')::double) FROM t", "| 10.0 |"),
        ("SELECT max(properties ->> 'Plan') FROM t", "| silver |"),
        ("SELECT properties -> 'Plan' AS p, count(*) FROM t WHERE k < 2 GROUP BY 1", "| gold | 1 |"),
        ("SELECT k FROM t ORDER BY (properties -> 'Small')::double DESC NULLS LAST LIMIT 1", "| 5 |"),
        ("SELECT k FROM t WHERE k < 3 ORDER BY properties ->> 'Plan' DESC LIMIT 1", "| 2 |"),
        ("SELECT properties -> 'Plan' FROM t WHERE k = 1 UNION ALL SELECT 'x' WHERE false", "| gold |"),
        ("SELECT DISTINCT properties -> 'Active' FROM t WHERE k < 2", "| true |"),
    ] {
        assert_eq!(lines(&world.rows(query).await), [expected], "{query}");
    }
    for (query, remedy) in [
        ("SELECT max(properties -> 'Small') FROM t", "max((properties -> 'Amount')::double)"),
        ("SELECT min(properties -> 'Small') FROM t", "min((properties -> 'Amount')::double)"),
        ("SELECT max(s) FROM (SELECT properties -> 'Small' AS s FROM t)", "max((properties -> 'Amount')::double)"),
        ("SELECT max(properties -> 'Small') OVER () FROM t", "max((properties -> 'Amount')::double)"),
        ("SELECT first_value(k ORDER BY properties -> 'Small') FROM t", "ORDER BY (properties -> 'Amount')::double"),
        ("SELECT array_agg(k ORDER BY properties -> 'Small') FROM t", "ORDER BY (properties -> 'Amount')::double"),
        ("SELECT DISTINCT ON (k) k FROM t ORDER BY k, properties -> 'Small'", "ORDER BY (properties -> 'Amount')::double"),
        ("SELECT k FROM t ORDER BY properties -> 'Small'", "ORDER BY (properties -> 'Amount')::double"),
        ("SELECT properties -> 'Small' AS s FROM t ORDER BY s", "ORDER BY properties ->> 'Plan'"),
        ("SELECT row_number() OVER (ORDER BY properties -> 'Small') FROM t", "ORDER BY (properties -> 'Amount')::double"),
        ("SELECT properties -> 'Amount'::double FROM t", "(properties -> '…')::"),
        ("SELECT properties.plan FROM t", "(properties -> 'plan')"),
        ("SELECT t.properties.Plan FROM t", "(properties -> 'plan')"),
    ] {
        let error = world.refused(query).await;
        assert!(error.contains(remedy), "{query}\n{error}");
    }
}

/// No union leaves a query: not a plain one, not a table that it makes, not a file.
#[tokio::test(start_paused = true)]
async fn what_leaves_a_query_is_text() {
    let world = world().await;
    let folder = tempfile::tempdir().expect("a folder");
    for select in ["properties -> 'Plan'", "json_get(properties, 'Plan')", "properties['Plan']"] {
        for (format, ending) in [("PARQUET", "parquet"), ("CSV", "csv"), ("JSON", "json"), ("ARROW", "arrow")] {
            let file = folder.path().join(format!("x.{ending}"));
            world.rows(&format!("COPY (SELECT k, {select} AS x FROM t) TO '{}' STORED AS {format}", file.display())).await;
            world.rows("DROP TABLE IF EXISTS back").await;
            let header = if format == "CSV" { "OPTIONS ('format.has_header' 'true')" } else { "" };
            world.rows(&format!("CREATE EXTERNAL TABLE back STORED AS {format} LOCATION '{}' {header}", file.display())).await;
            assert_eq!(lines(&world.rows("SELECT x FROM back WHERE k = 1").await), ["| gold |"], "{select} as {format}");
            std::fs::remove_file(&file).expect("removed");
        }
        world.rows("DROP TABLE IF EXISTS made").await;
        world.rows(&format!("CREATE TABLE made AS SELECT {select} AS x FROM t")).await;
        let rows: Vec<RecordBatch> = world.rows("SELECT x FROM made").await;
        assert!(matches!(rows[0].column(0).data_type(), DataType::Utf8 | DataType::Utf8View), "{select}");
    }
    let plain = world.ctx.sql("SELECT properties -> 'Plan' FROM t").await.expect("planned");
    assert_eq!(plain.schema().field(0).name(), "t.properties -> 'Plan'".trim_start_matches("t."));
    let ours = world.ctx.clevertap_sql("SELECT properties -> 'Plan' FROM t").await.expect("planned");
    assert_eq!(ours.schema().field(0).data_type(), plain.schema().field(0).data_type());
    // What is read is written, as the text that it is.
    world.forget_sent();
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity, properties -> 'Plan' AS \"Plan\" FROM t WHERE k = 1").await;
    assert!(world.sent_to("/1/upload").iter().any(|call| call.body.contains("\"Plan\":\"gold\"")));
}
