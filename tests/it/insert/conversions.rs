//! A value that cannot be made rejects its row, with its number and column, and takes no other row with it.

use crate::world::World;

/// Births of 20,000 people, two of which are no dates.
const PEOPLE: &str = "(SELECT concat('u', value) AS id, value AS n, CASE value WHEN 8191 THEN '31/13/1990' WHEN 19999 THEN 'secret' ELSE '31/12/1990' END AS \
                      dob, CASE value WHEN 77 THEN 'secret' ELSE '5' END AS visits, CASE value WHEN 5 THEN 0 ELSE 1 END AS parts FROM generate_series(1, 20000)) AS people";

async fn world(on_reject: &str) -> World {
    let world = World::new();
    world.set("on_reject", on_reject).await;
    world
}

/// Row, column and reason of each rejected row, and the counts.
fn told(world: &World) -> (Vec<String>, String) {
    let tally = world.last_run().tally;
    let rows = world.account.failed_rows();
    let rows = rows.iter().map(|row| {
        assert!(!format!("{row:?}").contains("secret"), "{row:?}");
        format!("{} {} {} {}", row.row_number, row.code, row.column_name.as_deref().unwrap_or_default(), row.reason)
    });
    (rows.collect(), format!("{} accepted, {} rejected, {} unsent", tally.accepted, tally.rejected, tally.unsent))
}

#[tokio::test(start_paused = true)]
async fn a_conversion_that_fails_in_some_rows_rejects_these() {
    let date = "CT-521 dob cannot be made: to_date does not read this text; ct_date(text, 'dd/mm/yyyy') makes it NULL";
    let cast = "CT-521 visits cannot be made: CAST of this Utf8View to Int64 fails; TRY_CAST makes it NULL";
    let divided = "CT-521 share cannot be made: its expression fails on this row; WHERE leaves such rows out";
    for (list, expected) in [
        ("to_date(dob, '%d/%m/%Y') AS dob", vec![format!("8191 {date}"), format!("19999 {date}")]),
        ("CAST(visits AS BIGINT) AS visits", vec![format!("77 {cast}")]),
        (
            "CAST(visits AS BIGINT) AS visits, to_date(dob, '%d/%m/%Y') AS dob",
            vec![format!("77 {cast}"), format!("8191 {date}"), format!("19999 {date}")],
        ),
        ("10 / parts AS share, upper(dob) AS written", vec![format!("5 {divided}")]),
        ("10 / (CASE WHEN n > 0 THEN parts ELSE 1 END) + 1 AS share", vec![format!("5 {divided}")]),
        // What stands twice is made once, in a list of its own.
        ("CAST(visits AS BIGINT) AS visits, CAST(visits AS BIGINT) * 2 AS twice", vec![format!("77 {cast}")]),
        ("ct_date(dob, 'dd/mm/yyyy') AS dob, TRY_CAST(visits AS BIGINT) AS visits", vec![]),
    ] {
        let world = world("skip").await;
        world.rows(&format!("INSERT INTO clevertap.profiles SELECT id AS identity, {list} FROM {PEOPLE}")).await;
        let (mut rows, counts) = told(&world);
        // Of several batches at once.
        rows.sort_by_key(|row| row.split(' ').next().and_then(|row| row.parse::<u64>().ok()));
        let rows: Vec<String> = rows.into_iter().map(|row| row.replace("Utf8 to", "Utf8View to")).collect();
        assert_eq!(rows, expected, "{list}");
        assert_eq!(counts, format!("{} accepted, {} rejected, 0 unsent", 20_000 - expected.len(), expected.len()), "{list}");
    }
}

#[tokio::test(start_paused = true)]
async fn by_default_the_first_such_row_stops_the_statement_and_is_named_without_its_value() {
    let world = world("stop").await;
    let insert =
        format!("INSERT INTO clevertap.profiles SELECT id AS identity, to_date(dob, '%d/%m/%Y') AS dob FROM {PEOPLE} WHERE n > 19990");
    let error = world.run(&insert).await.expect_err("stopped").to_string();
    assert!(error.contains("dob") && error.contains("row 9") && error.contains("to_date does not read this text"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn sorts_and_limits_above_and_files_below_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    for format in ["csv", "json", "parquet"] {
        let world = world("skip").await;
        world
            .rows(&format!("COPY (SELECT * FROM {PEOPLE} WHERE n > 19900 ORDER BY n) TO '{path}/people.{format}' STORED AS {format}"))
            .await;
        world.rows(&format!("CREATE EXTERNAL TABLE people STORED AS {format} LOCATION '{path}/people.{format}'")).await;
        for (rest, read, place) in
            [("", 100, Some(99)), ("ORDER BY n DESC", 100, None), ("ORDER BY n DESC LIMIT 2", 2, None), ("LIMIT 99", 99, Some(99))]
        {
            let before = world.account.failed_rows().len();
            world
                .rows(&format!("INSERT INTO clevertap.profiles SELECT id AS identity, to_date(dob, '%d/%m/%Y') AS dob FROM people {rest}"))
                .await;
            let failed = world.account.failed_rows();
            assert_eq!(failed.len(), before + 1, "{format} {rest}");
            let row = failed.last().expect("a row");
            assert_eq!(
                (row.code.as_str(), row.identifier.as_deref(), row.source_row),
                ("CT-521", Some("u19999"), place),
                "{format} {rest}"
            );
            assert!(row.source_file.as_deref().is_some_and(|file| file.ends_with(&format!("people.{format}"))), "{format} {rest}: {row:?}");
            assert_eq!(world.last_run().tally.accepted, read - 1, "{format} {rest}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_branch_of_a_union_rejects_its_own_rows() {
    let world = world("skip").await;
    let list = "SELECT id AS identity, CAST(visits AS BIGINT) AS visits";
    world
        .rows(&format!(
            "INSERT INTO clevertap.profiles {list} FROM {PEOPLE} UNION ALL SELECT 'last', 1 UNION ALL {list} FROM {PEOPLE} WHERE n < 100"
        ))
        .await;
    let (rows, counts) = told(&world);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(counts, "20098 accepted, 2 rejected, 0 unsent");
}

#[tokio::test(start_paused = true)]
async fn a_random_value_is_one_wherever_it_is_used() {
    let world = world("skip").await;
    world.rows("INSERT INTO clevertap.profiles SELECT id AS identity, id AS \"Copy\", CAST(n AS TEXT) AS \"N\" FROM (SELECT uuid() AS id, value AS n FROM generate_series(1, 3))").await;
    let sent: Vec<String> = world.sent().into_iter().map(|call| call.body).collect();
    let records: serde_json::Value = serde_json::from_str(sent.last().expect("a body")).expect("JSON");
    for record in records["d"].as_array().expect("records") {
        assert_eq!(record["identity"], record["profileData"]["Copy"]);
    }
    assert_eq!(records["d"].as_array().map(Vec::len), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_row_of_which_nothing_can_be_made_is_told_by_its_first_column() {
    let world = world("skip").await;
    world.rows("INSERT INTO clevertap.events SELECT concat('u', n) AS identity, 'Seen' AS event_name, to_timestamp(at, '%d/%m/%Y') AS event_time, CAST(at AS INT) AS \"N\" FROM (VALUES ('x', 1), ('y', 2), ('z', 3)) AS v(at, n)").await;
    let (rows, counts) = told(&world);
    let told = "CT-521 event_time cannot be made: to_timestamp does not read this value; ct_event_time(text, 'dd/mm/yyyy hh:mi', 'UTC') makes it NULL";
    assert_eq!(rows, [1, 2, 3].map(|row| format!("{row} {told}")));
    assert_eq!(counts, "0 accepted, 3 rejected, 0 unsent");
}

#[tokio::test(start_paused = true)]
async fn a_calendar_number_is_no_time_and_is_read_as_the_reject_says() {
    let world = world("skip").await;
    let people = "(VALUES ('a', 20260105), ('b', 1767607200), ('c', 20260230)) AS v(id, at)";
    world.rows(&format!("INSERT INTO clevertap.events SELECT id AS identity, 'Seen' AS event_name, at AS event_time FROM {people}")).await;
    let (rows, counts) = told(&world);
    assert_eq!(
        rows,
        [
            "1 CT-504 event_time looks like a day of the calendar, written as a number; expected epoch seconds. Read it with ct_event_time, its \
          format ('yyyymmdd' or 'yyyymmddhh') and its zone"
        ]
    );
    assert_eq!(counts, "2 accepted, 1 rejected, 0 unsent");
    // The same days read as seconds, of UTC and of the project's zone.
    for at in ["to_timestamp(at)", "to_timestamp(at) AT TIME ZONE 'Asia/Kolkata'"] {
        world
            .rows(&format!(
                "INSERT INTO clevertap.events SELECT id AS identity, 'Seen' AS event_name, {at} AS event_time FROM {people} WHERE id <> 'b'"
            ))
            .await;
        assert_eq!(world.last_run().tally.rejected, 2, "{at}");
        assert!(world.account.failed_rows().last().is_some_and(|row| row.reason.contains("is an instant of August 1970")), "{at}");
    }
    world.rows(&format!("INSERT INTO clevertap.events SELECT id AS identity, 'Seen' AS event_name, ct_event_time(at, 'yyyymmdd', 'Asia/Kolkata') AS event_time FROM {people} WHERE id = 'a'")).await;
    assert_eq!((world.account.failed_rows().len(), world.last_run().tally.accepted), (5, 1));
}
