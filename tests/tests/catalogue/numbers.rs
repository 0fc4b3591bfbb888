//! Which numbers of the catalogue are proven: by Rust tests and by cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tests::catalogue::case::{Cases, read_all};
use tests::catalogue::{Number, scan};

/// Numbers that nothing here can prove: what prevents it, and the nearest thing that is shown.
const NOT_PROVABLE_HERE: [(&str, &str); 3] = [
    (
        "C19",
        "members have no connection to each other that could be cut: an enforcer's only peers are its hub and its own API \
         server (enforcer::config). What each does without either of them is shown (W13, C18)",
    ),
    (
        "K3",
        "a packet that comes from the fabric with a pod's source is, to the node that receives it, that pod's: no field of \
         it says otherwise. That none leaves a node so is shown (K2)",
    ),
    (
        "K6",
        "nf_conntrack_max is one for all network namespaces of a machine, read-only in all but the first: a test that fills \
         the table would starve its host. That a packet which conntrack does not know is judged as a new one is shown (K9)",
    ),
];

/// Most numbers that may stand there.
const MOST_NOT_PROVABLE: usize = 10;

/// Numbers left to later work, as the README lists them. They may have tests already.
const LATER: [&str; 13] = [
    "S79", "S112", "S124", "K5", "K8", "K12", "C1", "C10", "C11", "C12", "C14", "C21", "C22",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All Rust files of the workspace.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["proto", "hub", "enforcer", "tests"]
        .map(|name| root().join(name))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Who proves each number.
fn proofs() -> BTreeMap<Number, Vec<String>> {
    let mut proofs: BTreeMap<Number, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for file in files() {
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        let tests = scan::tests(&fs::read_to_string(&file).unwrap());
        let tests = tests.unwrap_or_else(|(test, error)| panic!("{name}, {test}: {error}"));
        count += tests.len();
        for test in tests {
            for number in test.numbers {
                proofs.entry(number).or_default().push(format!("{name}: {}", test.name));
            }
        }
    }
    assert!(count > 300, "only {count} tests found");
    for case in read_all(Cases::Catalogue).unwrap() {
        for number in case.numbers {
            proofs
                .entry(number)
                .or_default()
                .push(format!("{}: {}", case.file, case.title));
        }
    }
    proofs
}

#[test]
fn every_number_is_proven_by_a_test_that_names_it() {
    let proofs = proofs();
    let excused: BTreeSet<Number> = NOT_PROVABLE_HERE
        .iter()
        .map(|(number, _)| number)
        .chain(&LATER)
        .map(|number| number.parse().unwrap())
        .collect();
    assert!(NOT_PROVABLE_HERE.len() <= MOST_NOT_PROVABLE);
    for (number, _) in NOT_PROVABLE_HERE {
        let proof = proofs.get(&number.parse().unwrap());
        assert!(proof.is_none(), "{number} can be proven after all: {proof:?}");
    }
    for (number, by) in &proofs {
        println!("{number}: {}", by.join("; "));
    }
    let missing = Number::all().filter(|number| !proofs.contains_key(number) && !excused.contains(number));
    let missing: Vec<String> = missing.map(|number| number.to_string()).collect();
    assert!(
        missing.is_empty(),
        "{} numbers without a test: {}",
        missing.len(),
        missing.join(" ")
    );
}
