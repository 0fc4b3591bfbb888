//! The commands that judge manifests, as programs: what they print, say and end with. No root, no cluster, no log.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use expect_test::expect;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The chapters of the stories, and the host outside of all clusters in their tables.
const CHAPTERS: [&str; 7] = [
    "story-1",
    "story-1-bare-selector",
    "story-2",
    "story-2-false-claim",
    "story-3",
    "story-3-too-broad",
    "story-3-deny-all",
];
const OUTSIDE: &str = "ip:198.51.100.7";

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the program with a few words and paths.
fn enforcer(words: &str, paths: &[&Path]) -> Outcome {
    let words = words.split_whitespace();
    let output = Command::new(env!("CARGO_BIN_EXE_enforcer"))
        .args(words)
        .args(paths)
        .env_clear()
        .output()
        .unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn worlds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/worlds")
}

/// Copies the files of a world into another, in place of those of the same names.
fn lay(world: &Path, into: &Path) {
    for cluster in fs::read_dir(world).unwrap().map(|entry| entry.unwrap().path()) {
        if cluster.is_dir() {
            let folder = into.join(cluster.file_name().unwrap());
            fs::create_dir_all(&folder).unwrap();
            for file in fs::read_dir(&cluster).unwrap().map(|entry| entry.unwrap().path()) {
                fs::copy(
                    &file,
                    folder.join(format!(
                        "{}-{}",
                        world.file_name().unwrap().display(),
                        file.file_name().unwrap().display()
                    )),
                )
                .unwrap();
            }
        }
    }
}

/// The stories, and one chapter of them.
fn story(chapter: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    lay(&worlds().join("stories"), dir.path());
    lay(&worlds().join(chapter), dir.path());
    dir
}

/// S3, S98, S100, S101, S103, S104, S106: the tables of the stories, cell by cell.
#[test]
fn the_stories_come_out_as_they_are_told() {
    for chapter in CHAPTERS {
        let dir = story(chapter);
        let expected = fs::read_to_string(worlds().join(chapter).join("expected.txt")).unwrap();
        for table in expected.split("\n\n") {
            let mut lines = table.lines();
            let probe = lines.next().unwrap();
            let (names, rows): (Vec<&str>, Vec<String>) = lines
                .map(|line| {
                    let (name, signs) = line.split_once(' ').unwrap();
                    (if name == "outside" { OUTSIDE } else { name }, signs.replace(' ', ""))
                })
                .unzip();
            let mut rows = rows;
            // Whether a host outside reaches itself is no question of ours.
            rows.last_mut().unwrap().pop();
            rows.last_mut().unwrap().push('-');
            let ends = dir.path().join("ends");
            fs::write(&ends, names.join("\n")).unwrap();
            let answer = enforcer(
                &format!("matrix --format json --probe {probe} --ends"),
                &[&ends, dir.path()],
            );
            let (protocol, port) = probe.split_once('/').unwrap();
            let expected = serde_json::json!({"ends": names, "tables": [
                {"protocol": protocol, "port": port.parse::<u16>().unwrap(), "family": null, "rows": rows}]});
            let got: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
            assert_eq!(got, expected, "{chapter}, {probe}");
            assert_eq!(answer.code, 0, "{chapter}: {}", answer.stderr);
            // One chapter writes a namespace anew.
            let mut said = answer.stderr.lines();
            assert!(
                said.all(|line| line.contains("Namespace billing") && line.ends_with("the last one counts")),
                "{}",
                answer.stderr
            );
        }
    }
}

#[test]
fn a_table_for_people_and_the_exchange_format() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    let pod = |name: &str, ips: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec: {{nodeName: n}}\nstatus: {{podIPs: [{ips}]}}\n---\n"
        )
    };
    let text = pod("web", "{ip: 10.0.0.1}, {ip: 'fd00::1'}")
        + &pod("db", "{ip: 10.0.0.2}")
        + "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\nspec: {podSelector: {matchLabels: {app: db}}}";
    fs::write(dir.path().join("a/all.yaml"), text).unwrap();
    let answer = enforcer("matrix --probe TCP/80 --probe ICMP/0/6", &[dir.path()]);
    expect![[r#"
        TCP/80           1 2
        1  a/default/db  . .
        2  a/default/web X .

        ICMP/0/6         1 2
        1  a/default/db  - -
        2  a/default/web - .

        . allowed   X refused   - no such traffic          4 allowed, 1 refused
    "#]]
    .assert_eq(&answer.stdout);
    assert_eq!((answer.code, &*answer.stderr), (0, ""));
    let answer = enforcer("matrix --probe TCP/80 --probe ICMP/0/6 --format json", &[dir.path()]);
    expect![[r#"
        {"ends":["a/default/db","a/default/web"],"tables":[{"protocol":"TCP","port":80,"family":null,"rows":["..","X."]},{"protocol":"ICMP","port":0,"family":6,"rows":["--","-."]}]}
    "#]].assert_eq(&answer.stdout);
}

/// W10, S127: what is wrong with manifests is said on stderr, and the rest is judged.
#[test]
fn what_is_wrong_with_manifests_is_loud_and_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["a", "b_"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let broken = "kind: NetworkPolicy\nmetadata: [\n---\nkind: Pod\nmetadata: {name: p}\nstatus: {podIP: 10.0.0.1}\n---\n\
                  kind: NetworkPolicy\nmetadata: {name: odd}\nspec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/40}}]}]}\n";
    fs::write(dir.path().join("a/all.yaml"), broken).unwrap();
    let answer = enforcer("matrix --probe TCP/80", &[dir.path()]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    expect![[r#"
        enforcer: DIR/a/all.yaml, document 1: unclosed bracket '[' at line 2, column 11; nothing of this document is judged, and no policy in it is in force
        enforcer: DIR/a/all.yaml, document 2, Pod p, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
        enforcer: DIR/b_: "b_" is no cluster id: it must be a label value of 1 to 63 characters, letters, digits, '-', '_' and '.', beginning and ending with a letter or digit; nothing of this folder is judged
        enforcer: DIR/a/all.yaml, document 3, NetworkPolicy default/odd, spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0/40" is no CIDR; the peer matches nothing
    "#]].assert_eq(&answer.stderr.replace(&dir.path().display().to_string(), "DIR"));
}

#[test]
fn what_cannot_be_judged_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("a")).unwrap();
    fs::write(dir.join("a/p.yaml"), "apiVersion: v1\nkind: Pod\nmetadata: {name: p}").unwrap();
    let empty = tempfile::tempdir().unwrap();
    let empty = empty.path();
    for (name, text) in [
        ("none", "\n# nothing\n"),
        ("odd", "a/default/p\n\npod"),
        ("unknown", "a/default/q"),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
    let nowhere = dir.join("nowhere");
    let mut said = String::new();
    for (words, paths) in [
        ("matrix --probe TCP/80", vec![&*nowhere]),
        ("matrix --probe TCP/80", vec![empty]),
        ("matrix --probe TCP/80 --ends", vec![&nowhere, dir]),
        ("matrix --probe TCP/80 --ends", vec![&*dir.join("none"), dir]),
        ("matrix --probe TCP/80 --ends", vec![&*dir.join("odd"), dir]),
        ("matrix --probe TCP/80 --ends", vec![&*dir.join("unknown"), dir]),
        ("diff --probe TCP/80", vec![dir, &nowhere]),
        ("matrix --probe tcp/80", vec![dir]),
        ("matrix --probe TCP/+80", vec![dir]),
        ("matrix", vec![dir]),
    ] {
        let answer = enforcer(words, &paths);
        assert_eq!((answer.code, &*answer.stdout), (2, ""), "{words}: {}", answer.stderr);
        let first = answer.stderr.lines().next().unwrap_or_default();
        let first = first.replace(&dir.display().to_string(), "DIR");
        said += &format!("{}\n", first.replace(&empty.display().to_string(), "EMPTY"));
    }
    expect![[r#"
        enforcer: cannot read DIR/nowhere, which should be a folder with a folder of manifests for each cluster, named by its id: No such file or directory (os error 2)
        enforcer: EMPTY: no cluster: expected a folder of manifests for each cluster, named by its id
        enforcer: cannot read DIR/nowhere, which should be a file with one end a line: No such file or directory (os error 2)
        enforcer: DIR/none: no ends in it: expected one a line, cluster/namespace/pod or ip:ADDRESS
        enforcer: DIR/odd, line 3: "pod" is no end: expected cluster/namespace/pod or ip:ADDRESS
        enforcer: DIR/unknown, line 1: no manifest has the pod a/default/q
        enforcer: cannot read DIR/nowhere, which should be a folder with a folder of manifests for each cluster, named by its id: No such file or directory (os error 2)
        error: invalid value 'tcp/80' for '--probe <PROBE>': "tcp/80" is no probe: expected PROTOCOL/PORT or PROTOCOL/PORT/FAMILY, as TCP/80, UDP/53/6, ICMP/0: a protocol of TCP, UDP, SCTP and ICMP, a port of 1 to 65535 in digits, or 0 for ICMP, and a family of 4 and 6
        error: invalid value 'TCP/+80' for '--probe <PROBE>': "TCP/+80" is no probe: expected PROTOCOL/PORT or PROTOCOL/PORT/FAMILY, as TCP/80, UDP/53/6, ICMP/0: a protocol of TCP, UDP, SCTP and ICMP, a port of 1 to 65535 in digits, or 0 for ICMP, and a family of 4 and 6
        error: the following required arguments were not provided:
    "#]].assert_eq(&said);
}

#[test]
fn a_difference_ends_with_1_and_none_with_0() {
    let (before, after) = (story("stories"), story("story-1"));
    let answer = enforcer("diff --probe TCP/5432", &[before.path(), after.path()]);
    expect![[r#"
        policy cluster-a/shop/database-from-frontends   closes 10
          closes  TCP/5432  cluster-a/default/debug, cluster-a/payments/billing-0, cluster-a/payments/ledger-0 and 7 more → cluster-a/shop/database-0

        in all closes 10 (196 verdicts compared)
    "#]].assert_eq(&answer.stdout);
    assert_eq!((answer.code, &*answer.stderr), (1, ""));
    let answer = enforcer("diff --probe TCP/5432", &[after.path(), after.path()]);
    assert_eq!(
        (answer.code, &*answer.stderr, &*answer.stdout),
        (0, "", "no verdict changes (196 compared)\n")
    );
}

/// Which connection, what it ends with, and the first line that is said.
#[test]
fn an_explanation_ends_with_its_verdict() {
    let dir = story("story-2");
    let mut said = String::new();
    for words in [
        "--from pci/billing/billing-0 --to cluster-a/payments/ledger-0 --probe TCP/5432",
        "--from cluster-b/billing/billing-0 --to cluster-a/payments/ledger-0 --probe TCP/5432/6",
        "--from ip:198.51.100.7 --to ip:198.51.100.7 --probe ICMP/0",
        "--from cluster-b/billing/billing-1 --to cluster-a/payments/ledger-0 --probe TCP/5432",
        "--from cluster-b/billing/billing-0 --to ledger-0 --probe TCP/5432",
        "--from cluster-b/billing/\u{1b}[31mred --to cluster-a/payments/ledger-0 --probe TCP/5432",
    ] {
        let answer = enforcer(&format!("explain {words}"), &[dir.path()]);
        let all = answer.stdout + &answer.stderr;
        let first = all.lines().next().unwrap_or_default();
        said += &format!("{} {first}\n", answer.code);
    }
    expect![[r#"
        0 pci/billing/billing-0 → cluster-a/payments/ledger-0  TCP/5432 over IPv4: allowed
        1 cluster-b/billing/billing-0 → cluster-a/payments/ledger-0  TCP/5432/6: refused by ingress at cluster-a
        2 ip:198.51.100.7 → ip:198.51.100.7  ICMP/0: no such traffic: what ip:198.51.100.7 sends to itself passes no node of any cluster
        2 enforcer: --from cluster-b/billing/billing-1: no manifest has this pod; in that namespace there are cluster-b/billing/billing-0
        2 error: invalid value 'ledger-0' for '--to <END>': "ledger-0" is no end: expected cluster/namespace/pod or ip:ADDRESS
        2 enforcer: --from cluster-b/billing/\u{1b}[31mred: no manifest has this pod; in that namespace there are cluster-b/billing/billing-0
    "#]].assert_eq(&said);
    let words = "explain --from pci/billing/billing-0 --to cluster-a/payments/ledger-0 --probe TCP/5432 --format json";
    let answer: serde_json::Value = serde_json::from_str(&enforcer(words, &[dir.path()]).stdout).unwrap();
    assert_eq!(answer["verdict"], "allowed");
}
