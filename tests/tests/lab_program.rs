//! The program `lab` as a person runs it: what it says, how it ends, and that nothing stays.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tests::lab::netns;
use tests::lab::wait::{Look, until};

/// How long ends may take to be seen. They take milliseconds.
const LIMIT: Duration = Duration::from_secs(20);

fn lab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lab"))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let looked = netns::block_on(until(LIMIT, async || {
        Ok(if is_so() {
            Look::Done(())
        } else {
            Look::NotYet(what.to_owned())
        })
    }));
    looked.unwrap();
}

/// `lab up`, once it has said all it has to say; the folder it names, and the processes it has started.
fn up(world: &Path) -> (Child, PathBuf, Vec<u32>) {
    let mut lab = lab().arg("up").arg(world).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(lab.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = lines
        .take_while(|line| !line.starts_with("Policies and labels can"))
        .collect();
    let folder = said
        .iter()
        .find_map(|line| line.trim().strip_prefix("cd ")?.split_whitespace().next());
    let folder = folder.unwrap_or_else(|| panic!("no folder in {said:#?}")).into();
    let children = children_of(lab.id());
    (lab, folder, children)
}

fn children_of(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
        let children = std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default();
        children
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect::<Vec<u32>>()
    };
    threads.flat_map(of_thread).collect()
}

fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status
        .rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[expect(unsafe_code, reason = "kill has no safe wrapper in the standard library")]
fn kill(pid: u32, signal: i32) {
    // SAFETY: takes integers only; the pid is of a process that this test has started and not yet waited for.
    assert_eq!(unsafe { libc::kill(pid.try_into().unwrap(), signal) }, 0);
}

fn stories() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds/stories")
}

#[test]
fn the_demo_tells_all_stories_in_both_layouts() {
    for layout in ["bridge", "routed"] {
        let told = lab()
            .args(["demo", "--layout", layout])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let said = String::from_utf8(told.stdout).unwrap();
        assert!(told.status.success(), "{layout}: {}\n{said}", told.status);
        assert!(
            said.contains("\n3588 of 3588 packets did as the policies say."),
            "{layout}: {said}"
        );
        assert!(!said.contains('\x1b'), "colour although stdout is no terminal");
    }
}

/// Pods that run, wait, leave, have finished, are on no node or on their node's network; a namespace that another cluster
/// has too, and one that claims to be another cluster's.
const CLUSTER_A: &str = r#"
{kind: Namespace, apiVersion: v1, metadata: {name: x, labels: {cluster.clusterset.k8s.io/cluster-name: a}}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web, namespace: x, labels: {app: web}}, spec: {nodeName: n1}, status: {phase: Running, podIPs: [{ip: 10.1.0.1}, {ip: "fd00:1::1"}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: waiting, namespace: x, labels: {app: web}}, spec: {nodeName: n2}, status: {phase: Pending, podIPs: [{ip: 10.1.0.2}, {ip: "fd00:1::2"}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: leaving, namespace: x, labels: {app: web}, deletionTimestamp: "2025-01-01T00:00:00Z", deletionGracePeriodSeconds: 30}, spec: {nodeName: n1}, status: {phase: Running, podIPs: [{ip: 10.1.0.3}, {ip: "fd00:1::3"}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: done, namespace: x, labels: {app: web}}, spec: {nodeName: n1}, status: {phase: Succeeded, podIPs: [{ip: 10.1.0.4}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: adrift, namespace: x, labels: {app: web}, deletionTimestamp: "2025-01-01T00:00:00Z"}, status: {phase: Running, podIPs: [{ip: 10.1.0.5}, {ip: "fd00:1::5"}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db, namespace: x, labels: {app: db}}, spec: {nodeName: n2}, status: {phase: Running, podIPs: [{ip: 10.1.0.6}, {ip: "fd00:1::6"}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: host, namespace: x, labels: {app: web}}, spec: {nodeName: n1, hostNetwork: true}, status: {phase: Running, podIPs: [{ip: 192.0.2.1}, {ip: "fd00:40::1"}]}}
---
kind: NetworkPolicy
apiVersion: networking.k8s.io/v1
metadata: {name: db, namespace: x}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{protocol: SCTP, port: 38}]
  - from: [{namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: a}}}]
    ports: [{port: 80}]
  - from: [{ipBlock: {cidr: 198.51.100.7/32}}]
---
kind: NetworkPolicy
apiVersion: networking.k8s.io/v1
metadata: {name: leaving, namespace: x}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}
"#;
const CLUSTER_B: &str = r#"
{kind: Namespace, apiVersion: v1, metadata: {name: x, labels: {cluster.clusterset.k8s.io/cluster-name: a}}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web, namespace: x, labels: {app: web}}, spec: {nodeName: n1}, status: {phase: Running, podIPs: [{ip: 10.2.0.1}, {ip: "fd00:2::1"}]}}
"#;

/// Hosts outside, a pod by its address, and a node by its own.
const ENDS: &str = "
a/x/web
a/x/waiting
a/x/leaving
a/x/done
a/x/adrift
a/x/db
a/x/host
b/x/web
ip:198.51.100.7
ip:2001:db8::7
ip:10.2.0.1
ip:192.0.2.1
";

/// `lab matrix` and `enforcer matrix` of the same arguments: what they print.
fn both_matrices(arguments: &[&str]) -> [String; 2] {
    let enforcer = Path::new(env!("CARGO_BIN_EXE_lab")).with_file_name("enforcer");
    // The lab comes first: it builds the enforcer that the other one is.
    [lab(), Command::new(enforcer)].map(|mut program| {
        let ended = program.arg("matrix").args(arguments).stderr(Stdio::inherit()).output();
        let ended = ended.unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", ended.status);
        String::from_utf8(ended.stdout).unwrap()
    })
}

/// S19, S80, S81, S82, S106, I12: API servers, hub and enforcers come to what `enforcer matrix` says of the same
/// manifests, by packets of TCP, SCTP and ICMP, with whatever switches; both print the same.
#[test]
fn a_matrix_by_packets_is_the_one_by_manifests() {
    let folder = tempfile::tempdir().unwrap();
    for (cluster, manifest) in [("a", CLUSTER_A), ("b", CLUSTER_B)] {
        std::fs::create_dir(folder.path().join(cluster)).unwrap();
        std::fs::write(folder.path().join(cluster).join("all.yaml"), manifest).unwrap();
    }
    let ends = folder.path().join("ends");
    std::fs::write(&ends, ENDS).unwrap();
    let (dir, ends) = (folder.path().to_str().unwrap(), ends.to_str().unwrap());
    let common = [
        dir,
        "--ends",
        ends,
        "--probe=TCP/80",
        "--probe=SCTP/38/6",
        "--probe=ICMP/0",
    ];
    let mut seen = std::collections::BTreeSet::new();
    for switches in [
        [
            "--format=table",
            "--bare-pod-selector=clusterset",
            "--cluster-label-mode=verify",
        ],
        [
            "--format=json",
            "--bare-pod-selector=clusterset",
            "--cluster-label-mode=verify",
        ],
        [
            "--format=json",
            "--bare-pod-selector=local",
            "--cluster-label-mode=verify",
        ],
        [
            "--format=json",
            "--bare-pod-selector=clusterset",
            "--cluster-label-mode=literal",
        ],
    ] {
        let [packets, manifests] = both_matrices(&[common.as_slice(), &switches].concat());
        assert_eq!(packets, manifests, "{switches:?}");
        assert!(seen.insert(packets), "{switches:?} makes a difference");
    }
}

#[test]
fn ctrl_c_ends_everything() {
    let (mut lab, folder, children) = up(&stories());
    assert_eq!(children.len(), 6, "a hub and five enforcers");
    kill(lab.id(), libc::SIGINT);
    assert_eq!(lab.wait().unwrap().code(), Some(130));
    wait_until("the programs to end", || !children.iter().any(|pid| is_running(*pid)));
    assert!(!folder.exists(), "{} is still there", folder.display());
}

#[test]
fn kill_9_ends_everything_too() {
    let (mut lab, folder, children) = up(&stories());
    kill(lab.id(), libc::SIGKILL);
    lab.wait().unwrap();
    wait_until("the programs to end", || !children.iter().any(|pid| is_running(*pid)));
    // Nobody is left who could remove the files.
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_wrong_with_the_command_line_is_said_and_nothing_is_started() {
    let empty = tempfile::tempdir().unwrap();
    let (empty, stories) = (empty.path().to_str().unwrap(), stories());
    let cases = [
        (
            vec!["up", empty],
            "no cluster: expected a folder of manifests for each cluster",
        ),
        (
            vec!["matrix", stories.to_str().unwrap(), "--probe", "TCP"],
            "\"TCP\" is no probe",
        ),
        (vec!["bench", "latency", "--samples", "0"], "0 is not in 1..=100000"),
    ];
    for (arguments, words) in cases {
        let ended = lab().args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(
            (ended.status.code(), said.contains(words)),
            (Some(2), true),
            "{arguments:?}: {said}"
        );
    }
}
