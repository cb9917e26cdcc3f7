//! No circle of imports: a room imports lower rooms alone, and no file imports one that leads back to it.
//!
//! What a file imports is read from its text: every `use`, and every path that begins with `crate::` or `super::`, up to the longest
//! that is a file. Tests and what stands under `#[cfg(test)]` may import what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Modules by their path, the root being empty, with their code.
type Modules = BTreeMap<String, String>;

/// What each module imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Rooms of the connector, lowest first; those of one line do not import each other.
const CONNECTOR: &[&[&str]] = &[
    &["access", "convert", "cpu", "fate", "redact", "single_partition", "table", "wall_clock"],
    &["origin"],
    &["error", "foreign_text", "tables"],
    &["project_schema", "storage"],
    &["options"],
    &["runs", "scope"],
    &["client"],
    &["account"],
    &["relation"],
    &["read"],
    &["write"],
    &["bench_support", "catalog", "copy", "diagnose"],
    &["dml"],
    &["optimizer"],
    &["balance", "register"],
    &["session"],
];

fn modules(folder: &str) -> Modules {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").join(folder);
    let mut modules = Modules::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(&root).expect("inside").with_extension("");
            let mut steps: Vec<_> = inside.iter().map(|step| step.to_string_lossy().into_owned()).collect();
            if steps.iter().any(|step| step == "tests") {
                continue;
            }
            if steps.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
                steps.pop();
            }
            let text = fs::read_to_string(&path).expect("text");
            modules.insert(steps.join("::"), code(&text));
        }
    }
    modules
}

/// A file without its tests and its comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every path that a file names, as it is written.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for statement in code.split(';') {
        match statement.rsplit_once("use ").filter(|(before, _)| before.lines().last().is_none_or(|line| is_visibility(line.trim()))) {
            Some((_, tree)) => expand("", tree.trim(), &mut paths),
            None => inline(statement, &mut paths),
        }
    }
    paths
}

/// Whether nothing but `pub` or `pub(…)` stands before a `use`.
fn is_visibility(text: &str) -> bool {
    text.is_empty() || text.starts_with("pub") && !text.contains('{')
}

/// The paths of a tree such as `crate::{a, b::{c, self}}`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let join = |rest: &str| if prefix.is_empty() { rest.to_owned() } else { format!("{prefix}::{rest}") };
    let Some((head, inner)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default().trim();
        if !name.is_empty() {
            paths.push(if name == "self" { prefix.to_owned() } else { join(name) });
        }
        return;
    };
    let head = head.trim().trim_end_matches("::");
    let prefix = if head.is_empty() { prefix.to_owned() } else { join(head) };
    let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
    let mut depth = 0;
    let items = inner.split(|character| {
        depth += i32::from(character == '{') - i32::from(character == '}');
        character == ',' && depth == 0
    });
    items.for_each(|item| expand(&prefix, item.trim(), paths));
}

/// Paths in the middle of code.
fn inline(code: &str, paths: &mut Vec<String>) {
    let words = code.split(|character: char| !(character.is_alphanumeric() || character == '_' || character == ':'));
    let ours = words.filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    paths.extend(ours.map(|word| word.trim_end_matches(':').to_owned()));
}

/// The module that `path` leads to, written in `from`.
fn resolve(from: &str, path: &str, modules: &Modules) -> Option<String> {
    let mut steps: Vec<&str> = path.split("::").collect();
    let mut base: Vec<&str> = if from.is_empty() { Vec::new() } else { from.split("::").collect() };
    match steps.first().copied()? {
        "crate" => {
            base.clear();
            steps.remove(0);
        }
        "self" => drop(steps.remove(0)),
        "super" => {
            while steps.first() == Some(&"super") {
                steps.remove(0);
                base.pop();
            }
        }
        // A module below this one, or another crate.
        _ => {}
    }
    let least = base.len();
    base.extend(steps);
    while base.len() > least || (path.starts_with("super") && !base.is_empty()) {
        let found = base.join("::");
        if modules.contains_key(&found) {
            return (found != from).then_some(found);
        }
        base.pop();
    }
    None
}

fn imports(modules: &Modules) -> Imports {
    let of = |(from, code): (&String, &String)| {
        let found = paths(code).iter().filter_map(|path| resolve(from, path, modules)).collect();
        (from.clone(), found)
    };
    // The root names all rooms and is none.
    modules.iter().filter(|(module, _)| !module.is_empty()).map(of).collect()
}

/// A circle of files, if there is one.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    fn visit(module: &str, imports: &Imports, path: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        if let Some(at) = path.iter().position(|known| known == module) {
            return Some(path[at..].to_vec());
        }
        if done.contains(module) {
            return None;
        }
        path.push(module.to_owned());
        let found = imports.get(module).into_iter().flatten().find_map(|next| visit(next, imports, path, done));
        path.pop();
        done.insert(module.to_owned());
        found
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| visit(module, imports, &mut Vec::new(), &mut done))
}

/// Imports of a room that stands no lower.
fn upward(imports: &Imports, rooms: &[&[&str]]) -> Vec<String> {
    let room = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    let rank = |room: &str| rooms.iter().position(|line| line.contains(&room));
    let mut found = Vec::new();
    for (from, targets) in imports {
        for to in targets.iter().filter(|to| room(to) != room(from)) {
            match (rank(&room(from)), rank(&room(to))) {
                (Some(own), Some(other)) if other < own => {}
                (Some(_), Some(_)) => found.push(format!("{from} imports {to}, which stands no lower")),
                _ => found.push(format!("{from} imports {to}: say in tests/it/imports.rs where both stand")),
            }
        }
    }
    found
}

const NOTHING: [String; 0] = [];

#[test]
fn rooms_of_the_connector_import_lower_ones_alone() {
    let modules = modules("connector/src");
    let rooms: BTreeSet<_> = modules.keys().filter_map(|module| module.split("::").next()).filter(|room| !room.is_empty()).collect();
    let named: BTreeSet<_> = CONNECTOR.iter().copied().flatten().copied().collect();
    assert_eq!(rooms, named, "tests/it/imports.rs says where each room stands");
    let imports = imports(&modules);
    // It would be easy to read nothing and to find nothing.
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 300);
    assert_eq!(upward(&imports, CONNECTOR), NOTHING);
}

#[test]
fn no_files_import_each_other() {
    for folder in ["connector/src", "udfs/src", "sql/src", "sql/databases/src", "sql/files/src"] {
        assert_eq!(circle(&imports(&modules(folder))), None, "{folder}");
    }
}

#[test]
fn a_circle_and_an_import_of_a_higher_room_are_found() {
    let file = |(name, text): (&str, &str)| (name.to_owned(), code(text));
    let modules: Modules = [
        ("", "mod low;\nmod high;"),
        ("low", "//! Speaks of crate::high.\npub(crate) use crate::high::part::{self, Thing as Other};\n#[cfg(test)]\nmod tests {\n}"),
        ("high", "mod part;\n\nfn f() { crate::low::g() }"),
        ("high::part", "use std::{fmt, io};\n\nuse super::super::low;"),
    ]
    .map(file)
    .into();
    let imports = imports(&modules);
    assert_eq!(imports["low"], BTreeSet::from(["high::part".to_owned()]));
    assert_eq!(imports["high"], BTreeSet::from(["low".to_owned()]));
    assert_eq!(circle(&imports).map(|circle| circle.len()), Some(2));
    assert_eq!(upward(&imports, &[&["low"], &["high"]]), ["low imports high::part, which stands no lower"]);
}
