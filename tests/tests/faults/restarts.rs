//! `kill -9` of hub and enforcers, in both orders, under traffic.

use super::rig::{Rig, in_lab, name, node, policy, wait_until};
use super::traffic;
use serde_json::json;
use tests::apiserver::Lists;
use tests::lab::ends::Verdict;
use tests::lab::layout::Layout;

#[test]
fn nothing_that_is_killed_and_comes_back_changes_a_verdict_or_a_kernel_on_bridges() {
    in_lab(Layout::Bridge, kill_all_in_both_orders);
}

#[test]
fn nothing_that_is_killed_and_comes_back_changes_a_verdict_or_a_kernel_on_routed_links() {
    in_lab(Layout::Routed, kill_all_in_both_orders);
}

async fn kill_all_in_both_orders(rig: &mut Rig<'_>) {
    let (before, verdicts) = (rig.kernels(), rig.verdicts());
    for (node, kernel) in &before {
        assert!(!kernel.is_empty(), "nothing is in force on {node}");
    }
    traffic::during(&verdicts, async {
        rig.control.kill_hub().await;
        kill_enforcers(rig).await;
        assert_eq!(rig.kernels(), before, "while nothing runs");
        start_enforcers(rig).await;
        assert_eq!(rig.kernels(), before, "with enforcers that have not heard of a hub");
        rig.control.restart_hub().await.unwrap();
        rig.settle().await;
        assert_eq!(rig.kernels(), before, "with a new hub");
    })
    .await;
    traffic::during(&verdicts, async {
        kill_enforcers(rig).await;
        rig.control.kill_hub().await;
        rig.control.restart_hub().await.unwrap();
        assert_eq!(rig.kernels(), before, "with a hub and no enforcer");
        start_enforcers(rig).await;
        rig.settle().await;
        assert_eq!(rig.kernels(), before, "with everything anew");
    })
    .await;
}

#[test]
fn what_changes_while_the_hub_is_away_is_in_force_as_soon_as_it_can_be_known() {
    in_lab(Layout::Bridge, async |rig| {
        rig.control.kill_hub().await;
        let closed = policy("closed", json!({"podSelector": {"matchLabels": {"app": "far"}}}));
        rig.control.cluster(&name("a")).unwrap().write(&[closed]).await.unwrap();
        rig.becomes("b/x/other", "a/x/far", Verdict::Refused).await;
        rig.label("b", "remote", None).await;
        // The own cluster's labels are known without a hub, those of other clusters stay as they were.
        rig.label("a", "stranger", Some("client")).await;
        rig.becomes("a/x/stranger", "a/x/db", Verdict::Allowed).await;
        rig.judge("b/x/remote", "a/x/db", Verdict::Allowed).await;
        rig.control.restart_hub().await.unwrap();
        rig.becomes("b/x/remote", "a/x/db", Verdict::Refused).await;
        rig.judge("a/x/stranger", "a/x/db", Verdict::Allowed).await;
    });
}

#[test]
fn a_hub_that_restarts_while_a_cluster_is_away_takes_nothing_from_it_and_keeps_nothing_of_others() {
    in_lab(Layout::Bridge, async |rig| {
        let b = name("b");
        rig.control.kill_hub().await;
        rig.control.cluster_mut(&b).unwrap().kill().await.unwrap();
        // Nor do enforcers remember: what is known of the cluster is what the kernels hold.
        kill_enforcers(rig).await;
        rig.control.start_hub().unwrap();
        let a_nodes = [node("a/node-1"), node("a/node-2")];
        for node in &a_nodes {
            rig.control.start_enforcer(&rig.lab.fabric, node).unwrap();
        }
        for node in &a_nodes {
            wait_until(&format!("{node} to hear of b"), async || {
                rig.ask(node, "/metrics")
                    .await
                    .contains("cluster=\"b\",state=\"syncing\"")
            })
            .await;
        }
        traffic::during(&rig.verdicts(), async {}).await;
        // A cluster that never becomes readable keeps no address of another alive.
        rig.label("a", "far", None).await;
        rig.becomes("a/x/far", "a/x/db", Verdict::Refused).await;
        rig.judge("b/x/remote", "a/x/db", Verdict::Allowed).await;

        let back = rig.control.cluster_mut(&b).unwrap();
        back.restart_with(Lists::Streamed).await.unwrap();
        rig.label("b", "remote", None).await;
        rig.becomes("b/x/remote", "a/x/db", Verdict::Refused).await;
    });
}

async fn kill_enforcers(rig: &mut Rig<'_>) {
    for node in rig.nodes() {
        rig.control.kill_enforcer(&node).await.unwrap();
    }
}

async fn start_enforcers(rig: &mut Rig<'_>) {
    for node in rig.nodes() {
        rig.control.start_enforcer(&rig.lab.fabric, &node).unwrap();
    }
    rig.control.enforcers_ready().await.unwrap();
}
