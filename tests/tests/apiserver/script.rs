//! The script: what Bailey, its lab and a person with kubectl ask of an API server.

use super::transcript::Transcript;
use serde_json::{Value, json};
use tests::apiserver::ApiServer;

const NAMESPACES: &str = "/api/v1/namespaces";
const PODS: &str = "/api/v1/namespaces/x/pods";
const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/x/networkpolicies";

/// Runs the whole script.
pub async fn run(server: &mut ApiServer, t: &mut Transcript) {
    namespaces(t).await;
    pods(t).await;
    policies(t).await;
    refused_policies(t).await;
    lists(t).await;
    watches(t).await;
    deletes(t).await;
    namespace_ends(t).await;
    nodes(t).await;
    roles(server, t).await;
    restart(server, t).await;
}

fn pod(name: &str, labels: Value) -> Value {
    json!({"metadata": {"name": name, "labels": labels},
           "spec": {"nodeName": "n1", "containers": [
               {"name": "c", "image": "i", "ports": [{"containerPort": 80, "name": "http"}]}]}})
}

async fn namespaces(t: &mut Transcript) {
    t.section("namespaces");
    t.get(NAMESPACES).await;
    t.post(
        NAMESPACES,
        json!({"metadata": {"name": "x", "labels": {"team": "red"}}}),
    )
    .await;
    t.post(NAMESPACES, json!({"metadata": {"name": "x"}})).await;
    t.post(NAMESPACES, json!({"metadata": {"name": "Not_A_Name"}})).await;
    t.post(NAMESPACES, json!({"metadata": {}})).await;
    t.get("/api/v1/namespaces/none").await;
    let lie = json!({"metadata": {"labels": {"team": "blue", "kubernetes.io/metadata.name": "y"}}});
    t.patch("/api/v1/namespaces/x", lie).await;
    t.get("/api/v1/services-of-none").await;
}

async fn pods(t: &mut Transcript) {
    t.section("pods");
    let made = t.post(PODS, pod("web", json!({"app": "web"}))).await;
    t.post("/api/v1/namespaces/none/pods", pod("web", json!({}))).await;
    t.post(PODS, json!({"metadata": {"name": "empty"}, "spec": {"containers": []}}))
        .await;
    t.post(PODS, json!({"metadata": {"name": "p", "namespace": "y"}, "spec": {}}))
        .await;
    t.post(PODS, json!({"metadata": {"name": "p"}, "spec": {"containers": "many"}}))
        .await;
    t.post(PODS, json!({"metadata": {"name": "p"}, "kind": "Node"})).await;

    let running = json!({"status": {"phase": "Running", "podIPs": [{"ip": "10.1.1.1"}, {"ip": "fd00::1"}]}});
    let status = format!("{PODS}/web/status");
    t.patch(&status, running).await;
    t.patch(&status, json!({"status": {"podIP": "10.1.1.2"}})).await;
    t.patch(
        &status,
        json!({"spec": {"nodeName": "n2"}, "status": {"phase": "Running"}}),
    )
    .await;
    t.patch(&format!("{PODS}/web"), json!({"status": {"phase": "Failed"}}))
        .await;
    t.patch(
        &format!("{PODS}/web"),
        json!({"metadata": {"labels": {"app": "db", "tier": "back"}}}),
    )
    .await;
    t.patch(&format!("{PODS}/web"), json!({"metadata": {"labels": {"tier": null}}}))
        .await;
    t.patch(&format!("{PODS}/web"), json!({"spec": {"nodeName": "n2"}}))
        .await;
    t.patch(&format!("{PODS}/web"), json!({"metadata": {"labels": {"a b": "c"}}}))
        .await;
    t.patch(&format!("{PODS}/none"), json!({"metadata": {"labels": {"app": "db"}}}))
        .await;
    t.strategic(
        &format!("{PODS}/web"),
        json!({"spec": {"containers": [{"name": "c", "image": "j"}]}}),
    )
    .await;

    t.section("a stale write");
    t.put(&format!("{PODS}/web"), made.clone()).await;
    let version = made["metadata"]["resourceVersion"].clone();
    let stale = json!({"metadata": {"resourceVersion": version, "labels": {"app": "late"}}});
    t.patch(&format!("{PODS}/web"), stale).await;
    let uid = json!("11111111-2222-4333-8444-555555555555");
    t.patch(&format!("{PODS}/web"), json!({"metadata": {"uid": uid}})).await;
    let mut other = made.clone();
    other["metadata"]["uid"] = uid;
    other["metadata"]["resourceVersion"] = json!("");
    t.put(&format!("{PODS}/web"), other).await;
    t.put(&format!("{PODS}/other"), made).await;
}

async fn policies(t: &mut Transcript) {
    t.section("policies");
    let spec = json!({"podSelector": {}, "ingress": [{"ports": [{"port": 80}, {"port": "http", "protocol": "UDP"}]}]});
    t.post(POLICIES, json!({"metadata": {"name": "in"}, "spec": spec}))
        .await;
    let spec = json!({"podSelector": {"matchLabels": {"app": "web"}}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}]});
    t.post(POLICIES, json!({"metadata": {"name": "both"}, "spec": spec}))
        .await;
    t.post(
        POLICIES,
        json!({"metadata": {"name": "none"}, "spec": {"podSelector": {}, "egress": []}}),
    )
    .await;
    t.post(
        POLICIES,
        json!({"metadata": {"name": "odd"}, "spec": {"podSelector": {}, "unheardOf": 1}}),
    )
    .await;
    t.patch(&format!("{POLICIES}/in"), json!({"metadata": {"labels": {"a": "b"}}}))
        .await;
    t.patch(&format!("{POLICIES}/in"), json!({"metadata": {"labels": {"a": "b"}}}))
        .await;
    t.patch(
        &format!("{POLICIES}/in"),
        json!({"spec": {"ingress": [{"ports": [{"port": 81}]}]}}),
    )
    .await;
    let strategic = json!({"spec": {"ingress": [{"ports": [{"port": 82}]}]}});
    t.strategic(&format!("{POLICIES}/in"), strategic).await;
    t.patch(&format!("{POLICIES}/in"), json!({"spec": {"ingress": null}}))
        .await;
}

async fn refused_policies(t: &mut Transcript) {
    t.section("policies that are refused");
    let specs = [
        json!({"podSelector": {}, "ingress": [{"from": [{}]}]}),
        json!({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}]}),
        json!({"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/8"]}}]}]}),
        json!({"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "here"}}]}]}),
        json!({"podSelector": {}, "ingress": [{"ports": [{"port": 0}, {"port": 80, "endPort": 79}]}]}),
        json!({"podSelector": {}, "ingress": [{"ports": [{"port": "80"}, {"endPort": 80}, {"port": "http", "endPort": 80}]}]}),
        json!({"podSelector": {}, "ingress": [{"ports": [{"port": 80, "protocol": "ICMP"}]}]}),
        json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}),
        json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]}}),
        json!({"podSelector": {"matchLabels": {"a": "not a value"}}}),
        json!({"podSelector": {}, "policyTypes": ["Sideways"]}),
        json!({"podSelector": [], "policyTypes": ["Ingress"]}),
    ];
    for spec in specs {
        t.post(POLICIES, json!({"metadata": {"name": "bad"}, "spec": spec}))
            .await;
    }
}

async fn lists(t: &mut Transcript) {
    t.section("lists");
    for n in 1..=5 {
        let labels = json!({"n": n.to_string(), "odd": if n % 2 == 1 { "yes" } else { "no" }});
        let pod = json!({"metadata": {"name": format!("p{n}"), "labels": labels},
                         "spec": {"containers": [{"name": "c", "image": "i"}]}});
        t.post(PODS, pod).await;
    }
    for query in [
        "labelSelector=odd%3Dyes",
        "labelSelector=odd%21%3Dyes",
        "labelSelector=n+in+(1,2),odd",
        "labelSelector=n+notin+(1,2),odd",
        "labelSelector=%21n",
        "fieldSelector=metadata.name%3Dp3",
        "fieldSelector=spec.nodeName%3Dn1",
        "fieldSelector=spec.nodeName%21%3Dn1,metadata.name%21%3Dp1",
        "labelSelector=a+b",
        "fieldSelector=spec.image%3Di",
    ] {
        t.get(&format!("{PODS}?{query}")).await;
    }
    t.get("/api/v1/pods?labelSelector=n").await;

    t.section("pages, and a change between two of them");
    let first = t.get(&format!("{PODS}?limit=2")).await;
    t.patch(&format!("{PODS}/p3"), json!({"metadata": {"labels": {"odd": "new"}}}))
        .await;
    t.delete(&format!("{PODS}/p4"), Value::Null).await;
    let token = |list: &Value| encoded(list["metadata"]["continue"].as_str().unwrap());
    let second = t.get(&format!("{PODS}?limit=2&continue={}", token(&first))).await;
    t.get(&format!("{PODS}?limit=2&continue={}", token(&second))).await;
    t.get(&format!("{PODS}?limit=2&resourceVersion=0")).await;
    t.get(&format!("{PODS}?limit=2&continue=nonsense")).await;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    t.get(&format!("{PODS}?resourceVersionMatch=Exact&resourceVersion={version}"))
        .await;
    t.get(&format!(
        "{PODS}?resourceVersionMatch=NotOlderThan&resourceVersion={version}"
    ))
    .await;
}

/// Percent-encodes a token of the server's for a query.
fn encoded(token: &str) -> String {
    token.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn watches(t: &mut Transcript) {
    t.section("a streaming list and what follows it");
    let options = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let mut all = t
        .watch("watch all pods from their list", &format!("/api/v1/pods?{options}"))
        .await;
    t.initial_events(&mut all).await;
    let mut odd = t
        .watch(
            "watch pods odd=yes from their list",
            &format!("{PODS}?{options}&labelSelector=odd%3Dyes"),
        )
        .await;
    t.initial_events(&mut odd).await;
    let list = t.get(&format!("{PODS}?fieldSelector=metadata.name%3Dnone")).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let since = format!("{PODS}?watch=true&resourceVersion={version}");
    let mut later = t.watch("watch pods from a list's version", &since).await;

    t.post(PODS, pod("new", json!({"odd": "yes"}))).await;
    t.patch(&format!("{PODS}/new"), json!({"metadata": {"labels": {"odd": "no"}}}))
        .await;
    t.patch(
        &format!("{PODS}/new"),
        json!({"metadata": {"labels": {"odd": "yes", "more": "1"}}}),
    )
    .await;
    t.patch(
        &format!("{PODS}/new"),
        json!({"metadata": {"labels": {"odd": "yes", "more": "1"}}}),
    )
    .await;
    t.patch(
        &format!("{PODS}/new/status"),
        json!({"status": {"phase": "Running", "podIP": "10.1.1.9"}}),
    )
    .await;
    t.delete(&format!("{PODS}/new?gracePeriodSeconds=0"), Value::Null).await;
    for (title, watch) in [
        ("all pods saw", &mut all),
        ("pods odd=yes saw", &mut odd),
        ("later saw", &mut later),
    ] {
        t.section(title);
        t.events(watch, 6).await;
    }

    t.section("watches that are refused, or end");
    t.get(&format!("{PODS}?watch=true&sendInitialEvents=true")).await;
    let all = format!("{PODS}?watch=true&resourceVersion=1&timeoutSeconds=1");
    let ancient = t.watch("watch pods from the first version, for a second", &all).await;
    t.rest(ancient).await;
    let mut plain = t
        .watch(
            "watch from no version, for a second",
            &format!("{PODS}?watch=true&timeoutSeconds=1"),
        )
        .await;
    t.events(&mut plain, 5).await;
    t.rest(plain).await;
}

async fn deletes(t: &mut Transcript) {
    t.section("deletes");
    t.delete(&format!("{PODS}/none"), Value::Null).await;
    t.delete(&format!("{PODS}/p1"), Value::Null).await;
    t.delete(&format!("{PODS}/web"), Value::Null).await;
    t.delete(&format!("{PODS}/web"), Value::Null).await;
    t.delete(&format!("{PODS}/web"), json!({"preconditions": {"uid": "other"}}))
        .await;
    t.delete(&format!("{PODS}/web"), json!({"gracePeriodSeconds": 0})).await;
    t.get(&format!("{PODS}/web")).await;
    t.delete(&format!("{POLICIES}/none"), Value::Null).await;
    t.delete(&format!("{POLICIES}/gone"), Value::Null).await;

    t.section("finalizers");
    t.patch(
        &format!("{POLICIES}/odd"),
        json!({"metadata": {"finalizers": ["test/hold"]}}),
    )
    .await;
    t.delete(&format!("{POLICIES}/odd"), Value::Null).await;
    t.delete(&format!("{POLICIES}/odd"), Value::Null).await;
    t.patch(&format!("{POLICIES}/odd"), json!({"metadata": {"finalizers": null}}))
        .await;
    t.get(&format!("{POLICIES}/odd")).await;
}

async fn namespace_ends(t: &mut Transcript) {
    t.section("a namespace ends");
    let options = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let only = "fieldSelector=metadata.name%3Dx";
    let mut watch = t.watch("watch it", &format!("{NAMESPACES}?{options}&{only}")).await;
    t.initial_events(&mut watch).await;
    t.delete("/api/v1/namespaces/kube-system", Value::Null).await;
    t.delete("/api/v1/namespaces/x", Value::Null).await;
    t.delete("/api/v1/namespaces/x", Value::Null).await;
    t.post(PODS, pod("late", json!({}))).await;
    t.get(&format!("{PODS}?fieldSelector=metadata.name%3Dp2")).await;
    let finalized =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}, "spec": {"finalizers": []}});
    t.put("/api/v1/namespaces/x/finalize", finalized).await;
    t.get("/api/v1/namespaces/x").await;
    t.events(&mut watch, 2).await;
}

async fn nodes(t: &mut Transcript) {
    t.section("nodes");
    let node = json!({"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.1.1.0/24", "podCIDRs": ["10.1.1.0/24"]}});
    t.post("/api/v1/nodes", node).await;
    let addresses = json!({"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}});
    t.patch("/api/v1/nodes/n1/status", addresses).await;
    t.get("/api/v1/nodes").await;
    t.delete("/api/v1/nodes/n1", Value::Null).await;
}

async fn roles(server: &ApiServer, t: &mut Transcript) {
    use tests::apiserver::Role;
    t.section("roles");
    for role in [Role::Hub, Role::Enforcer] {
        t.use_client(server.client_of(role).await.unwrap());
        t.get("/api/v1/pods?labelSelector=none").await;
        t.get("/apis/networking.k8s.io/v1/networkpolicies?labelSelector=none")
            .await;
        t.get("/api/v1/nodes").await;
        t.get("/api/v1/nodes/n1").await;
        t.post("/api/v1/namespaces/default/pods", pod("p", json!({}))).await;
        t.patch("/api/v1/namespaces/default/pods/p/status", json!({})).await;
    }
    t.use_client(server.client().await.unwrap());
}

async fn restart(server: &mut ApiServer, t: &mut Transcript) {
    t.section("killed and restarted");
    let list = t.get(&format!("{NAMESPACES}?labelSelector=none")).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let since = format!("{NAMESPACES}?watch=true&resourceVersion={version}");
    let mut cut = t.watch("a watch that is cut", &since).await;
    t.post(NAMESPACES, json!({"metadata": {"name": "kept"}})).await;
    t.events(&mut cut, 1).await;
    server.kill().await.unwrap();
    t.rest(cut).await;
    server.restart().await.unwrap();
    t.use_client(server.client().await.unwrap());
    t.get("/api/v1/namespaces/kept").await;
    let resumed = t.watch("resumed", &since).await;
    t.rest(resumed).await;
}
