//! The program `enforcer lint`: its formats, its exit codes and what it says when there is nothing to look at.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use expect_test::expect;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const LABELLED: &str =
    "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {cluster.clusterset.k8s.io/cluster-name: a}}}";
const BARE: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
const BROKEN: &str = "kind: [";

/// A folder of one cluster, with this manifest.
fn folder(manifest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("a/shop.yaml"), manifest).unwrap();
    folder
}

fn lint(dir: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enforcer"));
    command.env_clear().arg("lint").arg(dir).args(flags).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn exit_codes_tell_errors_from_everything_else() {
    for (manifest, code, last) in [
        (LABELLED, 0, "0 errors, 0 warnings, 0 notes"),
        (BARE, 0, "0 errors, 1 warning, 0 notes"),
        (BROKEN, 1, "1 error, 0 warnings, 0 notes"),
    ] {
        let output = lint(folder(manifest).path(), &[]);
        assert_eq!(output.status.code(), Some(code), "{manifest}");
        assert_eq!(stdout(&output).lines().last(), Some(last));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(
            !stdout(&output).contains('\x1b'),
            "colour although stdout is no terminal"
        );
    }
}

#[test]
fn a_folder_without_clusters_is_trouble() {
    let empty = tempfile::tempdir().unwrap();
    for dir in [empty.path(), Path::new("/nowhere")] {
        let output = lint(dir, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", dir.display());
        assert_eq!(stdout(&output), "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.starts_with("enforcer: ") && said.contains("a folder of manifests for each cluster"),
            "{said}"
        );
    }
    assert_eq!(lint(empty.path(), &["--format", "xml"]).status.code(), Some(2));
}

#[test]
fn the_switches_are_those_of_every_command_that_judges() {
    let output = lint(folder(BARE).path(), &["--cluster-label-mode", "assert"]);
    assert_eq!(stdout(&output), "0 errors, 0 warnings, 0 notes\n");
}

#[test]
fn formats_for_programs() {
    let folder = folder(BARE);
    let json: Value = serde_json::from_slice(&lint(folder.path(), &["--format", "json"]).stdout).unwrap();
    assert_eq!(
        (&json["warnings"], json["findings"].as_array().unwrap().len()),
        (&1.into(), 1)
    );
    let sarif: Value = serde_json::from_slice(&lint(folder.path(), &["--format", "sarif"]).stdout).unwrap();
    expect![[r#""namespace-without-cluster-label""#]].assert_eq(&sarif["runs"][0]["results"][0]["ruleId"].to_string());
}

/// What `--help` lists is what there is.
#[test]
fn help_lists_every_rule() {
    let output = lint(Path::new("."), &["--help"]);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = words(stdout(&output));
    for rule in enforcer::lint::RULES {
        let line = words(&format!("{} {} {}", rule.id, rule.severity, rule.finds));
        assert!(help.contains(&line), "{line}\n{help}");
    }
}
