//! `enforcer check` on real nodes: by an enforcer's pod, of two clusters, and between pods of two clusters.

use super::rig::{A, B, SOON, apply, kubectl, node_netns, pod, run};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Output;
use tests::lab::wait::{Look, until};

const NAMESPACE: &str = "check";
const PORT: u16 = 9000;

/// Runs a command in the network of a node.
fn on_node(cluster: &str, node: &str, command: &[&str]) {
    let netns = format!("--net={}", node_netns(cluster, node).display());
    let output = run(&[&["nsenter", &netns, "--"], command].concat());
    assert!(output.status.success(), "{}: {output:?}", command.join(" "));
}

/// The rules of what an enforcer's pod finds on its node, and the exit code.
fn findings() -> (Vec<String>, Option<i32>) {
    let check = "exec --namespace bailey daemonset/bailey-enforcer -- /enforcer check --format json";
    let words: Vec<&str> = ["kubectl", "--context", A]
        .into_iter()
        .chain(check.split(' '))
        .collect();
    let output = run(&words);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_none| panic!("{output:?}"));
    let findings = said["findings"].as_array().unwrap().iter();
    let rules = findings.map(|finding| finding["rule"].as_str().unwrap().to_owned());
    (rules.collect(), output.status.code())
}

/// A node is well; without bridge netfilter it is not.
#[tokio::test]
async fn a_node_is_looked_at() {
    assert_eq!(findings(), (vec![], Some(0)));
    let bridge_netfilter = |value: &str| {
        for node in ["node-1", "node-2"] {
            let call = format!("net.bridge.bridge-nf-call-iptables={value}");
            on_node(A, node, &["sysctl", "-qw", &call]);
        }
    };
    bridge_netfilter("0");
    let without = findings();
    bridge_netfilter("1");
    assert_eq!(without, (vec!["bridge-netfilter".to_owned()], Some(1)));
}

/// The clusters' pod ranges do not overlap.
#[tokio::test]
async fn pod_ranges_are_compared() {
    let Output { status, stdout, stderr } = run(&["enforcer", "check", "--context", A, "--context", B]);
    let [said, complaint] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
    assert_eq!(
        said,
        "Clusters: cluster-a (nodes: 2, pod ranges: 4); cluster-b (nodes: 2, pod ranges: 4)\n\n0 errors, 0 warnings, 0 notes\n"
    );
}

/// Probes between pods of the two clusters arrive as they were sent; where the sender's node masquerades they do not.
#[tokio::test]
async fn addresses_are_translated() {
    for cluster in [A, B] {
        kubectl(cluster, &format!("delete namespace {NAMESPACE} --ignore-not-found"));
        kubectl(cluster, &format!("create namespace {NAMESPACE}"));
    }
    checking(A, "listen", &["--listen", &format!("[::]:{PORT}")]);
    kubectl(
        A,
        &format!("wait --for=condition=Ready --timeout=60s --namespace {NAMESPACE} pod/listen"),
    );
    for address in pod(A, NAMESPACE, "listen").addresses {
        let to = SocketAddr::new(address, PORT).to_string();
        let family = if address.is_ipv4() { "ip" } else { "ip6" };
        let as_sent = probe(&to).await;
        assert!(
            as_sent.0 == "Succeeded" && as_sent.1.matches(": as sent").count() == 2,
            "{as_sent:?}"
        );
        let rules = format!(
            "add table {family} translation; \
             add chain {family} translation out {{ type nat hook postrouting priority srcnat; oifname eth0 masquerade; }}"
        );
        on_node(B, "node-1", &["nft", &rules]);
        let translated = probe(&to).await;
        on_node(B, "node-1", &["nft", &format!("delete table {family} translation")]);
        assert!(
            translated.0 == "Failed" && translated.1.matches(": translated").count() == 2,
            "{translated:?}"
        );
    }
    for cluster in [A, B] {
        kubectl(cluster, &format!("delete namespace {NAMESPACE}"));
    }
}

/// Starts a pod on node-1 that runs `enforcer check`, by the image that the enforcers have.
fn checking(cluster: &str, name: &str, arguments: &[&str]) {
    let of_enforcers = "{.spec.template.spec.containers[0].image}";
    let image = format!("get daemonset --namespace bailey bailey-enforcer --output jsonpath={of_enforcers}");
    let arguments = [&["check"], arguments].concat();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": NAMESPACE, "name": name, "labels": {"app": name}},
        "spec": {
            "nodeName": "node-1", "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "check", "image": kubectl(cluster, &image), "args": arguments,
            }],
        },
    });
    apply(cluster, &pod.to_string());
}

/// How a probe from a pod of cluster-b ends, and what it says.
async fn probe(to: &str) -> (String, String) {
    checking(B, "probe", &["--probe", to]);
    let ended = until(SOON, async || {
        let phase = format!("get pod --namespace {NAMESPACE} probe --output jsonpath={{.status.phase}}");
        let phase = kubectl(B, &phase);
        Ok(match phase.as_str() {
            "Succeeded" | "Failed" => Look::Done(phase),
            _ => Look::NotYet(format!("the probe to {to} is {phase}")),
        })
    });
    let phase = ended.await.unwrap();
    let said = kubectl(B, &format!("logs --namespace {NAMESPACE} probe"));
    kubectl(B, &format!("delete pod --namespace {NAMESPACE} probe"));
    (phase, said)
}
