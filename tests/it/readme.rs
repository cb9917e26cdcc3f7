//! The manual says what is true: its options and tables are those of the code, and its SQL is SQL.

use datafusion::sql::parser::DFParser;
use datafusion_clevertap::Options;

use crate::world::World;

const README: &str = include_str!("../../README.md");

/// The lines of the section `title`.
fn section(title: &str) -> impl Iterator<Item = &'static str> {
    README.lines().skip_while(move |line| *line != format!("## {title}")).skip(1).take_while(|line| !line.starts_with("## "))
}

/// The first cells of the section's table, without their backquotes.
fn cells(title: &str, column: usize) -> Vec<String> {
    let cell = |line: &str| line.split('|').nth(column + 1).unwrap_or_default().trim().trim_matches('`').to_owned();
    section(title).filter(|line| line.starts_with("| `") && !line.starts_with("| `SET")).map(cell).collect()
}

#[test]
fn every_option_stands_there_with_its_default() {
    let settings = Options::default().settings();
    let names: Vec<_> = settings.iter().map(|setting| setting.name.trim_start_matches("clevertap.").to_owned()).collect();
    let defaults: Vec<_> = settings.into_iter().map(|setting| setting.default).collect();
    assert_eq!((cells("Options", 0), cells("Options", 1)), (names, defaults));
}

/// The table of tables, as `clevertap.tables` tells it.
async fn generated() -> Vec<String> {
    let world = World::new();
    let rows = world
        .rows(
            "SELECT concat('| `clevertap.', table_name, '` | ', CASE WHEN reads AND writes THEN 'read, write' WHEN reads THEN 'read' ELSE 'write' END,
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
    let told: Vec<_> = section("Tables").filter(|line| line.starts_with("| `clevertap.")).collect();
    let tables = generated().await;
    assert_eq!(told, tables, "put these lines there:\n{}", tables.join("\n"));
}

#[test]
fn every_sql_block_parses() {
    let blocks = README.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let mut parsed = 0;
    for block in blocks {
        parsed += DFParser::parse_sql(block).unwrap_or_else(|error| panic!("{error}\n{block}")).len();
    }
    assert!(parsed >= 4, "{parsed} statements");
}
