//! Addresses that more than one pod claims, or a pod and a node; each claim ends in its turn, and all is as before.

use super::rig::{in_lab, in_lab_of, node, pod, policy, world_with_host};
use super::traffic;
use enforcer::offline::ends::Verdict;
use serde_json::{Value, json};
use std::slice;
use tests::lab::layout::Layout;

/// A pod that no network has, on some node, with the addresses of one that has.
fn claimant(of: &Value, on: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "claimant", "namespace": "x", "labels": {"app": "claimant"}},
        "spec": {"nodeName": on},
        "status": {"phase": "Running", "podIP": of["status"]["podIP"], "podIPs": of["status"]["podIPs"]},
    })
}

/// I5, I14: Two pods of a cluster have a peer's address and the subject's, on one node and on two; either claim ends first.
#[test]
fn whichever_of_two_claims_within_a_cluster_ends_first_the_other_stands() {
    in_lab(Layout::Bridge, async |rig| {
        let before = rig.kernels();
        for on in ["node-1", "node-2"] {
            let near = pod("a", "near");
            let second = claimant(&near, on);
            rig.write("a", slice::from_ref(&second)).await;
            rig.becomes("a/x/near", "a/x/db", Verdict::Refused).await;
            rig.delete("a", &near).await;
            rig.settle().await;
            rig.judge("a/x/near", "a/x/db", Verdict::Refused).await;
            rig.write("a", &[near]).await;
            rig.settle().await;
            rig.judge("a/x/near", "a/x/db", Verdict::Refused).await;
            rig.delete("a", &second).await;
            rig.becomes("a/x/near", "a/x/db", Verdict::Allowed).await;

            let db = pod("a", "db");
            let second = claimant(&db, on);
            rig.write("a", slice::from_ref(&second)).await;
            rig.becomes("b/x/remote", "a/x/db", Verdict::Refused).await;
            rig.judge("a/x/stranger", "a/x/db", Verdict::Refused).await;
            rig.judge("a/x/near", "a/x/db", Verdict::Allowed).await;
            rig.delete("a", &second).await;
            rig.becomes("b/x/remote", "a/x/db", Verdict::Allowed).await;
            traffic::during(&rig.verdicts(), async {}).await;
        }
        rig.kernels_become(&before).await;
    });
}

/// I6: A pod of another cluster has the subject's address; either claim ends first, and the hub forgets in between.
#[test]
fn whichever_of_two_clusters_claims_ends_first_the_other_stands() {
    in_lab(Layout::Routed, async |rig| {
        let before = rig.kernels();
        let db = pod("a", "db");
        let second = claimant(&db, "node-1");
        rig.write("b", slice::from_ref(&second)).await;
        rig.becomes("b/x/remote", "a/x/db", Verdict::Refused).await;
        rig.judge("a/x/near", "a/x/db", Verdict::Allowed).await;
        rig.judge("a/x/stranger", "a/x/db", Verdict::Refused).await;
        rig.delete("a", &db).await;
        rig.becomes("a/x/stranger", "a/x/db", Verdict::Allowed).await;
        rig.control.kill_hub().await;
        rig.control.restart_hub().await.unwrap();
        rig.judge("b/x/remote", "a/x/db", Verdict::Refused).await;
        rig.write("a", &[db]).await;
        rig.becomes("a/x/stranger", "a/x/db", Verdict::Refused).await;
        rig.settle().await;
        rig.judge("b/x/remote", "a/x/db", Verdict::Refused).await;
        rig.delete("b", &second).await;
        rig.becomes("b/x/remote", "a/x/db", Verdict::Allowed).await;
        traffic::during(&rig.verdicts(), async {}).await;
        rig.kernels_become(&before).await;
    });
}

/// I7: While a pod claims another node's address, what that node sends and hears goes on, through a restart of the hub too;
/// where nobody says that the address is a node's the pod is isolated by it.
#[test]
fn a_pod_at_another_nodes_address_does_not_filter_that_node() {
    in_lab_of(world_with_host("node-2"), Layout::Bridge, async |rig| {
        let before = rig.kernels();
        let mut ways = rig.verdicts();
        ways.extend(rig.open_ways(&[
            ("a/x/host", "a/x/stranger"),
            ("a/x/stranger", "a/x/host"),
            ("a/x/host", "b/x/other"),
        ]));
        let world = world_with_host("node-2");
        let mut pods = world.clusters.values().flatten();
        let host = pods.find(|pod| pod["metadata"]["name"] == "host").unwrap();
        let thief = claimant(host, "node-1");
        let spec = json!({"podSelector": {"matchLabels": {"app": "claimant"}}, "policyTypes": ["Ingress", "Egress"]});
        let closed = policy("closed", spec);
        traffic::during(&ways, async {
            rig.write("a", &[thief.clone(), closed.clone()]).await;
            rig.settle_with(1).await;
            rig.control.kill_hub().await;
            rig.control.restart_hub().await.unwrap();
            rig.settle_with(1).await;
            let ruleset = rig.ask(&node("a/node-1"), "/ruleset").await;
            assert!(!ruleset.contains("192.0.2.2"), "{ruleset}");
        })
        .await;

        rig.delete("a", host).await;
        rig.becomes("a/x/host", "a/x/stranger", Verdict::Refused).await;
        rig.write("a", slice::from_ref(host)).await;
        rig.becomes("a/x/host", "a/x/stranger", Verdict::Allowed).await;
        rig.settle_with(1).await;
        traffic::during(&ways, async {
            rig.delete("a", &thief).await;
            rig.delete("a", &closed).await;
            rig.settle().await;
        })
        .await;
        rig.kernels_become(&before).await;
    });
}
