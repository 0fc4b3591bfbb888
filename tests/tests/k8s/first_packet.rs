//! S79: A pod whose first instruction is to connect where its policies forbid it, an init container's included, does not
//! get there: by the container runtime's help, by holding addresses that are nobody's yet, or by both. Without either some
//! do: that is the control, and the gap.

use super::rig::{A, apply, kubectl, pod, with_components};
use super::stories::Examples;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use tests::lab::wait::{Look, until};

/// Pods that start at once with the plugin; with it and held; without it; and without it but held. The first two are both
/// BAILEY_POD_STARTS, if that is set.
const STARTS: usize = 50;
const BOTH: usize = 20;
const CONTROL: usize = 20;
const HELD: usize = 20;
const NAMESPACE: &str = "first-packet";
/// What connects must start fast: a program of some 50 MB has its policies by then.
const IMAGE: &str = "busybox:1.37";
/// What of a pod connects.
const CONTAINER: &str = "container";
const INIT_CONTAINER: &str = "init-container";
/// Within what all pods of a group have run, besides a second for each: two nodes start two or three a second.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a pod tries to connect. Held, its first packets are lost, and TCP sends them again.
const SECONDS: &str = "1";
const SECONDS_HELD: &str = "4";

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
    let to = &ledger.addresses;
    let free = start("free", 4, to, SECONDS).await;
    assert_eq!(free, Connected::all(4), "without a policy each connects");

    let asked = asked();
    let (starts, both) = (asked.unwrap_or(STARTS), asked.unwrap_or(BOTH));
    let nowhere = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "nowhere", "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchExpressions": [{"key": "group", "operator": "NotIn", "values": ["held-free"]}]},
            "policyTypes": ["Egress"],
        },
    });
    apply(A, &nowhere.to_string());
    let judged = start("judged", starts, to, SECONDS).await;
    with_components(A, &["nodeport", "hold"]);
    let judged_and_held = start("judged-and-held", both, to, SECONDS_HELD).await;
    with_components(A, &["nodeport", "without-nri"]);
    let control = start("control", CONTROL, to, SECONDS).await;
    with_components(A, &["nodeport", "without-nri", "hold"]);
    let held = start("held", HELD, to, SECONDS_HELD).await;
    let held_free = start("held-free", HELD, to, SECONDS_HELD).await;
    with_components(A, &["nodeport"]);
    kubectl(A, &format!("delete namespace {NAMESPACE} --wait=false"));
    println!("of {starts} with the plugin {judged:?}, of {both} also held {judged_and_held:?}");
    println!("of {CONTROL} without the plugin {control:?}");
    println!("of {HELD} without it, but held, {held:?}; of as many that no policy forbids to {held_free:?}");
    assert_eq!(judged, Connected::all(0));
    assert_eq!(judged_and_held, Connected::all(0));
    assert!(
        control.first_containers + control.init_containers > 0,
        "without the plugin none connected either: nothing is shown"
    );
    assert_eq!(held, Connected::all(0));
    assert_eq!(held_free, Connected::all(HELD));
}

impl Connected {
    /// So many: every other one in an init container.
    const fn all(count: usize) -> Self {
        Self {
            first_containers: count.div_ceil(2),
            init_containers: count / 2,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run says how long it may take by its environment"
)]
fn asked() -> Option<usize> {
    let starts = std::env::var("BAILEY_POD_STARTS").ok()?;
    Some(starts.parse().expect("BAILEY_POD_STARTS is no number"))
}

/// Starts pods that connect to an address each, every other one in an init container, and waits until all have ended.
async fn start(group: &str, count: usize, to: &[IpAddr], seconds: &str) -> Connected {
    let pods: Vec<Value> = (0..count)
        .map(|number| connecting(group, number, to, seconds))
        .collect();
    apply(
        A,
        &json!({"apiVersion": "v1", "kind": "List", "items": pods}).to_string(),
    );
    let limit = LIMIT + Duration::from_secs(count as u64);
    let all_ended = until(limit, async || {
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
fn connecting(group: &str, number: usize, to: &[IpAddr], seconds: &str) -> Value {
    let address = to[number / 2 % to.len()].to_string();
    let connect = json!({
        "name": "connect", "image": IMAGE, "command": ["nc", "-w", seconds, address, "5432"],
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
