//! S79: A pod whose first instruction is to connect where its policies forbid it, an init container's included, does not
//! get there. Without the container runtime's help some do: that is the control, and the gap.

use super::rig::{A, apply, kubectl, pod};
use super::stories::Examples;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use tests::lab::wait::{Look, until};

/// Pods that start with the plugin, and without it.
const STARTS: usize = 50;
const CONTROL: usize = 20;
const NAMESPACE: &str = "first-packet";
/// What connects must start fast: a program of some 50 MB has its policies by then.
const IMAGE: &str = "busybox:1.37";
/// What of a pod connects.
const CONTAINER: &str = "container";
const INIT_CONTAINER: &str = "init-container";
/// Within what all pods of a group have run: a node starts one or two a second.
const LIMIT: Duration = Duration::from_secs(180);

/// How many connected, of pods that were started one after the other on all nodes.
#[derive(PartialEq, Eq, Debug)]
struct Connected {
    first_containers: usize,
    init_containers: usize,
}

#[tokio::test]
async fn a_pods_first_instruction_is_judged() {
    let _examples = Examples::start();
    let ledger = pod(A, "payments", "ledger");
    kubectl(A, &format!("delete namespace {NAMESPACE} --ignore-not-found"));
    kubectl(A, &format!("create namespace {NAMESPACE}"));
    let free = start("free", 4, &ledger.addresses).await;
    assert_eq!(
        free,
        Connected {
            first_containers: 2,
            init_containers: 2
        },
        "without a policy each connects"
    );

    let nowhere = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "nowhere", "namespace": NAMESPACE},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
    });
    apply(A, &nowhere.to_string());
    nri("off");
    let control = start("control", CONTROL, &ledger.addresses).await;
    nri("auto");
    let judged = start("judged", STARTS, &ledger.addresses).await;
    kubectl(A, &format!("delete namespace {NAMESPACE}"));
    println!("of {CONTROL} without the plugin {control:?}, of {STARTS} with it {judged:?}");
    assert_eq!(
        judged,
        Connected {
            first_containers: 0,
            init_containers: 0
        }
    );
    assert!(
        control.first_containers + control.init_containers > 0,
        "without the plugin none connected either: nothing is shown"
    );
}

/// Whether enforcers are plugins of the container runtime.
fn nri(value: &str) {
    kubectl(
        A,
        &format!("set env --namespace bailey daemonset/bailey-enforcer BAILEY_ENFORCER_NRI={value}"),
    );
    kubectl(
        A,
        "rollout status --namespace bailey daemonset/bailey-enforcer --timeout=120s",
    );
}

/// Starts pods that connect to an address each, every other one in an init container, and waits until all have ended.
async fn start(group: &str, count: usize, to: &[IpAddr]) -> Connected {
    let pods: Vec<Value> = (0..count).map(|number| connecting(group, number, to)).collect();
    apply(
        A,
        &json!({"apiVersion": "v1", "kind": "List", "items": pods}).to_string(),
    );
    let all_ended = until(LIMIT, async || {
        let list = format!("get pods --namespace {NAMESPACE} --selector group={group} --output json");
        let list: Value = serde_json::from_str(&kubectl(A, &list)).unwrap();
        let pods = list["items"].as_array().unwrap();
        let ended: Vec<_> = pods.iter().filter_map(outcome).collect();
        Ok(if ended.len() == count {
            Look::Done(ended)
        } else {
            Look::NotYet(format!(
                "{} of {count} pods of {group} to connect or not",
                count - ended.len()
            ))
        })
    });
    let ended = all_ended.await.unwrap_or_else(|error| panic!("{error:#}"));
    let connected = |part: &str| ended.iter().filter(|&(of, connected)| of == part && *connected).count();
    Connected {
        first_containers: connected(CONTAINER),
        init_containers: connected(INIT_CONTAINER),
    }
}

/// Which part of a pod has connected, or not; `None`: that is not known yet. Anything else is a fault of the rig.
fn outcome(pod: &Value) -> Option<(String, bool)> {
    let part = pod["metadata"]["labels"]["part"].as_str().unwrap();
    let statuses = &pod["status"][if part == CONTAINER {
        "containerStatuses"
    } else {
        "initContainerStatuses"
    }];
    let ended = &statuses[0]["state"]["terminated"];
    let code = ended["exitCode"].as_i64()?;
    let said = ended["message"].as_str().unwrap_or_default();
    assert!(
        code == 0 || said.contains("timed out"),
        "{}: {ended}",
        pod["metadata"]["name"]
    );
    Some((part.to_owned(), code == 0))
}

fn part_of(number: usize) -> &'static str {
    if number.is_multiple_of(2) {
        CONTAINER
    } else {
        INIT_CONTAINER
    }
}

/// A pod that ends well if its first instruction connects.
fn connecting(group: &str, number: usize, to: &[IpAddr]) -> Value {
    let address = to[number / 2 % to.len()].to_string();
    let connect = json!({
        "name": "connect", "image": IMAGE, "command": ["nc", "-w", "1", address, "5432"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let mut spec = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [connect]});
    if part_of(number) == INIT_CONTAINER {
        spec["initContainers"] = json!([connect]);
        spec["containers"] = json!([{"name": "idle", "image": IMAGE, "command": ["true"]}]);
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": NAMESPACE, "name": format!("{group}-{number}"),
            "labels": {"group": group, "part": part_of(number)},
        },
        "spec": spec,
    })
}
