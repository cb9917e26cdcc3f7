//! What a text file says is what a cast to text gives, and what an identifier is.

use super::super::super::test_files::Files;
use crate::world::World;

const ODD: &[u8] = b"id,flag,at,day,n\n1.5,True,2026-01-05 10:00:00+05:30,2026-01-05,7\n1.10,False,2026-01-05T10:00:00Z,2026-01-06,8\n";

async fn texts(files: &Files, query: &str) -> String {
    let shown = files.run(query).await;
    shown.split_once("; ").map_or(shown.clone(), |(_, rows)| rows.to_owned())
}

#[tokio::test]
async fn a_cast_to_text_gives_the_cells_own_characters_wherever_it_stands() {
    let files = Files::new(&[
        ("a.csv", ODD),
        ("b.csv", b"id,x\n1.500,b\n"),
        ("c.json", b"{\"id\":1.5}\n{\"id\":1.10}\n"),
        ("u.csv", b"uid,n\n1,1\n7,7\n"),
        ("p.csv", b"uid,x\n01,gold\n1,silver\n007,lead\n"),
    ]);
    files.run("CREATE VIEW v AS SELECT id AS key, flag FROM '@/a.csv'").await;
    for (query, expected) in [
        (
            "SELECT CAST(id AS text), flag::varchar, at::text, day::text, n::text FROM '@/a.csv'",
            "1.5 True 2026-01-05 10:00:00+05:30 2026-01-05 7; 1.10 False 2026-01-05T10:00:00Z 2026-01-06 8",
        ),
        ("SELECT id, id::text AS t FROM '@/a.csv'", "1.50 1.5; 1.10 1.10"),
        ("SELECT TRY_CAST(id AS text) FROM '@/a.csv' WHERE id::text = '1.5'", "1.5"),
        ("SELECT * FROM '@/a.csv' WHERE id::text LIKE '%.10'", "1.10 false 2026-01-05T10:00:00Z 2026-01-06 8"),
        ("SELECT concat(id, '/', flag) FROM '@/a.csv'", "1.5/True; 1.10/False"),
        ("SELECT id || '!' FROM '@/a.csv' ORDER BY id", "1.10!; 1.5!"),
        ("SELECT k.key::text FROM (SELECT key FROM v WHERE flag) k", "1.5"),
        ("WITH w AS (SELECT id FROM '@/a.csv' ORDER BY n LIMIT 1) SELECT id::text FROM w", "1.5"),
        ("SELECT id::text FROM (SELECT DISTINCT id FROM '@/a.csv') ORDER BY 1", "1.10; 1.5"),
        ("SELECT id::text, n FROM (SELECT id, count(*) AS n FROM '@/a.csv' GROUP BY id) ORDER BY 1", "1.10 1; 1.5 1"),
        ("SELECT id::text FROM '@/a.csv' GROUP BY id::text HAVING count(*) = 1 ORDER BY 1", "1.10; 1.5"),
        ("SELECT id::text FROM (SELECT id FROM '@/a.csv' UNION ALL SELECT id FROM '@/b.csv') ORDER BY 1", "1.10; 1.5; 1.500"),
        ("SELECT id::text FROM (SELECT id FROM '@/a.csv' UNION SELECT id FROM '@/b.csv') ORDER BY 1", "1.10; 1.5; 1.500"),
        ("SELECT a.id::text AS x, b.id::text AS y FROM '@/a.csv' a JOIN '@/b.csv' b ON a.id * 1 = b.id * 1", "1.5 1.500"),
        (
            "SELECT a.id::text AS x, b.id::text AS y FROM '@/a.csv' a JOIN '@/a.csv' b ON a.id::text = b.id::text ORDER BY 1",
            "1.10 1.10; 1.5 1.5",
        ),
        ("SELECT id::text FROM (SELECT id, row_number() OVER (ORDER BY n) AS r FROM '@/a.csv') WHERE r = 1", "1.5"),
        ("SELECT id::text FROM '@/c.json' ORDER BY 1", "1.10; 1.5"),
        ("SELECT CAST(id AS DECIMAL(5,3))::text FROM '@/a.csv' ORDER BY 1", "1.100; 1.500"),
        ("SELECT sum(id) FROM '@/a.csv'", "2.60"),
        ("SELECT n FROM '@/a.csv' WHERE id IN (SELECT id FROM '@/b.csv')", ""),
        ("SELECT n FROM '@/a.csv' WHERE id = 1.50", "7"),
        ("SELECT n FROM '@/a.csv' WHERE id = '1.50'", ""),
        ("SELECT n FROM '@/a.csv' WHERE id IN ('1.5', '2')", "7"),
        ("SELECT n FROM '@/a.csv' WHERE n = '07'", ""),
        ("SELECT CASE id WHEN '1.10' THEN 'b' ELSE 'a' END FROM '@/a.csv'", "a; b"),
        ("SELECT coalesce(id, 0)::text FROM '@/a.csv'", "1.5; 1.10"),
        ("SELECT CAST(CASE WHEN n = 7 THEN flag ELSE flag END AS VARCHAR) FROM '@/a.csv'", "True; False"),
        ("SELECT 'u' || coalesce(id, 0) FROM '@/a.csv'", "u1.5; u1.10"),
        ("SELECT concat('u', CASE WHEN n = 7 THEN id END) FROM '@/a.csv'", "u1.5; u"),
        ("SELECT nullif(id, 1.1)::text FROM '@/a.csv'", "1.5; "),
        ("SELECT arrow_cast(id, 'Utf8') FROM '@/a.csv'", "1.5; 1.10"),
        ("SELECT (SELECT id FROM '@/a.csv' WHERE n = 7)::text", "1.5"),
        ("SELECT id::text FROM (SELECT coalesce(id, 0) AS id FROM '@/a.csv')", "1.5; 1.10"),
        ("SELECT u.n, p.x FROM '@/u.csv' u JOIN '@/p.csv' p ON p.uid = u.uid ORDER BY 1", "1 silver"),
        ("SELECT n, x FROM '@/u.csv' JOIN '@/p.csv' USING (uid)", "1 silver"),
        ("SELECT x FROM '@/p.csv' WHERE uid IN (SELECT uid FROM '@/u.csv')", "silver"),
        ("SELECT x FROM '@/p.csv' p WHERE NOT EXISTS (SELECT 1 FROM '@/u.csv' u WHERE u.uid = p.uid) ORDER BY 1", "gold; lead"),
        ("SELECT uid FROM '@/u.csv' EXCEPT SELECT uid FROM '@/p.csv'", "7"),
        ("SELECT count(*) FROM '@/a.csv' a JOIN '@/b.csv' b ON a.id = b.id", "0"),
        ("SELECT sum(id) + max(id) FROM '@/a.csv'", "4.10"),
        ("SELECT n FROM '@/a.csv' WHERE id::text IN (SELECT id::text FROM '@/b.csv')", ""),
        ("SELECT (SELECT max(id::text) FROM '@/b.csv') FROM '@/a.csv' LIMIT 1", "1.500"),
    ] {
        assert_eq!(texts(&files, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_declared_number_is_text_as_it_stands_under_a_cast() {
    let files = Files::new(&[
        ("a.csv", b"id,n\n007,1\n7,2\n"),
        ("odd.csv", b"id,n\n1,2\nx7,3\n"),
        ("c.json", b"{\"id\":1.5,\"l\":[1]}\n{\"id\":1.10}\n"),
    ]);
    files.run("CREATE EXTERNAL TABLE t (id INT, n INT) STORED AS CSV LOCATION '@/a.csv'").await;
    assert_eq!(files.run("SELECT id, id::text AS t FROM t ORDER BY n").await, "id Int32, t Utf8View; 7 007; 7 7");
    files.run("CREATE EXTERNAL TABLE wide (id BIGINT, n DOUBLE) STORED AS CSV LOCATION '@/a.csv'").await;
    assert_eq!(files.run("SELECT id, id::text AS t, n FROM wide ORDER BY n").await, "id Int64, t Utf8View, n Float64; 7 007 1.0; 7 7 2.0");
    for declared in ["INT", "BIGINT", "TINYINT UNSIGNED", "FLOAT", "DOUBLE", "DECIMAL(5,1)"] {
        files.run(&format!("CREATE OR REPLACE EXTERNAL TABLE odd (id {declared}, n INT) STORED AS CSV LOCATION '@/odd.csv'")).await;
        let told = files.run("SELECT * FROM odd").await;
        assert!(
            told.starts_with("odd.csv, line 3, column \"id\": a cell is no ") && told.ends_with("or mend the cell"),
            "{declared}: {told}"
        );
    }
    files.run("CREATE EXTERNAL TABLE j (id VARCHAR, l VARCHAR) STORED AS JSON LOCATION '@/c.json'").await;
    assert_eq!(files.run("SELECT * FROM j").await, "id Utf8View, l Utf8View; 1.5 [1]; 1.10");
}

#[tokio::test]
async fn where_the_text_is_lost_the_statement_is_refused_and_its_remedy_works() {
    let files = Files::new(&[("a.csv", ODD)]);
    files.run("CREATE TABLE kept AS SELECT * FROM '@/a.csv'").await;
    let told = "here the column \"id\" of a text file is needed as it is written there, and it is known as a value alone; cast it where the file is read, as in \
                FROM (SELECT CAST(\"id\" AS VARCHAR) AS \"id\" FROM …), or SET clevertap.csv_types = 'text'";
    for query in [
        "SELECT id::text FROM kept",
        "SELECT CAST(max(id) AS VARCHAR) FROM '@/a.csv'",
        "SELECT m::text FROM (SELECT flag, max(id) AS m FROM '@/a.csv' GROUP BY flag)",
        "SELECT greatest(id, 1)::text FROM '@/a.csv'",
        "SELECT make_array(id)[1]::text FROM '@/a.csv'",
        "SELECT f::text FROM (SELECT first_value(id) OVER (ORDER BY n) AS f FROM '@/a.csv')",
    ] {
        assert_eq!(files.run(query).await, told, "{query}");
    }
    assert_eq!(texts(&files, "SELECT max(id) FROM (SELECT CAST(\"id\" AS VARCHAR) AS \"id\" FROM '@/a.csv')").await, "1.5");
    files.run("CREATE TABLE mended AS SELECT CAST(\"id\" AS VARCHAR) AS \"id\" FROM '@/a.csv'").await;
    assert_eq!(texts(&files, "SELECT id::text FROM mended").await, "1.5; 1.10");
    files.run("SET clevertap.csv_types = 'text'").await;
    files.run("CREATE TABLE text AS SELECT * FROM '@/a.csv'").await;
    assert_eq!(texts(&files, "SELECT id::text FROM text").await, "1.5; 1.10");
}

#[tokio::test]
async fn identifiers_are_the_files_own_characters() {
    for (insert, expected) in [
        ("INSERT INTO clevertap.profiles SELECT id AS identity, n AS \"N\" FROM '@/a.csv'", ["1.10", "1.5"]),
        ("INSERT INTO clevertap.profiles (identity, \"N\") SELECT id, n FROM '@/a.csv'", ["1.10", "1.5"]),
        ("INSERT INTO clevertap.profiles SELECT DISTINCT flag AS identity, 1 AS \"N\" FROM '@/a.csv'", ["False", "True"]),
        (
            "INSERT INTO clevertap.profiles SELECT at AS identity, 1 AS \"N\" FROM '@/a.csv'",
            ["2026-01-05 10:00:00+05:30", "2026-01-05T10:00:00Z"],
        ),
        (
            "INSERT INTO clevertap.events SELECT 'Seen' AS event_name, day AS identity, 1767225600 AS event_time FROM '@/a.csv'",
            ["2026-01-05", "2026-01-06"],
        ),
        // Fields of text are too.
        ("INSERT INTO clevertap.profiles SELECT n AS identity, flag AS name, id AS customer_type FROM '@/a.csv'", ["True", "1.10"]),
    ] {
        let world = World::new();
        let files = Files::of(&[("a.csv", ODD)], Some(world.account.clone()));
        let told = files.run(insert).await;
        let bodies = world.sent_to("/1/upload").join("");
        for identity in expected {
            assert!(bodies.contains(&format!("\"{identity}\"")), "{insert}: {told}\n{bodies}");
        }
    }
}

#[tokio::test]
async fn a_delete_finds_the_person_that_the_file_names() {
    for delete in [
        "DELETE FROM clevertap.profiles WHERE identity IN (SELECT id FROM '@/one.csv' WHERE flag)",
        "DELETE FROM clevertap.profiles WHERE identity IN (SELECT DISTINCT id FROM '@/one.csv')",
        "DELETE FROM clevertap.profiles WHERE identity IN (SELECT coalesce(id, 0) FROM '@/one.csv')",
        "DELETE FROM clevertap.profiles WHERE identity IN (SELECT CASE WHEN flag THEN id END FROM '@/one.csv' WHERE flag)",
        "DELETE FROM clevertap.profiles WHERE identity IN (SELECT CAST(id AS VARCHAR) FROM '@/one.csv')",
        "DELETE FROM clevertap.profiles WHERE identity = (SELECT id FROM '@/one.csv' WHERE flag)",
        "DELETE FROM clevertap.profiles WHERE EXISTS (SELECT 1 FROM '@/one.csv' f WHERE f.id = identity)",
        "DELETE FROM clevertap.profiles p WHERE EXISTS (SELECT 1 FROM '@/one.csv' f WHERE p.identity = f.id AND f.flag)",
    ] {
        let world = World::new();
        let files = Files::of(&[("one.csv", b"id,flag\n1.5,True\n2.25,False\n")], Some(world.account.clone()));
        let people = "(VALUES ('1.5'), ('1.50'), ('1.500'), ('2.2'))";
        files.run(&format!("INSERT INTO clevertap.profiles SELECT column1 AS identity, 1 AS \"N\" FROM {people}")).await;
        let told = files.run(delete).await;
        let bodies = world.sent_to("/1/delete/profiles.json").join("");
        assert!(bodies.contains("\"1.5\"") && !bodies.contains("\"1.50"), "{delete}: {told}\n{bodies}");
    }
}

#[tokio::test]
async fn a_value_that_is_not_known_as_it_was_written_names_nobody() {
    let world = World::new();
    let files = Files::of(&[("a.csv", ODD)], Some(world.account.clone()));
    for statement in [
        "DELETE FROM clevertap.profiles WHERE identity IN (SELECT max(id) FROM '@/a.csv' GROUP BY flag)",
        "DELETE FROM clevertap.profiles WHERE identity = (SELECT greatest(id, 1) FROM '@/a.csv' WHERE n = 7)",
        "INSERT INTO clevertap.profiles SELECT max(id) AS identity, flag AS \"F\" FROM '@/a.csv' GROUP BY flag",
        "INSERT INTO clevertap.profiles SELECT unnest(array_agg(id)) AS identity, 1 AS \"F\" FROM '@/a.csv'",
    ] {
        let told = files.run(statement).await;
        assert!(told.contains("the column \"id\" of a text file is needed as it is written there"), "{statement}: {told}");
    }
    assert_eq!(world.sent_to("/1/upload").len() + world.sent_to("/1/delete/profiles.json").len(), 0);
}
