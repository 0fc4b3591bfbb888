use super::*;

fn world(objects: Vec<Value>) -> World {
    World {
        clusters: [("a".parse().unwrap(), objects)].into(),
    }
}

#[test]
fn pods_have_the_addresses_that_are_theirs_and_finished_ones_have_none() {
    let pod = |name: &str, status: Value| json!({"kind": "Pod", "metadata": {"name": name}, "spec": {"nodeName": "n"}, "status": status});
    let ips = json!([{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"ip": "10.0.0.1"}, {"ip": "nonsense"}, {}]);
    let mut leaving = pod("a-leaving", json!({"podIP": "10.0.0.3"}));
    leaving["metadata"]["deletionTimestamp"] = json!("2025-01-01T00:00:00Z");
    let pods = world(vec![
        leaving,
        pod("both", json!({"podIP": "10.0.0.1", "podIPs": ips})),
        pod("done", json!({"phase": "Succeeded", "podIP": "10.0.0.2"})),
        pod("none", json!(null)),
        pod("old", json!({"podIP": "10.0.0.3"})),
    ])
    .pods();
    let addresses: Vec<String> = pods
        .iter()
        .map(|pod| format!("{} {:?}", pod.name, pod.addresses))
        .collect();
    assert_eq!(
        addresses,
        [
            "a/default/a-leaving []",
            "a/default/both [10.0.0.1, fd00::1]",
            "a/default/done []",
            "a/default/none []",
            "a/default/old [10.0.0.3]"
        ]
    );
}

#[test]
fn nodes_are_those_with_objects_and_those_with_pods() {
    let nodes = world(vec![
        json!({"kind": "Node", "metadata": {"name": "idle"}, "status": {"addresses": [
            {"type": "InternalIP", "address": "192.0.2.1"}, {"type": "Hostname", "address": "idle"}]}}),
        json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "busy", "hostNetwork": true}, "status": {"podIP": "192.0.2.2"}}),
    ])
    .nodes();
    let nodes: Vec<String> = nodes
        .iter()
        .map(|(name, addresses)| format!("{name} {addresses:?}"))
        .collect();
    assert_eq!(nodes, ["a/busy {192.0.2.2}", "a/idle {192.0.2.1}"]);
}
