//! The pages say what is true: their options and tables are those of the code, their SQL runs, their links lead somewhere.
//!
//! Rust blocks run as doctests of the connector, which includes both pages that have some.

use std::fs;
use std::path::{Path, PathBuf};

use clevertap_emulator::Settings;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::{Access, ClevertapSql, Options, register};

use crate::world::World;

const FIRST: &str = "README.md";
const PROGRAM: &str = "sql/README.md";
const CRATE: &str = "connector/README.md";
const SPEED: &str = "benches/README.md";
const PAGES: [&str; 6] = [FIRST, PROGRAM, CRATE, SPEED, "benches/peers/README.md", "sql/databases/README.md"];

/// Lines after which a page has its contents at the top: two screens.
const CONTENTS_AFTER: usize = 80;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The lines of the section `title`.
fn section(page: &str, title: &str) -> Vec<String> {
    let heading = format!("## {title}");
    let lines = page.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    lines.map(str::to_owned).collect()
}

/// The lines outside of blocks of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    page.lines().filter(move |line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

#[test]
fn every_option_is_listed_with_its_default() {
    let cell = |line: &str, column: usize| line.split('|').nth(column).unwrap_or_default().trim().trim_matches('`').to_owned();
    let rows: Vec<_> =
        section(&page(PROGRAM), "Options").into_iter().filter(|line| line.starts_with("| `") && !line.contains('…')).collect();
    let listed: Vec<_> = rows.iter().map(|line| (cell(line, 1), cell(line, 2))).collect();
    let name = |name: &str| name.trim_start_matches("clevertap.").to_owned();
    let options: Vec<_> = Options::default().settings().into_iter().map(|setting| (name(&setting.name), setting.default)).collect();
    assert_eq!(listed, options);
}

/// The table of tables, from `clevertap.tables`.
async fn generated() -> Vec<String> {
    let world = World::new();
    let rows = world
        .rows(
            "SELECT concat('| `', table_name, '` | ', CASE WHEN reads AND writes THEN 'read, write' WHEN reads THEN 'read' ELSE 'write' END,
             ' | ', coalesce(required_filters, ''), ' | ', description, ' |') AS line FROM clevertap.tables",
        )
        .await;
    let mut lines = Vec::new();
    for batch in rows {
        let texts = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).expect("text");
        let texts: &arrow::array::StringArray = texts.as_any().downcast_ref().expect("text");
        lines.extend(texts.iter().flatten().map(str::to_owned));
    }
    lines
}

#[tokio::test]
async fn the_list_of_tables_is_generated_from_them() {
    let mut listed = section(&page(FIRST), "Tables");
    listed.retain(|line| line.starts_with("| `clevertap."));
    let tables = generated().await;
    assert_eq!(listed, tables, "put these lines there:\n{}", tables.join("\n"));
}

#[test]
fn the_first_page_is_short_and_a_long_page_begins_with_its_contents() {
    assert!(page(FIRST).lines().count() <= 220, "{} has {} lines; 220 are the most", FIRST, page(FIRST).lines().count());
    for name in PAGES {
        let text = page(name);
        let top = text.split("\n## ").next().unwrap_or_default();
        for heading in text.lines().filter_map(|line| line.strip_prefix("## ")) {
            let link = format!("(#{})", anchor(heading));
            assert!(text.lines().count() < CONTENTS_AFTER || top.contains(&link), "{name} does not link \"{heading}\" at its top: {link}");
        }
    }
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_')).collect::<String>().replace(' ', "-")
}

/// Whether a link of the page `from` leads to a file that exists, and to a heading of it.
fn leads_somewhere(from: &str, link: &str) -> bool {
    let (path, heading) = link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
    let here = root().join(from);
    let target = if path.is_empty() { here } else { here.parent().expect("a folder").join(path) };
    let Some(heading) = heading else { return target.exists() };
    let Ok(text) = fs::read_to_string(target) else { return false };
    prose(&text).filter(|line| line.starts_with('#')).any(|line| anchor(line.trim_start_matches('#').trim()) == heading)
}

#[test]
fn every_link_leads_to_a_file_or_a_heading() {
    let (mut links, mut broken) = (0, Vec::new());
    for name in PAGES {
        let text = page(name);
        let targets = prose(&text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
        for link in targets.filter(|link| !link.starts_with("https://")) {
            links += 1;
            if !leads_somewhere(name, link) {
                broken.push(format!("{name}: {link}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    assert!(links > 50, "{links} links");
}

#[test]
fn a_link_to_nothing_is_found() {
    assert!(leads_somewhere(FIRST, "#quick-start") && leads_somewhere(PROGRAM, "../README.md#1-the-demo"));
    assert!(
        !leads_somewhere(FIRST, "#slow-start") && !leads_somewhere(PROGRAM, "README.md/x") && !leads_somewhere(CRATE, "src/nothing.rs")
    );
}

/// Files that the pages name: as it stands there, where it is, and what is in it.
const FILES: [(&str, &str, &str); 9] = [
    ("users.parquet", "users.parquet", USERS),
    ("users/", "users/1.parquet", USERS),
    ("s3://warehouse/users/", "users/1.parquet", USERS),
    ("users.csv", "users.csv", USERS),
    (
        "s3://warehouse/payments/",
        "payments/1.parquet",
        "SELECT concat('u', value) AS user_id, to_timestamp(1768000000 + value) AT TIME ZONE 'UTC' AS paid_at, 10.5 * value AS amount
         FROM generate_series(1, 4)",
    ),
    (
        "failed/",
        "failed/1.parquet",
        "SELECT column1 AS identifier, 'rejected' AS fate, column2 AS code, column3 AS reason, column4 AS column_name
         FROM (VALUES ('u2', 'CLEVERTAP-516', 'Phone number is not valid.', 'phone'), ('u3', 'CLEVERTAP-515', 'Email is not valid.', 'email'))",
    ),
    ("upgraded.csv", "upgraded.csv", "SELECT concat('u', value) AS user_id FROM generate_series(1, 2)"),
    ("leavers.csv", "leavers.csv", "SELECT concat('u', value) AS user_id FROM generate_series(3, 4)"),
    ("delta.parquet", "delta.parquet", "SELECT 'u1' AS id, '098123 45678' AS mobile, ['gold', 'beta'] AS new_tags, 2 AS visits"),
];

/// The phone of `u2` and the e-mail address of `u3` are those that `failed/` is about.
const USERS: &str =
    "SELECT concat('u', value) AS user_id, concat('u', value, CASE WHEN value = 3 THEN ' at ' ELSE '@' END, 'example.org') AS email,
                     'gold' AS plan, concat('09812345', 670 + value) AS phone FROM generate_series(1, 4)";

/// What is in the project before a block runs.
const PROJECT: [&str; 2] = [
    "INSERT INTO clevertap.profiles SELECT concat('u', value) AS identity, concat('u', value, '@example.org') AS email,
     1 AS \"Visits\" FROM generate_series(1, 4)",
    "INSERT INTO clevertap.events SELECT concat('u', n) AS identity, name AS event_name, 1769875200 + n AS event_time,
     100 * n AS \"Amount\", 'INR' AS \"Currency\" FROM (VALUES (1), (2)) AS people (n)
     CROSS JOIN (VALUES ('Charged'), ('Refunded'), ('Test order')) AS events (name)",
];

/// Runs the statements of a block as they stand, with the files in `kitchen`, in a project of its own.
async fn run(block: &str, kitchen: &Path) -> usize {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    for statement in PROJECT {
        world.rows(statement).await;
    }
    let ctx = SessionContext::new().enable_url_table();
    register(&ctx, "clevertap", &world.account).expect("registered");
    let block = FILES.iter().fold(block.to_owned(), |block, (name, file, _)| {
        let path = kitchen.join(if name.ends_with('/') { Path::new(file).parent().expect("a folder") } else { Path::new(file) });
        block.replace(&format!("'{name}'"), &format!("'{}{}'", path.display(), if name.ends_with('/') { "/" } else { "" }))
    });
    let mut statements = 0;
    for sql in block.split(";\n").filter(|sql| !sql.trim().is_empty()) {
        let batches = async { ctx.clevertap_sql(sql).await?.collect().await }.await;
        let batches = batches.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        // A statement that does nothing would show nothing.
        assert!(rows > 0 || sql.contains("CREATE EXTERNAL TABLE"), "no rows: {sql}");
        assert!(!sql.contains("clevertap.") || world.account.runs().iter().all(|run| run.tally.accepted == run.tally.read), "{sql}");
        statements += 1;
    }
    assert!(world.emulator.report().rules_broken.is_empty(), "{:?}", world.emulator.report().rules_broken);
    statements
}

#[tokio::test(start_paused = true)]
async fn every_sql_block_runs() {
    let kitchen = tempfile::tempdir().expect("a folder");
    let cook = SessionContext::new();
    for (_, file, query) in FILES {
        let path = kitchen.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let format = if file.ends_with(".csv") { "CSV" } else { "PARQUET" };
        let copy = format!("COPY ({query}) TO '{}' STORED AS {format}", path.display());
        cook.sql(&copy).await.expect("planned").collect().await.expect("written");
    }
    let mut statements = 0;
    for name in PAGES {
        for block in page(name).split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()) {
            statements += run(block, kitchen.path()).await;
        }
    }
    assert!(statements >= 15, "{statements} statements");
}
