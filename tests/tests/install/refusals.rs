//! `tests/k8s/rights`, which says what hub and enforcers of a rig were refused, over the files of a made-up rig.

use expect_test::{Expect, expect};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The pods of the rig: where the logs of one are, from a node's folder on.
const ENFORCER: &str = "disk/var/log/pods/bailey_bailey-enforcer-x_403/enforcer/0.log";
const HUB: &str = "disk/var/log/pods/bailey_bailey-hub-x_1/hub/0.log";
const OTHER: &str = "disk/var/log/pods/shop_frontend-x_1/main/0.log";

/// A time of the rig's minute, as both kinds of files have it.
fn at(second: u32) -> String {
    format!("2026-01-02T03:04:{second:02}.403403Z")
}

/// What an API server writes down of a request.
fn answered(account: &str, (verb, resource): (&str, &str), decision: &str, second: u32) -> String {
    let event = json!({
        "verb": verb, "user": {"username": format!("system:serviceaccount:bailey:{account}")},
        "objectRef": {"resource": resource}, "requestReceivedTimestamp": at(second), "stageTimestamp": at(59),
        "annotations": {"authorization.k8s.io/decision": decision},
    });
    // In the order of an API server's fields.
    let field = |name: &str| format!("{name:?}:{}", event[name]);
    let fields = [
        "verb",
        "user",
        "objectRef",
        "requestReceivedTimestamp",
        "stageTimestamp",
        "annotations",
    ];
    format!("{{{}}}", fields.map(field).join(","))
}

/// What a container's log has of a line.
fn said(second: u32, line: &str) -> String {
    format!("{} stderr F {} {line}", at(second), at(second))
}

fn refused(account: &str, verb: &str, resource: &str) -> String {
    format!(
        "the API server refused {verb} {resource} (403): grant list and watch on {resource} (it says: {resource} is forbidden: \
         User \"system:serviceaccount:bailey:{account}\" cannot {verb} resource \"{resource}\" in API group \"\")"
    )
}

struct Rig(TempDir);

impl Rig {
    /// Two clusters, in each of which hub and enforcers have watched pods.
    fn up() -> Self {
        let rig = Self(tempfile::tempdir().unwrap());
        rig.append(
            "settings",
            &["CLUSTERS=2", "NODES=1", "PROXY=none", "CNI=bridge", "FAMILIES=dual"].map(str::to_owned),
        );
        for cluster in ["cluster-a", "cluster-b"] {
            let watched =
                ["bailey-hub", "bailey-enforcer"].map(|account| answered(account, ("watch", "pods"), "allow", 10));
            rig.append(&format!("{cluster}/control/audit.log"), &watched);
        }
        rig
    }

    fn append(&self, file: &str, lines: &[String]) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, before + &lines.join("\n") + "\n").unwrap();
    }

    /// Exit code and output.
    fn check(&self, expected: Expect) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/rights");
        let output = Command::new(script).env("BAILEY_RIG", self.0.path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = format!("{}{}{}", text(output.stdout), text(output.stderr), output.status);
        expected.assert_eq(&said.replace(&*self.0.path().to_string_lossy(), "RIG"));
    }
}

/// An API server that starts, a member that leaves and comes back, and what others say.
#[test]
fn what_was_allowed_later_counts_as_little_as_what_others_are_refused() {
    let rig = Rig::up();
    let audit = [
        answered("bailey-enforcer", ("watch", "pods"), "forbid", 20),
        answered("bailey-hub", ("watch", "pods"), "forbid", 20),
        answered("bailey-enforcer", ("watch", "pods"), "allow", 22),
        answered("bailey-hub", ("watch", "pods"), "allow", 22),
    ];
    rig.append("cluster-b/control/audit.log", &audit);
    let line = refused("bailey-enforcer", "watch", "pods");
    rig.append(
        &format!("cluster-b/node-1/{ENFORCER}"),
        &[said(21, &line), said(22, "revision 403")],
    );
    let reason = format!("{:?}", refused("bailey-hub", "watch", "pods"));
    let line = format!("contact with the cluster is lost cluster=cluster-b reason={reason}");
    rig.append(&format!("cluster-a/node-1/{HUB}"), &[said(21, &line)]);
    rig.append(&format!("cluster-a/node-1/{OTHER}"), &[said(21, "403 Forbidden")]);
    rig.check(expect!["exit status: 0"]);
}

#[test]
fn what_was_refused_is_named_with_file_and_line() {
    let rig = Rig::up();
    let audit = [
        answered("bailey-enforcer", ("list", "nodes"), "forbid", 20),
        answered("bailey-hub", ("watch", "pods"), "forbid", 30),
    ];
    rig.append("cluster-b/control/audit.log", &audit);
    let line = format!("no Event reason={:?}", refused("bailey-enforcer", "create", "events"));
    rig.append(
        &format!("cluster-b/node-1/{ENFORCER}"),
        &[said(21, "in force"), said(22, &line)],
    );
    rig.append(
        &format!("cluster-a/node-1/{HUB}"),
        &[said(23, "the proxy said: HTTP/1.1 403")],
    );
    let rotated = format!("cluster-a/node-1/{ENFORCER}.20260102-030405");
    rig.append(&rotated, &[said(24, "access Forbidden")]);
    let gzip = Command::new("gzip").arg(rig.0.path().join(&rotated)).status().unwrap();
    assert!(gzip.success());
    rig.check(expect![[r#"
        cluster-b/control/audit.log:3: cluster-b: system:serviceaccount:bailey:bailey-enforcer cannot list nodes, 2026-01-02T03:04:20.403403Z
        cluster-b/control/audit.log:4: cluster-b: system:serviceaccount:bailey:bailey-hub cannot watch pods, 2026-01-02T03:04:30.403403Z
        cluster-a/node-1/disk/var/log/pods/bailey_bailey-enforcer-x_403/enforcer/0.log.20260102-030405.gz:1: 2026-01-02T03:04:24.403403Z stderr F 2026-01-02T03:04:24.403403Z access Forbidden
        cluster-a/node-1/disk/var/log/pods/bailey_bailey-hub-x_1/hub/0.log:1: 2026-01-02T03:04:23.403403Z stderr F 2026-01-02T03:04:23.403403Z the proxy said: HTTP/1.1 403
        cluster-b/node-1/disk/var/log/pods/bailey_bailey-enforcer-x_403/enforcer/0.log:2: 2026-01-02T03:04:22.403403Z stderr F 2026-01-02T03:04:22.403403Z no Event reason="the API server refused create events (403): grant list and watch on events (it says: events is forbidden: User "system:serviceaccount:bailey:bailey-enforcer" cannot create resource "events" in API group "")"
        tests/k8s/rights: the above was refused; paths are below RIG
        exit status: 1"#]]);
}

#[test]
fn a_rig_whose_api_servers_have_written_nothing_down_proves_nothing() {
    let rig = Rig::up();
    fs::remove_file(rig.0.path().join("cluster-b/control/audit.log")).unwrap();
    rig.check(expect![[r#"
        cluster-b: its API server has allowed system:serviceaccount:bailey:bailey-enforcer nothing: is all of Bailey there, and control/audit.log written?
        cluster-b: its API server has allowed system:serviceaccount:bailey:bailey-hub nothing: is all of Bailey there, and control/audit.log written?
        tests/k8s/rights: the above was refused; paths are below RIG
        exit status: 1"#]]);
}
