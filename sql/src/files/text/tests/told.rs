//! What is told of text files before a row leaves, and what is refused: each with the remedy that its message names.

use clevertap_files::csv::NULL_MARKS;

use crate::{files::test_files::Files, world::World};

/// A statement over files: what it shows, what was told of the files, and what was sent.
async fn load(files: &[(&str, &[u8])], statements: &[&str]) -> (String, String, String) {
    let world = World::new();
    let files = Files::of(files, Some(world.account.clone()));
    let mut shown = String::new();
    for statement in statements {
        shown = files.run(statement).await;
    }
    (shown, files.notes().join("\n"), world.sent_to("/1/upload").join(""))
}

const PEOPLE: &[u8] = b"user_id,city\nu1,Pune\n\\N,Goa\nu3,\\N\n";

#[tokio::test]
async fn a_mark_for_no_value_is_told_and_names_nobody() {
    let insert = "INSERT INTO clevertap.profiles SELECT user_id AS identity, city AS \"City\" FROM";
    let (shown, notes, sent) = load(&[("a.csv", PEOPLE)], &[&format!("{insert} '@/a.csv'")]).await;
    assert!(shown.contains("1 rejected") && shown.contains("CT-522"), "{shown}");
    assert_eq!(
        notes,
        "a.csv, line 3, column \"user_id\": \"\\N\" is read as text; OPTIONS (null '\\N') of CREATE EXTERNAL TABLE makes it NULL\n\
         a.csv, line 4, column \"city\": \"\\N\" is read as text; OPTIONS (null '\\N') of CREATE EXTERNAL TABLE makes it NULL"
    );
    assert!(!sent.contains("\"identity\":\"\\\\N\""), "{sent}");
    // As it says, and for two marks.
    let two: &[u8] = b"user_id,city\nu1,Pune\nNULL,Goa\nu3,\\N\nu4,NULL\n";
    for (file, option) in [(PEOPLE, "null '\\N'"), (two, "null_regex '^(\\\\N|NULL)$'")] {
        let create = format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/a.csv' OPTIONS ({option})");
        let insert = format!("{insert} t WHERE user_id IS NOT NULL");
        let (shown, notes, sent) = load(&[("a.csv", file)], &[&create, &insert]).await;
        assert!(notes.is_empty() && sent.contains(r#""identity":"u3","profileData":{}"#), "{option}: {shown} {notes} {sent}");
    }
    let (_, notes, _) = load(&[("a.csv", two)], &["SELECT * FROM '@/a.csv'"]).await;
    assert!(notes.contains("OPTIONS (null_regex '^(\\\\N|NULL)$') of CREATE EXTERNAL TABLE makes them NULL"), "{notes}");
}

#[tokio::test]
async fn every_known_mark_is_refused_as_an_identifier_unless_it_is_said_to_be_one() {
    for mark in NULL_MARKS {
        let file = format!("id,n\n\"{mark}\",1\n");
        let insert = "INSERT INTO clevertap.profiles SELECT id AS identity, n AS \"N\" FROM '@/a.csv'";
        let (shown, ..) = load(&[("a.csv", file.as_bytes())], &[insert]).await;
        assert!(shown.contains("CT-522"), "{mark}: {shown}");
        let (.., sent) = load(&[("a.csv", file.as_bytes())], &["SET clevertap.null_marks = 'send'", insert]).await;
        assert!(sent.contains(&format!("\"identity\":\"{}\"", mark.replace('\\', "\\\\"))), "{mark}: {sent}");
    }
}

#[tokio::test]
async fn a_delete_by_a_file_erases_nobody_for_a_mark() {
    for delete in [
        "DELETE FROM clevertap.profiles WHERE identity IN (SELECT user_id FROM '@/a.csv')",
        "DELETE FROM clevertap.profiles WHERE identity IN (SELECT coalesce(user_id, city) FROM '@/a.csv')",
    ] {
        let world = World::new();
        let files = Files::of(&[("a.csv", PEOPLE)], Some(world.account.clone()));
        files.run("SET clevertap.on_reject = 'skip'").await;
        files.run("SET clevertap.null_marks = 'send'").await;
        files.run("INSERT INTO clevertap.profiles SELECT user_id AS identity, 1 AS \"N\" FROM '@/a.csv'").await;
        files.run("SET clevertap.null_marks = 'reject'").await;
        let told = files.run(delete).await;
        let bodies = world.sent_to("/1/delete/profiles.json").join("");
        assert!(bodies.contains("\"u1\"") && !bodies.contains("\\\\N"), "{delete}: {told}\n{bodies}");
    }
}

#[tokio::test]
async fn a_file_that_is_utf8_under_another_declared_encoding_is_told_by_name() {
    let files = Files::new(&[
        ("of/a.csv", b"id,name\n1,Jos\xe9\n"),
        ("of/b.csv", "id,name\n2,Zoë\n".as_bytes()),
        ("of/c.csv", b"id,name\n3,Anna\n"),
        ("of/d.csv", "\u{feff}id,name\n4,Zoë\n".as_bytes()),
    ]);
    files.run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/of/' OPTIONS (encoding 'windows-1252')").await;
    assert_eq!(
        files.notes(),
        [
            "b.csv: the file is UTF-8 with letters beyond ASCII, and is read as windows-1252, which makes other letters of them; read it by itself, \
          without the option encoding"
        ]
    );
    assert_eq!(files.run("SELECT name FROM t ORDER BY id").await, "name Utf8View; José; Zo\u{c3}\u{ab}; Anna; Zoë");
    // As it says.
    assert_eq!(files.run("SELECT name FROM '@/of/b.csv'").await, "name Utf8View; Zoë");
}

#[tokio::test]
async fn whole_numbers_of_other_tables_are_compared_with_texts_of_a_file_as_text() {
    let files =
        Files::new(&[("odd.csv", b"id,city\n7,Pune\n007,Goa\nu-1,Agra\n1e5,Delhi\n,none\n"), ("text.csv", b"id,city\nu-1,Agra\n9,Puri\n")]);
    files.run("CREATE TABLE orders AS SELECT * FROM (VALUES (7, 'a'), (9, 'b'), (100000, 'c')) t(id, item)").await;
    for (query, expected) in [
        ("SELECT f.id, o.item FROM '@/odd.csv' f JOIN orders o ON f.id = o.id", "7 a"),
        ("SELECT f.id, o.item FROM orders o JOIN '@/odd.csv' f ON o.id = f.id", "7 a"),
        ("SELECT city, item FROM '@/odd.csv' JOIN orders USING (id)", "Pune a"),
        ("SELECT city FROM '@/odd.csv' f LEFT JOIN orders o ON f.id = o.id WHERE o.id IS NULL ORDER BY 1", "Agra; Delhi; Goa; none"),
        ("SELECT city FROM '@/odd.csv' WHERE id IN (SELECT id FROM orders)", "Pune"),
        ("SELECT city FROM '@/odd.csv' WHERE id NOT IN (SELECT id FROM orders) AND id IS NOT NULL ORDER BY 1", "Agra; Delhi; Goa"),
        ("SELECT item FROM orders WHERE id IN (SELECT id FROM '@/text.csv')", "b"),
        ("SELECT item FROM orders o WHERE EXISTS (SELECT 1 FROM '@/text.csv' f WHERE f.id = o.id)", "b"),
        ("SELECT city FROM '@/odd.csv' WHERE id = 7", "Pune"),
        ("SELECT city FROM '@/odd.csv' WHERE id IN (7, 100000)", "Pune"),
        ("SELECT city FROM '@/odd.csv' WHERE id <> 7 ORDER BY 1", "Agra; Delhi; Goa"),
        ("SELECT CASE id WHEN 7 THEN 'seven' ELSE 'other' END FROM '@/odd.csv' ORDER BY 1 DESC LIMIT 1", "seven"),
        ("SELECT v.city FROM (SELECT id AS key, city FROM '@/odd.csv') v JOIN orders o ON v.key = o.id", "Pune"),
        // What its author casts is what he says.
        ("SELECT city FROM '@/odd.csv' f JOIN orders o ON TRY_CAST(f.id AS BIGINT) = o.id ORDER BY 1", "Goa; Pune"),
    ] {
        let shown = files.run(query).await;
        assert_eq!(shown.split_once("; ").map_or(shown.as_str(), |(_, rows)| rows), expected, "{query}");
    }
    // Where it cannot be exact, the message has no content and says what to write.
    for query in ["SELECT city FROM '@/odd.csv' WHERE id > 6", "SELECT f.id FROM '@/odd.csv' f JOIN (SELECT 7.5 AS n) o ON f.id = o.n"] {
        let told = files.run(query).await;
        assert!(
            told.contains("Cannot cast string '…' to value of ") && told.contains("TRY_CAST makes NULL of a text that is none"),
            "{query}: {told}"
        );
    }
    assert_eq!(files.run("SELECT city FROM '@/odd.csv' WHERE TRY_CAST(id AS BIGINT) > 6 ORDER BY 1").await, "city Utf8View; Goa; Pune");
}

#[tokio::test]
async fn remedies_name_the_column_of_the_file() {
    for (select, expected) in [
        ("seen AS event_time", "write ct_event_time(\"seen\", "),
        ("lower(seen) AS event_time", "write ct_event_time(\"seen\", "),
        ("coalesce(f.seen, f.seen) AS event_time", "write ct_event_time(\"seen\", "),
        ("concat(seen, id) AS event_time", "write ct_event_time(\"event_time\", "),
        ("local AS event_time", "write \"local\" AT TIME ZONE 'UTC'"),
        ("at AS event_time", "write ct_event_time(\"seen\", "),
    ] {
        let from = if select.starts_with("at ") { "(SELECT seen AS at, id FROM '@/a.csv')" } else { "'@/a.csv' f" };
        let insert = format!("INSERT INTO clevertap.events SELECT id AS identity, 'Seen' AS event_name, {select} FROM {from}");
        let (told, ..) = load(&[("a.csv", b"id,seen,local\nu1,5/1/2026,2026-01-05 10:00:00\n")], &[&insert]).await;
        assert!(told.contains("column \"event_time\" ") && told.contains(expected), "{select}: {told}");
    }
}

#[tokio::test]
async fn times_that_are_digits_are_read_as_the_message_says() {
    for (digits, divided, format) in [
        ("20261129103000", false, "yyyymmddhhmiss"),
        ("202611291030", false, "yyyymmddhhmi"),
        ("2026112910", false, "yyyymmddhh"),
        ("20261129103000123", true, "yyyymmddhhmiss"),
    ] {
        let file = format!("id,at\nu1,{digits}\n");
        let insert = |time: &str| {
            format!("INSERT INTO clevertap.events SELECT id AS identity, 'Seen' AS event_name, {time} AS event_time FROM '@/a.csv'")
        };
        let (told, ..) = load(&[("a.csv", file.as_bytes())], &[&insert("at")]).await;
        assert!(told.contains("ct_event_time, its format (") && told.contains(&format!("'{format}')")), "{digits}: {told}");
        assert_eq!(told.contains("Divide it by 1000, and read it"), divided, "{digits}: {told}");
        let time = format!("ct_event_time({}, '{format}', 'UTC')", if divided { "at / 1000" } else { "at" });
        let (told, _, sent) = load(&[("a.csv", file.as_bytes())], &[&insert(&time)]).await;
        let ts = if format == "yyyymmddhh" { "1795946400" } else { "1795948200" };
        assert!(sent.contains(&format!("\"ts\":{ts}")), "{digits}: {told} {sent}");
    }
}

#[tokio::test]
async fn a_property_whose_times_have_no_zone_is_told_once_with_the_zone_in_which_it_is_read() {
    let file: &[u8] = b"id,seen,day\nu1,2026-01-05 10:00:00,2026-01-05\nu2,2026-01-06 10:00:00,2026-01-06\n";
    let warned = async |statements: &[&str]| {
        let world = World::new();
        let files = Files::of(&[("a.csv", file)], Some(world.account.clone()));
        for statement in statements {
            files.run(statement).await;
        }
        let warnings = files.run("SELECT column_name, rows, message FROM clevertap.warnings WHERE code = 'CT-604'").await;
        (warnings, world.sent_to("/1/upload").join(""))
    };
    let insert = "INSERT INTO clevertap.profiles SELECT id AS identity, seen AS \"Seen\", day AS \"Day\" FROM '@/a.csv'";
    let (warnings, sent) = warned(&[insert]).await;
    assert!(
        warnings.ends_with(
            "; Seen 2 column \"Seen\" has times without a zone, which are read as UTC; write \"seen\" AT TIME ZONE 'UTC' or another zone, or SET \
             clevertap.naive_time = 'project' for the project's"
        ) && sent.contains("$D_1767607200"),
        "{warnings} {sent}"
    );
    // As it says.
    let (warnings, sent) = warned(&["SET clevertap.naive_time = 'project'", insert]).await;
    assert!(warnings.is_empty() && sent.contains("$D_1767587400"), "{warnings} {sent}");
    let (warnings, sent) = warned(&[&insert.replace("seen AS", "seen AT TIME ZONE 'Asia/Kolkata' AS")]).await;
    assert!(warnings.is_empty() && sent.contains("$D_1767587400"), "{warnings} {sent}");
    let nested =
        "INSERT INTO clevertap_events.\"E\" SELECT id AS identity, now() AS event_time, make_array(seen) AS \"All\" FROM '@/a.csv'";
    assert!(warned(&[nested]).await.0.ends_with("which are read as UTC; SET clevertap.naive_time = 'project' for the project's"));
}

#[tokio::test]
async fn dumps_and_joined_files_are_refused_as_their_lines_say() {
    let files = Files::new(&[
        ("bom.csv", "\u{feff}id,n\na,1\n\u{feff}id,n\nb,2\n".as_bytes()),
        ("twice.csv", b"id,n\na,1\nid,n\nb,2\n"),
        ("psql.csv", b" id | n \n----+---\n a  | 1\n(1 row)\n"),
        ("one.csv", b"id\na\n(1 row)\n"),
        ("mysql.tsv", b"id\tnote\na\tx\\\ny\n"),
    ]);
    for (name, line, words) in [
        ("bom.csv", 3, "a byte order mark begins the line"),
        ("twice.csv", 3, "the names of the columns stand here again"),
        ("psql.csv", 2, "with psql's \\copy (SELECT …) TO 'file.csv' CSV HEADER"),
        ("one.csv", 3, "remove the count of the rows"),
        ("mysql.tsv", 3, "OPTIONS (delimiter '\\t', quote '', escape '\\') of CREATE EXTERNAL TABLE"),
    ] {
        let told = files.read(name).await;
        assert!(told.contains(&format!("{name}, line {line}: ")) && told.contains(words), "{told}");
    }
    files.run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/mysql.tsv' OPTIONS (delimiter '\\t', quote '', escape '\\')").await;
    assert_eq!(files.run("SELECT id, replace(note, chr(10), '+') AS note FROM t").await, "id Utf8View, note Utf8; a x+y");
    // The files as they were, as a folder.
    let parts = Files::new(&[("of/1.csv", "\u{feff}id,n\na,1\n".as_bytes()), ("of/2.csv", "\u{feff}id,n\nb,2\n".as_bytes())]);
    assert_eq!(parts.read("of/").await, "id Utf8View, n Int64; a 1; b 2");
}
