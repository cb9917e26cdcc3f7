//! The two README commands share one build: a crate that both compile has the same features in both.
//!
//! In: `cargo tree`, which resolves features without compiling. Out: the crates that would be compiled twice. A warm `target/`
//! hides such a crate, and a fresh clone pays for it with all that stands on it: another serde is another DataFusion.
//!
//! Crates of the program and crates of build scripts and macros are resolved apart, so they are compared apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Crates and versions, each with the feature sets it is compiled with.
type Features = BTreeMap<String, BTreeSet<String>>;

/// What `cargo tree` resolves. Our own crates have no registry version, are compiled by both, and are left out.
fn resolved(arguments: &[&str]) -> Features {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p}|{f}"])
        .args(arguments)
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut features = Features::new();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let Some((package, list)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        if !package.contains("(/") {
            features.entry(package.to_owned()).or_default().insert(list.to_owned());
        }
    }
    features
}

/// The feature sets of the first that the second does not have, a line each. A crate that the second lacks altogether is one too.
fn compiled_twice(first: &Features, second: &Features) -> Vec<String> {
    let none = BTreeSet::new();
    let mut twice = Vec::new();
    for (package, sets) in first {
        let others = second.get(package).unwrap_or(&none);
        let joined: Vec<_> = others.iter().map(String::as_str).collect();
        twice.extend(
            sets.difference(others).map(|set| format!("{package}: [{set}] for the demo, [{}] for the tests", joined.join("] and ["))),
        );
    }
    twice
}

const REMEDY: &str = "ask for the union of these features in Cargo.toml, [workspace.dependencies]";

#[test]
fn the_demo_and_the_tests_compile_each_crate_with_the_same_features() {
    let demo = resolved(&["-p", "clevertap-sql", "-e", "normal,no-proc-macro"]);
    let tests = resolved(&["--workspace", "-e", "normal,dev,no-proc-macro"]);
    assert!(demo.len() > 100, "{} crates", demo.len());
    assert_eq!(compiled_twice(&demo, &tests), Vec::<String>::new(), "{REMEDY}");
}

#[test]
fn their_build_scripts_and_macros_are_the_same_too() {
    let demo = resolved(&["-p", "clevertap-sql", "-e", "normal,build"]);
    let tests = resolved(&["--workspace", "-e", "normal,build,dev"]);
    assert_eq!(compiled_twice(&demo, &tests), Vec::<String>::new(), "{REMEDY}");
}

#[test]
fn a_crate_with_other_features_is_named_with_both() {
    let features = |sets: &[&str]| Features::from([("serde v1".to_owned(), sets.iter().map(|set| (*set).to_owned()).collect())]);
    let twice = compiled_twice(&features(&["std"]), &features(&["rc,std", "alloc"]));
    assert_eq!(twice, ["serde v1: [std] for the demo, [alloc] and [rc,std] for the tests"]);
}
