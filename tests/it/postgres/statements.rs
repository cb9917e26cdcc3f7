//! Random statements over events and people: filters, joins, groups, windows, the first rows of an order, NULL, NOT IN, casts, days of
//! daylight saving. Each is run over our tables and over the same rows in PostgreSQL, by the same text.

use std::fmt::Write;

use chrono_tz::Tz;
use clevertap_emulator::Settings;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::server::Postgres;
use super::{NULL, rows_of, seeds};
use crate::seed::{Size, seeded};
use crate::world::World;

/// Days from January into the week after the clocks of New York change.
const SIZE: Size = Size { people: 120, events: 2_500, days: 72 };

/// Keys that are looked for: known, unknown, NULL, twice.
const WANTED: &str = "(VALUES ('p1', 1), ('p2', 2), (NULL, 3), ('p3', 4), ('nobody', 5), ('p3', 6), ('p44', NULL))";

fn pick<'t>(rng: &mut StdRng, of: &[&'t str]) -> &'t str {
    of[rng.random_range(0..of.len())]
}

fn person(rng: &mut StdRng) -> String {
    format!("'p{}'", rng.random_range(0..SIZE.people))
}

fn day(rng: &mut StdRng) -> String {
    let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).expect("a day") + chrono::Days::new(rng.random_range(0..SIZE.days));
    format!("'{day}'")
}

/// Which events and days are asked for.
fn base(rng: &mut StdRng, t: &str) -> String {
    let names = ["= 'Charged'", "IN ('Charged', 'App Launched')", "= 'App Launched'", "IN ('Charged', 'Viewed Item')"];
    let (one, two) = (day(rng), day(rng));
    let (first, last) = if one <= two { (one, two) } else { (two, one) };
    let days = match rng.random_range(0..4) {
        0 => format!("{t}event_date BETWEEN {first} AND {last}"),
        1 => format!("{t}event_time >= {first} AND {t}event_date <= {last}"),
        2 => format!("{t}event_time >= DATE {first} AND {t}event_time < timestamp '{} 02:30:00'", last.trim_matches('\'')),
        _ => format!("{t}event_date = {first}"),
    };
    format!("{t}event_name {} AND {days}", pick(rng, &names))
}

/// A condition on the rows of events.
fn condition(rng: &mut StdRng, t: &str, depth: u32) -> String {
    if depth > 0 && rng.random_bool(0.5) {
        let (left, right) = (condition(rng, t, depth - 1), condition(rng, t, depth - 1));
        return match rng.random_range(0..5) {
            0 | 1 => format!("({left} AND {right})"),
            2 | 3 => format!("({left} OR {right})"),
            _ => format!("NOT ({left})"),
        };
    }
    let not = if rng.random_bool(0.4) { "NOT " } else { "" };
    match rng.random_range(0..16) {
        0 => format!("{t}identity = {}", person(rng)),
        1 => format!("{t}identity {not}IN ({}, {}, {})", person(rng), person(rng), pick(rng, &["NULL", "'p5'", "'nobody'"])),
        2 => format!("{t}identity {not}IN (SELECT id FROM wanted WHERE k < {})", rng.random_range(0..8)),
        3 => format!("{not}EXISTS (SELECT 1 FROM wanted w WHERE w.id = {t}identity AND w.k > {})", rng.random_range(0..7)),
        4 => format!("{t}name {not}LIKE '{}%'", pick(rng, &["Person 1", "Zo", "P", "x"])),
        5 => format!("{t}identity IS {not}NULL"),
        6 => format!("extract(hour FROM {t}event_time) {} {}", pick(rng, &["<", "=", ">="]), rng.random_range(0..24)),
        7 => format!("{t}event_time::date {} DATE {}", pick(rng, &["=", "<>", ">", "<="]), day(rng)),
        8 => format!(
            "{t}event_time {} timestamp '{} 02:{}0:00'",
            pick(rng, &["<", ">="]),
            day(rng).trim_matches('\''),
            rng.random_range(0..6)
        ),
        9 => format!("{t}event_time + interval '{}' >= DATE {}", pick(rng, &["1 day", "1 month", "-3 hours"]), day(rng)),
        10 => format!("{t}platform {} 'iOS'", pick(rng, &["=", "<>"])),
        11 => format!(
            "({t}properties ->> 'Currency') {}",
            pick(rng, &["= 'USD'", "<> 'EUR'", "IS NULL", "IN ('INR', 'USD')", "NOT IN ('INR', NULL)"])
        ),
        12 => format!("CASE WHEN {t}platform = 'iOS' THEN {t}identity = {} ELSE {t}name > 'Person 5' END", person(rng)),
        13 => format!("{t}identity = (SELECT max(id) FROM wanted WHERE k < {})", rng.random_range(0..8)),
        14 => format!(
            "date_trunc('{}', {t}event_time) {} DATE {}",
            pick(rng, &["day", "week", "month"]),
            pick(rng, &["=", "<", ">="]),
            day(rng)
        ),
        _ => format!("CAST(substr({t}object_id, 30) AS text) > '{}'", pick(rng, &["0f", "a0", "555"])),
    }
}

const SHOWN: &str = "event_name, EPOCH(event_time) AS at, event_date, identity, object_id, email";

/// A statement with `{events}`, `{charged}` and `{people}` for the tables, and `EPOCH(…)` for the seconds of an instant.
fn statement(rng: &mut StdRng) -> String {
    let order = "event_time, object_id, event_name";
    match rng.random_range(0..9) {
        0 => format!("SELECT {SHOWN} FROM {{events}} WHERE {} AND {}", base(rng, ""), condition(rng, "", 3)),
        1 => {
            let ends = format!("LIMIT {} OFFSET {}", rng.random_range(0..20), rng.random_range(0..4));
            let by = pick(rng, &["", " DESC"]);
            format!(
                "SELECT {SHOWN} FROM {{events}} WHERE {} AND {} ORDER BY event_time{by}, object_id, event_name, properties::text {ends}",
                base(rng, ""),
                condition(rng, "", 2)
            )
        }
        2 => {
            let key = pick(
                rng,
                &["identity", "event_date", "platform", "event_time::date", "CAST(extract(hour FROM event_time) AS int)", "event_name"],
            );
            let having = if rng.random_bool(0.4) { format!(" HAVING count(*) > {}", rng.random_range(0..4)) } else { String::new() };
            format!(
                "SELECT {key} AS k, count(*), count(DISTINCT identity), EPOCH(max(event_time)) FROM {{events}} WHERE {} AND {} GROUP BY {key}{having}",
                base(rng, ""),
                condition(rng, "", 2)
            )
        }
        3 => {
            let days = base(rng, "").split(" AND ").skip(1).collect::<Vec<_>>().join(" AND ");
            let amount = pick(
                rng,
                &[
                    "\"Amount\" > 100",
                    "\"Amount\" IS NULL",
                    "\"Amount\" BETWEEN 10 AND 5000",
                    "NOT (\"Amount\" < 700.25)",
                    "\"Currency\" = 'USD'",
                ],
            );
            format!(
                "SELECT \"Currency\", count(\"Amount\"), CAST(sum(\"Amount\") * 4 AS bigint) FROM {{charged}} c WHERE {days} AND {amount} GROUP BY 1"
            )
        }
        4 => {
            let join = pick(rng, &["JOIN", "LEFT JOIN"]);
            let on = pick(rng, &["", " AND p.email = e.email", " AND p.name <> e.platform", " AND e.platform = 'iOS'"]);
            format!(
                "SELECT EPOCH(e.event_time) AS at, e.identity, p.email, p.name FROM {{events}} e {join} {{people}} p ON p.identity = e.identity{on} WHERE {} AND {}",
                base(rng, "e."),
                condition(rng, "e.", 2)
            )
        }
        5 => {
            let not = pick(rng, &["", "NOT "]);
            format!(
                "SELECT w.id, w.k FROM wanted w WHERE {not}EXISTS (SELECT 1 FROM {{people}} p WHERE p.identity = w.id AND p.name > '{}')",
                pick(rng, &["", "P", "Person 3", "Z"])
            )
        }
        6 => format!(
            "SELECT identity, EPOCH(event_time) AS at, row_number() OVER (PARTITION BY identity ORDER BY {order}) AS n, \
             count(*) OVER (PARTITION BY event_date) AS of_day FROM {{events}} WHERE {} AND {}",
            base(rng, ""),
            condition(rng, "", 2)
        ),
        7 => format!(
            "SELECT w.id, p.email, e.n FROM wanted w JOIN {{people}} p ON p.identity = w.id LEFT JOIN (SELECT identity, count(*) AS n FROM {{events}} \
             WHERE {} GROUP BY identity) e ON e.identity = p.identity WHERE w.k {} {}",
            base(rng, ""),
            pick(rng, &["<", ">", "<>"]),
            rng.random_range(0..6)
        ),
        _ => format!(
            "SELECT {SHOWN} FROM {{events}} WHERE {} AND {} UNION ALL SELECT {SHOWN} FROM {{events}} WHERE {}",
            base(rng, ""),
            condition(rng, "", 1),
            base(rng, "")
        ),
    }
}

/// The rows of the seed, as PostgreSQL gets them.
async fn copy_of(world: &World, zone: Tz) -> String {
    let mut script = format!(
        "SET TimeZone = '{zone}';
         CREATE TABLE wanted AS SELECT * FROM {WANTED} AS t(id, k);
         CREATE TABLE people (identity text, object_id text, name text, email text);
         CREATE TABLE events (event_name text, event_time timestamptz, event_date date, identity text, object_id text, name text, email text,
           platform text, properties json, \"Amount\" double precision, \"Currency\" text);"
    );
    let mut insert = |table: &str, rows: Vec<String>| {
        let values = rows.iter().map(|row| {
            let cells: Vec<String> =
                row.split('|').map(|cell| if cell == NULL { "NULL".into() } else { format!("'{}'", cell.replace('\'', "''")) }).collect();
            format!("({})", cells.join(", "))
        });
        write!(script, "INSERT INTO {table} VALUES {};", values.collect::<Vec<_>>().join(",\n")).expect("text");
    };
    insert("people", rows_of(&world.rows("SELECT identity, object_id, name, email FROM seed.people").await));
    insert(
        "events",
        rows_of(
            &world
                .rows(
                    "SELECT event_name, arrow_cast(arrow_cast(to_unixtime(event_time), 'Timestamp(s, \"UTC\")'), 'Utf8'), event_date, identity, object_id,
                     name, email, platform, properties, \"Amount\", \"Currency\" FROM seed.events",
                )
                .await,
        ),
    );
    script
}

#[tokio::test(start_paused = true)]
async fn statements_give_the_rows_of_postgresql() {
    let Some(postgres) = Postgres::start() else { return };
    let zone = Tz::America__New_York;
    let world = seeded(SIZE, zone, Settings::default(), |_| {});
    world.rows(&format!("SET datafusion.execution.time_zone = '{zone}'")).await;
    world.rows(&format!("CREATE TABLE wanted AS SELECT * FROM {WANTED} AS t(id, k)")).await;
    let statements: Vec<String> = seeds(500).map(|seed| statement(&mut StdRng::seed_from_u64(seed + 900_000))).collect();
    let theirs: Vec<String> = statements
        .iter()
        .map(|sql| {
            sql.replace("{events}", "events")
                .replace("{people}", "people")
                .replace("{charged}", "(SELECT * FROM events WHERE event_name = 'Charged')")
                .replace("EPOCH(", "extract(epoch FROM ")
        })
        .collect();
    let expected = postgres.answers(&copy_of(&world, zone).await, &theirs);
    let mut rows = 0;
    for (sql, expected) in statements.iter().zip(expected) {
        let ours = sql
            .replace("{events}", "clevertap.events")
            .replace("{people}", "clevertap.profiles")
            .replace("{charged}", "clevertap_events.\"Charged\"")
            .replace("EPOCH(", "to_unixtime(");
        let expected: Vec<String> =
            expected.unwrap_or_else(|error| panic!("{sql}\n{error}")).iter().map(|row| row.replace(".000000|", "|")).collect();
        let mut expected: Vec<String> = expected.iter().map(|row| row.strip_suffix(".000000").unwrap_or(row).to_owned()).collect();
        expected.sort();
        let found = rows_of(&world.rows(&ours).await);
        let differ = found.iter().zip(&expected).find(|(one, other)| one != other);
        assert!(found.len() == expected.len() && differ.is_none(), "{ours}\n{} rows, not {}: {differ:?}", found.len(), expected.len());
        rows += found.len();
    }
    assert!(rows > statements.len(), "they find something");
}
