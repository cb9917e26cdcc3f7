//! Lists in pages: never shorter than they say, never without an end, and no page more than a LIMIT needs.

use std::fmt::Write as _;

use clevertap_tests::Scripted;
use datafusion_clevertap::transport::Answer;

use crate::seed::lines;
use crate::world::World;

const SEGMENTS: &str = "SELECT name FROM clevertap.segments";
const BLOCKS: &str = "SELECT name FROM clevertap.content_blocks";
const MESSAGES: &str = "SELECT message_name FROM clevertap.message_reports WHERE start_date BETWEEN '2026-01-01' AND '2026-01-10'";

/// A project that answers with these bodies, one after the other, and then as an emulator does.
fn answering(bodies: &[&'static str]) -> World {
    let world = World::new();
    world.script(bodies.iter().map(|body| Scripted::Answer(200, body)));
    world
}

/// Records `from` and on, as a list.
fn records(from: usize, rows: usize) -> String {
    let mut list = String::new();
    for id in from..from + rows {
        let comma = if id == from { "" } else { "," };
        _ = write!(list, "{comma}{{\"id\":{id},\"name\":\"n{id}\"}}");
    }
    format!("[{list}]")
}

/// A project whose `page`th answer, from 0 on, is this one.
fn paged(answer: impl Fn(usize) -> String + Send + 'static) -> World {
    let world = World::new();
    let mut page = 0;
    world.transport.change_answers(move |_, _| {
        page += 1;
        Answer::new(200, answer(page - 1))
    });
    world
}

#[tokio::test(start_paused = true)]
async fn a_list_is_read_until_it_has_what_it_says() {
    for totals in [r#""total_pages":2,"total_count":2"#, r#""total_count":2"#, r#""total_pages":2"#] {
        let world = paged(move |page| format!(r#"{{"segments":[{{"id":{page},"name":"s{page}"}}],{totals}}}"#));
        assert_eq!(lines(&world.rows(SEGMENTS).await), ["| s0 |", "| s1 |"], "{totals}");
        assert_eq!(world.sent().len(), 2, "{totals}");
    }
    // A server that gives 99 where 100 are asked for.
    let world = paged(|page| format!(r#"{{"status":"success","contentBlocks":{},"total":297}}"#, records(page * 99, 99)));
    assert_eq!((count_of(&world, BLOCKS).await, world.sent().len()), (297, 3));
    // A full page whose total may be its own.
    let world =
        paged(|page| format!(r#"{{"status":"success","contentBlocks":{},"total":100}}"#, records(0, if page == 0 { 100 } else { 0 })));
    assert_eq!((count_of(&world, BLOCKS).await, world.sent().len()), (100, 2));
}

async fn count_of(world: &World, query: &str) -> usize {
    world.rows(query).await.iter().map(arrow::array::RecordBatch::num_rows).sum()
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_what_it_says_is_an_error() {
    for (query, bodies, says) in [
        (
            SEGMENTS,
            &[r#"{"segments":[{"id":1}],"total_count":5}"#, r#"{"segments":[],"total_count":5}"#] as &[_],
            "5 records, and gave 1 up",
        ),
        (
            SEGMENTS,
            &[r#"{"segments":[{"id":1}],"total_pages":3}"#, r#"{"segments":[],"total_pages":3}"#],
            "3 pages, and gave 1 up to page 2",
        ),
        (SEGMENTS, &[r#"{"segments":[{"id":1},{"id":2}],"total_count":1}"#], "1 records, and gave 2"),
        (SEGMENTS, &[r#"{"segments":null,"total_count":1}"#], "1 records, and gave 0"),
        (SEGMENTS, &[r#"{"segments":[],"total_count":1}"#], "1 records, and gave 0"),
        (SEGMENTS, &[r#"{"segments":[],"total_count":-1}"#], "\"total_count\" is no count"),
        (BLOCKS, &[r#"{"status":"success","total":3}"#], "3 records, and gave 0"),
        (MESSAGES, &[r#"{"status":"success","total_results":100,"messages":[{"message_name":"a"}]}"#], "100 records, and gave 1"),
        (MESSAGES, &[r#"{"status":"success","total_results":100}"#], "100 records, and gave 0"),
        (MESSAGES, &[r#"{"status":"success","total_results":1,"messages":[{"message_name":"a"},{"message_name":"b"}]}"#], "and gave 2"),
    ] {
        let error = answering(bodies).refused(query).await;
        assert!(error.contains(says) && error.contains("[CT-304]"), "{bodies:?}: {error}");
    }
    let none = answering(&[r#"{"status":"success","total_results":0}"#]);
    assert_eq!(count_of(&none, MESSAGES).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_repeats_its_pages_is_asked_no_further() {
    let blocks = |total: &'static str| paged(move |_| format!(r#"{{"status":"success","contentBlocks":{}{total}}}"#, records(0, 100)));
    let world = blocks("");
    let error = world.refused(BLOCKS).await;
    assert!(error.contains("page 2 of /v1/contentBlock/list repeats earlier ones") && error.contains("not complete"), "{error}");
    assert_eq!(world.sent().len(), 2);
    let error = blocks(r#","total":297"#).refused(BLOCKS).await;
    assert!(error.contains("297 records, and gave 100 up to page 2"), "{error}");
    // It has said so itself that this is all.
    assert_eq!(count_of(&blocks(r#","total":100"#), BLOCKS).await, 100);

    // Two pages in turn.
    let world = paged(|page| format!(r#"{{"status":"success","contentBlocks":{}}}"#, records(page % 2 * 100, 100)));
    let error = world.refused(BLOCKS).await;
    assert!(error.contains("page 3 of"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_schema_has_is_not_said_to_be_none_of_the_project() {
    let world = answering(&[
        r#"{"status":"fail","error":"[\"Invalid event : Charged\"]","code":400}"#,
        r#"{"status":"success","events":[{"name":"Charged"},{"name":"Charge"}]}"#,
    ]);
    let error = world.refused("SELECT events FROM clevertap.event_counts WHERE event_name = 'Charged' AND event_date = '2026-01-05'").await;
    assert!(error.contains("\"Charged\" invalid, although the project's schema has it") && !error.contains("has no event"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_value_that_cannot_be_read_is_counted_once() {
    let world = answering(&[
        r#"{"status":"success","total_results":2,"messages":[{"message_name":"a","start_date":"soon"},{"message_name":"b"}]}"#,
    ]);
    assert_eq!(
        lines(&world.rows(&MESSAGES.replace("message_name", "start_date, extra")).await),
        [r#"| | {"start_date":"soon"} |"#, "| | |"]
    );
    let warned = lines(&world.rows("SELECT code, column_name, rows FROM clevertap.warnings").await);
    assert_eq!(warned, ["| CT-621 | start_date | 2 |"]);
}

#[tokio::test(start_paused = true)]
async fn no_page_is_asked_for_behind_a_limit() {
    let world = paged(|page| format!(r#"{{"segments":{},"total_pages":9,"total_count":4500}}"#, records(page * 500, 500)));
    assert_eq!((count_of(&world, &format!("{SEGMENTS} LIMIT 5")).await, world.sent().len()), (5, 1));
    // A list without an end. Partitions read ahead of their filter, but not for ever.
    let world = paged(|page| format!(r#"{{"segments":{}}}"#, records(page * 500, 500)));
    let found = format!("{SEGMENTS} WHERE name LIKE 'n%' LIMIT 501");
    assert_eq!(count_of(&world, &found).await, 501);
    assert!(world.sent().len() < 100, "{} pages", world.sent().len());
}

#[tokio::test(start_paused = true)]
async fn the_list_of_lists_is_held_against_its_totals_before_one_is_replaced() {
    let insert = "INSERT INTO clevertap.custom_lists SELECT 'VIP' AS list_name, 'p1' AS identity";
    for (body, why) in [
        (r#"{"segments":[{"name":"A"}],"total_pages":1000000,"total_count":5}"#, "5 records on 1000000 pages, and gave 1 up to page 2"),
        (r#"{"segments":[{"id":7}],"total_pages":1,"total_count":1}"#, "lists one without a name"),
    ] {
        let world = World::new();
        world.set("list_email", "admin@example.org").await;
        world.set("list_mode", "replace").await;
        world.script(vec![Scripted::Answer(200, body); 3]);
        let error = world.refused(insert).await;
        assert!(error.contains("could not be asked") && error.contains(why), "{error}");
    }
}
