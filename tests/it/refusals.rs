//! A query that cannot be asked for is refused with its own cause, and what the refusal says to write works.

use chrono_tz::Tz;
use clevertap_emulator::Settings;

use crate::seed::{SMALL, lines, seeded};
use crate::world::World;
use clevertap_tests::Scripted;

fn world() -> World {
    seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {})
}

/// A query, what its refusal says, and the same query as the refusal says to write it.
const REFUSED: [(&str, &str, &str); 32] = [
    (
        "SELECT p.email FROM clevertap.profiles p JOIN people w ON lower(p.identity) = w.identity",
        "the join is on an expression of \"identity\"",
        "SELECT p.email FROM clevertap.profiles p JOIN people w ON p.identity = lower(w.identity)",
    ),
    (
        "SELECT x.email, x.r FROM (SELECT identity, email, row_number() OVER (ORDER BY email) AS r FROM clevertap.profiles) x JOIN people w ON x.identity = w.identity",
        "a LIMIT or a window stands below the join on \"identity\"",
        "SELECT x.email, row_number() OVER (ORDER BY email) AS r FROM clevertap.profiles x JOIN (SELECT identity FROM people) w ON x.identity = w.identity",
    ),
    (
        "SELECT * FROM clevertap.event_counts WHERE event_name = 'Charged' AND event_date IN (SELECT d FROM (VALUES (DATE '2026-01-05'), (DATE '2026-01-06')) v(d))",
        "rows have no \"event_date\" of their own that could be joined on",
        "SELECT * FROM clevertap.event_counts WHERE event_name = 'Charged' AND event_date = (SELECT max(d) FROM (VALUES (DATE '2026-01-05'), (DATE '2026-01-06')) v(d))",
    ),
    (
        "SELECT email FROM clevertap.profiles WHERE identity = 'p1' OR email = 'p2+news@example.org'",
        "under an OR, so that rows without it are asked for too: write a SELECT for each side, with UNION between them",
        "SELECT email FROM clevertap.profiles WHERE identity = 'p1' UNION SELECT email FROM clevertap.profiles WHERE email = 'p2+news@example.org'",
    ),
    (
        "SELECT email FROM clevertap.profiles WHERE identity = 'p1' OR name = 'x'",
        "add a filter on it that holds for all of these rows",
        "SELECT email FROM clevertap.profiles WHERE (identity = 'p1' OR name = 'x') AND identity IN ('p1', 'p2')",
    ),
    (
        "SELECT email FROM clevertap.profiles WHERE identity::bigint = 3",
        "on a cast of \"identity\"",
        "SELECT email FROM clevertap.profiles WHERE identity = 3",
    ),
    (
        "SELECT email FROM clevertap.profiles WHERE identity::bigint IN (3, 4, 5, 6, 7)",
        "on a cast of \"identity\"",
        "SELECT email FROM clevertap.profiles WHERE identity IN (3, 4, 5, 6, 7)",
    ),
    (
        "SELECT email FROM clevertap.profiles WHERE identity LIKE 'p1%'",
        "the filter on \"identity\" is not = or IN",
        "SELECT email FROM clevertap.profiles WHERE identity IN ('p1', 'p10') AND identity LIKE 'p1%'",
    ),
    (
        "SELECT email FROM clevertap.profiles WHERE identity > 'p1'",
        "the filter on \"identity\" is not = or IN",
        "SELECT email FROM clevertap.profiles WHERE identity IN ('p1', 'p10') AND identity > 'p1'",
    ),
    (
        "SELECT email FROM clevertap.profiles WHERE identity NOT IN ('p1', 'p2', 'p3', 'p4', 'p5')",
        "the filter on \"identity\" is not = or IN",
        "SELECT email FROM clevertap.profiles WHERE identity IN ('p1', 'p6') AND identity NOT IN ('p1', 'p2')",
    ),
    (
        "SELECT email FROM clevertap.profiles WHERE identity IS NOT NULL",
        "the filter on \"identity\" is not = or IN",
        "SELECT email FROM clevertap.profiles WHERE identity = 'p1' AND identity IS NOT NULL",
    ),
    (
        "SELECT email FROM clevertap.profiles WHERE upper(identity) = 'P1'",
        "an expression of \"identity\"",
        "SELECT email FROM clevertap.profiles WHERE identity = 'p1'",
    ),
    ("SELECT email FROM clevertap.profiles", "this query has none", "SELECT email FROM clevertap.profiles WHERE identity = 'cust-1001'"),
    (
        "SELECT email FROM clevertap.profiles WHERE name = 'x'",
        "this query has none",
        "SELECT email FROM clevertap.profiles WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31' AND name = 'x'",
    ),
    (
        "SELECT p.email FROM clevertap.profiles p LEFT JOIN people w ON p.identity = w.identity",
        "takes rows that have no match too",
        "SELECT p.email FROM people w LEFT JOIN clevertap.profiles p ON p.identity = w.identity",
    ),
    (
        "SELECT p.email FROM clevertap.profiles p WHERE NOT EXISTS (SELECT 1 FROM people w WHERE p.identity = w.identity)",
        "takes rows that have no match too",
        "SELECT w.email FROM people w WHERE NOT EXISTS (SELECT 1 FROM clevertap.profiles p WHERE p.identity = w.identity)",
    ),
    (
        "SELECT p.email FROM clevertap.profiles p JOIN people w ON p.identity = w.identity OR p.email = w.email",
        "\"identity\" and \"email\" by something else than an =, or under an OR",
        "SELECT p.email FROM clevertap.profiles p JOIN people w ON p.identity = w.identity UNION SELECT p.email FROM clevertap.profiles p JOIN people w ON p.email = w.email",
    ),
    (
        "SELECT p.email FROM clevertap.profiles p JOIN people w ON p.identity < w.identity",
        "\"identity\" by something else than an =",
        "SELECT p.email FROM clevertap.profiles p JOIN people w ON p.identity = w.identity",
    ),
    (
        "SELECT p.email FROM (SELECT * FROM clevertap.profiles LIMIT 5) p JOIN people w ON p.identity = w.identity",
        "a LIMIT or a window stands below the join on \"identity\"",
        "SELECT p.email FROM clevertap.profiles p JOIN people w ON p.identity = w.identity LIMIT 5",
    ),
    (
        "SELECT p.email FROM clevertap.profiles p JOIN people w ON p.identity::bigint = w.n",
        "the join is on a cast of \"identity\"",
        "SELECT p.email FROM clevertap.profiles p JOIN people w ON p.identity = w.n",
    ),
    (
        "SELECT p.email FROM clevertap.profiles p JOIN clevertap.profiles q ON p.identity = q.email",
        "the other side of the join on \"identity\" lacks a filter of its own",
        "SELECT p.email FROM clevertap.profiles p JOIN clevertap.profiles q ON p.identity = q.email WHERE q.identity = 'p1'",
    ),
    (
        "SELECT identity FROM clevertap.events WHERE event_name LIKE 'C%' AND event_date = '2026-01-05'",
        "the filter on \"event_name\" is not = or IN",
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-05'",
    ),
    (
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date < '2026-01-05'",
        "the range of this query has no first day",
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date >= '2026-01-01' AND event_date < '2026-01-05'",
    ),
    (
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_time < '2026-01-05 10:00:00'",
        "the range of this query has no first day",
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date >= '2026-01-01' AND event_time < '2026-01-05 10:00:00'",
    ),
    (
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND date_trunc('month', event_time) = '2026-01-01'",
        "an expression of \"event_time\"",
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'",
    ),
    (
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND (event_date = '2026-01-05' OR identity = 'p1')",
        "add a filter on it that holds for all of these rows",
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date >= '2026-01-01' AND (event_date = '2026-01-05' OR identity = 'p1')",
    ),
    (
        "SELECT message_name FROM clevertap.message_reports WHERE start_date <= '2026-01-05'",
        "the range of this query has no first day",
        "SELECT message_name FROM clevertap.message_reports WHERE start_date BETWEEN '2026-01-01' AND '2026-01-31'",
    ),
    (
        "SELECT events FROM clevertap.event_counts WHERE event_name = 'Charged' AND from_date BETWEEN '2026-01-01' AND '2026-01-31'",
        "event_date BETWEEN",
        "SELECT events FROM clevertap.event_counts WHERE event_name = 'Charged' AND from_date = '2026-01-01' AND to_date = '2026-01-31'",
    ),
    (
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date BETWEEN 20260105 AND 20260106",
        "DATE '2026-01-05'",
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date BETWEEN DATE '2026-01-05' AND '2026-01-06'",
    ),
    (
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_time >= 20260105",
        "DATE '2026-01-05'",
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_time >= DATE '2026-01-05' AND event_time < 1767900000",
    ),
    (
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date >= '2026-02-30'",
        "'2026-02-30' is compared with \"event_date\", and is no date",
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date >= '2026-01-31'",
    ),
    (
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_time >= '31.01.2026'",
        "'31.01.2026' is compared with \"event_time\", and is no date",
        "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_time >= '2026-01-31 18:00:00'",
    ),
];

#[tokio::test(start_paused = true)]
async fn a_refusal_names_its_cause_and_what_it_says_to_write_works() {
    let world = world();
    world.rows("CREATE TABLE people AS SELECT identity, email, 1 AS n FROM seed.people WHERE identity IN ('p1', 'p2', 'p3')").await;
    for (query, cause, remedy) in REFUSED {
        world.forget_sent();
        let error = world.refused(query).await;
        assert!(error.contains(cause) && error.contains("[CT-201]"), "{query}\n{error}");
        assert!(cause == "this query has none" || !error.contains("this query has none"), "{query}\n{error}");
        assert!(world.sent().is_empty(), "{query}");
        world.rows(remedy).await;
        // EXPLAIN says it as well.
        assert!(world.refused(&format!("EXPLAIN {query}")).await.contains(cause), "{query}");
    }
}

/// Branches of an OR are exports of their own; an event and a day that two of them ask for comes once.
#[tokio::test(start_paused = true)]
async fn each_branch_of_an_or_is_exported_and_nothing_twice() {
    let world = world();
    for (condition, windows) in [
        ("(event_name = 'Charged' AND event_date = '2026-01-05') OR (event_name = 'App Launched' AND event_date = '2026-01-20')", 2),
        ("(event_name = 'Charged' AND event_date = '2026-01-05') OR (event_name = 'Charged' AND event_date = '2026-01-20')", 2),
        (
            "(event_name IN ('Charged', 'Viewed Item') AND event_date = '2026-01-05') OR (event_name = 'Charged' AND event_date = '2026-01-05')",
            2,
        ),
        ("event_name = 'Charged' AND (event_date = '2026-01-05' OR event_time BETWEEN '2026-01-20 03:00:00' AND '2026-01-20 15:00:00')", 2),
        (
            "event_name = 'Charged' AND (event_date = '2026-01-05' OR event_time >= '2026-01-05 20:00:00' AND event_time < '2026-01-06 06:00:00')",
            2,
        ),
        (
            "((event_name = 'Charged' AND event_date = '2026-01-05') OR (event_name = 'App Launched' AND event_date = '2026-01-20')) AND identity = 'p7'",
            2,
        ),
        ("(event_name = 'Charged' OR event_name = 'App Launched') AND event_date = '2026-01-05'", 2),
        (
            "((event_name = 'Charged' AND event_date = '2026-01-05') OR (event_name = 'App Launched' AND event_date = '2026-01-20')) AND event_date < '2026-01-10'",
            1,
        ),
    ] {
        world.forget_sent();
        world.same(&format!("SELECT event_name, event_time, identity FROM {{events}} WHERE {condition}")).await;
        let asked: Vec<_> = world.sent_to("/1/events.json").iter().map(|call| call.body.clone()).filter(|body| !body.is_empty()).collect();
        assert_eq!(asked.len(), windows, "{condition}\n{asked:?}");
    }
    let counted = world.same("SELECT count(*) FROM {events} WHERE (event_name = 'Charged' AND event_date BETWEEN '2026-01-05' AND '2026-01-09') OR (event_name = 'Charged' AND event_date BETWEEN '2026-01-08' AND '2026-01-12')").await;
    assert_eq!(counted, 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_beyond_the_calendar_of_the_api_is_clipped() {
    let world = world();
    let all = lines(&world.rows("SELECT count(*) FROM clevertap.events WHERE event_name = 'Charged' AND event_date >= '2026-01-01'").await);
    for (first, last) in [("0001-01-01", "9999-12-31"), ("1969-12-31", "2286-11-21"), ("2026-01-01", "9999-12-31")] {
        for column in ["event_date", "event_time"] {
            let query =
                format!("SELECT count(*) FROM clevertap.events WHERE event_name = 'Charged' AND {column} BETWEEN '{first}' AND '{last}'");
            assert_eq!(lines(&world.rows(&query).await), all, "{query}");
        }
    }
    let explained = world.rows("EXPLAIN SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date BETWEEN '0001-01-01' AND '9999-12-31'").await;
    assert!(lines(&explained).concat().contains("days=1970-01-01..2027-"), "{explained:?}");
}

#[tokio::test(start_paused = true)]
async fn days_of_a_count_are_exactly_those_that_are_said() {
    let world = world();
    let counted =
        |condition: &str| format!("SELECT from_date, to_date FROM clevertap.event_counts WHERE event_name = 'Charged' AND {condition}");
    for (condition, expected) in [
        ("event_date BETWEEN '2026-01-05' AND '2026-01-09'", Some("| 2026-01-05 | 2026-01-09 |")),
        ("from_date = '2026-01-05' AND to_date = '2026-01-09'", Some("| 2026-01-05 | 2026-01-09 |")),
        // The last day may lie ahead; what is asked for ends today.
        ("from_date = '2026-04-01' AND to_date = '2026-05-31'", Some("| 2026-04-01 | 2026-04-24 |")),
        ("event_date BETWEEN '2026-04-01' AND '2026-05-31'", Some("| 2026-04-01 | 2026-04-24 |")),
        ("from_date >= '2026-01-05' AND to_date <= '2026-01-09'", Some("| 2026-01-05 | 2026-01-09 |")),
        ("from_date BETWEEN '2026-01-05' AND '2026-01-07' AND to_date = '2026-01-09'", Some("| 2026-01-05 | 2026-01-09 |")),
        ("event_date BETWEEN '2026-01-05' AND '2026-01-09' AND from_date <= '2026-01-01'", None),
        ("event_date BETWEEN '2026-01-05' AND '2026-01-09' AND to_date >= '2026-02-01'", None),
        ("event_date BETWEEN '2026-01-05' AND '2026-01-09' AND from_date <= '2026-01-05'", Some("| 2026-01-05 | 2026-01-09 |")),
    ] {
        assert_eq!(lines(&world.rows(&counted(condition)).await).first().map(String::as_str), expected, "{condition}");
    }
}

/// An answer may hold more than was asked for; what lies outside is looked at again here, and a row whose day cannot be read stays.
#[tokio::test(start_paused = true)]
async fn days_that_nobody_asked_for_are_left_out() {
    let world = World::new();
    let page = r#"{"status":"success","records":[{"profile":{"identity":"a"},"ts":20260105100000},{"profile":{"identity":"b"},"ts":20260104235959},{"profile":{"identity":"c"},"ts":20260106000000},{"profile":{"identity":"d"}}]}"#;
    let reports = r#"{"status":"success","messages":[{"message id":1,"start_date":"2026-01-05"},{"message id":2,"start_date":null},
        {"message id":3,"start_date":"2026-02-05"}],"total_results":3}"#;
    for (query, body, expected) in [
        ("SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-05'", page, "| a | | d |"),
        ("SELECT count(*) FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-05'", page, "| 2 |"),
        ("SELECT message_id FROM clevertap.message_reports WHERE start_date BETWEEN '2026-01-01' AND '2026-01-08'", reports, "| 1 | | 2 |"),
    ] {
        let cursor = r#"{"status":"success","cursor":"x"}"#;
        let answers = if body == page { vec![cursor, body] } else { vec![body] };
        world.script(answers.into_iter().map(|body| Scripted::Answer(200, body)));
        assert_eq!(lines(&world.rows(query).await).join(" "), expected, "{query}");
    }
    let warned = lines(&world.rows("SELECT column_name, rows FROM clevertap.warnings WHERE code = 'CT-621'").await);
    assert!(warned.iter().any(|line| line == "| start_date | 1 |"), "{warned:?}");
}
