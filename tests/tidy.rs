//! The repository keeps its own rules, each with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Arrows of the house, from DESIGN: a package and those of ours that it may depend on. The four foundations know nobody,
/// so that each can be understood, tested and taken away alone; product and delivery know each other by the wire only.
const ARROWS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("chassis", &[]),
    ("resilience", &[]),
    ("deliverability", &[]),
    ("product", &["proto", "chassis", "resilience", "deliverability"]),
    ("delivery", &["proto", "chassis", "resilience", "deliverability"]),
    ("cli", &["proto", "chassis", "resilience", "deliverability", "product", "delivery"]),
    ("bench", &["proto", "chassis", "resilience"]),
    // What the services are measured against has nothing of theirs but the contract.
    ("bench-peers", &["proto"]),
    // The stories speak to services as anybody else does.
    ("stories", &["proto", "chassis"]),
];

/// What the rules of deliverability must not reach: the network, a database, a runtime, the wire's messages.
const IMPURE: &[&str] =
    &["tonic", "tonic-prost", "prost", "prost-types", "sqlx", "tokio", "tokio-stream", "hyper", "reqwest"];

/// A file that is longer holds more than one concept.
const MAX_LINES: usize = 400;

/// Work that was put off belongs in an issue, and a test that does not run shows nothing. Written in halves, so that this
/// file may hold them.
const PUT_OFF: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("#[ig", "nore"),
    concat!("db", "g!("),
];

/// A sleep in a test is a guess about how long something takes: too short on a busy machine, too long on every other.
const SLEEPS: &[&str] = &[concat!("thread::", "sleep"), concat!("time::", "sleep")];

/// What a test says whose time is paused or simulated.
const OWN_TIME: &[&str] = &["start_paused", "turmoil"];

/// What readers look for first.
const DOCUMENTS: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"];

#[test]
fn packages_depend_on_one_another_in_one_direction() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    let mut broken = Vec::new();
    for (name, dependencies) in &packages {
        let Some((_, allowed)) = ARROWS.iter().find(|(package, _)| package == name) else {
            broken.push(format!("{name} has no place in the house: give it one in ARROWS"));
            continue;
        };
        for dependency in dependencies {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                broken.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    is_empty(&broken);
}

#[test]
fn the_rules_are_pure() {
    let dependencies = &packages()["deliverability"];
    is_empty(&IMPURE.iter().filter(|name| dependencies.contains(**name)).collect::<Vec<_>>());
}

#[test]
fn every_package_keeps_the_workspaces_lints() {
    let members = packages();
    let manifests = files().into_iter().filter(|path| path.ends_with("Cargo.toml"));
    // Generated code keeps its generator's.
    let manifests = manifests.filter(|path| !path.starts_with("proto"));
    let loose: Vec<_> = manifests.filter(|path| !read(path).contains("[lints]\nworkspace = true")).collect();
    assert!(members.len() > 5, "the packages were found");
    is_empty(&loose);
}

#[test]
fn no_source_file_is_too_long() {
    let too_long = sources().into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > MAX_LINES)
            .then(|| format!("{}: {lines} lines, and {MAX_LINES} are the most", path.display()))
    });
    is_empty(&too_long.collect::<Vec<_>>());
}

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    let silent = sources().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    is_empty(&silent.map(|(path, _)| path).collect::<Vec<_>>());
}

#[test]
fn nothing_is_put_off() {
    let kinds = ["rs", "proto", "sql", "toml"];
    let files = files().into_iter().filter(|path| kinds.iter().any(|kind| has_extension(path, kind)));
    is_empty(&files.flat_map(|path| lines_with(&path, PUT_OFF)).collect::<Vec<_>>());
}

#[test]
fn no_test_sleeps() {
    let in_tests = |path: &Path| {
        let folders: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        folders.contains(&"tests") && !folders.contains(&"support") && !folders.contains(&"harness")
    };
    // Where time is the test's own, a sleep is no guess and takes no time.
    let owns_time = |path: &Path| OWN_TIME.iter().any(|word| read(path).contains(word));
    let tests = files().into_iter().filter(|path| has_extension(path, "rs") && in_tests(path));
    let tests = tests.filter(|path| !owns_time(path));
    is_empty(&tests.flat_map(|path| lines_with(&path, SLEEPS)).collect::<Vec<_>>());
}

#[test]
fn every_line_of_the_contract_is_explained() {
    let contract = files().into_iter().filter(|path| has_extension(path, "proto"));
    let mut unexplained = Vec::new();
    let mut explained = 0;
    for path in contract {
        let text = read(&path);
        let mut before = "";
        for (number, line) in text.lines().enumerate() {
            if declares(line.trim()) {
                explained += 1;
                if !before.trim().starts_with("//") {
                    unexplained.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
            before = line;
        }
    }
    assert!(explained > 200, "the contract was found");
    is_empty(&unexplained);
}

/// Whether a line of a .proto file declares something that a caller can use.
fn declares(line: &str) -> bool {
    let keywords = ["service ", "message ", "enum ", "oneof ", "rpc "];
    let is_field =
        || line.split_once(" = ").is_some_and(|(_, number)| number.starts_with(|c: char| c.is_ascii_digit()));
    keywords.iter().any(|keyword| line.starts_with(keyword)) || is_field()
}

#[test]
fn every_story_is_told() {
    let index = read(Path::new("tests/stories.rs"));
    let told: BTreeSet<String> = index
        .lines()
        .filter_map(|line| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned()))
        .collect();
    let written = files().into_iter().filter(|path| path.parent() == Some(Path::new("tests")));
    let written = written
        .filter(|path| has_extension(path, "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()).filter(|name| name != "stories"));
    let written: BTreeSet<String> = written.chain(["support".to_owned()]).collect();
    assert_eq!(told, written, "tests/stories.rs names each file beside it");
}

#[test]
fn every_alert_says_where_it_is_explained_and_every_explanation_has_its_alert() {
    let rules = read(Path::new("k8s/components/monitoring/prometheus-rule.yaml"));
    let alerts: BTreeSet<_> = after("- alert: ", &rules).collect();
    let runbook = read(Path::new("docs/runbook.md"));
    let sections: BTreeSet<_> = after("## ", &runbook).collect();
    assert!(alerts.len() > 10, "the alerts were found");
    assert_eq!(alerts, sections);
    // As headings become anchors.
    let wanted: BTreeSet<_> =
        alerts.iter().map(|alert| format!("docs/runbook.md#{}", alert.to_lowercase())).collect();
    let told: BTreeSet<_> = after("runbook_url: ", &rules).map(str::to_owned).collect();
    assert_eq!(told, wanted);
    let parts = ["**It means:**", "**Look at first:**", "**Do:**"];
    let told_in_part = runbook.split("\n## ").skip(1).filter(|section| {
        let places: Vec<_> = parts.iter().filter_map(|part| section.find(part)).collect();
        places.len() < parts.len() || !places.is_sorted()
    });
    is_empty(&told_in_part.collect::<Vec<_>>());
}

/// What comes after a beginning, on the lines that have it.
fn after<'t>(beginning: &'t str, text: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| line.trim_start().strip_prefix(beginning))
}

#[test]
fn the_documents_are_there() {
    let missing = DOCUMENTS.iter().filter(|name| read(Path::new(name)).trim().is_empty());
    is_empty(&missing.collect::<Vec<_>>());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Packages of the workspace, each with the names that its manifest depends on, in whatever role.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo speaks JSON");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let packages = list(&metadata["packages"]);
    packages
        .iter()
        .map(|package| (name(package), list(&package["dependencies"]).iter().map(name).collect()))
        .collect()
}

/// What git would keep, or everything where there is no git; paths from the root.
fn files() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let listed = git.output().ok().filter(|output| output.status.success() && !output.stdout.is_empty());
    let mut found: Vec<PathBuf> = match listed {
        Some(output) => {
            String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(PathBuf::from).collect()
        }
        None => {
            walk(root()).iter().filter_map(|path| Some(path.strip_prefix(root()).ok()?.to_owned())).collect()
        }
    };
    // What was removed and not yet committed is listed too.
    found.retain(|path| root().join(path).is_file());
    found.sort();
    found
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().expect("a folder").flatten() {
        let path = entry.path();
        let made = [".git", "target", "node_modules"].iter().any(|name| path.ends_with(name));
        if !path.is_dir() {
            found.push(path);
        } else if !made {
            found.extend(walk(&path));
        }
    }
    found
}

/// Every Rust file and what it says.
fn sources() -> Vec<(PathBuf, String)> {
    let found: Vec<_> = files().into_iter().filter(|path| has_extension(path, "rs")).collect();
    assert!(found.len() > 100, "the sources were found");
    found.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// The lines of a file that hold one of some words.
fn lines_with(path: &Path, words: &[&str]) -> Vec<String> {
    let text = read(path);
    let lines = text.lines().enumerate().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    lines.map(|(number, line)| format!("{}:{}: {}", path.display(), number + 1, line.trim())).collect()
}

fn is_empty<T: std::fmt::Debug>(broken: &[T]) {
    assert!(broken.is_empty(), "{broken:#?}");
}
