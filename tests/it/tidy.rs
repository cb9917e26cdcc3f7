//! The house itself: file sizes, the list of tables, where wire names may be spelled, leftover markers.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// Every Rust file under a folder, by its path from the root.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("inside").display().to_string();
                files.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    files.sort();
    files
}

fn all() -> Vec<(String, String)> {
    ["connector/src", "udfs", "sql/src", "sql/databases", "sql/files", "tests/it", "tests/emulator/src", "benches"]
        .into_iter()
        .flat_map(files)
        .collect()
}

const NOBODY: [String; 0] = [];

#[test]
fn no_file_has_500_lines() {
    let long: Vec<_> = all()
        .into_iter()
        .filter(|(_, text)| text.lines().count() >= 500)
        .map(|(name, text)| format!("{name}: {}", text.lines().count()))
        .collect();
    assert_eq!(long, NOBODY, "a room that needs so many lines is two rooms");
}

#[test]
fn every_file_of_a_table_is_in_the_list() {
    let list = fs::read_to_string(root().join("connector/src/tables/mod.rs")).expect("the list");
    let missing: Vec<_> = files("connector/src/tables")
        .into_iter()
        .filter_map(|(name, _)| Path::new(&name).file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .filter(|stem| stem != "mod" && !(list.contains(&format!("mod {stem};")) && list.contains(&format!("&{stem}::TABLE"))))
        .collect();
    assert_eq!(missing, NOBODY, "add `mod x;` and `&x::TABLE` to tables/mod.rs");
}

#[test]
fn wire_names_are_spelled_in_tables_alone() {
    const WIRE_NAMES: [&str; 16] = [
        "evtName",
        "evtData",
        "profileData",
        "tokenData",
        "objectId",
        "FBID",
        "GPID",
        "platformInfo",
        "MSG-email",
        "category-unsubscribe",
        "all_identities\"",
        "Customer Type",
        "presignedS3URL",
        "\"identities\"",
        "\"guid\"",
        "duplicate_name",
    ];
    let mut found = Vec::new();
    for (name, text) in files("connector/src") {
        if name.starts_with("connector/src/tables/") || name.contains("/tests/") || name.ends_with("/tests.rs") {
            continue;
        }
        // What follows is tests; and a comment may speak of the wire.
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            if !line.trim_start().starts_with("//") && WIRE_NAMES.iter().any(|wire| line.contains(wire)) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_eq!(found, NOBODY);
}

#[test]
fn no_marker_is_left_over() {
    let markers = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
        ["todo", "!"].concat(),
        ["unimpl", "emented!"].concat(),
        ["dbg", "!("].concat(),
    ];
    let mut found = Vec::new();
    for (name, text) in all() {
        for (number, line) in text.lines().enumerate() {
            if markers.iter().any(|marker| line.contains(marker.as_str())) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_eq!(found, NOBODY);
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent: Vec<_> = all().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name).collect();
    assert_eq!(silent, NOBODY);
}

#[test]
fn no_test_is_ignored() {
    let marker = ["#[ign", "ore"].concat();
    let ignored: Vec<_> = all().into_iter().filter(|(_, text)| text.contains(&marker)).map(|(name, _)| name).collect();
    assert_eq!(ignored, NOBODY);
}

#[test]
fn folders_are_those_of_the_design() {
    let mut folders: Vec<_> = fs::read_dir(root())
        .expect("the root")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    folders.sort();
    assert_eq!(folders, ["benches", "connector", "sql", "tests", "udfs"]);
}
