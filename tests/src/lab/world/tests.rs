use super::*;
use serde_json::json;

fn parse(text: &str) -> Result<Vec<Value>, String> {
    parse_manifest("w.yaml", text.as_bytes()).map_err(|error| error.to_string())
}

fn world(objects: Vec<Value>) -> World {
    World {
        clusters: [("a".parse().unwrap(), objects)].into(),
    }
}

#[test]
fn documents_and_items_of_lists_are_objects_and_empty_documents_are_none() {
    let text = "
---
kind: Pod
metadata: {name: one}
---
kind: List
items:
- kind: Pod
  metadata: {name: two}
---
apiVersion: v1
kind: PodList
items:
- metadata: {name: three}
---
";
    let names: Vec<String> = parse(text)
        .unwrap()
        .iter()
        .map(|object| format!("{}/{}", object["kind"], object["metadata"]["name"]))
        .collect();
    assert_eq!(names, [r#""Pod"/"one""#, r#""Pod"/"two""#, r#""Pod"/"three""#]);
    assert_eq!(
        parse(r#"{"kind": "Pod", "metadata": {"name": "json"}}"#).unwrap().len(),
        1
    );
}

#[test]
fn what_is_no_object_is_refused_by_file_and_document() {
    assert_eq!(
        parse("kind: Pod\nmetadata: {name: one}\n---\nmetadata: {name: two}").unwrap_err(),
        "w.yaml, document 2: no kind, so this is no Kubernetes object"
    );
    assert_eq!(
        parse("kind: Pod").unwrap_err(),
        "w.yaml, document 1: no metadata.name, so this is no Kubernetes object"
    );
    assert_eq!(
        parse("[1, 2]").unwrap_err(),
        "w.yaml, document 1: no kind, so this is no Kubernetes object"
    );
    assert!(parse("kind: [").unwrap_err().starts_with("w.yaml: "));
}

#[test]
fn pods_have_the_addresses_that_are_addresses_and_finished_ones_have_none() {
    let pod = |name: &str, status: Value| json!({"kind": "Pod", "metadata": {"name": name}, "spec": {"nodeName": "n"}, "status": status});
    let ips = json!([{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"ip": "10.0.0.1"}, {"ip": "nonsense"}, {}]);
    let pods = world(vec![
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
