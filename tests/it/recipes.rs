//! `sql/recipes/*.sql`: each is run as it stands against the emulator, over files that hold a few rows, and does what its first
//! line says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clevertap_emulator::{Settings, Subscription};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::DFParser;
use datafusion_clevertap::{Access, ClevertapSql, register};

use crate::world::World;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql/recipes")
}

fn text(recipe: &str) -> String {
    fs::read_to_string(folder().join(format!("{recipe}.sql"))).unwrap_or_else(|error| panic!("{recipe}: {error}"))
}

/// A project with the people `u1` to `u4`.
async fn project() -> World {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT concat('u', value) AS identity, 'gold' AS \"Plann\", concat('+1415555010', value) AS phone
             FROM generate_series(1, 4)",
        )
        .await;
    world
}

/// Runs a recipe over these files in a project of its own.
async fn run(recipe: &str, files: &[(&str, &str)]) -> World {
    let world = project().await;
    run_in(&world, recipe, files).await;
    world
}

/// Runs a recipe over these files.
async fn run_in(world: &World, recipe: &str, files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, rows) in files {
        fs::write(folder.path().join(name), rows).expect("written");
    }
    let ctx = SessionContext::new().enable_url_table();
    register(&ctx, "clevertap", world.account.clone()).expect("registered");
    world.forget_sent();
    for statement in DFParser::parse_sql(&text(recipe)).expect("SQL") {
        let sql = files.iter().fold(statement.to_string(), |sql, (name, _)| {
            sql.replace(&format!("'{name}'"), &format!("'{}'", folder.path().join(name).display()))
        });
        let result = async { ctx.clevertap_sql(&sql).await?.collect().await };
        result.await.unwrap_or_else(|error| panic!("{recipe}: {sql}\n{error}"));
    }
    assert!(world.emulator.report().rules_broken.is_empty(), "{:?}", world.emulator.report().rules_broken);
}

#[tokio::test(start_paused = true)]
async fn update_subscription() {
    let world = run("update_subscription", &[("bounced.csv", "email\na@example.org\nb@example.org\n")]).await;
    assert_eq!(world.emulator.subscription("email", "b@example.org"), Some(Subscription::Unsubscribed));
}

#[tokio::test(start_paused = true)]
async fn disassociate_phone() {
    let world = run("disassociate_phone", &[("reassigned.csv", "phone\n+14155550102\n")]).await;
    let phones: Vec<_> = (1..=4).map(|n| world.emulator.profile(&format!("u{n}")).expect("a person")["phone"].is_null()).collect();
    assert_eq!(phones, [false, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn demerge() {
    let world = run("demerge", &[("merged.csv", "user_id\nu1\nu2\n")]).await;
    assert_eq!(world.emulator.demerges().into_iter().collect::<Vec<_>>(), [("u1".to_owned(), 1), ("u2".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn delete_people() {
    let world = run("delete_people", &[("leavers.csv", "user_id\nu2\nu4\n")]).await;
    assert_eq!(world.emulator.run_deletions(), 2);
    let left: Vec<_> = (1..=4).filter(|n| world.emulator.profile(&format!("u{n}")).is_some()).collect();
    assert_eq!(left, [1, 3]);
}

const SPENDERS: (&str, &str) = ("spenders.csv", "user_id,total\nu1,5\nu2,2000\nu3,1500\n");

#[tokio::test(start_paused = true)]
async fn create_list() {
    let world = run("create_list", &[SPENDERS]).await;
    world.emulator.run_lists();
    assert_eq!(world.emulator.list_members("Big spenders"), ["u2", "u3"]);
}

#[tokio::test(start_paused = true)]
async fn replace_list() {
    let world = project().await;
    run_in(&world, "create_list", &[("spenders.csv", "user_id,total\nu4,9000\n")]).await;
    world.emulator.run_lists();
    assert_eq!(world.emulator.list_members("Big spenders"), ["u4"]);
    run_in(&world, "replace_list", &[SPENDERS]).await;
    world.emulator.run_lists();
    assert_eq!(world.emulator.list_members("Big spenders"), ["u2", "u3"]);
    assert!(world.sent_to("/upload_custom_list_segment_completed")[0].body.contains("\"replace\":true"));
}

#[tokio::test(start_paused = true)]
async fn undo_property() {
    let world = run("undo_property", &[("loaded.csv", "user_id\nu1\nu3\n")]).await;
    let left: Vec<_> =
        (1..=4).filter(|n| !world.emulator.profile(&format!("u{n}")).expect("a person")["profileData"]["Plann"].is_null()).collect();
    assert_eq!(left, [2, 4]);
}

#[tokio::test(start_paused = true)]
async fn resend_failed_rows() {
    let world = run("resend_failed_rows", &[("users.csv", "user_id,email\nu1,a@example.org\nu2,b at example.org\n")]).await;
    let emails = ["u1", "u2"].map(|id| world.emulator.profile(id).expect("a person")["email"].clone());
    assert_eq!(emails, ["a@example.org", "b@example.org"]);
    let runs: Vec<_> = world.account.runs().iter().skip(1).map(|run| (run.tally.accepted, run.tally.rejected)).collect();
    assert_eq!(runs, [(1, 1), (1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn keep_erased_out() {
    let files = [("users.csv", "user_id,plan\nu1,basic\nu8,gold\nu9,gold\n"), ("erased.csv", "user_id\nu9\nu7\n")];
    let world = run("keep_erased_out", &files).await;
    assert!(world.emulator.profile("u8").is_some() && world.emulator.profile("u9").is_none());
    assert_eq!(world.emulator.profile("u1").expect("a person")["profileData"]["Plan"], "basic");
}

#[tokio::test(start_paused = true)]
async fn alias_identity() {
    let world = run("alias_identity", &[("renamed.csv", "old_id,new_id\nu1,crm-1\n")]).await;
    assert!(world.emulator.profile("crm-1").is_some(), "u1 is found by its other name");
}

#[test]
fn every_recipe_is_tried_and_says_first_what_it_does() {
    let names: BTreeSet<String> = fs::read_dir(folder())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path().file_stem().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    let this = [include_str!("recipes.rs"), include_str!("read_recipes.rs")].concat();
    for name in &names {
        assert!(this.contains(&format!("async fn {name}()")), "{name} is not tried");
        assert!(text(name).starts_with("-- ") && text(name).ends_with(";\n"), "{name} does not say what it does");
    }
    assert_eq!(names.len(), 17);
}
