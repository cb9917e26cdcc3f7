//! `sql/recipes/*.sql`: each is tried, in `slt/recipes.slt` where SQL can make its files, and by the program where its own reading of text files is
//! the matter (`sql/src/files/text/tests/recipes.rs`), or its databases are (`sql/src/engine/tests/recipes.rs`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use datafusion::prelude::SessionContext;
use datafusion_clevertap::{ClevertapSql, register};

use crate::seed::lines;
use crate::world::World;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql/recipes")
}

fn text(recipe: &str) -> String {
    fs::read_to_string(folder().join(format!("{recipe}.sql"))).unwrap_or_else(|error| panic!("{recipe}: {error}"))
}

#[tokio::test(start_paused = true)]
async fn read_bucket_exports() {
    let exported = tempfile::tempdir().expect("a folder");
    let file = "Notification Sent\n{\"profile\":{\"identity\":\"ada\"},\"ts\":20260801000015,\"eventProps\":{\"Campaign id\":\"17\"}}\n\
                {\"profile\":{},\"ts\":20260801000016,\"eventProps\":{\"Campaign id\":\"18, \\\"x\\\"\"}}\n";
    fs::write(exported.path().join("notification-sent.json"), file).expect("written");
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &World::new().account).expect("registered");
    let recipe = text("read_bucket_exports").replace("'exports/'", &format!("'{}/'", exported.path().display()));
    let mut rows = Vec::new();
    for statement in recipe.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        rows = ctx.clevertap_sql(statement).await.expect("planned").collect().await.expect("rows");
    }
    assert_eq!(lines(&rows), ["| ada | 2026-08-01T00:00:15 | 17 |", "| | 2026-08-01T00:00:16 | 18, \"x\" |"]);
}

#[test]
fn every_recipe_is_tried_and_says_first_what_it_does() {
    let names: BTreeSet<String> = fs::read_dir(folder())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path().file_stem().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    let tried = [
        include_str!("recipes.rs"),
        include_str!("../slt/recipes.slt"),
        include_str!("../../sql/src/files/text/tests/recipes.rs"),
        include_str!("../../sql/src/engine/tests/recipes.rs"),
    ]
    .concat();
    for name in &names {
        let is_tried = [format!("async fn {name}()"), format!("\n\\i {name}.sql\n")].iter().any(|call| tried.contains(call));
        assert!(is_tried, "{name} is not tried");
        assert!(text(name).starts_with("-- ") && text(name).ends_with(";\n"), "{name} does not say what it does");
    }
    assert_eq!(names.len(), 23);
}
