//! What a program can check of how the code looks: heads, sizes, who imports whom, what pure modules keep away from, and
//! what stands on the top level.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A file of more lines holds more than one idea. Tests are not counted: a table is as long as its cases.
const MAX_LINES: usize = 500;

/// What stands on the visible top level, besides what cargo and git put there.
const TOP_LEVEL: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "deploy",
    "enforcer",
    "hub",
    "proto",
    "tests",
];

/// What a module that calls itself pure must not name: clocks, random seeds, the environment, I/O, locks, async. A time or
/// a generator that is passed in is a value like any other.
const IMPURE: [&str; 13] = [
    "Instant::now",
    "SystemTime::now",
    "Rng::new",
    "std::env",
    "std::fs",
    "std::process",
    "TcpStream",
    "UdpSocket",
    "tokio",
    "async fn",
    ".await",
    "Mutex",
    "RwLock",
];

/// Where a wall clock is looked at: for the end of a certificate or token, and for times that people read.
const WALL_CLOCKS: [&str; 12] = [
    "enforcer/src/recorder.rs",
    "hub/src/authorize.rs",
    "hub/src/certs.rs",
    "hub/src/certs/ca.rs",
    "hub/src/certs/leaf.rs",
    "hub/src/main.rs",
    "hub/src/members/add.rs",
    "hub/src/members/tokens.rs",
    "hub/src/query.rs",
    "hub/src/registry.rs",
    "hub/src/stream.rs",
    "proto/src/peer.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The product's Rust files, by path from the root, with their text; tests aside.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = ["proto/src", "hub/src", "enforcer/src", "tests/src"]
        .map(Into::into)
        .to_vec();
    while let Some(folder) = folders.pop() {
        let folder: PathBuf = folder;
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = folder.join(&name);
            if root().join(&path).is_dir() {
                if name != "tests" {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && name != "tests.rs" {
                files.push((
                    path.to_str().unwrap().to_owned(),
                    fs::read_to_string(root().join(&path)).unwrap(),
                ));
            }
        }
    }
    assert!(files.len() > 100, "only {} files found", files.len());
    files.sort();
    files
}

/// The part of a file that is not its tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

fn complain(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}

#[test]
fn every_file_says_what_it_is_for() {
    let headless = sources().into_iter().filter(|(_, text)| !text.starts_with("//!"));
    complain(
        "files without a head",
        &headless.map(|(path, _)| path).collect::<Vec<_>>(),
    );
}

#[test]
fn no_file_holds_more_than_one_idea() {
    let lines = |text: &str| product(text).lines().count();
    let long = sources().into_iter().filter(|(_, text)| lines(text) > MAX_LINES);
    let found: Vec<String> = long
        .map(|(path, text)| format!("{path}: {} lines", lines(&text)))
        .collect();
    complain("files that are too long", &found);
}

#[test]
fn hub_and_enforcer_never_meet_and_proto_knows_neither() {
    let forbidden = |path: &str| -> &[&str] {
        match path.split('/').next().unwrap() {
            "proto" => &["hub::", "enforcer::", "tests::"],
            "hub" => &["enforcer::", "tests::"],
            "enforcer" => &["hub::", "tests::"],
            _ => &[],
        }
    };
    let mut found = Vec::new();
    for (path, text) in sources() {
        for line in text.lines().filter(|line| line.trim_start().starts_with("use ")) {
            let used = line.trim_start().trim_start_matches("use ");
            if forbidden(&path).iter().any(|name| used.starts_with(name)) {
                found.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    complain("imports against the direction", &found);
}

#[test]
fn what_calls_itself_pure_is() {
    let is_pure = |text: &str| {
        let head = text.lines().take_while(|line| line.starts_with("//!"));
        head.into_iter().any(|line| line.starts_with("//! Pure"))
    };
    let pure: Vec<_> = sources().into_iter().filter(|(_, text)| is_pure(text)).collect();
    assert!(pure.len() > 30, "only {} pure modules found", pure.len());
    let mut found = Vec::new();
    for (path, text) in pure {
        let code = product(&text)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            if let Some(word) = IMPURE.iter().find(|word| line.contains(*word)) {
                found.push(format!("{path}: {word} in: {}", line.trim()));
            }
        }
    }
    complain("pure modules that are not", &found);
}

/// C17: Clocks may differ by hours: but for certificates and people's eyes, no part of the product names a wall clock.
#[test]
fn nothing_is_decided_by_a_wall_clock() {
    let names = |text: &str| {
        let code = product(text)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        code.into_iter().any(|line| line.contains("SystemTime"))
    };
    let product = sources().into_iter().filter(|(path, _)| !path.starts_with("tests/"));
    let found: Vec<String> = product.filter(|(_, text)| names(text)).map(|(path, _)| path).collect();
    assert_eq!(found, WALL_CLOCKS);
}

#[test]
fn the_top_level_is_what_it_should_be() {
    let visible = |name: &String| !name.starts_with('.') && name != "target";
    let names = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(visible).collect();
    names.sort();
    assert_eq!(names, TOP_LEVEL);
}

#[test]
fn what_the_readme_links_to_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let targets = readme.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let local: Vec<&str> = targets.filter(|target| !target.contains("://")).collect();
    assert!(local.len() > 3, "only {local:?}");
    let missing: Vec<String> = local
        .iter()
        .filter(|path| !root().join(path).exists())
        .map(ToString::to_string)
        .collect();
    complain("links that lead nowhere", &missing);
}
