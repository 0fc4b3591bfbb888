//! `kill -9` of hub and enforcers, in both orders, under traffic.

use super::rig::{Rig, in_lab, in_lab_of, name, node, policy, wait_until, world_with_host};
use super::traffic;
use enforcer::offline::ends::Verdict;
use serde_json::json;
use std::time::Duration;
use tests::apiserver::Lists;
use tests::lab::layout::Layout;

/// S126, C6: Nothing that is killed and comes back changes a verdict or a kernel.
#[test]
fn nothing_that_is_killed_and_comes_back_changes_a_verdict_or_a_kernel_on_bridges() {
    in_lab(Layout::Bridge, kill_all_in_both_orders);
}

/// S126, C6: The same on routed links.
#[test]
fn nothing_that_is_killed_and_comes_back_changes_a_verdict_or_a_kernel_on_routed_links() {
    in_lab(Layout::Routed, kill_all_in_both_orders);
}

/// W12, S126: An enforcer that starts without its own API server leaves what is in force.
#[test]
fn an_enforcer_that_starts_without_its_own_api_server_leaves_what_is_in_force_and_says_what_it_waits_for() {
    in_lab(Layout::Bridge, async |rig| {
        let (before, on) = (rig.kernels(), node("a/node-1"));
        rig.control.cluster_mut(&name("a")).unwrap().kill().await.unwrap();
        rig.control.kill_enforcer(&on).await.unwrap();
        traffic::during(&rig.verdicts(), async {
            rig.control.start_enforcer(&rig.lab.fabric, &on).unwrap();
            let words = "waiting for the NetworkPolicies of this cluster's API server (the API server is unreachable";
            wait_until(words, async || rig.ask(&on, "/readyz").await.contains(words)).await;
            rig.log_says("enforcer-a@node-1", "cannot watch NetworkPolicies").await;
            wait_until("the other's trouble in ListEnforcers", async || {
                let words = "cannot watch NetworkPolicies: the API server is unreachable";
                rig.trouble(&node("a/node-2")).await.starts_with(words)
            })
            .await;
        })
        .await;
        let back = rig.control.cluster_mut(&name("a")).unwrap();
        back.restart_with(Lists::Streamed).await.unwrap();
        rig.control.enforcers_ready().await.unwrap();
        rig.settle().await;
        assert_eq!(rig.kernels(), before);
    });
}

async fn kill_all_in_both_orders(rig: &mut Rig<'_>) {
    let (before, verdicts) = (rig.kernels(), rig.verdicts());
    for (node, kernel) in &before {
        assert!(!kernel.is_empty(), "nothing is in force on {node}");
    }
    traffic::during(&verdicts, async {
        rig.control.kill_hub().await;
        rig.log_says("enforcer-a@node-1", "without a farewell: has it crashed?")
            .await;
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

/// C18, S125: Local changes are in force at once while the hub is away, and all others when it is back.
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

/// C6, C7, S126: A hub that restarts while a cluster is away takes nothing from it and keeps nothing of others.
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

/// S122, S123: Policies and labels come and go, and hub and enforcers die at any moment of it.
#[test]
fn whenever_a_program_dies_nothing_forbidden_passes_and_nothing_is_left_behind() {
    const SEED: u64 = 11;
    const ROUNDS: usize = 30;
    in_lab(Layout::Bridge, async |rig| {
        let before = rig.kernels();
        // The pod whose label changes is not judged meanwhile.
        let mut steady = rig.verdicts();
        steady.retain(|way| way.from != "a/x/far");
        let mut random = fastrand::Rng::with_seed(SEED);
        traffic::during(&steady, async {
            for round in 0..ROUNDS {
                change(rig, round).await;
                // Anywhere in what the change sets off: it takes some ten milliseconds.
                tokio::time::sleep(Duration::from_micros(random.u64(0..20_000))).await;
                if random.u8(0..4) == 0 {
                    rig.control.kill_hub().await;
                    rig.control.start_hub().unwrap();
                } else {
                    let node = node(["a/node-1", "a/node-2", "b/node-1"][random.usize(0..3)]);
                    rig.control.kill_enforcer(&node).await.unwrap();
                    rig.control.start_enforcer(&rig.lab.fabric, &node).unwrap();
                }
                // Some get to work before the next one dies, some do not.
                tokio::time::sleep(Duration::from_millis(random.u64(0..200))).await;
            }
        })
        .await;
        assert_eq!(ROUNDS % 2, 0, "every change is taken back");
        rig.control.enforcers_ready().await.unwrap();
        rig.settle().await;
        rig.kernels_become(&before).await;
        traffic::during(&rig.verdicts(), async {}).await;
    });
}

/// An even round makes a change, the odd one after it takes it back.
async fn change(rig: &Rig<'_>, round: usize) {
    let cluster = rig.control.cluster(&name("a")).unwrap();
    let spec = match round / 2 % 3 {
        0 => json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [
            {"from": [{"podSelector": {"matchLabels": {"app": "near"}}}], "ports": [{"port": 80}]},
            {"from": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.128/25"]}}]},
        ]}),
        1 => json!({"podSelector": {"matchLabels": {"app": "near"}}, "policyTypes": ["Ingress"]}),
        _ => {
            let role = (round % 2 == 1).then_some("client");
            return rig.label("a", "far", role).await;
        }
    };
    let policy = policy("changing", spec);
    if round.is_multiple_of(2) {
        cluster.write(&[policy]).await.unwrap();
    } else {
        cluster.delete(&policy).await.unwrap();
    }
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

/// S68: The switch is turned by a restart, and back again: what it does not decide goes on, and nothing is left of it.
#[test]
fn egress_to_the_local_node_is_judged_from_a_restart_on_and_no_more_from_another() {
    in_lab_of(world_with_host("node-1"), Layout::Bridge, async |rig| {
        let narrow = policy(
            "narrow",
            json!({
                "podSelector": {"matchLabels": {"app": "near"}}, "policyTypes": ["Egress"],
                "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "db"}}}]}],
            }),
        );
        rig.write("a", &[narrow]).await;
        rig.settle_with(1).await;
        let (before, on) = (rig.kernels(), node("a/node-1"));
        let mut ways = rig.verdicts();
        ways.extend(rig.open_ways(&[
            ("a/x/host", "a/x/near"),
            ("a/x/stranger", "a/x/host"),
            ("a/x/far", "a/x/host"),
        ]));
        rig.judge("a/x/near", "a/x/host", Verdict::Allowed).await;
        for (word, verdict) in [("policy", Verdict::Refused), ("allow", Verdict::Allowed)] {
            traffic::during(&ways, async {
                rig.control.stop_enforcer(&on).await.unwrap();
                let flag = format!("--egress-to-local-node={word}");
                rig.control.start_enforcer_with(&rig.lab.fabric, &on, &[flag]).unwrap();
                rig.control.enforcers_ready().await.unwrap();
                rig.settle_with(1).await;
                rig.judge("a/x/near", "a/x/host", verdict).await;
            })
            .await;
        }
        rig.kernels_become(&before).await;
    });
}
