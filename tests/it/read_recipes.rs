//! The recipes that read: each is run as it stands over a seeded project, and gives what its first line says.

use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use chrono_tz::Tz;
use clevertap_emulator::{Campaign, Settings};
use datafusion::prelude::SessionContext;
use datafusion_clevertap::{ClevertapSql, register};
use serde_json::json;

use crate::seed::{SMALL, lines, seeded};
use crate::world::World;

/// Runs a recipe in a folder with these files; what its last statement gives, and the folder.
async fn run(world: &World, recipe: &str, files: &[(&str, &str)]) -> (Vec<RecordBatch>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, rows) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, rows).expect("written");
    }
    let mut ctx = SessionContext::new().enable_url_table();
    register(&ctx, "clevertap", world.account.clone()).expect("registered");
    datafusion_functions_json::register_all(&mut ctx).expect("functions of JSON");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../sql/recipes/{recipe}.sql"));
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{recipe}: {error}"));
    assert!(text.starts_with("-- "), "{recipe} says first what it does");
    let mut rows = Vec::new();
    for statement in text.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        let mut sql = statement.to_owned();
        for path in ["users.parquet", "charged.parquet", "exports/"] {
            sql = sql.replace(&format!("'{path}"), &format!("'{}/{path}", folder.path().display()));
        }
        let result = async { ctx.clevertap_sql(&sql).await?.collect().await };
        rows = result.await.unwrap_or_else(|error| panic!("{recipe}: {sql}\n{error}"));
    }
    (rows, folder)
}

fn world() -> World {
    let campaign = |id: i64, result| Campaign { result, ..Campaign::new(id, &format!("Campaign {id}"), 20_260_105) };
    let campaigns = vec![campaign(1, Some(json!({"sent": 100, "clicked": 7}))), campaign(2, None)];
    seeded(SMALL, Tz::Asia__Kolkata, Settings { campaigns, ..Settings::default() }, |_| {})
}

#[tokio::test(start_paused = true)]
async fn export_event_to_parquet() {
    let world = world();
    let (_, folder) = run(&world, "export_event_to_parquet", &[]).await;
    let file = folder.path().join("charged.parquet");
    world.rows(&format!("CREATE EXTERNAL TABLE written STORED AS PARQUET LOCATION '{}'", file.display())).await;
    let columns = "event_time, identity, object_id, \"Amount\", \"Currency\"";
    let seeds =
        format!("SELECT {columns} FROM seed.events WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'");
    assert_eq!(lines(&world.rows(&format!("SELECT {columns} FROM written")).await), lines(&world.rows(&seeds).await));
}

#[tokio::test(start_paused = true)]
async fn daily_trend() {
    let world = world();
    let (rows, _) = run(&world, "daily_trend", &[]).await;
    let days = lines(&rows);
    let seeds = "SELECT event_date, count(*) AS events FROM seed.events WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31' GROUP BY 1";
    for (day, seed) in days.iter().zip(lines(&world.rows(seeds).await)) {
        assert!(day.starts_with(seed.trim_end_matches('|').trim_end()), "{day} is not {seed}");
    }
    assert_eq!(days.len(), 31);
}

#[tokio::test(start_paused = true)]
async fn people_not_in_my_table() {
    let world = world();
    // The recipe reads a Parquet file of the people that are known already: the even ones.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("users.parquet");
    world
        .rows(&format!(
            "COPY (SELECT identity AS user_id FROM seed.people WHERE CAST(substr(identity, 2) AS INT) % 2 = 0) TO '{}' STORED AS PARQUET",
            path.display()
        ))
        .await;
    let mut ctx = SessionContext::new().enable_url_table();
    register(&ctx, "clevertap", world.account.clone()).expect("registered");
    datafusion_functions_json::register_all(&mut ctx).expect("functions of JSON");
    let text = include_str!("../../sql/recipes/people_not_in_my_table.sql").replace("users.parquet", &path.display().to_string());
    let rows = ctx.clevertap_sql(text.trim().trim_end_matches(';')).await.expect("planned").collect().await.expect("rows");
    let seeds =
        "SELECT DISTINCT identity, email FROM seed.events WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'
                 AND identity IS NOT NULL AND CAST(substr(identity, 2) AS INT) % 2 = 1";
    assert_eq!(lines(&rows), lines(&world.rows(seeds).await));
}

#[tokio::test(start_paused = true)]
async fn campaign_results() {
    let (rows, _) = run(&world(), "campaign_results", &[]).await;
    assert_eq!(lines(&rows), ["| 1 | Campaign 1 | 2026-01-05 | 100 | 7 |", "| 2 | Campaign 2 | 2026-01-05 | | |"]);
}

#[tokio::test(start_paused = true)]
async fn look_up_one_person() {
    let world = world();
    world
        .rows("INSERT INTO clevertap.profiles SELECT 'ada' AS identity, 'Ada' AS name, 'ada+news@example.org' AS email, 'gold' AS \"Plan\"")
        .await;
    let (rows, _) = run(&world, "look_up_one_person", &[]).await;
    assert_eq!(lines(&rows), ["| ada | Ada | ada+news@example.org | gold | {} |"]);
}

#[tokio::test(start_paused = true)]
async fn access_request() {
    let world = world();
    world
        .rows(
            "INSERT INTO clevertap.events SELECT column1 AS identity, column2 AS event_name, 1767312000 + column3 AS event_time,
             column3 AS \"Amount\" FROM (VALUES ('ada', 'Charged', 1), ('bob', 'Charged', 2), ('ada', 'Viewed', 3), ('ada', 'Opened', 4))",
        )
        .await;
    let (rows, _) = run(&world, "access_request", &[]).await;
    assert_eq!(lines(&rows), ["| Charged | 2026-01-02T05:30:01+05:30 | 1 |", "| Viewed | 2026-01-02T05:30:03+05:30 | 3 |"]);
}

#[tokio::test(start_paused = true)]
async fn read_bucket_exports() {
    let file = "Notification Sent\n{\"profile\":{\"identity\":\"ada\"},\"ts\":20260801000015,\"eventProps\":{\"Campaign id\":\"17\"}}\n\
                {\"profile\":{},\"ts\":20260801000016,\"eventProps\":{\"Campaign id\":\"18, \\\"x\\\"\"}}\n";
    let (rows, _) = run(&world(), "read_bucket_exports", &[("exports/notification-sent.json", file)]).await;
    assert_eq!(lines(&rows), ["| ada | 2026-08-01T00:00:15 | 17 |", "| | 2026-08-01T00:00:16 | 18, \"x\" |"]);
}
