//! Who has which address, by API server and runtime.

use super::*;
use crate::sandbox::{Event as Runtime, PodName};
use serde_json::{Value, json};

/// A pod of this node, its UID its name unless that is said.
fn pod(name: &str, addresses: &[&str], more: &Value) -> Pod {
    let addresses: Vec<Value> = addresses.iter().map(|address| json!({"ip": address})).collect();
    let mut object = json!({
        "metadata": {"namespace": "x", "name": name, "uid": name, "labels": {"app": name}},
        "spec": {"nodeName": "n"},
        "status": {"phase": "Pending", "podIPs": addresses},
    });
    for (part, fields) in more.as_object().into_iter().flatten() {
        for (field, value) in fields.as_object().into_iter().flatten() {
            object[part][field] = value.clone();
        }
    }
    serde_json::from_value(object).unwrap()
}

fn sandbox(uid: &str, name: &str, addresses: &[&str]) -> Sandbox {
    Sandbox {
        id: format!("sandbox of {uid}").into(),
        pod: PodName {
            namespace: "x".into(),
            name: name.into(),
        },
        uid: uid.into(),
        is_static: false,
        labels: Arc::new([("app".into(), name.into())].into()),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

fn synced(sandboxes: &[Sandbox]) -> Runtime {
    Runtime::Synced {
        runtime: "containerd".to_owned(),
        sandboxes: sandboxes.to_vec(),
    }
}

/// What is said, in this order and in the reverse, and who then owns which address: by their labels.
fn check(pods: &[Pod], sandboxes: &[Sandbox], expected: &[(&str, &[&str])]) {
    let cluster = ClusterName::new("a").unwrap();
    for is_reverse in [false, true] {
        let mut local = LocalPods::default();
        if is_reverse {
            local.runtime(synced(sandboxes));
        }
        local.watched(Event::Synced(pods.to_vec()));
        if !is_reverse {
            local.runtime(synced(&[]));
            for sandbox in sandboxes {
                local.runtime(Runtime::Started(sandbox.clone()));
            }
        }
        assert_eq!(owners(&local, &cluster), said(expected), "reverse: {is_reverse}");
        let ids: BTreeSet<_> = sandboxes.iter().map(|sandbox| sandbox.id.clone()).collect();
        assert_eq!(local.covered(&local.pods()), ids);
    }
}

fn owners(local: &LocalPods, cluster: &ClusterName) -> Vec<(String, Vec<String>)> {
    let app = |owner: &Identity| owner.labels["app"].to_string();
    let claims = local.claims(&local.pods(), cluster).into_iter();
    let claims = claims.map(|(address, claim)| (address.to_string(), claim.owners.iter().map(app).collect()));
    claims.collect()
}

fn said(expected: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let owned = expected.iter();
    owned
        .map(|(address, owners)| ((*address).to_owned(), owners.iter().map(ToString::to_string).collect()))
        .collect()
}

/// S79: A pod has its addresses before the API server knows them, in both families.
#[test]
fn a_pod_has_the_addresses_of_its_sandbox() {
    check(
        &[pod("web", &[], &json!({}))],
        &[sandbox("web", "web", &["10.0.0.1", "fd00::1"])],
        &[("10.0.0.1", &["web"]), ("fd00::1", &["web"])],
    );
}

/// S83: What a status says that is late is no claim on what another pod's sandbox has.
#[test]
fn an_address_is_its_sandboxs_pods_whatever_statuses_list_it() {
    // The node began anew, and gave the addresses out in another order.
    check(
        &[
            pod("first", &["10.0.0.1"], &json!({})),
            pod("second", &["10.0.0.2"], &json!({})),
        ],
        &[
            sandbox("first", "first", &["10.0.0.2"]),
            sandbox("second", "second", &["10.0.0.1"]),
        ],
        &[("10.0.0.1", &["second"]), ("10.0.0.2", &["first"])],
    );
    // A pod's sandbox was made anew; nobody has its former address.
    check(
        &[pod("web", &["10.0.0.1"], &json!({}))],
        &[sandbox("web", "web", &["10.0.0.2"])],
        &[("10.0.0.1", &["web"]), ("10.0.0.2", &["web"])],
    );
    // An earlier pod's object still lists it.
    let ends = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    check(
        &[pod("old", &["10.0.0.1"], &ends), pod("new", &[], &json!({}))],
        &[sandbox("new", "new", &["10.0.0.1"])],
        &[("10.0.0.1", &["new"])],
    );
}

/// S122: A pod that the API server does not tell of is one of the labels its sandbox began with, also beside one of its name.
#[test]
fn a_sandbox_without_a_pod_at_the_api_server_is_a_pod() {
    check(&[], &[sandbox("web", "web", &["10.0.0.1"])], &[("10.0.0.1", &["web"])]);
    let labelled = json!({"metadata": {"uid": "new", "labels": {"app": "relabelled"}}});
    check(
        &[pod("web", &[], &labelled)],
        &[
            sandbox("old", "web", &["10.0.0.1"]),
            sandbox("new", "web", &["10.0.0.2"]),
        ],
        &[("10.0.0.1", &["web"]), ("10.0.0.2", &["relabelled"])],
    );
}

/// The mirror of a static pod has a UID of its own.
#[test]
fn a_static_pods_sandbox_is_that_of_its_mirror() {
    let mut of_file = sandbox("hash", "proxy", &["10.0.0.1"]);
    of_file.is_static = true;
    let mirror = json!({"metadata": {"uid": "mirror", "labels": {"app": "mirror"}}});
    check(&[pod("proxy", &[], &mirror)], &[of_file], &[("10.0.0.1", &["mirror"])]);
}

/// S70: A pod on the host network has none of its own, whatever a runtime says.
#[test]
fn a_pod_on_the_host_network_has_no_sandbox_of_its_own() {
    let host = json!({"spec": {"hostNetwork": true}});
    check(
        &[pod("host", &["192.0.2.1"], &host)],
        &[sandbox("host", "host", &["192.0.2.1"])],
        &[("192.0.2.1", &[])],
    );
}

/// A runtime that is out of reach may have stopped a sandbox and given its address to another pod.
#[test]
fn the_word_of_a_runtime_that_is_out_of_reach_stands_behind_the_api_servers() {
    let cluster = ClusterName::new("a").unwrap();
    let mut local = LocalPods::default();
    local.watched(Event::Synced(vec![
        pod("waits", &[], &json!({})),
        pod("moved", &["10.0.0.2"], &json!({})),
        pod("new", &["10.0.0.3", "10.0.0.4"], &json!({})),
    ]));
    local.runtime(synced(&[
        sandbox("waits", "waits", &["10.0.0.1"]),
        sandbox("moved", "moved", &["10.0.0.3"]),
        sandbox("gone", "gone", &["10.0.0.4", "10.0.0.5"]),
    ]));
    let live: [(&str, &[&str]); 5] = [
        ("10.0.0.1", &["waits"]),
        ("10.0.0.2", &["moved"]),
        ("10.0.0.3", &["moved"]),
        ("10.0.0.4", &["gone"]),
        ("10.0.0.5", &["gone"]),
    ];
    assert_eq!(owners(&local, &cluster), said(&live));
    local.runtime(Runtime::Lost("containerd ended".to_owned()));
    let lost: [(&str, &[&str]); 5] = [
        ("10.0.0.1", &["waits"]),
        ("10.0.0.2", &["moved"]),
        ("10.0.0.3", &["new"]),
        ("10.0.0.4", &["new"]),
        ("10.0.0.5", &["gone"]),
    ];
    assert_eq!(owners(&local, &cluster), said(&lost));
    local.runtime(synced(&[]));
    let none: [(&str, &[&str]); 3] = [("10.0.0.2", &["moved"]), ("10.0.0.3", &["new"]), ("10.0.0.4", &["new"])];
    assert_eq!(owners(&local, &cluster), said(&none));
}

#[test]
fn a_sandbox_that_stopped_says_nothing_any_more() {
    let cluster = ClusterName::new("a").unwrap();
    let mut local = LocalPods::default();
    local.watched(Event::Synced(vec![pod("web", &[], &json!({}))]));
    let web = sandbox("web", "web", &["10.0.0.1"]);
    local.runtime(synced(&[]));
    local.runtime(Runtime::Started(web.clone()));
    local.runtime(Runtime::Stopped(web.id));
    assert_eq!(owners(&local, &cluster), []);
}
