//! What others would get from crates.io: the packed crates build in a project outside of the workspace, and their public API is the one
//! that is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{CORES, cargo, root, run, target};

/// Crates of a build with their features, by name and version. Those of build scripts and macros are another set of the same crate.
type Features = BTreeMap<(String, String), BTreeSet<String>>;

fn features(folder: &Path, arguments: &[&str]) -> Features {
    let tree = run(cargo(folder).args(["tree", "--offline", "--prefix", "none", "--format", "{p}|{f}"]).args(arguments));
    let mut features = Features::new();
    for line in tree.lines() {
        let Some((package, list)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        let mut words = package.split(' ');
        if let (Some(name), Some(version), false) = (words.next(), words.next(), package.contains("(/")) {
            features.entry((name.to_owned(), version.trim_start_matches('v').to_owned())).or_default().insert(list.to_owned());
        }
    }
    features
}

/// A copy of `tests/outside` with the packed crates, as a folder that stays: a second run finds what the first has built.
///
/// Left alone, it would compile DataFusion again with fewer features. So crates that would differ from the workspace's build are asked for with
/// its features.
struct Outside {
    folder: PathBuf,
    manifest: String,
    asked: BTreeMap<(String, String), (BTreeSet<String>, &'static str)>,
}

impl Outside {
    fn unpack() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(folder.join("src")).expect("a folder");
        run(cargo(root())
            .args(["package", "--offline", "--no-verify", "--allow-dirty", "--quiet"])
            .args(OURS.map(|name| format!("-p{name}"))));
        let packed = target().join("package");
        for name in OURS {
            run(Command::new("tar").arg("xzf").arg(packed.join(format!("{name}-{VERSION}.crate"))).arg("-C").arg(&folder));
        }
        let from = root().join("tests/outside");
        fs::copy(from.join("src/main.rs"), folder.join("src/main.rs")).expect("copied");
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
        let manifest = fs::read_to_string(from.join("Cargo.toml")).expect("a manifest");
        let outside = Self { folder, manifest, asked: BTreeMap::new() };
        outside.write();
        outside
    }

    fn write(&self) {
        let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
        // Ours is quicker to compile without optimisation.
        let (_, profiles) = workspace.split_once("[profile.dev]").expect("profiles");
        let profiles = format!("[profile.dev]{profiles}").replace("[profile.dev.package.datafusion-clevertap]\nopt-level = 1\n", "");
        let mut manifest = self.manifest.clone();
        for table in ["dependencies", "build-dependencies"] {
            manifest.push_str(&format!("\n[{table}.clevertap-outside-{table}]\npath = \"{table}\"\n"));
            let folder = self.folder.join(table);
            fs::create_dir_all(folder.join("src")).expect("a folder");
            fs::write(folder.join("src/lib.rs"), "").expect("written");
            let mut inner = format!(
                "[package]\nname = \"clevertap-outside-{table}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n"
            );
            for (at, ((name, version), (features, _))) in self.asked.iter().filter(|(_, (_, of))| *of == table).enumerate() {
                let features: Vec<_> = features.iter().collect();
                inner.push_str(&format!(
                    "x{at} = {{ package = \"{name}\", version = \"={version}\", default-features = false, features = {features:?} }}\n"
                ));
            }
            fs::write(folder.join("Cargo.toml"), inner).expect("written");
        }
        let patches = OURS.map(|name| format!("{name} = {{ path = \"{name}-{VERSION}\" }}\n")).concat();
        fs::write(self.folder.join("Cargo.toml"), format!("{manifest}\n[patch.crates-io]\n{patches}\n{profiles}")).expect("written");
    }

    fn share_the_build(&mut self) {
        for (edges, table) in [("normal,no-proc-macro", "dependencies"), ("normal,build", "build-dependencies")] {
            let workspace = features(root(), &["-p", "clevertap-sql", "-e", edges]);
            // What is asked for brings others.
            for _ in 0..8 {
                let before = self.asked.len();
                for (package, sets) in features(&self.folder, &["-e", edges]) {
                    let Some(theirs) = workspace.get(&package).filter(|theirs| !sets.is_subset(theirs)) else { continue };
                    let all = theirs.iter().flat_map(|set| set.split(',')).filter(|name| !name.is_empty()).map(str::to_owned).collect();
                    self.asked.entry(package).or_insert((all, table));
                }
                if self.asked.len() == before {
                    break;
                }
                self.write();
            }
        }
    }
}

const OURS: [&str; 2] = ["datafusion-clevertap-udfs", "datafusion-clevertap"];
const VERSION: &str = "0.1.0";

#[test]
fn a_project_outside_of_the_workspace_embeds_the_packed_crates() {
    let _alone = CORES.blocking_lock();
    let mut outside = Outside::unpack();
    for name in OURS {
        let packed = outside.folder.join(format!("{name}-{VERSION}"));
        assert!(packed.join("LICENSE").is_file() && packed.join("README.md").is_file(), "{name} has no licence or no readme");
    }
    let left = features(&outside.folder, &["-e", "normal,build"]);
    assert!(left.len() > 100, "{} crates", left.len());
    let dropped: Vec<_> = left.keys().filter(|(name, _)| ["reqwest", "hyper", "rustls", "phonenumber"].contains(&name.as_str())).collect();
    assert!(dropped.is_empty(), "without the features https and phone there are still {dropped:?}");
    outside.share_the_build();
    let said = run(cargo(&outside.folder).args(["run", "--offline", "--quiet"]));
    assert_eq!(said, "3 accepted, 0 rejected, 0 in doubt, 0 unsent of 3 rows read in 1 requests\n");
}

/// The public API of one of our crates, an item a line.
fn public_api(name: &str) -> String {
    let json = target().join(format!("doc/{}.json", name.replace('-', "_")));
    let mut listing = cargo(&root().join("tests/public-api"));
    listing.env("CARGO_TARGET_DIR", target().join("tmp/public-api")).args(["run", "--locked", "--quiet"]).arg(json);
    run(&mut listing)
}

/// A change of the public API is seen in review: `UPDATE_PUBLIC_API=1 cargo test --workspace --test it -- published` writes it
/// down.
#[test]
fn the_public_api_is_the_one_that_is_written_down() {
    let _alone = CORES.blocking_lock();
    // Rustdoc's JSON is not stable: rustdoc alone is told that this is known, and no crate is compiled in another way.
    let rustdoc = target().join("tmp/rustdoc.sh");
    fs::write(&rustdoc, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\" -Z unstable-options --output-format json --cap-lints allow\n")
        .expect("written");
    fs::set_permissions(&rustdoc, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a program");
    let mut doc = cargo(root());
    run(doc.env("RUSTDOC", &rustdoc).args(["doc", "--offline", "--workspace", "--no-deps", "--quiet"]));
    for (name, folder) in [("datafusion-clevertap", "connector"), ("datafusion-clevertap-udfs", "udfs")] {
        let written = root().join(folder).join("public-api.txt");
        let api = public_api(name);
        if std::env::var_os("UPDATE_PUBLIC_API").is_some() {
            fs::write(&written, &api).expect("written");
        }
        let known = fs::read_to_string(&written).unwrap_or_default();
        let (now, known): (BTreeSet<_>, BTreeSet<_>) = (api.lines().collect(), known.lines().collect());
        let (new, gone): (Vec<_>, Vec<_>) = (now.difference(&known).collect(), known.difference(&now).collect());
        assert!(new.is_empty() && gone.is_empty(), "{folder}/public-api.txt\nnew: {new:#?}\ngone: {gone:#?}");
    }
}
